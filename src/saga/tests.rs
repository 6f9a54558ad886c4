use super::*;
use crate::effect::{Invocation, Words};
use crate::id::Digest;
use crate::journal::{Entry, RECORD_VERSION, Record, StartInfo, WhenHalted};
use crate::step::{Command, ErrorKind, Outcome, Site, StepError};
use serde_json::{Value, json};

/// A journal as a list of entries; hosts are told by the leaf of a task.
#[derive(Default)]
pub(super) struct Journal(pub(super) Vec<Entry>);

pub(super) fn key(text: &str) -> StepKey {
    StepKey::parse(text).unwrap()
}

impl Journal {
    pub(super) fn new() -> Self {
        let info = StartInfo { environment: "e".into(), script: "s".into(), bundle: Digest::of(b""), by: "me".into() };
        Self(vec![Entry::RunStarted { info }])
    }

    pub(super) fn step(self, at: &str, undos: &[Compensation]) -> Self {
        self.step_of("x", at, undos)
    }

    pub(super) fn step_of(mut self, op: &str, at: &str, undos: &[Compensation]) -> Self {
        let key = key(at);
        let host = HostName::parse(key.task.leaf()).unwrap();
        let command = Command { op: op.into(), host, user: None, args: json!({}), site: Site::default() };
        self.0.push(Entry::Started { key: key.clone(), command, summary: String::new() });
        for (n, undo) in (1..).zip(undos) {
            self.0.push(Entry::compensation(key.clone(), n, undo.clone()));
        }
        self.0.push(Entry::Succeeded { key, output: Value::Null, outcome: Outcome::Changed, millis: 0, diff: None });
        self
    }

    fn enter(mut self, at: &str) -> Self {
        self.0.push(Entry::GroupEntered { key: key(at), group: Group::Step { name: at.into() } });
        self
    }

    /// The last step is one on this host.
    pub(super) fn on(mut self, host: &str) -> Self {
        let started = self
            .0
            .iter_mut()
            .rev()
            .find_map(|entry| if let Entry::Started { command, .. } = entry { Some(command) } else { None });
        started.unwrap().host = HostName::parse(host).unwrap();
        self
    }

    /// A bracket that is open.
    fn bracket(mut self, at: &str) -> Self {
        let (key, name) = (key(at), at.to_owned());
        self.0.push(Entry::GroupEntered { key: key.clone(), group: Group::Bracket { name: name.clone() } });
        self.0.push(Entry::ObligationOpened { key: key.clone(), name, when_halted: WhenHalted::Leave });
        self.0.push(Entry::ObligationHeld { key });
        self
    }

    /// A bracket that is closed again.
    fn closed(mut self, at: &str) -> Self {
        self.0.push(Entry::ObligationDischarged { key: key(at) });
        self.leave(at)
    }

    fn leave(mut self, at: &str) -> Self {
        self.0.push(Entry::GroupLeft { key: key(at), failed: false, missed: Vec::new() });
        self
    }

    pub(super) fn fork(mut self, at: &str, batches: &[&[&str]]) -> Self {
        let hosts = |names: &&[&str]| names.iter().map(|name| HostName::parse(name).unwrap()).collect();
        let group = Group::Fork { word: "rolling".into(), batches: batches.iter().map(hosts).collect() };
        self.0.push(Entry::GroupEntered { key: key(at), group });
        self
    }

    pub(super) fn undone(mut self, at: &str, n: u32, part: Part) -> Self {
        self.0.push(Entry::UndoStarted { key: key(at), n, part });
        self.0.push(Entry::Undone { key: key(at), n, part, changed: true });
        self
    }

    fn failed(mut self, at: &str, n: u32, part: Part, kind: ErrorKind) -> Self {
        self.0.push(Entry::UndoStarted { key: key(at), n, part });
        self.0.push(Entry::UndoFailed { key: key(at), n, part, error: StepError::new(kind, "no") });
        self
    }

    pub(super) fn state(&self) -> RunState {
        let record = |(seq, entry): (u64, &Entry)| Record { version: RECORD_VERSION, seq, at: 0, entry: entry.clone() };
        let records: Vec<Record> = (1..).zip(&self.0).map(record).collect();
        RunState::read(&records).unwrap()
    }

