//! The ledger in one SQLite file: write-ahead log, synchronous=FULL, readable by its owner only.

mod leftovers;
mod releases;

use super::chain::{Link, link, origin};
use super::migrations::migrate;
use super::{Ledger, LedgerError, Leftover, Release, RunRow, StoredRun};
use crate::effect::Login;
use crate::id::{Digest, HostName, RunId};
use crate::journal::{Entry, Record, RunPhase};
use crate::private;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

const ROW: &str = "select id, environment, script, state, exit, started, last, by, records from runs";

/// A ledger in a file.
pub struct SqliteLedger {
    connection: Mutex<Connection>,
    path: PathBuf,
    /// Which file that was, by device and inode.
    identity: (u64, u64),
}

impl SqliteLedger {
    /// Opens the ledger, or makes it.
    ///
    /// # Errors
    /// When the file cannot be used.
    pub fn open(path: &Path) -> Result<Self, LedgerError> {
        let place = path.display().to_string();
        let cannot = |reason: String| LedgerError::Open { place: place.clone(), reason };
        if let Some(directory) = path.parent() {
            private::directory(directory).map_err(|error| cannot(error.to_string()))?;
        }
        // Made before SQLite opens it, so that nobody else can read it even for a moment.
        let made = private::options().create(true).append(true).open(path);
        let about = made.and_then(|file| file.metadata()).map_err(|error| cannot(error.to_string()))?;
        let identity = (about.dev(), about.ino());
        let connection = Connection::open(path).map_err(|error| cannot(error.to_string()))?;
        let connection = Self::prepare(connection).map_err(|error| match error {
            LedgerError::Write(reason) => cannot(reason),
            other => other,
        })?;
        Ok(Self { connection: Mutex::new(connection), path: path.to_owned(), identity })
    }

    /// What is written into a file that was removed or replaced would be lost with this process.
    fn is_there(&self) -> Result<(), LedgerError> {
        let now = std::fs::metadata(&self.path).map(|about| (about.dev(), about.ino()));
        match now {
            Ok(now) if now == self.identity => Ok(()),
            Ok(_) => Err(LedgerError::Write(format!("{} was replaced by another file meanwhile", self.path.display()))),
            Err(error) => Err(LedgerError::Write(format!("{} was there and is not any more: {error}", self.path.display()))),
        }
    }

    fn prepare(mut connection: Connection) -> Result<Connection, LedgerError> {
        connection.busy_timeout(Duration::from_secs(10)).map_err(|e| write(&e))?;
        connection.pragma_update(None, "journal_mode", "WAL").map_err(|e| write(&e))?;
        connection.pragma_update(None, "synchronous", "FULL").map_err(|e| write(&e))?;
        connection.pragma_update(None, "foreign_keys", "ON").map_err(|e| write(&e))?;
        let transaction =
            connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).map_err(|e| write(&e))?;
        migrate(&transaction)?;
        transaction.commit().map_err(|e| write(&e))?;
        Ok(connection)
    }

    pub(super) fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does this as one, alone; nothing of it when it fails.
    pub(super) fn change<T>(&self, work: impl FnOnce(&Transaction<'_>) -> Result<T, LedgerError>) -> Result<T, LedgerError> {
        self.is_there()?;
        let mut connection = self.connection();
        let transaction =
            connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).map_err(|e| write(&e))?;
        let done = work(&transaction)?;
        transaction.commit().map_err(|e| write(&e))?;
        Ok(done)
    }
}

impl Ledger for SqliteLedger {
    fn begin(&self, id: &RunId, run: &StoredRun, by: &str, at: i64) -> Result<(), LedgerError> {
        let stored = serde_json::to_string(run).map_err(|error| LedgerError::Write(error.to_string()))?;
        let values = params![id.as_str(), run.environment.name, run.script, RunPhase::Running.word(), at, by, stored];
        let sql = "insert into runs (id, environment, script, state, started, last, by, stored) values (?1, ?2, ?3, ?4, ?5, ?5, ?6, ?7)";
        self.connection().execute(sql, values).map(drop).map_err(|e| write(&e))
    }

    fn append(&self, id: &RunId, records: &[Record]) -> Result<Digest, LedgerError> {
        self.change(|transaction| append_all(transaction, id, records))
    }

