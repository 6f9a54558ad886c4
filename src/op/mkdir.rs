//! `h.mkdir(path)`: a directory.

use super::{Mode, Operation, StepContext, Subject};
use crate::effect::{Attributes, Effect};
use crate::id::RemotePath;
use crate::step::StepError;
use serde::{Deserialize, Serialize};

/// Makes a directory, with the parents that are missing. Mode, owner and group are the last one's.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mkdir {
    path: RemotePath,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mode: Option<Mode>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    group: Option<String>,
}

impl Operation for Mkdir {
    const NAME: &'static str = "mkdir";
    const SUBJECT: Subject = Subject::Host;
    const POSITIONAL: &'static [&'static str] = &["path"];
    const PAGE: &'static str = include_str!("../../stdlib/doc/mkdir.md");
    type Output = bool;

    fn run(&self, cx: &mut StepContext<'_>) -> Result<bool, StepError> {
        let attributes = Attributes { mode: self.mode.map(Mode::bits), owner: self.owner.clone(), group: self.group.clone() };
        cx.apply(|save| Effect::Mkdir { path: self.path.clone(), attributes, save })
    }

    fn summary(&self) -> String {
        self.path.to_string()
    }
}
