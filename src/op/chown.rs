//! `h.chown(path, owner)`: whose a file is.

use super::{Operation, StepContext, Subject};
use crate::effect::{Attributes, Effect};
use crate::id::RemotePath;
use crate::step::StepError;
use serde::{Deserialize, Serialize};

/// Sets the owner of a file or directory, and its group as `owner:group`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chown {
    path: RemotePath,
    /// `owner`, `owner:group` or `:group`; names or numbers.
    owner: String,
}

impl Operation for Chown {
    const NAME: &'static str = "chown";
    const SUBJECT: Subject = Subject::Host;
    const POSITIONAL: &'static [&'static str] = &["path", "owner"];
    const PAGE: &'static str = include_str!("../../stdlib/doc/chown.md");
    type Output = bool;

    fn run(&self, cx: &mut StepContext<'_>) -> Result<bool, StepError> {
        let (owner, group) = self.owner.split_once(':').unwrap_or((&self.owner, ""));
        let plain = |name: &str| !name.starts_with('-') && name.chars().all(|c| c.is_ascii_alphanumeric() || "._-$".contains(c));
        if (owner.is_empty() && group.is_empty()) || !plain(owner) || !plain(group) {
            let error = StepError::bad_input(format!("`{}` names no owner", self.owner));
            return Err(error.with_help("write \"owner\", \"owner:group\" or \":group\""));
        }
        let given = |name: &str| (!name.is_empty()).then(|| name.to_owned());
        let attributes = Attributes { mode: None, owner: given(owner), group: given(group) };
        cx.apply(|save| Effect::SetAttributes { path: self.path.clone(), attributes, save })
    }

    fn summary(&self) -> String {
        format!("{} {}", self.owner, self.path)
    }
}