    /// What is left to undo, a line each.
    pub(super) fn work(&self) -> Vec<String> {
        told(&unwind(&self.state(), &[]))
    }
}

fn told(work: &[Work]) -> Vec<String> {
    work.iter().flat_map(lines).collect()
}

fn lines(work: &Work) -> Vec<String> {
    match work {
        Work::Do { key, action, .. } => {
            let what = match action {
                Action::Effect(Effect::Restore { .. }) => "restore",
                Action::Effect(Effect::Resume { .. }) => "resume",
                Action::Effect(Effect::Exec { .. }) => "run",
                Action::Effect(_) => "other",
                Action::Health { .. } => "well",
                Action::Closure { .. } => "closure",
            };
            vec![format!("{what} {}#{}", key.task.leaf(), key.n)]
        }
        Work::Fork { batches, .. } => {
            let batch = |batch: &Vec<(TaskPath, HostName, Vec<Work>)>| {
                let hosts: Vec<String> =
                    batch.iter().map(|(_, host, work)| format!("{host}: {}", told(work).join(", "))).collect();
                format!("[{}]", hosts.join(" | "))
            };
            batches.iter().map(batch).collect()
        }
        Work::Bracket { key, side } => vec![format!("{} {}#{}", side.word(), key.task.leaf(), key.n)],
    }
}

pub(super) fn file(at: &str) -> Compensation {
    Compensation::Restore { save: key(at).save(1) }
}

pub(super) fn service(at: &str) -> Compensation {
    Compensation::RestoreService { save: key(at).save(1) }
}

fn command() -> Invocation {
    let words = Words::Shell("true".into());
    Invocation { words, directory: None, environment: [].into(), stdin: None, timeout_seconds: None }
}

fn undo(at: &str) -> Compensation {
    Compensation::Command { command: command(), of: Some(key(at).save(1)) }
}

fn check(url: &str) -> Compensation {
    Compensation::Check { op: "expect_http".into(), args: json!({ "url": url }) }
}

#[test]
fn a_guard_is_ended_before_its_block_is_undone() {
    let journal = Journal::new().step("main#1", &[file("main#1")]).step_of(GuardArm::WORD, "main#2", &[file("main#2")]);
    let journal = journal.step("main#3", &[file("main#3")]).step("main#4", &[service("main#4")]);
    let work = ["restore main#2", "restore main#4", "restore main#3", "restore main#1", "resume main#4"];
    assert_eq!(journal.work(), work);
    assert_eq!(journal.undone("main#2", 1, Part::Restore).work(), work[1..]);
}

#[test]
fn nothing_was_changed() {
    assert!(Journal::new().work().is_empty());
    assert!(Journal::new().step("main#1", &[]).enter("main#2").leave("main#2").work().is_empty());
}

#[test]
fn steps_are_undone_in_reverse() {
    let journal = Journal::new().step("main#1", &[file("main#1")]).step("main#2", &[]).step("main#3", &[file("main#3")]);
    assert_eq!(journal.work(), ["restore main#3", "restore main#1"]);
}

#[test]
fn several_compensations_of_a_step_are_undone_in_reverse() {
    let work = unwind(&Journal::new().step("main#1", &[file("main#1"), file("main#2")]).state(), &[]);
    let numbers = work.iter().map(|work| match work {
        Work::Do { n, .. } => *n,
        Work::Fork { .. } | Work::Bracket { .. } => 0,
    });
    assert_eq!(numbers.collect::<Vec<_>>(), [2, 1]);
}

#[test]
fn a_step_without_an_end_is_undone_too() {
    let mut journal = Journal::new().step("main#1", &[file("main#1")]);
    journal.0.pop();
    assert_eq!(journal.work(), ["restore main#1"]);
}

#[test]
fn closures_stand_where_they_were_declared() {
    let closure = Compensation::Closure { name: "c".into() };
    let journal = Journal::new().step("main#1", &[file("main#1")]).step("main#2", &[closure]).step("main#3", &[file("main#3")]);
    assert_eq!(journal.work(), ["restore main#3", "closure main#2", "restore main#1"]);
}

