//! `h.guarded(..)`: the two steps around its block. A script cannot call them alone, so they are not among the primitives.

use super::{Operation, Span, StepContext, Subject, context::unexpected};
use crate::effect::{Effect, GuardAct, Reply};
use crate::id::SaveId;
use crate::step::{ErrorKind, StepError};
use serde::{Deserialize, Serialize};

/// Has the host restore itself, by itself, once the time is over.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GuardArm {
    /// The time.
    pub confirm_within: Span,
}

/// Keeps what the block changed, when the host can still be reached over a new connection.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GuardConfirm {
    /// The guard.
    pub guard: SaveId,
    /// The time that it had.
    pub confirm_within: Span,
}

impl GuardArm {
    /// The name of the step that begins a guarded block.
    pub const WORD: &'static str = "guarded";
}

impl Operation for GuardArm {
    const NAME: &'static str = Self::WORD;
    const SUBJECT: Subject = Subject::Host;
    const POSITIONAL: &'static [&'static str] = &[];
    const PAGE: &'static str = include_str!("../../stdlib/doc/guarded.md");
    type Output = String;

    fn run(&self, cx: &mut StepContext<'_>) -> Result<String, StepError> {
        let mut name = String::new();
        let seconds = self.confirm_within.millis() / 1000;
        cx.change(|save| {
            name = save.to_string();
            Effect::Guard { act: GuardAct::Arm { save, seconds } }
        })?;
        Ok(name)
    }

    fn summary(&self) -> String {
        format!("restores itself unless confirmed within {}", self.confirm_within)
    }
}

impl Operation for GuardConfirm {
    const NAME: &'static str = "guarded.confirm";
    const SUBJECT: Subject = Subject::Host;
    const POSITIONAL: &'static [&'static str] = &[];
    const PAGE: &'static str = GuardArm::PAGE;
    type Output = ();

    fn run(&self, cx: &mut StepContext<'_>) -> Result<(), StepError> {
        let seconds = self.confirm_within.millis() / 1000;
        cx.begin()?;
        match cx.confirm(&Effect::Guard { act: GuardAct::Confirm { save: self.guard.clone(), seconds } }) {
            Ok(Reply::Done { .. }) => Ok(()),
            Ok(other) => Err(unexpected(&other)),
            // The host is not as the steps of the block have left it: no script can go on from here.
            Err(mut error) if matches!(error.kind, ErrorKind::Failed | ErrorKind::Timeout) => {
                error.kind = ErrorKind::Refused;
                Err(error)
            }
            Err(error) => Err(error),
        }
    }

    fn summary(&self) -> String {
        "confirmed over a new connection".to_owned()
    }
}
