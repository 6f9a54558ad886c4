//! What a prediction rests on: by step, what was taken to be so without being known.

use super::whose;
use crate::id::StepKey;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How much is known of what a step would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Certainty {
    /// It is taken to go well: a command that was not run, or what it may have changed.
    Assumed,
    /// Nobody knows: the answer rests on what a command would have written.
    Unknown,
}

/// The marks of all steps.
#[derive(Debug, Default)]
pub struct Marks(Mutex<BTreeMap<StepKey, Vec<(Certainty, String)>>>);

impl Marks {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<StepKey, Vec<(Certainty, String)>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The step that this thread is at rests on this.
    pub(super) fn note(&self, certainty: Certainty, why: impl Into<String>) {
        let Some(step) = whose::step() else { return };
        let (mut marks, mark) = (self.lock(), (certainty, why.into()));
        let known = marks.entry(step).or_default();
        if !known.contains(&mark) {
            known.push(mark);
        }
    }

    /// What a step rests on, and why.
    #[must_use]
    pub fn of(&self, step: &StepKey) -> Vec<(Certainty, String)> {
        self.lock().get(step).cloned().unwrap_or_default()
    }
}
