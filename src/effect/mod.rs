//! The closed set of things an operation can ask of the world, their replies, and the one trait behind which every
//! mode stands. Data only: this room performs nothing and names no crate that could.

mod account;
mod bytes;
mod error;
mod fence;
mod guard;
mod login;
mod packages;
mod postcondition;
mod reply;
mod service;
mod source;
mod undo;

pub use account::{Account, GroupAccount, Presence, UserAccount};
pub use bytes::Content;
pub use error::EffectError;
pub use fence::{Anchor, Fence};
pub use guard::GuardAct;
pub use login::Login;
pub use packages::{PackageChange, PackageSet, PackageState};
pub use postcondition::{Postcondition, PostconditionSubject};
pub use reply::{CommandResult, FileKind, FileStat, HttpReply, Reply, ServiceState, SourceInfo, TreeInfo};
pub use service::{ServiceUnit, UnitScope, Verb};
pub use source::SourceName;
pub use undo::{Basis, Compensation, Overwrite};

use crate::id::{Digest, LockName, RemotePath, RunId, SaveId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Performs effects: on live hosts, on a simulated fleet, or as a layer over another.
///
/// It is synchronous: a task is a thread, and a thread that waits for a host costs little next to the connection that
/// it waits for. What needs an event loop (a session, an HTTP client) keeps it on its own thread behind this call.
pub trait Effects: Send + Sync {
    /// Performs one effect on a host, or on the controller, and waits for its reply.
    ///
    /// # Errors
    /// [`EffectError`] tells apart what surely did not happen from what is in doubt.
    fn perform(&self, at: &Login, effect: &Effect) -> Result<Reply, EffectError>;
}

impl<E: Effects + ?Sized> Effects for std::sync::Arc<E> {
    fn perform(&self, at: &Login, effect: &Effect) -> Result<Reply, EffectError> {
        self.as_ref().perform(at, effect)
    }
}

/// One thing that an operation asks of the world.
///
/// Effects that change files carry a [`SaveId`]: the same round trip that looks and changes keeps on the host what was
/// there before, so that [`Effect::Restore`] can put it back. Where nothing was kept, nothing was changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "effect", rename_all = "snake_case")]
#[expect(missing_docs, reason = "the sentence of each variant tells what its fields are")]
pub enum Effect {
    /// What is at a path. Reply: [`Reply::Stat`].
    Stat { path: RemotePath },
    /// A file's content, up to `limit` bytes; a longer one is an error. Reply: [`Reply::Content`].
    Read { path: RemotePath, limit: u64 },
    /// The sha256 of a file, or nothing when it is not there. Reply: [`Reply::Digest`].
    Digest { path: RemotePath },
    /// The paths that match a glob, sorted. Reply: [`Reply::List`].
    List { pattern: String },
    /// What the host is: its system, hardware, names and addresses. Reply: [`Reply::Facts`].
    Facts,
    /// A file of the host is kept in the project, as `to`, unless it has more than `limit` bytes. Reply: [`Reply::Fetched`].
    Fetch {
        path: RemotePath,
        to: String,
        #[serde(default = "no_limit", skip_serializing_if = "is_no_limit")]
        limit: u64,
    },
    /// The state of a service. Reply: [`Reply::Service`].
    ServiceStatus { unit: ServiceUnit },
    /// The last log lines of a service. Reply: [`Reply::Content`].
    ServiceLog { unit: ServiceUnit, lines: u32 },
    /// A command that promises to change nothing. Reply: [`Reply::Command`].
    Probe { command: Invocation },
    /// An HTTP request made from the host's own network. Reply: [`Reply::Http`].
    Http { request: HttpRequest, via: Via },
    /// A TCP connection made from the host's own network, and closed again. Reply: [`Reply::Connected`].
    Connect { address: String, port: u16, via: Via },
    /// What the host keeps of runs that ended under this lock: lines of [`Anchor`]s. Reply: [`Reply::Content`].
    Anchors { lock: LockName },

    /// Writes a file: temporary file, flush, validation, atomic rename. Reply: [`Reply::Done`]; with a basis, [`Reply::Overtaken`] where
    /// something else is there by then.
    Write {
        path: RemotePath,
        content: Content,
        attributes: Attributes,
        validate: Option<String>,
        save: SaveId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        basis: Option<Basis>,
    },
    /// Sends a file of the controller. Reply: [`Reply::Done`].
    Upload { path: RemotePath, source: String, digest: Digest, size: u64, attributes: Attributes, save: SaveId },
    /// Copies a file that lies on the host. Reply: [`Reply::Done`].
    Copy { from: RemotePath, to: RemotePath, attributes: Attributes, save: SaveId },
    /// Writes a file that tells the service manager of a unit, and has it read. Reply: [`Reply::Done`].
    Unit { unit: ServiceUnit, path: RemotePath, content: Content, attributes: Attributes, validate: Option<String>, save: SaveId },
    /// Makes, changes or removes a user or a group. Reply: [`Reply::Done`].
    Account { account: Account, save: SaveId },
    /// Installs, upgrades or removes packages. Reply: [`Reply::Packages`].
    Packages { packages: PackageSet, save: SaveId },
    /// Restarts the host, once, and waits until it is back. Reply: [`Reply::Done`].
    /// With `after`, only when the restart of that save began. When it was `begun`, a host that is not there is on its way.
    Reboot { within_millis: u64, message: Option<String>, begun: bool, save: SaveId, after: Option<SaveId> },
    /// Sends a directory of the controller, as a tar archive that lies there: its files are put beside those of the host's directory,
    /// or, to `delete` what else is there, instead of them. Reply: [`Reply::Done`].
    UploadTree { path: RemotePath, tree: TreeInfo, owner: Option<String>, group: Option<String>, delete: bool, save: SaveId },
    /// Unpacks an archive that lies on the host into a directory of its own. Reply: [`Reply::Done`].
    /// With a digest, only when the archive has it.
    Unpack { archive: RemotePath, directory: RemotePath, strip: u32, digest: Option<Digest>, save: SaveId },
    /// Makes a directory with the parents that are missing. Reply: [`Reply::Done`].
    Mkdir { path: RemotePath, attributes: Attributes, save: SaveId },
    /// Makes a symbolic link, or points it elsewhere in one instant. Reply: [`Reply::Done`].
    Link { path: RemotePath, target: String, save: SaveId },
    /// Moves a file or directory to a path where nothing is. Reply: [`Reply::Done`].
    Rename { from: RemotePath, to: RemotePath, save: SaveId },
    /// Removes a file, link or directory; it stays in a trash until the run ends. Reply: [`Reply::Done`].
    Remove { path: RemotePath, save: SaveId },
    /// Sets mode, owner and group. Reply: [`Reply::Done`].
    SetAttributes { path: RemotePath, attributes: Attributes, save: SaveId },
    /// Starts, stops, restarts, reloads, enables or disables a service. Reply: [`Reply::Service`].
    Service { unit: ServiceUnit, verb: Verb, save: SaveId },
    /// A command that may change anything; its receipt stays on the host. Reply: [`Reply::Command`].
    /// With `after`, only when the command of that receipt began. Of each path in `keeps`, what is there is copied first, and
    /// kept under its name.
    Exec {
        command: Invocation,
        receipt: SaveId,
        after: Option<SaveId>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        keeps: Vec<(SaveId, RemotePath)>,
        /// What is known of it where it is not run.
        #[serde(default, skip_serializing_if = "Contract::is_empty")]
        contract: Box<Contract>,
    },

    /// Puts back what a save kept; when it `surely` kept something and has it no more, that is a failure. So is something that neither
    /// the step nor what was there before it left, unless that may be overwritten. Reply: [`Reply::Done`].
    Restore {
        save: SaveId,
        surely: bool,
        #[serde(default)]
        overwrite: Overwrite,
    },
    /// Ends a command that still runs, and all that it started. Reply: [`Reply::Done`].
    End { receipt: SaveId },
    /// What must follow once the files are back: a service that ran is restarted. So is one of these units that the run did not come to
    /// on this host, where what it runs began while the run went on: it may be from the files of then. Reply: [`Reply::Done`].
    Resume {
        save: SaveId,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        units: Vec<ServiceUnit>,
        /// How long the run goes on by now.
        #[serde(default)]
        run_millis: u64,
    },
    /// A block of changes that the host takes back by itself unless it is confirmed. Reply: [`Reply::Done`].
    Guard { act: GuardAct },
    /// Removes what the run kept on the host: saves, trash, receipts; how its journal ended stays. Or what an earlier run of the same
    /// ledger left there, which has ended. Reply: [`Reply::Done`].
    Forget {
        anchor: Option<Anchor>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        of: Option<RunId>,
    },
    /// Shows the host who holds the lock from now on; earlier holders are refused there. Reply: [`Reply::Done`].
    Fence,

    /// What a file, directory or artifact of the controller is. Controller. Reply: [`Reply::Source`].
    Source { source: SourceName },
    /// The text of a template of the project. Controller. Reply: [`Reply::Content`].
    Template { name: String },
    /// The time. Controller. Reply: [`Reply::Time`].
    Now,
    /// Random bytes. Controller. Reply: [`Reply::Content`].
    Entropy { bytes: u32 },
    /// Asks a person. Controller. Reply: [`Reply::Content`], the answer.
    Ask { question: Question },
    /// Waits. Controller. Reply: [`Reply::Done`].
    Sleep { millis: u64 },
    /// Tells people something. Controller; never fails a run. Reply: [`Reply::Done`].
    Notify { text: String, to: Option<String> },
}

fn no_limit() -> u64 {
    u64::MAX
}

fn is_no_limit(limit: &u64) -> bool {
    *limit == u64::MAX
}

/// What an effect does to the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EffectClass {
    /// It only looks.
    Read,
    /// It looks, and changes what is not as wanted; doing it again is harmless.
    Write,
    /// It may do anything; doing it again may not be harmless.
    Opaque,
    /// It reaches people or time, not a host.
    Controller,
}

