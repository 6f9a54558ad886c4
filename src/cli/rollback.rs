//! `windlass rollback`: a new run of the script that made an earlier known-good release, with its parameters, its artifacts and its
//! files, through the gates of any run.

mod plan;

use super::args::{Common, RollbackArgs};
use super::check::{refuse_errors, refuse_unknown_answers};
use super::confirm::ask_password;
use super::error::CliError;
use super::lease::hold;
use super::printer::Printer;
use super::run::{Given, begin, confirm, refuse_policy, refuse_while_unfinished, unused_id};
use super::settings::{Labs, environment, environment_name, project, registered_ledger, store, who};
use super::take_up::stored_program;
use crate::artifact::{DirectoryStore, KeptSources, Store};
use crate::fleet::{Class, Environment, Project, selector};
use crate::id::{HostName, RunId};
use crate::journal::RunState;
use crate::ledger::{Intent, Ledger, StoredRun, known_good};
use crate::op::{Operation, Template, Upload};
use crate::run::Outset;
use plan::Plan;
use std::collections::BTreeSet;

pub(super) fn rollback(common: &Common, args: &RollbackArgs, printer: &Printer) -> Result<u8, CliError> {
    let project = project(common)?;
    let name = environment_name(&project, args.env.as_deref())?;
    let now = environment(&project, &name, Labs::Start)?;
    let within = within(&now, args.limit.as_deref())?;
    refuse_policy(&now)?;
    let store = store(&project)?;
    let _in_use = store.hold()?;
    let ledger = registered_ledger(&project)?;
    let id = unused_id(ledger.as_ref())?;
    let held = hold(&project, &ledger, &name, &id, Intent::Begin)?;
    refuse_while_unfinished(&name, ledger.as_ref())?;
    let plan = Plan::make(ledger.as_ref(), &name, args, &within)?;
    if plan.is_done() {
        plan.say_done(printer);
        return Ok(0);
    }
    let earlier = ledger.stored(&plan.to.made_by)?;
    let known_good = known_good(&ledger.releases(Some(&name))?);
    let limit = plan.limit(args.limit.as_deref(), &within);
    let stored = StoredRun { known_good, limit, ..stored(&project, &store, &now, &earlier, &plan.to.made_by) };
    // A script of an older Windlass may not be one any more.
    let program = stored_program(&stored)?;
    refuse_errors(&program, None)?;
    refuse_unknown_answers(&program, &args.perform.answers)?;
    refuse_gone(&store, &stored, &id, ledger.as_ref())?;
    plan.show(&id, printer);
    if now.class == Class::Production && !args.yes {
        confirm(&stored.environment, printer)?;
    }
    let password = ask_password(args.perform.ask_sudo_password)?;
    let given = Given { perform: &args.perform, password, looks: &[] };
    begin(&project, held, Outset { id, stored, by: who() }, &given, printer)
}

/// The hosts that may be touched.
fn within(environment: &Environment, limit: Option<&str>) -> Result<BTreeSet<HostName>, CliError> {
    let hosts = match limit {
        Some(limit) => selector::select(&environment.hosts, limit)?,
        None => environment.hosts.hosts().iter().collect(),
    };
    Ok(hosts.into_iter().map(|host| host.name.clone()).collect())
}

/// What the earlier run was made of, where its hosts are now.
fn stored(project: &Project, store: &DirectoryStore, now: &Environment, earlier: &StoredRun, run: &RunId) -> StoredRun {
    let root = std::path::absolute(&project.root).unwrap_or_else(|_| project.root.clone());
    StoredRun {
        version: 1,
        windlass: env!("CARGO_PKG_VERSION").to_owned(),
        environment: Environment::as_of(&earlier.environment, now),
        root: root.display().to_string(),
        store: store.root().display().to_string(),
        goes_back_to: Some(run.clone()),
        held: None,
        ..earlier.clone()
    }
}

/// Everything that the earlier run sent must still be there, before the first host is touched.
fn refuse_gone(store: &DirectoryStore, stored: &StoredRun, id: &RunId, ledger: &dyn Ledger) -> Result<(), CliError> {
    for pin in &stored.artifacts {
        store.fetch(&pin.name, &pin.version, &pin.digest)?;
    }
    let Some(run) = &stored.goes_back_to else { return Ok(()) };
    let kept = KeptSources::new(store.root(), id.clone(), Some(run.clone()));
    let missing: Vec<String> = kept.missing()?.into_iter().map(|(name, digest)| format!("{name} (sha256 {digest})")).collect();
    if !missing.is_empty() {
        let message = format!("what run {run} sent is gone from the store: {}", missing.join(", "));
        return Err(CliError::input(message).with_help("put the same files back into the project, and try again"));
    }
    let state = RunState::read(&ledger.records(run)?).map_err(|illegal| CliError::input(illegal.to_string()))?;
    let mut unknown = Vec::new();
    for name in files(&state) {
        if !kept.has(&name)? {
            unknown.push(name);
        }
    }
    if unknown.is_empty() {
        return Ok(());
    }
    let message = format!("what run {run} sent is not kept any more (`artifact gc` has taken it): {}", unknown.join(", "));
    Err(CliError::input(message).with_help("deploy that version again with the files of today: windlass run"))
}

/// The files of the project that a run sent.
fn files(state: &RunState) -> BTreeSet<String> {
    let text = |value: &serde_json::Value| value.as_str().map(ToOwned::to_owned);
    let named = state.steps.values().filter_map(|step| match step.command.op.as_str() {
        op if op == Upload::NAME => text(&step.command.args["source"]),
        op if op == Template::NAME => text(&step.command.args["name"]).map(|name| format!("templates/{name}")),
        _ => None,
    });
    named.collect()
}
