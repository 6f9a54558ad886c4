//! One run: the place where it is decided, once, whether a step is handed back from the journal or is new work.

use super::port::{Keeps, Port};
use super::unwind::unwind;
use super::writer::Writer;
use crate::effect::{Compensation, Effects, Login};
use crate::event::{Event, Watcher};
use crate::id::{HostName, StepKey, TaskPath};
use crate::journal::{Cursor, Entry, Group, Recorded, RunState};
use crate::op::{AnyOperation, Registry, StepContext};
use crate::saga;
use crate::script::{Branch, Conductor, ForkSpec, Task, UndoClosure};
use crate::step::{Command, ErrorKind, Outcome, Site, StepError};
use crate::stop::Stop;
use serde_json::Value;
use similar::TextDiff;
use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, TryLockError};
use std::time::{Duration, Instant};

/// What becomes of a step that has no record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It is performed.
    Perform,
    /// The replay ends there: only the closures of an unfinished run were wanted.
    ReplayOnly,
}

/// A run under way.
pub(super) struct Run {
    pub(super) writer: Writer,
    pub(super) cursor: Cursor,
    pub(super) effects: Arc<dyn Effects>,
    pub(super) registry: Arc<Registry>,
    pub(super) watcher: Arc<dyn Watcher>,
    pub(super) mode: Mutex<Mode>,
    /// A person asked to stop: no new step begins.
    pub(super) interrupt: Stop,
    pub(super) closures: Mutex<BTreeMap<StepKey, UndoClosure>>,
    /// What runs once, by name, and how it ended.
    pub(super) once: Mutex<BTreeMap<String, OnceCell>>,
    /// That a host refused this run as an earlier holder of the lock: no task does anything more.
    pub(super) fenced: OnceLock<StepError>,
}

type OnceCell = Arc<Mutex<Option<Result<(), StepError>>>>;

impl Run {
    /// Refuses new work while the run is to stop.
    pub(super) fn may_begin(&self) -> Result<(), StepError> {
        if self.mode() == Mode::ReplayOnly {
            return Err(StepError::new(ErrorKind::Interrupted, "the replay has reached the end of the journal"));
        }
        self.still_holds()?;
        if self.interrupt.is_stopped() {
            return Err(StepError::new(ErrorKind::Interrupted, "the run was asked to stop"));
        }
        Ok(())
    }

    /// Refuses all work once a host has refused this run.
    pub(super) fn still_holds(&self) -> Result<(), StepError> {
        self.fenced.get().map_or(Ok(()), |error| Err(error.clone()))
    }

    /// Has all tasks end when this is a host's refusal.
    pub(super) fn note(&self, error: &StepError) {
        if error.kind == ErrorKind::Fenced {
            // The first one is told.
            let _ = self.fenced.set(error.clone());
        }
    }

