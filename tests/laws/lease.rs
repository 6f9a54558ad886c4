//! The laws of an environment's lock, on a real ledger file and a clock of the test's own: one holder at a time, epochs that only grow,
//! and nothing appended by who lost it.

use crate::crash::{self, windlass};
use crate::world::{World, fresh_id};
use proptest::prelude::*;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use windlass::id::{Epoch, RunId};
use windlass::journal::{Entry, RECORD_VERSION, Record, RunPhase, RunState, StartInfo};
use windlass::ledger::{Chain, Claim, Hold, HoldKind, Intent, LEASE_MILLIS, Lease, Ledger, LedgerError, Locks, Refusal};
use windlass::ledger::{SqliteLedger, StoredRun, Tenure, judge};
use windlass::stop::Stop;

const FIXTURE: &[u8] = include_bytes!("../fixtures/ledger-v1.db");

pub(crate) fn open(directory: &Path) -> Arc<SqliteLedger> {
    Arc::new(SqliteLedger::open(&directory.join("ledger.db")).unwrap())
}

/// A ledger as format 1 left it: a run that succeeded, one that was unwound, one that was killed.
pub(crate) fn old(directory: &Path) -> Arc<SqliteLedger> {
    std::fs::write(directory.join("ledger.db"), FIXTURE).unwrap();
    open(directory)
}

/// Someone on this machine who wants the lock of `box`.
fn wants(run: &RunId, at: i64) -> Claim<'_> {
    let (holder, machine) = ("ada@desk", "desk/boot-1");
    Claim { environment: "box", run, holder, machine, intent: Intent::Begin, dead: None, at, ttl: LEASE_MILLIS }
}

fn given(ledger: &SqliteLedger, claim: &Claim<'_>) -> Lease {
    ledger.claim(claim).unwrap().unwrap()
}

fn held_by(ledger: &SqliteLedger, claim: &Claim<'_>) -> Lease {
    match ledger.claim(claim).unwrap() {
        Err(Refusal::Held(lease)) => lease,
        other => panic!("{other:?}"),
    }
}

/// A run of the old ledger's, and a record that may follow its last one.
fn open_run(ledger: &SqliteLedger) -> (RunId, Record) {
    let row = ledger.runs(None, 9).unwrap().into_iter().find(|row| !row.state.is_ended()).unwrap();
    let entry = Entry::phase(RunPhase::Interrupted, "the test");
    (row.id, Record { version: RECORD_VERSION, seq: row.records + 1, at: row.last, entry })
}

#[test]
fn ledgers_of_format_1_are_read_and_brought_to_format_2() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = old(directory.path());
    let rows = ledger.runs(Some("box"), 9).unwrap();
    let states: Vec<_> = rows.iter().map(|row| (row.state, row.exit, row.records)).collect();
    assert_eq!(states, [(RunPhase::Running, None, 6), (RunPhase::Unwound, Some(3), 17), (RunPhase::Succeeded, Some(0), 10)]);
    for row in &rows {
        RunState::read(&ledger.records(&row.id).unwrap()).unwrap();
        let chain = Chain::verify(&row.id, &ledger.links(&row.id).unwrap()).unwrap();
        assert_eq!(chain.records(), row.records);
        assert_eq!(ledger.stored(&row.id).unwrap().environment.name, "box");
    }
    assert_eq!((ledger.lease("box").unwrap(), ledger.holds("box").unwrap()), (None, Vec::new()));
    let name = ledger.name().unwrap();
    assert_eq!(name.len(), 16);
    let run = fresh_id();
    given(&ledger, &wants(&run, 0));
    // It is brought there once, and named once.
    let again = open(directory.path());
    assert_eq!((again.name().unwrap(), again.lease("box").unwrap().unwrap().run), (name, Some(run)));
}

