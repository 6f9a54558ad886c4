//! Performs what the saga says is to be undone, and writes down how each part ended.

use super::conductor::Run;
use crate::effect::{Login, Reply};
use crate::id::{HostName, StepKey, TaskPath};
use crate::journal::{Entry, Part};
use crate::saga::{Action, Work};
use crate::script::Task;
use crate::step::{ErrorKind, StepError};
use std::collections::BTreeSet;
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
    /// Hosts on which something that ran before runs again.
    pub(super) resumed: BTreeSet<HostName>,
}

/// Undoes this, in this order. A host that cannot be reached is left out from then on; a compensation that fails ends
/// the unwinding of its task.
pub(super) fn unwind(run: &Run, work: &[Work]) -> Unwound {
    let mut end = Unwound::default();
    for work in work {
        if run.interrupt.is_stopped() {
            end.interrupted = true;
            return end;
        }
        match work {
            Work::Do { at, .. } if end.debts.contains(&at.host) => {
                end.owe(run, work);
            }
            Work::Do { key, n, part, at, action } => {
                if let Err(error) = end.perform(run, key, *n, *part, at, action) {
                    end.stuck.push(error);
                    return end;
                }
            }
            Work::Fork { batches, .. } => {
                for batch in batches {
                    end.merge(at_once(run, batch));
                }
                if !end.stuck.is_empty() || end.interrupted {
                    return end;
                }
            }
        }
    }
    end
}

fn at_once(run: &Run, batch: &[(TaskPath, HostName, Vec<Work>)]) -> Vec<Unwound> {
    thread::scope(|scope| {
        let spawn = |work: &'_ Vec<Work>| {
            let work = work.clone();
            thread::Builder::new().stack_size(4 << 20).spawn_scoped(scope, move || unwind(run, &work))
        };
        let threads: Vec<_> = batch.iter().map(|(_, host, work)| (host, spawn(work))).collect();
        let broken = |host: &HostName| {
            let error = StepError::new(ErrorKind::Internal, format!("the unwinding of {host} ended by a defect"));
            Unwound { stuck: vec![error], ..Unwound::default() }
        };
        let join = |(host, thread): (&HostName, std::io::Result<thread::ScopedJoinHandle<'_, Unwound>>)| match thread {
            Ok(thread) => thread.join().unwrap_or_else(|_| broken(host)),
            Err(_) => broken(host),
        };
        threads.into_iter().map(join).collect()
    })
}

impl Unwound {
    fn merge(&mut self, ends: Vec<Self>) {
        for end in ends {
            self.stuck.extend(end.stuck);
            self.debts.extend(end.debts);
            self.restored += end.restored;
            self.interrupted |= end.interrupted;
            self.resumed.extend(end.resumed);
        }
    }

    fn perform(&mut self, run: &Run, key: &StepKey, n: u32, part: Part, at: &Login, action: &Action) -> Result<(), StepError> {
        let host = &at.host;
        if matches!(action, Action::Check { .. }) && !self.resumed.contains(host) {
            return Ok(());
        }
        run.writer.commit(vec![Entry::UndoStarted { key: key.clone(), n, part }])?;
        match self.act(run, key, n, at, action) {
            Ok(changed) => {
                self.restored += u32::from(changed && part == Part::Restore);
                if changed && part == Part::Follow {
                    self.resumed.insert(host.clone());
                }
                run.writer.submit(vec![Entry::Undone { key: key.clone(), n, part, changed }]).map(drop)
            }
            Err(error) if error.kind == ErrorKind::Ledger => Err(error),
            Err(mut error) => {
                error.host.get_or_insert_with(|| host.clone());
                run.writer.submit(vec![Entry::UndoFailed { key: key.clone(), n, part, error: error.clone() }])?;
                if matches!(error.kind, ErrorKind::Unreachable | ErrorKind::Lost) && !host.is_controller() {
                    self.debts.insert(host.clone());
                    return Ok(());
                }
                error.message = format!("step {key} could not be undone: {}", error.message);
                Err(error)
            }
        }
    }

    fn act(&self, run: &Run, key: &StepKey, n: u32, at: &Login, action: &Action) -> Result<bool, StepError> {
        match action {
            Action::Effect(effect) => match run.effects.perform(at, effect) {
                Ok(Reply::Done { changed, .. }) => Ok(changed),
                Ok(Reply::Command(result)) if result.code != 0 => {
                    let stderr = String::from_utf8_lossy(result.stderr.bytes()).into_owned();
                    Err(StepError::failed(format!("the command that undoes it ended with exit status {}", result.code))
                        .with_stderr(stderr))
                }
                Ok(_) => Ok(true),
                Err(error) => Err(super::port::explain(&at.host, error)),
            },
            Action::Check { op, args } => run.check(key, at, op, args).map(|()| true),
            Action::Closure { name } => {
                let gone = || {
                    StepError::new(
                        ErrorKind::Internal,
                        format!("the script's undo `{name}` of step {key} was not found by replaying it"),
                    )
                };
                let closure = run.closure(key).ok_or_else(gone)?;
                let task = Task::new(key.task.child(key.n, "undo", &n.to_string()), None);
                closure(&task).map(|()| true)
            }
        }
    }

    /// Writes down that this part of an unreachable host is owed.
    fn owe(&mut self, run: &Run, work: &Work) {
        let Work::Do { key, n, part, at, action } = work else { return };
        if matches!(action, Action::Check { .. }) {
            return;
        }
        let error = StepError::new(ErrorKind::Unreachable, format!("{} could not be reached", at.host));
        let started = Entry::UndoStarted { key: key.clone(), n: *n, part: *part };
        // When the ledger fails here, the end of the run says so.
        let _ = run.writer.submit(vec![started, Entry::UndoFailed { key: key.clone(), n: *n, part: *part, error }]);
    }
}