#[test]
fn restarts_follow_forward_once_the_files_are_back() {
    let journal = Journal::new()
        .step("main#1", &[file("main#1")])
        .step("main#2", &[service("main#2")])
        .step("main#3", &[check("a")])
        .step("main#4", &[service("main#4")])
        .step("main#5", &[Compensation::Again { command: command(), of: Some(key("main#5").save(1)) }])
        .step("main#6", &[undo("main#6")]);
    let wanted =
        ["run main#6", "restore main#4", "restore main#2", "restore main#1", "resume main#2", "resume main#4", "run main#5"];
    assert_eq!(journal.work(), wanted);
}

#[test]
fn what_follows_in_nested_groups_waits_for_the_files_of_the_task() {
    let journal = Journal::new()
        .step("main#1", &[file("main#1")])
        .enter("main#2")
        .step("main#3", &[file("main#3")])
        .enter("main#4")
        .step("main#5", &[service("main#5")])
        .step("main#6", &[check("a")])
        .leave("main#4")
        .leave("main#2")
        .step("main#7", &[service("main#7")]);
    let wanted = ["restore main#7", "restore main#5", "restore main#3", "restore main#1", "resume main#5", "resume main#7"];
    assert_eq!(journal.work(), wanted);
}

#[test]
fn batches_are_undone_in_reverse_and_each_task_on_its_own() {
    let at = |host: &str, n: u32| format!("main/2.rolling/{host}#{n}");
    let mut journal = Journal::new().step("main#1", &[file("main#1")]).fork("main#2", &[&["a"], &["b", "c"]]);
    for host in ["a", "b", "c"] {
        journal = journal.step(&at(host, 1), &[file("main#9")]).step(&at(host, 2), &[service("main#9")]);
    }
    let journal = journal.leave("main#2").step("main#3", &[service("main#3")]);
    let host = |host: &str| format!("{host}: restore {host}#2, restore {host}#1, resume {host}#2");
    let wanted = [
        "restore main#3".to_owned(),
        format!("[{} | {}]", host("b"), host("c")),
        format!("[{}]", host("a")),
        "restore main#1".to_owned(),
        "resume main#3".to_owned(),
    ];
    assert_eq!(journal.work(), wanted);
}

#[test]
fn hosts_and_batches_with_nothing_to_undo_are_left_out() {
    let journal = Journal::new()
        .fork("main#1", &[&["a"], &["b", "c"], &["d"]])
        .step("main/1.rolling/a#1", &[])
        .step("main/1.rolling/c#1", &[file("main#9")]);
    assert_eq!(journal.work(), ["[c: restore c#1]"]);
}

#[test]
fn one_task_is_undone_without_the_others() {
    let journal = Journal::new()
        .step("main#1", &[file("main#1")])
        .fork("main#2", &[&["a", "b"]])
        .step("main/2.rolling/a#1", &[file("main#9")])
        .step("main/2.rolling/b#1", &[file("main#9")]);
    let path = TaskPath::main().child(2, "rolling", "b");
    assert_eq!(told(&task(&journal.state(), &[], &path)), ["restore b#1"]);
}

#[test]
fn parts_that_are_done_are_left_out_and_failed_ones_are_not() {
    let journal = Journal::new()
        .step("main#1", &[file("main#1")])
        .step("main#2", &[service("main#2")])
        .step("main#3", &[file("main#3")])
        .undone("main#3", 1, Part::Restore)
        .undone("main#2", 1, Part::Restore)
        .failed("main#1", 1, Part::Restore, ErrorKind::Failed);
    assert_eq!(journal.work(), ["restore main#1", "resume main#2"]);
    assert!(journal.undone("main#1", 1, Part::Restore).undone("main#2", 1, Part::Follow).work().is_empty());
}

/// Restarts a service of a host, and then holds these URLs.
fn restarted(journal: Journal, at: &str, unit: &str, urls: &[&str]) -> Journal {
    let n = key(at).n;
    let next = |more: usize| format!("{}#{}", key(at).task, n as usize + more);
    let mut journal = journal.step_of("service.restart", at, &[service(at)]);
    let started = journal.0.iter_mut().rev().find_map(|entry| match entry {
        Entry::Started { command, .. } => Some(command),
        _ => None,
    });
    started.unwrap().args = json!({ "unit": { "name": unit, "scope": "system" } });
    for (more, url) in (1..).zip(urls) {
        journal = journal.step_of("expect_http", &next(more), &[check(url)]);
    }
    journal
}

