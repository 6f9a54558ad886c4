//! `log(text)`: a line in the run's report.

use super::{Operation, Said, StepContext, Subject};
use crate::step::StepError;
use serde::{Deserialize, Serialize};

/// Writes a line into the report and the history of the run.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    text: Said,
}

impl Operation for Log {
    const NAME: &'static str = "log";
    const SUBJECT: Subject = Subject::Controller;
    const POSITIONAL: &'static [&'static str] = &["text"];
    const PAGE: &'static str = include_str!("../../stdlib/doc/log.md");
    type Output = ();

    fn run(&self, _cx: &mut StepContext<'_>) -> Result<(), StepError> {
        Ok(())
    }

    fn summary(&self) -> String {
        self.text.0.clone()
    }
}
