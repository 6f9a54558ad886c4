//! The lock is lost while a run is under way, at each of its effects: it ends at once, and neither the ledger nor a host is changed by
//! it any more.

use crate::lease::open;
use crate::many::check_all;
use crate::tree::tree;
use crate::world::{Layer, World, fence, fresh_id};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use windlass::effect::{Effect, EffectClass, EffectError, Effects, Fence, Login, Reply};
use windlass::event::{Event, Watcher};
use windlass::id::{Epoch, RunId};
use windlass::ledger::{Claim, Intent, LEASE_MILLIS, Ledger, Locks, SqliteLedger, Tenure};
use windlass::run::{Job, Outset};
use windlass::step::ErrorKind;
use windlass::stop::Stop;

type Checked = Result<(), String>;

/// A bit of everything, in one task.
const SCRIPT: &str = r#"
h.write(D + "/conf", "new\n");
h.run(`echo x >>${D}/count`, #{ undo: `rm -f ${D}/count` });
h.symlink("new", D + "/link");
attempt(|| { h.mkdir(global::D + "/tried"); fail("it is not to be"); });
h.remove(D + "/old");
fail("undo all");
"#;

/// What happens before the `k`th effect that changes a host.
struct Before {
    inner: Arc<dyn Effects>,
    k: u32,
    count: Arc<AtomicU32>,
    happens: Arc<dyn Fn() + Send + Sync>,
}

impl Effects for Before {
    fn perform(&self, at: &Login, effect: &Effect) -> Result<Reply, EffectError> {
        if matches!(effect.class(), EffectClass::Write | EffectClass::Opaque)
            && self.count.fetch_add(1, Ordering::SeqCst) + 1 == self.k
        {
            (self.happens)();
        }
        self.inner.perform(at, effect)
    }
}

fn before(k: u32, count: &Arc<AtomicU32>, happens: Arc<dyn Fn() + Send + Sync>) -> Layer {
    let count = count.clone();
    Arc::new(move |inner| Arc::new(Before { inner, k, count: count.clone(), happens: happens.clone() }))
}

struct Nobody;

impl Watcher for Nobody {
    fn see(&self, _: &Event) {}
}

fn world() -> (World, String) {
    let world = World::new();
    world.shell("echo old >conf; echo old >old; ln -s old link");
    let script = world.head().replacen("let D", "const D", 1) + SCRIPT;
    (world, script)
}

fn tenure(ledger: &Arc<SqliteLedger>, run: &RunId, at: i64) -> Tenure {
    let claim = Claim {
        environment: "box",
        run,
        holder: "ada@desk",
        machine: "desk/1",
        intent: Intent::End,
        dead: None,
        at,
        ttl: LEASE_MILLIS,
    };
    let lease = ledger.claim(&claim).unwrap().unwrap();
    Tenure::begin(ledger.clone(), "box", &lease, Arc::new(move || at)).unwrap()
}

/// How many effects change a host when nothing disturbs the run.
fn effects() -> u32 {
    let (world, script) = world();
    let count = Arc::new(AtomicU32::new(0));
    let ran = world.run(&script, &before(0, &count, Arc::new(|| {}))).unwrap();
    assert_eq!(ran.finish.exit, 3, "{}", ran.error());
    count.load(Ordering::SeqCst)
}

/// Runs, and loses the lock before the `k`th effect; gives how many effects were asked for in all.
fn loses(
    k: u32,
    ledger: &Arc<SqliteLedger>,
    world: &World,
    script: &str,
    happens: Arc<dyn Fn() + Send + Sync>,
) -> Result<(RunId, u32), String> {
    let (id, count) = (fresh_id(), Arc::new(AtomicU32::new(0)));
    let stored = world.stored(script)?;
    let tenure = tenure(ledger, &id, 0);
    let runner = world.runner_on(tenure.ledger(), &before(k, &count, happens), Stop::default());
    let finish =
        runner.start(&Outset { id: id.clone(), stored, by: "ada@desk".to_owned() }).map_err(|error| error.to_string())?;
    let error = finish.error.clone().map(|error| (error.kind, error.message));
    if finish.state.is_ended() {
        return Err(format!("it ended as {:?}: {error:?}", finish.state));
    }
    if finish.exit != 6 || !matches!(error, Some((ErrorKind::Fenced, _))) {
        return Err(format!("exit {}, {error:?}", finish.exit));
    }
    Ok((id, count.load(Ordering::SeqCst)))
}

#[test]
fn a_run_whose_lock_is_taken_over_in_the_ledger_does_and_writes_nothing_more() {
    // Its last effect forgets: the run has ended then.
    let places: Vec<u32> = (1..effects()).collect();
    check_all(&places, |k| format!("taken over before effect {k}"), |k| taken_over(*k));
}

fn taken_over(k: u32) -> Checked {
    let directory = tempfile::tempdir().unwrap();
    let ledger = open(directory.path());
    let (world, script) = world();
    let theirs = ledger.clone();
    let take = Arc::new(move || drop(theirs.take_over("box", "eve@laptop", "it hangs", 1).unwrap()));
    let (id, asked) = loses(k, &ledger, &world, &script, take)?;
    if asked != k {
        return Err(format!("{} effects more were asked for", asked - k));
    }
    let records = ledger.records(&id).map_err(|error| error.to_string())?;
    // What was under way has no end on record: whoever takes the run up finds it begun.
    let tenure = tenure(&ledger, &id, 2);
    let layer = before(0, &Arc::default(), Arc::new(|| {}));
    let finish = world.runner_on(tenure.ledger(), &layer, Stop::default()).take_up(&id, Job::Unwind).unwrap();
    let again = ledger.records(&id).map_err(|error| error.to_string())?;
    if finish.exit != 3 && finish.exit != 1 {
        return Err(format!("unwinding it ends with {}: {:?}", finish.exit, finish.error));
    }
    if again[..records.len()] != records[..] {
        return Err("the journal is not the same any more".to_owned());
    }
    Ok(())
}

#[test]
fn a_run_that_a_host_refuses_does_and_writes_nothing_more() {
    let places: Vec<u32> = (1..effects()).collect();
    check_all(&places, |k| format!("refused before effect {k}"), |k| refused(*k));
}

fn refused(k: u32) -> Checked {
    let directory = tempfile::tempdir().unwrap();
    let ledger = open(directory.path());
    let (world, script) = world();
    // Another holder shows itself on the host; the ledger, of which this one sees a copy, knows nothing of it.
    let later = Fence { epoch: Epoch(2), ..fence() };
    let bare: Layer = Arc::new(|inner| inner);
    let stored = world.stored(&script)?;
    let other = world.stack_as(&bare, later)(&stored, &fresh_id(), Stop::default(), Arc::new(Nobody));
    let (dir, at) = (world.dir.clone(), Login::plain(&stored.environment.hosts.hosts()[0].name));
    let seen = Arc::new(std::sync::Mutex::new(String::new()));
    let theirs = seen.clone();
    let show = Arc::new(move || {
        other.perform(&at, &Effect::Fence).unwrap();
        *theirs.lock().unwrap() = tree(&dir);
    });
    let (id, asked) = loses(k, &ledger, &world, &script, show)?;
    if asked != k {
        return Err(format!("{} effects more were asked for", asked - k));
    }
    if *seen.lock().unwrap() != tree(&world.dir) {
        return Err(format!("the host was changed:\n{}", tree(&world.dir)));
    }
    let records = ledger.records(&id).map_err(|error| error.to_string())?;
    windlass::journal::RunState::read(&records).map(drop).map_err(|illegal| illegal.to_string())
}
