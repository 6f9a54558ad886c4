//! What others did since the last run of this ledger: undoing asks of what they made no more than that it is there.

use crate::people::{project, windlass};
use crate::world::{World, bare};
use std::sync::Arc;
use windlass::id::RunId;
use windlass::journal::RunPhase;
use windlass::ledger::{Ledger, MemoryLedger};
use windlass::run::{Finish, Outset};
use windlass::stop::Stop;

/// Deploys a version, has it served, and looks that it is; fails then, where it is asked to.
fn deploy(world: &World, ledger: &Arc<MemoryLedger>, name: &str, version: &str, end: &str) -> Finish {
    let script = format!(
        r#"const D = "{dir}";
let h = host("local");
h.write(D + "/conf", "{version}\n");
h.run(`cp ${{D}}/conf ${{D}}/served`, #{{ again: "safe" }});
h.expect_exec(["grep", "-q", "{version}", D + "/served"], #{{ within: "100ms" }});
{end}"#,
        dir = world.dir.display()
    );
    let outset =
        Outset { id: RunId::new("20260101-1200", name), stored: world.stored(&script).unwrap(), by: "laws@here".to_owned() };
    world.runner_on(ledger.clone(), &bare(), Stop::default()).start(&outset).unwrap()
}

fn served(world: &World) -> String {
    let read = |name: &str| std::fs::read_to_string(world.dir.join(name)).unwrap_or_default();
    [read("conf"), read("served")].concat()
}

#[test]
fn what_somebody_else_deployed_since_is_not_held_to_what_this_ledger_held_before() {
    let world = World::new();
    let ledger = Arc::new(MemoryLedger::default());
    assert_eq!(deploy(&world, &ledger, "one", "1", "").exit, 0);
    // Another clone, or a person.
    world.shell("echo 2 >conf; echo 2 >served");
    let end = deploy(&world, &ledger, "two", "3", "fail(\"late\");");
    assert_eq!((end.state, end.exit), (RunPhase::Unwound, 3), "{:?} {:?}", end.error, end.stuck);
    assert_eq!(served(&world), "2\n2\n");
}

#[test]
fn where_nobody_else_was_what_was_held_before_must_hold_again() {
    let world = World::new();
    let ledger = Arc::new(MemoryLedger::default());
    assert_eq!(deploy(&world, &ledger, "one", "1", "").exit, 0);
    // The file comes back, and what it is for does not.
    let breaks = r#"h.run(`ln -sf /dev/null ${D}/served`, #{ undo: "true" }); fail("late");"#;
    let end = deploy(&world, &ledger, "two", "3", breaks);
    assert_eq!((end.state, end.exit), (RunPhase::Stuck, 4), "{:?}", end.error);
    assert!(end.stuck.iter().any(|error| error.message.contains("did not hold")), "{:?}", end.stuck);
}

#[test]
fn what_an_undo_of_the_scripts_own_runs_or_undoes_is_not_named_as_left() {
    let world = World::new();
    let script = format!(
        r#"const D = "{dir}";
let h = host("local");
on_undo("take it back", || h.run(`rm -f ${{global::D}}/made`));
step "make" {{ h.run(`touch ${{D}}/made ${{D}}/too`); }} undo {{ h.run(`rm -f ${{global::D}}/too`); }}
h.write(D + "/more", "x");
fail("late");"#,
        dir = world.dir.display()
    );
    let ran = world.run(&script, &bare()).unwrap();
    assert_eq!((ran.finish.state, ran.finish.exit), (RunPhase::Unwound, 3), "{}", ran.error());
    let left: Vec<&str> = ran.finish.not_undone.iter().map(|left| left.command.as_str()).collect();
    assert!(left.is_empty(), "{left:?}");
    assert!(ran.ledger.records(&ran.id).is_ok() && std::fs::read_dir(&world.dir).unwrap().count() == 0);
}

#[test]
fn an_unfinished_run_of_another_ledger_on_a_host_is_told_before_the_first_change_there() {
    let script = "let h = host(\"h1\"); log(h.run(\"echo warned >&2\", #{ irreversible: \"it only says\" }).stderr + \"|\"); h.write(\"~/mine\", \"x\");\n";
    let world = project(script, "", "");
    let theirs = world.home().join(".windlass/runs/20260101-1200-abcd-ff");
    std::fs::create_dir_all(theirs.join("s")).unwrap();
    std::fs::write(theirs.join("of"), "other.box 20260101-1200-abcd 1767268800000 eve@else where\n").unwrap();
    std::fs::write(theirs.join("s/1-1-1.path"), "/srv/theirs").unwrap();
    std::fs::write(theirs.join("s/1-1-1.done"), "absent\n").unwrap();
    let (code, said) = windlass(&world, &["run", "-v"], &[]);
    let told = "-- h1 is being changed by the run 20260101-1200-abcd of eve@else where as well, since 2026-01-01 12:00:00 UTC";
    assert_eq!((code, said.matches(told).count()), (0, 1), "{said}");
    let (before, behind) = said.split_once(told).unwrap();
    assert!(!before.contains("changed ") && !behind.contains(" beside "), "{said}");
    let (code, said) = windlass(&world, &["run", "--format", "json"], &[]);
    let other = r#""other":{"by":"eve@else where","run":"20260101-1200-abcd","since":1767268800000}"#;
    assert!(code == 0 && said.matches(r#""event":"beside""#).count() == 1 && said.contains(other), "{said}");
    assert!(said.contains(r#"warned\n|"#) && !said.contains(" beside "), "{said}");
    // Once it has ended, or is nobody's any more, nothing is told.
    std::fs::write(theirs.join("ended"), "").unwrap();
    let (code, said) = windlass(&world, &["run"], &[]);
    assert!(code == 0 && !said.contains("as well, since"), "{said}");
}

#[test]
fn a_command_that_would_write_what_is_anothers_is_refused_like_any_step() {
    let script = "let h = host(\"h1\"); h.run(\"echo x >~/theirs\", #{ writes: [\"~/theirs\"] });\n";
    let world = project(script, "", "");
    let theirs = world.home().join(".windlass/runs/20260101-1200-abcd-ff");
    std::fs::create_dir_all(theirs.join("s")).unwrap();
    std::fs::write(world.home().join("theirs"), "theirs\n").unwrap();
    std::fs::write(theirs.join("of"), "other.box 20260101-1200-abcd 1767268800000 eve\n").unwrap();
    std::fs::write(theirs.join("s/1-1-1.path"), world.home().join("theirs").display().to_string()).unwrap();
    std::fs::write(theirs.join("s/1-1-1.done"), "file\n").unwrap();
    let (code, said) = windlass(&world, &["run"], &[]);
    assert!(code == 6 && said.contains("20260101-1200-abcd of eve") && said.contains("is refused"), "{code}: {said}");
    assert_eq!(std::fs::read_to_string(world.home().join("theirs")).unwrap(), "theirs\n");
}
