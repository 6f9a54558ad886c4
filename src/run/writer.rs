//! The one writer of a run's journal: it numbers records, refuses those that may not follow, and commits what several
//! tasks have to say together, with one flush to disk.

use crate::event::{Event, Watcher};
use crate::id::{Digest, RunId};
use crate::journal::{Entry, Illegal, RECORD_VERSION, Record, RunState};
use crate::ledger::Ledger;
use crate::step::{ErrorKind, StepError};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{SystemTime, UNIX_EPOCH};

/// Where a test wants this process to be killed: at the commit of this record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Crash {
    /// The number of the record.
    pub record: u64,
    /// Before it is on disk, or after.
    pub before: bool,
}

/// Writes one run's journal.
pub struct Writer {
    shared: Arc<Shared>,
    outbox: Mutex<Option<Outbox>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// Where records go.
enum Outbox {
    /// To a thread, which waits for the disk, and takes several at a time.
    Thread(Sender<Record>),
    /// Straight into a ledger that needs no disk.
    Here(Arc<dyn Ledger>),
}

struct Shared {
    run: RunId,
    watcher: Arc<dyn Watcher>,
    state: Mutex<RunState>,
    durable: Mutex<Durable>,
    changed: Condvar,
}

struct Durable {
    seq: u64,
    head: Option<Digest>,
    failure: Option<String>,
}

impl Writer {
    /// Goes on after these records.
    #[must_use]
    pub fn new(run: RunId, state: RunState, ledger: Arc<dyn Ledger>, watcher: Arc<dyn Watcher>, crash: Option<Crash>) -> Self {
        let durable = Mutex::new(Durable { seq: state.seq, head: None, failure: None });
        let shared = Arc::new(Shared { run, watcher, state: Mutex::new(state), durable, changed: Condvar::new() });
        if ledger.takes_no_time() {
            return Self { shared, outbox: Mutex::new(Some(Outbox::Here(ledger))), thread: Mutex::new(None) };
        }
        let (outbox, inbox) = channel();
        let theirs = shared.clone();
        let thread = std::thread::spawn(move || theirs.commit_all(&inbox, ledger.as_ref(), crash));
        Self { shared, outbox: Mutex::new(Some(Outbox::Thread(outbox))), thread: Mutex::new(Some(thread)) }
    }

    /// Hands in entries; they are on disk some time later, in this order. Gives the number of the last one.
    ///
    /// # Errors
    /// When an entry may not follow, or the ledger has failed.
    pub fn submit(&self, entries: Vec<Entry>) -> Result<u64, StepError> {
        // The state is held while they are handed on: records leave in the order of their numbers.
        let mut state = lock(&self.shared.state);
        for entry in entries {
            let record = Record { version: RECORD_VERSION, seq: state.seq + 1, at: now(), entry };
            state.advance(&record).map_err(|illegal| broken(&illegal))?;
            self.shared.watcher.see(&Event::Recorded { run: self.shared.run.clone(), record: record.clone() });
            let outbox = lock(&self.outbox);
            let sent = match outbox.as_ref() {
                Some(Outbox::Thread(outbox)) => outbox.send(record).is_ok(),
                Some(Outbox::Here(ledger)) => self.shared.append(ledger.as_ref(), &[record]),
                None => false,
            };
            if !sent {
                return Err(self.failed());
            }
        }
        Ok(state.seq)
    }

    /// Hands in entries and waits until they are on disk.
    ///
    /// # Errors
    /// When an entry may not follow, or the ledger cannot be written: nothing further may be done then.
    pub fn commit(&self, entries: Vec<Entry>) -> Result<(), StepError> {
        let seq = self.submit(entries)?;
        let mut durable = lock(&self.shared.durable);
        loop {
            if durable.failure.is_some() {
                drop(durable);
                return Err(self.failed());
            }
            if durable.seq >= seq {
                return Ok(());
            }
            durable = self.shared.changed.wait(durable).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Looks at what the journal says, including what is still on its way to the disk.
    pub fn state<T>(&self, look: impl FnOnce(&RunState) -> T) -> T {
        look(&lock(&self.shared.state))
    }

    /// The head of the hash chain, as far as it is on disk.
    #[must_use]
    pub fn head(&self) -> Option<Digest> {
        lock(&self.shared.durable).head.clone()
    }

    /// Waits until everything handed in is on disk, and ends.
    pub fn close(&self) {
        drop(lock(&self.outbox).take());
        if let Some(thread) = lock(&self.thread).take() {
            // It does not panic; if it did, what it could not write is reported by whoever commits.
            let _ = thread.join();
        }
    }

    fn failed(&self) -> StepError {
        let reason = lock(&self.shared.durable).failure.clone().unwrap_or_else(|| "the journal is closed".to_owned());
        StepError::new(ErrorKind::Ledger, format!("the journal cannot be written, so nothing further is done: {reason}"))
            .with_help("make room for the ledger, or mend its permissions; then `windlass resume` or `windlass unwind` this run")
    }
}

impl Shared {
    fn commit_all(&self, inbox: &Receiver<Record>, ledger: &dyn Ledger, crash: Option<Crash>) {
        while let Ok(first) = inbox.recv() {
            let mut records = vec![first];
            records.extend(inbox.try_iter());
            if let Some(crash) = crash.filter(|crash| records.iter().any(|record| record.seq == crash.record)) {
                records.retain(|record| record.seq < crash.record + u64::from(!crash.before));
                let _ = ledger.append(&self.run, &records);
                die();
            }
            if !self.append(ledger, &records) {
                return;
            }
        }
    }

    /// Has records in the ledger; gives whether they are.
    fn append(&self, ledger: &dyn Ledger, records: &[Record]) -> bool {
        let result = ledger.append(&self.run, records);
        let mut durable = lock(&self.durable);
        match result {
            Ok(head) => {
                durable.seq = records.last().map_or(durable.seq, |record| record.seq);
                durable.head = Some(head);
            }
            Err(error) => durable.failure = Some(error.to_string()),
        }
        self.changed.notify_all();
        durable.failure.is_none()
    }
}

/// Ends this process as a power cut would, for the tests of the crash law.
fn die() {
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
}

fn broken(illegal: &Illegal) -> StepError {
    StepError::new(ErrorKind::Internal, illegal.to_string())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Milliseconds since 1970-01-01 UTC.
#[expect(clippy::disallowed_methods, reason = "records carry the time at which they were written")]
pub(super) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
