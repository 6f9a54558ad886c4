//! `windlass resume`, `unwind` and `settle`: what to do with a run that has not ended well.

use super::args::{Answer, Common, PerformArgs, ResumeArgs, SettleArgs, TakeUpArgs, UnwindArgs};
use super::check::{refuse_errors, refuse_unknown_answers};
use super::confirm::ask_password;
use super::error::CliError;
use super::lease::hold;
use super::printer::Printer;
use super::run::Desk;
use super::settings::{channels, ledger, project, script_name, who};
use crate::artifact::DirectoryStore;
use crate::fleet::Project;
use crate::id::{RunId, StepKey};
use crate::interp::Origin;
use crate::journal::{Decision, RunPhase, RunState};
use crate::ledger::{Intent, Ledger, RunRow, StoredRun};
use crate::op::Registry;
use crate::report::plain;
use crate::run::{Crash, Finish, Job, MendedScript, OnDrift, TakeUp};
use crate::script::{Diagnostic, Facts, Load, Program, ProjectSources, STANDARD, StoredSources};
use crate::stop::Stop;
use crate::transport::Password;
use std::path::Path;
use std::sync::Arc;

/// The exit code of what was asked to stop: no other run is taken up then.
const INTERRUPTED: u8 = 7;

/// What a run is taken up with.
#[derive(Default)]
struct Given<'a> {
    crash: Option<Crash>,
    password: Password,
    answers: &'a [Answer],
    /// Runs of other ledgers whose changes it may touch.
    beside: &'a [RunId],
    drift: OnDrift,
    with: Option<&'a Path>,
    decisions: Vec<(StepKey, Decision)>,
    reason: &'a str,
}

impl<'a> Given<'a> {
    fn of(args: &'a TakeUpArgs) -> Result<Self, CliError> {
        let PerformArgs { answers, beside, crash_at, ask_sudo_password } = &args.perform;
        Ok(Self { crash: *crash_at, password: ask_password(*ask_sudo_password)?, answers, beside, ..Self::default() })
    }
}

pub(super) fn resume(common: &Common, args: &ResumeArgs, printer: &Printer) -> Result<u8, CliError> {
    let said = |keys: &[StepKey], decision| keys.iter().map(move |key| (key.clone(), decision)).collect::<Vec<_>>();
    let decisions = [said(&args.assume_done, Decision::AssumeDone), said(&args.again, Decision::Again)].concat();
    if let Some((key, _)) =
        decisions.iter().enumerate().find(|(n, (key, _))| decisions[..*n].iter().any(|(k, _)| k == key)).map(|(_, d)| d)
    {
        return Err(CliError::usage(format!("step {key} is named twice")));
    }
    let drift = if args.accept_drift { OnDrift::Accept } else { OnDrift::Stop };
    let given = Given { drift, with: args.with.as_deref(), decisions, reason: &args.reason, ..Given::of(&args.take_up)? };
    take_up(common, &args.take_up.run, Job::Resume, given, printer).map(|finish| finish.exit)
}

pub(super) fn unwind(common: &Common, args: &UnwindArgs, printer: &Printer) -> Result<u8, CliError> {
    if let Some(reason) = &args.skip {
        refuse_ended(common, &args.take_up.run)?;
        give_up(common, &args.take_up.run, &args.step, reason, printer)?;
    }
    let decisions = args.mark_done.iter().map(|key| (key.clone(), Decision::MarkDone)).collect();
    let drift = if args.accept_drift { OnDrift::Accept } else { OnDrift::Stop };
    let given = Given { decisions, drift, reason: &args.reason, ..Given::of(&args.take_up)? };
    take_up(common, &args.take_up.run, Job::Unwind, given, printer).map(|finish| finish.exit)
}

