//! A run from its start to its end: new, continued, or undone.

use super::conductor::{Mode, Run};
use super::finish::{End, Finish, NotUndone, finish, past_return, refusal, unwritten};
use super::sweep;
use super::unwind::{Unwound, unwind};
use super::writer::{Crash, Writer, now};
use crate::artifact::{DirectoryStore, KeptSources};
use crate::effect::{Anchor, Effect, EffectError, Effects, Fence, Login};
use crate::event::Watcher;
use crate::id::RunId;
use crate::interp::{Controller, Look, People, apply_stack};
use crate::journal::{BracketSide, Cursor, Entry, Obligation, RunPhase, RunState, StartInfo, WhenHalted};
use crate::ledger::{Ledger, LedgerError, StoredRun};
use crate::op::{ExpectIdentity, Operation as _, Registry};
use crate::saga::{self, Work};
use crate::script::{Diagnostic, Facts, Load, Program, ScriptFailure, StoredSources};
use crate::step::{ErrorKind, StepError};
use crate::stop::Stop;
use crate::transport::{Credentials, Pool, PoolOptions};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;

/// Blocks of a script nest; each level of Rhai takes its share of the stack.
const STACK: usize = 16 << 20;

const COPIED: &str = "the ledger says that the lock is still this run's: was it put back from a copy? \
                      The README says what to do about a ledger that is older than its hosts know";

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
        let store = Arc::new(DirectoryStore::new(stored.store_directory()));
        let kept = KeptSources::new(store.root(), id.clone(), stored.goes_back_to.clone());
        let controller = Controller::new(Path::new(&stored.root), store, kept).with_people(people.clone());
        apply_stack(pool, controller, stop, watcher)
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
    /// Programs that were read before, where the same run is played again and again; one run at a time.
    pub programs: Option<Arc<Programs>>,
}

