//! `h.unit(name, text)`: a unit of systemd.

use super::context::Diff;
use super::{Operation, StepContext, Subject, context::unexpected, write::needs_place};
use crate::effect::{Attributes, Content, Effect, Reply, ServiceUnit, UnitScope};
use crate::id::RemotePath;
use crate::step::StepError;
use serde::{Deserialize, Serialize};

/// Writes a unit file, or a drop-in of one, and has systemd read it. One that systemd does not take is a failure.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unit {
    /// `web.service`, `web.timer`, `web` for a service, or `web.service.d/limits.conf` for a drop-in.
    name: UnitName,
    text: Content,
    #[serde(default)]
    scope: UnitScope,
    /// A command that must succeed on the new file before it takes the old one's place; `%s` is its path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    validate: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "String")]
struct UnitName(String);

const KINDS: [&str; 9] = ["service", "socket", "timer", "target", "path", "mount", "automount", "slice", "swap"];

impl TryFrom<String> for UnitName {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let name = if name.contains('.') { name } else { format!("{name}.service") };
        let (unit, drop_in) = match name.split_once('/') {
            Some((directory, file)) => (directory.strip_suffix(".d").unwrap_or_default(), Some(file)),
            None => (name.as_str(), None),
        };
        let plain = |text: &str| {
            !text.is_empty()
                && !text.starts_with(['.', '-'])
                && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-@:\\".contains(c))
        };
        let known = unit.rsplit_once('.').is_some_and(|(stem, kind)| plain(stem) && KINDS.contains(&kind));
        if known && drop_in.is_none_or(|file| plain(file) && file.ends_with(".conf")) {
            return Ok(Self(name));
        }
        Err(format!("`{name}` is no name of a unit; write \"web.service\", \"web.timer\" or \"web.service.d/limits.conf\""))
    }
}

impl UnitName {
    fn unit(&self) -> &str {
        self.0.split_once(".d/").map_or(self.0.as_str(), |(unit, _)| unit)
    }
}

impl Operation for Unit {
    const NAME: &'static str = "unit";
    const SUBJECT: Subject = Subject::Host;
    const POSITIONAL: &'static [&'static str] = &["name", "text"];
    const OPTIONS: &'static [&'static str] = &["scope", "validate"];
    const PAGE: &'static str = include_str!("../../stdlib/doc/unit.md");
    type Output = bool;

    fn run(&self, cx: &mut StepContext<'_>) -> Result<bool, StepError> {
        needs_place(self.validate.as_deref())?;
        let path = |text: String| RemotePath::parse(&text).map_err(|error| StepError::bad_input(error.to_string()));
        let root = match self.scope {
            UnitScope::System => "/etc/systemd/system",
            UnitScope::User => "~/.config/systemd/user",
        };
        let file = path(format!("{root}/{}", self.name.0))?;
        let (directory, _) = file.as_str().rsplit_once('/').unwrap_or((root, ""));
        if directory != "/etc/systemd/system" {
            let directory = path(directory.to_owned())?;
            cx.apply(|save| Effect::Mkdir { path: directory, attributes: Attributes::default(), save })?;
        }
        let unit = ServiceUnit { name: self.name.unit().to_owned(), scope: self.scope };
        let reply = cx.change(|save| Effect::Unit {
            unit,
            path: file.clone(),
            content: self.text.clone(),
            // Anybody may ask systemd for a unit's text.
            attributes: Attributes { mode: Some(0o644), ..Attributes::default() },
            validate: self.validate.clone(),
            save,
        })?;
        let Reply::Done { changed, before } = reply else { return Err(unexpected(&reply)) };
        if changed && let (Some(before), Some(after)) = (before.as_ref().and_then(Content::text), self.text.text()) {
            cx.show_diff(Diff { path: file.to_string(), before: before.to_owned(), after: after.to_owned() });
        }
        Ok(changed)
    }

    fn summary(&self) -> String {
        self.name.0.clone()
    }
}