pub(super) fn settle(common: &Common, args: &SettleArgs, printer: &Printer) -> Result<u8, CliError> {
    if let (Some(run), Some(reason)) = (&args.run, &args.drop) {
        return give_up(common, run, &[], reason, printer).map(|()| 0);
    }
    let project = project(common)?;
    let ledger = ledger(&project)?;
    let rows = match &args.run {
        Some(text) => vec![ledger.find(text)?],
        None => ledger.runs(None, 1000)?,
    };
    let password = ask_password(args.ask_sudo_password)?;
    let mut worst = 0;
    let mut paid = 0;
    for row in rows {
        let settles = owes(ledger.as_ref(), &row)? || is_being_settled(ledger.as_ref(), &row)?;
        if args.run.is_some() && !settles && !row.state.is_ended() {
            let message = format!("run {} has not ended: it is {}", row.id, row.state.word());
            let how = format!("bring it to its end: windlass resume {}, or windlass unwind {}", row.id, row.id);
            return Err(CliError::input(message).with_help(how));
        }
        if settles {
            paid += 1;
            let given = Given { password: password.clone(), ..Given::default() };
            let finish = take_up(common, row.id.as_str(), Job::Unwind, given, printer)?;
            // Paying its debts is what was asked for here, whatever the run had come to.
            worst = worst.max(if finish.paid && finish.state.is_ended() { 0 } else { finish.exit });
        }
        if worst == INTERRUPTED {
            break;
        }
    }
    if paid == 0 {
        printer.say("no run owes anything");
    }
    Ok(worst)
}

/// Puts on record that a person has seen to what could not be undone.
fn give_up(common: &Common, run: &str, only: &[StepKey], reason: &str, printer: &Printer) -> Result<(), CliError> {
    if reason.trim().is_empty() {
        return Err(
            CliError::usage("the reason is empty").with_help("say who saw to it and how: it is kept in the run's journal")
        );
    }
    let project = project(common)?;
    let ledger = ledger(&project)?;
    let row = ledger.find(run)?;
    let held = hold(&project, &ledger, &row.environment, &row.id, Intent::End)?;
    let stored = ledger.stored(&row.id)?;
    let desk = Desk::new(printer, &stored.environment);
    let steps = desk.runner(&held, None, Password::default(), &[]).give_up(&row.id, only, reason)?;
    desk.show_to_the_end(&row.id, || {});
    let state = RunState::read(&ledger.records(&row.id)?).map_err(|illegal| CliError::input(illegal.to_string()))?;
    for step in &steps {
        match state.obligations.get(step) {
            Some(open) => printer.say(&format!("given up: \"{}\", left open by run {}", plain(&open.name), row.id)),
            None => printer.say(&format!("given up: step {step} of run {}", row.id)),
        }
    }
    if steps.is_empty() { Err(CliError::input(format!("run {} has nothing that could not be undone", row.id))) } else { Ok(()) }
}

/// A run that has ended is not undone any more; what it still owes is for `settle`.
fn refuse_ended(common: &Common, run: &str) -> Result<(), CliError> {
    let project = project(common)?;
    let ledger = ledger(&project)?;
    let row = ledger.find(run)?;
    if !row.state.is_ended() {
        return Ok(());
    }
    let help = if owes(ledger.as_ref(), &row)? {
        format!("it owes something: windlass settle {}, or windlass settle {} --drop REASON to give that up", row.id, row.id)
    } else {
        "there is nothing to take up; `windlass show` tells what it did".to_owned()
    };
    Err(CliError::input(format!("run {} has ended: it is {}", row.id, row.state.word())).with_help(help))
}

/// Whether a run had ended, and whoever settled what it owed was cut off.
fn is_being_settled(ledger: &dyn Ledger, row: &RunRow) -> Result<bool, CliError> {
    if row.state.is_ended() || row.state == RunPhase::Running {
        return Ok(false);
    }
    let state = RunState::read(&ledger.records(&row.id)?).map_err(|illegal| CliError::input(illegal.to_string()))?;
    Ok(state.ended.is_some())
}

/// Whether a run left something to undo on hosts that could not be reached, or something open.
pub(super) fn owes(ledger: &dyn Ledger, row: &RunRow) -> Result<bool, CliError> {
    if !row.state.is_ended() || row.exit != Some(4) {
        return Ok(false);
    }
    let state = RunState::read(&ledger.records(&row.id)?).map_err(|illegal| CliError::input(illegal.to_string()))?;
    Ok(!state.debts().is_empty() || state.open_obligations().next().is_some())
}

