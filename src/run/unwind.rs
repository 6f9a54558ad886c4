//! Performs what the saga says is to be undone, and writes down how each part ended.

use super::conductor::Run;
use super::{bracket, drift};
use crate::effect::{Effect, Login, Postcondition, Reply, ServiceUnit};
use crate::id::{HostName, RemotePath, StepKey, TaskPath};
use crate::interp::turns;
use crate::journal::{BracketSide, Entry, LEFT_AS_IT_IS, Part, RunState, UndoStatus};
use crate::saga::{self, Action, Batch, Work};
use crate::script::Task;
use crate::step::{ErrorKind, StepError};
use std::collections::{BTreeMap, BTreeSet};
use std::thread;

/// How unwinding ended.
#[derive(Debug, Default)]
pub(super) struct Unwound {
    /// Compensations that failed: a person has to look.
    pub(super) stuck: Vec<StepError>,
    /// Hosts that could not be reached: their part is owed.
    pub(super) debts: BTreeSet<HostName>,
    /// How many parts had something to do.
    pub(super) restored: u32,
    /// Whether a person asked it to stop.
    pub(super) interrupted: bool,
    /// Hosts that keep what the run made, since undoing stopped at others before it came to them.
    pub(super) left: BTreeSet<HostName>,
    /// Hosts that are left as they are, since a bracket around them could not be opened again: with the reason.
    pub(super) shut: Shut,
}

/// Hosts behind a bracket that could not be opened, each with the reason.
pub(super) type Shut = BTreeMap<HostName, String>;

/// Undoes this, in this order. A host that cannot be reached is left out from then on; a compensation that fails ends
/// the unwinding of its task, but for files that have nothing to do with it.
pub(super) fn unwind(run: &Run, work: &[Work]) -> Unwound {
    behind(run, work, Shut::new())
}

/// Undoes this, but for what is on hosts behind a bracket that could not be opened: that is owed.
fn behind(run: &Run, work: &[Work], shut: Shut) -> Unwound {
    let mut end = Unwound { shut, ..Unwound::default() };
    let mut stuck = Vec::new();
    for work in work {
        if run.interrupt.is_stopped() {
            end.interrupted = true;
            return end;
        }
        if !end.stuck.is_empty() {
            match files(run, work) {
                Some(paths) if apart(&stuck, &paths) => {}
                Some(paths) => {
                    stuck.extend(paths);
                    continue;
                }
                None => return end,
            }
        }
        match work {
            Work::Do { at, .. } if end.debts.contains(&at.host) || end.shut.contains_key(&at.host) => {
                end.owe(run, work);
            }
            // Which hosts it speaks to is not known, and what came later on those is not undone.
            Work::Do { action: Action::Closure { .. }, .. } if !end.shut.is_empty() => end.owe(run, work),
            Work::Bracket { key, .. } if end.is_shut(run, key) => {}
            Work::Do { key, n, part, at, action } => {
                if let Err(error) = end.perform(run, key, *n, *part, at, action) {
                    let lost = matches!(error.kind, ErrorKind::Ledger | ErrorKind::Fenced);
                    end.stuck.push(error);
                    match files(run, work).filter(|_| !lost) {
                        Some(paths) => stuck.extend(paths),
                        None => return end,
                    }
                }
            }
            Work::Bracket { key, side } => {
                if let Err(error) = end.bracket(run, key, *side) {
                    end.stuck.push(error);
                    return end;
                }
            }
            Work::Fork { batches, .. } => {
                end.fork(run, batches);
                if !end.stuck.is_empty() || end.interrupted {
                    return end;
                }
            }
        }
    }
    end
}

