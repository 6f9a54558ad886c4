//! `h.chmod(path, mode)`: the permission bits of a file.

use super::{Mode, Operation, StepContext, Subject};
use crate::effect::{Attributes, Effect};
use crate::id::RemotePath;
use crate::step::StepError;
use serde::{Deserialize, Serialize};

/// Sets the permission bits of a file or directory.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chmod {
    path: RemotePath,
    mode: Mode,
}

impl Operation for Chmod {
    const NAME: &'static str = "chmod";
    const SUBJECT: Subject = Subject::Host;
    const POSITIONAL: &'static [&'static str] = &["path", "mode"];
    const PAGE: &'static str = include_str!("../../stdlib/doc/chmod.md");
    type Output = bool;

    fn run(&self, cx: &mut StepContext<'_>) -> Result<bool, StepError> {
        let attributes = Attributes { mode: Some(self.mode.bits()), ..Attributes::default() };
        cx.apply(|save| Effect::SetAttributes { path: self.path.clone(), attributes, save })
    }

    fn summary(&self) -> String {
        format!("{} {}", self.mode, self.path)
    }
}
