//! A run that did not end is taken up: it goes on where its records stop, or what it changed is undone; and what a person
//! decides about a step that cannot decide itself.

use super::Mode;
use super::drift::{Drift, Drifted};
use super::finish::{Finish, finish, refusal};
use super::runner::{Runner, on_big_stack, show_fence};
use super::scout::{self, Whole};
use super::unwind::Unwound;
use super::writer::Writer;
use crate::effect::Effects;
use crate::id::{RunId, StepKey};
use crate::journal::{Decision, Entry, Part, RunPhase, RunState, UndoStatus};
use crate::ledger::{LedgerError, StoredRun};
use crate::script::Diagnostic;
use crate::step::{ErrorKind, StepError};
use std::sync::Arc;

/// What is to be done with a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Job {
    /// Go on where its records stop.
    Resume,
    /// Undo what it changed.
    Unwind,
}

/// How a run is taken up.
#[derive(Debug, Clone)]
pub struct TakeUp {
    /// What is to be done with it.
    pub job: Job,
    /// What becomes of it when its hosts are not as it left them.
    pub drift: OnDrift,
    /// A mended script in place of the run's own: the name of its file, and the sources that it can import.
    pub script: Option<MendedScript>,
    /// Who takes it up, as `user@machine`.
    pub by: String,
}

/// The name of a script's file, and every source that it can import, by name.
pub type MendedScript = (String, Vec<(String, String)>);

/// What becomes of a run whose hosts are not as it left them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnDrift {
    /// It does not go on.
    #[default]
    Stop,
    /// It goes on all the same.
    Accept,
}

impl From<Job> for TakeUp {
    fn from(job: Job) -> Self {
        Self { job, drift: OnDrift::Stop, script: None, by: String::new() }
    }
}

/// Why a person's decision about a step cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum DecideError {
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// There is no such step.
    #[error("the run has no step {key}{}", listed(.open))]
    NoSuchStep {
        /// What was given.
        key: StepKey,
        /// The steps that it could be said of.
        open: Vec<StepKey>,
    },
    /// It is not in question.
    #[error("step {key} {why}{}", listed(.open))]
    NotAsked {
        /// Which.
        key: StepKey,
        /// Why not.
        why: &'static str,
        /// The steps that it could be said of.
        open: Vec<StepKey>,
    },
}

fn listed(open: &[StepKey]) -> String {
    if open.is_empty() {
        return "; no step of the run waits for that".to_owned();
    }
    let keys: Vec<String> = open.iter().take(8).map(|key| format!("'{key}'")).collect();
    format!("; it can be said of {}", keys.join(", "))
}

impl Runner {
    /// Continues a run from its journal, or undoes it.
    ///
    /// # Errors
    /// When its journal cannot be read.
    pub fn take_up(&self, id: &RunId, how: impl Into<TakeUp>) -> Result<Finish, LedgerError> {
        let how = how.into();
        let stored = self.ledger.stored(id)?;
        let state = RunState::read(&self.ledger.records(id)?).map_err(|illegal| LedgerError::Read(illegal.to_string()))?;
        let phase = state.phase.unwrap_or(RunPhase::Running);
        let unwinds = how.job == Job::Unwind || matches!(phase, RunPhase::Unwinding | RunPhase::Stuck) || phase.is_ended();
        let effects = self.effects(id, &stored);
        // Whoever had it before is refused on its hosts from now on, however late it comes.
        if let Err(error) = show_fence(effects.as_ref(), &state.logins_changed()) {
            let finish = stopped(id, &state, 6, refusal(error.clone()));
            return Ok(self.unless_lost(Some(&error), finish));
        }
        if !unwinds {
            return self.resume(id, stored, state, &how, effects);
        }
        let run = self.open(id, state, Mode::ReplayOnly, effects);
        if how.drift == OnDrift::Accept {
            let _ = run.over_drift.set(());
        }
        let finish = match self.program(id, &stored, "unwind") {
            Ok(program) => {
                // Only what its closures are is wanted; how far the replay comes does not matter.
                if let Err(failure) = on_big_stack(|| program.run(run.clone())) {
                    // It is the first.
                    let _ = run.replayed.set(failure.error);
                }
                let why = if phase == RunPhase::Unwinding { "taken up again" } else { "asked for" };
                self.unwind_all(id, &run, why, None)
            }
            Err(diagnostic) => self.unreadable(id, &run, *diagnostic),
        };
        Ok(self.close(&run, finish))
    }

