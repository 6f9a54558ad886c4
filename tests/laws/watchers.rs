//! Who watches a run does not hold it up: a slow one gets everything late, one that takes nothing is told of, and signals
//! end a process whatever reads its output.

use crate::people::project;
use crate::program::{lines, only_run};
use crate::world::{World, bare, fresh_id};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::io::Read as _;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use windlass::event::{Event, Watcher};
use windlass::journal::Record;
use windlass::ledger::{Ledger as _, MemoryLedger};
use windlass::run::{Outset, Relay, Runner};
use windlass::stop::Stop;

/// More records than may wait, of more bytes than a pipe takes.
const MUCH: &str = "for n in 0..1500 { log(`${n} ${\"x\".repeated()}`); }";

fn much() -> String {
    MUCH.replace("${\"x\".repeated()}", &"x".repeat(200))
}

/// Takes nothing before it may, and keeps what it takes.
struct Slow {
    may: Mutex<Receiver<()>>,
    seen: Mutex<Vec<Record>>,
    missed: Mutex<u64>,
}

impl Slow {
    fn new() -> (Arc<Self>, Sender<()>) {
        let (let_go, may) = channel();
        (Arc::new(Self { may: Mutex::new(may), seen: Mutex::default(), missed: Mutex::default() }), let_go)
    }
}

impl Watcher for Slow {
    fn see(&self, event: &Event) {
        // Once the sender is gone it waits no more.
        let _ = self.may.lock().unwrap().recv();
        match event {
            Event::Recorded { record, .. } => self.seen.lock().unwrap().push(record.clone()),
            Event::Missed { records, .. } => *self.missed.lock().unwrap() += records,
            _ => {}
        }
    }
}

#[test]
fn a_watcher_that_is_slow_gets_everything_and_holds_nobody_up() {
    let world = World::new();
    let ledger = Arc::new(MemoryLedger::default());
    let (slow, let_go) = Slow::new();
    let relay = Arc::new(Relay::new(slow.clone(), ledger.clone()));
    let runner = Runner { watcher: relay.clone(), ..world.runner_on(ledger.clone(), &bare(), Stop::default()) };
    let outset = Outset { id: fresh_id(), stored: world.stored(&much()).unwrap(), by: String::new() };
    let finish = runner.start(&outset).unwrap();
    assert!(finish.exit == 0 && slow.seen.lock().unwrap().is_empty() && !relay.catch_up(Duration::ZERO));
    drop(let_go);
    relay.close();
    relay.drain();
    let (seen, kept) = (slow.seen.lock().unwrap().clone(), ledger.records(&outset.id).unwrap());
    assert!(kept.len() > 3000 && seen == kept, "{} of {}", seen.len(), kept.len());
    assert_eq!(*slow.missed.lock().unwrap(), 0);
}

#[test]
fn records_that_never_came_to_the_ledger_are_told_as_missed() {
    let world = World::new();
    let (ledger, other) = (Arc::new(MemoryLedger::default()), Arc::new(MemoryLedger::default()));
    let (slow, let_go) = Slow::new();
    let relay = Arc::new(Relay::new(slow.clone(), other));
    let runner = Runner { watcher: relay.clone(), ..world.runner_on(ledger.clone(), &bare(), Stop::default()) };
    let outset = Outset { id: fresh_id(), stored: world.stored(&much()).unwrap(), by: String::new() };
    runner.start(&outset).unwrap();
    drop(let_go);
    relay.close();
    relay.drain();
    let (seen, kept) = (slow.seen.lock().unwrap().len() as u64, ledger.records(&outset.id).unwrap().len() as u64);
    assert_eq!(seen + *slow.missed.lock().unwrap(), kept);
    assert!(seen < kept);
}

