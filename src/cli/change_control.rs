//! `windlass lock`, `unlock`, `freeze` and `thaw`: what people set over environments, and how a lock is taken from who has it.

use super::args::{Common, FreezeArgs, LockArgs, ThawArgs, UnlockArgs};
use super::confirm::confirm;
use super::error::CliError;
use super::lease::{Holder, Standing, set_sentence, standing};
use super::printer::Printer;
use super::settings::{Labs, environment, environment_name, ledger, now, project, who};
use crate::fleet::{Class, Project, environment_file};
use crate::ledger::{Hold, HoldKind, Lease, Ledger as _, Locks, SqliteLedger};
use crate::report::clock;

pub(super) fn lock(common: &Common, args: &LockArgs, printer: &Printer) -> Result<u8, CliError> {
    let (project, ledger, name) = place(common, args.env.as_deref())?;
    let hold = hold(HoldKind::Lock, Some(name.clone()), &args.reason, None)?;
    if let Some(other) = ledger.holds(&name)?.into_iter().find(|hold| hold.kind == HoldKind::Lock) {
        return Err(CliError::new(6, set_sentence(&name, &other)).with_help("it stays as it is; `windlass unlock` takes it away"));
    }
    ledger.set(&hold)?;
    printer.say(&set_sentence(&name, &hold));
    if let Standing { lease: Some(lease), holder: Holder::AtWork } = standing(&project, ledger.as_ref(), &name)? {
        printer.note(&format!("{lease} is under way and goes on; nothing begins after it"));
    }
    printer.next(&[("to end it", format!("windlass unlock -e {name}"))]);
    Ok(0)
}

pub(super) fn unlock(common: &Common, args: &UnlockArgs, printer: &Printer) -> Result<u8, CliError> {
    let (project, ledger, name) = place(common, args.env.as_deref())?;
    if args.take_over {
        return take_over(&project, ledger.as_ref(), &name, args, printer);
    }
    if ledger.lift(HoldKind::Lock, Some(&name))? {
        printer.say(&format!("{name} is not locked any more"));
        return Ok(0);
    }
    if let Standing { lease: Some(lease), holder: Holder::AtWork } = standing(&project, ledger.as_ref(), &name)? {
        let message = format!("nobody has locked {name}, but {lease} is at work there since {} UTC", clock(lease.since));
        let help = format!("if its process hangs, or its machine is gone:\nwindlass unlock -e {name} --take-over --reason TEXT");
        return Err(CliError::new(6, message).with_help(help));
    }
    printer.say(&format!("{name} is not locked"));
    Ok(0)
}

fn take_over(project: &Project, ledger: &SqliteLedger, name: &str, args: &UnlockArgs, printer: &Printer) -> Result<u8, CliError> {
    let reason = given(args.reason.as_deref().unwrap_or_default())?;
    let Some(lease) = ledger.lease(name)?.filter(|lease| lease.until != 0) else {
        printer.say(&format!("nobody holds the lock of {name}; there is nothing to take over"));
        return Ok(0);
    };
    // What cannot be read is treated with care.
    let production = environment(project, name, Labs::Leave).map_or(true, |environment| environment.class == Class::Production);
    if production && !args.yes {
        printer.note(&format!("{name} is a production environment, and {lease} holds its lock since {} UTC", clock(lease.since)));
        confirm(name, "the lock was not taken over")?;
    }
    let Some(lease) = ledger.take_over(name, &who(), reason, now())? else {
        printer.say(&format!("{lease} has given the lock of {name} back meanwhile"));
        return Ok(0);
    };
    printer.say(&format!("the lock of {name} was taken over from {lease}; it is refused from now on"));
    printer.next(&next(ledger, &lease)?);
    Ok(0)
}

