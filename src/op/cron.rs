//! `h.cron(name, #{schedule, command})`: something that is done again and again.

use super::write::put;
use super::{Operation, StepContext, Subject};
use crate::effect::{Attributes, Content};
use crate::id::RemotePath;
use crate::step::StepError;
use serde::{Deserialize, Serialize};

/// Keeps a job of cron as a file of its own in `/etc/cron.d`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cron {
    name: String,
    /// Five fields (minute, hour, day of month, month, day of week), or `@daily` and the like.
    schedule: String,
    /// One line for `sh`; `%` begins its standard input there, unless `\%`.
    command: String,
    /// Who runs it; root when not given.
    #[serde(default = "root")]
    run_as: String,
    /// The directory of the files; `/etc/cron.d` when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    directory: Option<RemotePath>,
}

fn root() -> String {
    "root".to_owned()
}

impl Operation for Cron {
    const NAME: &'static str = "cron";
    const SUBJECT: Subject = Subject::Host;
    const POSITIONAL: &'static [&'static str] = &["name"];
    const PAGE: &'static str = include_str!("../../stdlib/doc/cron.md");
    type Output = bool;

    fn run(&self, cx: &mut StepContext<'_>) -> Result<bool, StepError> {
        self.check()?;
        let text = format!("# Written by Windlass.\n{} {} {}\n", self.schedule.trim(), self.run_as, self.command);
        let directory = self.directory.as_ref().map_or("/etc/cron.d", |directory| directory.as_str());
        let path = RemotePath::parse(&format!("{directory}/{}", self.name)).map_err(|error| StepError::bad_input(error.to_string()))?;
        // cron reads no file that others may write.
        put(cx, &path, &Content::new(text), Attributes { mode: Some(0o644), ..Attributes::default() }, None)
    }

    fn summary(&self) -> String {
        format!("{} ({})", self.name, self.schedule)
    }
}

impl Cron {
    fn check(&self) -> Result<(), StepError> {
        // cron passes over files whose names have a dot, in silence.
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if self.name.is_empty() || !self.name.chars().all(plain) {
            let error = StepError::bad_input(format!("`{}` is no name for a job: cron would pass over its file", self.name));
            return Err(error.with_help("use letters, digits, `-` and `_`"));
        }
        let fields = self.schedule.split_whitespace().count();
        if !(fields == 5 || (fields == 1 && self.schedule.trim().starts_with('@'))) || self.schedule.contains('\n') {
            let error = StepError::bad_input(format!("`{}` is no schedule", self.schedule));
            return Err(error.with_help("give five fields, as in \"15 3 * * *\" (at 03:15), or \"@daily\""));
        }
        if self.command.trim().is_empty() || self.command.contains('\n') {
            return Err(StepError::bad_input("`command` is one line that is not empty"));
        }
        if self.run_as.is_empty() || self.run_as.contains(char::is_whitespace) {
            return Err(StepError::bad_input(format!("`{}` is no name of a user", self.run_as)));
        }
        Ok(())
    }
}
