//! Brackets while undoing: what is around a host that is away stays open, and whoever takes the run up hears of the cause.

use crate::effects::away;
use crate::people::{project, windlass};
use crate::program::start;
use crate::world::{Ran, World, bare};
use std::path::PathBuf;
use std::sync::Arc;
use windlass::id::{HostName, RunId};
use windlass::journal::RunPhase;
use windlass::ledger::{Ledger, SqliteLedger, Standing};
use windlass::run::{Job, Outset};
use windlass::stop::Stop;

/// Two hosts, and a file that says that nobody answers for `h1`.
fn world() -> (World, PathBuf) {
    let world = World::with_hosts(2);
    let gone = world.home().join("gone");
    world.shell("echo old >h1");
    (world, gone)
}

fn read(world: &World, name: &str) -> String {
    std::fs::read_to_string(world.dir.join(name)).unwrap_or_default()
}

fn ended(ran: &Ran) -> (RunPhase, u8) {
    (ran.finish.state, ran.finish.exit)
}

/// Drains h1 through h2, and loses it in there.
fn loses(options: &str, gone: &std::path::Path, dir: &std::path::Path) -> String {
    format!(
        r#"const D = "{dir}";
rolling([host("h1")], #{{ {options} }}, |h| {{
    let note = |word| host("h2").run(`echo ${{word}} >>${{global::D}}/log`, #{{ again: "safe" }});
    bracket("h1 is drained", #{{ enter: || note.call("enter"), leave: || note.call("leave") }}, || {{
        h.write(global::D + "/h1", "new\n");
        h.run("touch {gone}", #{{ undo: "true" }});
        h.write(global::D + "/more", "new\n");
    }});
}});"#,
        dir = dir.display(),
        gone = gone.display(),
    )
}

#[test]
fn a_host_that_is_lost_in_a_bracket_stays_in_it_until_it_is_restored() {
    let (world, gone) = world();
    let ran = world.run(&loses("", &gone, &world.dir), &away("h1", &gone)).unwrap();
    assert_eq!(ended(&ran), (RunPhase::Unwound, 4), "{}", ran.error());
    let open: Vec<&str> = ran.finish.open.iter().map(|(_, name)| name.as_str()).collect();
    assert_eq!((read(&world, "log").as_str(), open), ("enter\n", vec!["h1 is drained"]));
    // As long as it is away, nothing is said to be well.
    let again = world.take_up(&ran.ledger, &ran.id, Job::Unwind, &away("h1", &gone));
    assert_eq!((ended(&again), read(&world, "log").contains("leave")), ((RunPhase::Unwound, 4), false), "{}", again.error());
    std::fs::remove_file(&gone).unwrap();
    std::fs::remove_file(world.dir.join("log")).unwrap();
    let again = world.take_up(&ran.ledger, &ran.id, Job::Unwind, &away("h1", &gone));
    assert_eq!(ended(&again), (RunPhase::Unwound, 3), "{}", again.error());
    assert_eq!((read(&world, "log").as_str(), read(&world, "h1").as_str()), ("enter\nleave\n", "old\n"));
    assert!(again.finish.open.is_empty());
}

#[test]
fn what_is_in_a_bracket_that_cannot_be_opened_again_is_left_as_it_is_until_it_can() {
    let (world, gone) = world();
    let script = format!(
        r#"const D = "{dir}";
rolling([host("h1")], #{{ }}, |h| {{
    let note = |word| host("h2").run(`echo ${{word}} >>${{global::D}}/log`, #{{ again: "safe" }});
    bracket("h1 is drained", #{{ enter: || note.call("enter"), leave: || note.call("leave") }}, || {{
        h.write(global::D + "/h1", "new\n");
        h.run(["sh", "-c", "true"], #{{ undo: `cp ${{global::D}}/h1 ${{global::D}}/seen` }});
    }});
}});
host("h1").run("touch {gone}", #{{ undo: "true" }});
fail("late");"#,
        dir = world.dir.display(),
        gone = gone.display(),
    );
    // What the script itself undoes came before, and may rest on what is in the bracket.
    let first = r#"on_undo("all of it", || host("h1").run(`cat ${D}/h1 >>${D}/undone`, #{ undo: "true" }));"#;
    let script = script.replacen("rolling(", &format!("{first}\nrolling("), 1);
    let layer = away("h2", &gone);
    let ran = world.run(&script, &layer).unwrap();
    assert_eq!(ended(&ran), (RunPhase::Unwound, 4), "{}", ran.error());
    let open: Vec<&str> = ran.finish.open.iter().map(|(_, name)| name.as_str()).collect();
    let debts: Vec<&str> = ran.finish.debts.iter().map(windlass::id::HostName::as_str).collect();
    assert_eq!((open, debts), (vec!["h1 is drained"], vec![HostName::controller().as_str(), "h1"]));
    assert_eq!(
        (read(&world, "h1").as_str(), read(&world, "seen").as_str(), read(&world, "log").as_str()),
        ("new\n", "", "enter\nleave\n")
    );
    let records = ran.ledger.records(&ran.id).unwrap();
    let state = windlass::journal::RunState::read(&records).unwrap();
    let why = state.steps.values().flat_map(|step| step.undos.values()).flat_map(|undo| undo.parts.values());
    let why: Vec<String> = why
        .filter_map(|part| match part {
            windlass::journal::UndoStatus::Failed(error) => Some(error.message.clone()),
            _ => None,
        })
        .collect();
    let wanted =
        "h1 is left as it is: \"h1 is drained\", which is around it, could not be opened again (h2 could not be reached)";
    assert!(why.len() == 3 && why.iter().all(|why| why == wanted), "{why:?}");
    assert_eq!(read(&world, "undone"), "");
    // As long as nobody opens it, nothing is touched.
    let again = world.take_up(&ran.ledger, &ran.id, Job::Unwind, &layer);
    assert_eq!((ended(&again), read(&world, "h1").as_str()), ((RunPhase::Unwound, 4), "new\n"), "{}", again.error());
    std::fs::remove_file(&gone).unwrap();
    let again = world.take_up(&ran.ledger, &ran.id, Job::Unwind, &layer);
    assert_eq!(ended(&again), (RunPhase::Unwound, 3), "{}", again.error());
    assert!(again.finish.open.is_empty() && again.finish.debts.is_empty());
    let seen = (read(&world, "h1"), read(&world, "seen"), read(&world, "log"));
    assert_eq!(seen, ("old\n".into(), "new\n".into(), "enter\nleave\nenter\nleave\n".into()));
    assert_eq!(read(&world, "undone"), "old\n");
}