/// What is held again while a run is undone, a line each.
fn healths(work: &[Work]) -> Vec<String> {
    let one = |work: &Work| match work {
        Work::Do { action: Action::Health { checks, .. }, .. } => {
            let what = |check: &HeldCheck| {
                format!("{} {}", check.op, check.args["url"].as_str().unwrap_or(check.args["name"].as_str().unwrap_or_default()))
            };
            vec![checks.iter().map(what).collect::<Vec<_>>().join(", ")]
        }
        Work::Fork { batches, .. } => batches.iter().flatten().flat_map(|(.., work)| healths(work)).collect(),
        _ => Vec::new(),
    };
    work.iter().flat_map(one).collect()
}

#[test]
fn what_the_run_before_held_is_held_again_and_nothing_of_the_new_version() {
    let mut before = restarted(Journal::new(), "main#1", "web", &["old", "twice", "old"]);
    before = restarted(before, "main#5", "front.service", &["front"]);
    let before = held(&before.state(), 0);
    let now = restarted(Journal::new(), "main#1", "web", &["new"]);
    let work = unwind(&now.state(), &before);
    assert_eq!(told(&work), ["restore main#1", "resume main#1", "well main#1"]);
    assert_eq!(healths(&work), ["expect_http twice, expect_http old"]);
    // Another service of the host is none of its business.
    let now = restarted(Journal::new(), "main#1", "front", &[]);
    assert_eq!(healths(&unwind(&now.state(), &before)), ["expect_http front"]);
    // Once it is on record that it held, it is not looked at again.
    let now = now.undone("main#1", 1, Part::Restore).undone("main#1", 1, Part::Follow).undone("main#1", 1, Part::Health);
    assert!(now.work().is_empty());
}

#[test]
fn without_a_record_of_before_a_service_must_be_up() {
    let now = restarted(Journal::new(), "main#1", "web", &["new"]);
    assert_eq!(healths(&unwind(&now.state(), &[])), ["expect_unit web"]);
    // A run that restarted it and held nothing is newer than one that held something.
    let newer = held(&restarted(Journal::new(), "main#1", "web", &[]).state(), 0);
    let older = held(&restarted(Journal::new(), "main#1", "web", &["older"]).state(), 1);
    assert_eq!(healths(&unwind(&now.state(), &[newer, older].concat())), ["expect_unit web"]);
    // Nor does what a command repeats, or a start at boot.
    let again = Compensation::Again { command: command(), of: Some(key("main#2").save(1)) };
    let now = Journal::new().step("main#2", &[again]).step("main#3", &[check("new")]);
    assert_eq!(now.work(), ["run main#2"]);
}

#[test]
fn an_attempt_is_not_held_to_what_was_before_while_the_rest_of_the_run_stands() {
    let before = held(&restarted(Journal::new(), "main#1", "web", &["old"]).state(), 0);
    let attempted = |journal: Journal| restarted(journal.enter("main#2"), "main#3", "web", &[]);
    let alone = attempted(Journal::new()).state();
    assert_eq!(healths(&group(&alone, &before, &key("main#2"))), ["expect_http old"]);
    let stands = Compensation::Restore { save: key("main#1").save(1) };
    let behind = attempted(Journal::new().step("main#1", std::slice::from_ref(&stands))).state();
    assert_eq!(healths(&group(&behind, &before, &key("main#2"))), ["expect_unit web"]);
    assert_eq!(healths(&unwind(&behind, &before)), ["expect_http old"]);
    // What an attempt before left is undone, and so is nothing of this run.
    let undone = Journal::new().step("main#1", &[stands]).undone("main#1", 1, Part::Restore);
    assert_eq!(healths(&group(&attempted(undone).state(), &before, &key("main#2"))), ["expect_http old"]);
}

