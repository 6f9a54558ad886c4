//! `h.remove(path)`: nothing at a path.

use super::{Operation, StepContext, Subject};
use crate::effect::Effect;
use crate::id::RemotePath;
use crate::step::StepError;
use serde::{Deserialize, Serialize};

/// Removes a file, link or whole directory. It lies in a trash beside it until the run ends.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Remove {
    path: RemotePath,
}

impl Operation for Remove {
    const NAME: &'static str = "remove";
    const SUBJECT: Subject = Subject::Host;
    const POSITIONAL: &'static [&'static str] = &["path"];
    const PAGE: &'static str = include_str!("../../stdlib/doc/remove.md");
    type Output = bool;

    fn run(&self, cx: &mut StepContext<'_>) -> Result<bool, StepError> {
        if matches!(self.path.as_str(), "/" | "~") {
            return Err(StepError::bad_input(format!("refuses to remove `{}`", self.path)));
        }
        cx.apply(|save| Effect::Remove { path: self.path.clone(), save })
    }

    fn summary(&self) -> String {
        self.path.to_string()
    }
}