impl Effect {
    /// What the effect does to the world.
    #[must_use]
    pub fn class(&self) -> EffectClass {
        match self {
            Self::Stat { .. }
            | Self::Read { .. }
            | Self::Digest { .. }
            | Self::List { .. }
            | Self::Facts
            | Self::Fetch { .. }
            | Self::ServiceStatus { .. }
            | Self::ServiceLog { .. }
            | Self::Probe { .. }
            | Self::Http { .. }
            | Self::Connect { .. }
            | Self::Anchors { .. } => EffectClass::Read,
            Self::Write { .. }
            | Self::Upload { .. }
            | Self::Copy { .. }
            | Self::Unit { .. }
            | Self::Account { .. }
            | Self::Packages { .. }
            | Self::Reboot { .. }
            | Self::UploadTree { .. }
            | Self::Unpack { .. }
            | Self::Mkdir { .. }
            | Self::Link { .. }
            | Self::Rename { .. }
            | Self::Remove { .. }
            | Self::SetAttributes { .. }
            | Self::Service { .. }
            | Self::Restore { .. }
            | Self::End { .. }
            | Self::Resume { .. }
            | Self::Guard { .. }
            | Self::Forget { .. }
            | Self::Fence => EffectClass::Write,
            Self::Exec { .. } => EffectClass::Opaque,
            Self::Source { .. }
            | Self::Template { .. }
            | Self::Now
            | Self::Entropy { .. }
            | Self::Ask { .. }
            | Self::Sleep { .. }
            | Self::Notify { .. } => EffectClass::Controller,
        }
    }
}

