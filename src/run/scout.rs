//! The script, replayed without new work before a run goes on: whether it still asks for what is on record everywhere, and
//! whether the hosts are still as the run left them. Nothing is touched by it.

use super::conductor::{Mode, Run};

pub(super) use super::conductor::Scouted as Found;
use super::drift::{self, Drift};
use crate::effect::Effects;
use crate::id::{RunId, StepKey};
use crate::journal::{RunState, missing_step};
use crate::script::Program;
use crate::step::{ErrorKind, StepError};
use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};

/// Plays a program over a journal; the run that is given performs nothing.
pub(super) fn replay(program: &Program, run: &Arc<Run>, wanted: BTreeSet<StepKey>) -> Found {
    debug_assert_eq!(run.mode(), Mode::ReplayOnly, "a scout performs nothing");
    run.scouted().wanted = wanted;
    let end = super::runner::on_big_stack(|| program.run(run.clone()));
    let mut found = std::mem::take(&mut *run.scouted.lock().unwrap_or_else(PoisonError::into_inner));
    found.new_work = matches!(end, Err(failure) if failure.error.kind == ErrorKind::Interrupted);
    found
}

/// The first thing that the script asks for differently, if there is one.
pub(super) fn divergence(state: &RunState, found: &Found, whole: Whole) -> Option<StepError> {
    if let Some(first) = found.divergences.first() {
        return Some(first.clone());
    }
    if whole == Whole::NotAsked {
        return None;
    }
    let own = |key: &&StepKey| !key.task.is_of_bracket() && !key.task.is_of_undo();
    let missed = state.steps.keys().filter(own).find(|key| !found.visited.contains(*key));
    missed.and_then(|key| missing_step(state, key))
}

/// Whether a script must ask for everything that is on record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whole {
    /// It is another one than the journal's.
    Asked,
    /// It is the same.
    NotAsked,
}

/// What is not as the run left it, with differences where they can be shown.
pub(super) fn drift(
    state: &RunState,
    effects: &dyn Effects,
    again: impl FnOnce(BTreeSet<StepKey>) -> Found,
    id: &RunId,
) -> Drift {
    let mut drift = drift::look(state, effects);
    let wanted = drift.steps();
    if !wanted.is_empty() {
        tracing::debug!(%id, ?wanted, "looking for what was written");
        let scouted = again(wanted);
        drift.show(&scouted.contents, state, effects);
    }
    drift
}
