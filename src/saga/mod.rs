//! What to undo, in which order: pure, from what a journal says. The conductor performs it and writes it down.
//!
//! Children are undone in reverse; what must wait until the files are back (restarts, repeated commands) follows in
//! forward order, and then health as it was before. A plain `step` group hands what must follow up to the task around it:
//! files that an earlier sibling wrote are put back only later. A bracket (a drained server) is closed again once that
//! is done, too.

mod anew;
mod health;
mod inside;
mod order;
mod owed;

pub use health::{Before, HeldCheck, answers, asks, held, up};
pub use inside::{inside, waits_for};
pub use owed::owed;

use crate::effect::{Compensation, Effect, Invocation, Login, Overwrite, ServiceUnit};
use crate::id::{HostName, SaveId, StepKey, TaskPath};
use crate::journal::{BracketSide, Group, Item, Part, RunState, StepState, StepStatus, UndoState, UndoStatus};
use crate::op::{GuardArm, SERVICE_AT_BOOT};
use crate::step::Outcome;
use anew::{acts_on, has_begun_to_change};
use health::{Follows, health};
use order::{Undoing, Whole};

/// One thing to do while unwinding a task.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "there are few of them, and they are read once")]
pub enum Work {
    /// Perform this, of a step's compensation `n`.
    Do {
        /// The step.
        key: StepKey,
        /// The number of the compensation.
        n: u32,
        /// Which part of it.
        part: Part,
        /// Where, and as whom.
        at: Login,
        /// What.
        action: Action,
    },
    /// Unwind these tasks batch after batch; those of a batch at the same time.
    Fork {
        /// The word of the construct.
        word: String,
        /// Each task with its own work.
        batches: Vec<Batch>,
    },
    /// Open a bracket again, before what it stands around is touched; or close it.
    Bracket {
        /// The bracket.
        key: StepKey,
        /// Which of both.
        side: BracketSide,
    },
}

/// Tasks that are undone at the same time, each with its host and its own work.
pub type Batch = Vec<(TaskPath, HostName, Vec<Work>)>;

/// What a compensation comes to.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// An effect.
    Effect(Effect),
    /// What the run before held; only where what it is for runs again.
    Health {
        /// The service that must have been started again; anything on the host when none is said.
        unit: Option<ServiceUnit>,
        /// What to look at, in this order.
        checks: Vec<HeldCheck>,
    },
    /// The script's own closure.
    Closure {
        /// What the script says it is for.
        name: String,
    },
}

/// What is left to undo of a whole run.
#[must_use]
pub fn unwind(state: &RunState, before: &[Before]) -> Vec<Work> {
    // What was done once for all tasks is undone when nothing rests on it any more.
    let mut once: Vec<&TaskPath> = state.tasks.keys().filter(|path| path.is_once()).collect();
    once.sort_by_key(|path| std::cmp::Reverse(state.began.get(*path)));
    let whole = Whole::new(state, before);
    let mut work = of(&whole, whole.items(&TaskPath::main()));
    work.extend(once.into_iter().flat_map(|path| of(&whole, whole.items(path))));
    work
}

/// What is left to undo of one group of a task, from where it was entered to its end so far.
#[must_use]
pub fn group(state: &RunState, before: &[Before], key: &StepKey) -> Vec<Work> {
    let items = state.tasks.get(&key.task).map(Vec::as_slice).unwrap_or_default();
    let from = items.iter().position(|item| *item == Item::Enter(key.clone())).map_or(items.len(), |at| at + 1);
    let to = items.iter().position(|item| *item == Item::Leave(key.clone())).unwrap_or(items.len());
    let items = items.get(from..to).unwrap_or_default();
    let before: Vec<Before> = before.iter().filter(|one| !stays_changed(state, &key.task, items, &one.host)).cloned().collect();
    of(&Whole::new(state, &before), items)
}

/// Whether the run has changed something on a host that is none of these items of a task: what runs there is not what ran before.
fn stays_changed(state: &RunState, task: &TaskPath, items: &[Item], host: &HostName) -> bool {
    let within = |key: &StepKey| {
        let mut at = key.clone();
        while at.task != *task {
            let Some(parent) = at.task.parent() else { return false };
            at = parent;
        }
        items.iter().any(|item| matches!(item, Item::Step(own) | Item::Enter(own) if *own == at))
    };
    let undone = |step: &StepState| {
        let back = |undo: &UndoState| matches!(undo.parts.get(&Part::Restore), Some(UndoStatus::Done { .. }));
        !step.undos.is_empty() && step.undos.values().all(back)
    };
    let here = state.steps.iter().filter(|(_, step)| step.command.host == *host && has_begun_to_change(step));
    here.into_iter().any(|(key, step)| !within(key) && !key.task.is_of_bracket() && !undone(step))
}

