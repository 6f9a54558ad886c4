//! What a run that has ended still owes: undos on hosts that could not be reached then, and brackets that are still open.

use super::{Before, Work, unwind};
use crate::id::StepKey;
use crate::journal::{BracketSide, Part, RunState, UndoStatus};

/// What is left to do of a run that has ended. Nothing else of it is touched: what it made may be in use.
#[must_use]
pub fn owed(state: &RunState, before: &[Before]) -> Vec<Work> {
    let mut work = with_reason(keep(state, unwind(state, before)));
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

/// A bracket is opened again only for what is done in it.
fn with_reason(work: Vec<Work>) -> Vec<Work> {
    let closes =
        |work: &Work, key: &StepKey| matches!(work, Work::Bracket { key: other, side: BracketSide::Leave } if other == key);
    let has = |from: usize, key: &StepKey| {
        let body = work.iter().skip(from + 1).take_while(|work| !closes(work, key));
        body.into_iter().any(|work| !matches!(work, Work::Bracket { .. }))
    };
    let reasons: Vec<bool> = work
        .iter()
        .enumerate()
        .map(|(at, work)| match work {
            Work::Bracket { key, side: BracketSide::Enter } => has(at, key),
            _ => true,
        })
        .collect();
    let kept = work.into_iter().zip(reasons).filter(|(_, reason)| *reason).map(|(work, _)| work);
    let inner = |work| match work {
        Work::Fork { word, batches } => {
            let branch = |(path, host, work)| (path, host, with_reason(work));
            Work::Fork { word, batches: batches.into_iter().map(|batch| batch.into_iter().map(branch).collect()).collect() }
        }
        work => work,
    };
    kept.map(inner).collect()
}

fn holds_leave(work: &[Work], key: &StepKey) -> bool {
    work.iter().any(|work| match work {
        Work::Bracket { key: other, side: BracketSide::Leave } => other == key,
        Work::Fork { batches, .. } => batches.iter().flatten().any(|(.., work)| holds_leave(work, key)),
        _ => false,
    })
}
