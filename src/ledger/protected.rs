//! What no clean-up may take: what is live or known-good somewhere, and what runs need that may still go on.

use super::{Ledger, LedgerError, RunRow, tracks};
use crate::id::{Digest, RunId};
use crate::journal::{RunPhase, RunState};
use std::collections::{BTreeMap, BTreeSet};

/// What must stay.
#[derive(Debug, Clone, Default)]
pub struct Protected {
    /// The contents of artifacts.
    pub artifacts: BTreeSet<Digest>,
    /// The runs whose files of the project must stay. Runs that the ledger does not know are another's to judge.
    pub runs: BTreeSet<RunId>,
    /// All runs that the ledger knows.
    pub known: BTreeSet<RunId>,
}

/// What must stay: of every run that is open or owes something; of each component on each host what is live, the newest two
/// known-good versions, and what a rollback would go back to; and, for each script in each environment, of the runs back to the
/// newest that succeeded on all hosts. One with a limit, or one that halted, leaves the older version on other hosts.
///
/// # Errors
/// When the ledger cannot be read.
pub fn protected(ledger: &dyn Ledger) -> Result<Protected, LedgerError> {
    let rows = ledger.runs(None, usize::MAX)?;
    let mut kept =
        Protected { runs: needed(ledger)?, known: rows.iter().map(|row| row.id.clone()).collect(), ..Protected::default() };
    let mut settled: BTreeSet<(String, String)> = BTreeSet::new();
    for row in rows {
        let place = (row.environment.clone(), row.script.clone());
        let open = !row.state.is_ended() || owes(ledger, &row)?;
        let needed = open || kept.runs.contains(&row.id);
        if !needed && !is_newest(&row, settled.contains(&place)) {
            continue;
        }
        let stored = ledger.stored(&row.id)?;
        kept.artifacts.extend(stored.artifacts.iter().map(|pin| pin.digest.clone()));
        if open {
            kept.runs.insert(row.id.clone());
            kept.runs.extend(stored.goes_back_to);
        }
        if row.state == RunPhase::Succeeded && row.exit == Some(0) && stored.limit.is_none() {
            settled.insert(place);
        }
    }
    Ok(kept)
}

/// The runs that made what components on hosts have or may go back to.
fn needed(ledger: &dyn Ledger) -> Result<BTreeSet<RunId>, LedgerError> {
    let mut environments: BTreeMap<String, Vec<super::Release>> = BTreeMap::new();
    for release in ledger.releases(None)? {
        environments.entry(release.environment.clone()).or_default().push(release);
    }
    let tracks = environments.values().flat_map(|releases| tracks(releases));
    Ok(tracks
        .flat_map(|track| {
            track.needed().into_iter().flat_map(|release| [release.run.clone(), release.made_by.clone()]).collect::<Vec<_>>()
        })
        .collect())
}

/// Whether a run left something to undo on hosts that could not be reached.
fn owes(ledger: &dyn Ledger, row: &RunRow) -> Result<bool, LedgerError> {
    if row.exit != Some(4) {
        return Ok(false);
    }
    let state = RunState::read(&ledger.records(&row.id)?).map_err(|illegal| LedgerError::Read(illegal.to_string()))?;
    Ok(!state.debts().is_empty() || state.open_obligations().next().is_some())
}

fn is_newest(row: &RunRow, settled: bool) -> bool {
    !settled && matches!(row.state, RunPhase::Succeeded | RunPhase::Halted)
}
