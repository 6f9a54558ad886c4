//! A run from its start to its end: new, continued, or undone.

use super::conductor::{Mode, Run};
use super::unwind::{Unwound, unwind};
use super::writer::{Crash, Writer, now};
use crate::artifact::DirectoryStore;
use crate::effect::{Anchor, Effect, EffectError, Effects, Fence, Login};
use crate::event::Watcher;
use crate::id::{Digest, HostName, RunId, StepKey};
use crate::interp::{Controller, People, apply_stack};
use crate::journal::{Cursor, Entry, RunPhase, RunState, StartInfo};
use crate::ledger::{Ledger, LedgerError, StoredRun};
use crate::op::Registry;
use crate::saga;
use crate::script::{Diagnostic, Facts, Load, Program, ScriptFailure, StoredSources};
use crate::step::{ErrorKind, StepError};
use crate::stop::Stop;
use crate::transport::{Credentials, Pool, PoolOptions};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;

/// Blocks of a script nest; each level of Rhai takes its share of the stack.
const STACK: usize = 16 << 20;

/// Makes the layers that the effects of a run go through. An embedder puts one of its own over them.
pub type StackBuilder = Arc<dyn Fn(&StoredRun, &RunId, Stop, Arc<dyn Watcher>) -> Arc<dyn Effects> + Send + Sync>;

/// The layers of a real run: the live hosts of its environment, with what a person gives for logging in and for sudo, and its
/// project on this machine.
#[must_use]
pub fn live_stack(credentials: Credentials) -> StackBuilder {
    live_stack_with(credentials, People::default(), None)
}

/// The same, with people to ask and to tell, and under the lock that the run holds.
#[must_use]
pub fn live_stack_with(credentials: Credentials, people: People, fence: Option<Fence>) -> StackBuilder {
    Arc::new(move |stored, id, stop, watcher| {
        let (credentials, fence) = (credentials.clone(), fence.clone());
        let options = PoolOptions { stop: stop.clone(), credentials, fence, ..PoolOptions::new(id.clone()) };
        let pool = Arc::new(Pool::new(&stored.environment.hosts, options));
        let store = Arc::new(DirectoryStore::new(&stored.store));
        apply_stack(pool, Controller::new(Path::new(&stored.root), store).with_people(people.clone()), stop, watcher)
    })
}

/// What a run works with.
pub struct Runner {
    /// Where it is kept.
    pub ledger: Arc<dyn Ledger>,
    /// The primitives.
    pub registry: Arc<Registry>,
    /// What stands behind its effects; [`live_stack`] for a real run.
    pub stack: StackBuilder,
    /// Who watches.
    pub watcher: Arc<dyn Watcher>,
    /// Set when a person asks to stop: no new step begins.
    pub interrupt: Stop,
    /// Set when everything that waits must give up.
    pub stop: Stop,
    /// Where a test wants this process to be killed.
    pub crash: Option<Crash>,
}

/// What is to be done with a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Job {
    /// Go on where its records stop.
    Resume,
    /// Undo what it changed.
    Unwind,
}

/// The start of a new run.
pub struct Outset {
    /// Its name.
    pub id: RunId,
    /// What it is made of.
    pub stored: StoredRun,
    /// Who starts it, as `user@machine`.
    pub by: String,
}

/// How a run ended, or stopped.
#[derive(Debug, Clone)]
pub struct Finish {
    /// Which.
    pub run: RunId,
    /// Its phase now.
    pub state: RunPhase,
    /// The exit code that says so.
    pub exit: u8,
    /// What it failed of.
    pub error: Option<StepError>,
    /// The same for a person, with the place in the script.
    pub diagnostic: Option<Diagnostic>,
    /// Compensations that failed.
    pub stuck: Vec<StepError>,
    /// Hosts whose part is owed.
    pub debts: BTreeSet<HostName>,
    /// How many changes were undone.
    pub restored: u32,
    /// Commands that ran and were not undone, for the script says no way: where, and what.
    pub not_undone: Vec<(HostName, String)>,
    /// The head of the journal's hash chain.
    pub head: Option<Digest>,
}

/// How the script ended.
enum End {
    Well,
    Failed(Box<ScriptFailure>),
}

impl Runner {
    /// Starts a new run and works until it has ended.
    ///
    /// # Errors
    /// When it cannot even be put on record.
    pub fn start(&self, outset: &Outset) -> Result<Finish, LedgerError> {
        let at = now();
        self.ledger.begin(&outset.id, &outset.stored, &outset.by, at)?;
        let run = self.open(&outset.id, &outset.stored, RunState::default(), Mode::Perform);
        let info = StartInfo {
            environment: outset.stored.environment.name.to_string(),
            script: outset.stored.script.clone(),
            bundle: outset.stored.bundle_digest(),
            by: outset.by.clone(),
        };
        if let Err(error) = run.writer.commit(vec![Entry::RunStarted { info }]) {
            return Err(LedgerError::Write(error.message));
        }
        Ok(self.play(&outset.id, &outset.stored, &run))
    }

