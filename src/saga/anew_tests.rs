//! Services that are looked at once files are back.

use super::tests::{Journal, file, key, service};
use super::*;
use crate::journal::Entry;
use crate::step::{ErrorKind, StepError};
use serde_json::json;

/// What is resumed, and which services with it, a line each.
fn resumed(work: &[Work]) -> Vec<String> {
    let one = |work: &Work| match work {
        Work::Do { key, at, action: Action::Effect(Effect::Resume { units, .. }), .. } => {
            let units: Vec<&str> = units.iter().map(|unit| unit.name.as_str()).collect();
            vec![format!("{key} {at}: {}", units.join(" "))]
        }
        Work::Fork { batches, .. } => batches.iter().flatten().flat_map(|(_, _, work)| resumed(work)).collect(),
        _ => Vec::new(),
    };
    work.iter().flat_map(one).collect()
}

#[test]
fn services_that_a_run_did_not_come_to_are_looked_at_once_files_are_back() {
    let at = |host: &str, n: u32| format!("main/1.rolling/{host}#{n}");
    let acts = |journal: Journal, at: &str| {
        let mut journal = journal.step_of("service.restart", at, &[service(at)]);
        for entry in journal.0.iter_mut().rev() {
            if let Entry::Started { command, .. } = entry {
                command.args = json!({ "unit": { "name": "web", "scope": "system" } });
                command.user = Some("root".into());
                break;
            }
        }
        journal
    };
    let mut journal = Journal::new().fork("main#1", &[&["a"], &["b"]]);
    journal = acts(journal.step(&at("a", 1), &[file(&at("a", 1))]), &at("a", 2));
    let before = held(&journal.state(), 0);
    // At a it was come to; at b, its task ended between the file and the restart.
    let journal = journal.step(&at("b", 1), &[file(&at("b", 1))]).step(&at("b", 2), &[file(&at("b", 2))]);
    let wanted = ["main/1.rolling/b#1 b (as root): web", "main/1.rolling/a#2 a (as root): web"];
    assert_eq!(resumed(&unwind(&journal.state(), &[])), wanted);
    // Of a host on its own only a run before tells, where it was lost.
    let mut alone = Journal::new().step("main/1.rolling/a#1", &[file(&at("a", 1))]);
    assert_eq!(resumed(&unwind_all(&alone, &before)), [""; 0]);
    alone.0.truncate(3);
    alone.0.push(Entry::Failed { key: key(&at("a", 1)), error: StepError::new(ErrorKind::Lost, "gone"), millis: 0 });
    assert_eq!(resumed(&unwind_all(&alone, &before)), ["main/1.rolling/a#1 a (as root): web"]);
}

fn unwind_all(journal: &Journal, before: &[Before]) -> Vec<Work> {
    task(&journal.state(), before, &TaskPath::main().child(1, "rolling", "a"))
}

#[test]
fn a_service_that_was_to_be_restarted_is_looked_at_where_files_were_changed() {
    let restart = |mut journal: Journal| {
        journal = journal.step_of("service.restart", "main#2", &[service("main#2")]).on("a");
        for entry in &mut journal.0 {
            if let Entry::Started { command, .. } = entry
                && command.op == "service.restart"
            {
                command.args = json!({ "unit": { "name": "web", "scope": "system" } });
            }
        }
        journal.0.pop();
        let error = StepError::new(ErrorKind::Unreachable, "gone");
        journal.0.push(Entry::Failed { key: key("main#2"), error, millis: 0 });
        journal
    };
    let journal = restart(Journal::new().step("main#1", &[file("main#1")]).on("a"));
    assert_eq!(resumed(&unwind(&journal.state(), &[])), ["main#2 a: web"]);
    assert_eq!(journal.work(), ["restore main#1", "resume main#2", "well main#2"]);
    // Where nothing was changed, nothing that was started since is ours.
    let journal = restart(Journal::new().step("main#1", &[file("main#1")]).on("b"));
    assert_eq!(journal.work(), ["restore main#1"]);
}

#[test]
fn a_service_is_looked_at_again_once_the_last_file_of_its_host_is_back() {
    let restart_of = |unit: &str, mut journal: Journal, at: &str, host: &str| {
        journal = journal.step_of("service.restart", at, &[service(at)]).on(host);
        for entry in journal.0.iter_mut().rev() {
            if let Entry::Started { command, .. } = entry {
                command.args = json!({ "unit": { "name": unit, "scope": "system" } });
                break;
            }
        }
        journal
    };
    let restart = |journal: Journal, at: &str, host: &str| restart_of("web", journal, at, host);
    // A file of the balancer, which the tasks of other hosts restart.
    let at = "main/2.rolling/a#1";
    let journal = restart(Journal::new().step("main#1", &[file("main#1")]).on("lb").fork("main#2", &[&["a"]]), at, "lb");
    assert_eq!(resumed(&unwind(&journal.state(), &[])), ["main/2.rolling/a#1 lb: web", "main#1 lb: web"]);
    // One that an `attempt` has restarted before the file came back.
    let journal = restart(Journal::new().step("main#1", &[file("main#1")]).on("a"), "main#2", "a");
    assert_eq!(resumed(&unwind(&journal.state(), &[])), ["main#2 a: web"]);
    let journal = journal.undone("main#2", 1, Part::Restore).undone("main#2", 1, Part::Follow);
    assert_eq!(resumed(&unwind(&journal.state(), &[])), ["main#1 a: web"]);
    let journal = journal.undone("main#2", 1, Part::Health);
    assert_eq!(journal.work(), ["restore main#1", "resume main#1", "well main#1"]);
    // Of several, those are to be up that the `attempt` made run again; of another one, it is not known that it ran.
    let mut journal = restart_of("new", journal, "main#3", "a").undone("main#3", 1, Part::Restore);
    journal.0.push(Entry::UndoStarted { key: key("main#3"), n: 1, part: Part::Follow });
    journal.0.push(Entry::Undone { key: key("main#3"), n: 1, part: Part::Follow, changed: false });
    assert_eq!(resumed(&unwind(&journal.state(), &[])), ["main#1 a: web new"]);
    let looks = unwind(&journal.state(), &[]).into_iter().filter_map(|work| match work {
        Work::Do { action: Action::Health { checks, .. }, .. } => Some(checks),
        _ => None,
    });
    let names: Vec<_> = looks.flatten().map(|held| held.args["name"].clone()).collect();
    assert_eq!(names, ["web"]);
}

#[test]
fn what_runs_again_does_so_behind_the_restart_of_its_host() {
    let reboot = Compensation::Reboot { of: key("main#3").save(1), within_millis: 1000, message: None };
    let journal = Journal::new().step("main#1", &[file("main#1")]).on("a");
    let journal = journal.step_of("service.restart", "main#2", &[service("main#2")]).on("a");
    let journal = journal.step_of("reboot", "main#3", &[reboot]).on("a").step("main#4", &[file("main#4")]).on("a");
    // In the order in which they were done, the service would be started, and ended again by the restart.
    assert_eq!(journal.work(), ["restore main#4", "restore main#2", "restore main#1", "other main#3", "resume main#2"]);
}