/// Starts it without anything between, and reads nothing of what it says.
fn unread(world: &World, args: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_windlass"));
    command.args(args).args(["--color", "never"]).env_clear().env("PATH", "/usr/bin:/bin").env("HOME", world.home());
    command.current_dir(world.root()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn send(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

fn within<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "never: {what}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

fn end_of(child: &mut Child) -> Option<i32> {
    within("its end", || child.try_wait().unwrap()).code()
}

fn said(child: &mut Child) -> (String, String) {
    let (mut out, mut err) = (String::new(), String::new());
    child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    (out, err)
}

fn succeeded(world: &World) -> Option<()> {
    let status = lines(world, &["status", "--format", "json"]);
    let free = status.first().is_some_and(|first| first["last"]["state"] == "succeeded" && first["busy"] == false);
    free.then_some(())
}

#[test]
fn a_run_whose_output_nobody_reads_ends_and_is_told_whole_later() {
    let world = project(&much(), "", "");
    let mut child = unread(&world, &["run", "-e", "box", "--format", "json"]);
    within("the end of the run, with its lock given back", || succeeded(&world));
    assert!(child.try_wait().unwrap().is_none(), "it waits for who reads");
    let (out, err) = said(&mut child);
    let objects: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let named = |name: &str| objects.iter().filter(|object| object["event"] == name).count();
    assert_eq!((named("step_succeeded"), named("run_ended"), named("missed")), (1500, 1, 0), "{err}");
    assert_eq!(objects.last().unwrap()["event"], "run_ended");
    assert_eq!(end_of(&mut child), Some(0));
}

#[test]
fn a_signal_ends_the_waiting_for_who_does_not_read_and_the_cut_is_told() {
    let world = project(&much(), "", "");
    let mut child = unread(&world, &["run", "-e", "box", "--format", "json"]);
    within("the end of the run", || succeeded(&world));
    send(&child, Signal::TERM);
    assert_eq!(end_of(&mut child), Some(0), "the run had succeeded");
    let (_, err) = said(&mut child);
    let run = only_run(&world);
    assert!(err.contains("the output is cut short") && err.contains(&format!("windlass show {run} --format json")), "{err}");
    // Nobody is there to read it at all.
    let mut child = unread(&world, &["run", "-e", "box", "--format", "json"]);
    drop(child.stdout.take());
    assert_eq!(end_of(&mut child), Some(0));
    let mut err = String::new();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert!(err.contains("the output is cut short"), "{err}");
}

#[test]
fn a_second_signal_ends_a_process_whose_output_nobody_takes() {
    let script = format!("{} host(\"h1\").run(\"touch ~/reached; sleep 60\", #{{ undo: \"true\" }});", much());
    for format in ["json", "text"] {
        let world = project(&script, "", "");
        let mut child = unread(&world, &["run", "-e", "box", "--format", format]);
        within("the last step", || world.home().join("reached").exists().then_some(()));
        send(&child, Signal::INT);
        std::thread::park_timeout(Duration::from_millis(200));
        send(&child, Signal::INT);
        let begun = Instant::now();
        assert_eq!(end_of(&mut child), Some(7), "{format}");
        assert!(begun.elapsed() < Duration::from_secs(8), "{format}: {:?}", begun.elapsed());
    }
}

#[test]
fn a_terminal_that_goes_away_asks_to_stop() {
    let script =
        "host(\"h1\").run(\"touch ~/reached; until [ -e ~/go ]; do sleep 0.05; done\", #{ undo: \"true\" }); log(\"next\");";
    let world = project(script, "", "");
    let mut child = unread(&world, &["run", "-e", "box"]);
    within("the step", || world.home().join("reached").exists().then_some(()));
    send(&child, Signal::HUP);
    std::thread::park_timeout(Duration::from_millis(200));
    std::fs::write(world.home().join("go"), "").unwrap();
    assert_eq!(end_of(&mut child), Some(7));
    let (_, err) = said(&mut child);
    assert!(err.contains("stopping once the steps under way have ended") && err.contains("is interrupted"), "{err}");
}

#[test]
fn a_command_that_is_left_at_work_is_in_doubt_and_found_again() {
    let script =
        "host(\"h1\").run(\"echo x >>~/reached; until [ -e ~/go ]; do sleep 0.05; done\", #{ undo: \"true\" }); log(\"next\");";
    let world = project(script, "", "");
    let mut child = unread(&world, &["run", "-e", "box"]);
    within("the step", || world.home().join("reached").exists().then_some(()));
    send(&child, Signal::INT);
    std::thread::park_timeout(Duration::from_millis(200));
    send(&child, Signal::INT);
    assert_eq!(end_of(&mut child), Some(7));
    let (run, (_, err)) = (only_run(&world), said(&mut child));
    for part in ["step main#1 is in doubt", "is in doubt,", &format!("windlass resume {run}"), "--assume-done 'main#1'"] {
        assert!(err.contains(part), "{part}: {err}");
    }
    assert!(!err.contains("before it began"), "{err}");
    std::fs::write(world.home().join("go"), "").unwrap();
    let mut child = unread(&world, &["resume", &run]);
    assert_eq!(end_of(&mut child), Some(0), "{}", said(&mut child).1);
    assert_eq!(std::fs::read_to_string(world.home().join("reached")).unwrap(), "x\n", "it ran once");
}