    /// Continues a run from its journal, or undoes it.
    ///
    /// # Errors
    /// When its journal cannot be read.
    pub fn take_up(&self, id: &RunId, job: Job) -> Result<Finish, LedgerError> {
        let stored = self.ledger.stored(id)?;
        let state = RunState::read(&self.ledger.records(id)?).map_err(|illegal| LedgerError::Read(illegal.to_string()))?;
        let phase = state.phase.unwrap_or(RunPhase::Running);
        let unwinds = job == Job::Unwind || matches!(phase, RunPhase::Unwinding | RunPhase::Stuck) || phase.is_ended();
        let mode = if unwinds { Mode::ReplayOnly } else { Mode::Perform };
        let run = self.open(id, &stored, state, mode);
        // Whoever had it before is refused on its hosts from now on, however late it comes.
        if let Err(error) = show_fence(run.effects.as_ref(), &run.writer.state(RunState::logins_changed)) {
            let finish = finish(id, phase, 6, Unwound::default(), Some(unwritten(error)));
            return Ok(self.close(&run, finish));
        }
        if !unwinds {
            let _ = run.writer.submit(vec![Entry::Phase { phase: RunPhase::Running, why: "resumed".to_owned() }]);
            return Ok(self.play(id, &stored, &run));
        }
        let finish = match self.program(id, &stored, "unwind") {
            Ok(program) => {
                // Only what its closures are is wanted; how far the replay comes does not matter.
                let _ = on_big_stack(|| program.run(run.clone()));
                let why = if phase == RunPhase::Unwinding { "taken up again" } else { "asked for" };
                self.unwind_all(id, &run, why, None)
            }
            Err(diagnostic) => self.unreadable(id, &run, *diagnostic),
        };
        Ok(self.close(&run, finish))
    }

    /// Gives up undoing what could not be undone: a person has seen to it, for this reason. Gives the steps.
    ///
    /// # Errors
    /// When the journal cannot be read or written.
    pub fn give_up(&self, id: &RunId, reason: &str) -> Result<Vec<StepKey>, LedgerError> {
        let state = RunState::read(&self.ledger.records(id)?).map_err(|illegal| LedgerError::Read(illegal.to_string()))?;
        let keys = state.not_yet_undone();
        let writer = Writer::new(id.clone(), state, self.ledger.clone(), self.watcher.clone(), None);
        let entries = keys.iter().map(|key| Entry::Settled { key: key.clone(), how: reason.to_owned() }).collect();
        let written = writer.commit(entries).map_err(|error| LedgerError::Write(error.message));
        writer.close();
        written.map(|()| keys)
    }

    fn open(&self, id: &RunId, stored: &StoredRun, state: RunState, mode: Mode) -> Arc<Run> {
        Arc::new(Run {
            cursor: Cursor::new(state.clone()),
            writer: Writer::new(id.clone(), state, self.ledger.clone(), self.watcher.clone(), self.crash),
            effects: (self.stack)(stored, id, self.stop.clone(), self.watcher.clone()),
            registry: self.registry.clone(),
            watcher: self.watcher.clone(),
            mode: Mutex::new(mode),
            interrupt: self.interrupt.clone(),
            closures: Mutex::default(),
            once: Mutex::default(),
            fenced: OnceLock::new(),
        })
    }

    fn program(&self, id: &RunId, stored: &StoredRun, mode: &'static str) -> Result<Program, Box<Diagnostic>> {
        let facts = Facts {
            environment: Some(stored.environment.clone()),
            params: stored.params.clone(),
            limit: stored.limit.clone(),
            artifacts: stored.artifacts.clone(),
            run: id.to_string(),
            mode,
        };
        let sources = Arc::new(StoredSources::new(stored.bundle.clone()));
        Program::load(Load {
            sources,
            script: stored.script.clone(),
            registry: self.registry.clone(),
            facts,
            stop: self.stop.clone(),
        })
    }

    /// Runs the script and brings the run to its end.
    fn play(&self, id: &RunId, stored: &StoredRun, run: &Arc<Run>) -> Finish {
        let finish = match self.program(id, stored, "run") {
            Ok(program) => {
                let end = match on_big_stack(|| program.run(run.clone())) {
                    Ok(()) => End::Well,
                    Err(failure) => End::Failed(Box::new(failure)),
                };
                self.conclude(id, run, end)
            }
            Err(diagnostic) => self.unreadable(id, run, *diagnostic),
        };
        self.close(run, finish)
    }

