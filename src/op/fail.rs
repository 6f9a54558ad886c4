//! `fail(reason)`: the script gives up.

use super::{Operation, Said, StepContext, Subject};
use crate::step::StepError;
use serde::{Deserialize, Serialize};

/// Fails the run, or the host's task, with a reason in the script's words.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fail {
    reason: Said,
}

impl Operation for Fail {
    const NAME: &'static str = "fail";
    const SUBJECT: Subject = Subject::Controller;
    const POSITIONAL: &'static [&'static str] = &["reason"];
    const PAGE: &'static str = include_str!("../../stdlib/doc/fail.md");
    type Output = ();

    fn run(&self, _cx: &mut StepContext<'_>) -> Result<(), StepError> {
        Err(StepError::failed(self.reason.0.clone()))
    }

    fn summary(&self) -> String {
        self.reason.0.clone()
    }
}
