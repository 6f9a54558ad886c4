//! The locks of environments in the SQLite ledger: a row for each holder there was, and one for each thing that a person has set.

use super::LedgerError;
use super::lease::{Claim, Hold, HoldKind, Lease, Locks, Refusal, judge};
use super::sqlite::{SqliteLedger, append_all, read, run_id, write};
use crate::id::{Digest, Epoch, RunId};
use crate::journal::Record;
use rusqlite::{Connection, OptionalExtension, Row, params};

impl Locks for SqliteLedger {
    fn name(&self) -> Result<String, LedgerError> {
        let sql = "select value from about where name = 'ledger'";
        self.connection().query_row(sql, [], |row| row.get(0)).map_err(|e| read(&e))
    }

    fn lease(&self, environment: &str) -> Result<Option<Lease>, LedgerError> {
        last(&self.connection(), environment)
    }

    fn claim(&self, claim: &Claim<'_>) -> Result<Result<Lease, Refusal>, LedgerError> {
        self.change(|connection| {
            let (last, holds) = (last(connection, claim.environment)?, holds(connection, claim.environment)?);
            let epoch = match judge(last.as_ref(), &holds, claim) {
                Ok(epoch) => epoch,
                Err(refusal) => return Ok(Err(refusal)),
            };
            let lease = Lease {
                epoch,
                run: Some(claim.run.clone()),
                holder: claim.holder.to_owned(),
                machine: claim.machine.to_owned(),
                since: claim.at,
                until: claim.at + claim.ttl,
                reason: String::new(),
            };
            insert(connection, claim.environment, &lease)?;
            Ok(Ok(lease))
        })
    }

    fn renew(&self, environment: &str, epoch: Epoch, until: i64) -> Result<(), LedgerError> {
        self.change(|connection| {
            refuse_late(connection, environment, epoch)?;
            set_until(connection, environment, epoch, until)
        })
    }

    fn give_back(&self, environment: &str, epoch: Epoch) -> Result<(), LedgerError> {
        self.change(|connection| set_until(connection, environment, epoch, 0))
    }

    fn take_over(&self, environment: &str, holder: &str, reason: &str, at: i64) -> Result<Option<Lease>, LedgerError> {
        self.change(|connection| {
            let Some(before) = last(connection, environment)?.filter(|lease| lease.until != 0) else { return Ok(None) };
            let lease = Lease {
                epoch: before.epoch.next(),
                run: None,
                holder: holder.to_owned(),
                machine: String::new(),
                since: at,
                until: 0,
                reason: reason.to_owned(),
            };
            insert(connection, environment, &lease)?;
            Ok(Some(before))
        })
    }

    fn append_as(&self, environment: &str, epoch: Epoch, id: &RunId, records: &[Record]) -> Result<Digest, LedgerError> {
        self.change(|connection| {
            refuse_late(connection, environment, epoch)?;
            append_all(connection, id, records)
        })
    }

    fn holds(&self, environment: &str) -> Result<Vec<Hold>, LedgerError> {
        holds(&self.connection(), environment)
    }

    fn set(&self, hold: &Hold) -> Result<(), LedgerError> {
        let environment = hold.environment.as_deref().unwrap_or_default();
        let values = params![word(hold.kind), environment, hold.by, hold.reason, hold.since, hold.until];
        let sql = "insert or replace into holds (kind, environment, by, reason, since, until) values (?1, ?2, ?3, ?4, ?5, ?6)";
        self.connection().execute(sql, values).map(drop).map_err(|e| write(&e))
    }

    fn lift(&self, kind: HoldKind, environment: Option<&str>) -> Result<bool, LedgerError> {
        let sql = "delete from holds where kind = ?1 and environment = ?2";
        let gone = self.connection().execute(sql, params![word(kind), environment.unwrap_or_default()]);
        gone.map(|rows| rows > 0).map_err(|e| write(&e))
    }
}

/// Refuses who is not the last holder any more.
fn refuse_late(connection: &Connection, environment: &str, epoch: Epoch) -> Result<(), LedgerError> {
    match last(connection, environment)? {
        Some(by) if by.epoch != epoch => {
            // The one who took it from this holder, whoever has it now.
            let by = numbered(connection, environment, epoch.next())?.unwrap_or(by);
            Err(LedgerError::Fenced { environment: environment.to_owned(), by: Box::new(by) })
        }
        _ => Ok(()),
    }
}

const LEASE: &str = "select epoch, run, holder, machine, since, until, reason from leases where environment = ?1";

fn last(connection: &Connection, environment: &str) -> Result<Option<Lease>, LedgerError> {
    let sql = format!("{LEASE} order by epoch desc limit 1");
    let mut statement = connection.prepare_cached(&sql).map_err(|e| read(&e))?;
    statement.query_row([environment], lease).optional().map_err(|e| read(&e))
}

fn numbered(connection: &Connection, environment: &str, epoch: Epoch) -> Result<Option<Lease>, LedgerError> {
    let sql = format!("{LEASE} and epoch = ?2");
    connection.query_row(&sql, params![environment, number(epoch)], lease).optional().map_err(|e| read(&e))
}

fn lease(row: &Row<'_>) -> rusqlite::Result<Lease> {
    Ok(Lease {
        epoch: Epoch(row.get::<_, i64>(0)?.unsigned_abs()),
        run: row.get::<_, Option<String>>(1)?.as_deref().map(run_id).transpose()?,
        holder: row.get(2)?,
        machine: row.get(3)?,
        since: row.get(4)?,
        until: row.get(5)?,
        reason: row.get(6)?,
    })
}

fn insert(connection: &Connection, environment: &str, lease: &Lease) -> Result<(), LedgerError> {
    let run = lease.run.as_ref().map(RunId::as_str);
    let (epoch, machine, reason) = (number(lease.epoch), &lease.machine, &lease.reason);
    let values = params![environment, epoch, run, lease.holder, machine, lease.since, lease.until, reason];
    let sql = "insert into leases (environment, epoch, run, holder, machine, since, until, reason) values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    connection.execute(sql, values).map(drop).map_err(|e| write(&e))
}

fn set_until(connection: &Connection, environment: &str, epoch: Epoch, until: i64) -> Result<(), LedgerError> {
    let sql = "update leases set until = ?3 where environment = ?1 and epoch = ?2";
    connection.execute(sql, params![environment, number(epoch), until]).map(drop).map_err(|e| write(&e))
}

fn holds(connection: &Connection, environment: &str) -> Result<Vec<Hold>, LedgerError> {
    let sql = "select kind, environment, by, reason, since, until from holds where environment in (?1, '') order by kind desc";
    let mut statement = connection.prepare(sql).map_err(|e| read(&e))?;
    let rows = statement.query_map([environment], hold).map_err(|e| read(&e))?;
    rows.collect::<Result<_, _>>().map_err(|e| read(&e))
}

fn hold(row: &Row<'_>) -> rusqlite::Result<Hold> {
    let kind = if row.get::<_, String>(0)? == word(HoldKind::Freeze) { HoldKind::Freeze } else { HoldKind::Lock };
    let environment: String = row.get(1)?;
    Ok(Hold {
        kind,
        environment: (!environment.is_empty()).then_some(environment),
        by: row.get(2)?,
        reason: row.get(3)?,
        since: row.get(4)?,
        until: row.get(5)?,
    })
}

fn word(kind: HoldKind) -> &'static str {
    match kind {
        HoldKind::Lock => "lock",
        HoldKind::Freeze => "freeze",
    }
}

fn number(epoch: Epoch) -> i64 {
    i64::try_from(epoch.0).unwrap_or(i64::MAX)
}
