//! What the runs before held of the services that a run acted on: what their hosts have to fulfil again when it is undone.

use super::{Ledger, LedgerError};
use crate::id::RunId;
use crate::journal::{RunPhase, RunState};
use crate::saga::{self, Before};

/// So many runs are looked at.
const MOST: usize = 20;

/// What the newest runs before this one held, as far as it is asked for by what the run did.
///
/// # Errors
/// When the ledger cannot be read.
pub(super) fn before<L: Ledger + ?Sized>(ledger: &L, run: &RunId, state: &RunState) -> Result<Vec<Before>, LedgerError> {
    let asks = saga::asks(state);
    let environment = state.info.as_ref().map(|info| info.environment.as_str());
    let mut found = Vec::new();
    if asks.is_empty() {
        return Ok(found);
    }
    let rows = ledger.runs(environment, 200)?;
    let earlier = rows.into_iter().skip_while(|row| row.id != *run).skip(1);
    let ended = earlier.filter(|row| matches!(row.state, RunPhase::Succeeded | RunPhase::Halted));
    for (age, row) in ended.take(MOST).enumerate() {
        // One that cannot be read says nothing.
        let Ok(state) = RunState::read(&ledger.records(&row.id)?) else { continue };
        found.extend(saga::held(&state, age));
        if saga::answers(&found, &asks) {
            break;
        }
    }
    Ok(found)
}
