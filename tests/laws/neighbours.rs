//! Others at work on the same host: runs of other ledgers, and people. What a run made is undone; what others made is left alone.

use crate::ledger::MemoryLedger;
use crate::many::check_all;
use crate::tree::{differs, tree};
use crate::world::{Layer, World, bare, fence, fresh_id};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use windlass::effect::{Effect, EffectError, Effects, Fence, Login, Reply};
use windlass::id::{Epoch, LockName, RunId};
use windlass::journal::RunPhase;
use windlass::ledger::Ledger as _;
use windlass::run::{Finish, Job, OnDrift, Outset, Runner, TakeUp};
use windlass::stop::Stop;

type Checked = Result<(), String>;

/// Operations of every kind on names of its own; `P` is how the names begin.
const OPERATIONS: &str = r#"
h.write(P + "conf", "new\n");
h.write(P + "checked", "new\n", #{ validate: "test -s %s" });
h.symlink("new", P + "link");
h.mkdir(P + "made/below");
h.remove(P + "old");
h.upload("files/app.tar.gz", P + "app.tar.gz");
h.unpack(P + "app.tar.gz", P + "release");
h.upload("files", P + "tree");
h.move(P + "moved", P + "there");
h.chmod(P + "open", "0600");
h.copy(P + "conf", P + "copy");
h.line(P + "hosts", #{ line: "mine" });
"#;

/// What a command touches is not known.
const COMMAND: &str = "h.run([\"touch\", P + \"touched\"], #{ undo: `rm -f ${P}touched` });\n";

/// How the names begin that two runs both change.
const SHARED: &str = "x-";

/// What is there before, for names that begin so.
fn before(prefix: &str) -> String {
    format!(
        "for f in conf checked moved open hosts; do echo old-$f >{prefix}$f; done; ln -s old {prefix}link; mkdir {prefix}old {prefix}release {prefix}tree; \
         echo data >{prefix}old/data; echo own >{prefix}tree/hello.txt; echo other >{prefix}tree/other"
    )
}

fn script(world: &World, prefix: &str, fails: bool) -> String {
    let end = if fails { "fail(\"undo all\");\n" } else { "" };
    let command = if prefix == SHARED { "" } else { COMMAND };
    format!("{}let P = D + \"/{prefix}\";\n{OPERATIONS}{command}{end}", world.head())
}

fn lock(ledger: &str) -> Fence {
    Fence::new(LockName::new(ledger, "box"), Epoch(1))
}

/// A run that is ready to start, of a ledger of its own.
struct Ready {
    runner: Runner,
    outset: Outset,
    ledger: Arc<MemoryLedger>,
}

impl Ready {
    fn new(world: &World, script: &str, layer: &Layer, fence: Fence) -> Self {
        let ledger = Arc::new(MemoryLedger::default());
        let stored = world.stored(script).unwrap();
        let runner = Runner { stack: world.stack_as(layer, fence), ..world.runner(&ledger, &bare(), Stop::default()) };
        Self { runner, outset: Outset { id: fresh_id(), stored, by: "ada@desk".to_owned() }, ledger }
    }

    fn start(&self) -> Finish {
        self.runner.start(&self.outset).unwrap()
    }

    fn id(&self) -> &RunId {
        &self.outset.id
    }
}

/// Two runs take turns, one effect at a time, as a seed says.
struct Turns {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    waiting: [bool; 2],
    over: [bool; 2],
    next: Option<usize>,
    random: u64,
}

impl Turns {
    fn new(seed: u64) -> Arc<Self> {
        let state =
            State { waiting: [false; 2], over: [false; 2], next: None, random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1 };
        Arc::new(Self { state: Mutex::new(state), changed: Condvar::new() })
    }

    fn take(&self, me: usize) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.waiting[me] = true;
        state.choose();
        self.changed.notify_all();
        while state.next != Some(me) {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.next = None;
        state.waiting[me] = false;
    }

    fn leave(&self, me: usize) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.over[me] = true;
        state.choose();
        self.changed.notify_all();
    }

    fn layer(self: &Arc<Self>, me: usize) -> Layer {
        let turns = self.clone();
        Arc::new(move |inner| Arc::new(InTurn { inner, turns: turns.clone(), me }))
    }
}

impl State {
    /// Once both that are at work wait, one of them is next.
    fn choose(&mut self) {
        if self.next.is_some() || (0..2).any(|n| !self.over[n] && !self.waiting[n]) {
            return;
        }
        let waiting: Vec<usize> = (0..2).filter(|n| self.waiting[*n] && !self.over[*n]).collect();
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let count = u64::try_from(waiting.len()).unwrap();
        self.next = (count > 0).then(|| waiting[usize::try_from(self.random % count.max(1)).unwrap()]);
    }
}

struct InTurn {
    inner: Arc<dyn Effects>,
    turns: Arc<Turns>,
    me: usize,
}

impl Effects for InTurn {
    fn perform(&self, at: &Login, effect: &Effect) -> Result<Reply, EffectError> {
        self.turns.take(self.me);
        self.inner.perform(at, effect)
    }
}

/// Plays two runs of two ledgers against each other; gives how they ended.
fn play(world: &World, scripts: [&str; 2], seed: u64) -> [Finish; 2] {
    let turns = Turns::new(seed);
    let runs: Vec<Ready> = (0..2).map(|n| Ready::new(world, scripts[n], &turns.layer(n), lock(["one", "two"][n]))).collect();
    let mut ends = thread::scope(|scope| {
        let threads: Vec<_> = runs
            .iter()
            .enumerate()
            .map(|(n, run)| {
                let turns = turns.clone();
                scope.spawn(move || {
                    let end = run.start();
                    turns.leave(n);
                    end
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    let second = ends.pop().unwrap();
    [ends.pop().unwrap(), second]
}

/// What is there, but for which file an archive was: the mark of an unpacked directory ends with that.
fn seen(world: &World) -> String {
    let line = |line: &str| match line.split_once(" 0 ") {
        Some((mark, _)) if line.contains("/.windlass-unpacked ") => format!("{mark}\n"),
        _ => format!("{line}\n"),
    };
    tree(&world.dir).lines().map(line).collect()
}

/// What is there once these scripts were run one after the other, each of them alone.
fn alone(prefixes: &[&str], scripts: &[(&str, bool)]) -> String {
    let world = World::new();
    prefixes.iter().for_each(|prefix| world.shell(&before(prefix)));
    for (prefix, fails) in scripts {
        let end = Ready::new(&world, &script(&world, prefix, *fails), &bare(), fence()).start();
        assert_eq!(end.exit, if *fails { 3 } else { 0 }, "{:?}", end.error);
    }
    seen(&world)
}

#[test]
fn runs_that_share_a_host_and_no_path_end_as_if_alone() {
    let fails = [(true, false), (false, true), (true, true), (false, false)];
    let expected: Vec<String> = fails.iter().map(|(a, b)| alone(&["a-", "b-"], &[("a-", *a), ("b-", *b)])).collect();
    let seeds: Vec<u64> = (0..100).collect();
    check_all(
        &seeds,
        |seed| format!("seed {seed}"),
        |seed| {
            let which = usize::try_from(*seed).unwrap() % 4;
            let world = World::new();
            ["a-", "b-"].iter().for_each(|prefix| world.shell(&before(prefix)));
            let (a, b) = (script(&world, "a-", fails[which].0), script(&world, "b-", fails[which].1));
            let ends = play(&world, [&a, &b], *seed);
            for (n, end) in ends.iter().enumerate() {
                let wanted = if [fails[which].0, fails[which].1][n] { 3 } else { 0 };
                if end.exit != wanted {
                    return Err(format!("run {n} ended with {}: {:?} {:?}", end.exit, end.error, end.stuck));
                }
            }
            differs(&expected[which], &seen(&world)).map_or(Ok(()), Err)
        },
    );
}

#[test]
fn of_runs_that_touch_one_path_the_later_one_is_refused_or_comes_after() {
    let (untouched, done) = (alone(&[SHARED], &[]), alone(&[SHARED], &[(SHARED, false)]));
    let seeds: Vec<u64> = (0..100).collect();
    check_all(
        &seeds,
        |seed| format!("seed {seed}"),
        |seed| {
            let world = World::new();
            world.shell(&before(SHARED));
            let fails = [seed % 2 == 0, seed % 3 == 0];
            let (a, b) = (script(&world, SHARED, fails[0]), script(&world, SHARED, fails[1]));
            let ends = play(&world, [&a, &b], *seed);
            for (n, end) in ends.iter().enumerate() {
                let refused = end.error.as_ref().is_some_and(|error| error.message.contains("has not ended"));
                let right = if refused { matches!(end.exit, 3 | 6) } else { end.exit == if fails[n] { 3 } else { 0 } };
                if !right || !end.state.is_ended() {
                    return Err(format!("run {n} ended with {}: {:?} {:?}", end.exit, end.error, end.stuck));
                }
            }
            let expected = if ends.iter().any(|end| end.exit == 0) { &done } else { &untouched };
            differs(expected, &seen(&world)).map_or(Ok(()), Err)
        },
    );
}

/// A change that is undone, and what a person does to it before.
const CHANGED: [(&str, &str); 15] = [
    (r#"h.write(P + "conf", "new\n");"#, "echo theirs >x-conf"),
    (r#"h.write(P + "fresh", "new\n");"#, "echo theirs >x-fresh"),
    (r#"h.copy(P + "hosts", P + "conf");"#, "ln -sf theirs x-conf"),
    (r#"h.symlink("new", P + "link");"#, "ln -sfn theirs x-link"),
    (r#"h.symlink("new", P + "link");"#, "rm x-link; echo theirs >x-link"),
    (r#"h.remove(P + "old");"#, "mkdir x-old; echo theirs >x-old/theirs"),
    (r#"h.move(P + "moved", P + "there");"#, "echo theirs >x-moved"),
    (
        r#"h.upload("files/app.tar.gz", P + "a"); h.unpack(P + "a", P + "release");"#,
        "rm -r x-release; mkdir x-release; echo theirs >x-release/f",
    ),
    (r#"h.chmod(P + "open", "0600");"#, "chmod 0640 x-open"),
    // What is in a directory that the run made, or what it put into one.
    (r#"h.mkdir(P + "made/deep");"#, "echo theirs >x-made/deep/theirs"),
    (r#"h.mkdir(P + "made"); h.write(P + "made/own", "x");"#, "rm x-made/own; echo theirs >x-made/theirs"),
    (r#"h.upload("files/app.tar.gz", P + "a"); h.unpack(P + "a", P + "fresh");"#, "echo theirs >x-fresh/bin/app"),
    (r#"h.upload("files/app.tar.gz", P + "a"); h.unpack(P + "a", P + "release");"#, "echo theirs >x-release/theirs"),
    (r#"h.upload("files", P + "fresh");"#, "echo theirs >x-fresh/theirs"),
    (r#"h.upload("files", P + "tree");"#, "echo theirs >x-tree/hello.txt"),
];

#[test]
fn undoing_overwrites_nothing_that_others_have_put_there() {
    check_all(&CHANGED, |(call, theirs)| format!("{call} then {theirs}"), |(call, theirs)| changed_by_others(call, theirs));
}

fn changed_by_others(call: &str, theirs: &str) -> Checked {
    let world = World::new();
    world.shell(&before("x-"));
    let before = seen(&world);
    let text = format!("{}let P = D + \"/x-\";\n{call}\nh.write(D + \"/last\", \"x\");\nfail(\"undo all\");\n", world.head());
    let person: Layer = {
        let (dir, theirs) = (world.dir.clone(), theirs.to_owned());
        Arc::new(move |inner| {
            Arc::new(BeforeUndoing { inner, dir: dir.clone(), theirs: theirs.clone(), done: Mutex::new(false) })
        })
    };
    let run = Ready::new(&world, &text, &person, fence());
    let end = run.start();
    if end.exit != 4 || end.state != RunPhase::Stuck {
        return Err(format!("it ended with {} as {:?}: {:?}", end.exit, end.state, end.stuck));
    }
    let said = end.stuck.iter().map(|error| format!("{} {:?}", error.message, error.help)).collect::<String>();
    if !said.contains("changed by somebody else") || !said.contains("--accept-drift") {
        return Err(format!("it does not say what is there: {said}"));
    }
    let expected = {
        let other = World::new();
        other.shell(&self::before("x-"));
        let ran = Ready::new(
            &other,
            &text.replace("fail(\"undo all\");", "").replace(&world.dir.display().to_string(), &other.dir.display().to_string()),
            &bare(),
            fence(),
        );
        let ended = ran.start();
        assert_eq!(ended.exit, 0, "{:?}", ended.error);
        // What nobody else touched is undone.
        other.shell(&format!("{theirs}; rm -f last x-a"));
        seen(&other)
    };
    let trash =
        |tree: &str| tree.lines().filter(|line| !line.contains(".wl-trash-")).map(|line| format!("{line}\n")).collect::<String>();
    differs(&expected, &trash(&seen(&world)))
        .map_or(Ok(()), |differ| Err(format!("what others made is not as it was: {differ}")))?;
    let how = TakeUp { drift: OnDrift::Accept, ..TakeUp::from(Job::Unwind) };
    let runner = Runner { stack: world.stack_as(&bare(), fence()), ..world.runner(&run.ledger, &bare(), Stop::default()) };
    let end = runner.take_up(run.id(), how).unwrap();
    if end.exit != 3 {
        return Err(format!("accepted, it ended with {}: {:?}", end.exit, end.stuck));
    }
    differs(&before, &seen(&world)).map_or(Ok(()), |differ| Err(format!("accepted, it is not as before: {differ}")))
}

/// Somebody changes something once the run begins to undo.
struct BeforeUndoing {
    inner: Arc<dyn Effects>,
    dir: std::path::PathBuf,
    theirs: String,
    done: Mutex<bool>,
}

impl Effects for BeforeUndoing {
    fn perform(&self, at: &Login, effect: &Effect) -> Result<Reply, EffectError> {
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(effect, Effect::Restore { .. }) && !*done {
            *done = true;
            let said = std::process::Command::new("sh").args(["-euc", &self.theirs]).current_dir(&self.dir).output().unwrap();
            assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
        }
        drop(done);
        self.inner.perform(at, effect)
    }
}

/// Tasks side by side that edit one file, each of them a few times.
const EDITS: &str = r#"
parallel(hosts("all"), |h| {
    for n in range(0, 3) {
        h.line(D + "/shared", #{ line: `line ${n} of ${h.name}` });
        h.block(D + "/shared", #{ marker: `${h.name} ${n}`, text: "in a block\n" });
    }
});
"#;

#[test]
fn tasks_that_edit_one_file_lose_nothing_of_each_other() {
    for fails in [false, true] {
        let world = World::with_hosts(6);
        world.shell("echo first >shared");
        let end = if fails { "fail(\"undo all\");\n" } else { "" };
        let run = Ready::new(
            &world,
            &format!("const D = \"{}\";\n{}{end}", world.dir.display(), EDITS.replace("D +", "global::D +")),
            &bare(),
            fence(),
        );
        let finish = run.start();
        assert_eq!(finish.exit, if fails { 3 } else { 0 }, "{:?} {:?}", finish.error, finish.stuck);
        let text = std::fs::read_to_string(world.dir.join("shared")).unwrap();
        let lines = text.lines().filter(|line| line.starts_with("line ")).count();
        let blocks = text.lines().filter(|line| *line == "in a block").count();
        let expected = if fails { (0, 0, 1) } else { (18, 18, 1 + 18 + 3 * 18) };
        assert_eq!((lines, blocks, text.lines().count()), expected, "{text}");
    }
}

/// A host that cannot be told to forget.
struct Deaf(Arc<dyn Effects>);

impl Effects for Deaf {
    fn perform(&self, at: &Login, effect: &Effect) -> Result<Reply, EffectError> {
        if matches!(effect, Effect::Forget { .. }) {
            return Err(EffectError::Unreachable { host: at.host.clone(), reason: "it is cut off".to_owned(), help: None });
        }
        self.0.perform(at, effect)
    }
}

#[test]
fn what_an_ended_run_left_is_swept_by_the_next_one_of_its_ledger_only() {
    let world = World::new();
    world.shell("for f in a b; do mkdir $f; echo data >$f/data; done");
    let deaf: Layer = Arc::new(|inner| Arc::new(Deaf(inner)));
    let (ledger, other) = (crate::lease::open(&world.root()), crate::lease::open(&world.home()));
    let run = |ledger: &Arc<windlass::ledger::SqliteLedger>, name: &str, text: &str, layer: &Layer| {
        let outset = Outset {
            id: fresh_id(),
            stored: world.stored(&format!("{}{text}", world.head())).unwrap(),
            by: "ada@desk".to_owned(),
        };
        let runner =
            Runner { stack: world.stack_as(layer, lock(name)), ..world.runner_on(ledger.clone(), &bare(), Stop::default()) };
        runner.start(&outset).unwrap()
    };
    let ended = run(&ledger, "one", "h.remove(D + \"/a\");", &deaf);
    assert_eq!((ended.exit, ended.leftovers.len()), (0, 1), "{:?}", ended.error);
    assert!(ended.leftovers[0].why.contains("it is cut off"), "{:?}", ended.leftovers);
    assert_eq!(ledger.leftovers().unwrap(), ended.leftovers);
    let trash = || tree(&world.dir).lines().filter(|line| line.contains(".wl-trash-")).count();
    let kept = trash();
    assert!(kept > 0);

    let apart = run(&other, "two", "h.remove(D + \"/b\");", &bare());
    assert_eq!((apart.exit, trash(), other.leftovers().unwrap().len()), (0, kept, 0), "{:?}", apart.error);

    let next = run(&ledger, "one", "h.write(D + \"/c\", \"x\");", &bare());
    assert_eq!((next.exit, next.leftovers.len(), trash()), (0, 0, 0), "{:?}", next.error);
    assert_eq!(ledger.leftovers().unwrap(), []);
    assert!(!world.home().join(".windlass/runs").exists());
}
