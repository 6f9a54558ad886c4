//! What a script asked for, and how it ended: plain data between the script, the conductor and the journal.

use crate::id::HostName;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A place in a script.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Site {
    /// The file, relative to the project, as in `deploy.rhai` or `std/release`.
    pub source: String,
    /// From 1; 0 when the place is not known.
    pub line: u32,
    /// From 1; 0 when the place is not known.
    pub column: u32,
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.source, self.line, self.column)
    }
}

/// One call of a primitive.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Command {
    /// The primitive's name, as in `write` or `service.restart`.
    pub op: String,
    /// The host that it speaks to, or the controller.
    pub host: HostName,
    /// Who to become there; the user that logs in otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Its arguments as a JSON object.
    pub args: serde_json::Value,
    /// Where the script calls it.
    pub site: Site,
}

/// How a step ended when it did not fail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The host is different now.
    Changed,
    /// It was as asked already, or the step only looked.
    Unchanged,
    /// It did not run, for this reason.
    Skipped(String),
}

/// What kind of failure it is: decides on the state a run ends in, and its exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The arguments cannot be right, whatever the host.
    BadInput,
    /// The host said no, or a check did not hold.
    Failed,
    /// It did not answer in time.
    Timeout,
    /// The host was never reached: nothing happened there.
    Unreachable,
    /// The connection went away on the way, and did not come back.
    Lost,
    /// The host is there, and whether it took effect is not known.
    InDoubt,
    /// A gate refused.
    Refused,
    /// A person or a signal asked the run to stop.
    Interrupted,
    /// The script no longer asks for what the journal recorded.
    Divergence,
    /// The script asked that the rest be left as it is.
    Halted,
    /// The ledger cannot be written: nothing further may happen.
    Ledger,
    /// The environment's lock is somebody else's by now: nothing further may happen.
    Fenced,
    /// A defect of Windlass.
    Internal,
}

/// Why a step failed, as the journal keeps it and a script catches it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct StepError {
    /// What kind of failure.
    pub kind: ErrorKind,
    /// What happened, as a sentence fragment.
    pub message: String,
    /// The primitive.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub op: String,
    /// The host, when one was spoken to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostName>,
    /// Where the script called it.
    #[serde(default)]
    pub site: Site,
    /// The exit status of a command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<i32>,
    /// The end of what the host said on standard error, or of a service's log.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stderr: String,
    /// What to try.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

impl StepError {
    /// A failure of this kind with nothing else known yet.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            op: String::new(),
            host: None,
            site: Site::default(),
            code: None,
            stderr: String::new(),
            help: None,
        }
    }

    /// Arguments that cannot be right.
    #[must_use]
    pub fn bad_input(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::BadInput, message)
    }

    /// The host said no.
    #[must_use]
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Failed, message)
    }

    /// Adds what to try.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds the end of what was said on standard error.
    #[must_use]
    pub fn with_stderr(mut self, stderr: impl Into<String>) -> Self {
        self.stderr = stderr.into();
        self
    }

    /// Fills in who asked for it, where that is not known yet.
    #[must_use]
    pub fn at(mut self, command: &Command) -> Self {
        if self.op.is_empty() {
            self.op.clone_from(&command.op);
            self.site = command.site.clone();
            if !command.host.is_controller() {
                self.host.get_or_insert_with(|| command.host.clone());
            }
        }
        self
    }

    /// The host that could not be reached, where it failed of that.
    #[must_use]
    pub fn away(&self) -> Option<&HostName> {
        let away = matches!(self.kind, ErrorKind::Unreachable | ErrorKind::Lost);
        self.host.as_ref().filter(|host| away && !host.is_controller())
    }
}