/// What is left to undo of one task and all that it started; of a host's, with what was done there earlier where something follows.
#[must_use]
pub fn task(state: &RunState, before: &[Before], path: &TaskPath) -> Vec<Work> {
    let whole = Whole::new(state, before);
    match (path.parent(), HostName::parse(path.leaf())) {
        (Some(key), Ok(host)) => branch(&whole, &key, path, &host),
        _ => of(&whole, whole.items(path)),
    }
}

fn of<'a>(whole: &Whole<'a>, items: &'a [Item]) -> Vec<Work> {
    let mut undoing = Undoing::new(whole);
    undoing.collect(items);
    undoing.finish()
}

/// The part of one host in a fork, with what was done there before it.
fn branch(whole: &Whole<'_>, key: &StepKey, path: &TaskPath, host: &HostName) -> Vec<Work> {
    let mut undoing = Undoing::of_host(whole, host);
    undoing.collect(whole.items(path));
    let around = whole.items(&key.task);
    let at = around.iter().position(|item| *item == Item::Enter(key.clone())).unwrap_or_default();
    undoing.pull(around.get(..at).unwrap_or_default());
    undoing.finish()
}

fn step(undoing: &mut Undoing<'_, '_>, key: &StepKey) {
    let Undoing { whole, back, follow, checks, .. } = undoing;
    let Whole { state, before, .. } = *whole;
    let Some(step) = to_undo(whole, key) else { return };
    let surely = surely_kept(step);
    for (n, undo) in step.undos.iter().rev() {
        let work = |part, action| Work::Do { key: key.clone(), n: *n, part, at: step.command.login(), action };
        let open = |part| !matches!(undo.parts.get(&part), Some(UndoStatus::Done { .. }));
        // A command that failed is run again, not found by its old receipt.
        let receipt = |first: u32| key.save(first + n + 10_000 * undo.failures);
        // Of one that was in doubt, a person said that it is done, or had it done again: under which receipt does not matter.
        let of = |of: &Option<SaveId>| of.clone().filter(|_| !state.decided.contains_key(key));
        let push = |list: &mut Vec<Work>, part, action| {
            if open(part) {
                list.push(work(part, action));
            }
        };
        let well = |list: &mut Vec<Work>, unit: Option<ServiceUnit>| {
            let follows = unit.as_ref().map_or(Follows::Anything, Follows::Service);
            let checks = health(before, &step.command.login(), follows);
            if !checks.is_empty() {
                push(list, Part::Health, Action::Health { unit, checks });
            }
        };
        match &undo.undo {
            // Before anything of its block is undone from here, the host must not begin to do it by itself.
            Compensation::Restore { save } if step.command.op == GuardArm::WORD => {
                if open(Part::Restore) {
                    back.insert(0, work(Part::Restore, restore(save, false)));
                }
            }
            Compensation::Restore { save } => {
                push(back, Part::Restore, restore(save, surely));
                let (resumed, looked_at) = not_come_to(whole, (key, *n), save);
                follow.extend(resumed.filter(|_| open(Part::Follow)));
                checks.extend(looked_at.filter(|_| open(Part::Health)));
            }
            Compensation::RestoreService { save } => {
                if !step.is_void() {
                    push(back, Part::Restore, restore(save, surely));
                }
                push(follow, Part::Follow, resume(save, acts_on(step).into_iter().collect()));
                if !rests(undo) && !SERVICE_AT_BOOT.contains(&step.command.op.as_str()) {
                    well(checks, step.unit());
                }
            }
            Compensation::Command { command, of: first } => {
                push(back, Part::Restore, again(command, of(first), receipt(1000)));
            }
            Compensation::Again { command, of: first } => {
                push(follow, Part::Follow, again(command, of(first), receipt(2000)));
                well(checks, None);
            }
            Compensation::Reboot { of, within_millis, message } => {
                push(follow, Part::Follow, reboot(of, *within_millis, message.as_ref(), receipt(3000)));
                well(checks, None);
            }
            Compensation::End { receipt } if step.status == StepStatus::Started => {
                push(back, Part::Restore, Action::Effect(Effect::End { receipt: receipt.clone() }));
            }
            // What the new version was to fulfil says nothing of the old one.
            Compensation::End { .. } | Compensation::Check { .. } => {}
            Compensation::Closure { name } => push(back, Part::Restore, Action::Closure { name: name.clone() }),
        }
    }
}

/// Whether a service was not to run again when an attempt was undone: it is not looked at since others run again.
fn rests(undo: &UndoState) -> bool {
    matches!(undo.parts.get(&Part::Follow), Some(UndoStatus::Done { changed: false }))
}

/// A step, when it comes for the first time and something of it may be left to do.
fn to_undo<'a>(whole: &Whole<'a>, key: &StepKey) -> Option<&'a StepState> {
    let open = whole.takes(key) && !whole.state.settled.contains_key(key);
    let step = whole.state.steps.get(key).filter(|_| open)?;
    // Of one that its host was never reached for, the service may have been started by others on what the run made before.
    let started = || acts_on(step).is_some() && whole.has_changes(&step.command.host);
    (!step.is_void() || started()).then_some(step)
}

