//! The table of what runs made live: written with the end of a run, and never changed.

use super::{journal, read as unread, write as unwritten};
use crate::artifact::{ArtifactName, Version};
use crate::id::{Digest, HostName, RunId};
use crate::ledger::{LedgerError, Made, Release, Standing, StoredRun, released};
use crate::op::Component;
use rusqlite::{Connection, Row, Transaction, params};

/// Writes what a run made live, as its journal in this transaction says.
pub(super) fn keep(transaction: &Transaction<'_>, id: &RunId, at: i64) -> Result<(), LedgerError> {
    // Most journals of runs without components are spared.
    let any: bool = transaction
        .query_row(
            "select exists (select 1 from journal where run = ?1 and instr(body, ?2) > 0)",
            params![id.as_str(), format!("\"op\":\"{}\"", Component::WORD)],
            |row| row.get(0),
        )
        .map_err(|e| unwritten(&e))?;
    if !any {
        return Ok(());
    }
    let made = released(&journal(transaction, id, 0, usize::MAX)?);
    let (environment, stored): (String, String) = transaction
        .query_row("select environment, stored from runs where id = ?1", [id.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
        .map_err(|e| unwritten(&e))?;
    let stored: StoredRun = serde_json::from_str(&stored).map_err(|error| LedgerError::Read(error.to_string()))?;
    let made_by = stored.goes_back_to.as_ref().unwrap_or(id);
    // One that ends once more, after its debts were paid, keeps its place in history.
    let first: Option<i64> = transaction
        .query_row("select min(at) from releases where run = ?1", [id.as_str()], |row| row.get(0))
        .map_err(|e| unwritten(&e))?;
    let at = first.unwrap_or(at);
    let sql = "insert into releases (environment, component, host, run, made_by, version, artifact, standing, why, at) \
               values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) \
               on conflict (environment, component, host, run) do update \
               set version = excluded.version, artifact = excluded.artifact, standing = excluded.standing, why = excluded.why";
    let mut row = transaction.prepare_cached(sql).map_err(|e| unwritten(&e))?;
    for made in made {
        let artifact = made.artifact.as_ref().map(Digest::as_str);
        let (component, host, version) = (made.component.as_str(), made.host.as_str(), made.version.as_str());
        let (run, made_by, standing) = (id.as_str(), made_by.as_str(), made.standing.word());
        let values = params![environment, component, host, run, made_by, version, artifact, standing, made.why, at];
        row.execute(values).map_err(|e| unwritten(&e))?;
    }
    Ok(())
}

/// The releases of one environment, or of all, oldest first.
pub(super) fn read(connection: &Connection, environment: Option<&str>) -> Result<Vec<Release>, LedgerError> {
    let sql = "select n, environment, component, host, run, made_by, version, artifact, standing, why, at from releases \
               where ?1 is null or environment = ?1 order by n";
    let mut statement = connection.prepare_cached(sql).map_err(|e| unread(&e))?;
    let mut rows = statement.query(params![environment]).map_err(|e| unread(&e))?;
    let mut releases = Vec::new();
    while let Some(row) = rows.next().map_err(|e| unread(&e))? {
        releases.push(release(row)?);
    }
    Ok(releases)
}

fn release(row: &Row<'_>) -> Result<Release, LedgerError> {
    let text = |n: usize| row.get::<_, String>(n).map_err(|e| unread(&e));
    let number = |n: usize| row.get::<_, i64>(n).map_err(|e| unread(&e));
    let bad = |error: crate::id::BadName| LedgerError::Read(error.to_string());
    let artifact: Option<String> = row.get(7).map_err(|e| unread(&e))?;
    let standing = text(8)?;
    let made = Made {
        component: ArtifactName::parse(&text(2)?).map_err(bad)?,
        host: HostName::parse(&text(3)?).map_err(bad)?,
        version: Version::parse(&text(6)?).map_err(bad)?,
        artifact: artifact.map(|digest| Digest::parse(&digest)).transpose().map_err(bad)?,
        standing: serde_json::from_value::<Standing>(standing.clone().into())
            .map_err(|_| LedgerError::Read(format!("`{standing}` is no standing of a release")))?,
        why: text(9)?,
    };
    let (run, made_by) = (RunId::parse(&text(4)?).map_err(bad)?, RunId::parse(&text(5)?).map_err(bad)?);
    Ok(Release { n: number(0)?, environment: text(1)?, made, run, made_by, at: number(10)? })
}
