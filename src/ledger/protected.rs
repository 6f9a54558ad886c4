//! Which artifacts must stay: those of what runs somewhere, and of runs that may still go on.

use super::{Ledger, LedgerError, RunRow};
use crate::id::Digest;
use crate::journal::RunPhase;
use std::collections::BTreeSet;

/// The contents that no clean-up may take: of every run that is open; and, for each script in each environment, of the runs back
/// to the newest that succeeded on all hosts. One with a limit, or one that halted, leaves the older version on other hosts.
///
/// # Errors
/// When the ledger cannot be read.
pub fn protected_artifacts(ledger: &dyn Ledger) -> Result<BTreeSet<Digest>, LedgerError> {
    let mut protected = BTreeSet::new();
    let mut settled: BTreeSet<(String, String)> = BTreeSet::new();
    for row in ledger.runs(None, usize::MAX)? {
        let place = (row.environment.clone(), row.script.clone());
        if !matters(&row, settled.contains(&place)) {
            continue;
        }
        let stored = ledger.stored(&row.id)?;
        protected.extend(stored.artifacts.iter().map(|pin| pin.digest.clone()));
        if row.state == RunPhase::Succeeded && row.exit == Some(0) && stored.limit.is_none() {
            settled.insert(place);
        }
    }
    Ok(protected)
}

fn matters(row: &RunRow, settled: bool) -> bool {
    !row.state.is_ended() || (!settled && matches!(row.state, RunPhase::Succeeded | RunPhase::Halted))
}
