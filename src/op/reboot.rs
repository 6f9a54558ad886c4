//! `h.reboot(#{..})`: a host starts anew.

use super::{Operation, Span, StepContext, Subject};
use crate::effect::Effect;
use crate::step::StepError;
use serde::{Deserialize, Serialize};

/// Restarts a host, once, and waits until a new boot of it answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reboot {
    /// By when the host must answer again.
    #[serde(default = "default_back_within")]
    back_within: Span,
    /// What those who are logged in there are told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

fn default_back_within() -> Span {
    Span::from_seconds(300)
}

impl Operation for Reboot {
    const NAME: &'static str = "reboot";
    const SUBJECT: Subject = Subject::Host;
    const POSITIONAL: &'static [&'static str] = &[];
    const PAGE: &'static str = include_str!("../../stdlib/doc/reboot.md");
    type Output = ();

    fn run(&self, cx: &mut StepContext<'_>) -> Result<(), StepError> {
        if self.back_within.millis() == 0 {
            return Err(StepError::bad_input("no host is back within no time; give `back_within` as in \"5m\""));
        }
        if self.message.as_ref().is_some_and(|message| message.contains(['\n', '\0'])) {
            return Err(StepError::bad_input("`message` is one line"));
        }
        cx.progress(&format!("waiting up to {} for it to be back", self.back_within));
        let within_millis = self.back_within.millis();
        let (begun, message) = (cx.was_begun(), self.message.clone());
        cx.apply(|save| Effect::Reboot { within_millis, message, begun, save, after: None }).map(drop)
    }

    fn summary(&self) -> String {
        format!("back within {}", self.back_within)
    }
}
