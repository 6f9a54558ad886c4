//! `windlass show`: one run, from its journal.

use super::args::{Common, Format, ShowArgs};
use super::confirm::ask_password;
use super::error::CliError;
use super::printer::Printer;
use super::settings::{ledger, project};
use super::verify::verify;
use crate::journal::{Entry, RunState};
use crate::ledger::Ledger;
use crate::report::{Counts, TextReport, Tone, Wordiness, clock, json_event, millis, plain};
use std::collections::BTreeMap;

pub(super) fn show(common: &Common, args: &ShowArgs, printer: &Printer) -> Result<u8, CliError> {
    let project = project(common)?;
    let ledger = ledger(&project)?;
    let row = match &args.run {
        Some(text) => ledger.find(text)?,
        None => ledger.runs(None, 1)?.into_iter().next().ok_or_else(|| CliError::input("no runs yet"))?,
    };
    if args.verify {
        return verify(ledger.as_ref(), &row, ask_password(args.ask_sudo_password)?, printer);
    }
    let records = ledger.records(&row.id)?;
    let state = RunState::read(&records).map_err(|illegal| CliError::input(format!("the journal of {}: {illegal}", row.id)))?;
    if printer.format == Format::Json {
        let (mut steps, mut counts) = (BTreeMap::new(), Counts::default());
        for record in &records {
            match &record.entry {
                Entry::RunEnded { state, exit, error } => {
                    printer.json(&serde_json::json!({"event": "run_ended", "run": row.id, "at": record.at, "state": state, "exit": exit, "error": error, "counts": counts, "journal_head": ledger.head(&row.id)?}));
                }
                _ => json_event(&row.id, record, &mut steps, &mut counts).iter().for_each(|object| printer.json(object)),
            }
        }
        return Ok(0);
    }
    let paint = printer.out_paint;
    let stored = ledger.stored(&row.id)?;
    let pinned = super::pins::listed(&stored.artifacts);
    let back = stored.goes_back_to.map(|run| format!(", back to what run {run} made")).unwrap_or_default();
    let when = clock(row.started);
    let heading = format!("run {}: {} on {}{pinned}{back}, by {}, {when} UTC", row.id, row.script, row.environment, row.by);
    printer.data(&paint.tone(Tone::Strong, &heading));
    let width = state
        .steps
        .values()
        .map(|step| &step.command.host)
        .filter(|host| !host.is_controller())
        .map(|host| host.as_str().len())
        .max()
        .unwrap_or(4);
    let mut report = TextReport::new(paint, printer.wordiness.max(Wordiness::Wordy), width);
    for record in &records {
        let at = millis(u64::try_from(record.at - row.started).unwrap_or(0));
        for (n, line) in report.lines(record).into_iter().enumerate() {
            let time = if n == 0 { at.as_str() } else { "" };
            printer.data(&format!("{time:>8}  {line}"));
        }
    }
    let took = millis(u64::try_from(row.last - row.started).unwrap_or(0));
    let exit = row.exit.map(|exit| format!(", exit {exit}")).unwrap_or_default();
    printer.data(&format!("{}{exit}, after {took}, {} records", row.state.word(), records.len()));
    if let Some(error) = &state.error {
        let host = error.host.as_ref().filter(|host| !host.is_controller()).map(|host| format!(" on {host}")).unwrap_or_default();
        printer.data(&format!("failed{host} at {}: {}", error.site, plain(&error.message)));
    }
    for (key, owed) in state.open_obligations() {
        printer.data(&format!("still open: {} ({key})", plain(&owed.name)));
    }
    for host in state.debts() {
        printer.data(&format!("owed on {host}: windlass settle {}", row.id));
    }
    Ok(0)
}
