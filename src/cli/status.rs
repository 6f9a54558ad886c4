//! `windlass status`: what is open, each with its next command.

use super::args::{Common, Format, StatusArgs};
use super::error::CliError;
use super::history::table;
use super::printer::Printer;
use super::run::next_for;
use super::settings::{ledger, project};
use super::take_up::owes;
use crate::fleet::Project;
use crate::journal::{RunPhase, RunState};
use crate::ledger::{Ledger, RunRow};
use crate::report::{Tone, plain};
use serde_json::json;
use std::fs::File;

pub(super) fn status(common: &Common, args: &StatusArgs, printer: &Printer) -> Result<u8, CliError> {
    let project = project(common)?;
    let ledger = ledger(&project)?;
    let environments = match &args.env {
        Some(name) => vec![name.clone()],
        None => {
            // A run is open even when the file of its environment has gone.
            let known = ledger.runs(None, 1000)?.into_iter().map(|row| row.environment);
            let all: std::collections::BTreeSet<String> =
                crate::fleet::environments(&project)?.into_iter().chain(known).collect();
            all.into_iter().collect()
        }
    };
    for name in &environments {
        let rows = ledger.runs(Some(name), 1000)?;
        let busy = is_busy(&project, name);
        let open: Vec<&RunRow> = rows.iter().filter(|row| !row.state.is_ended()).collect();
        let mut owing = Vec::new();
        for row in &rows {
            if owes(ledger.as_ref(), row)? {
                owing.push(row);
            }
        }
        let described = |row: &RunRow| -> Result<serde_json::Value, CliError> {
            let (next, obligations) = (next(ledger.as_ref(), row, busy)?, still_open(ledger.as_ref(), row)?);
            Ok(json!({"run": row, "obligations": obligations, "next": next}))
        };
        let owed = |row: &RunRow| -> Result<serde_json::Value, CliError> {
            let obligations = still_open(ledger.as_ref(), row)?;
            Ok(json!({"run": row.id, "obligations": obligations, "next": format!("windlass settle {}", row.id)}))
        };
        match printer.format {
            Format::Json => printer.json(&json!({
                "environment": name, "busy": busy, "last": rows.first(),
                "open": open.iter().map(|row| described(row)).collect::<Result<Vec<_>, _>>()?,
                "debts": owing.iter().map(|row| owed(row)).collect::<Result<Vec<_>, _>>()?,
            })),
            Format::Text => text(ledger.as_ref(), name, &rows, busy, &open, &owing, printer)?,
        }
    }
    if environments.is_empty() {
        printer.say("this project has no environments yet; `windlass lab up 3` makes one");
    }
    Ok(0)
}

fn text(
    ledger: &dyn Ledger,
    name: &str,
    rows: &[RunRow],
    busy: bool,
    open: &[&RunRow],
    owing: &[&RunRow],
    printer: &Printer,
) -> Result<(), CliError> {
    let paint = printer.out_paint;
    printer.data(&paint.tone(Tone::Strong, name));
    let Some(last) = rows.first() else {
        printer.data("  no runs yet");
        return Ok(());
    };
    for line in table(std::slice::from_ref(last), paint) {
        printer.data(&format!("  {line}"));
    }
    for row in open {
        let how = match (busy, row.state) {
            (true, _) => "under way".to_owned(),
            (false, RunPhase::Running) => "its process has ended without bringing it to an end".to_owned(),
            (false, state) => state.word().to_owned(),
        };
        printer.data(&format!("  {} run {}: {how}", paint.tone(Tone::Bad, "open"), row.id));
        for name in still_open(ledger, row)? {
            printer.data(&format!("       {:<22} {}", "still open", plain(&name)));
        }
        for (what, command) in next(ledger, row, busy)? {
            printer.data(&format!("       {what:<22} {command}"));
        }
    }
    for row in owing {
        let hosts: Vec<String> = state(ledger, row)?.debts().iter().map(ToString::to_string).collect();
        let owed = paint.tone(Tone::Bad, "owed");
        if !hosts.is_empty() {
            printer.data(&format!("  {owed} run {} left changes on {}", row.id, hosts.join(", ")));
            printer.data(&format!("       {:<22} windlass settle {}", "once reachable", row.id));
        }
        let open = still_open(ledger, row)?;
        for name in &open {
            printer.data(&format!("  {owed} run {} left open: {}", row.id, plain(name)));
        }
        if !open.is_empty() {
            printer.data(&format!("       {:<22} windlass settle {}", "to close it", row.id));
        }
    }
    Ok(())
}

fn next(ledger: &dyn Ledger, row: &RunRow, busy: bool) -> Result<Vec<(&'static str, String)>, CliError> {
    if busy {
        return Ok(vec![("look at it", format!("windlass show {}", row.id))]);
    }
    Ok(next_for(row.state, row.id.as_str(), &state(ledger, row)?.doubts))
}

fn state(ledger: &dyn Ledger, row: &RunRow) -> Result<RunState, CliError> {
    RunState::read(&ledger.records(&row.id)?).map_err(|illegal| CliError::input(illegal.to_string()))
}

/// What a run has opened and not closed again.
fn still_open(ledger: &dyn Ledger, row: &RunRow) -> Result<Vec<String>, CliError> {
    Ok(state(ledger, row)?.open_obligations().map(|(_, owed)| owed.name.clone()).collect())
}

/// Whether a run holds the environment's lock.
fn is_busy(project: &Project, environment: &str) -> bool {
    let file = File::open(project.root.join(".windlass/locks").join(environment));
    file.is_ok_and(|file| matches!(file.try_lock(), Err(std::fs::TryLockError::WouldBlock)))
}
