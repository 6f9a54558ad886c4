//! What the world answers.

use super::{Content, PackageChange};
use crate::id::Digest;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// The answer to an effect; each effect says which.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// It is as asked.
    Done {
        /// Whether it had to be changed for that.
        changed: bool,
        /// What was there before, where that is known and not too long to show; empty when nothing was.
        before: Option<Content>,
    },
    /// What the change was to rest on is not there any more: nothing was changed.
    Overtaken,
    /// What is at a path; nothing when nothing is.
    Stat(Option<FileStat>),
    /// Content.
    Content(Content),
    /// A digest; nothing when there is no such file.
    Digest(Option<Digest>),
    /// Paths, sorted.
    List(Vec<String>),
    /// A service's state, after what was done to it.
    Service {
        /// Whether something had to be done.
        changed: bool,
        /// How it is now.
        state: ServiceState,
    },
    /// What a host is, by the names of the facts; what it does not tell is null.
    Facts(BTreeMap<String, Value>),
    /// A file that is kept in the project now.
    Fetched {
        /// Its sha256.
        digest: Digest,
        /// Its bytes.
        size: u64,
        /// Whether the project had it otherwise, or not at all.
        changed: bool,
    },
    /// What became of packages; of none when all were as asked.
    Packages {
        /// Whether something had to be done.
        changed: bool,
        /// All that were touched, also those that nobody named.
        list: Vec<PackageChange>,
    },
    /// How a command ended.
    Command(CommandResult),
    /// A connection was made.
    Connected {
        /// From where, as in "from web1".
        vantage: String,
    },
    /// What an HTTP server said.
    Http(HttpReply),
    /// A file of the controller.
    Source(SourceInfo),
    /// A directory of the controller.
    Tree(TreeInfo),
    /// Milliseconds since 1970-01-01 UTC.
    Time(i64),
}

impl Reply {
    /// It is as asked, and nothing had to be changed or nothing is known to compare.
    #[must_use]
    pub fn done(changed: bool) -> Self {
        Self::Done { changed, before: None }
    }
}

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileStat {
    /// File, directory, link or other.
    pub kind: FileKind,
    /// Bytes.
    pub size: u64,
    /// Permission bits as four octal digits, as in `0644`.
    pub mode: String,
    /// The owner's name, or number where it has none.
    pub owner: String,
    /// The group's name, or number where it has none.
    pub group: String,
    /// Seconds since 1970-01-01 UTC.
    pub modified: i64,
    /// Where a link points.
    #[serde(default)]
    pub target: Option<String>,
}

/// What kind of thing is at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileKind {
    /// A file with content.
    File,
    /// A directory.
    Directory,
    /// A symbolic link; it is not followed.
    Link,
    /// A socket, pipe or device.
    Other,
}

/// The state of a service.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceState {
    /// Whether its manager knows the unit.
    pub known: bool,
    /// `active`, `inactive`, `failed`, `activating`, ...
    pub active: String,
    /// `enabled`, `disabled`, `static`, or empty.
    pub enabled: String,
    /// The main process, 0 when there is none.
    pub main_pid: i64,
    /// How often its manager restarted it by itself.
    pub restarts: i64,
    /// The manager's word for how it last ended, as in `exit-code`.
    pub result: String,
    /// The manager's finer word, as in `running`, `exited`, `auto-restart`; empty where there is none.
    #[serde(default)]
    pub substate: String,
    /// The unit's own kind of start, as in `oneshot`; what is no service has none.
    #[serde(default)]
    pub kind: String,
    /// The name that its manager gave to its last start; empty where it was never started, or none is given.
    #[serde(default)]
    pub invocation: String,
}

impl ServiceState {
    /// Whether it runs.
    #[must_use]
    pub fn is_active(&self) -> bool {
        matches!(self.active.as_str(), "active" | "reloading" | "refreshing")
    }
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandResult {
    /// Its exit status; 128 and the signal's number when a signal ended it.
    pub code: i32,
    /// What it wrote on standard output, up to the limit.
    pub stdout: Content,
    /// What it wrote on standard error, up to the limit.
    pub stderr: Content,
    /// Whether there was more than the limit.
    pub truncated: bool,
    /// Whether nobody knows: it was not run, and nothing foretold it. Never of a live host.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unknown: bool,
}

/// What an HTTP server said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpReply {
    /// The status code.
    pub status: u16,
    /// The first bytes of the body, as text.
    pub body: String,
    /// From where the server was asked, as in "through web1's SSH connection".
    pub vantage: String,
}

/// A file of the controller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceInfo {
    /// Where it lies on the controller.
    pub path: String,
    /// Its sha256.
    pub digest: Digest,
    /// Bytes.
    pub size: u64,
    /// Permission bits.
    pub mode: u32,
}

/// A directory of the controller, packed once for the whole run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TreeInfo {
    /// Where its tar archive lies on the controller.
    pub archive: String,
    /// The sha256 of the archive.
    pub digest: Digest,
    /// The bytes of the archive.
    pub archive_size: u64,
    /// One line for each thing in it: what a host compares with its own.
    pub listing: Content,
    /// The bytes of all files.
    pub size: u64,
}
