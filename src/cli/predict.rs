//! `windlass plan` and `windlass dry-run`: what a run would do, without doing it.

use super::args::{Answer, Common, DryRunArgs, Format, PlanArgs, PredictArgs};
use super::confirm::ask_password;
use super::error::{CliError, shown};
use super::printer::Printer;
use super::run::{Desk, new_id, read_all};
use super::settings::{Labs, environment, environment_name, ledger, project, script, store, who};
use super::simulated::{begins, empty_fleet, simulated_start};
use crate::artifact::InUse;
use crate::event::{Event, Watcher};
use crate::fleet::{Environment, Project, World, selector};
use crate::interp::Grounds;
use crate::ledger::{Ledger, MemoryLedger, StoredRun, known_good};
use crate::op::Registry;
use crate::private;
use crate::report::{Tone, outlook, plain, plan_lines, plan_page, plan_summary};
use crate::run::{Finish, Made, Outset, Plan, Predicted, Runner, StackBuilder, plan_layers};
use crate::stop::Stop;
use crate::transport::Password;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What is predicted.
struct Wanted {
    project: Project,
    environment: Environment,
    stored: StoredRun,
    grounds: Grounds,
    scratch: Scratch,
    /// Nothing is removed from the store meanwhile.
    _in_use: InUse,
}

pub(super) fn plan(common: &Common, args: &PlanArgs, printer: &Printer) -> Result<u8, CliError> {
    let wanted = wanted(common, &args.predict, Labs::Leave)?;
    let mut world = world(&wanted.project, args.world.as_deref())?;
    world.answers.extend(args.predict.answers.iter().map(|answer| (answer.name.clone(), answer.value.clone())));
    let fleet = match args.fresh {
        true => empty_fleet(&wanted.environment, &world)?,
        false => {
            let (fleet, known) = simulated_start(&wanted.project, &wanted.stored, &world)?;
            begins(&known, printer);
            fleet
        }
    };
    let stack = plan_layers(fleet, wanted.grounds.clone(), &wanted.scratch.0);
    predict(Made::Plan, &wanted, stack, (Stop::default(), Stop::default()), &args.predict, printer)
}

pub(super) fn dry_run(common: &Common, args: &DryRunArgs, printer: &Printer) -> Result<u8, CliError> {
    let wanted = wanted(common, &args.predict, Labs::Start)?;
    let desk = Desk::new(printer, &wanted.environment);
    let stack = desk.dry_run_layers(
        ask_password(args.ask_sudo_password)?,
        &args.predict.answers,
        wanted.grounds.clone(),
        &wanted.scratch.0,
    );
    desk.watch_signals(|| predict(Made::DryRun, &wanted, stack, desk.stops(), &args.predict, printer))
}

fn wanted(common: &Common, args: &PredictArgs, labs: Labs) -> Result<Wanted, CliError> {
    let project = project(common)?;
    let name = environment_name(&project, args.selection.env.as_deref())?;
    let script = script(&project, &args.selection)?;
    let environment = environment(&project, &name, labs)?;
    if let Some(limit) = &args.selection.limit {
        selector::select(&environment.hosts, limit)?;
    }
    let in_use = store(&project)?.hold()?;
    let mut stored = read_all(&project, &script, &environment, (&args.selection, &args.answers), &new_id())?;
    stored.known_good = known_good(&ledger(&project)?.releases(Some(&name))?);
    let scratch = Scratch::new(&project)?;
    Ok(Wanted { project, environment, stored, grounds: Grounds::default(), scratch, _in_use: in_use })
}

/// What the simulated fleet is to be like: the file that is named, else `world.toml` of the project, else nothing special.
pub(super) fn world(project: &Project, named: Option<&Path>) -> Result<World, CliError> {
    let usual = project.root.join("world.toml");
    match named {
        Some(file) => Ok(World::load(file)?),
        None if usual.exists() => Ok(World::load(&usual)?),
        None => Ok(World::default()),
    }
}

fn predict(
    made: Made,
    wanted: &Wanted,
    stack: StackBuilder,
    (interrupt, stop): (Stop, Stop),
    args: &PredictArgs,
    printer: &Printer,
) -> Result<u8, CliError> {
    let (plan, finish) = foresee(made, wanted, stack, (interrupt, stop), &args.answers)?;
    if let Some(path) = &args.out {
        let text = serde_json::to_string_pretty(&plan).map_err(|error| CliError::input(error.to_string()))?;
        write(path, &(text + "\n"))?;
    }
    if let Some(path) = &args.html {
        write(path, &plan_page(&plan))?;
    }
    let exit = exit(&plan, &finish, args);
    tell(&plan, &finish, exit, printer);
    Ok(exit)
}

