//! The ledger of a scenario: in memory, and for as long as its process is alive and holds the lock.

use crate::effect::Login;
use crate::id::{Digest, Epoch, RunId};
use crate::interp::fault::Injector;
use crate::journal::{Record, RunState};
use crate::ledger::{Lease, Ledger, LedgerError, Leftover, Link, MemoryLedger, Release, RunRow, StoredRun};
use crate::saga::Before;
use std::sync::Arc;

/// A ledger whose process may be killed, or lose its lock.
pub(super) struct Fragile {
    pub(super) inner: Arc<MemoryLedger>,
    pub(super) injector: Arc<Injector>,
    pub(super) environment: String,
    pub(super) before: Arc<[Before]>,
}

impl Fragile {
    fn alive(&self) -> Result<(), LedgerError> {
        if self.injector.is_dead() {
            return Err(LedgerError::Write("the process was killed".to_owned()));
        }
        if !self.injector.is_lost() {
            return Ok(());
        }
        let by = Lease {
            epoch: Epoch(2),
            run: None,
            holder: "somebody else".to_owned(),
            machine: String::new(),
            since: 0,
            until: 0,
            reason: String::new(),
        };
        Err(LedgerError::Fenced { environment: self.environment.clone(), by: Box::new(by) })
    }
}

impl Ledger for Fragile {
    fn begin(&self, id: &RunId, run: &StoredRun, by: &str, at: i64) -> Result<(), LedgerError> {
        self.inner.begin(id, run, by, at)
    }

    fn append(&self, id: &RunId, records: &[Record]) -> Result<Digest, LedgerError> {
        self.alive()?;
        for record in records {
            self.inner.append(id, std::slice::from_ref(record))?;
            if self.injector.kills_at(record.seq) {
                self.injector.killed_at(record.seq);
                self.alive()?;
            }
        }
        Ok(self.inner.head(id)?.unwrap_or_else(|| Digest::of(b"")))
    }

    fn takes_no_time(&self) -> bool {
        true
    }

    fn check(&self) -> Result<(), LedgerError> {
        self.alive()
    }

    fn links(&self, id: &RunId) -> Result<Vec<Link>, LedgerError> {
        self.inner.links(id)
    }

    fn head(&self, id: &RunId) -> Result<Option<Digest>, LedgerError> {
        self.inner.head(id)
    }

    fn records(&self, id: &RunId) -> Result<Vec<Record>, LedgerError> {
        self.inner.records(id)
    }

    fn stored(&self, id: &RunId) -> Result<StoredRun, LedgerError> {
        self.inner.stored(id)
    }

    fn leave(&self, id: &RunId, left: &[(Login, String)]) -> Result<(), LedgerError> {
        self.alive()?;
        self.inner.leave(id, left)
    }

    fn swept(&self, id: &RunId, at: &[Login]) -> Result<(), LedgerError> {
        self.alive()?;
        self.inner.swept(id, at)
    }

    fn leftovers(&self) -> Result<Vec<Leftover>, LedgerError> {
        self.inner.leftovers()
    }

    fn releases(&self, environment: Option<&str>) -> Result<Vec<Release>, LedgerError> {
        self.inner.releases(environment)
    }

    fn before(&self, _: &RunId, _: &RunState) -> Result<Vec<Before>, LedgerError> {
        Ok(self.before.to_vec())
    }

    fn replace_script(&self, id: &RunId, run: &StoredRun) -> Result<(), LedgerError> {
        self.inner.replace_script(id, run)
    }

    fn runs(&self, environment: Option<&str>, most: usize) -> Result<Vec<RunRow>, LedgerError> {
        self.inner.runs(environment, most)
    }

    fn find(&self, text: &str) -> Result<RunRow, LedgerError> {
        self.inner.find(text)
    }
}