/// Services that the run did not come to run again, with what must hold then.
fn not_come_to(whole: &Whole<'_>, (key, n): (&StepKey, u32), save: &SaveId) -> (Option<Work>, Option<Work>) {
    let Some((at, units)) = whole.anew.get(&(key.clone(), n)) else { return (None, None) };
    let work = |part, action| Work::Do { key: key.clone(), n, part, at: at.clone(), action };
    // Of several, one may not even be there yet; of one that an `attempt` brought back, it is known.
    let known = |unit: &ServiceUnit| units.len() == 1 || runs_again(whole.state, &at.host, unit);
    let held = |unit| health(whole.before, at, Follows::Service(unit)).into_iter();
    let checks: Vec<_> = units.iter().flat_map(|unit| held(unit).filter(move |held| known(unit) || !held.is_only_up())).collect();
    let unit = units.first().cloned();
    let health = (!checks.is_empty()).then(|| work(Part::Health, Action::Health { unit, checks }));
    (Some(work(Part::Follow, resume(save, units.clone()))), health)
}

/// Whether undoing made a service run again that ran before.
fn runs_again(state: &RunState, host: &HostName, unit: &ServiceUnit) -> bool {
    let resumed = |undo: &UndoState| matches!(undo.parts.get(&Part::Follow), Some(UndoStatus::Done { changed: true }));
    let mut here = state.steps.values().filter(|step| step.command.host == *host && acts_on(step).as_ref() == Some(unit));
    here.any(|step| step.undos.values().any(resumed))
}

/// What may be overwritten is decided when it is performed.
fn restore(save: &SaveId, surely: bool) -> Action {
    Action::Effect(Effect::Restore { save: save.clone(), surely, overwrite: Overwrite::Nothing })
}

/// What ran runs again. How long the run goes on is known when it is performed.
fn resume(save: &SaveId, units: Vec<ServiceUnit>) -> Action {
    Action::Effect(Effect::Resume { save: save.clone(), units, run_millis: 0 })
}

/// A host's restart that follows one of the run's own.
fn reboot(of: &SaveId, within_millis: u64, message: Option<&String>, save: SaveId) -> Action {
    let (message, after) = (message.cloned(), Some(of.clone()));
    Action::Effect(Effect::Reboot { within_millis, message, begun: false, save, after })
}

/// Whether its host surely kept something: of a step that made one change, it did.
fn surely_kept(step: &StepState) -> bool {
    let keeps = |undo: &&UndoState| matches!(undo.undo, Compensation::Restore { .. } | Compensation::RestoreService { .. });
    let changed = matches!(&step.status, StepStatus::Succeeded { outcome: Outcome::Changed, .. });
    changed && step.undos.values().filter(keeps).count() == 1
}

/// A command that undoes or follows, where the one that it is for began.
fn again(command: &Invocation, of: Option<SaveId>, receipt: SaveId) -> Action {
    let (command, contract) = (command.clone(), Box::default());
    Action::Effect(Effect::Exec { command, receipt, after: of, keeps: Vec::new(), contract })
}

fn fork(whole: &Whole<'_>, key: &StepKey) -> Option<Work> {
    let (Group::Fork { word, batches }, _) = whole.state.groups.get(key)? else { return None };
    let one = |host: &HostName| {
        let path = key.task.child(key.n, word, host.as_str());
        let work = branch(whole, key, &path, host);
        (!work.is_empty()).then_some((path, host.clone(), work))
    };
    let batches: Vec<_> = batches.iter().rev().map(|hosts| hosts.iter().filter_map(one).collect::<Vec<_>>()).collect();
    let batches: Vec<_> = batches.into_iter().filter(|batch| !batch.is_empty()).collect();
    (!batches.is_empty()).then(|| Work::Fork { word: word.clone(), batches })
}

/// Of several restarts of one service, or of one check made twice, the last is enough.
fn last_of_each(list: Vec<Work>) -> Vec<Work> {
    let mut kept: Vec<Work> = Vec::new();
    for work in list.into_iter().rev() {
        if !kept.iter().any(|other| is_same(other, &work)) {
            kept.push(work);
        }
    }
    kept.reverse();
    kept
}

fn is_same(one: &Work, other: &Work) -> bool {
    let (Work::Do { at: a, action: x, .. }, Work::Do { at: b, action: y, .. }) = (one, other) else { return false };
    match (x, y) {
        // Saves of one service differ in name; which service it is stands on the host. Each is done: a restart twice is safe.
        (Action::Health { .. }, Action::Health { .. }) => a == b && x == y,
        _ => false,
    }
}

#[cfg(test)]
mod anew_tests;
#[cfg(test)]
mod tests;
