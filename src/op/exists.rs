//! `h.exists(path)`: whether anything is at a path.

use super::{Operation, StepContext, Subject, context::unexpected};
use crate::effect::{Effect, Reply};
use crate::id::RemotePath;
use crate::step::StepError;
use serde::{Deserialize, Serialize};

/// Tells whether a file, directory or link is at a path; a link that points nowhere is there too.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exists {
    path: RemotePath,
}

impl Operation for Exists {
    const NAME: &'static str = "exists";
    const SUBJECT: Subject = Subject::Host;
    const POSITIONAL: &'static [&'static str] = &["path"];
    const PAGE: &'static str = include_str!("../../stdlib/doc/exists.md");
    type Output = bool;

    fn run(&self, cx: &mut StepContext<'_>) -> Result<bool, StepError> {
        match cx.look(&Effect::Stat { path: self.path.clone() })? {
            Reply::Stat(stat) => Ok(stat.is_some()),
            other => Err(unexpected(&other)),
        }
    }

    fn summary(&self) -> String {
        self.path.to_string()
    }
}