    fn resume(
        &self,
        id: &RunId,
        mut stored: StoredRun,
        state: RunState,
        how: &TakeUp,
        effects: Arc<dyn Effects>,
    ) -> Result<Finish, LedgerError> {
        let whole = if how.script.is_some() { Whole::Asked } else { Whole::NotAsked };
        if let Some((script, bundle)) = how.script.clone() {
            (stored.script, stored.bundle) = (script, bundle);
        }
        let look = |wanted| -> Result<scout::Found, Box<Diagnostic>> {
            let program = self.program(id, &stored, "run")?;
            let run = self.open(id, state.clone(), Mode::ReplayOnly, effects.clone());
            let found = scout::replay(&program, &run, wanted);
            run.writer.close();
            Ok(found)
        };
        let found = match look(std::collections::BTreeSet::new()) {
            Ok(found) => found,
            Err(diagnostic) if whole == Whole::Asked => {
                let error = StepError::bad_input(diagnostic.message.clone());
                let failure = crate::script::ScriptFailure { error, diagnostic: *diagnostic };
                return Ok(stopped(id, &state, 1, failure));
            }
            Err(diagnostic) => {
                let run = self.open(id, state, Mode::Perform, effects);
                let finish = self.unreadable(id, &run, *diagnostic);
                return Ok(self.close(&run, finish));
            }
        };
        if let Some(error) = scout::divergence(&state, &found, whole) {
            return Ok(stopped(id, &state, 6, refusal(error)));
        }
        let again = |wanted| look(wanted).unwrap_or_default();
        // Where nothing new is done, nothing rests on what is there.
        let drift = if found.new_work { scout::drift(&state, effects.as_ref(), again, id) } else { Drift::default() };
        if !drift.drifted.is_empty() && how.drift == OnDrift::Stop {
            let finish = stopped(id, &state, 6, refusal(drifted(id, &drift)));
            return Ok(Finish { drift: Some(drift), ..finish });
        }
        let mut begin = Vec::new();
        if how.script.is_some() {
            self.ledger.replace_script(id, &stored)?;
            begin.push(Entry::ScriptReplaced { bundle: stored.bundle_digest(), by: how.by.clone() });
        }
        let accepted: Vec<String> = drift.drifted.iter().map(|one| format!("{}: {}", one.host, one.what)).collect();
        let why = if accepted.is_empty() { "resumed".to_owned() } else { format!("resumed; accepted {}", accepted.join("; ")) };
        begin.push(Entry::phase(RunPhase::Running, why));
        let run = self.open(id, state, Mode::Perform, effects);
        if let Err(error) = run.writer.commit(begin) {
            let finish = finish(id, RunPhase::Interrupted, 7, Unwound::default(), Some(refusal(error)));
            return Ok(self.close(&run, finish));
        }
        let finish = self.play(id, &stored, &run);
        Ok(if drift == Drift::default() { finish } else { Finish { drift: Some(drift), ..finish } })
    }

    /// Puts on record what a person says of steps: of those in doubt, whether they are done; of those that could not be undone,
    /// that they are.
    ///
    /// # Errors
    /// When it cannot be said of one of them, and then nothing is on record; or the journal cannot be read or written.
    pub fn decide(&self, id: &RunId, said: &[(StepKey, Decision)], reason: &str, by: &str) -> Result<(), DecideError> {
        let state = self.read(id)?;
        let mut entries = Vec::new();
        for (key, decision) in said {
            self.may_decide(&state, key, *decision)?;
            if *decision == Decision::MarkDone && state.obligations.contains_key(key) {
                entries.push(Entry::ObligationDischarged { key: key.clone() });
                continue;
            }
            let (reason, by) = (reason.to_owned(), by.to_owned());
            entries.push(Entry::Decided { key: key.clone(), decision: *decision, reason, by });
            if *decision == Decision::MarkDone {
                entries.extend(marks(&state, key));
            }
        }
        Ok(self.write(id, state, entries)?)
    }

