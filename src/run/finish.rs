//! How a run ended, or stopped.

use super::drift::Drift;
use super::unwind::Unwound;
use crate::id::{Digest, HostName, RunId, StepKey};
use crate::journal::{RunPhase, RunState, StepState};
use crate::ledger::Leftover;
use crate::op::Component;
use crate::script::{Diagnostic, Finding, ScriptFailure};
use crate::step::StepError;
use serde::Serialize;
use std::collections::BTreeSet;

/// How a run ended, or stopped.
#[derive(Debug, Clone)]
pub struct Finish {
    /// Which.
    pub run: RunId,
    /// Its phase now.
    pub state: RunPhase,
    /// The exit code that says so.
    pub exit: u8,
    /// What it failed of.
    pub error: Option<StepError>,
    /// The same for a person, with the place in the script.
    pub diagnostic: Option<Diagnostic>,
    /// Compensations that failed.
    pub stuck: Vec<StepError>,
    /// Hosts whose part is owed.
    pub debts: BTreeSet<HostName>,
    /// Hosts that keep what the run made, since undoing stopped at others before it came to them.
    pub left: Vec<Left>,
    /// How many changes were undone.
    pub restored: u32,
    /// Commands that ran and were not undone, for the script says no way: where, and what.
    pub not_undone: Vec<NotUndone>,
    /// Steps of which it is not known whether they took effect: a person decides.
    pub doubts: Vec<StepKey>,
    /// Brackets that may still be open: the step, and what is open.
    pub open: Vec<(StepKey, String)>,
    /// What is not as the run left it.
    pub drift: Option<Drift>,
    /// Where its script goes on by something that nobody knows; only of predictions.
    pub findings: Vec<Finding>,
    /// The head of the journal's hash chain.
    pub head: Option<Digest>,
    /// Whether it is a run that had ended, and that owes nothing any more.
    pub paid: bool,
    /// What it, and earlier runs, kept on its hosts and could not be removed now.
    pub leftovers: Vec<Leftover>,
}

/// A host that keeps what a run made, while others of the same part do not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Left {
    /// Where.
    pub host: HostName,
    /// The components that the run declared there, with their versions: `web 1.1`.
    pub has: Vec<String>,
}

impl Left {
    /// What a run made live on a host.
    fn of(host: &HostName, state: &RunState) -> Self {
        let components = state.steps.values().filter(|step| step.command.op == Component::WORD);
        let components = components.filter_map(|step| serde_json::from_value::<Component>(step.command.args.clone()).ok());
        let here = components.filter(|component| component.hosts.contains(host));
        Self { host: host.clone(), has: here.map(|component| format!("{} {}", component.name, component.version)).collect() }
    }
}

/// A command that ran and was not undone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NotUndone {
    /// Where.
    pub host: HostName,
    /// What.
    pub command: String,
    /// Why it cannot be undone, in the script's words; nothing when the script says nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub irreversible: Option<String>,
}

impl NotUndone {
    /// What a step left.
    pub(super) fn of(step: &StepState) -> Self {
        let irreversible = step.command.args["irreversible"].as_str().map(ToOwned::to_owned);
        Self { host: step.command.host.clone(), command: step.summary.clone(), irreversible }
    }
}

/// How the script ended.
pub(super) enum End {
    Well,
    Failed(Box<ScriptFailure>),
}

impl Finish {
    /// The same with what the journal says is open, and in doubt.
    pub(super) fn told_by(self, state: &RunState) -> Self {
        let open = state.open_obligations().map(|(key, owed)| (key.clone(), owed.name.clone())).collect();
        let doubts = if self.state.is_ended() { Vec::new() } else { state.doubts.clone() };
        let left = self.left.into_iter().map(|left| Left::of(&left.host, state)).collect();
        Self { open, doubts, left, ..self }
    }
}

pub(super) fn past_return(mut failure: ScriptFailure) -> ScriptFailure {
    let help = "this is behind a point of no return: nothing was undone; mend what failed and run the script again";
    failure.error.help.get_or_insert_with(|| help.to_owned());
    failure.diagnostic.help.get_or_insert_with(|| help.to_owned());
    failure
}

/// The ledger has failed: whatever the script failed of is said again by the run that takes this one up.
pub(super) fn unwritten(error: StepError) -> ScriptFailure {
    refusal(error)
}

/// An error that no place of the script has to show for.
pub(super) fn refusal(error: StepError) -> ScriptFailure {
    let mut diagnostic = Diagnostic::error(error.message.clone());
    diagnostic.help.clone_from(&error.help);
    ScriptFailure { error, diagnostic }
}

pub(super) fn finish(id: &RunId, state: RunPhase, exit: u8, end: Unwound, failure: Option<ScriptFailure>) -> Finish {
    let (error, diagnostic) = failure.map_or((None, None), |failure| (Some(failure.error), Some(failure.diagnostic)));
    Finish {
        run: id.clone(),
        state,
        exit,
        error,
        diagnostic,
        stuck: end.stuck,
        debts: end.debts,
        left: end.left.into_iter().map(|host| Left { host, has: Vec::new() }).collect(),
        restored: end.restored,
        not_undone: Vec::new(),
        doubts: Vec::new(),
        open: Vec::new(),
        drift: None,
        findings: Vec::new(),
        head: None,
        paid: false,
        leftovers: Vec::new(),
    }
}