#[test]
fn a_holder_keeps_others_away_until_its_time_is_over() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = open(directory.path());
    let (one, two) = (fresh_id(), fresh_id());
    let first = given(&ledger, &wants(&one, 1000));
    assert_eq!((first.epoch, first.run.as_ref(), first.since, first.until), (Epoch(1), Some(&one), 1000, 1000 + LEASE_MILLIS));
    assert_eq!(held_by(&ledger, &wants(&two, 1000 + LEASE_MILLIS - 1)), first);
    // Environments have nothing to do with one another.
    given(&ledger, &Claim { environment: "other", ..wants(&two, 1000) });
    ledger.renew("box", Epoch(1), 90_000).unwrap();
    assert_eq!(held_by(&ledger, &wants(&two, 89_999)).run, Some(one.clone()));
    // It did not renew it: stopped, or cut off. Whoever comes gets it, and it is told by whom.
    let second = given(&ledger, &wants(&two, 90_000));
    assert_eq!(second.epoch, Epoch(2));
    let late = ledger.renew("box", Epoch(1), 200_000).unwrap_err();
    assert_eq!(late.to_string(), format!("the lock of box was taken over by run {two} of ada@desk"));
    assert_eq!(ledger.lease("box").unwrap().unwrap(), second);
    // Giving back what is no longer one's own changes nothing.
    ledger.give_back("box", Epoch(1)).unwrap();
    assert!(ledger.lease("box").unwrap().unwrap().is_held(100_000));
    ledger.give_back("box", Epoch(2)).unwrap();
    assert_eq!(given(&ledger, &wants(&one, 90_001)).epoch, Epoch(3));
}

#[test]
fn a_holder_that_is_known_to_be_dead_keeps_nobody_away() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = open(directory.path());
    let (one, two) = (fresh_id(), fresh_id());
    given(&ledger, &wants(&one, 0));
    let proof = Some(Epoch(1));
    // From another machine, or of another holder, it proves nothing.
    held_by(&ledger, &Claim { dead: proof, machine: "desk/boot-2", ..wants(&two, 1) });
    held_by(&ledger, &Claim { dead: Some(Epoch(0)), ..wants(&two, 1) });
    held_by(&ledger, &wants(&two, 1));
    assert_eq!(given(&ledger, &Claim { dead: proof, ..wants(&two, 1) }).epoch, Epoch(2));
    held_by(&ledger, &Claim { dead: proof, ..wants(&one, 1) });
}

#[test]
fn who_lost_the_lock_appends_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = old(directory.path());
    let (run, record) = open_run(&ledger);
    let lease = given(&ledger, &Claim { intent: Intent::End, ..wants(&run, 0) });
    let taken = ledger.take_over("box", "eve@laptop", "it hangs", 5).unwrap();
    assert_eq!(taken, Some(lease.clone()));
    let before = ledger.links(&run).unwrap();
    let refused = ledger.append_as("box", lease.epoch, &run, std::slice::from_ref(&record)).unwrap_err();
    assert!(matches!(refused, LedgerError::Fenced { .. }), "{refused}");
    assert_eq!(refused.to_string(), "the lock of box was taken over by eve@laptop (it hangs)");
    assert_eq!(ledger.links(&run).unwrap(), before);
    // It is free for the next one, who is neither of them; and who lost it hears of the one who took it, whoever has it now.
    let next = given(&ledger, &Claim { intent: Intent::End, ..wants(&run, 6) });
    assert_eq!(next.epoch, Epoch(3));
    let refused = ledger.append_as("box", lease.epoch, &run, std::slice::from_ref(&record)).unwrap_err();
    assert!(refused.to_string().contains("eve@laptop (it hangs)"), "{refused}");
    ledger.append_as("box", next.epoch, &run, &[record]).unwrap();
    assert_eq!(ledger.links(&run).unwrap().len(), before.len() + 1);
    ledger.give_back("box", next.epoch).unwrap();
    assert_eq!(ledger.take_over("box", "eve@laptop", "again", 7).unwrap(), None, "nobody has it");
}

#[test]
fn a_lock_stands_against_all_and_a_freeze_against_what_is_new() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = open(directory.path());
    let run = fresh_id();
    let end = |at| Claim { intent: Intent::End, ..wants(&run, at) };
    let hold = |kind, environment: Option<&str>, until| Hold {
        kind,
        environment: environment.map(ToOwned::to_owned),
        by: "eve@laptop".to_owned(),
        reason: "the audit".to_owned(),
        since: 0,
        until,
    };
    let stands = |claim: &Claim<'_>, hold: &Hold| match ledger.claim(claim).unwrap() {
        Err(Refusal::Set(found)) => assert_eq!(found, *hold),
        other => panic!("{other:?}"),
    };
    let frozen = hold(HoldKind::Freeze, None, Some(50));
    ledger.set(&frozen).unwrap();
    stands(&wants(&run, 49), &frozen);
    let lease = given(&ledger, &end(1));
    ledger.give_back("box", lease.epoch).unwrap();
    let locked = hold(HoldKind::Lock, Some("box"), None);
    ledger.set(&locked).unwrap();
    // The lock is named first: it stands against more.
    stands(&wants(&run, 1), &locked);
    stands(&end(1), &locked);
    given(&ledger, &Claim { environment: "other", ..end(1) });
    assert_eq!(
        (ledger.lift(HoldKind::Lock, Some("other")).unwrap(), ledger.lift(HoldKind::Lock, Some("box")).unwrap()),
        (false, true)
    );
    stands(&wants(&run, 2), &frozen);
    // It ends by itself.
    given(&ledger, &wants(&run, 50));
}

