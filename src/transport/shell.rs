//! A host as the rest of the transport sees it: a place that answers calls, and lets one connect from its own network.

use crate::effect::Content;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// One call of a host-side function.
#[derive(Debug, Clone)]
pub struct Call {
    /// Its name.
    pub function: &'static str,
    /// Who to become for it.
    pub user: Option<String>,
    /// Its arguments, not quoted.
    pub args: Vec<String>,
    /// What it is given when it asks for bytes.
    pub payload: Option<Payload>,
    /// Bytes of answer that are taken; more is a failure.
    pub limit: u64,
    /// Seconds until an answer must be there, if there is such a time.
    pub deadline_seconds: Option<u64>,
    /// Whether it is refused when the host was shown a later holder of the lock.
    pub fenced: bool,
}

/// Bytes for a call that asks for them.
#[derive(Debug, Clone)]
pub enum Payload {
    /// These.
    Bytes(Content),
    /// A file of the controller, streamed.
    File {
        /// Where it lies.
        path: PathBuf,
        /// Its bytes.
        size: u64,
        /// How many of them have been handed to the connection so far.
        sent: Arc<AtomicU64>,
    },
}

/// Is called some ten times a second while a call is waited for.
pub type Tick<'a> = &'a mut dyn FnMut();

/// What a call printed, and its exit status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallReply {
    /// The exit status.
    pub code: i32,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
    /// Unfinished runs of others on that host, where it tells for the first time: `RUN SINCE BY` each.
    pub beside: Vec<String>,
}

/// Why a call has no reply.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the sentence of each variant tells what its fields are")]
pub enum Failure {
    /// No connection could be made; nothing was called.
    #[error("{reason}")]
    Unreachable { reason: String, help: Option<String> },
    /// The host is there, and does not let us work on it.
    #[error("{reason}")]
    Denied { reason: String, help: Option<String> },
    /// The connection went away after the call was sent.
    #[error("{0}")]
    Lost(String),
    /// The host answered, but not as a host does.
    #[error("{0}")]
    Refused(String),
    /// The host lets no connection through; it is well otherwise.
    #[error("{0}")]
    Forbidden(String),
    /// No answer by the deadline.
    #[error("no answer within {0} s")]
    Timeout(u64),
    /// The run was stopped before anything was called.
    #[error("the run was stopped")]
    Stopped,
    /// The run was stopped after the call was sent: what it began may go on.
    #[error("the run was stopped meanwhile")]
    Left,
}

/// A connection to a host.
pub trait Shell: Send + Sync {
    /// Calls a function and waits for its end.
    ///
    /// # Errors
    /// See [`Failure`].
    fn call(&self, call: &Call, tick: Tick<'_>) -> Result<CallReply, Failure>;

    /// Connects to an address as seen from the host.
    ///
    /// # Errors
    /// `Refused` when the host cannot connect there, `Forbidden` when it lets nobody connect through it.
    fn connect(&self, address: &str, port: u16) -> Result<UnixStream, Failure>;

    /// Whether it can be called again.
    fn is_usable(&self) -> bool;
}

impl Call {
    /// A call without arguments.
    #[must_use]
    pub fn new(function: &'static str) -> Self {
        Self { function, user: None, args: Vec::new(), payload: None, limit: 8 << 20, deadline_seconds: None, fenced: false }
    }

    /// With one more argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// With more arguments.
    #[must_use]
    pub fn args(mut self, args: impl IntoIterator<Item = String>) -> Self {
        self.args.extend(args);
        self
    }

    /// As this user, by sudo.
    #[must_use]
    pub fn as_user(mut self, user: Option<String>) -> Self {
        self.user = user;
        self
    }

    /// With bytes that it may ask for.
    #[must_use]
    pub fn payload(mut self, payload: Payload) -> Self {
        self.payload = Some(payload);
        self
    }

    /// With at most so many bytes of answer, beside what the function itself says.
    #[must_use]
    pub fn limit(mut self, bytes: u64) -> Self {
        self.limit = bytes + 4096;
        self
    }

    /// With a time by which an answer must be there.
    #[must_use]
    pub fn deadline_seconds(mut self, seconds: Option<u64>) -> Self {
        self.deadline_seconds = seconds;
        self
    }

    /// Only while the host was shown no later holder of the lock: it may change something.
    #[must_use]
    pub fn fenced(mut self) -> Self {
        self.fenced = true;
        self
    }
}

impl CallReply {
    /// Standard output as text.
    #[must_use]
    pub fn stdout_text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Standard error as text.
    #[must_use]
    pub fn stderr_text(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }
}
