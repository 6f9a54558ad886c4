//! `h.list(pattern)`: the paths that match.

use super::{Operation, StepContext, Subject, context::unexpected};
use crate::effect::{Effect, Reply};
use crate::id::RemotePath;
use crate::step::StepError;
use serde::{Deserialize, Serialize};

/// Gives the paths that match a pattern (`*`, `?`, `[..]`), sorted; a pattern that matches nothing gives none.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct List {
    pattern: RemotePath,
}

impl Operation for List {
    const NAME: &'static str = "list";
    const SUBJECT: Subject = Subject::Host;
    const POSITIONAL: &'static [&'static str] = &["pattern"];
    const PAGE: &'static str = include_str!("../../stdlib/doc/list.md");
    type Output = Vec<String>;

    fn run(&self, cx: &mut StepContext<'_>) -> Result<Vec<String>, StepError> {
        match cx.look(&Effect::List { pattern: self.pattern.to_string() })? {
            Reply::List(paths) => Ok(paths),
            other => Err(unexpected(&other)),
        }
    }

    fn summary(&self) -> String {
        self.pattern.to_string()
    }
}