#[test]
fn a_tenure_is_held_while_it_lives_and_stops_what_waits_once_it_is_lost() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = old(directory.path());
    let (run, record) = open_run(&ledger);
    let time = Arc::new(AtomicI64::new(0));
    let clock = {
        let time = time.clone();
        Arc::new(move || time.load(Ordering::SeqCst))
    };
    let lease = given(&ledger, &Claim { intent: Intent::End, ..wants(&run, 0) });
    let tenure = Tenure::begin(ledger.clone(), "box", &lease, clock.clone()).unwrap();
    assert_eq!((tenure.fence().epoch, tenure.fence().lock.to_string()), (Epoch(1), format!("{}.box", ledger.name().unwrap())));
    time.store(20_000, Ordering::SeqCst);
    tenure.renew().unwrap();
    held_by(&ledger, &wants(&run, 20_000 + LEASE_MILLIS - 1));
    let (theirs, stop) = (tenure.ledger(), Stop::default());
    tenure.stops(stop.clone());
    theirs.append(&run, std::slice::from_ref(&record)).unwrap();
    theirs.check().unwrap();
    assert!(!stop.is_stopped());
    ledger.take_over("box", "eve@laptop", "it hangs", 20_001).unwrap();
    let next = Record { seq: record.seq + 1, ..record };
    assert!(matches!(theirs.append(&run, &[next]), Err(LedgerError::Fenced { .. })));
    assert!(matches!(tenure.renew(), Err(LedgerError::Fenced { .. })));
    assert!(stop.is_stopped());
    drop(tenure);
    // The next one's ends with its value.
    let lease = given(&ledger, &Claim { intent: Intent::End, ..wants(&run, 20_002) });
    let tenure = Tenure::begin(ledger.clone(), "box", &lease, clock).unwrap();
    held_by(&ledger, &wants(&run, 20_003));
    drop(tenure);
    given(&ledger, &wants(&run, 20_003));
}

/// What may happen around a lock.
#[derive(Debug, Clone)]
enum Happens {
    Claim { who: usize, proof: bool },
    Renew { who: usize },
    GiveBack { who: usize },
    TakeOver,
    Time(i64),
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        4 => (0..3_usize, any::<bool>()).prop_map(|(who, proof)| Happens::Claim { who, proof }),
        2 => (0..3_usize).prop_map(|who| Happens::Renew { who }),
        1 => (0..3_usize).prop_map(|who| Happens::GiveBack { who }),
        1 => Just(Happens::TakeOver),
        3 => (1..LEASE_MILLIS).prop_map(Happens::Time),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_one_at_most_may_append(story in prop::collection::vec(happens(), 1..24)) {
        let directory = tempfile::tempdir().unwrap();
        let ledger = open(directory.path());
        let runs: Vec<RunId> = (0..3).map(|_| fresh_id()).collect();
        let mut epochs: [Option<Epoch>; 3] = [None; 3];
        let (mut at, mut last) = (0, Epoch(0));
        for what in story {
            match what {
                Happens::Time(millis) => at += millis,
                Happens::Renew { who } => {
                    let Some(epoch) = epochs[who] else { continue };
                    let renewed = ledger.renew("box", epoch, at + LEASE_MILLIS);
                    prop_assert_eq!(renewed.is_ok(), epoch == last);
                }
                Happens::GiveBack { who } => if let Some(epoch) = epochs[who].take() { ledger.give_back("box", epoch).unwrap() },
                Happens::TakeOver => if ledger.take_over("box", "eve@laptop", "so", at).unwrap().is_some() { last = last.next() },
                Happens::Claim { who, proof } => {
                    let before = ledger.lease("box").unwrap();
                    let dead = before.as_ref().filter(|_| proof).map(|lease| lease.epoch);
                    let claim = Claim { dead, ..wants(&runs[who], at) };
                    let wanted = judge(before.as_ref(), &[], &claim);
                    let got = ledger.claim(&claim).unwrap();
                    prop_assert_eq!(got.as_ref().map(|lease| lease.epoch).map_err(Clone::clone), wanted);
                    if let Ok(lease) = got {
                        prop_assert_eq!(lease.epoch, last.next());
                        (last, epochs[who]) = (lease.epoch, Some(lease.epoch));
                    }
                }
            }
            let may: Vec<usize> = (0..3).filter(|who| {
                epochs[*who].is_some_and(|epoch| ledger.append_as("box", epoch, &runs[*who], &[]).is_ok())
            }).collect();
            prop_assert!(may.len() <= 1, "{:?} may append", may);
            prop_assert!(may.iter().all(|who| epochs[*who] == Some(last)));
        }
    }
}

