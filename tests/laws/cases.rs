//! Every case of every primitive: does what it says, is unchanged when repeated, is undone to the byte, whatever effect
//! fails on the way, and is replayed without any effect.

use crate::case::{Case, Ending, all};
use crate::effects::{When, counting, failing, none, twice};
use crate::ledger::MemoryLedger;
use crate::many::check_all;
use crate::tree::{differs, tree, undeclared};
use crate::world::{Ran, World, bare};
use serde_json::Value;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use windlass::journal::{Entry, RunPhase};
use windlass::ledger::Ledger as _;
use windlass::run::Job;
use windlass::step::{ErrorKind, Outcome};

pub(crate) type Checked = Result<(), String>;

/// What a law is asked of: this machine, or a simulated host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ground {
    Host,
    Memory,
}

/// The cases of the primitives, by their files, and names of those that this machine cannot run.
pub(crate) fn cases() -> (Vec<Case>, Vec<String>) {
    let (run, left): (Vec<Case>, Vec<Case>) =
        all().into_iter().filter(|case| wanted(&case.file)).partition(|case| can(case.needs.as_deref()));
    let name = |case: Case| format!("{} ({})", case.title(), elsewhere(&case.needs.unwrap_or_default()));
    (run, left.into_iter().map(name).collect())
}

/// Whether a file is among those that `WINDLASS_CASES` names by the beginning of their names; all are when it is not set.
#[expect(clippy::disallowed_methods, reason = "who works on one primitive wants its cases only")]
fn wanted(file: &str) -> bool {
    std::env::var("WINDLASS_CASES").map_or(true, |names| names.split(',').any(|name| file.starts_with(name)))
}

/// The names of the directories that hold at least one case.
pub(crate) fn covered() -> Vec<String> {
    let mut names: Vec<String> = all().iter().map(|case| case.primitive().to_owned()).collect();
    names.dedup();
    names
}

pub(crate) fn can(needs: Option<&str>) -> bool {
    match needs {
        // A server runs wherever tests do.
        None | Some("http") => true,
        Some("git") => std::process::Command::new("git").arg("--version").output().is_ok(),
        Some("root") => rustix::process::geteuid().is_root(),
        Some("user") => !rustix::process::geteuid().is_root(),
        Some(_) => false,
    }
}

/// Where it is tried when this machine has not what it needs.
pub(crate) fn elsewhere(needs: &str) -> String {
    if needs == "systemd" { "tried in tests/real".to_owned() } else { format!("needs {needs}") }
}

impl Case {
    /// A world in the start state.
    pub(crate) fn world(&self, ground: Ground) -> World {
        let world = match ground {
            Ground::Host => World::new(),
            Ground::Memory => World::in_memory(),
        };
        world.shell(&self.before);
        world
    }

    /// The script that makes the call and keeps what it gives, and what comes behind it.
    pub(crate) fn script(&self, world: &World, rest: &str) -> String {
        format!("{}let value = {{ {} }};\ngave(value);\n{rest}", world.head(), self.call.trim())
    }
}

#[test]
fn do_what_they_say_and_are_unchanged_when_repeated() {
    let (cases, left) = cases();
    // Not through the harness: what could not be tried is told when all went well, too.
    let _ = writeln!(std::io::stderr(), "{} cases; {} not tried here:\n  {}", cases.len(), left.len(), left.join("\n  "));
    check_all(&cases, Case::title, |case| as_said(case, Ground::Host));
}

#[test]
fn are_undone_whatever_effect_fails() {
    check_all(&cases().0, Case::title, |case| if case.restored { undone(case, Ground::Host) } else { Ok(()) });
}

#[test]
fn are_the_same_when_each_effect_is_sent_twice() {
    check_all(&cases().0, Case::title, |case| if case.restored { doubled(case, Ground::Host) } else { Ok(()) });
}

#[test]
fn are_replayed_without_any_effect() {
    check_all(&cases().0, Case::title, |case| replayed(case, Ground::Host));
}

pub(crate) fn as_said(case: &Case, ground: Ground) -> Checked {
    let world = case.world(ground);
    let before = tree(&world.dir);
    let ran = match world.run(&case.script(&world, ""), &bare()) {
        Ok(ran) => ran,
        Err(why) => return refused(case, &why),
    };
    ended(&ran, case.outcome)?;
    explained(case, &ran)?;
    given(case, &ran)?;
    if case.outcome == Ending::Failed && case.restored {
        same(&before, &world, "after it failed")?;
    }
    if let Some(check) = &case.check {
        let (held, said) = world.try_shell(check);
        if !held {
            return Err(format!("`{}` does not hold {said}\n{}", check.trim(), tree(&world.dir)));
        }
    }
    let doubt = ran.finish.error.as_ref().is_some_and(|error| error.kind == ErrorKind::InDoubt);
    if doubt {
        // What the host keeps may be asked for again.
        return Ok(());
    }
    clean(&world)?;
    let after = tree(&world.dir);
    let again = world.run(&case.script(&world, ""), &bare())?;
    ended(&again, case.again()).map_err(|why| format!("made again: {why}"))?;
    if matches!(case.again(), Ending::Unchanged | Ending::Skipped) {
        same(&after, &world, "after it was made again")?;
    }
    clean(&world)
}

