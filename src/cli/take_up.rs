//! `windlass resume`, `unwind` and `settle`: what to do with a run that has not ended well.

use super::args::{Common, SettleArgs, TakeUpArgs};
use super::error::CliError;
use super::printer::Printer;
use super::run::{Desk, lock};
use super::settings::{ledger, project};
use crate::journal::{RunPhase, RunState};
use crate::ledger::{Ledger, RunRow};
use crate::run::{Crash, Job};
use std::sync::Arc;

pub(super) fn resume(common: &Common, args: &TakeUpArgs, printer: &Printer) -> Result<u8, CliError> {
    take_up(common, &args.run, Job::Resume, args.crash_at, printer)
}

pub(super) fn unwind(common: &Common, args: &TakeUpArgs, printer: &Printer) -> Result<u8, CliError> {
    take_up(common, &args.run, Job::Unwind, args.crash_at, printer)
}

pub(super) fn settle(common: &Common, args: &SettleArgs, printer: &Printer) -> Result<u8, CliError> {
    let project = project(common)?;
    let ledger = ledger(&project)?;
    let rows = match &args.run {
        Some(text) => vec![ledger.find(text)?],
        None => ledger.runs(None, 1000)?,
    };
    let mut worst = 0;
    let mut paid = 0;
    for row in rows {
        if owes(ledger.as_ref(), &row)? {
            paid += 1;
            worst = worst.max(take_up(common, row.id.as_str(), Job::Unwind, None, printer)?);
        }
    }
    if paid == 0 {
        printer.say("no run owes anything");
    }
    // Paying a debt restores what a failed run had changed: that is what was asked for here.
    Ok(if worst == 3 { 0 } else { worst })
}

/// Whether a run left something to undo on hosts that could not be reached.
pub(super) fn owes(ledger: &dyn Ledger, row: &RunRow) -> Result<bool, CliError> {
    if row.state != RunPhase::Unwound || row.exit != Some(4) {
        return Ok(false);
    }
    let state = RunState::read(&ledger.records(&row.id)?).map_err(|illegal| CliError::input(illegal.to_string()))?;
    Ok(!state.debts().is_empty())
}

fn take_up(common: &Common, run: &str, job: Job, crash: Option<Crash>, printer: &Printer) -> Result<u8, CliError> {
    let project = project(common)?;
    let ledger = ledger(&project)?;
    let row = ledger.find(run)?;
    let _lock = lock(&project, &row.environment, ledger.as_ref())?;
    // It may have ended while the lock was waited for.
    let row = ledger.find(row.id.as_str())?;
    if row.state.is_ended() && !(job == Job::Unwind && owes(ledger.as_ref(), &row)?) {
        return Err(CliError::input(format!("run {} has ended: it is {}", row.id, row.state.word()))
            .with_help("there is nothing to take up; `windlass show` tells what it did"));
    }
    let stored = ledger.stored(&row.id)?;
    let what = if job == Job::Resume { "resuming" } else { "undoing" };
    printer.say(&format!("{what} run {}: {} on {}", row.id, row.script, row.environment));
    let desk = Desk::new(printer, &stored.environment);
    desk.know(&ledger.records(&row.id)?);
    let ledger: Arc<dyn Ledger> = ledger;
    let runner = desk.runner(ledger, crash);
    let finish = desk.watch_signals(|| runner.take_up(&row.id, job))?;
    Ok(desk.conclude(printer, &finish))
}