/// The files and links that this puts back, where it is nothing else. A directory may take others with it.
fn files(run: &Run, work: &Work) -> Option<Vec<(HostName, RemotePath)>> {
    let Work::Do { key, part: Part::Restore, at, action: Action::Effect(Effect::Restore { .. }), .. } = work else { return None };
    let file = |made: &Postcondition| match made {
        Postcondition::Active { .. } | Postcondition::Enabled { .. } | Postcondition::Directory { .. } => None,
        other => other.path().map(|path| (at.host.clone(), path.clone())),
    };
    let makes = |state: &RunState| -> Option<Vec<_>> {
        let step = state.steps.get(key)?;
        step.undos.values().flat_map(|undo| &undo.makes).map(file).collect()
    };
    run.writer.state(makes).filter(|paths| !paths.is_empty())
}

/// Whether no path of the one list lies in one of the other. What is below a home is not known to lie elsewhere.
fn apart(some: &[(HostName, RemotePath)], others: &[(HostName, RemotePath)]) -> bool {
    let within = |one: &str, other: &str| one.strip_prefix(other).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let touch = |(host, one): &(HostName, RemotePath), (there, other): &(HostName, RemotePath)| {
        let (one, other) = (one.as_str(), other.as_str());
        host == there && (one.starts_with('~') != other.starts_with('~') || within(one, other) || within(other, one))
    };
    !some.iter().any(|one| others.iter().any(|other| touch(one, other)))
}

fn at_once(run: &Run, batch: &Batch, shut: &Shut) -> Vec<Unwound> {
    let seats = turns::side_by_side(batch.len());
    let ends = thread::scope(|scope| {
        let spawn = |work: &'_ Vec<Work>, seat: turns::Seat| {
            let (work, shut) = (work.clone(), shut.clone());
            thread::Builder::new().stack_size(4 << 20).spawn_scoped(scope, move || seat.within(|| behind(run, &work, shut)))
        };
        let threads: Vec<_> = batch.iter().zip(seats).map(|((_, host, work), seat)| (host, spawn(work, seat))).collect();
        let broken = |host: &HostName| {
            let error = StepError::new(ErrorKind::Internal, format!("the unwinding of {host} ended by a defect"));
            Unwound { stuck: vec![error], ..Unwound::default() }
        };
        let join = |(host, thread): (&HostName, std::io::Result<thread::ScopedJoinHandle<'_, Unwound>>)| match thread {
            Ok(thread) => thread.join().unwrap_or_else(|_| broken(host)),
            Err(_) => broken(host),
        };
        threads.into_iter().map(join).collect()
    });
    turns::again();
    ends
}

impl Unwound {
    fn merge(&mut self, ends: Vec<Self>) {
        for end in ends {
            self.stuck.extend(end.stuck);
            self.debts.extend(end.debts);
            self.restored += end.restored;
            self.interrupted |= end.interrupted;
            self.left.extend(end.left);
            self.shut.extend(end.shut);
        }
    }

    /// Batch after batch. Where one does not get well, the next ones are not touched: they serve, and might not get well either.
    fn fork(&mut self, run: &Run, batches: &[Batch]) {
        for (at, batch) in batches.iter().enumerate() {
            let ends = at_once(run, batch, &self.shut);
            self.merge(ends);
            if self.interrupted {
                return;
            }
            if !self.stuck.is_empty() {
                let rest = batches.iter().skip(at + 1).flatten();
                self.left.extend(rest.map(|(_, host, _)| host.clone()));
                return;
            }
        }
    }