    pub(super) fn mode(&self) -> Mode {
        *self.mode.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on steps are performed: an undo's closure has steps of its own.
    pub(super) fn begin_unwinding(&self) {
        *self.mode.lock().unwrap_or_else(PoisonError::into_inner) = Mode::Perform;
    }

    fn perform(
        &self,
        key: &StepKey,
        command: &Command,
        operation: &dyn AnyOperation,
        recorded: &Recorded,
    ) -> Result<Value, StepError> {
        let summary = operation.summary();
        let begun = *recorded == Recorded::InDoubt;
        let port = Port {
            key,
            command,
            summary: &summary,
            effects: self.effects.as_ref(),
            writer: &self.writer,
            watcher: self.watcher.as_ref(),
            started: AtomicBool::new(begun),
            begun,
            sent: AtomicBool::new(*recorded == Recorded::InDoubt),
            keeps: Keeps::Records,
        };
        let event =
            Event::Began { key: key.clone(), host: command.host.clone(), op: command.op.clone(), summary: summary.clone() };
        self.watcher.see(&event);
        let clock = Instant::now();
        let mut context = StepContext::new(&command.host, key, &port);
        let result = operation.run(&mut context).map_err(|error| port.judge(error).at(command));
        result.as_ref().err().inspect(|error| self.note(error));
        let millis = u64::try_from(clock.elapsed().as_millis()).unwrap_or(u64::MAX);
        let end = match &result {
            // Left without an end, for a resume to settle: the run stops here.
            Err(error)
                if matches!(
                    error.kind,
                    ErrorKind::Interrupted | ErrorKind::Ledger | ErrorKind::Fenced | ErrorKind::Internal | ErrorKind::InDoubt
                ) =>
            {
                None
            }
            Err(error) => Some(Entry::Failed { key: key.clone(), error: error.clone(), millis }),
            Ok(output) => Some(succeeded(key, output, &context, millis)),
        };
        if let Some(end) = end {
            let entries = port.start_entry().into_iter().chain([end]).collect();
            self.writer.submit(entries)?;
        }
        result
    }

    fn enter(&self, task: &Task, group: Group) -> Result<StepKey, StepError> {
        let key = task.next_key();
        if self.cursor.group(&key).is_none() {
            self.may_begin()?;
            self.writer.submit(vec![Entry::GroupEntered { key: key.clone(), group }])?;
        }
        Ok(key)
    }

    /// Runs a check by its name, without records of its own.
    pub(super) fn check(&self, key: &StepKey, at: &Login, op: &str, args: &Value) -> Result<(), StepError> {
        let unknown = || StepError::new(ErrorKind::Internal, format!("there is no primitive `{op}`"));
        let operation = self
            .registry
            .get(op)
            .ok_or_else(unknown)?
            .parse(args.clone())
            .map_err(|error| StepError::bad_input(error.message))?;
        let command = Command {
            op: op.to_owned(),
            host: at.host.clone(),
            user: at.user.clone(),
            args: args.clone(),
            site: Site::default(),
        };
        let summary = operation.summary();
        let port = Port {
            key,
            command: &command,
            summary: &summary,
            effects: self.effects.as_ref(),
            writer: &self.writer,
            watcher: self.watcher.as_ref(),
            started: AtomicBool::new(true),
            begun: false,
            sent: AtomicBool::new(false),
            keeps: Keeps::Nothing,
        };
        operation.run(&mut StepContext::new(&at.host, key, &port)).map(drop).map_err(|error| error.at(&command))
    }

    pub(super) fn closure(&self, key: &StepKey) -> Option<UndoClosure> {
        self.closures.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }
}

fn succeeded(key: &StepKey, output: &Value, context: &StepContext<'_>, millis: u64) -> Entry {
    const LONGEST: usize = 16 << 10;
    let diff = context.diff().map(|diff| {
        let text = TextDiff::from_lines(&diff.before, &diff.after);
        let mut unified = text.unified_diff().context_radius(3).header(&diff.path, &diff.path).to_string();
        if unified.len() > LONGEST {
            let cut = unified.floor_char_boundary(LONGEST);
            unified.truncate(cut);
            unified.push_str("\n… (cut)\n");
        }
        unified
    });
    let outcome = context.outcome().clone();
    Entry::Succeeded { key: key.clone(), output: output.clone(), outcome, millis, diff }
}

impl Conductor for Run {
    fn step(&self, task: &Task, command: Command, operation: &dyn AnyOperation) -> Result<Value, StepError> {
        let key = task.next_key();
        let recorded = self.cursor.find(&key, &command)?;
        if let Recorded::Ended(result) = recorded {
            return result;
        }
        self.may_begin().map_err(|error| error.at(&command))?;
        self.perform(&key, &command, operation, &recorded).map_err(|mut error| {
            // What fails in a host's task fails there, whatever primitive says so.
            error.host = error.host.or_else(|| task.host.clone());
            error
        })
    }

    fn enter_step(&self, task: &Task, name: &str) -> Result<StepKey, StepError> {
        self.enter(task, Group::Step { name: name.to_owned() })
    }