    fn links(&self, id: &RunId) -> Result<Vec<Link>, LedgerError> {
        let connection = self.connection();
        let sql = "select seq, body, hash from journal where run = ?1 order by seq";
        let mut statement = connection.prepare(sql).map_err(|e| read(&e))?;
        let link = |row: &Row<'_>| Ok(Link { seq: row.get::<_, i64>(0)?.unsigned_abs(), body: row.get(1)?, hash: row.get(2)? });
        let links = statement.query_map([id.as_str()], link).map_err(|e| read(&e))?;
        links.collect::<Result<_, _>>().map_err(|e| read(&e))
    }

    fn head(&self, id: &RunId) -> Result<Option<Digest>, LedgerError> {
        let sql = "select hash from journal where run = ?1 order by seq desc limit 1";
        let found = self.connection().query_row(sql, [id.as_str()], |row| row.get::<_, String>(0)).optional();
        found.map_err(|e| read(&e))?.map(|hash| Digest::parse(&hash).map_err(|e| LedgerError::Read(e.to_string()))).transpose()
    }

    fn records(&self, id: &RunId) -> Result<Vec<Record>, LedgerError> {
        journal(&self.connection(), id, 0, usize::MAX)
    }

    fn records_after(&self, id: &RunId, after: u64, most: usize) -> Result<Vec<Record>, LedgerError> {
        journal(&self.connection(), id, after, most)
    }

    fn stored(&self, id: &RunId) -> Result<StoredRun, LedgerError> {
        let found = self
            .connection()
            .query_row("select stored from runs where id = ?1", [id.as_str()], |row| row.get::<_, String>(0))
            .optional();
        let text = found.map_err(|e| read(&e))?.ok_or_else(|| LedgerError::NoRun(id.to_string()))?;
        serde_json::from_str(&text).map_err(|error| LedgerError::Read(error.to_string()))
    }

    fn leave(&self, id: &RunId, left: &[(Login, String)]) -> Result<(), LedgerError> {
        self.change(|transaction| leftovers::keep(transaction, id, left))
    }

    fn swept(&self, id: &RunId, at: &[Login]) -> Result<(), LedgerError> {
        self.change(|transaction| leftovers::sweep(transaction, id, at))
    }

    fn leftovers(&self) -> Result<Vec<Leftover>, LedgerError> {
        leftovers::read(&self.connection())
    }

    fn releases(&self, environment: Option<&str>) -> Result<Vec<Release>, LedgerError> {
        releases::read(&self.connection(), environment)
    }

    fn replace_script(&self, id: &RunId, run: &StoredRun) -> Result<(), LedgerError> {
        let stored = serde_json::to_string(run).map_err(|error| LedgerError::Write(error.to_string()))?;
        let sql = "update runs set script = ?2, stored = ?3 where id = ?1";
        match self.connection().execute(sql, params![id.as_str(), run.script, stored]).map_err(|e| write(&e))? {
            1 => Ok(()),
            _ => Err(LedgerError::NoRun(id.to_string())),
        }
    }

    fn runs(&self, environment: Option<&str>, most: usize) -> Result<Vec<RunRow>, LedgerError> {
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let connection = self.connection();
        let sql = format!("{ROW} where ?1 is null or environment = ?1 order by started desc, id desc limit ?2");
        let mut statement = connection.prepare(&sql).map_err(|e| read(&e))?;
        let rows = statement.query_map(params![environment, most], row).map_err(|e| read(&e))?;
        rows.collect::<Result<_, _>>().map_err(|e| read(&e))
    }

    fn find(&self, text: &str) -> Result<RunRow, LedgerError> {
        let connection = self.connection();
        let mut statement = connection
            .prepare(&format!("{ROW} where instr(id, ?1) > 0 order by id = ?1 desc, id desc limit 6"))
            .map_err(|e| read(&e))?;
        let rows = statement.query_map([text], row).map_err(|e| read(&e))?;
        let rows: Vec<RunRow> = rows.collect::<Result<_, _>>().map_err(|e| read(&e))?;
        match &rows[..] {
            [] => Err(LedgerError::NoRun(text.to_owned())),
            [only] => Ok(only.clone()),
            [first, ..] if first.id.as_str() == text => Ok(first.clone()),
            several => Err(LedgerError::Ambiguous {
                text: text.to_owned(),
                runs: several.iter().map(|row| row.id.to_string()).collect(),
            }),
        }
    }
}

