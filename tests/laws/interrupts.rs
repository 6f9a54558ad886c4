//! Runs that stop on their way, and are taken up again by another process: interrupted, or with a ledger that is full.

use crate::ledger::MemoryLedger;
use crate::many::check_all;
use crate::tree::{differs, tree};
use crate::world::{Layer, Ran, World, bare};
use std::sync::Arc;
use windlass::effect::{Effect, EffectError, Effects, Login, Reply};
use windlass::journal::RunPhase;
use windlass::ledger::Ledger as _;
use windlass::run::{Job, Outset};
use windlass::step::ErrorKind;
use windlass::stop::Stop;

/// Something of everything: groups, closures, tasks, a failure that is caught, a command that may happen once.
pub(crate) const SCRIPT: &str = r#"
on_undo("the note", || host("h1").remove(D + "/note"));
host("h1").run(`echo here >${D}/note`);
step "base" {
    host("h1").mkdir(D + "/base/deep");
    host("h1").write(D + "/conf", "new\n");
} undo {
    host("h1").run(`rm -f ${D}/flag`);
}
try { host("h1").read(D + "/none"); } catch { log("there is none"); }
attempt(|| {
    host("h1").write(D + "/tried", "x");
    host("h1").run("false");
});
rolling(hosts("web"), #{ batch: [1, 2] }, |h| {
    h.run(`echo x >>${D}/count-${h.name}`, #{ undo: `rm -f ${D}/count-${h.name}` });
    let flag = `${D}/drained-${h.name}`;
    bracket(`drain ${h.name}`, #{
        enter: || host("h1").run(`test ! -e ${flag} && touch ${flag} || test -e ${flag}`),
        leave: || host("h1").run(`rm -f ${flag}`),
    }, || {
        h.symlink("new", `${D}/link-${h.name}`);
        h.remove(`${D}/old-${h.name}`);
    });
});
maintenance(host("h1"), #{ path: D + "/maintenance", text: "back soon\n" }, || host("h1").run(`touch ${D}/flag`));
"#;

/// Three hosts, in the start state of the script.
pub(crate) fn world() -> World {
    let world = World::with_hosts(3);
    world.shell("echo old >conf; chmod 640 conf; for h in h1 h2 h3; do echo $h >old-$h; ln -s old link-$h; done");
    world
}

pub(crate) fn script(world: &World) -> String {
    format!("const D = \"{}\";\n{}", world.dir.display(), SCRIPT.replace("D + ", "global::D + ").replace("${D}", "${global::D}"))
}

/// The ends of a run of the script that nothing disturbs: the tree before, the tree after, and the run.
pub(crate) fn whole() -> (String, String, Ran) {
    let world = world();
    let before = tree(&world.dir);
    let ran = world.run(&script(&world), &bare()).unwrap();
    assert_eq!((ran.finish.state, ran.finish.exit), (RunPhase::Succeeded, 0), "{}", ran.error());
    let after = tree(&world.dir);
    assert!(after.contains("count-h3 file 0644") && after.contains("\"x\\n\""), "{after}");
    (before, after, ran)
}

#[test]
fn a_full_ledger_stops_a_run_that_can_be_resumed_or_unwound() {
    let (before, after, ran) = whole();
    let places: Vec<(u64, Job)> =
        (1..ran.records.len() as u64).flat_map(|seq| [(seq, Job::Resume), (seq, Job::Unwind)]).collect();
    check_all(
        &places,
        |(seq, job)| format!("full after record {seq}, then {job:?}"),
        |(seq, job)| {
            let world = world();
            let ledger = Arc::new(MemoryLedger::default());
            ledger.full_after(*seq);
            let stopped = world.run_in(&ledger, &script(&world), &bare())?;
            let kind = stopped.finish.error.as_ref().map(|error| error.kind);
            let told = (stopped.finish.state, stopped.finish.exit, kind);
            if told != (RunPhase::Interrupted, 7, Some(ErrorKind::Ledger)) {
                return Err(format!("it ends as {told:?}: {}", stopped.error()));
            }
            ledger.full_after(u64::MAX);
            let ran = world.take_up(&ledger, &stopped.id, *job, &bare());
            let wanted = if *job == Job::Resume { &after } else { &before };
            let right = match job {
                Job::Resume => (ran.finish.state, ran.finish.exit) == (RunPhase::Succeeded, 0),
                Job::Unwind => ran.finish.state == RunPhase::Unwound && matches!(ran.finish.exit, 1 | 3),
            };
            if !right {
                return Err(format!("it ends as {:?}, exit {}: {}", ran.finish.state, ran.finish.exit, ran.error()));
            }
            differs(wanted, &tree(&world.dir)).map_or(Ok(()), Err)
        },
    );
}

#[test]
fn a_full_ledger_stops_an_unwinding_that_is_taken_up_again() {
    let (before, _, whole) = whole();
    let done = whole.records.len() as u64 - 1;
    let unwound = |full: Option<u64>| {
        let world = world();
        let ledger = Arc::new(MemoryLedger::default());
        ledger.full_after(done);
        let id = world.run_in(&ledger, &script(&world), &bare()).unwrap().id;
        ledger.full_after(full.unwrap_or(u64::MAX));
        let ran = world.take_up(&ledger, &id, Job::Unwind, &bare());
        ledger.full_after(u64::MAX);
        (world, ran)
    };
    let all = unwound(None).1.records.len() as u64;
    let places: Vec<u64> = (done..all).collect();
    check_all(
        &places,
        |seq| format!("full after record {seq} of {all}"),
        |seq| {
            let (world, ran) = unwound(Some(*seq));
            let kind = ran.finish.error.as_ref().map(|error| error.kind);
            if (ran.finish.exit, kind) != (7, Some(ErrorKind::Ledger)) {
                return Err(format!("it ends as {:?}, exit {}: {}", ran.finish.state, ran.finish.exit, ran.error()));
            }
            let ran = world.take_up(&ran.ledger, &ran.id, Job::Unwind, &bare());
            if (ran.finish.state, ran.finish.exit) != (RunPhase::Unwound, 3) {
                return Err(format!("taken up, it ends as {:?}, exit {}: {}", ran.finish.state, ran.finish.exit, ran.error()));
            }
            differs(&before, &tree(&world.dir)).map_or(Ok(()), Err)
        },
    );
}

#[test]
fn an_interrupted_run_begins_no_step_and_is_resumed() {
    let world = world();
    let ledger = Arc::new(MemoryLedger::default());
    let interrupt = Stop::default();
    interrupt.stop();
    let id = windlass::id::RunId::new("20260101-0000", "stop");
    let outset = Outset { id: id.clone(), stored: world.stored(&script(&world)).unwrap(), by: String::new() };
    let before = tree(&world.dir);
    let finish = world.runner(&ledger, &bare(), interrupt).start(&outset).unwrap();
    assert_eq!((finish.state, finish.exit), (RunPhase::Interrupted, 7));
    assert_eq!(differs(&before, &tree(&world.dir)), None);
    let ran = world.take_up(&ledger, &id, Job::Resume, &bare());
    assert_eq!((ran.finish.state, ran.finish.exit), (RunPhase::Succeeded, 0), "{}", ran.error());
}

/// Asks the run to stop once something was written.
struct StopsAfterWrite {
    inner: Arc<dyn Effects>,
    stop: Stop,
}

impl Effects for StopsAfterWrite {
    fn perform(&self, at: &Login, effect: &Effect) -> Result<Reply, EffectError> {
        let reply = self.inner.perform(at, effect);
        if matches!(effect, Effect::Write { .. }) {
            self.stop.stop();
        }
        reply
    }
}

#[test]
fn an_attempt_that_was_interrupted_is_undone_whole() {
    let world = World::new();
    let attempt = "attempt(|| { h.write(D + \"/a\", \"1\"); h.write(D + \"/b\", \"2\"); fail(\"x\"); });";
    let script = format!("{}{attempt}\nh.write(D + \"/c\", \"3\");", world.head());
    let ledger = Arc::new(MemoryLedger::default());
    let interrupt = Stop::default();
    let stop = interrupt.clone();
    let layer: Layer = Arc::new(move |inner| Arc::new(StopsAfterWrite { inner, stop: stop.clone() }));
    let id = windlass::id::RunId::new("20260101-0000", "half");
    let outset = Outset { id: id.clone(), stored: world.stored(&script).unwrap(), by: String::new() };
    let finish = world.runner(&ledger, &layer, interrupt).start(&outset).unwrap();
    assert_eq!((finish.state, finish.exit), (RunPhase::Interrupted, 7));
    world.shell("test -e a && test ! -e b");
    let ran = world.take_up(&ledger, &id, Job::Resume, &bare());
    assert_eq!((ran.finish.state, ran.finish.exit), (RunPhase::Succeeded, 0), "{}", ran.error());
    world.shell("test ! -e a && test ! -e b && test -e c");
}

#[test]
fn a_script_that_asks_for_something_else_diverges_before_anything_is_done() {
    let world = world();
    let ran = world.run(&script(&world), &bare()).unwrap();
    let mut stored = ran.ledger.stored(&ran.id).unwrap();
    for (_, text) in &mut stored.bundle {
        *text = text.replace("\"new\\n\"", "\"newer\\n\"");
    }
    let ledger = Arc::new(MemoryLedger::holding(&ran.id, stored, &ran.records[..ran.records.len() - 1]));
    let after = tree(&world.dir);
    let again = world.take_up(&ledger, &ran.id, Job::Resume, &bare());
    assert_eq!((again.finish.state, again.finish.exit), (RunPhase::Interrupted, 6), "{}", again.error());
    assert_eq!(again.finish.error.as_ref().map(|error| error.kind), Some(ErrorKind::Divergence));
    assert_eq!(differs(&after, &tree(&world.dir)), None);
}

#[test]
fn a_stuck_run_is_unwound_once_what_hindered_it_is_gone() {
    let world = World::new();
    let steps =
        "h.write(D + \"/a\", \"x\"); h.run(\"true\", #{ undo: `echo x >>${D}/tried; test -e ${D}/mended` }); fail(\"late\");";
    let stuck = world.run(&format!("{}{steps}", world.head()), &bare()).unwrap();
    assert_eq!((stuck.finish.state, stuck.finish.exit), (RunPhase::Stuck, 4), "{}", stuck.error());
    let still = world.take_up(&stuck.ledger, &stuck.id, Job::Unwind, &bare());
    assert_eq!((still.finish.state, still.finish.exit), (RunPhase::Stuck, 4), "{}", still.error());
    world.shell("touch mended");
    let gone = world.take_up(&stuck.ledger, &stuck.id, Job::Unwind, &bare());
    assert_eq!((gone.finish.state, gone.finish.exit), (RunPhase::Unwound, 3), "{}", gone.error());
    world.shell("test \"$(cat tried | tr -d '\\n')\" = xxx && test ! -e a");
}

#[test]
fn an_undo_in_the_scripts_words_that_failed_is_done_again() {
    let world = World::new();
    let closure = "on_undo(|| { h.run(`echo x >>${D}/tried`); h.run(`test -e ${D}/mended`); });";
    let script = format!("{}{closure}\nh.mkdir(D + \"/a\"); fail(\"late\");", world.head());
    let stuck = world.run(&script, &bare()).unwrap();
    assert_eq!((stuck.finish.state, stuck.finish.exit), (RunPhase::Stuck, 4), "{}", stuck.error());
    let still = world.take_up(&stuck.ledger, &stuck.id, Job::Unwind, &bare());
    assert_eq!((still.finish.state, still.finish.exit), (RunPhase::Stuck, 4), "{}", still.error());
    world.shell("touch mended");
    let gone = world.take_up(&stuck.ledger, &stuck.id, Job::Unwind, &bare());
    assert_eq!((gone.finish.state, gone.finish.exit), (RunPhase::Unwound, 3), "{}", gone.error());
    world.shell("test \"$(cat tried | tr -d '\\n')\" = xxx && test ! -e a");
}

/// A host that is away while something is to be restored there.
struct Away {
    inner: Arc<dyn Effects>,
    away: Stop,
}

impl Effects for Away {
    fn perform(&self, at: &Login, effect: &Effect) -> Result<Reply, EffectError> {
        if matches!(effect, Effect::Restore { .. }) && self.away.is_stopped() {
            return Err(EffectError::Unreachable { host: at.host.clone(), reason: "away".to_owned(), help: None });
        }
        self.inner.perform(at, effect)
    }
}

#[test]
fn a_debt_that_is_paid_is_told_as_paid_also_where_nothing_was_to_be_restored() {
    for (steps, exit) in [("h.write(D + \"/none/a\", \"x\");", 1), ("h.write(D + \"/a\", \"x\"); fail(\"late\");", 3)] {
        let (world, ledger, away) = (World::new(), Arc::new(MemoryLedger::default()), Stop::default());
        away.stop();
        let layer: Layer = Arc::new(move |inner| Arc::new(Away { inner, away: away.clone() }));
        let owing = world.run_in(&ledger, &format!("{}{steps}", world.head()), &layer).unwrap();
        assert_eq!((owing.finish.exit, owing.finish.paid), (4, false), "{}", owing.error());
        let still = world.take_up(&ledger, &owing.id, Job::Unwind, &layer);
        assert_eq!((still.finish.exit, still.finish.paid), (4, false), "{}", still.error());
        let paid = world.take_up(&ledger, &owing.id, Job::Unwind, &bare());
        assert_eq!((paid.finish.exit, paid.finish.paid), (exit, true), "{}", paid.error());
    }
}
