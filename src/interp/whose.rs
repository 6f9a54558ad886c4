//! Whose work an effect is: the step that a thread is at. Layers that keep time by task, or that tell what became of each step,
//! ask here; an operation does not know of it.

use crate::id::{StepKey, TaskPath};
use std::cell::RefCell;

thread_local! {
    static STEP: RefCell<Option<StepKey>> = const { RefCell::new(None) };
}

/// Works, on this thread, for a step.
pub fn within<T>(step: &StepKey, work: impl FnOnce() -> T) -> T {
    let before = STEP.with(|at| at.replace(Some(step.clone())));
    let result = work();
    STEP.with(|at| *at.borrow_mut() = before);
    result
}

/// The step that this thread is at.
pub(super) fn step() -> Option<StepKey> {
    STEP.with(|at| at.borrow().clone())
}

/// The task that this thread works for; the script's main one when nobody said.
pub(super) fn task() -> TaskPath {
    step().map_or_else(TaskPath::main, |step| step.task)
}
