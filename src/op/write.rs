//! `h.write(path, text)`: a file with this content.

use super::context::Diff;
use super::{Mode, Operation, StepContext, Subject, context::unexpected};
use crate::effect::{Attributes, Content, Effect, Reply};
use crate::id::RemotePath;
use crate::step::StepError;
use serde::{Deserialize, Serialize};

/// Writes a file: temporary file, flush to disk, validation, atomic rename. The same content is unchanged.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Write {
    path: RemotePath,
    text: Content,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mode: Option<Mode>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    group: Option<String>,
    /// A command that must succeed on the new file before it takes the old one's place; `%s` is its path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    validate: Option<String>,
}

impl Operation for Write {
    const NAME: &'static str = "write";
    const SUBJECT: Subject = Subject::Host;
    const POSITIONAL: &'static [&'static str] = &["path", "text"];
    const PAGE: &'static str = include_str!("../../stdlib/doc/write.md");
    type Output = bool;

    fn run(&self, cx: &mut StepContext<'_>) -> Result<bool, StepError> {
        let attributes = Attributes { mode: self.mode.map(Mode::bits), owner: self.owner.clone(), group: self.group.clone() };
        put(cx, &self.path, &self.text, attributes, self.validate.clone())
    }

    fn summary(&self) -> String {
        self.path.to_string()
    }
}

/// Writes content to a path and shows what differs.
pub(super) fn put(
    cx: &mut StepContext<'_>,
    path: &RemotePath,
    content: &Content,
    attributes: Attributes,
    validate: Option<String>,
) -> Result<bool, StepError> {
    needs_place(validate.as_deref())?;
    let reply = cx.change(|save| Effect::Write { path: path.clone(), content: content.clone(), attributes, validate, save, basis: None })?;
    let Reply::Done { changed, before } = reply else { return Err(unexpected(&reply)) };
    if changed && let Some(after) = content.text() {
        show(cx, path, before.as_ref(), after);
    }
    Ok(changed)
}

/// Shows what a change made of a text.
pub(super) fn show(cx: &mut StepContext<'_>, path: &RemotePath, before: Option<&Content>, after: &str) {
    if let Some(before) = before.and_then(Content::text) {
        cx.show_diff(Diff { path: path.to_string(), before: before.to_owned(), after: after.to_owned() });
    }
}

/// Refuses a validation that does not name the file.
pub(super) fn needs_place(validate: Option<&str>) -> Result<(), StepError> {
    let Some(command) = validate.filter(|command| !command.contains("%s")) else { return Ok(()) };
    let error = StepError::bad_input(format!("`validate` does not say where the new file goes: `{command}`"));
    Err(error.with_help("write `%s` in its place, as in \"nginx -t -c %s\""))
}