    /// Ends its journal. A run whose lock is somebody else's by now has ended of that, whatever else it failed of.
    fn close(&self, run: &Run, finish: Finish) -> Finish {
        run.writer.close();
        let finish = Finish { head: run.writer.head(), ..finish };
        if finish.state.is_ended() {
            return finish;
        }
        let lost = match self.ledger.check() {
            Err(error @ LedgerError::Fenced { .. }) => Some(StepError::new(ErrorKind::Fenced, error.to_string())),
            _ => run.fenced.get().or(finish.error.as_ref().filter(|error| error.kind == ErrorKind::Fenced)).map(|error| {
                let help = "the ledger says that the lock is still this run's: was it put back from a copy? see \"A ledger put back from a copy\" in the README";
                error.clone().with_help(help)
            }),
        };
        let Some(error) = lost else { return finish };
        let error = StepError { message: format!("{}; this run did nothing more", error.message), ..error };
        let diagnostic = Some(unwritten(error.clone()).diagnostic);
        Finish { exit: 6, error: Some(error), diagnostic, stuck: Vec::new(), ..finish }
    }

    fn conclude(&self, id: &RunId, run: &Arc<Run>, end: End) -> Finish {
        let failure = match end {
            End::Well => {
                // A host that failed within the budget, and that could not be restored, is owed.
                let debts = run.writer.state(RunState::debts);
                let exit = if debts.is_empty() { 0 } else { 4 };
                return self.end(id, run, RunPhase::Succeeded, exit, Unwound { debts, ..Unwound::default() }, None);
            }
            End::Failed(failure) => failure,
        };
        match failure.error.kind {
            _ if run.fenced.get().is_some() => finish(id, RunPhase::Interrupted, 7, Unwound::default(), Some(*failure)),
            ErrorKind::Interrupted => self.suspend(id, run, "interrupted", *failure),
            ErrorKind::Ledger | ErrorKind::Fenced => finish(id, RunPhase::Interrupted, 7, Unwound::default(), Some(*failure)),
            ErrorKind::InDoubt => self.suspend(id, run, "in doubt", *failure),
            ErrorKind::Divergence => self.suspend(id, run, "divergence", *failure),
            _ if run.writer.state(RunState::is_past_return) => {
                self.end(id, run, RunPhase::Halted, 4, Unwound::default(), Some(past_return(*failure)))
            }
            ErrorKind::Halted => self.end(id, run, RunPhase::Halted, 4, Unwound::default(), Some(*failure)),
            ErrorKind::Refused if !run.writer.state(RunState::changed_anything) => {
                self.end(id, run, RunPhase::Refused, 6, Unwound::default(), Some(*failure))
            }
            _ => {
                let why = failure.error.message.clone();
                self.unwind_all(id, run, &why, Some(*failure))
            }
        }
    }

    /// Leaves the run to be taken up again.
    fn suspend(&self, id: &RunId, run: &Run, why: &str, failure: ScriptFailure) -> Finish {
        let exit = if failure.error.kind == ErrorKind::Divergence { 6 } else { 7 };
        // When the ledger fails here as well, the run is found without its process, which comes to the same.
        let _ = run.writer.commit(vec![Entry::Phase { phase: RunPhase::Interrupted, why: why.to_owned() }]);
        finish(id, RunPhase::Interrupted, exit, Unwound::default(), Some(failure))
    }

    fn unwind_all(&self, id: &RunId, run: &Arc<Run>, why: &str, failure: Option<ScriptFailure>) -> Finish {
        run.begin_unwinding();
        let begun = run.writer.commit(vec![Entry::Phase { phase: RunPhase::Unwinding, why: why.to_owned() }]);
        if let Err(error) = begun {
            return finish(id, RunPhase::Interrupted, 7, Unwound::default(), Some(unwritten(error)));
        }
        let work = run.writer.state(saga::unwind);
        let end = on_big_stack(|| unwind(run, &work));
        let changed = run.writer.state(RunState::changed_anything);
        if end.interrupted {
            return finish(id, RunPhase::Unwinding, 7, end, failure);
        }
        if let Some(at) = end.stuck.iter().position(|error| matches!(error.kind, ErrorKind::Ledger | ErrorKind::Fenced)) {
            let mut end = end;
            let error = end.stuck.swap_remove(at);
            return finish(id, RunPhase::Unwinding, 7, end, Some(unwritten(error)));
        }
        if let Some(first) = end.stuck.first() {
            let _ = run.writer.commit(vec![Entry::Phase { phase: RunPhase::Stuck, why: first.message.clone() }]);
            return finish(id, RunPhase::Stuck, 4, end, failure);
        }
        let given_up = run.writer.state(|state| !state.settled.is_empty());
        let exit = match (end.debts.is_empty() && !given_up, changed) {
            (false, _) => 4,
            (true, true) => 3,
            (true, false) => 1,
        };
        let not_undone = run.writer.state(|state| {
            let named = |step: &crate::journal::StepState| (step.command.host.clone(), step.summary.clone());
            state.commands_without_undo().into_iter().map(named).collect()
        });
        Finish { not_undone, ..self.end(id, run, RunPhase::Unwound, exit, end, failure) }
    }