/// What to do with the run that has lost the lock.
fn next(ledger: &SqliteLedger, lease: &Lease) -> Result<Vec<(&'static str, String)>, CliError> {
    let Some(run) = &lease.run else { return Ok(Vec::new()) };
    match ledger.find(run.as_str()) {
        Ok(row) if !row.state.is_ended() => {
            Ok(vec![("go on with it", format!("windlass resume {run}")), ("undo it", format!("windlass unwind {run}"))])
        }
        // It held the lock and had not begun, or it has ended.
        Ok(_) | Err(crate::ledger::LedgerError::NoRun(_)) => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}

pub(super) fn freeze(common: &Common, args: &FreezeArgs, printer: &Printer) -> Result<u8, CliError> {
    let project = project(common)?;
    let ledger = ledger(&project)?;
    let until = args.until.as_ref().map(|text| time(text)).transpose()?;
    let name = args.env.as_deref().map(|name| known(&project, ledger.as_ref(), name)).transpose()?;
    let hold = hold(HoldKind::Freeze, name, &args.reason, until)?;
    ledger.set(&hold)?;
    printer.say(&set_sentence(hold.environment.as_deref().unwrap_or_default(), &hold));
    printer.say("what is unfinished may be resumed, unwound and settled");
    printer.next(&[("to end it", super::lease::lifted_by(&hold))]);
    Ok(0)
}

pub(super) fn thaw(common: &Common, args: &ThawArgs, printer: &Printer) -> Result<u8, CliError> {
    let project = project(common)?;
    let ledger = ledger(&project)?;
    let name = args.env.as_deref().map(|name| known(&project, ledger.as_ref(), name)).transpose()?;
    let what = name.as_deref().map_or_else(|| "the project as a whole".to_owned(), ToOwned::to_owned);
    if ledger.lift(HoldKind::Freeze, name.as_deref())? {
        printer.say(&format!("{what} is not frozen any more"));
    } else {
        printer.say(&format!("{what} is not frozen"));
    }
    let left: Vec<Hold> = ledger.holds(name.as_deref().unwrap_or_default())?;
    for hold in left.iter().filter(|hold| hold.kind == HoldKind::Freeze && hold.is_on(now())) {
        printer.note(&format!("still, {}", set_sentence(name.as_deref().unwrap_or_default(), hold)));
        printer.next(&[("to end it", super::lease::lifted_by(hold))]);
    }
    Ok(0)
}

fn place(common: &Common, env: Option<&str>) -> Result<(Project, std::sync::Arc<SqliteLedger>, String), CliError> {
    let project = project(common)?;
    let name = environment_name(&project, env)?;
    let ledger = ledger(&project)?;
    let name = known(&project, ledger.as_ref(), &name)?;
    Ok((project, ledger, name))
}

/// An environment that there is, or that there was a run of: setting something over another one would protect nothing.
fn known(project: &Project, ledger: &SqliteLedger, name: &str) -> Result<String, CliError> {
    match environment_file(project, name) {
        Err(error) if ledger.runs(Some(name), 1)?.is_empty() => Err(error.into()),
        _ => Ok(name.to_owned()),
    }
}

fn hold(kind: HoldKind, environment: Option<String>, reason: &str, until: Option<i64>) -> Result<Hold, CliError> {
    Ok(Hold { kind, environment, by: who(), reason: given(reason)?.to_owned(), since: now(), until })
}

fn given(reason: &str) -> Result<&str, CliError> {
    let reason = reason.trim();
    if reason.is_empty() {
        return Err(CliError::usage("the reason is empty").with_help("say why: whoever is refused reads it"));
    }
    Ok(reason)
}

/// A time to come: with its offset, or in UTC; or how long from now.
fn time(text: &str) -> Result<i64, CliError> {
    let wrong = || {
        CliError::usage(format!("`{text}` is no time"))
            .with_help("write 2026-12-24T18:00Z, `2026-12-24 18:00` (UTC), 2026-12-24T18:00+01:00, or how long: 36h, 2d")
    };
    let at = match crate::fleet::duration(text) {
        Some(long) => now() + i64::try_from(long.as_millis()).map_err(|_| wrong())?,
        None => moment(text.trim()).ok_or_else(wrong)?,
    };
    if at <= now() {
        return Err(CliError::usage(format!("{} UTC is over", clock(at))).with_help("give a time to come"));
    }
    Ok(at)
}

fn moment(text: &str) -> Option<i64> {
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Some(time.as_millisecond());
    }
    let civil = text.parse::<jiff::civil::DateTime>().ok()?;
    Some(jiff::tz::TimeZone::UTC.to_timestamp(civil).ok()?.as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::moment;

    #[test]
    fn times_are_read() {
        let noon = 1_798_113_600_000;
        for text in ["2026-12-24T12:00Z", "2026-12-24 12:00", "2026-12-24T12:00:00", "2026-12-24T13:00+01:00"] {
            assert_eq!(moment(text), Some(noon), "{text}");
        }
        assert_eq!(moment("2026-12-24").map(|at| noon - at), Some(43_200_000));
        assert_eq!(moment("tomorrow"), None);
    }
}
