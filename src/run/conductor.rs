//! One run: the place where it is decided, once, whether a step is handed back from the journal or is new work.

use super::bracket;
use super::capture::capture;
use super::port::{Keeps, Port};
use super::unwind::unwind;
use super::writer::Writer;
use crate::effect::{Compensation, Content, Effect, Effects, Login};
use crate::event::{Event, Holds, Watcher};
use crate::id::{HostName, RemotePath, RunId, StepKey, TaskPath};
use crate::interp::turns;
use crate::journal::{Cursor, Entry, Group, Recorded, RunPhase, RunState, group_divergence};
use crate::ledger::{Held, Ledger};
use crate::op::{AnyOperation, Registry, StepContext};
use crate::saga::{self, Before, Work};
use crate::script::{Bracket, Branch, Conductor, Finding, ForkSpec, Task, UndoClosure};
use crate::step::{Command, ErrorKind, Outcome, Site, StepError};
use crate::stop::Stop;
use serde_json::Value;
use similar::TextDiff;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};
use std::time::{Duration, Instant};

/// What becomes of a step that has no record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It is performed.
    Perform,
    /// The replay ends there: only the closures of an unfinished run were wanted.
    ReplayOnly,
}

/// What a replay of the script without new work has found.
#[derive(Debug, Default)]
pub(super) struct Scouted {
    /// Whether the script asks for more than is on record.
    pub(super) new_work: bool,
    /// The steps that the script asked for.
    pub(super) visited: BTreeSet<StepKey>,
    /// Where it asked for something else than is on record.
    pub(super) divergences: Vec<StepError>,
    /// The steps of which it is wanted what they put on their hosts.
    pub(super) wanted: BTreeSet<StepKey>,
    /// That, as far as it is found.
    pub(super) contents: BTreeMap<(StepKey, RemotePath), Content>,
    /// Steps of which it is not known whether they took effect.
    pub(super) doubts: Vec<StepKey>,
}

/// A run under way.
pub(super) struct Run {
    pub(super) id: RunId,
    pub(super) ledger: Arc<dyn Ledger>,
    pub(super) writer: Writer,
    pub(super) cursor: Cursor,
    pub(super) effects: Arc<dyn Effects>,
    pub(super) registry: Arc<Registry>,
    pub(super) watcher: Arc<dyn Watcher>,
    pub(super) mode: Mutex<Mode>,
    /// A person asked to stop: no new step begins.
    pub(super) interrupt: Stop,
    pub(super) closures: Mutex<BTreeMap<StepKey, UndoClosure>>,
    /// How brackets are opened and closed.
    pub(super) brackets: Mutex<BTreeMap<StepKey, bracket::Sides>>,
    /// What a replay found.
    pub(super) scouted: Mutex<Scouted>,
    /// Hosts that would take back by themselves what is changed there, and as whom.
    pub(super) guards: Mutex<BTreeMap<HostName, Login>>,
    /// What runs once, by name, and how it ended.
    pub(super) once: Mutex<BTreeMap<String, OnceCell>>,
    /// That a host refused this run as an earlier holder of the lock: no task does anything more.
    pub(super) fenced: OnceLock<StepError>,
    /// What a replay without new work ended of.
    pub(super) replayed: OnceLock<StepError>,
    /// The plan that it is held to.
    pub(super) held: OnceLock<Held>,
    /// Where the script goes on by something that nobody knows.
    pub(super) findings: Mutex<Vec<Finding>>,
    /// A step was left without an end, to be taken up again: so are the groups around it.
    pub(super) left_open: AtomicBool,
    /// Set when a person said that undoing may overwrite what others have put there.
    pub(super) over_drift: OnceLock<()>,
}

type OnceCell = Arc<Mutex<Option<Result<(), StepError>>>>;

impl Run {
    /// Refuses new work while the run is to stop.
    pub(super) fn may_begin(&self) -> Result<(), StepError> {
        self.must_perform()?;
        self.still_holds()?;
        if self.interrupt.is_stopped() {
            return Err(StepError::new(ErrorKind::Interrupted, "the run was asked to stop"));
        }
        Ok(())
    }

