//! `notify(text)`: tells people.

use super::{Operation, Said, StepContext, Subject};
use crate::effect::Effect;
use crate::step::{ErrorKind, StepError};
use serde::{Deserialize, Serialize};

/// Tells people something; whatever becomes of the message, the run goes on.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Notify {
    text: Said,
    /// Whom: `log` (the run's report) for now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    to: Option<Channel>,
}

/// Where a notification goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Channel {
    /// The run's report.
    Log,
}

impl Operation for Notify {
    const NAME: &'static str = "notify";
    const SUBJECT: Subject = Subject::Controller;
    const POSITIONAL: &'static [&'static str] = &["text"];
    const PAGE: &'static str = include_str!("../../stdlib/doc/notify.md");
    type Output = ();

    fn run(&self, cx: &mut StepContext<'_>) -> Result<(), StepError> {
        match cx.look(&Effect::Notify { text: self.text.0.clone(), to: None }) {
            Err(error) if error.kind == ErrorKind::Interrupted => Err(error),
            Err(error) => {
                cx.skipped(format!("not delivered: {error}"));
                Ok(())
            }
            Ok(_) => Ok(()),
        }
    }

    fn summary(&self) -> String {
        self.text.0.clone()
    }
}
