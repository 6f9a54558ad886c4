//! What a run that has ended still owes: undos on hosts that could not be reached then, and brackets that are still open.

use super::{Before, Work, unwind};
use crate::id::StepKey;
use crate::journal::{BracketSide, Part, RunState, UndoStatus};

/// What is left to do of a run that has ended. Nothing else of it is touched: what it made may be in use.
#[must_use]
pub fn owed(state: &RunState, before: &[Before]) -> Vec<Work> {
    let mut work = keep(state, unwind(state, before));
    let mut open: Vec<_> = state.open_obligations().map(|(key, _)| key.clone()).collect();
    open.retain(|key| !holds_leave(&work, key));
    work.extend(open.into_iter().map(|key| Work::Bracket { key, side: BracketSide::Leave }));
    work
}

fn keep(state: &RunState, work: Vec<Work>) -> Vec<Work> {
    let failed = |key: &StepKey, n: &u32, part: &Part| {
        let undo = state.steps.get(key).and_then(|step| step.undos.get(n));
        matches!(undo.and_then(|undo| undo.parts.get(part)), Some(UndoStatus::Failed(_) | UndoStatus::Started))
    };
    let is_open = |key: &StepKey| state.open_obligations().any(|(open, _)| open == key);
    work.into_iter()
        .filter_map(|work| match work {
            Work::Do { ref key, ref n, ref part, .. } if failed(key, n, part) => Some(work),
            Work::Do { .. } => None,
            Work::Bracket { ref key, .. } if is_open(key) => Some(work),
            Work::Bracket { .. } => None,
            Work::Fork { word, batches } => {
                let batches: Vec<Vec<_>> = batches
                    .into_iter()
                    .map(|batch| {
                        let kept = batch.into_iter().map(|(path, host, work)| (path, host, keep(state, work)));
                        kept.filter(|(.., work)| !work.is_empty()).collect()
                    })
                    .filter(|batch: &Vec<_>| !batch.is_empty())
                    .collect();
                (!batches.is_empty()).then_some(Work::Fork { word, batches })
            }
        })
        .collect()
}

fn holds_leave(work: &[Work], key: &StepKey) -> bool {
    work.iter().any(|work| match work {
        Work::Bracket { key: other, side: BracketSide::Leave } => other == key,
        Work::Fork { batches, .. } => batches.iter().flatten().any(|(.., work)| holds_leave(work, key)),
        _ => false,
    })
}
