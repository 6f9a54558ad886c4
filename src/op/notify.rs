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
    /// Whom: a channel of `[notify]`, or `log`, the run's report alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    to: Option<String>,
}

impl Operation for Notify {
    const NAME: &'static str = "notify";
    const SUBJECT: Subject = Subject::Controller;
    const POSITIONAL: &'static [&'static str] = &["text"];
    const PAGE: &'static str = include_str!("../../stdlib/doc/notify.md");
    type Output = ();

    fn run(&self, cx: &mut StepContext<'_>) -> Result<(), StepError> {
        match cx.look(&Effect::Notify { text: self.text.0.clone(), to: self.to.clone() }) {
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
