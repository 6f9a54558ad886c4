//! `windlass status`: what is live and known-good where, and what is open, each with its next command.

use super::args::{Common, Format, StatusArgs};
use super::components::Components;
use super::ending::next_for;
use super::error::CliError;
use super::history::table;
use super::lease::{Holder, Standing, lifted_by, set_sentence, standing};
use super::printer::Printer;
use super::settings::{Labs, environment, ledger, now, project};
use super::take_up::owes;
use crate::fleet::Project;
use crate::journal::{RunPhase, RunState};
use crate::ledger::{Hold, HoldKind, Lease, Ledger, Leftover, Locks, RunRow};
use crate::report::{Paint, Tone, ago, clock, plain};
use crate::run::is_owed;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The environments that have a file, or runs: a run is open even when the file of its environment has gone.
fn known(project: &Project, ledger: &dyn Ledger) -> Result<BTreeSet<String>, CliError> {
    let of_runs = ledger.runs(None, 1000)?.into_iter().map(|row| row.environment);
    Ok(crate::fleet::environments(project)?.into_iter().chain(of_runs).collect())
}

/// Refuses an environment of which nothing is known.
pub(super) fn must_be_known(project: &Project, ledger: &dyn Ledger, name: &str) -> Result<(), CliError> {
    if known(project, ledger)?.contains(name) {
        return Ok(());
    }
    environment(project, name, Labs::Leave).map(drop)
}

pub(super) fn status(common: &Common, args: &StatusArgs, printer: &Printer) -> Result<u8, CliError> {
    let project = project(common)?;
    let ledger = ledger(&project)?;
    let environments = match &args.env {
        Some(name) => {
            must_be_known(&project, ledger.as_ref(), name)?;
            vec![name.clone()]
        }
        None => known(&project, ledger.as_ref())?.into_iter().collect(),
    };
    for name in &environments {
        let rows = ledger.runs(Some(name), 1000)?;
        let Standing { lease, holder } = standing(&project, ledger.as_ref(), name)?;
        let busy = holder == Holder::AtWork;
        let holds: Vec<Hold> = ledger.holds(name)?.into_iter().filter(|hold| hold.is_on(now())).collect();
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
            let (obligations, hosts) = (still_open(ledger.as_ref(), row)?, state(ledger.as_ref(), row)?.debts());
            Ok(json!({"run": row.id, "hosts": hosts, "obligations": obligations, "next": format!("windlass settle {}", row.id)}))
        };
        let left: Vec<Leftover> = ledger.leftovers()?;
        let left: Vec<&Leftover> =
            left.iter().filter(|left| left.environment == *name && !is_owed(ledger.as_ref(), left)).collect();
        let unsettled: Vec<&RunRow> = open.iter().chain(&owing).copied().collect();
        let components = Components::read(&project, name, ledger.as_ref(), &unsettled)?;
        match printer.format {
            Format::Json => printer.json(&json!({
                "environment": name, "busy": busy, "last": rows.first(), "components": components.json(),
                "lease": lease.as_ref().map(|lease| leased(name, lease, busy)),
                "lock": set(&holds, HoldKind::Lock), "freeze": set(&holds, HoldKind::Freeze),
                "open": open.iter().map(|row| described(row)).collect::<Result<Vec<_>, _>>()?,
                "leftovers": left,
                "debts": owing.iter().map(|row| owed(row)).collect::<Result<Vec<_>, _>>()?,
            })),
            Format::Text => {
                let paint = printer.out_paint;
                printer.data(&paint.tone(Tone::Strong, name));
                locks(name, lease.as_ref(), holder, &holds, paint).iter().for_each(|line| printer.data(line));
                text(&rows, printer);
                components.text(printer);
                unfinished(ledger.as_ref(), holder, &open, &owing, printer)?;
                leftovers(&left, printer);
            }
        }
    }
    if environments.is_empty() {
        printer.say("this project has no environments yet; `windlass lab up 3` makes one");
    }
    Ok(0)
}