/// Runs the script with nothing behind it that changes anything.
fn foresee(
    made: Made,
    wanted: &Wanted,
    stack: StackBuilder,
    (interrupt, stop): (Stop, Stop),
    answers: &[Answer],
) -> Result<(Plan, Finish), CliError> {
    let outset = Outset { id: new_id(), stored: wanted.stored.clone(), by: who() };
    let ledger: Arc<dyn Ledger> = Arc::new(MemoryLedger::default());
    let registry = Arc::new(Registry::standard());
    let watcher = Arc::new(Nobody);
    let runner = Runner { ledger: ledger.clone(), registry, stack, watcher, interrupt, stop, crash: None, programs: None };
    let finish = runner.start(&outset)?;
    let plan = Plan::new(Predicted {
        stored: &outset.stored,
        records: &ledger.records(&outset.id)?,
        grounds: &wanted.grounds,
        finish: &finish,
        made,
        answers: answers.iter().map(|answer| (answer.name.clone(), answer.value.clone())).collect(),
    });
    Ok((plan, finish))
}

/// Shows what a run would do, before somebody is asked whether it may: by looking at the hosts.
pub(super) fn show_before(
    project: &Project,
    stored: &StoredRun,
    (answers, password): (&[Answer], Password),
    printer: &Printer,
) -> Result<(), CliError> {
    let (grounds, scratch, environment) = (Grounds::default(), Scratch::new(project)?, stored.environment.clone());
    let in_use = store(project)?.hold()?;
    let wanted = Wanted { project: project.clone(), environment, stored: stored.clone(), grounds, scratch, _in_use: in_use };
    let desk = Desk::new(printer, &wanted.environment);
    let stack = desk.dry_run_layers(password, answers, wanted.grounds.clone(), &wanted.scratch.0);
    let (plan, finish) = desk.watch_signals(|| foresee(Made::DryRun, &wanted, stack, desk.stops(), answers))?;
    if desk.stops().0.is_stopped() {
        return Err(CliError::new(6, "not confirmed; nothing was changed"));
    }
    tell(&plan, &finish, 0, printer);
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<(), CliError> {
    private::write(path, text).map_err(|error| CliError::input(format!("{} cannot be written: {error}", shown(path))))
}

/// A prediction that something fails is a finding; what is not known is one where that is asked for.
fn exit(plan: &Plan, finish: &Finish, args: &PredictArgs) -> u8 {
    match finish.exit {
        0 if args.strict && (plan.counts.assumed + plan.counts.unknown > 0 || !plan.findings.is_empty()) => 1,
        code @ (0 | 6 | 7) => code,
        _ => 1,
    }
}

fn tell(plan: &Plan, finish: &Finish, exit: u8, printer: &Printer) {
    if printer.format == Format::Json {
        for step in &plan.steps {
            let mut object = serde_json::to_value(step).unwrap_or_default();
            object["event"] = json!("step_predicted");
            printer.json(&object);
        }
        let points: Vec<_> =
            plan.points_of_no_return.iter().map(|step| json!({ "site": step.site, "reason": step.summary })).collect();
        return printer.json(&json!({
            "event": "prediction_ended", "exit": exit, "counts": plan.counts, "error": finish.error, "hosts": plan.hosts,
            "points_of_no_return": points, "findings": plan.findings, "questions": plan.questions, "bundle": plan.bundle,
        }));
    }
    for line in plan_lines(plan, printer.out_paint, printer.wordiness) {
        printer.data(&line);
    }
    for line in outlook(plan, printer.out_paint) {
        printer.data(&line);
    }
    for step in &plan.points_of_no_return {
        let text = format!("point of no return at {}: {}", step.site, plain(&step.summary));
        printer.note(&printer.paint.tone(Tone::Strong, &text));
    }
    if let Some(diagnostic) = &finish.diagnostic {
        printer.note("");
        printer.diagnostic(diagnostic);
    }
    let (tone, how) = if finish.exit == 0 { (Tone::Good, "") } else { (Tone::Bad, " ends in a failure") };
    let word = if plan.made == Made::Plan { "plan" } else { "dry run" };
    let head = printer.paint.tone(tone, &format!("{word} of {} on {}{how}", plan.script, plan.environment));
    printer.say(&format!("{head}: {}", plan_summary(plan.counts)));
}

struct Nobody;

impl Watcher for Nobody {
    fn see(&self, _: &Event) {}
}

/// A directory that is thrown away, for what a prediction reads of the project.
pub(super) struct Scratch(pub(super) PathBuf);

impl Scratch {
    pub(super) fn new(project: &Project) -> Result<Self, CliError> {
        let path = project.root.join(format!(".windlass/tmp/prediction-{}", std::process::id()));
        let made = private::directory(&path);
        made.map_err(|error| CliError::input(format!("{} cannot be made: {error}", shown(&path))))?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Whoever finds it later finds a directory among those for such.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
