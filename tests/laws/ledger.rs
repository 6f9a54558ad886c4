//! A ledger without a disk: quick, and it can fail on demand.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use windlass::id::{Digest, RunId};
use windlass::journal::{Record, RunState};
use windlass::ledger::{Ledger, LedgerError, Link, Release, RunRow, StoredRun};

/// Runs in memory, written down as a real ledger writes them.
pub(crate) struct MemoryLedger {
    runs: Mutex<BTreeMap<RunId, (StoredRun, Vec<String>)>>,
    /// Records of higher numbers cannot be written.
    most: AtomicU64,
}

impl Default for MemoryLedger {
    fn default() -> Self {
        Self { runs: Mutex::default(), most: AtomicU64::new(u64::MAX) }
    }
}

impl MemoryLedger {
    /// From now on it is full after this record.
    pub(crate) fn full_after(&self, seq: u64) {
        self.most.store(seq, Ordering::SeqCst);
    }

    /// A ledger that holds a run with these records.
    pub(crate) fn holding(id: &RunId, stored: StoredRun, records: &[Record]) -> Self {
        let ledger = Self::default();
        ledger.begin(id, &stored, "", 0).unwrap();
        ledger.append(id, records).unwrap();
        ledger
    }
}

impl Ledger for MemoryLedger {
    fn begin(&self, id: &RunId, run: &StoredRun, _by: &str, _at: i64) -> Result<(), LedgerError> {
        let text = serde_json::to_string(run).unwrap();
        self.runs.lock().unwrap().insert(id.clone(), (serde_json::from_str(&text).unwrap(), Vec::new()));
        Ok(())
    }

    fn append(&self, id: &RunId, records: &[Record]) -> Result<Digest, LedgerError> {
        let mut runs = self.runs.lock().unwrap();
        let (_, bodies) = runs.get_mut(id).ok_or_else(|| LedgerError::NoRun(id.to_string()))?;
        // Which records are committed together is a matter of time: the ones that fit are taken, as if they had come alone.
        let most = self.most.load(Ordering::SeqCst);
        let fitting = records.iter().filter(|record| record.seq <= most);
        bodies.extend(fitting.map(|record| serde_json::to_string(record).unwrap()));
        if records.last().is_some_and(|record| record.seq > most) {
            return Err(LedgerError::Write("the disk is full".to_owned()));
        }
        Ok(Digest::of(bodies.concat().as_bytes()))
    }

    fn links(&self, id: &RunId) -> Result<Vec<Link>, LedgerError> {
        let runs = self.runs.lock().unwrap();
        let (_, bodies) = runs.get(id).ok_or_else(|| LedgerError::NoRun(id.to_string()))?;
        let mut head = Digest::of(id.as_str().as_bytes());
        let link = |(seq, body): (u64, &String)| {
            head = Digest::of(format!("{head}\n{body}").as_bytes());
            Link { seq, body: body.clone(), hash: head.to_string() }
        };
        Ok((1..).zip(bodies).map(link).collect())
    }

    fn replace_script(&self, id: &RunId, run: &StoredRun) -> Result<(), LedgerError> {
        let mut runs = self.runs.lock().unwrap();
        let (stored, _) = runs.get_mut(id).ok_or_else(|| LedgerError::NoRun(id.to_string()))?;
        stored.clone_from(run);
        Ok(())
    }

    fn head(&self, id: &RunId) -> Result<Option<Digest>, LedgerError> {
        let runs = self.runs.lock().unwrap();
        Ok(runs.get(id).filter(|(_, bodies)| !bodies.is_empty()).map(|(_, bodies)| Digest::of(bodies.concat().as_bytes())))
    }

    fn records(&self, id: &RunId) -> Result<Vec<Record>, LedgerError> {
        let runs = self.runs.lock().unwrap();
        let (_, bodies) = runs.get(id).ok_or_else(|| LedgerError::NoRun(id.to_string()))?;
        let records: Vec<Record> = bodies.iter().map(|body| serde_json::from_str(body).unwrap()).collect();
        // Whatever a test looks at, it is legal.
        RunState::read(&records).map_err(|illegal| LedgerError::Read(illegal.to_string()))?;
        Ok(records)
    }

    fn stored(&self, id: &RunId) -> Result<StoredRun, LedgerError> {
        let runs = self.runs.lock().unwrap();
        runs.get(id).map(|(stored, _)| stored.clone()).ok_or_else(|| LedgerError::NoRun(id.to_string()))
    }

    fn releases(&self, _: Option<&str>) -> Result<Vec<Release>, LedgerError> {
        Ok(Vec::new())
    }

    fn runs(&self, _: Option<&str>, _: usize) -> Result<Vec<RunRow>, LedgerError> {
        Ok(Vec::new())
    }

    fn find(&self, text: &str) -> Result<RunRow, LedgerError> {
        Err(LedgerError::NoRun(text.to_owned()))
    }
}