#[test]
fn after_a_stuck_run_the_cause_is_named_again() {
    let (world, _) = world();
    let script = format!(
        r#"const D = "{}";
let h = host("h1");
let note = |word| h.run(`echo ${{word}} >>${{global::D}}/log`, #{{ again: "safe" }});
bracket("outer", #{{ enter: || h.run(`test ! -e ${{D}}/broken`, #{{ again: "safe" }}), leave: || note.call("outer") }}, || {{
    bracket("inner", #{{ enter: || note.call("in"), leave: || note.call("out") }}, || h.write(D + "/h1", "new\n"));
}});
h.run(`touch ${{D}}/broken`, #{{ undo: "true" }});
fail("late");"#,
        world.dir.display()
    );
    let ran = world.run(&script, &bare()).unwrap();
    assert_eq!(ended(&ran), (RunPhase::Stuck, 4), "{}", ran.error());
    assert!(ran.error().contains("\"outer\" could not be opened again"), "{}", ran.error());
    let again = world.take_up(&ran.ledger, &ran.id, Job::Unwind, &bare());
    assert_eq!(ended(&again), (RunPhase::Stuck, 4), "{}", again.error());
    assert!(again.error().contains("\"outer\" could not be opened again"), "{}", again.error());
    // Once it is mended, what stood within it is found as well.
    world.shell("rm broken log");
    let again = world.take_up(&ran.ledger, &ran.id, Job::Unwind, &bare());
    assert_eq!(ended(&again), (RunPhase::Unwound, 3), "{}", again.error());
    assert_eq!((read(&world, "h1").as_str(), read(&world, "log").as_str()), ("old\n", "in\nout\nouter\n"));
}

#[test]
fn a_run_that_succeeded_without_a_host_ends_once_more_when_it_is_settled() {
    let (world, gone) = world();
    let script = format!(
        r#"const D = "{dir}";
let two = [host("h1"), host("h2")];
component("app", #{{ hosts: two, version: "2" }});
rolling(two, #{{ max_failures: 1 }}, |h| {{
    h.write(global::D + "/" + h.name, "new\n");
    if h.name == "h1" {{ h.run("touch {gone}", #{{ undo: "true" }}); }}
    h.write(global::D + "/more" + h.name, "new\n");
}});"#,
        dir = world.dir.display(),
        gone = gone.display(),
    );
    let ledger = Arc::new(SqliteLedger::open(&world.home().join("ledger.db")).unwrap());
    let id = RunId::new("20260101-1200", "law");
    let layer = away("h1", &gone);
    let runner = world.runner_on(ledger.clone(), &layer, Stop::default());
    let outset = Outset { id: id.clone(), stored: world.stored(&script).unwrap(), by: "laws@here".to_owned() };
    let finish = runner.start(&outset).unwrap();
    assert_eq!((finish.state, finish.exit), (RunPhase::Succeeded, 4), "{:?}", finish.error);
    std::fs::remove_file(&gone).unwrap();
    let finish = world.runner_on(ledger.clone(), &layer, Stop::default()).take_up(&id, Job::Unwind).unwrap();
    assert_eq!((finish.state, finish.paid), (RunPhase::Succeeded, true), "{:?}", finish.error);
    assert_eq!((read(&world, "h1").as_str(), read(&world, "h2").as_str()), ("old\n", "new\n"));
    let made = ledger.releases(None).unwrap();
    let standings: Vec<_> = made.iter().map(|release| (release.made.host.as_str(), release.made.standing)).collect();
    assert_eq!(standings, [("h1", Standing::Missed), ("h2", Standing::Live)]);
}

#[test]
fn what_is_open_behind_a_point_of_no_return_is_closed_by_settling() {
    let script = r#"let h = host("h1");
let note = |word| h.run(`echo ${word} >>~/log`, #{ again: "safe" });
bracket("maintenance", #{ enter: || note.call("enter"), leave: || note.call("leave"), when_halted: "keep" }, || {
    point_of_no_return("the old columns are gone");
    h.write("~/x", "new\n");
    fail("late");
});"#;
    let world = project(script, "", "");
    let (code, said) = windlass(&world, &["run"], &[]);
    assert!(code == 4 && said.contains("windlass settle"), "{said}");
    let log = || std::fs::read_to_string(world.home().join("log")).unwrap();
    assert_eq!(log(), "enter\n");
    let settle = || start(&world, &["settle"]).output().unwrap();
    let ended = settle();
    assert_eq!((ended.status.code(), log().as_str()), (Some(0), "enter\nleave\n"), "{ended:?}");
    // What is behind the point stays, and the environment can be changed again.
    assert_eq!(std::fs::read_to_string(world.home().join("x")).unwrap(), "new\n");
    let ended = settle();
    assert!(ended.status.success() && String::from_utf8_lossy(&ended.stderr).contains("no run owes anything"), "{ended:?}");
}
