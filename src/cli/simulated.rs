//! The fleet in memory on which a command works: as the ledger knows the environment, and as `world.toml` describes the rest.

use super::args::Format;
use super::error::CliError;
use super::printer::Printer;
use super::run::unfinished;
use super::settings::ledger;
use crate::fleet::{Environment, Project, World};
use crate::interp::Fleet;
use crate::ledger::StoredRun;
use crate::report::plain;
use crate::run::{Known, play_known};
use serde_json::json;
use std::path::Path;
use std::sync::Arc;

/// The hosts of an environment as the description wants them; no run has been there.
pub(super) fn empty_fleet(environment: &Environment, world: &World) -> Result<Arc<Fleet>, CliError> {
    Fleet::new(environment, world).map(Arc::new).map_err(|error| CliError::input(error.to_string()))
}

/// The same with what the ledger knows to be live there. The project's store is held by the caller; `scratch` is thrown away.
pub(super) fn simulated_start(
    project: &Project,
    wanted: &StoredRun,
    world: &World,
    scratch: &Path,
) -> Result<(Arc<Fleet>, Known), CliError> {
    let fleet = empty_fleet(&wanted.environment, world)?;
    let ledger = ledger(project)?;
    let mut known = play_known(&fleet, ledger.as_ref(), wanted, scratch)?;
    if let Some(row) = unfinished(&wanted.environment.name, ledger.as_ref())? {
        known.notes.push(format!("run {} is not finished: what it has changed by now is not in memory", row.id));
    }
    Ok((fleet, known))
}

/// Says where the fleet begins.
pub(super) fn begins(known: &Known, printer: &Printer) {
    for played in &known.played {
        if printer.format == Format::Json {
            let made: Vec<_> =
                played.made.iter().map(|(component, version)| json!({ "component": component, "version": version })).collect();
            printer.json(&json!({ "event": "begins_with", "run": played.run, "made": made, "hosts": played.hosts }));
        } else {
            let hosts: Vec<&str> = played.hosts.iter().map(crate::id::HostName::as_str).collect();
            printer.say(&format!("in memory, hosts begin with {} of run {}: {}", played.what(), played.run, shortened(&hosts)));
        }
    }
    for note in &known.notes {
        match printer.format {
            Format::Json => printer.json(&json!({ "event": "begins_note", "message": note })),
            Format::Text => printer.note(&plain(note)),
        }
    }
}

/// The first few of many.
fn shortened(hosts: &[&str]) -> String {
    const MOST: usize = 8;
    match hosts.len() {
        n if n > MOST => format!("{} and {} more", hosts[..MOST].join(", "), n - MOST),
        _ => hosts.join(", "),
    }
}