    fn may_decide(&self, state: &RunState, key: &StepKey, decision: Decision) -> Result<(), DecideError> {
        let open = || match decision {
            Decision::MarkDone => state.not_yet_undone(),
            Decision::AssumeDone | Decision::Again => state.doubts.clone(),
        };
        if open().contains(key) {
            return Ok(());
        }
        let (key, open) = (key.clone(), open());
        if decision == Decision::MarkDone {
            return Err(match state.steps.contains_key(&key) || state.obligations.contains_key(&key) {
                true => DecideError::NotAsked { key, why: "is not one that could not be undone", open },
                false => DecideError::NoSuchStep { key, open },
            });
        }
        Err(match state.steps.get(&key) {
            Some(_) => DecideError::NotAsked { key, why: "is not in doubt: `windlass resume` settles it", open },
            None => DecideError::NoSuchStep { key, open },
        })
    }

    /// Gives up undoing what could not be undone: a person has seen to it, for this reason. Of these steps, or of all. Gives the
    /// steps.
    ///
    /// # Errors
    /// When the journal cannot be read or written, or one of them is not among those that could not be undone.
    pub fn give_up(&self, id: &RunId, only: &[StepKey], reason: &str) -> Result<Vec<StepKey>, DecideError> {
        let state = self.read(id)?;
        for key in only {
            self.may_decide(&state, key, Decision::MarkDone)?;
        }
        let mut keys = state.not_yet_undone();
        keys.retain(|key| only.is_empty() || only.contains(key));
        let entries = keys.iter().map(|key| Entry::Settled { key: key.clone(), how: reason.to_owned() }).collect();
        self.write(id, state, entries)?;
        Ok(keys)
    }

    fn read(&self, id: &RunId) -> Result<RunState, LedgerError> {
        RunState::read(&self.ledger.records(id)?).map_err(|illegal| LedgerError::Read(illegal.to_string()))
    }

    fn write(&self, id: &RunId, state: RunState, entries: Vec<Entry>) -> Result<(), LedgerError> {
        let writer = Writer::new(id.clone(), state, self.ledger.clone(), self.watcher.clone(), None);
        let written = writer.commit(entries).map_err(|error| LedgerError::Write(error.message));
        writer.close();
        written
    }
}

/// The undos of a step that failed, as done.
fn marks(state: &RunState, key: &StepKey) -> Vec<Entry> {
    let undos = state.steps.get(key).into_iter().flat_map(|step| step.undos.iter());
    let failed = |part: Part, status: &UndoStatus| matches!(status, UndoStatus::Failed(_)).then_some(part);
    undos
        .flat_map(|(n, undo)| undo.parts.iter().filter_map(move |(part, status)| Some((*n, failed(*part, status)?))))
        .flat_map(|(n, part)| {
            [Entry::UndoStarted { key: key.clone(), n, part }, Entry::Undone { key: key.clone(), n, part, changed: true }]
        })
        .collect()
}

/// A run that does not go on, and of which nothing was touched.
fn stopped(id: &RunId, state: &RunState, exit: u8, failure: crate::script::ScriptFailure) -> Finish {
    let phase = match state.phase {
        Some(phase) if phase != RunPhase::Running => phase,
        _ => RunPhase::Interrupted,
    };
    finish(id, phase, exit, Unwound::default(), Some(failure)).told_by(state)
}

fn drifted(id: &RunId, drift: &Drift) -> StepError {
    let line = |one: &Drifted| {
        let perhaps = one.perhaps.as_ref().map(|by| format!("\n    perhaps by {by}")).unwrap_or_default();
        format!("\n  {}: {}  (step {} at {}){perhaps}", one.host, one.what, one.step, one.site)
    };
    let lines: Vec<String> = drift.drifted.iter().take(20).map(line).collect();
    let more = drift.drifted.len().saturating_sub(20);
    let more = if more > 0 { format!("\n  and {more} more") } else { String::new() };
    let message = format!("the hosts are not as run {id} left them; it was not resumed{}{more}", lines.concat());
    StepError::new(ErrorKind::Refused, message).with_help(format!(
        "nothing was touched. Put them back and resume again; or go on all the same: windlass resume {id} --accept-drift; \
         or go back: windlass unwind {id}"
    ))
}