/// Programs that were read, by what they are read for. All of the same run.
#[derive(Default)]
pub struct Programs(Mutex<BTreeMap<&'static str, Arc<Program>>>);

/// The start of a new run.
pub struct Outset {
    /// Its name.
    pub id: RunId,
    /// What it is made of.
    pub stored: StoredRun,
    /// Who starts it, as `user@machine`.
    pub by: String,
}

impl Runner {
    /// Starts a new run and works until it has ended.
    ///
    /// # Errors
    /// When it cannot even be put on record.
    pub fn start(&self, outset: &Outset) -> Result<Finish, LedgerError> {
        self.start_seeing(outset, &[])
    }

    /// The same, once everything that was looked at is as it was: else nothing is put on record, and nothing is done.
    ///
    /// # Errors
    /// When it cannot even be put on record.
    pub fn start_seeing(&self, outset: &Outset, looks: &[Look]) -> Result<Finish, LedgerError> {
        let effects = self.effects(&outset.id, &outset.stored);
        let differences = super::held::differences(looks, effects.as_ref());
        if !differences.is_empty() {
            let logins = looks.iter().map(|look| look.at.clone()).collect();
            drop(sweep::forget(effects.as_ref(), &logins, None));
            let failure = refusal(super::held::stale(&differences));
            return Ok(finish(&outset.id, RunPhase::Refused, 6, Unwound::default(), Some(failure)));
        }
        self.ledger.begin(&outset.id, &outset.stored, &outset.by, now())?;
        let run = self.open(&outset.id, RunState::default(), Mode::Perform, effects);
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

    /// The layers that this run's effects go through.
    pub(super) fn effects(&self, id: &RunId, stored: &StoredRun) -> Arc<dyn Effects> {
        (self.stack)(stored, id, self.stop.clone(), self.watcher.clone())
    }

    pub(super) fn open(&self, id: &RunId, state: RunState, mode: Mode, effects: Arc<dyn Effects>) -> Arc<Run> {
        Arc::new(Run {
            id: id.clone(),
            ledger: self.ledger.clone(),
            cursor: Cursor::new(state.clone()),
            writer: Writer::new(id.clone(), state, self.ledger.clone(), self.watcher.clone(), self.crash),
            effects,
            registry: self.registry.clone(),
            watcher: self.watcher.clone(),
            mode: Mutex::new(mode),
            interrupt: self.interrupt.clone(),
            closures: Mutex::default(),
            brackets: Mutex::default(),
            scouted: Mutex::default(),
            guards: Mutex::default(),
            once: Mutex::default(),
            fenced: OnceLock::new(),
            replayed: OnceLock::new(),
            held: OnceLock::new(),
            findings: Mutex::default(),
            left_open: false.into(),
            over_drift: OnceLock::new(),
        })
    }

    pub(super) fn program(&self, id: &RunId, stored: &StoredRun, mode: &'static str) -> Result<Arc<Program>, Box<Diagnostic>> {
        let known = self.programs.as_ref().map(|programs| programs.0.lock().unwrap_or_else(PoisonError::into_inner));
        if let Some(program) = known.as_ref().and_then(|known| known.get(mode)) {
            return Ok(program.clone());
        }
        let facts = Facts {
            environment: Some(stored.environment.clone()),
            params: stored.params.clone(),
            limit: stored.limit.clone(),
            artifacts: stored.artifacts.clone(),
            known_good: stored.known_good.clone(),
            run: id.to_string(),
            mode,
        };
        let sources = Arc::new(StoredSources::new(stored.bundle.clone()));
        let program = Arc::new(Program::load(Load {
            sources,
            script: stored.script.clone(),
            registry: self.registry.clone(),
            facts,
            stop: self.stop.clone(),
        })?);
        if let Some(mut known) = known {
            known.insert(mode, program.clone());
        }
        Ok(program)
    }

    /// Runs the script and brings the run to its end.
    pub(super) fn play(&self, id: &RunId, stored: &StoredRun, run: &Arc<Run>) -> Finish {
        if let Some(held) = stored.held.clone() {
            // It is played once.
            let _ = run.held.set(held);
        }
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

    /// Ends its journal.
    pub(super) fn close(&self, run: &Run, finish: Finish) -> Finish {
        run.writer.close();
        let finish = run.writer.state(|state| finish.told_by(state));
        let findings = std::mem::take(&mut *run.findings.lock().unwrap_or_else(PoisonError::into_inner));
        self.unless_lost(run.fenced.get(), Finish { head: run.writer.head(), findings, ..finish })
    }

    /// A run whose lock is somebody else's by now has ended of that, whatever else it failed of; `refused` is what a host said.
    pub(super) fn unless_lost(&self, refused: Option<&StepError>, finish: Finish) -> Finish {
        if finish.state.is_ended() {
            return finish;
        }
        let lost = match self.ledger.check() {
            Err(error @ LedgerError::Fenced { .. }) => Some(StepError::new(ErrorKind::Fenced, error.to_string())),
            _ => refused.map(|error| error.clone().with_help(COPIED)),
        };
        let Some(error) = lost else { return finish };
        let error = StepError { message: format!("{}; this run did nothing more", error.message), ..error };
        let diagnostic = Some(unwritten(error.clone()).diagnostic);
        Finish { exit: 6, error: Some(error), diagnostic, stuck: Vec::new(), ..finish }
    }

    fn conclude(&self, id: &RunId, run: &Arc<Run>, end: End) -> Finish {
        let failure = match end {
            End::Well => {
                // What a failure that the script has caught left open is closed now.
                let end = discharge(run, |_| true);
                if end.interrupted {
                    return self.suspend(id, run, "interrupted", interrupted_while_closing());
                }
                // A host that failed within the budget, and that could not be restored, is owed.
                let debts = run.writer.state(RunState::debts);
                let exit = if debts.is_empty() && !run.writer.state(has_open) { 0 } else { 4 };
                return self.end(id, run, RunPhase::Succeeded, exit, Unwound { debts, ..end }, None);
            }
            End::Failed(failure) => failure,
        };
        match failure.error.kind {
            _ if run.fenced.get().is_some() => finish(id, RunPhase::Interrupted, 7, Unwound::default(), Some(*failure)),
            ErrorKind::Interrupted => self.suspend(id, run, "interrupted", *failure),
            ErrorKind::Ledger | ErrorKind::Fenced => finish(id, RunPhase::Interrupted, 7, Unwound::default(), Some(*failure)),
            ErrorKind::InDoubt => self.suspend(id, run, "in doubt", *failure),
            ErrorKind::Divergence => self.suspend(id, run, "divergence", *failure),
            _ if run.writer.state(RunState::is_past_return) => self.halt(id, run, past_return(*failure)),
            ErrorKind::Halted => self.halt(id, run, *failure),
            ErrorKind::Refused if !run.writer.state(RunState::changed_anything) => {
                self.end(id, run, RunPhase::Refused, 6, Unwound::default(), Some(*failure))
            }
            _ => {
                let why = failure.error.message.clone();
                self.unwind_all(id, run, &why, Some(*failure))
            }
        }
    }

    /// Ends the run as it is, but for the brackets that are not to stay open.
    fn halt(&self, id: &RunId, run: &Run, failure: ScriptFailure) -> Finish {
        let end = discharge(run, |owed| owed.when_halted == WhenHalted::Leave);
        if end.interrupted {
            return self.suspend(id, run, "interrupted", failure);
        }
        self.end(id, run, RunPhase::Halted, 4, end, Some(failure))
    }

    /// Leaves the run to be taken up again.
    fn suspend(&self, id: &RunId, run: &Run, why: &str, failure: ScriptFailure) -> Finish {
        let exit = if failure.error.kind == ErrorKind::Divergence { 6 } else { 7 };
        let doubts = run.scouted().doubts.clone();
        // When the ledger fails here as well, the run is found without its process, which comes to the same.
        let _ = run.writer.commit(vec![Entry::Phase { phase: RunPhase::Interrupted, why: why.to_owned(), doubts }]);
        finish(id, RunPhase::Interrupted, exit, Unwound::default(), Some(failure))
    }

    pub(super) fn unwind_all(&self, id: &RunId, run: &Arc<Run>, why: &str, failure: Option<ScriptFailure>) -> Finish {
        run.begin_unwinding();
        let begun = run.writer.commit(vec![Entry::phase(RunPhase::Unwinding, why)]);
        if let Err(error) = begun {
            return finish(id, RunPhase::Interrupted, 7, Unwound::default(), Some(unwritten(error)));
        }
        // A run that had ended owes something; the rest of what it made may be in use.
        let before = run.writer.state(|state| state.ended);
        let work = run.left_to_undo(if before.is_some() { saga::owed } else { saga::unwind });
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
            let _ = run.writer.commit(vec![Entry::phase(RunPhase::Stuck, first.message.clone())]);
            return finish(id, RunPhase::Stuck, 4, end, failure);
        }
        let given_up = run.writer.state(|state| !state.settled.is_empty());
        let paid = end.debts.is_empty() && !given_up && !run.writer.state(has_open);
        if let Some(before) = before.filter(|before| *before != RunPhase::Unwound) {
            let exit = if paid && before == RunPhase::Succeeded { 0 } else { 4 };
            return Finish { paid, ..self.end(id, run, before, exit, end, failure) };
        }
        let exit = match (paid, changed) {
            (false, _) => 4,
            // What was changed before is restored: all the same it was the wrong machine.
            (true, true) if failure.as_ref().is_some_and(is_wrong_machine) => 6,
            (true, true) => 3,
            (true, false) => 1,
        };
        let not_undone =
            run.writer.state(|state| state.commands_without_undo().into_iter().map(|(_, step)| NotUndone::of(step)).collect());
        Finish { not_undone, paid: paid && before.is_some(), ..self.end(id, run, RunPhase::Unwound, exit, end, failure) }
    }

    /// Puts the end on record, then has the hosts forget what they kept for it.
    fn end(&self, id: &RunId, run: &Run, state: RunPhase, exit: u8, end: Unwound, failure: Option<ScriptFailure>) -> Finish {
        let error = failure.as_ref().map(|failure| failure.error.clone());
        let ended_before = run.writer.state(|now| now.phase.is_some_and(RunPhase::is_ended));
        sweep::announce(self.ledger.as_ref(), id, run);
        if !ended_before && let Err(error) = run.writer.commit(vec![Entry::RunEnded { state, exit, error }]) {
            return finish(id, RunPhase::Interrupted, 7, end, Some(unwritten(error)));
        }
        let leftovers = sweep::sweep(self.ledger.as_ref(), id, run);
        Finish { leftovers, ..finish(id, state, exit, end, failure) }
    }

    /// A stored script that this Windlass cannot read.
    pub(super) fn unreadable(&self, id: &RunId, run: &Run, diagnostic: Diagnostic) -> Finish {
        let error = StepError::bad_input(diagnostic.message.clone());
        let untouched = !run.writer.state(RunState::changed_anything);
        let failure = ScriptFailure { error, diagnostic };
        if untouched {
            return self.end(id, run, RunPhase::Unwound, 1, Unwound::default(), Some(failure));
        }
        finish(id, RunPhase::Interrupted, 7, Unwound::default(), Some(failure))
    }
}

/// Closes brackets that are open.
fn discharge(run: &Run, which: impl Fn(&Obligation) -> bool) -> Unwound {
    let work: Vec<Work> = run.writer.state(|state| {
        let open = state.open_obligations().filter(|(_, owed)| which(owed));
        let mut keys: Vec<_> = open.map(|(key, _)| key.clone()).collect();
        keys.reverse();
        keys.into_iter().map(|key| Work::Bracket { key, side: BracketSide::Leave }).collect()
    });
    on_big_stack(|| unwind(run, &work))
}

fn is_wrong_machine(failure: &ScriptFailure) -> bool {
    failure.error.kind == ErrorKind::Refused && failure.error.op == ExpectIdentity::NAME
}

fn has_open(state: &RunState) -> bool {
    state.open_obligations().next().is_some()
}

fn interrupted_while_closing() -> ScriptFailure {
    refusal(StepError::new(ErrorKind::Interrupted, "the run was asked to stop while brackets were being closed"))
}

/// How the journal ends, once all of it is on disk; nothing when nothing was written.
pub(super) fn anchor(run: &Run) -> Option<Anchor> {
    run.writer.commit(Vec::new()).ok()?;
    Some(Anchor { records: run.writer.state(|state| state.seq), head: run.writer.head()? })
}

/// Shows hosts under which lock they are worked on from now on; one that cannot be reached cannot be changed by anybody else either,
/// or is shown it with the first change.
pub(super) fn show_fence(effects: &dyn Effects, logins: &BTreeSet<Login>) -> Result<(), StepError> {
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

pub(super) fn on_big_stack<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let seat = crate::interp::turns::carried();
    thread::scope(|scope| {
        let work = move || seat.within(work);
        let spawned = thread::Builder::new().name("script".to_owned()).stack_size(STACK).spawn_scoped(scope, work);
        match spawned.map(thread::ScopedJoinHandle::join) {
            Ok(Ok(value)) => value,
            Ok(Err(panic)) => std::panic::resume_unwind(panic),
            Err(error) => std::panic::resume_unwind(Box::new(format!("no thread for the script: {error}"))),
        }
    })
}
