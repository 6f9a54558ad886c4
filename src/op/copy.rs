//! `h.copy(from, to)`: a file of the host a second time.

use super::{Mode, Operation, StepContext, Subject};
use crate::effect::{Attributes, Effect};
use crate::id::RemotePath;
use crate::step::StepError;
use serde::{Deserialize, Serialize};

/// Copies a file on the host: temporary file, digest compared, flush to disk, atomic rename. The same content is unchanged.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CopyFile {
    from: RemotePath,
    to: RemotePath,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mode: Option<Mode>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    group: Option<String>,
}

impl Operation for CopyFile {
    const NAME: &'static str = "copy";
    const SUBJECT: Subject = Subject::Host;
    const POSITIONAL: &'static [&'static str] = &["from", "to"];
    const PAGE: &'static str = include_str!("../../stdlib/doc/copy.md");
    type Output = bool;

    fn run(&self, cx: &mut StepContext<'_>) -> Result<bool, StepError> {
        let attributes = Attributes { mode: self.mode.map(Mode::bits), owner: self.owner.clone(), group: self.group.clone() };
        cx.apply(|save| Effect::Copy { from: self.from.clone(), to: self.to.clone(), attributes, save })
    }

    fn summary(&self) -> String {
        format!("{} -> {}", self.from, self.to)
    }
}