fn ended(ran: &Ran, wanted: Ending) -> Checked {
    let found = match (ran.finish.state, ran.last_step()) {
        (RunPhase::Succeeded, Some((Outcome::Changed, _))) => Ending::Changed,
        (RunPhase::Succeeded, Some((Outcome::Unchanged, _))) => Ending::Unchanged,
        (RunPhase::Succeeded, Some((Outcome::Skipped(_), _))) => Ending::Skipped,
        (RunPhase::Unwound, _) if matches!(ran.finish.exit, 1 | 3) => Ending::Failed,
        (RunPhase::Refused, _) if ran.finish.exit == 6 => Ending::Failed,
        (state, step) => return Err(format!("the run is {state:?} after {step:?}: {}", ran.error())),
    };
    if found == wanted { Ok(()) } else { Err(format!("it is {found:?}, not {wanted:?}: {}", ran.error())) }
}

fn explained(case: &Case, ran: &Ran) -> Checked {
    match case.error.as_ref().filter(|_| case.outcome == Ending::Failed) {
        Some(part) if !part.is_in(&ran.error()) => Err(format!("the error does not say `{part}`: {}", ran.error())),
        _ => Ok(()),
    }
}

/// What is found without running the script is as good an answer.
fn refused(case: &Case, why: &str) -> Checked {
    let as_said = case.outcome == Ending::Failed && case.error.as_ref().is_none_or(|part| part.is_in(why));
    if as_said { Ok(()) } else { Err(format!("it is refused by the check: {why}")) }
}

fn given(case: &Case, ran: &Ran) -> Checked {
    let Some(text) = &case.gives else { return Ok(()) };
    let wanted: Value = serde_json::from_str(text).map_err(|error| format!("`gives` is no JSON: {error}"))?;
    let gave = ran.gave().unwrap_or_default();
    if gave == wanted { Ok(()) } else { Err(format!("it gives {gave}, not {wanted}")) }
}

fn same(before: &str, world: &World, when: &str) -> Checked {
    differs(before, &tree(&world.dir)).map_or(Ok(()), |difference| Err(format!("{when}:\n{difference}")))
}

/// Nothing of the run is left beside what it changed, and in the login user's home what is declared, and nothing else.
pub(crate) fn clean(world: &World) -> Checked {
    let left = tree(&world.dir).lines().find(|line| line.contains(".wl-")).map(ToOwned::to_owned);
    left.or_else(|| undeclared(&world.home())).map_or(Ok(()), |line| Err(format!("something is left: {line}")))
}

/// An answer that was lost is asked for again: what was changed is told, and undone.
pub(crate) fn doubled(case: &Case, ground: Ground) -> Checked {
    let world = case.world(ground);
    let before = tree(&world.dir);
    let Ok(ran) = world.run(&case.script(&world, "fail(\"x\");"), &twice()) else { return Ok(()) };
    let told = match ran.last_step() {
        Some((Outcome::Changed, _)) => Some(Ending::Changed),
        Some((Outcome::Unchanged, _)) => Some(Ending::Unchanged),
        _ => None,
    };
    if matches!(case.outcome, Ending::Changed | Ending::Unchanged) && told != Some(case.outcome) {
        return Err(format!("it is told as {told:?}, not {:?}: {}", case.outcome, ran.error()));
    }
    unwound(&ran, &world, &before)
}

pub(crate) fn undone(case: &Case, ground: Ground) -> Checked {
    let (layer, count) = counting();
    let world = case.world(ground);
    let before = tree(&world.dir);
    let Ok(ran) = world.run(&case.script(&world, "fail(\"x\");"), &layer) else { return Ok(()) };
    unwound(&ran, &world, &before)?;
    for k in 1..=count.load(Ordering::SeqCst) {
        for when in [When::Before, When::After] {
            let world = case.world(ground);
            let before = tree(&world.dir);
            let ran = world.run(&case.script(&world, "fail(\"x\");"), &failing(k, when))?;
            unwound(&ran, &world, &before).map_err(|why| format!("effect {k} fails {when:?} it takes effect: {why}"))?;
        }
    }
    Ok(())
}

fn unwound(ran: &Ran, world: &World, before: &str) -> Checked {
    match (ran.finish.state, ran.finish.exit) {
        (RunPhase::Unwound, 1 | 3) | (RunPhase::Refused, 6) => {}
        // Nothing behind a point of no return is undone.
        (RunPhase::Halted, 4) if ran.state().is_past_return() => return Ok(()),
        (state, exit) => return Err(format!("the run is {state:?}, exit {exit}: {}", ran.error())),
    }
    same(before, world, "unwound")?;
    if ran.state().debts().is_empty() && !ran.error().contains("not known whether") { clean(world) } else { Ok(()) }
}

pub(crate) fn replayed(case: &Case, ground: Ground) -> Checked {
    let world = case.world(ground);
    let succeeded = world.run(&case.script(&world, ""), &bare()).ok().filter(|ran| ran.finish.state == RunPhase::Succeeded);
    let Some(ran) = succeeded else { return Ok(()) };
    let (layer, asked) = none();
    let stored = ran.ledger.stored(&ran.id).map_err(|error| error.to_string())?;
    let records = &ran.records[..ran.records.len() - 1];
    let ledger = Arc::new(MemoryLedger::holding(&ran.id, stored, records));
    let again = world.take_up(&ledger, &ran.id, Job::Resume, &layer);
    if let Some(effect) = asked.lock().unwrap().first() {
        return Err(format!("the replay performs {effect}"));
    }
    let news: Vec<&Entry> = again.records[records.len()..].iter().map(|record| &record.entry).collect();
    match news[..] {
        [Entry::Phase { phase: RunPhase::Running, .. }, Entry::RunEnded { state: RunPhase::Succeeded, exit: 0, .. }] => Ok(()),
        _ => Err(format!("the replay writes {news:?}: {}", again.error())),
    }
}
