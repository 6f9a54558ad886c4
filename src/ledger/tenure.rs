//! A run's time as the holder of its environment's lock: the lease is renewed while it lives, and what it appends is refused once the
//! lock is somebody else's.

use super::lease::{Lease, Locks};
use super::{Ledger, LedgerError, Leftover, Link, Release, RunRow, StoredRun};
use crate::effect::{Fence, Login};
use crate::id::{Digest, Epoch, LockName, RunId};
use crate::journal::Record;
use crate::stop::Stop;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Milliseconds for which a lease is held unless it is renewed; it is renewed three times in that time.
pub const LEASE_MILLIS: i64 = 30_000;

/// Tells the time, in milliseconds since 1970-01-01 UTC.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// A lease under way; it is given back with the value.
pub struct Tenure {
    held: Arc<Held>,
    lock: LockName,
    since: i64,
    by: String,
    thread: Option<JoinHandle<()>>,
}

/// A ledger, as the holder of an environment's lock sees it.
struct Held {
    ledger: Arc<dyn Locks>,
    environment: String,
    epoch: Epoch,
    clock: Clock,
    stops: Mutex<Vec<Stop>>,
    over: Mutex<bool>,
    woken: Condvar,
}

impl Tenure {
    /// Begins with a lease that was just given.
    ///
    /// # Errors
    /// When the ledger's name cannot be read.
    pub fn begin(ledger: Arc<dyn Locks>, environment: &str, lease: &Lease, clock: Clock) -> Result<Self, LedgerError> {
        let lock = LockName::new(&ledger.name()?, environment);
        let held = Arc::new(Held {
            ledger,
            environment: environment.to_owned(),
            epoch: lease.epoch,
            clock,
            stops: Mutex::default(),
            over: Mutex::new(false),
            woken: Condvar::new(),
        });
        let theirs = held.clone();
        // Without it the run works as well; its lease ends early, that is all.
        let thread = std::thread::Builder::new().name("lease".to_owned()).spawn(move || theirs.keep()).ok();
        Ok(Self { held, lock, since: lease.since, by: lease.holder.clone(), thread })
    }

    /// The ledger, as this holder sees it.
    #[must_use]
    pub fn ledger(&self) -> Arc<dyn Ledger> {
        self.held.clone()
    }

    /// What hosts are shown of it.
    #[must_use]
    pub fn fence(&self) -> Fence {
        Fence { since: self.since, by: self.by.clone(), ..Fence::new(self.lock.clone(), self.held.epoch) }
    }

    /// Stops this once the lock turns out to be somebody else's.
    pub fn stops(&self, stop: Stop) {
        self.held.stops.lock().unwrap_or_else(PoisonError::into_inner).push(stop);
    }

    /// Holds it longer, now.
    ///
    /// # Errors
    /// When it is somebody else's by now, or the ledger cannot be written.
    pub fn renew(&self) -> Result<(), LedgerError> {
        self.held.renew()
    }
}

impl Drop for Tenure {
    fn drop(&mut self) {
        *self.held.over.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.held.woken.notify_all();
        if let Some(thread) = self.thread.take() {
            // It does not panic; and there would be nothing to do about it.
            let _ = thread.join();
        }
        // One that cannot be given back ends by itself.
        let _ = self.held.ledger.give_back(&self.held.environment, self.held.epoch);
    }
}

impl Held {
    fn renew(&self) -> Result<(), LedgerError> {
        let result = self.ledger.renew(&self.environment, self.epoch, (self.clock)() + LEASE_MILLIS);
        if matches!(result, Err(LedgerError::Fenced { .. })) {
            self.stops.lock().unwrap_or_else(PoisonError::into_inner).iter().for_each(Stop::stop);
        }
        result
    }

    /// Renews it until the tenure is over. A ledger that cannot be written now may be writable the next time.
    fn keep(&self) {
        let pause = Duration::from_millis(LEASE_MILLIS.unsigned_abs() / 3);
        loop {
            let over = self.over.lock().unwrap_or_else(PoisonError::into_inner);
            let waited = self.woken.wait_timeout_while(over, pause, |over| !*over);
            if *waited.unwrap_or_else(PoisonError::into_inner).0 {
                return;
            }
            if let Err(LedgerError::Fenced { .. }) = self.renew() {
                return;
            }
        }
    }
}

impl Ledger for Held {
    fn begin(&self, id: &RunId, run: &StoredRun, by: &str, at: i64) -> Result<(), LedgerError> {
        self.ledger.begin(id, run, by, at)
    }

    fn append(&self, id: &RunId, records: &[Record]) -> Result<Digest, LedgerError> {
        self.ledger.append_as(&self.environment, self.epoch, id, records)
    }

    fn head(&self, id: &RunId) -> Result<Option<Digest>, LedgerError> {
        self.ledger.head(id)
    }

    fn replace_script(&self, id: &RunId, run: &StoredRun) -> Result<(), LedgerError> {
        self.renew()?;
        self.ledger.replace_script(id, run)
    }

    fn check(&self) -> Result<(), LedgerError> {
        self.renew()
    }

    fn records(&self, id: &RunId) -> Result<Vec<Record>, LedgerError> {
        self.ledger.records(id)
    }

    fn records_after(&self, id: &RunId, after: u64, most: usize) -> Result<Vec<Record>, LedgerError> {
        self.ledger.records_after(id, after, most)
    }

    fn links(&self, id: &RunId) -> Result<Vec<Link>, LedgerError> {
        self.ledger.links(id)
    }

    fn stored(&self, id: &RunId) -> Result<StoredRun, LedgerError> {
        self.ledger.stored(id)
    }

    fn leave(&self, id: &RunId, left: &[(Login, String)]) -> Result<(), LedgerError> {
        self.ledger.leave(id, left)
    }

    fn swept(&self, id: &RunId, at: &[Login]) -> Result<(), LedgerError> {
        self.ledger.swept(id, at)
    }

    fn leftovers(&self) -> Result<Vec<Leftover>, LedgerError> {
        self.ledger.leftovers()
    }

    fn releases(&self, environment: Option<&str>) -> Result<Vec<Release>, LedgerError> {
        self.ledger.releases(environment)
    }

    fn runs(&self, environment: Option<&str>, most: usize) -> Result<Vec<RunRow>, LedgerError> {
        self.ledger.runs(environment, most)
    }

    fn find(&self, text: &str) -> Result<RunRow, LedgerError> {
        self.ledger.find(text)
    }
}