    /// Refuses a step that the plan does not have, before it begins. Undoing is not held: it goes back to what was there.
    fn hold(&self, key: &StepKey, command: &Command, summary: impl FnOnce() -> String) -> Result<(), StepError> {
        let Some(held) = self.held.get() else { return Ok(()) };
        let undoes = key.task.is_of_undo() || self.writer.state(|state| state.phase == Some(RunPhase::Unwinding));
        if undoes { Ok(()) } else { held.hold(key, command, &summary()) }
    }

    /// An effect that undoes a step, as it is performed.
    pub(super) fn undoing(&self, key: &StepKey, n: u32, at: &Login, effect: &Effect) -> Effect {
        let accepted = self.over_drift.get().is_some();
        self.writer.state(|state| super::overwrite::undoing(effect, state, (key, n), &at.host, accepted))
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

    /// Refuses records while nothing but a replay is wanted.
    pub(super) fn must_perform(&self) -> Result<(), StepError> {
        if self.is_performing() {
            return Ok(());
        }
        Err(StepError::new(ErrorKind::Interrupted, "the replay has reached the end of the journal"))
    }

    pub(super) fn is_performing(&self) -> bool {
        self.mode() == Mode::Perform
    }

    pub(super) fn scouted(&self) -> MutexGuard<'_, Scouted> {
        self.scouted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The error of a group where something else is on record.
    pub(super) fn diverged(&self, key: &StepKey, asked: &str) -> StepError {
        let error = group_divergence(self.cursor.state(), key, asked);
        self.scouted().divergences.push(error.clone());
        error
    }

    pub(super) fn mode(&self) -> Mode {
        *self.mode.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on steps are performed: an undo's closure has steps of its own.
    pub(super) fn begin_unwinding(&self) {
        *self.mode.lock().unwrap_or_else(PoisonError::into_inner) = Mode::Perform;
    }

    /// Performs a step. One that is in doubt is settled by its host where that is known there; else by what a person said.
    fn perform(
        &self,
        key: &StepKey,
        command: &Command,
        operation: &dyn AnyOperation,
        recorded: &Recorded,
    ) -> Result<Value, StepError> {
        let (repeats, is_done) = self.writer.state(|state| (state.repeats(key), state.is_assumed_done(key)));
        let mut result = self.perform_once(key, command, operation, recorded, 0);
        // What the script says may be repeated needs no person to say so.
        for repeat in 1..=repeats + u32::from(operation.may_repeat() && !is_done) {
            if !is_in_doubt(&result) {
                break;
            }
            result = self.perform_once(key, command, operation, &Recorded::InDoubt, repeat);
        }
        if is_done
            && is_in_doubt(&result)
            && let Some(output) = operation.assumed()
        {
            let end =
                Entry::Succeeded { key: key.clone(), output: output.clone(), outcome: Outcome::Changed, millis: 0, diff: None };
            self.writer.submit(vec![end])?;
            return Ok(output);
        }
        if result.as_ref().is_err_and(leaves_open) {
            self.left_open.store(true, Ordering::SeqCst);
        }
        result.map_err(|error| if error.kind == ErrorKind::InDoubt { self.doubtful(key, operation, error) } else { error })
    }

    /// Takes note of a step that a person has to decide about, and says how.
    fn doubtful(&self, key: &StepKey, operation: &dyn AnyOperation, mut error: StepError) -> StepError {
        self.scouted().doubts.push(key.clone());
        let can_be_assumed = operation.assumed().is_some();
        error.help = Some(if can_be_assumed {
            format!(
                "look at the host, then go on: `windlass resume RUN --assume-done '{key}'` when it took effect, \
                 `windlass resume RUN --again '{key}'` to have it done again; or go back: `windlass unwind RUN`"
            )
        } else {
            "look at the host, then `windlass resume RUN`, or go back: `windlass unwind RUN`".to_owned()
        });
        error
    }

    /// Takes note of a command that goes on without the run: whether it ends well is not known.
    fn left(&self, key: &StepKey, mut error: StepError) -> StepError {
        self.scouted().doubts.push(key.clone());
        error.message = format!("step {key} is in doubt: {}", error.message);
        error.help = Some(
            "`windlass resume RUN` asks the host how it ended, and goes on; `windlass unwind RUN` ends and undoes it".to_owned(),
        );
        error
    }

    fn perform_once(
        &self,
        key: &StepKey,
        command: &Command,
        operation: &dyn AnyOperation,
        recorded: &Recorded,
        repeats: u32,
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
            left: AtomicBool::new(false),
            repeats,
            keeps: Keeps::Records,
            guard: self.guards.lock().unwrap_or_else(PoisonError::into_inner).get(&command.host).cloned(),
        };
        let event =
            Event::Began { key: key.clone(), host: command.host.clone(), op: command.op.clone(), summary: summary.clone() };
        self.watcher.see(&event);
        let clock = Instant::now();
        let mut context = StepContext::new(&command.host, key, &port);
        let result = operation.run(&mut context).map_err(|error| port.judge(error).at(command));
        let result = result.map_err(|error| if port.left.load(Ordering::SeqCst) { self.left(key, error) } else { error });
        result.as_ref().err().inspect(|error| self.note(error));
        let millis = u64::try_from(clock.elapsed().as_millis()).unwrap_or(u64::MAX);
        let end = match &result {
            // Left without an end, for a resume to settle: the run stops here.
            Err(error) if leaves_open(error) => None,
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
        match self.cursor.group(&key) {
            Some((recorded, _)) if *recorded == group => {}
            None if !self.cursor.state().steps.contains_key(&key) => {
                self.may_begin()?;
                self.writer.submit(vec![Entry::GroupEntered { key: key.clone(), group }])?;
            }
            _ => {
                let asked = match &group {
                    Group::Step { name } => format!("step \"{name}\""),
                    _ => "an `attempt`".to_owned(),
                };
                return Err(self.diverged(&key, &asked));
            }
        }
        Ok(key)
    }

    /// Puts on record that a group was left, and for which hosts it was not done.
    pub(super) fn leave_without(&self, key: &StepKey, failed: bool, missed: Vec<HostName>) -> Result<(), StepError> {
        let goes_on = failed && (self.interrupt.is_stopped() || self.left_open.load(Ordering::SeqCst));
        if goes_on || self.mode() == Mode::ReplayOnly || self.cursor.group(key).is_some_and(|(_, left)| *left) {
            return Ok(());
        }
        self.writer.submit(vec![Entry::GroupLeft { key: key.clone(), failed, missed }]).map(drop)
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
            left: AtomicBool::new(false),
            repeats: 0,
            keeps: Keeps::Nothing,
            guard: None,
        };
        operation.run(&mut StepContext::new(&at.host, key, &port)).map(drop).map_err(|error| error.at(&command))
    }

    /// What is recorded of a step that the script asks for.
    fn find(&self, key: &StepKey, command: &Command) -> Result<Recorded, StepError> {
        let found = self.cursor.find(key, command);
        let mut scouted = self.scouted();
        scouted.visited.insert(key.clone());
        if let Err(error) = &found {
            scouted.divergences.push(error.clone());
        }
        found
    }

    /// Something that only the script can say was not come to when it was replayed; with what the replay ended of.
    pub(super) fn not_found(&self, what: &str) -> StepError {
        let why = self.replayed.get().map(|error| format!("; the replay ended of: {error}")).unwrap_or_default();
        StepError::new(ErrorKind::Internal, format!("{what} was not found by replaying the script{why}"))
    }

    /// What is left to undo, with what runs before held of the services that this one has acted on by now.
    pub(super) fn left_to_undo(&self, of: impl FnOnce(&RunState, &[Before]) -> Vec<Work>) -> Vec<Work> {
        let state = self.writer.state(RunState::clone);
        let before = self.ledger.before(&self.id, &state).unwrap_or_else(|error| {
            tracing::info!(%error, "what runs before held is not known");
            Vec::new()
        });
        of(&state, &before)
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

/// Whether a step that fails so gets no end: it is settled by whoever takes the run up.
fn leaves_open(error: &StepError) -> bool {
    matches!(
        error.kind,
        ErrorKind::Interrupted | ErrorKind::Ledger | ErrorKind::Fenced | ErrorKind::Internal | ErrorKind::InDoubt
    )
}

fn is_in_doubt(result: &Result<Value, StepError>) -> bool {
    matches!(result, Err(error) if error.kind == ErrorKind::InDoubt)
}

impl Conductor for Run {
    fn step(&self, task: &Task, command: Command, operation: &dyn AnyOperation) -> Result<Value, StepError> {
        let key = task.next_key();
        let recorded = self.find(&key, &command)?;
        if let Recorded::Ended(result) = recorded {
            capture(self, &key, &command, operation);
            return result;
        }
        self.may_begin().map_err(|error| error.at(&command))?;
        self.hold(&key, &command, || operation.summary())?;
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
        let work = self.left_to_undo(|state, before| saga::group(state, before, key));
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

    fn enter_bracket(&self, task: &Task, bracket: Bracket) -> Result<StepKey, StepError> {
        bracket::enter(self, task, bracket)
    }

    fn leave_bracket(&self, _: &Task, key: &StepKey) -> Result<(), StepError> {
        bracket::leave(self, key)
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
                Err(TryLockError::WouldBlock) if turns::has_turns() => turns::pass(),
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
        self.leave_without(key, failed, Vec::new())
    }

    fn on_undo(&self, task: &Task, name: &str, site: Site, closure: UndoClosure) -> Result<(), StepError> {
        let key = task.next_key();
        let host = task.host.clone().unwrap_or_else(HostName::controller);
        let command = Command { op: "on_undo".to_owned(), host, user: None, args: serde_json::json!({ "name": name }), site };
        self.closures.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone(), closure);
        let recorded = self.find(&key, &command)?;
        if matches!(recorded, Recorded::Ended(_)) {
            return Ok(());
        }
        self.may_begin()?;
        self.hold(&key, &command, || name.to_owned())?;
        let start = Entry::Started { key: key.clone(), command, summary: name.to_owned() };
        let known = self.writer.state(|state| state.steps.get(&key).is_some_and(|step| !step.undos.is_empty()));
        let undo = Entry::compensation(key.clone(), 1, Compensation::Closure { name: name.to_owned() });
        let end = Entry::Succeeded { key, output: Value::Null, outcome: Outcome::Unchanged, millis: 0, diff: None };
        let begun = recorded == Recorded::InDoubt;
        let entries = (!begun).then_some(start).into_iter().chain((!known).then_some(undo)).chain([end]).collect();
        self.writer.commit(entries)
    }

    fn invariant(&self, holds: Holds) {
        self.watcher.see(&Event::Invariant(holds));
    }

    fn found(&self, finding: Finding) {
        self.findings.lock().unwrap_or_else(PoisonError::into_inner).push(finding);
    }

    fn guard(&self, at: &Login) -> Result<(), StepError> {
        let mut guards = self.guards.lock().unwrap_or_else(PoisonError::into_inner);
        if guards.contains_key(&at.host) {
            return Err(StepError::bad_input(format!(
                "{} is in a guarded block already; one within another would not be confirmed by itself",
                at.host
            )));
        }
        guards.insert(at.host.clone(), at.clone());
        Ok(())
    }

    fn unguard(&self, at: &Login) {
        self.guards.lock().unwrap_or_else(PoisonError::into_inner).remove(&at.host);
    }

    fn fork(&self, task: &Task, spec: &ForkSpec, branch: &Branch<'_>) -> Result<Vec<(HostName, StepError)>, StepError> {
        super::fork::fork(self, task, spec, branch)
    }
}
