//! `h.stat(path)`: what is at a path.

use super::{Operation, StepContext, Subject, context::unexpected};
use crate::effect::{Effect, FileStat, Reply};
use crate::id::RemotePath;
use crate::step::StepError;
use serde::{Deserialize, Serialize};

/// Gives kind, size, mode, owner, group and modification time; `()` when nothing is there. Links are not followed.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stat {
    path: RemotePath,
}

impl Operation for Stat {
    const NAME: &'static str = "stat";
    const SUBJECT: Subject = Subject::Host;
    const POSITIONAL: &'static [&'static str] = &["path"];
    const PAGE: &'static str = include_str!("../../stdlib/doc/stat.md");
    type Output = Option<FileStat>;

    fn run(&self, cx: &mut StepContext<'_>) -> Result<Option<FileStat>, StepError> {
        match cx.look(&Effect::Stat { path: self.path.clone() })? {
            Reply::Stat(stat) => Ok(stat),
            other => Err(unexpected(&other)),
        }
    }

    fn summary(&self) -> String {
        self.path.to_string()
    }
}