pub(super) fn append_all(transaction: &Transaction<'_>, id: &RunId, records: &[Record]) -> Result<Digest, LedgerError> {
    let mut head = last_hash(transaction, id)?;
    for record in records {
        head = insert(transaction, id, record, &head)?;
    }
    if let Some(end) = records.iter().find(|record| matches!(record.entry, Entry::RunEnded { .. })) {
        releases::keep(transaction, id, end.at)?;
    }
    Ok(head)
}

fn journal(connection: &Connection, id: &RunId, after: u64, most: usize) -> Result<Vec<Record>, LedgerError> {
    let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    let sql = "select body from journal where run = ?1 and seq > ?2 order by seq limit ?3";
    let mut statement = connection.prepare_cached(sql).map_err(|e| read(&e))?;
    let values = params![id.as_str(), number(after), number(most as u64)];
    let bodies = statement.query_map(values, |row| row.get::<_, String>(0)).map_err(|e| read(&e))?;
    bodies
        .map(|body| serde_json::from_str(&body.map_err(|e| read(&e))?).map_err(|error| LedgerError::Read(error.to_string())))
        .collect()
}

fn last_hash(transaction: &Transaction<'_>, id: &RunId) -> Result<Digest, LedgerError> {
    let sql = "select hash from journal where run = ?1 order by seq desc limit 1";
    let found = transaction.query_row(sql, [id.as_str()], |row| row.get::<_, String>(0)).optional().map_err(|e| write(&e))?;
    match found {
        Some(hash) => Digest::parse(&hash).map_err(|error| LedgerError::Read(error.to_string())),
        // The chain of a run begins with its name.
        None => Ok(origin(id)),
    }
}

fn insert(transaction: &Transaction<'_>, id: &RunId, record: &Record, before: &Digest) -> Result<Digest, LedgerError> {
    let body = serde_json::to_string(record).map_err(|error| LedgerError::Write(error.to_string()))?;
    let hash = link(before, &body);
    let seq = i64::try_from(record.seq).unwrap_or(i64::MAX);
    let mut journal = transaction
        .prepare_cached("insert into journal (run, seq, body, hash) values (?1, ?2, ?3, ?4)")
        .map_err(|e| write(&e))?;
    journal.execute(params![id.as_str(), seq, body, hash.as_str()]).map_err(|e| write(&e))?;
    let (state, exit) = match &record.entry {
        Entry::Phase { phase, .. } => (Some(phase.word()), None),
        Entry::RunEnded { state, exit, .. } => (Some(state.word()), Some(*exit)),
        _ => (None, None),
    };
    let sql = "update runs set last = ?2, records = ?3, state = coalesce(?4, state), exit = coalesce(?5, exit) where id = ?1";
    let mut run = transaction.prepare_cached(sql).map_err(|e| write(&e))?;
    run.execute(params![id.as_str(), record.at, seq, state, exit]).map_err(|e| write(&e))?;
    Ok(hash)
}

/// A name that is none is not passed on: it would be put into paths, and told to hosts.
pub(super) fn run_id(text: &str) -> rusqlite::Result<RunId> {
    RunId::parse(text).map_err(|bad| rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, Box::new(bad)))
}

/// The same of an environment: it has a file of its name.
fn environment(text: &str) -> rusqlite::Result<String> {
    let name = HostName::parse(text).map(|name| name.to_string());
    name.map_err(|bad| rusqlite::Error::FromSqlConversionFailure(1, rusqlite::types::Type::Text, Box::new(bad)))
}

fn row(row: &Row<'_>) -> rusqlite::Result<RunRow> {
    let state: String = row.get(3)?;
    let state = serde_json::from_value(serde_json::Value::String(state)).unwrap_or(RunPhase::Running);
    let id: String = row.get(0)?;
    Ok(RunRow {
        id: run_id(&id)?,
        environment: environment(&row.get::<_, String>(1)?)?,
        script: row.get(2)?,
        state,
        exit: row.get(4)?,
        started: row.get(5)?,
        last: row.get(6)?,
        by: row.get(7)?,
        records: row.get::<_, i64>(8)?.unsigned_abs(),
    })
}

pub(super) fn write(error: &rusqlite::Error) -> LedgerError {
    LedgerError::Write(error.to_string())
}

pub(super) fn read(error: &rusqlite::Error) -> LedgerError {
    LedgerError::Read(error.to_string())
}
