//! `windlass history`: past runs.

use super::args::{Common, Format, HistoryArgs};
use super::error::CliError;
use super::printer::Printer;
use super::settings::{ledger, project};
use crate::ledger::{Ledger, RunRow};
use crate::report::{Paint, Tone, clock, millis};

pub(super) fn history(common: &Common, args: &HistoryArgs, printer: &Printer) -> Result<u8, CliError> {
    let project = project(common)?;
    let ledger = ledger(&project)?;
    if let Some(name) = &args.env {
        super::status::must_be_known(&project, ledger.as_ref(), name)?;
    }
    let rows = ledger.runs(args.env.as_deref(), args.most)?;
    match printer.format {
        Format::Json => rows.iter().filter_map(|row| serde_json::to_value(row).ok()).for_each(|row| printer.json(&row)),
        Format::Text if rows.is_empty() => printer.say("no runs yet"),
        Format::Text => table(&rows, printer.out_paint).iter().for_each(|line| printer.data(line)),
    }
    Ok(0)
}

/// Runs as aligned lines under a heading.
pub(super) fn table(rows: &[RunRow], paint: Paint) -> Vec<String> {
    let width =
        |of: fn(&RunRow) -> &str, heading: &str| rows.iter().map(|row| of(row).len()).max().unwrap_or(0).max(heading.len());
    let (environment, script) = (width(|row| &row.environment, "ENVIRONMENT"), width(|row| &row.script, "SCRIPT"));
    let heading = format!(
        "{:<19}  {:<environment$}  {:<script$}  {:<11}  {:>4}  {:<19}  {:>7}  {:>7}  BY",
        "RUN", "ENVIRONMENT", "SCRIPT", "STATE", "EXIT", "STARTED (UTC)", "TOOK", "RECORDS"
    );
    let line = |row: &RunRow| {
        let state = format!("{:<11}", row.state.word());
        let tone = match row.exit {
            Some(0) => Tone::Good,
            _ => Tone::Bad,
        };
        let took = millis(u64::try_from(row.last - row.started).unwrap_or(0));
        let exit = row.exit.map(|exit| exit.to_string()).unwrap_or_default();
        let (id, state, started, by) = (row.id.as_str(), paint.tone(tone, &state), clock(row.started), &row.by);
        format!(
            "{id:<19}  {:<environment$}  {:<script$}  {state}  {exit:>4}  {started:<19}  {took:>7}  {:>7}  {by}",
            row.environment, row.script, row.records
        )
    };
    std::iter::once(paint.tone(Tone::Strong, &heading)).chain(rows.iter().map(line)).collect()
}
