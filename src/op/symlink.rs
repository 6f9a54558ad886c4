//! `h.symlink(target, path)`: a symbolic link.

use super::{Operation, StepContext, Subject};
use crate::effect::Effect;
use crate::id::RemotePath;
use crate::step::StepError;
use serde::{Deserialize, Serialize};

/// Makes a link at `path` that says `target`; an existing link is pointed elsewhere in one instant.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Symlink {
    /// What the link says; may be relative to the link's directory, and need not exist.
    target: String,
    path: RemotePath,
}

impl Operation for Symlink {
    const NAME: &'static str = "symlink";
    const SUBJECT: Subject = Subject::Host;
    const POSITIONAL: &'static [&'static str] = &["target", "path"];
    const PAGE: &'static str = include_str!("../../stdlib/doc/symlink.md");
    type Output = bool;

    fn run(&self, cx: &mut StepContext<'_>) -> Result<bool, StepError> {
        if self.target.is_empty() || self.target.contains('\0') {
            return Err(StepError::bad_input("a link's target is neither empty nor holds a NUL byte"));
        }
        cx.apply(|save| Effect::Link { path: self.path.clone(), target: self.target.clone(), save })
    }

    fn summary(&self) -> String {
        format!("{} -> {}", self.path, self.target)
    }
}