    fn perform(&mut self, run: &Run, key: &StepKey, n: u32, part: Part, at: &Login, action: &Action) -> Result<(), StepError> {
        let host = &at.host;
        // Also by an earlier process, which may not have come to look.
        if let Action::Health { unit, .. } = action
            && !run.writer.state(|state| state.was_resumed(host, unit.as_ref(), (key, n)))
        {
            return Self::nothing_to_look_at(run, key, n, part);
        }
        let task = closure_task(run, key, n, part);
        run.still_holds()?;
        run.writer.commit(vec![Entry::UndoStarted { key: key.clone(), n, part }])?;
        match self.act(run, key, n, &task, at, action) {
            Ok(changed) => {
                self.restored += u32::from(changed && part == Part::Restore);
                run.writer.submit(vec![Entry::Undone { key: key.clone(), n, part, changed }]).map(drop)
            }
            Err(error) if matches!(error.kind, ErrorKind::Ledger | ErrorKind::Fenced) => {
                run.note(&error);
                Err(error)
            }
            // Left begun, to be done anew when it is taken up.
            Err(error) if error.kind == ErrorKind::Interrupted => {
                self.interrupted = true;
                Ok(())
            }
            Err(mut error) => {
                error.host.get_or_insert_with(|| host.clone());
                run.writer.submit(vec![Entry::UndoFailed { key: key.clone(), n, part, error: error.clone() }])?;
                // A closure of the script's own may speak to other hosts than the one that it was given on.
                if let Some(away) = error.away() {
                    self.debts.insert(away.clone());
                    return Ok(());
                }
                error.message = format!("step {key} could not be undone: {}", error.message);
                Err(error)
            }
        }
    }

    /// Of a look that was owed, since its host was away, and that nothing calls for any more.
    fn nothing_to_look_at(run: &Run, key: &StepKey, n: u32, part: Part) -> Result<(), StepError> {
        let owed = |state: &RunState| state.steps.get(key)?.undos.get(&n)?.parts.get(&part).cloned();
        if !matches!(run.writer.state(owed), Some(UndoStatus::Failed(_))) {
            return Ok(());
        }
        let started = Entry::UndoStarted { key: key.clone(), n, part };
        run.writer.submit(vec![started, Entry::Undone { key: key.clone(), n, part, changed: false }]).map(drop)
    }

    /// Opens a bracket again, or closes it. One of a host that cannot be reached is owed; so is one around a host that is away and
    /// not restored: its users are not sent there again.
    fn bracket(&mut self, run: &Run, key: &StepKey, side: BracketSide) -> Result<(), StepError> {
        let waits = |state: &RunState| {
            let owing = state.debts();
            saga::waits_for(state, key, |host| owing.contains(host))
        };
        if side == BracketSide::Leave && run.writer.state(waits) {
            return Ok(());
        }
        let result = match side {
            BracketSide::Enter => bracket::reopen(run, key),
            BracketSide::Leave => bracket::close(run, key),
        };
        match result {
            Err(error) if error.kind == ErrorKind::Interrupted => {
                self.interrupted = true;
                Ok(())
            }
            Err(error) if matches!(error.kind, ErrorKind::Unreachable | ErrorKind::Lost) => {
                if side == BracketSide::Enter {
                    self.shut(run, key, &error);
                }
                Ok(())
            }
            result => result,
        }
    }

    /// Whether a bracket stands around hosts that are left as they are, since it, or one around it, could not be opened.
    fn is_shut(&self, run: &Run, key: &StepKey) -> bool {
        !self.shut.is_empty()
            && run.writer.state(|state| saga::inside(state, key)).iter().any(|host| self.shut.contains_key(host))
    }

    /// What stands within a bracket that cannot be opened, since a host that opens it is away, is not touched: its users are still
    /// sent there.
    fn shut(&mut self, run: &Run, key: &StepKey, error: &StepError) {
        let around = |state: &RunState| {
            let name = state.obligations.get(key).map(|obligation| obligation.name.clone()).unwrap_or_default();
            (name, saga::inside(state, key))
        };
        let (name, hosts) = run.writer.state(around);
        let away = error.away().map(|host| format!(" ({host} could not be reached)")).unwrap_or_default();
        let why = format!("\"{name}\", which is around it, could not be opened again{away}");
        // Where it is one of its own hosts that is away, nobody is sent to that one; the others are restored.
        if error.away().is_none_or(|away| !hosts.contains(away)) {
            self.shut.extend(hosts.into_iter().map(|host| (host, why.clone())));
        }
    }