fn take_up(common: &Common, run: &str, job: Job, given: Given<'_>, printer: &Printer) -> Result<Finish, CliError> {
    let project = project(common)?;
    let ledger = ledger(&project)?;
    let row = ledger.find(run)?;
    let held = hold(&project, &ledger, &row.environment, &row.id, Intent::End)?;
    // It may have ended while the lock was waited for.
    let row = ledger.find(row.id.as_str())?;
    if row.state.is_ended() && !(job == Job::Unwind && owes(ledger.as_ref(), &row)?) {
        return Err(CliError::input(format!("run {} has ended: it is {}", row.id, row.state.word()))
            .with_help("there is nothing to take up; `windlass show` tells what it did"));
    }
    // What has ended is only settled: nothing of it is undone but what is owed.
    let past = job == Job::Unwind
        && !row.state.is_ended()
        && RunState::read(&ledger.records(&row.id)?).is_ok_and(|state| state.is_past_return());
    if past {
        return Err(CliError::new(6, format!("run {} is behind a point of no return: it cannot be undone", row.id))
            .with_help(format!("go on: windlass resume {}", row.id)));
    }
    let stored = ledger.stored(&row.id)?;
    if !given.answers.is_empty()
        && let Ok(program) = stored_program(&stored)
    {
        refuse_unknown_answers(&program, given.answers)?;
    }
    let _in_use = DirectoryStore::new(stored.store_directory()).hold()?;
    let what = if job == Job::Resume { "resuming" } else { "undoing" };
    let pinned = super::pins::listed(&stored.artifacts);
    printer.say(&format!("{what} run {}: {} on {}{pinned}", row.id, row.script, row.environment));
    let origin = Origin { run: row.id.to_string(), environment: row.environment.clone(), project: project.name.clone() };
    let desk = Desk::new(printer, &stored.environment);
    let desk = desk.with_people(given.answers, &channels(&project, &row.environment), origin);
    desk.know(&ledger.records(&row.id)?);
    let runner = desk.runner(&held, given.crash, given.password, given.beside);
    let script = given.with.map(|path| mended(&project, path, &stored)).transpose()?;
    if !given.decisions.is_empty() {
        runner.decide(&row.id, &given.decisions, given.reason, &who())?;
    }
    let how = TakeUp { job, drift: given.drift, script, by: who() };
    let finish = desk.watch_signals(|| runner.take_up(&row.id, how))?;
    // Nobody else waits for who reads the output.
    drop((runner, held));
    desk.conclude(printer, &finish);
    Ok(finish)
}

/// A script of the project as it is now, and all that it can import.
fn mended(project: &Project, path: &Path, stored: &StoredRun) -> Result<MendedScript, CliError> {
    let script = script_name(project, path)?;
    let sources = Arc::new(ProjectSources::new(&project.root, STANDARD));
    let registry = Arc::new(Registry::standard());
    let facts = facts(stored, "resume");
    let program = Program::load(Load { sources, script: script.clone(), registry, facts, stop: Stop::default() })?;
    refuse_errors(&program, None)?;
    Ok((script, program.bundle()))
}

/// The script of a run, as it was; what it asks is read from it before anything begins.
pub(super) fn stored_program(stored: &StoredRun) -> Result<Program, Box<Diagnostic>> {
    let sources = Arc::new(StoredSources::new(stored.bundle.clone()));
    let registry = Arc::new(Registry::standard());
    let facts = facts(stored, "check");
    Program::load(Load { sources, script: stored.script.clone(), registry, facts, stop: Stop::default() })
}

fn facts(stored: &StoredRun, mode: &'static str) -> Facts {
    Facts {
        environment: Some(stored.environment.clone()),
        params: stored.params.clone(),
        limit: stored.limit.clone(),
        artifacts: stored.artifacts.clone(),
        known_good: stored.known_good.clone(),
        run: String::new(),
        mode,
    }
}
