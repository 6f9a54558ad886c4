//! Replay: what the journal already has of a step that the script asks for.

use super::state::{RunState, StepStatus};
use crate::id::StepKey;
use crate::step::{Command, ErrorKind, StepError};
use serde_json::Value;

/// What is recorded of a step.
#[derive(Debug, Clone, PartialEq)]
pub enum Recorded {
    /// Nothing: new work begins here.
    New,
    /// It ended; this is what the script was given.
    Ended(Result<Value, StepError>),
    /// It began, and its end is not on record.
    InDoubt,
}

/// The journal of an earlier process, read step by step.
#[derive(Debug, Clone, Default)]
pub struct Cursor {
    state: RunState,
}

impl Cursor {
    /// Replays this.
    #[must_use]
    pub fn new(state: RunState) -> Self {
        Self { state }
    }

    /// What is recorded of a step.
    ///
    /// # Errors
    /// Divergence, when the journal has another command under this key.
    pub fn find(&self, key: &StepKey, command: &Command) -> Result<Recorded, StepError> {
        let Some(step) = self.state.steps.get(key) else {
            return match self.state.groups.get(key) {
                None => Ok(Recorded::New),
                Some(_) => Err(divergence(key, &step_text(command), "a group of steps", command, None)),
            };
        };
        let recorded = &step.command;
        if (&recorded.op, &recorded.host, &recorded.args) != (&command.op, &command.host, &command.args) {
            return Err(divergence(key, &step_text(command), &step_text(recorded), command, Some(recorded)));
        }
        Ok(match &step.status {
            StepStatus::Started => Recorded::InDoubt,
            StepStatus::Succeeded { output, .. } => Recorded::Ended(Ok(output.clone())),
            StepStatus::Failed(error) => Recorded::Ended(Err(error.clone())),
        })
    }

    /// Whether anything is recorded of a task.
    #[must_use]
    pub fn has_task(&self, task: &crate::id::TaskPath) -> bool {
        self.state.tasks.contains_key(task)
    }

    /// Whether the group of this key was entered, and left.
    #[must_use]
    pub fn group(&self, key: &StepKey) -> Option<&(super::Group, bool)> {
        self.state.groups.get(key)
    }
}

fn step_text(command: &Command) -> String {
    format!("{} on {} with {}", command.op, command.host, command.args)
}

fn divergence(key: &StepKey, asked: &str, recorded: &str, command: &Command, before: Option<&Command>) -> StepError {
    let place = before.map(|before| format!(" (at {})", before.site)).unwrap_or_default();
    let message =
        format!("the script no longer asks for what the run recorded: step {key} was {recorded}{place}, now it is {asked}");
    StepError::new(ErrorKind::Divergence, message)
        .with_help("a run is continued with the script that it started with; what a script does may depend only on what its primitives answer")
        .at(command)
}
