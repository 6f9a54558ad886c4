//! `run --plan FILE`: a run that is held to a plan. Read here, and held against what the run would be made of.

use super::args::{Answer, RunArgs};
use super::error::{CliError, shown};
use crate::artifact::{DirectoryStore, KeptSources};
use crate::fleet::Project;
use crate::id::RunId;
use crate::interp::Controller;
use crate::ledger::{Ledger, LedgerError, StoredRun};
use crate::run::{Basis, Made, PLAN_VERSION, Plan, differences, held_to, project_layer, stale};
use crate::step::StepError;
use crate::words;
use std::path::Path;
use std::sync::Arc;

/// A plan, as it was read.
pub(super) struct HeldPlan {
    pub(super) plan: Plan,
    text: String,
}

impl HeldPlan {
    /// Reads a document of `--out`.
    pub(super) fn load(path: &Path) -> Result<Self, CliError> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            let message = match error.kind() {
                std::io::ErrorKind::NotFound => format!("there is no plan {}", shown(path)),
                _ => format!("the plan {} cannot be read: {error}", shown(path)),
            };
            CliError::input(message).with_help("make one: windlass dry-run -e ENV --out plan.json")
        })?;
        let none = |why: String| {
            CliError::input(format!("{} is not a plan: {why}", shown(path)))
                .with_help("make one: windlass dry-run -e ENV --out plan.json")
        };
        let value: serde_json::Value = serde_json::from_str(&text).map_err(|error| none(words::of_json(&error)))?;
        let version = value["version"].as_u64().ok_or_else(|| none("it has no version".to_owned()))?;
        if version != u64::from(PLAN_VERSION) {
            let message = format!("the plan {} has version {version}; this Windlass reads version {PLAN_VERSION}", shown(path));
            return Err(
                CliError::input(message).with_help("make a new one with this Windlass: windlass dry-run -e ENV --out plan.json")
            );
        }
        let plan: Plan = serde_json::from_value(value).map_err(|error| none(words::of_json(&error)))?;
        if let Some(error) = &plan.error {
            let message = format!("the plan {} ends in a failure: {error}", shown(path));
            return Err(CliError::new(6, message).with_help("nothing was touched; mend that, and make a new plan"));
        }
        Ok(Self { plan, text })
    }

    /// The command line with what it leaves out taken from the plan.
    pub(super) fn complete(&self, args: &mut RunArgs) {
        let (plan, selection) = (&self.plan, &mut args.selection);
        selection.env.get_or_insert_with(|| plan.environment.clone());
        selection.script.get_or_insert_with(|| plan.script.clone().into());
        if selection.limit.is_none() {
            selection.limit.clone_from(&plan.basis.limit);
        }
        if selection.set.is_empty() {
            let text = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
            selection.set = plan.basis.params.iter().map(|(name, value)| (name.clone(), text(value))).collect();
        }
        if selection.artifacts.is_empty() {
            let pins = plan.basis.artifacts.iter();
            selection.artifacts = pins.map(|pin| (pin.name.clone(), pin.version.clone())).collect();
        }
        let given: Vec<String> = args.perform.answers.iter().map(|answer| answer.name.clone()).collect();
        let left = plan.answers.iter().filter(|(name, _)| !given.contains(name));
        args.perform.answers.extend(left.map(|(name, value)| Answer { name: name.clone(), value: value.clone() }));
    }

    /// Holds what the run would be made of against the plan; the hosts are looked at later. What is read of the project meanwhile is
    /// kept in `scratch`.
    pub(super) fn hold(&self, project: &Project, stored: &mut StoredRun, scratch: &Path) -> Result<(), CliError> {
        let mut lines = Vec::new();
        if self.plan.environment != stored.environment.name {
            let (planned, now) = (&self.plan.environment, &stored.environment.name);
            lines.push(format!("the environment: expected {planned}, found {now}"));
        }
        if self.plan.script != stored.script {
            lines.push(format!("the script's name: expected {}, found {}", self.plan.script, stored.script));
        }
        lines.extend(self.plan.basis.differences(&Basis::of(stored)));
        let kept = KeptSources::new(scratch, self.plan.run.clone(), None);
        let store = Arc::new(DirectoryStore::new(stored.store_directory()));
        let layer = project_layer(Controller::new(&project.root, store, kept));
        let own: Vec<_> = self.plan.reads.iter().filter(|look| look.at.host.is_controller()).cloned().collect();
        lines.extend(differences(&own, layer.as_ref()));
        if !lines.is_empty() {
            return Err(refused(&stale(&lines)));
        }
        stored.held = Some(held_to(&self.plan, &self.text));
        Ok(())
    }

    /// The name of the run: one plan is one run, so what depends on the name is as it was predicted.
    pub(super) fn id(&self, ledger: &dyn Ledger) -> Result<RunId, CliError> {
        let id = self.plan.run.clone();
        match ledger.stored(&id) {
            Err(LedgerError::NoRun(_)) => Ok(id),
            _ => Err(CliError::new(6, format!("this plan was run already, as run {id}"))
                .with_help(format!("what it did: windlass show {id}\nto do it again, make a new plan"))),
        }
    }

    /// What is to be looked at on the hosts.
    pub(super) fn looks(&self) -> Vec<crate::interp::Look> {
        self.plan.reads.iter().filter(|look| !look.at.host.is_controller()).cloned().collect()
    }

    /// What a person should know of it.
    pub(super) fn told(&self) -> Option<String> {
        let offline =
            "the plan was made offline: its script, its files and its steps are held to, and nothing of the hosts is compared";
        (self.plan.made == Made::Plan).then(|| offline.to_owned())
    }
}

fn refused(error: &StepError) -> CliError {
    let refused = CliError::new(6, error.message.clone());
    match &error.help {
        Some(help) => refused.with_help(help.clone()),
        None => refused,
    }
}
