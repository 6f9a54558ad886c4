//! What the runs before held of the services that a run acted on: what their hosts have to fulfil again when it is undone.

use super::{Ledger, LedgerError, RunRow};

use crate::effect::{Login, Postcondition, PostconditionSubject};
use crate::id::{HostName, RunId};
use crate::journal::{RunPhase, RunState, StepState};
use crate::saga::{self, Before};
use std::collections::{BTreeMap, BTreeSet};

/// So many runs are looked at.
const MOST: usize = 20;

/// What the newest runs before this one held, as far as it is asked for by what the run did.
///
/// # Errors
/// When the ledger cannot be read.
pub(super) fn before<L: Ledger + ?Sized>(ledger: &L, run: &RunId, state: &RunState) -> Result<Vec<Before>, LedgerError> {
    let asks = saga::asks(state);
    let mut found = Vec::new();
    if asks.is_empty() {
        return Ok(found);
    }
    for (age, row) in ended(ledger, run, state)?.into_iter().enumerate() {
        // One that cannot be read says nothing.
        let Ok(state) = RunState::read(&ledger.records(&row.id)?) else { continue };
        found.extend(saga::held(&state, age));
        if saga::answers(&found, &asks) {
            break;
        }
    }
    Ok(found)
}

/// What the newest runs before this one made of the files and links of a host that this run has changed, each with who made it.
///
/// # Errors
/// When the ledger cannot be read.
pub(super) fn made<L: Ledger + ?Sized>(
    ledger: &L,
    run: &RunId,
    state: &RunState,
    host: &HostName,
) -> Result<Vec<(Login, Postcondition)>, LedgerError> {
    let mut wanted: BTreeSet<PostconditionSubject> = last(state, host).into_keys().collect();
    let mut found = Vec::new();
    for row in ended(ledger, run, state)? {
        if wanted.is_empty() {
            break;
        }
        let Ok(state) = RunState::read(&ledger.records(&row.id)?) else { continue };
        for (subject, one) in last(&state, host) {
            if wanted.remove(&subject) {
                found.push(one);
            }
        }
    }
    Ok(found)
}

/// The runs before this one that ended well enough to speak for what was there, the newest first.
fn ended<L: Ledger + ?Sized>(ledger: &L, run: &RunId, state: &RunState) -> Result<Vec<RunRow>, LedgerError> {
    let environment = state.info.as_ref().map(|info| info.environment.as_str());
    let rows = ledger.runs(environment, 200)?;
    let earlier = rows.into_iter().skip_while(|row| row.id != *run).skip(1);
    Ok(earlier.filter(|row| matches!(row.state, RunPhase::Succeeded | RunPhase::Halted)).take(MOST).collect())
}

/// What a run made last of each file and link of a host.
fn last(state: &RunState, host: &HostName) -> BTreeMap<PostconditionSubject, (Login, Postcondition)> {
    let here = state.steps.values().filter(|step| step.command.host == *host);
    let makes = |step: &StepState| -> Vec<_> {
        let at = step.command.login();
        step.undos.values().flat_map(|undo| undo.makes.iter().map(|one| (undo.seq, at.clone(), one.clone()))).collect()
    };
    let mut all: Vec<_> = here.flat_map(makes).collect();
    all.sort_by_key(|(seq, ..)| *seq);
    let all = all.into_iter().filter(|(.., one)| matches!(one, Postcondition::File { .. } | Postcondition::Link { .. }));
    all.map(|(_, at, one)| (one.subject(), (at, one))).collect()
}
