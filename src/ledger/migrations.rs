//! The steps by which a ledger's tables came to be. A ledger's format is how many of them it has seen; a new one is a constant and
//! its place at the end of the list.

use super::LedgerError;
use rusqlite::Transaction;

const RUNS: &str = "
create table runs (
  id text primary key, environment text not null, script text not null, state text not null, exit integer,
  started integer not null, last integer not null, by text not null, records integer not null default 0, stored text not null
) strict;
create index runs_by_environment on runs (environment, started);
create table journal (
  run text not null references runs (id), seq integer not null, body text not null, hash text not null, primary key (run, seq)
) strict, without rowid;
";

/// The locks of environments: a row for each holder there was, and one for each thing that a person has set. And the ledger's own name.
const LOCKS: &str = "
create table about (name text primary key, value text not null) strict;
insert into about (name, value) values ('ledger', lower(hex(randomblob(8))));
create table leases (
  environment text not null, epoch integer not null, run text, holder text not null, machine text not null,
  since integer not null, until integer not null, reason text not null, primary key (environment, epoch)
) strict, without rowid;
create table holds (
  kind text not null, environment text not null, by text not null, reason text not null, since integer not null, until integer,
  primary key (kind, environment)
) strict, without rowid;
";

/// What runs made live: a row for each component and host at the end of each run, numbered in the order of these ends.
const RELEASES: &str = "
create table releases (
  n integer primary key autoincrement, environment text not null, component text not null, host text not null,
  run text not null references runs (id), made_by text not null references runs (id), version text not null, artifact text,
  standing text not null, why text not null, at integer not null
) strict;
create unique index releases_by_place on releases (environment, component, host, run);
";

/// What ended runs left on hosts: a row for each login there, until the host has forgotten the run.
const LEFTOVERS: &str = "
create table leftovers (
  run text not null references runs (id), host text not null, user text not null, why text not null, primary key (run, host, user)
) strict, without rowid;
";

const MIGRATIONS: &[&str] = &[RUNS, LOCKS, RELEASES, LEFTOVERS];

/// Brings the tables up to date.
///
/// # Errors
/// When a newer Windlass made the ledger, or it cannot be written.
pub(super) fn migrate(transaction: &Transaction<'_>) -> Result<(), LedgerError> {
    let unwritten = |error: rusqlite::Error| LedgerError::Write(error.to_string());
    let found: i64 = transaction.query_row("pragma user_version", [], |row| row.get(0)).map_err(unwritten)?;
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    if found > known {
        return Err(LedgerError::Newer { found, known });
    }
    let seen = usize::try_from(found).unwrap_or_default();
    for step in MIGRATIONS.iter().skip(seen) {
        transaction.execute_batch(step).map_err(unwritten)?;
    }
    if found == known { Ok(()) } else { transaction.pragma_update(None, "user_version", known).map_err(unwritten) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::Connection;

    fn migrated(connection: &mut Connection) -> Result<i64, LedgerError> {
        let transaction = connection.transaction().unwrap();
        migrate(&transaction)?;
        transaction.commit().unwrap();
        Ok(connection.query_row("pragma user_version", [], |row| row.get(0)).unwrap())
    }

    fn tables(connection: &Connection) -> Vec<String> {
        let mut statement = connection.prepare("select sql from sqlite_schema where sql is not null order by name").unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    #[test]
    fn every_older_format_becomes_the_newest_and_keeps_what_it_holds() {
        let mut fresh = Connection::open_in_memory().unwrap();
        let newest = migrated(&mut fresh).unwrap();
        for format in 1..MIGRATIONS.len() {
            let mut old = Connection::open_in_memory().unwrap();
            MIGRATIONS[..format].iter().for_each(|step| old.execute_batch(step).unwrap());
            old.pragma_update(None, "user_version", i64::try_from(format).unwrap()).unwrap();
            let row = "insert into runs values ('r', 'lab', 'deploy.rhai', 'succeeded', 0, 1, 2, 'me', 0, '{}')";
            old.execute_batch(row).unwrap();
            assert_eq!(migrated(&mut old).unwrap(), newest);
            assert_eq!(tables(&old), tables(&fresh));
            assert_eq!(old.query_row("select count(*) from runs", [], |row| row.get(0)), Ok(1));
        }
        assert_eq!(migrated(&mut fresh).unwrap(), newest);
    }

    #[test]
    fn a_newer_ledger_is_left_alone() {
        let mut newer = Connection::open_in_memory().unwrap();
        newer.pragma_update(None, "user_version", 1000).unwrap();
        assert!(matches!(migrated(&mut newer), Err(LedgerError::Newer { found: 1000, .. })));
    }
}
