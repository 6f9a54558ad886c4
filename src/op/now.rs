//! `now()`: the time, as the journal has it.

use super::{Operation, StepContext, Subject};
use crate::step::StepError;
use serde::{Deserialize, Serialize};

/// Gives the seconds since 1970-01-01 UTC. A resumed run is told the same time again.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Now {}

impl Operation for Now {
    const NAME: &'static str = "now";
    const SUBJECT: Subject = Subject::Controller;
    const POSITIONAL: &'static [&'static str] = &[];
    const PAGE: &'static str = include_str!("../../stdlib/doc/now.md");
    type Output = i64;

    fn run(&self, cx: &mut StepContext<'_>) -> Result<i64, StepError> {
        Ok(cx.now()?.div_euclid(1000))
    }

    fn summary(&self) -> String {
        String::new()
    }
}