/// Who has the lock, and what people have set, each with the command that ends it.
fn locks(name: &str, lease: Option<&Lease>, holder: Holder, holds: &[Hold], paint: Paint) -> Vec<String> {
    let mut lines = Vec::new();
    for hold in holds {
        let word = if hold.kind == HoldKind::Lock { "lock" } else { "freeze" };
        lines.push(format!("  {} {}", paint.tone(Tone::Bad, word), set_sentence(name, hold)));
        lines.push(format!("       {:<22} {}", "to end it", lifted_by(hold)));
    }
    if let Some(lease) = lease {
        let how = match holder {
            Holder::AtWork => format!("until {} UTC unless it goes on", clock(lease.until)),
            Holder::Silent => format!("it ended {}: whoever comes next takes it over", ago(lease.until, now())),
            Holder::Gone => "its process is gone: whoever comes next takes it over".to_owned(),
        };
        lines.push(format!("  held {lease} has the lock since {} UTC, {how}", clock(lease.since)));
        if holder == Holder::AtWork {
            lines.push(format!("       {:<22} {}", "if its process hangs", take_over(name)));
        }
    }
    lines
}

fn leased(name: &str, lease: &Lease, busy: bool) -> Value {
    json!({ "held": lease, "busy": busy, "next": take_over(name) })
}

fn set(holds: &[Hold], kind: HoldKind) -> Vec<Value> {
    holds.iter().filter(|hold| hold.kind == kind).map(|hold| json!({ "set": hold, "next": lifted_by(hold) })).collect()
}

fn take_over(name: &str) -> String {
    format!("windlass unlock -e {name} --take-over --reason TEXT")
}

fn text(rows: &[RunRow], printer: &Printer) {
    let paint = printer.out_paint;
    let Some(last) = rows.first() else { return printer.data("  no runs yet") };
    for line in table(std::slice::from_ref(last), paint) {
        printer.data(&format!("  {line}"));
    }
}

/// What hosts still keep of runs that have ended.
fn leftovers(left: &[&Leftover], printer: &Printer) {
    for left in left {
        let what = printer.out_paint.tone(Tone::Bad, "left");
        printer.data(&format!("  {what} run {} keeps something on {}: {}", left.run, left.at, plain(&left.why)));
    }
    if !left.is_empty() {
        printer.data(&format!("       {:<22} the next run that comes there", "removed by"));
    }
}

fn unfinished(
    ledger: &dyn Ledger,
    holder: Holder,
    open: &[&RunRow],
    owing: &[&RunRow],
    printer: &Printer,
) -> Result<(), CliError> {
    let paint = printer.out_paint;
    for row in open {
        let last = format!("; its last record, {}, was written {}", row.records, ago(row.last, now()));
        let how = match (holder, row.state) {
            (Holder::AtWork, _) => "under way".to_owned(),
            (Holder::Gone, RunPhase::Running) => format!("its process has ended without bringing it to an end{last}"),
            (Holder::Silent, RunPhase::Running) => format!("its process says nothing any more{last}"),
            (_, state) => state.word().to_owned(),
        };
        printer.data(&format!("  {} run {}: {how}", paint.tone(Tone::Bad, "open"), row.id));
        for name in still_open(ledger, row)? {
            printer.data(&format!("       {:<22} {}", "still open", plain(&name)));
        }
        for (what, command) in next(ledger, row, holder == Holder::AtWork)? {
            printer.data(&format!("       {what:<22} {command}"));
        }
    }
    for row in owing {
        let state = state(ledger, row)?;
        let hosts: Vec<String> = state.debts().iter().filter(|host| !host.is_controller()).map(ToString::to_string).collect();
        let owed = paint.tone(Tone::Bad, "owed");
        if !hosts.is_empty() {
            printer.data(&format!("  {owed} run {} left changes on {}", row.id, hosts.join(", ")));
            for why in state.left_as_they_are() {
                printer.data(&format!("       {}", plain(why)));
            }
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
