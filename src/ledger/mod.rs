//! The durable history across runs: what each run was given, its journal, and how it ended.

mod aim;
mod before;
mod chain;
mod held;
mod lease;
mod leftover;
mod memory;
mod migrations;
mod protected;
mod release;
mod released;
mod sqlite;
mod sqlite_locks;
mod tenure;
mod track;

pub use aim::{Move, Remains, RemainsKind, aim, moves, remains};
pub use chain::{Against, Altered, Chain, Link};
pub use held::{Held, HeldStep, arguments};
pub use lease::{Claim, Hold, HoldKind, Intent, Lease, Locks, Refusal, judge};
pub use leftover::Leftover;
pub use memory::MemoryLedger;
pub use protected::{Protected, protected};
pub use release::{KnownGood, Made, Release, Standing};
pub use released::released;
pub use sqlite::SqliteLedger;
pub use tenure::{Clock, LEASE_MILLIS, Tenure};
pub use track::{Track, known_good, tracks};

use crate::artifact::Pin;
use crate::effect::{Login, Postcondition};
use crate::fleet::Environment;
use crate::id::{Digest, HostName, RunId};
use crate::journal::{Record, RunPhase, RunState};
use crate::saga::Before;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// Why the ledger could not do something.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// It cannot be opened.
    #[error("the ledger {place} cannot be opened: {reason}")]
    Open {
        /// Where it is.
        place: String,
        /// Why not.
        reason: String,
    },
    /// It cannot be written: nothing further may happen.
    #[error("the ledger cannot be written: {0}")]
    Write(String),
    /// It cannot be read.
    #[error("the ledger cannot be read: {0}")]
    Read(String),
    /// It was made by a newer Windlass.
    #[error("the ledger has format {found}; this Windlass reads up to {known}")]
    Newer {
        /// Its format.
        found: i64,
        /// The newest that is known.
        known: i64,
    },
    /// The environment's lock is somebody else's by now: nothing further may happen.
    #[error("the lock of {environment} was taken over by {by}")]
    Fenced {
        /// The environment.
        environment: String,
        /// Who took it from the holder that asks.
        by: Box<Lease>,
    },
    /// There is no such run.
    #[error("there is no run `{0}`")]
    NoRun(String),
    /// The text fits several runs.
    #[error("`{text}` fits several runs: {}", runs.join(", "))]
    Ambiguous {
        /// What was given.
        text: String,
        /// The runs that it fits.
        runs: Vec<String>,
    },
}

/// Everything that a run is made of, kept so that it can be continued whatever the working tree holds by then.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StoredRun {
    /// The format's version.
    pub version: u32,
    /// The version of Windlass that started it.
    pub windlass: String,
    /// The name of the script in the bundle.
    pub script: String,
    /// Every source that it can import, by name.
    pub bundle: Vec<(String, String)>,
    /// The environment as it was.
    pub environment: Environment,
    /// The parameters given on the command line.
    pub params: Map<String, Value>,
    /// The selector that limits the run's hosts.
    #[serde(default)]
    pub limit: Option<String>,
    /// The directory of the project.
    pub root: String,
    /// The artifacts that its script may ask for: these versions, whatever the store holds later.
    #[serde(default)]
    pub artifacts: Vec<Pin>,
    /// Where their contents are kept.
    #[serde(default)]
    pub store: String,
    /// The run whose release it makes live again, when it is a rollback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goes_back_to: Option<RunId>,
    /// What was known-good where when it began.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub known_good: Vec<KnownGood>,
    /// The plan that it is held to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Held>,
}

impl StoredRun {
    /// Where artifacts and files are kept for it.
    #[must_use]
    pub fn store_directory(&self) -> PathBuf {
        // Runs of the first versions had no store.
        if self.store.is_empty() { Path::new(&self.root).join(".windlass/artifacts") } else { PathBuf::from(&self.store) }
    }

    /// The digest of all sources.
    #[must_use]
    pub fn bundle_digest(&self) -> Digest {
        let listed: Vec<String> =
            self.bundle.iter().map(|(name, text)| format!("{name} {}\n", Digest::of(text.as_bytes()))).collect();
        Digest::of(listed.concat().as_bytes())
    }
}

/// A run in a list.
#[derive(Debug, Clone, Serialize)]
pub struct RunRow {
    /// Its name.
    pub id: RunId,
    /// Its environment.
    pub environment: String,
    /// Its script.
    pub script: String,
    /// Its phase, as last written.
    pub state: RunPhase,
    /// Its exit code, once it has ended.
    pub exit: Option<u8>,
    /// When it started, in milliseconds since 1970-01-01 UTC.
    pub started: i64,
    /// When it last wrote a record.
    pub last: i64,
    /// Who started it.
    pub by: String,
    /// How many records it has.
    pub records: u64,
}

