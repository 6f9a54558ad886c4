//! `point_of_no_return(reason)`: from here on only forward.

use super::{Operation, StepContext, Subject};
use crate::step::StepError;
use serde::{Deserialize, Serialize};

/// Declares that what follows cannot be undone: a failure before it unwinds, one after it halts the run.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PointOfNoReturn {
    reason: String,
}

impl PointOfNoReturn {
    /// The name by which the journal knows it.
    pub const WORD: &'static str = "point_of_no_return";
}

impl Operation for PointOfNoReturn {
    const NAME: &'static str = Self::WORD;
    const SUBJECT: Subject = Subject::Controller;
    const POSITIONAL: &'static [&'static str] = &["reason"];
    const PAGE: &'static str = include_str!("../../stdlib/doc/point_of_no_return.md");
    type Output = ();

    fn run(&self, cx: &mut StepContext<'_>) -> Result<(), StepError> {
        // It must be on disk before what follows it.
        cx.begin()
    }

    fn summary(&self) -> String {
        self.reason.clone()
    }
}