#[test]
fn a_check_is_held_for_the_service_that_it_names_or_that_was_acted_on_before() {
    let named = Compensation::Check { op: "expect_http".into(), args: json!({ "url": "named", "unit": "web" }) };
    let mut before = restarted(Journal::new(), "main#1", "web", &[]);
    before = restarted(before, "main#2", "front", &["front"]).step_of("expect_http", "main#4", &[named]);
    let before = held(&before.state(), 0);
    let units: Vec<_> = before.iter().map(|one| (one.unit.as_ref().map(|unit| unit.name.as_str()), one.checks.len())).collect();
    assert_eq!(units, [(Some("front"), 1), (Some("web"), 1)]);
    // A run that found nothing to restart held it for the host: it is the newest that is known.
    let idle = held(&Journal::new().step_of("expect_http", "main#1", &[check("idle")]).state(), 0);
    let older = held(&restarted(Journal::new(), "main#1", "web", &["older"]).state(), 1);
    let now = restarted(Journal::new(), "main#1", "web", &["new"]);
    assert_eq!(healths(&unwind(&now.state(), &[idle, older].concat())), ["expect_http idle"]);
}

#[test]
fn a_command_that_failed_is_a_new_one_and_one_in_doubt_is_not() {
    let receipt = |journal: &Journal| match &unwind(&journal.state(), &[])[..] {
        [Work::Do { action: Action::Effect(Effect::Exec { receipt, .. }), .. }] => receipt.clone(),
        other => panic!("{other:?}"),
    };
    let journal = Journal::new().step("main#1", &[undo("main#1")]);
    let first = receipt(&journal);
    let journal = journal.failed("main#1", 1, Part::Restore, ErrorKind::InDoubt);
    assert_eq!(receipt(&journal), first);
    let journal = journal.failed("main#1", 1, Part::Restore, ErrorKind::Failed);
    let second = receipt(&journal);
    assert_ne!(second, first);
    assert_ne!(receipt(&journal.failed("main#1", 1, Part::Restore, ErrorKind::Timeout)), second);
}

#[test]
fn a_command_is_undone_only_where_it_began() {
    let work = unwind(&Journal::new().step("main#1", &[undo("main#1")]).state(), &[]);
    let Some(Work::Do { action: Action::Effect(Effect::Exec { after, .. }), .. }) = work.first() else { panic!("{work:?}") };
    assert_eq!(*after, Some(key("main#1").save(1)));
}

#[test]
fn a_closed_bracket_is_opened_again_before_what_was_done_in_it_is_undone() {
    let journal = Journal::new()
        .step("main#1", &[file("main#1")])
        .bracket("main#2")
        .step("main#3", &[file("main#3")])
        .step("main#4", &[service("main#4")])
        .closed("main#2");
    // The service is restarted once the file before the bracket is back, too, and only then the bracket is closed.
    let wanted = ["enter main#2", "restore main#4", "restore main#3", "restore main#1", "resume main#4", "leave main#2"];
    assert_eq!(journal.work(), wanted);
}

#[test]
fn an_open_bracket_is_closed_whatever_was_done_in_it() {
    let journal = Journal::new().step("main#1", &[file("main#1")]).bracket("main#2");
    assert_eq!(journal.work(), ["restore main#1", "leave main#2"]);
    let journal = Journal::new().bracket("main#1").step("main#2", &[file("main#2")]);
    assert_eq!(journal.work(), ["restore main#2", "leave main#1"]);
    assert!(Journal::new().bracket("main#1").closed("main#1").work().is_empty());
}

#[test]
fn one_bracket_is_closed_before_the_next_one_is_opened() {
    let mut journal = Journal::new();
    for (n, host) in [(1, "a"), (4, "b")] {
        let at = |m: u32| format!("main#{}", n + m);
        journal = journal.step(&at(0), &[file(&at(0))]).on(host).bracket(&at(1));
        journal = journal.step(&at(2), &[service(&at(2))]).on(host).closed(&at(1));
    }
    let wanted = [
        "enter main#5",
        "restore main#6",
        "restore main#4",
        "resume main#6",
        "leave main#5",
        "enter main#2",
        "restore main#3",
        "restore main#1",
        "resume main#3",
        "leave main#2",
    ];
    assert_eq!(journal.work(), wanted);
}

#[test]
fn a_bracket_round_others_stays_open_until_they_are_closed() {
    let journal = Journal::new()
        .bracket("main#1")
        .bracket("main#2")
        .step("main#3", &[service("main#3")])
        .closed("main#2")
        .step("main#4", &[file("main#4")]);
    let wanted = ["restore main#4", "enter main#2", "restore main#3", "resume main#3", "leave main#2", "leave main#1"];
    assert_eq!(journal.work(), wanted);
}