/// A run on this ledger, which has begun, and its first records.
pub(crate) fn begun(ledger: &SqliteLedger, stored: &StoredRun) -> RunId {
    let id = fresh_id();
    ledger.begin(&id, stored, "ada@desk", 0).unwrap();
    let info = StartInfo { environment: "box".into(), script: "s".into(), bundle: stored.bundle_digest(), by: "ada@desk".into() };
    let phase = |why: &str| Entry::phase(RunPhase::Interrupted, why);
    let entries = [Entry::RunStarted { info }, phase("one"), phase("two"), phase("three")];
    let records: Vec<Record> =
        (1..).zip(entries).map(|(seq, entry)| Record { version: RECORD_VERSION, seq, at: 1, entry }).collect();
    ledger.append(&id, &records).unwrap();
    id
}

/// What the program says with these words, and its exit code.
fn said(world: &World, words: &[&str]) -> (Option<i32>, String) {
    let output = windlass(world, words);
    (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

fn is(got: &(Option<i32>, String), code: i32, texts: &[&str]) {
    assert_eq!(got.0, Some(code), "{}", got.1);
    texts.iter().for_each(|text| assert!(got.1.contains(text), "it does not say `{text}`: {}", got.1));
}

#[test]
fn the_lock_of_a_production_environment_is_taken_over_by_who_says_so() {
    let world = crash::world();
    let file = world.root().join("environments/box.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("single-box", "production")).unwrap();
    let dir = format!("dir={}", world.dir.display());
    let run = ["run", "--yes", "-e", "box", "--set", &dir];
    let ledger = open(&world.root().join(".windlass"));
    let there = fresh_id();
    // On another machine, which says nothing any more.
    let at = i64::MAX - LEASE_MILLIS;
    let claim = Claim { holder: "bob@far", machine: "far/boot", at, ..wants(&there, 0) };
    given(&ledger, &claim);
    let help = "windlass unlock -e box --take-over --reason TEXT";
    is(&said(&world, &run), 6, &[there.as_str(), "bob@far", help]);
    let status = said(&world, &["status", "--format", "json"]);
    let status: serde_json::Value = serde_json::from_str(&status.1).unwrap();
    assert_eq!((&status["lease"]["held"]["holder"], &status["busy"]), (&"bob@far".into(), &true.into()), "{status}");
    assert_eq!(status["lease"]["next"], help);
    is(&said(&world, &["status"]), 0, &["bob@far has the lock since", help]);
    let take_over = ["unlock", "-e", "box", "--take-over", "--reason", "the machine burnt"];
    is(&said(&world, &take_over), 6, &["box is a production environment", "bob@far", "--yes"]);
    is(&said(&world, &run), 6, &["bob@far"]);
    is(&said(&world, &[&take_over[..], &["--yes"]].concat()), 0, &["bob@far"]);
    is(&said(&world, &run), 0, &["succeeded"]);
    is(&said(&world, &take_over), 0, &["nobody holds the lock of box"]);
    let lost = ledger.append_as("box", Epoch(1), &there, &[]).unwrap_err().to_string();
    assert!(lost.contains("laws@") && lost.contains("(the machine burnt)"), "{lost}");
}
