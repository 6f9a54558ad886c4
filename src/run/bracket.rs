//! Brackets: what is opened before a body and closed behind it, on record from the beginning, so that whoever takes the run
//! up knows what is still open.

use super::conductor::Run;
use crate::id::{HostName, StepKey};
use crate::journal::{BracketSide, Entry, Group, Obligation, ObligationStatus};
use crate::script::{Bracket, Task, UndoClosure};
use crate::step::{ErrorKind, StepError};
use std::sync::PoisonError;

/// How a bracket is opened and closed.
pub(super) type Sides = (UndoClosure, UndoClosure);

/// Opens it in the course of the script.
pub(super) fn enter(run: &Run, task: &Task, bracket: Bracket) -> Result<StepKey, StepError> {
    let key = task.next_key();
    let sides = (bracket.enter, bracket.leave);
    run.brackets.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone(), sides);
    match run.cursor.group(&key) {
        Some((Group::Bracket { .. }, _)) => {}
        Some(_) => return Err(run.diverged(&key, &format!("the bracket \"{}\"", bracket.name))),
        None => {
            run.may_begin()?;
            let group = Group::Bracket { name: bracket.name.clone() };
            run.writer.submit(vec![Entry::GroupEntered { key: key.clone(), group }])?;
        }
    }
    let opened = run.cursor.obligation(&key);
    if opened.is_none() {
        run.may_begin()?;
        let (name, when_halted) = (bracket.name, bracket.when_halted);
        run.writer.submit(vec![Entry::ObligationOpened { key: key.clone(), name, when_halted }])?;
    }
    match opened.map(|obligation| &obligation.status) {
        // It was opened again while it was undone, which says nothing of its first time: then it was open, and its body ran.
        _ if opened.is_some_and(|obligation| obligation.rounds > 1) => {}
        // What is open, or was, is not opened again: all that is in it has been done with it open.
        Some(ObligationStatus::Held | ObligationStatus::Discharged | ObligationStatus::Failed(BracketSide::Leave, _)) => {}
        Some(ObligationStatus::Failed(BracketSide::Enter, error)) => return Err(error.clone()),
        None | Some(ObligationStatus::Opening) => open(run, &key)?,
    }
    Ok(key)
}

/// Closes it behind its body.
pub(super) fn leave(run: &Run, key: &StepKey) -> Result<(), StepError> {
    if run.cursor.group(key).is_some_and(|(_, left)| *left) {
        return Ok(());
    }
    if let Some(ObligationStatus::Failed(BracketSide::Leave, error)) = run.cursor.obligation(key).map(|owed| &owed.status) {
        return Err(error.clone());
    }
    if run.writer.state(|state| state.obligations.get(key).is_some_and(Obligation::is_open)) {
        close(run, key)?;
    }
    run.must_perform()?;
    run.writer.submit(vec![Entry::GroupLeft { key: key.clone(), failed: false, missed: Vec::new() }]).map(drop)
}

/// Opens it again before what was done in it is undone.
pub(super) fn reopen(run: &Run, key: &StepKey) -> Result<(), StepError> {
    let state = run.writer.state(|state| state.obligations.get(key).cloned());
    let Some(obligation) = state else { return Ok(()) };
    if obligation.status != ObligationStatus::Opening {
        let (name, when_halted) = (obligation.name, obligation.when_halted);
        run.writer.commit(vec![Entry::ObligationOpened { key: key.clone(), name, when_halted }])?;
    }
    let name = run.writer.state(|state| state.obligations.get(key).map(|obligation| obligation.name.clone()));
    open(run, key).map_err(|mut error| {
        if is_its_own(&error) {
            error.message = format!("\"{}\" could not be opened again: {}", name.unwrap_or_default(), error.message);
        }
        error
    })
}

fn open(run: &Run, key: &StepKey) -> Result<(), StepError> {
    perform(run, key, BracketSide::Enter)?;
    run.must_perform()?;
    run.writer.submit(vec![Entry::ObligationHeld { key: key.clone() }]).map(drop)
}

/// Closes it; it is owed no more.
pub(super) fn close(run: &Run, key: &StepKey) -> Result<(), StepError> {
    perform(run, key, BracketSide::Leave)?;
    run.must_perform()?;
    run.writer.commit(vec![Entry::ObligationDischarged { key: key.clone() }])
}

/// Whether it failed of what its closure did.
fn is_its_own(error: &StepError) -> bool {
    !matches!(error.kind, ErrorKind::Interrupted | ErrorKind::Ledger | ErrorKind::Fenced)
}

fn perform(run: &Run, key: &StepKey, side: BracketSide) -> Result<(), StepError> {
    let sides = run.brackets.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned();
    let (path, name) = run.writer.state(|state| {
        state.obligations.get(key).map(|obligation| (obligation.task(key, side), obligation.name.clone())).unzip()
    });
    let (Some((enter, leave)), Some(path)) = (sides, path) else {
        return Err(run.not_found(&format!("how the bracket {key} is closed")));
    };
    let closure = if side == BracketSide::Enter { enter } else { leave };
    let host = HostName::parse(key.task.leaf()).ok().filter(|_| key.task.as_str().contains('/'));
    let attempt = |path| {
        let result = closure(&Task::new(path, host.clone()));
        if let Err(error) = &result
            && run.is_performing()
            && !matches!(error.kind, ErrorKind::Ledger | ErrorKind::Fenced | ErrorKind::Interrupted | ErrorKind::Divergence)
        {
            run.writer.submit(vec![Entry::ObligationFailed { key: key.clone(), side, error: error.clone() }])?;
        }
        result
    };
    let mut result = attempt(path.clone());
    if result.as_ref().is_err_and(|error| error.kind == ErrorKind::InDoubt) {
        // While unwinding it begins anew: it may be done again, and nobody is asked any more.
        let next = run.writer.state(|state| state.obligations.get(key).map(|obligation| obligation.task(key, side)));
        if let Some(next) = next.filter(|next| *next != path) {
            result = attempt(next);
        }
    }
    result.map_err(|mut error| {
        if side == BracketSide::Leave && is_its_own(&error) {
            error.message = format!("\"{}\" could not be closed: {}", name.unwrap_or_default(), error.message);
        }
        error
    })
}