    fn enter_attempt(&self, task: &Task) -> Result<StepKey, StepError> {
        self.enter(task, Group::Attempt)
    }

    fn undo_attempt(&self, key: &StepKey) -> Result<(), StepError> {
        if self.mode() == Mode::ReplayOnly {
            return Ok(());
        }
        if self.writer.state(RunState::is_past_return) {
            return Err(StepError::new(ErrorKind::Halted, "an attempt failed behind a point of no return; nothing was undone"));
        }
        let work = self.writer.state(|state| saga::group(state, key));
        let end = unwind(self, &work);
        if let Some(stuck) = end.stuck.into_iter().next() {
            return Err(stuck);
        }
        if end.interrupted {
            return Err(StepError::new(ErrorKind::Interrupted, "the run was asked to stop"));
        }
        match end.debts.into_iter().next() {
            Some(host) => Err(StepError::new(
                ErrorKind::Unreachable,
                format!("{host} could not be reached to undo what was attempted there"),
            )),
            None => Ok(()),
        }
    }

    fn once(&self, name: &str, body: &dyn Fn(&Task) -> Result<(), StepError>) -> Result<(), StepError> {
        let cell = self.once.lock().unwrap_or_else(PoisonError::into_inner).entry(name.to_owned()).or_default().clone();
        // Whoever holds the cell runs the body; the others wait here, for as long as nobody asks the run to stop.
        let mut end = loop {
            match cell.try_lock() {
                Ok(end) => break end,
                Err(TryLockError::Poisoned(end)) => break end.into_inner(),
                Err(TryLockError::WouldBlock) if self.interrupt.is_stopped() => {
                    return Err(StepError::new(
                        ErrorKind::Interrupted,
                        format!("stopped while waiting for `{name}`, which runs once"),
                    ));
                }
                Err(TryLockError::WouldBlock) => std::thread::park_timeout(Duration::from_millis(20)),
            }
        };
        if let Some(result) = end.as_ref() {
            return result.clone();
        }
        let result = body(&Task::new(TaskPath::once(name), None));
        *end = Some(result.clone());
        result
    }

    fn leave(&self, key: &StepKey, failed: bool) -> Result<(), StepError> {
        if self.mode() == Mode::ReplayOnly || self.cursor.group(key).is_some_and(|(_, left)| *left) {
            return Ok(());
        }
        self.writer.submit(vec![Entry::GroupLeft { key: key.clone(), failed }]).map(drop)
    }

    fn on_undo(&self, task: &Task, name: &str, site: Site, closure: UndoClosure) -> Result<(), StepError> {
        let key = task.next_key();
        let host = task.host.clone().unwrap_or_else(HostName::controller);
        let command = Command { op: "on_undo".to_owned(), host, user: None, args: serde_json::json!({ "name": name }), site };
        self.closures.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone(), closure);
        let recorded = self.cursor.find(&key, &command)?;
        if matches!(recorded, Recorded::Ended(_)) {
            return Ok(());
        }
        self.may_begin()?;
        let start = Entry::Started { key: key.clone(), command, summary: name.to_owned() };
        let known = self.writer.state(|state| state.steps.get(&key).is_some_and(|step| !step.undos.is_empty()));
        let undo = Entry::Compensation { key: key.clone(), n: 1, undo: Compensation::Closure { name: name.to_owned() } };
        let end = Entry::Succeeded { key, output: Value::Null, outcome: Outcome::Unchanged, millis: 0, diff: None };
        let begun = recorded == Recorded::InDoubt;
        let entries = (!begun).then_some(start).into_iter().chain((!known).then_some(undo)).chain([end]).collect();
        self.writer.commit(entries)
    }

    fn fork(&self, task: &Task, spec: &ForkSpec, branch: &Branch<'_>) -> Result<Vec<(HostName, StepError)>, StepError> {
        super::fork::fork(self, task, spec, branch)
    }
}