/// Keeps runs. Any number of threads may use one.
pub trait Ledger: Send + Sync {
    /// Keeps a new run.
    ///
    /// # Errors
    /// When it cannot be written.
    fn begin(&self, id: &RunId, run: &StoredRun, by: &str, at: i64) -> Result<(), LedgerError>;

    /// Appends records; they are on disk when this returns, and with the end of a run what it made live ([`released`]). Gives
    /// the head of the hash chain.
    ///
    /// # Errors
    /// When they cannot be written; then none of them is.
    fn append(&self, id: &RunId, records: &[Record]) -> Result<Digest, LedgerError>;

    /// Whether appending waits for nothing: no disk, no network.
    fn takes_no_time(&self) -> bool {
        false
    }

    /// Whether what is appended would still be taken.
    ///
    /// # Errors
    /// [`LedgerError::Fenced`] when the lock under which it is written is somebody else's by now.
    fn check(&self) -> Result<(), LedgerError> {
        Ok(())
    }

    /// The journal of a run as it is stored, with its hash chain.
    ///
    /// # Errors
    /// When it cannot be read.
    fn links(&self, id: &RunId) -> Result<Vec<Link>, LedgerError>;

    /// The head of a run's hash chain; nothing when it has no record.
    ///
    /// # Errors
    /// When it cannot be read.
    fn head(&self, id: &RunId) -> Result<Option<Digest>, LedgerError>;

    /// The journal of a run.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    fn records(&self, id: &RunId) -> Result<Vec<Record>, LedgerError>;

    /// The records of a run that follow this one, so many at most.
    ///
    /// # Errors
    /// When there is no such run, or it cannot be read.
    fn records_after(&self, id: &RunId, after: u64, most: usize) -> Result<Vec<Record>, LedgerError> {
        let records = self.records(id)?;
        Ok(records.into_iter().filter(|record| record.seq > after).take(most).collect())
    }

    /// What a run was given.
    ///
    /// # Errors
    /// When there is no such run, or it cannot be read.
    fn stored(&self, id: &RunId) -> Result<StoredRun, LedgerError>;

    /// Puts on record that a run keeps something there for its undoing, until it is forgotten; and why it is still there. A ledger
    /// that no later run uses need not know.
    ///
    /// # Errors
    /// When it cannot be written.
    fn leave(&self, _id: &RunId, _left: &[(Login, String)]) -> Result<(), LedgerError> {
        Ok(())
    }

    /// Puts on record that nothing of a run is left there.
    ///
    /// # Errors
    /// When it cannot be written.
    fn swept(&self, _id: &RunId, _at: &[Login]) -> Result<(), LedgerError> {
        Ok(())
    }

    /// What runs that have ended left, oldest first; also where a host keeps it until a debt is paid.
    ///
    /// # Errors
    /// When it cannot be read.
    fn leftovers(&self) -> Result<Vec<Leftover>, LedgerError> {
        Ok(Vec::new())
    }

    /// What runs made live, of one environment or of all, oldest first.
    ///
    /// # Errors
    /// When it cannot be read.
    fn releases(&self, environment: Option<&str>) -> Result<Vec<Release>, LedgerError>;

    /// What the runs before this one held of the services that it acted on: what must hold again when it is undone.
    ///
    /// # Errors
    /// When it cannot be read.
    fn before(&self, run: &RunId, state: &RunState) -> Result<Vec<Before>, LedgerError> {
        before::before(self, run, state)
    }

    /// What the newest runs before this one made of the files and links of a host that this run has changed.
    ///
    /// # Errors
    /// When it cannot be read.
    fn made_before(&self, run: &RunId, state: &RunState, host: &HostName) -> Result<Vec<(Login, Postcondition)>, LedgerError> {
        before::made(self, run, state, host)
    }

    /// Puts another script in the place of the one that a run was given.
    ///
    /// # Errors
    /// When there is no such run, or it cannot be written.
    fn replace_script(&self, id: &RunId, run: &StoredRun) -> Result<(), LedgerError>;

    /// The newest runs first, of one environment or of all.
    ///
    /// # Errors
    /// When it cannot be read.
    fn runs(&self, environment: Option<&str>, most: usize) -> Result<Vec<RunRow>, LedgerError>;

    /// The run that a person means: its name, or a part of it that no other run has.
    ///
    /// # Errors
    /// When none or several fit.
    fn find(&self, text: &str) -> Result<RunRow, LedgerError>;
}
