//! The table of what ended runs left on hosts.

use super::{read as unread, row, write as unwritten};
use crate::effect::Login;
use crate::id::{HostName, RunId};
use crate::ledger::{LedgerError, Leftover};
use rusqlite::{Connection, Transaction, params};

/// Puts on record what is left, or why it still is.
pub(super) fn keep(transaction: &Transaction<'_>, id: &RunId, left: &[(Login, String)]) -> Result<(), LedgerError> {
    let sql = "insert into leftovers (run, host, user, why) values (?1, ?2, ?3, ?4) \
               on conflict (run, host, user) do update set why = excluded.why";
    let mut kept = transaction.prepare_cached(sql).map_err(|e| unwritten(&e))?;
    for (at, why) in left {
        kept.execute(params![id.as_str(), at.host.as_str(), user(at), why]).map_err(|e| unwritten(&e))?;
    }
    Ok(())
}

/// Takes off the record what is gone.
pub(super) fn sweep(transaction: &Transaction<'_>, id: &RunId, at: &[Login]) -> Result<(), LedgerError> {
    let sql = "delete from leftovers where run = ?1 and host = ?2 and user = ?3";
    let mut gone = transaction.prepare_cached(sql).map_err(|e| unwritten(&e))?;
    for at in at {
        gone.execute(params![id.as_str(), at.host.as_str(), user(at)]).map_err(|e| unwritten(&e))?;
    }
    Ok(())
}

/// What runs left that have ended, oldest first.
pub(super) fn read(connection: &Connection) -> Result<Vec<Leftover>, LedgerError> {
    let sql = "select id, environment, script, state, exit, started, last, by, records, host, user, why \
               from leftovers join runs on id = run order by started, id, host, user";
    let mut statement = connection.prepare_cached(sql).map_err(|e| unread(&e))?;
    let mut rows = statement.query([]).map_err(|e| unread(&e))?;
    let mut left = Vec::new();
    while let Some(found) = rows.next().map_err(|e| unread(&e))? {
        let run = row(found).map_err(|e| unread(&e))?;
        let text = |n: usize| found.get::<_, String>(n).map_err(|e| unread(&e));
        let host = HostName::parse(&text(9)?).map_err(|error| LedgerError::Read(error.to_string()))?;
        let user = Some(text(10)?).filter(|user| !user.is_empty());
        if run.state.is_ended() {
            left.push(Leftover { run: run.id, environment: run.environment, at: Login { host, user }, why: text(11)? });
        }
    }
    Ok(left)
}

fn user(at: &Login) -> &str {
    at.user.as_deref().unwrap_or_default()
}
