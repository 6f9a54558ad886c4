//! `h.move(from, to)`: a file or directory under another name.

use super::{Operation, StepContext, Subject};
use crate::effect::Effect;
use crate::id::RemotePath;
use crate::step::StepError;
use serde::{Deserialize, Serialize};

/// Moves what is at `from` to `to`, where nothing may be. When `from` is gone and `to` is there, it is done already.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Move {
    from: RemotePath,
    to: RemotePath,
}

impl Operation for Move {
    const NAME: &'static str = "move";
    const SUBJECT: Subject = Subject::Host;
    const POSITIONAL: &'static [&'static str] = &["from", "to"];
    const PAGE: &'static str = include_str!("../../stdlib/doc/move.md");
    type Output = bool;

    fn run(&self, cx: &mut StepContext<'_>) -> Result<bool, StepError> {
        cx.apply(|save| Effect::Rename { from: self.from.clone(), to: self.to.clone(), save })
    }

    fn summary(&self) -> String {
        format!("{} -> {}", self.from, self.to)
    }
}
