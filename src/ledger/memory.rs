//! A ledger in memory, for runs that leave nothing behind.

use super::chain::{Link, link, origin};
use super::{Ledger, LedgerError, Leftover, Release, RunRow, StoredRun, released};
use crate::effect::Login;
use crate::id::{Digest, RunId};
use crate::journal::{Entry, Record, RunPhase};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Keeps runs until it is dropped.
#[derive(Default)]
pub struct MemoryLedger(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    runs: Vec<Run>,
    releases: Vec<Release>,
    /// What runs left, and why, by run and login.
    left: BTreeMap<(RunId, Login), String>,
}

struct Run {
    row: RunRow,
    stored: StoredRun,
    records: Vec<Record>,
    links: Vec<Link>,
    head: Digest,
}

impl MemoryLedger {
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, id: &RunId, look: impl FnOnce(&Run) -> T) -> Result<T, LedgerError> {
        let kept = self.lock();
        kept.runs.iter().find(|run| run.row.id == *id).map(look).ok_or_else(|| LedgerError::NoRun(id.to_string()))
    }
}

impl Kept {
    fn run(&mut self, id: &RunId) -> Result<&mut Run, LedgerError> {
        self.runs.iter_mut().find(|run| run.row.id == *id).ok_or_else(|| LedgerError::NoRun(id.to_string()))
    }

    /// What an ended run made live.
    fn keep_releases(&mut self, id: &RunId, at: i64) -> Result<(), LedgerError> {
        let run = self.run(id)?;
        let made_by = run.stored.goes_back_to.clone().unwrap_or_else(|| id.clone());
        let (environment, made) = (run.row.environment.clone(), released(&run.records));
        for made in made {
            let n = i64::try_from(self.releases.len()).unwrap_or(i64::MAX).saturating_add(1);
            let (run, made_by) = (id.clone(), made_by.clone());
            self.releases.push(Release { n, environment: environment.clone(), made, run, made_by, at });
        }
        Ok(())
    }
}

impl Run {
    fn add(&mut self, record: &Record) -> Result<(), LedgerError> {
        let body = serde_json::to_string(record).map_err(|error| LedgerError::Write(error.to_string()))?;
        self.head = link(&self.head, &body);
        self.links.push(Link { seq: record.seq, body, hash: self.head.to_string() });
        (self.row.last, self.row.records) = (record.at, record.seq);
        match &record.entry {
            Entry::Phase { phase, .. } => self.row.state = *phase,
            Entry::RunEnded { state, exit, .. } => (self.row.state, self.row.exit) = (*state, Some(*exit)),
            _ => {}
        }
        self.records.push(record.clone());
        Ok(())
    }
}

impl Ledger for MemoryLedger {
    fn begin(&self, id: &RunId, run: &StoredRun, by: &str, at: i64) -> Result<(), LedgerError> {
        let mut kept = self.lock();
        if kept.run(id).is_ok() {
            return Err(LedgerError::Write(format!("there is a run {id} already")));
        }
        let row = RunRow {
            id: id.clone(),
            environment: run.environment.name.clone(),
            script: run.script.clone(),
            state: RunPhase::Running,
            exit: None,
            started: at,
            last: at,
            by: by.to_owned(),
            records: 0,
        };
        kept.runs.push(Run { row, stored: run.clone(), records: Vec::new(), links: Vec::new(), head: origin(id) });
        Ok(())
    }

    fn append(&self, id: &RunId, records: &[Record]) -> Result<Digest, LedgerError> {
        let mut kept = self.lock();
        let run = kept.run(id)?;
        for record in records {
            run.add(record)?;
        }
        let head = run.head.clone();
        if let Some(end) = records.iter().find(|record| matches!(record.entry, Entry::RunEnded { .. })) {
            kept.keep_releases(id, end.at)?;
        }
        Ok(head)
    }

    fn takes_no_time(&self) -> bool {
        true
    }

    fn links(&self, id: &RunId) -> Result<Vec<Link>, LedgerError> {
        self.with(id, |run| run.links.clone())
    }

    fn head(&self, id: &RunId) -> Result<Option<Digest>, LedgerError> {
        self.with(id, |run| (!run.links.is_empty()).then(|| run.head.clone()))
    }

    fn records(&self, id: &RunId) -> Result<Vec<Record>, LedgerError> {
        self.with(id, |run| run.records.clone())
    }

    fn stored(&self, id: &RunId) -> Result<StoredRun, LedgerError> {
        self.with(id, |run| run.stored.clone())
    }

    fn leave(&self, id: &RunId, left: &[(Login, String)]) -> Result<(), LedgerError> {
        let left = left.iter().map(|(at, why)| ((id.clone(), at.clone()), why.clone()));
        self.lock().left.extend(left);
        Ok(())
    }

    fn swept(&self, id: &RunId, at: &[Login]) -> Result<(), LedgerError> {
        self.lock().left.retain(|(run, login), _| run != id || !at.contains(login));
        Ok(())
    }

    fn leftovers(&self) -> Result<Vec<Leftover>, LedgerError> {
        let kept = self.lock();
        let ended = kept.runs.iter().filter(|run| run.row.state.is_ended());
        let of = |run: &Run| {
            let (id, environment) = (run.row.id.clone(), run.row.environment.clone());
            let own = kept.left.iter().filter(move |((run, _), _)| *run == id);
            own.map(|((run, at), why)| Leftover {
                run: run.clone(),
                environment: environment.clone(),
                at: at.clone(),
                why: why.clone(),
            })
            .collect::<Vec<_>>()
        };
        Ok(ended.flat_map(of).collect())
    }

    fn releases(&self, environment: Option<&str>) -> Result<Vec<Release>, LedgerError> {
        let wanted = |release: &&Release| environment.is_none_or(|name| name == release.environment);
        Ok(self.lock().releases.iter().filter(wanted).cloned().collect())
    }

    fn replace_script(&self, id: &RunId, run: &StoredRun) -> Result<(), LedgerError> {
        let mut kept = self.lock();
        let found = kept.run(id)?;
        found.row.script.clone_from(&run.script);
        found.stored = run.clone();
        Ok(())
    }

    fn runs(&self, environment: Option<&str>, most: usize) -> Result<Vec<RunRow>, LedgerError> {
        let wanted = |run: &&Run| environment.is_none_or(|name| name == run.row.environment);
        Ok(self.lock().runs.iter().rev().filter(wanted).take(most).map(|run| run.row.clone()).collect())
    }

    fn find(&self, text: &str) -> Result<RunRow, LedgerError> {
        let kept = self.lock();
        let fitting: Vec<&RunRow> = kept.runs.iter().map(|run| &run.row).filter(|row| row.id.as_str().contains(text)).collect();
        match fitting[..] {
            [] => Err(LedgerError::NoRun(text.to_owned())),
            [only] => Ok(only.clone()),
            ref several => match several.iter().find(|row| row.id.as_str() == text) {
                Some(exact) => Ok((*exact).clone()),
                None => {
                    let runs = several.iter().map(|row| row.id.to_string()).collect();
                    Err(LedgerError::Ambiguous { text: text.to_owned(), runs })
                }
            },
        }
    }
}