#[test]
fn a_run_that_has_ended_owes_only_what_failed_and_what_is_open() {
    let mut journal = Journal::new().step("main#1", &[file("main#1")]).bracket("main#2").step("main#3", &[file("main#3")]);
    journal = journal.failed("main#3", 1, Part::Restore, ErrorKind::Unreachable);
    journal.0.push(Entry::RunEnded { state: crate::journal::RunPhase::Succeeded, exit: 4, error: None });
    assert_eq!(told(&owed(&journal.state(), &[])), ["enter main#2", "restore main#3", "leave main#2"]);
    // What was restored in it is no reason to open it once more.
    let journal = journal.undone("main#3", 1, Part::Restore);
    assert_eq!(told(&owed(&journal.state(), &[])), ["leave main#2"]);
}

#[test]
fn brackets_are_closed_in_the_mirror_of_how_they_were_opened() {
    // What was stopped before both runs again before either is closed.
    let journal = Journal::new().step("main#1", &[service("main#1")]).bracket("main#2").bracket("main#3");
    let journal = journal.step("main#4", &[file("main#4")]).closed("main#3").closed("main#2");
    let wanted =
        ["enter main#2", "enter main#3", "restore main#4", "restore main#1", "resume main#1", "leave main#3", "leave main#2"];
    assert_eq!(journal.work(), wanted);
}

#[test]
fn what_is_inside_a_bracket_is_known() {
    let at = |host: &str| format!("main/3.rolling/{host}#1");
    let journal = Journal::new().step("main#1", &[]).bracket("main#2").fork("main#3", &[&["a"], &["b"]]);
    let journal = journal.step(&at("a"), &[]).leave("main#3").closed("main#2").fork("main#4", &[&["c"]]);
    let hosts = |at: &str| inside(&journal.state(), &key(at)).iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(hosts("main#2"), ["a", "b"]);
    let journal = Journal::new().fork("main#1", &[&["a"]]).bracket("main/1.rolling/a#1");
    assert_eq!(inside(&journal.state(), &key("main/1.rolling/a#1")).len(), 1);
}

#[test]
fn a_restart_comes_after_the_last_file_of_its_host_whichever_fork_made_it() {
    let at = |fork: &str, host: &str, n: u32| format!("main/{fork}/{host}#{n}");
    let mut journal = Journal::new().step("main#1", &[file("main#1")]).on("a").fork("main#2", &[&["a", "b", "c"]]);
    for host in ["a", "b", "c"] {
        journal = journal.step(&at("2.rolling", host, 1), &[file("main#9")]);
    }
    journal = journal.leave("main#2").fork("main#3", &[&["a"], &["b"]]);
    for host in ["a", "b"] {
        journal = journal.bracket(&at("3.rolling", host, 1)).step(&at("3.rolling", host, 2), &[service("main#9")]);
        journal = journal.closed(&at("3.rolling", host, 1));
    }
    let journal = journal.leave("main#3");
    // Batch by batch, each within its bracket; what nothing follows on stays in its own fork.
    let wanted = [
        "[b: enter b#1, restore b#2, restore b#1, resume b#2, leave b#1]",
        "[a: enter a#1, restore a#2, restore a#1, restore main#1, resume a#2, leave a#1]",
        "[c: restore c#1]",
    ];
    assert_eq!(journal.work(), wanted);
    // The same where one host alone is restored.
    let path = TaskPath::main().child(3, "rolling", "b");
    let alone = ["enter b#1", "restore b#2", "restore b#1", "resume b#2", "leave b#1"];
    assert_eq!(told(&task(&journal.state(), &[], &path)), alone);
}

#[test]
fn brackets_around_one_host_wait_for_its_last_file() {
    let mut journal = Journal::new();
    for n in [1, 4] {
        let at = |m: u32| format!("main#{}", n + m);
        journal = journal.bracket(&at(0)).step(&at(1), &[file(&at(1))]).step(&at(2), &[service(&at(2))]).closed(&at(0));
    }
    let wanted = [
        "enter main#4",
        "restore main#6",
        "restore main#5",
        "enter main#1",
        "restore main#3",
        "restore main#2",
        "resume main#3",
        "resume main#6",
        "leave main#1",
        "leave main#4",
    ];
    assert_eq!(journal.work(), wanted);
}