    /// Puts the end on record, then has the hosts forget what they kept for it.
    fn end(&self, id: &RunId, run: &Run, state: RunPhase, exit: u8, end: Unwound, failure: Option<ScriptFailure>) -> Finish {
        let error = failure.as_ref().map(|failure| failure.error.clone());
        let ended_before = run.writer.state(|now| now.phase.is_some_and(RunPhase::is_ended));
        if !ended_before && let Err(error) = run.writer.commit(vec![Entry::RunEnded { state, exit, error }]) {
            return finish(id, RunPhase::Interrupted, 7, end, Some(unwritten(error)));
        }
        let logins = run.writer.state(RunState::logins_within_reach);
        forget(run.effects.as_ref(), &logins, anchor(run));
        finish(id, state, exit, end, failure)
    }

    /// A stored script that this Windlass cannot read.
    fn unreadable(&self, id: &RunId, run: &Run, diagnostic: Diagnostic) -> Finish {
        let error = StepError::bad_input(diagnostic.message.clone());
        let untouched = !run.writer.state(RunState::changed_anything);
        let failure = ScriptFailure { error, diagnostic };
        if untouched {
            return self.end(id, run, RunPhase::Unwound, 1, Unwound::default(), Some(failure));
        }
        finish(id, RunPhase::Interrupted, 7, Unwound::default(), Some(failure))
    }
}

fn past_return(mut failure: ScriptFailure) -> ScriptFailure {
    let help = "this is behind a point of no return: nothing was undone; mend what failed and run the script again";
    failure.error.help.get_or_insert_with(|| help.to_owned());
    failure.diagnostic.help.get_or_insert_with(|| help.to_owned());
    failure
}

/// The ledger has failed: whatever the script failed of is said again by the run that takes this one up.
fn unwritten(error: StepError) -> ScriptFailure {
    let mut diagnostic = Diagnostic::error(error.message.clone());
    diagnostic.help.clone_from(&error.help);
    ScriptFailure { error, diagnostic }
}

fn finish(id: &RunId, state: RunPhase, exit: u8, end: Unwound, failure: Option<ScriptFailure>) -> Finish {
    let (error, diagnostic) = failure.map_or((None, None), |failure| (Some(failure.error), Some(failure.diagnostic)));
    Finish {
        run: id.clone(),
        state,
        exit,
        error,
        diagnostic,
        stuck: end.stuck,
        debts: end.debts,
        restored: end.restored,
        not_undone: Vec::new(),
        head: None,
    }
}

/// What a run kept on its hosts is of no use once it has ended; a host that cannot be told keeps it.
fn forget(effects: &dyn Effects, logins: &BTreeSet<Login>, anchor: Option<Anchor>) {
    let forget = &Effect::Forget { anchor };
    thread::scope(|scope| {
        for at in logins {
            scope.spawn(move || {
                if let Err(error) = effects.perform(at, forget) {
                    tracing::info!(%at, %error, "what the run kept there stays");
                }
            });
        }
    });
}

/// How the journal ends, once all of it is on disk; nothing when nothing was written.
fn anchor(run: &Run) -> Option<Anchor> {
    run.writer.commit(Vec::new()).ok()?;
    Some(Anchor { records: run.writer.state(|state| state.seq), head: run.writer.head()? })
}

/// Shows hosts under which lock they are worked on from now on; one that cannot be reached cannot be changed by anybody else either,
/// or is shown it with the first change.
fn show_fence(effects: &dyn Effects, logins: &BTreeSet<Login>) -> Result<(), StepError> {
    let shown = |at: &Login| match effects.perform(at, &Effect::Fence) {
        Err(error @ EffectError::Fenced { .. }) => Err(super::port::explain(&at.host, error)),
        Err(error) => {
            tracing::info!(%at, %error, "it was not shown who holds the lock");
            Ok(())
        }
        Ok(_) => Ok(()),
    };
    let shown = &shown;
    thread::scope(|scope| {
        let threads: Vec<_> = logins.iter().map(|at| scope.spawn(move || shown(at))).collect();
        threads.into_iter().try_for_each(|thread| thread.join().unwrap_or(Ok(())))
    })
}

fn on_big_stack<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let spawned = thread::Builder::new().name("script".to_owned()).stack_size(STACK).spawn_scoped(scope, work);
        match spawned.map(thread::ScopedJoinHandle::join) {
            Ok(Ok(value)) => value,
            Ok(Err(panic)) => std::panic::resume_unwind(panic),
            Err(error) => std::panic::resume_unwind(Box::new(format!("no thread for the script: {error}"))),
        }
    })
}
