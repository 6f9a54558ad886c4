//! The journal's law: which record may follow. What is legal is legal at every length, reads the same in pieces and as a
//! whole, survives being written down, and no record of it can be left out, repeated or moved.

use crate::interrupts::whole;
use crate::ledger::MemoryLedger;
use crate::world::{Nobody, World};
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::json;
use std::sync::{Arc, LazyLock};
use windlass::effect::Compensation;
use windlass::id::{Digest, HostName, StepKey, TaskPath};
use windlass::journal::{Entry, Group, Part, RECORD_VERSION, Record, RunPhase, RunState, StartInfo, next};
use windlass::ledger::Ledger as _;
use windlass::run::Writer;
use windlass::step::{Command, ErrorKind, Outcome, Site, StepError};

/// The bodies of a real journal of format 1, as a ledger keeps them.
const FIXTURE: &str = include_str!("../fixtures/journal-v1.jsonl");

fn fixture() -> Vec<Record> {
    FIXTURE.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Every field of a state, as text.
fn told(state: &RunState) -> String {
    format!("{state:?}")
}

fn numbered(entries: impl IntoIterator<Item = Entry>) -> Vec<Record> {
    let record = |(seq, entry)| Record { version: RECORD_VERSION, seq, at: 1_767_225_600_000, entry };
    (1..).zip(entries).map(record).collect()
}

#[test]
fn journals_of_format_1_read() {
    let records = fixture();
    let state = RunState::read(&records).unwrap();
    assert_eq!((state.phase, state.exit), (Some(RunPhase::Unwound), Some(3)));
    assert!(records.iter().all(|record| record.version == 1));
    for (record, line) in records.iter().zip(FIXTURE.lines()) {
        let again = serde_json::to_value(record).unwrap();
        assert_eq!(again, serde_json::from_str::<serde_json::Value>(line).unwrap());
    }
}

#[test]
fn the_fixture_has_every_kind_of_record() {
    let kinds = ["run_started", "started", "compensation", "succeeded", "failed", "group_entered", "group_left", "phase"];
    let more = ["undo_started", "undone", "undo_failed", "settled", "run_ended"];
    for kind in kinds.iter().chain(&more) {
        assert!(FIXTURE.contains(&format!("\"kind\":\"{kind}\"")), "{kind} is missing");
    }
}

#[test]
fn real_journals_are_legal_at_every_length() {
    for records in [fixture(), whole().2.records] {
        let mut state = RunState::default();
        for (at, record) in records.iter().enumerate() {
            state = next(state, record).unwrap();
            let read = RunState::read(&records[..=at]).unwrap();
            assert_eq!(told(&read), told(&state), "after record {}", record.seq);
        }
    }
}

#[test]
fn a_record_that_may_not_follow_changes_nothing() {
    let records = fixture();
    let (mut state, mut refused) = (RunState::default(), 0);
    for record in &records {
        let before = told(&state);
        for other in &records {
            let mut copy = state.clone();
            if copy.advance(&Record { seq: state.seq + 1, ..other.clone() }).is_err() {
                assert_eq!(told(&copy), before, "record {} before {}", other.seq, record.seq);
                refused += 1;
            }
        }
        state.advance(record).unwrap();
    }
    assert!(refused > 1000, "{refused}");
}

#[test]
fn a_writer_goes_on_after_a_record_that_may_not_follow() {
    let (ledger, id) = (Arc::new(MemoryLedger::default()), crate::world::fresh_id());
    ledger.begin(&id, &World::new().stored("").unwrap(), "", 0).unwrap();
    let writer = Writer::new(id.clone(), RunState::default(), ledger.clone(), Arc::new(Nobody), None);
    writer.commit(vec![begin(), started(1)]).unwrap();
    assert!(writer.commit(vec![started(1)]).unwrap_err().message.contains("begun already"));
    assert!(writer.state(|state| state.steps.contains_key(&key(1))));
    writer.commit(vec![ended(1, true)]).unwrap();
    writer.close();
    assert_eq!(ledger.records(&id).unwrap().len(), 3);
}

static MAIN: LazyLock<TaskPath> = LazyLock::new(TaskPath::main);

fn key(n: u32) -> StepKey {
    StepKey { task: MAIN.clone(), n }
}

fn error() -> StepError {
    StepError::new(ErrorKind::Failed, "no")
}

fn begin() -> Entry {
    let bundle = Digest::of(b"");
    Entry::RunStarted { info: StartInfo { environment: "e".into(), script: "s".into(), bundle, by: "me".into() } }
}

fn started(n: u32) -> Entry {
    let command =
        Command { op: "write".into(), host: HostName::controller(), user: None, args: json!({ "n": n }), site: Site::default() };
    Entry::Started { key: key(n), command, summary: String::new() }
}

fn compensation(n: u32) -> Entry {
    Entry::compensation(key(n), 1, Compensation::Restore { save: key(n).save(1) })
}

fn ended(n: u32, well: bool) -> Entry {
    if well {
        Entry::Succeeded { key: key(n), output: json!(n), outcome: Outcome::Changed, millis: 1, diff: None }
    } else {
        Entry::Failed { key: key(n), error: error(), millis: 1 }
    }
}

/// What a step or a group leaves in a journal.
#[derive(Debug, Clone)]
enum Piece {
    Step { undo: bool, well: bool },
    Group(Vec<Piece>),
}

fn piece() -> impl Strategy<Value = Piece> {
    let step = (any::<bool>(), any::<bool>()).prop_map(|(undo, well)| Piece::Step { undo, well });
    step.prop_recursive(3, 12, 4, |inner| prop::collection::vec(inner, 0..4).prop_map(Piece::Group))
}

fn write_down(piece: &Piece, last: &mut u32, entries: &mut Vec<Entry>, undos: &mut Vec<u32>) {
    *last += 1;
    let n = *last;
    match piece {
        Piece::Step { undo, well } => {
            entries.push(started(n));
            if *undo {
                entries.push(compensation(n));
                undos.push(n);
            }
            entries.push(ended(n, *well));
        }
        Piece::Group(parts) => {
            entries.push(Entry::GroupEntered { key: key(n), group: Group::Step { name: "g".into() } });
            parts.iter().for_each(|part| write_down(part, last, entries, undos));
            entries.push(Entry::GroupLeft { key: key(n), failed: false, missed: Vec::new() });
        }
    }
}

/// A legal journal: steps and groups, then its end, or an unwinding in which some compensations fail at first.
fn journal() -> impl Strategy<Value = Vec<Record>> {
    (prop::collection::vec(piece(), 0..6), any::<bool>(), any::<bool>()).prop_map(|(parts, unwinds, stumbles)| {
        let (mut entries, mut undos, mut last) = (vec![begin()], Vec::new(), 0);
        parts.iter().for_each(|part| write_down(part, &mut last, &mut entries, &mut undos));
        let state = if unwinds { RunPhase::Unwound } else { RunPhase::Succeeded };
        if unwinds {
            entries.push(Entry::phase(RunPhase::Unwinding, "x"));
            for n in undos.into_iter().rev() {
                let (key, part) = (key(n), Part::Restore);
                if stumbles {
                    entries.push(Entry::UndoStarted { key: key.clone(), n: 1, part });
                    entries.push(Entry::UndoFailed { key: key.clone(), n: 1, part, error: error() });
                }
                entries.push(Entry::UndoStarted { key: key.clone(), n: 1, part });
                entries.push(Entry::Undone { key, n: 1, part, changed: true });
            }
        }
        entries.push(Entry::RunEnded { state, exit: 0, error: None });
        numbered(entries)
    })
}

/// The same entries, numbered anew: what is refused is refused for what it says, not for its number.
fn renumbered(records: Vec<Record>) -> Vec<Record> {
    numbered(records.into_iter().map(|record| record.entry))
}

/// Whether nothing of a legal journal needs this entry, and so its absence cannot be seen.
fn may_be_missing(entry: &Entry, records: &[Record]) -> bool {
    match entry {
        Entry::RunEnded { .. } | Entry::GroupLeft { .. } | Entry::Phase { .. } => true,
        Entry::Succeeded { .. } | Entry::Failed { .. } => true,
        Entry::Undone { .. } | Entry::UndoFailed { .. } => true,
        Entry::Compensation { key, .. } => {
            !records.iter().any(|r| matches!(&r.entry, Entry::UndoStarted { key: k, .. } if k == key))
        }
        // An attempt that is begun twice and ended once.
        Entry::UndoStarted { .. } => false,
        _ => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_prefix_of_a_legal_journal_is_legal(records in journal()) {
        let mut state = RunState::default();
        for (at, record) in records.iter().enumerate() {
            state = next(state, record).unwrap();
            prop_assert_eq!(told(&RunState::read(&records[..=at]).unwrap()), told(&state));
        }
    }

    #[test]
    fn what_is_written_down_reads_the_same(records in journal()) {
        for record in records {
            let text = serde_json::to_string(&record).unwrap();
            prop_assert_eq!(serde_json::from_str::<Record>(&text).unwrap(), record);
        }
    }

    #[test]
    fn a_number_that_is_not_the_next_is_refused(records in journal(), at: Index, off in 1_u64..5) {
        let mut records = records;
        let at = at.index(records.len());
        records[at].seq += off;
        prop_assert_eq!(RunState::read(&records).unwrap_err().seq, records[at].seq);
    }

    #[test]
    fn no_record_stands_twice(records in journal(), at: Index, behind: Index) {
        let at = at.index(records.len());
        let behind = at + 1 + behind.index(records.len() - at);
        let mut twice = records.clone();
        twice.insert(behind, records[at].clone());
        // A phase may be written again, and a compensation may be begun again until it is done.
        let harmless = matches!(records[at].entry, Entry::Phase { .. } | Entry::UndoStarted { .. } | Entry::UndoFailed { .. });
        prop_assume!(!harmless);
        prop_assert!(RunState::read(&renumbered(twice)).is_err());
    }

    #[test]
    fn what_others_rest_on_is_not_left_out(records in journal(), at: Index) {
        let at = at.index(records.len());
        prop_assume!(!may_be_missing(&records[at].entry, &records));
        let mut short = records;
        short.remove(at);
        // An undo that was begun for a second time is begun all the same.
        let again = matches!(short.get(at.wrapping_sub(1)), Some(Record { entry: Entry::UndoStarted { .. }, .. }));
        prop_assume!(!again && !short.is_empty());
        prop_assert!(RunState::read(&renumbered(short)).is_err());
    }

    #[test]
    fn nothing_but_a_debt_comes_after_the_end(records in journal(), n in 900_u32..999) {
        let late = [begin(), started(n), Entry::GroupEntered { key: key(n), group: Group::Step { name: "g".into() } },
            Entry::phase(RunPhase::Running, ""),
            Entry::phase(RunPhase::Interrupted, ""),
            Entry::RunEnded { state: RunPhase::Succeeded, exit: 0, error: None }];
        for entry in late {
            let longer = renumbered(records.iter().cloned().chain(numbered([entry.clone()])).collect());
            prop_assert!(RunState::read(&longer).is_err(), "{:?}", entry);
        }
    }

    #[test]
    fn a_compensation_comes_before_the_end_of_its_step(records in journal(), at: Index) {
        let ends: Vec<usize> = (0..records.len()).filter(|at| matches!(records[*at].entry, Entry::Succeeded { .. } | Entry::Failed { .. })).collect();
        prop_assume!(!ends.is_empty());
        let at = ends[at.index(ends.len())];
        let (Entry::Succeeded { key, .. } | Entry::Failed { key, .. }) = &records[at].entry else { return Ok(()) };
        let late = Entry::compensation(key.clone(), 7, Compensation::Restore { save: key.save(7) });
        let mut entries: Vec<Entry> = records.iter().map(|record| record.entry.clone()).collect();
        entries.insert(at + 1, late);
        prop_assert!(RunState::read(&numbered(entries)).is_err());
    }
}