    fn act(&self, run: &Run, key: &StepKey, n: u32, task: &TaskPath, at: &Login, action: &Action) -> Result<bool, StepError> {
        match action {
            Action::Effect(effect) => {
                match crate::interp::within(key, || run.effects.perform(at, &run.undoing(key, n, at, effect))) {
                    Ok(Reply::Done { changed, .. }) => Ok(changed),
                    Ok(Reply::Command(result)) if result.code != 0 => {
                        let stderr = String::from_utf8_lossy(result.stderr.bytes()).into_owned();
                        Err(StepError::failed(format!("the command that undoes it ended with exit status {}", result.code))
                            .with_stderr(stderr))
                    }
                    Ok(_) => Ok(true),
                    Err(error) => Err(super::port::explain(&at.host, error)),
                }
            }
            Action::Health { unit, checks } => {
                let held = || checks.iter().try_for_each(|held| run.check(key, &held.at, &held.op, &held.args)).map(|()| true);
                held().or_else(|error| self.well_for_others(run, key, at, unit.as_ref(), error))
            }
            Action::Closure { name } => {
                let gone = || run.not_found(&format!("the script's undo `{name}` of step {key}"));
                let closure = run.closure(key).ok_or_else(gone)?;
                closure(&Task::new(task.clone(), None)).map(|()| true)
            }
        }
    }

    /// What runs before held says nothing where somebody else has changed what this run found: a service must be up then.
    fn well_for_others(
        &self,
        run: &Run,
        key: &StepKey,
        at: &Login,
        unit: Option<&ServiceUnit>,
        error: StepError,
    ) -> Result<bool, StepError> {
        if error.kind != ErrorKind::Failed {
            return Err(error);
        }
        let made = run.writer.state(RunState::clone);
        let made = run.ledger.made_before(&run.id, &made, &at.host).unwrap_or_default();
        let Some(other) = drift::first_of(&made, key, run.effects.as_ref()) else { return Err(error) };
        tracing::info!(host = %at.host, %other, "what the run before held is not asked for: somebody else made what is there");
        let Some(unit) = unit else { return Ok(true) };
        let up = saga::up(at, unit);
        run.check(key, &up.at, &up.op, &up.args).map(|()| true)
    }

    /// Writes down that this part of an unreachable host is owed.
    fn owe(&mut self, run: &Run, work: &Work) {
        let Work::Do { key, n, part, at, action } = work else { return };
        let closure = matches!(action, Action::Closure { .. }).then(|| self.shut.first_key_value()).flatten();
        let why = match self.shut.get_key_value(&at.host).or(closure) {
            Some((host, why)) => format!("{host} {LEFT_AS_IT_IS} {why}"),
            None => format!("{} could not be reached", at.host),
        };
        let error = StepError::new(ErrorKind::Unreachable, why);
        self.debts.insert(at.host.clone());
        let started = Entry::UndoStarted { key: key.clone(), n: *n, part: *part };
        // When the ledger fails here, the end of the run says so.
        let _ = run.writer.submit(vec![started, Entry::UndoFailed { key: key.clone(), n: *n, part: *part, error }]);
    }
}

/// The task of an undo's closure. One that was cut off goes on where it was; one that failed begins anew, in a task of its
/// own: the failure is on record in the old one.
fn closure_task(run: &Run, key: &StepKey, n: u32, part: Part) -> TaskPath {
    run.writer.state(|state| {
        let attempt = |a: u32| {
            let branch = if a == 1 { n.to_string() } else { format!("{n}.{a}") };
            key.task.child(key.n, "undo", &branch)
        };
        let mut last = 1;
        while state.tasks.contains_key(&attempt(last + 1)) {
            last += 1;
        }
        let undo = state.steps.get(key).and_then(|step| step.undos.get(&n));
        let failed = undo.is_some_and(|undo| matches!(undo.parts.get(&part), Some(UndoStatus::Failed(_))));
        attempt(if failed && state.tasks.contains_key(&attempt(last)) { last + 1 } else { last })
    })
}