/// A question to a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// What an answer that is given beforehand calls it.
    pub name: String,
    /// What is asked.
    pub text: String,
    /// The answers that there are; any text when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<String>,
    /// The answer when there is no other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
}

/// Mode, owner and group of a file; what is not given stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attributes {
    /// Permission bits, as in `0o644`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<u32>,
    /// A user's name or number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// A group's name or number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
}

/// A command for a host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Invocation {
    /// What to run.
    pub words: Words,
    /// The directory to run in; the login directory otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<RemotePath>,
    /// Variables added to its environment.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
    /// What it reads on standard input; nothing otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdin: Option<Content>,
    /// Seconds after which its whole process group is ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<u64>,
}

/// What is known of a command without running it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contract {
    /// A path that is there once it has succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub creates: Option<RemotePath>,
    /// How it ends, and what it prints.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Foretold>,
}

/// The answer of a command, as its script foretells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Foretold {
    /// Its exit status.
    pub code: i32,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl Contract {
    /// Whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A command's words: a text for `sh`, or a list that no shell reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "a command as a text, or a list of words")]
pub enum Words {
    /// A text that `sh` parses.
    Shell(String),
    /// A program and its arguments, taken as they are.
    List(Vec<String>),
}

/// From where a connection is made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    /// Through the host's SSH connection; by a program on the host where that is forbidden.
    #[default]
    Tunnel,
    /// By a program on the host: curl, python3, perl, bash, nc or wget.
    Exec,
    /// From the machine on which Windlass runs.
    Controller,
    /// Through the host's SSH connection, and no other way: asks whether that is allowed.
    #[serde(skip_deserializing)]
    Forwarding,
}

impl Via {
    /// Whether it is the way that is taken when none is named.
    #[must_use]
    pub fn is_usual(&self) -> bool {
        *self == Self::Tunnel
    }
}

/// A request to an HTTP server, as seen from the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpRequest {
    /// `http://address:port/path`.
    pub url: String,
    /// `GET`, `HEAD`, ...
    pub method: String,
    /// Header fields to send.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Milliseconds for the whole exchange.
    pub timeout_millis: u64,
    /// What whoever asks hopes for, where nobody can be asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hoped: Option<Hoped>,
}

/// The answer of an HTTP server that is hoped for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hoped {
    /// The status code.
    pub status: u16,
    /// Texts that the body holds.
    pub texts: Vec<String>,
}
