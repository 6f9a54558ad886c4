//! One simulated host, and what its runs keep on it.

use super::accounts;
use super::blob::Bytes;
use super::files::{Files, Ino};
use super::packages::Packages;
use super::services::Services;
use crate::effect::{Attributes, CommandResult, Content, EffectError, Login, UnitScope};
use crate::fleet::WantedHost;
use crate::id::{Digest, LockName, RunId, RunTag};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A host in memory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Host {
    /// What scripts call it.
    pub(super) name: String,
    /// By which others reach it.
    pub(super) addresses: BTreeSet<String>,
    /// Who logs in.
    pub(super) login: String,
    pub(super) files: Files,
    pub(super) services: Services,
    pub(super) packages: Packages,
    /// How often it was started.
    pub(super) boots: u32,
    /// The number of the next process.
    pub(super) next_pid: i64,
    /// What it says of itself, beside what is derived.
    pub(super) facts: BTreeMap<String, Value>,
    /// Commands that nothing here could run, in their order.
    pub(super) opaque: Vec<Opaque>,
    /// Locks that it was shown holders of, by user and lock.
    #[serde(default)]
    pub(super) locks: BTreeMap<String, super::fences::Lock>,
    /// What runs keep, by run and user.
    pub(super) kept: BTreeMap<String, Kept>,
    /// What its description says of it.
    pub(super) wanted: WantedHost,
}

/// A command that was not run for real, and what was made of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opaque {
    /// The command on one line.
    pub command: String,
    /// Why its answer is what it is.
    pub answered: Answered,
}

/// From where the answer of a command came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answered {
    /// The hook or the description of the world said it.
    Told,
    /// The script's own `dry`, or what the operation says that it makes.
    Contract,
    /// It is taken to have succeeded, and what it would have printed is not known.
    Assumed,
}

/// What one run keeps on a host as one user: the counterpart of `~/.windlass/runs/RUN-TAG`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Kept {
    /// Whose it is, where a lock is held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) of: Option<Claimant>,
    /// The number of the last process before the run's first change here.
    #[serde(default)]
    pub(super) since: Option<i64>,
    /// The boot in which that was.
    #[serde(default)]
    pub(super) since_boot: u32,
    pub(super) saves: BTreeMap<String, Save>,
    pub(super) receipts: BTreeMap<String, CommandKept>,
    /// How a service was when the run first touched it, by scope and unit.
    pub(super) firsts: BTreeMap<String, First>,
    /// Service steps that were done to their end.
    pub(super) acted: BTreeSet<String>,
    /// The guarded block that it is in, or was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) guard: Option<super::guards::Guard>,
    /// Steps of which a file was put back.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(super) undone: BTreeSet<String>,
    /// Steps that change unit files, and whose manager is to read them again when they are undone.
    pub(super) reloads: BTreeMap<String, UnitScope>,
    /// Which units ran before a step that may start them, of those that it may start.
    #[serde(default)]
    pub(super) ran: BTreeMap<String, BTreeSet<String>>,
    /// The links of units before and after a step that enables or disables.
    #[serde(default)]
    pub(super) links: BTreeMap<String, super::links::Kept>,
}

/// What was there before a change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Save {
    pub(super) path: String,
    /// Where it lies, when a link leads there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) real: Option<String>,
    pub(super) was: Was,
    /// What the step made of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) made: Option<Made>,
}

impl Save {
    /// Where it lies, wherever the links on the way to it lead by now.
    pub(super) fn lies(&self) -> &str {
        self.real.as_deref().unwrap_or(&self.path)
    }
}

/// Who has an unfinished run on a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Claimant {
    pub(super) lock: LockName,
    pub(super) run: String,
    pub(super) by: String,
}

/// What a step made of what it kept: undoing it looks whether that is still there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Made {
    File(Digest),
    Link(String),
    Directory,
    Absent,
    /// How the mark of an unpacked archive begins.
    Unpacked(String),
    Attributes(Attributes),
}

impl Made {
    /// As the shell says it.
    pub(super) fn told(&self) -> String {
        match self {
            Self::File(digest) => format!("file {digest}"),
            Self::Link(target) => format!("link {target}"),
            Self::Directory => "directory ".to_owned(),
            Self::Absent => "absent ".to_owned(),
            Self::Unpacked(mark) => format!("unpacked {}", mark.trim_end()),
            Self::Attributes(wanted) => {
                let said = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
                let mode = wanted.mode.map_or_else(|| "-".to_owned(), |mode| format!("{mode:o}"));
                format!("attributes {mode} {} {}", said(&wanted.owner), said(&wanted.group))
            }
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Was {
    Absent,
    Directory,
    /// A file or link: another name of it.
    Same(Ino),
    /// A copy, with all that is in it.
    Copy(Ino),
    Attributes {
        mode: u32,
        uid: u32,
        gid: u32,
    },
    /// It lies there now.
    Moved(String),
    Tree(TreeNotes),
    Service {
        scope: UnitScope,
        verb: String,
        active: String,
        enabled: String,
    },
    User(Box<accounts::UserBefore>),
    Group(accounts::GroupBefore),
    Packages(Vec<super::packages::Planned>),
    /// The boot that was left.
    Reboot(String),
    /// A guarded block was begun.
    Guard,
}

/// What became of a directory that was uploaded into.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct TreeNotes {
    pub(super) trash: String,
    pub(super) made: Vec<String>,
    pub(super) modes: Vec<(u32, u32, u32, String)>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct First {
    pub(super) was: String,
    /// The step for whose undoing it was started again on what was there before.
    pub(super) back: Option<String>,
}

/// The receipt of a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CommandKept {
    pub(super) code: i32,
    pub(super) stdout: Bytes,
    pub(super) stderr: Bytes,
    /// Why it was ended, when it was: it took too long.
    pub(super) over: Option<String>,
    #[serde(default)]
    pub(super) truncated: bool,
}

impl CommandKept {
    /// What became of a command, where that can be asked for again.
    pub(super) fn of(ended: &Result<CommandResult, EffectError>) -> Option<Self> {
        let bytes = |content: &Content| Bytes(content.clone());
        match ended {
            Ok(CommandResult { code, stdout, stderr, truncated, .. }) => {
                Some(Self { code: *code, stdout: bytes(stdout), stderr: bytes(stderr), over: None, truncated: *truncated })
            }
            Err(EffectError::Timeout { message, stderr }) => {
                let nothing = || Bytes(Content::new(Vec::new()));
                let stderr = Bytes(Content::new(stderr.as_bytes()));
                Some(Self { code: 0, stdout: nothing(), stderr, over: Some(message.clone()), truncated: false })
            }
            Err(_) => None,
        }
    }

    /// The same again.
    pub(super) fn ended(&self) -> Result<CommandResult, EffectError> {
        let (stdout, stderr) = (self.stdout.0.clone(), self.stderr.0.clone());
        match &self.over {
            Some(message) => {
                let stderr = String::from_utf8_lossy(stderr.bytes()).into_owned();
                Err(EffectError::Timeout { message: message.clone(), stderr })
            }
            None => Ok(CommandResult { code: self.code, stdout, stderr, truncated: self.truncated, unknown: false }),
        }
    }
}

/// The name under which a run keeps things as a user.
pub(super) fn keeper(run: &RunId, tag: &RunTag, user: &str) -> String {
    format!("{run}-{tag} {user}")
}

impl Host {
    /// Who an effect is performed as.
    pub(super) fn user_of<'a>(&'a self, at: &'a Login) -> &'a str {
        at.user.as_deref().unwrap_or(&self.login)
    }

    /// The boot that it is in.
    pub(super) fn boot(&self) -> String {
        let digest = crate::id::Digest::of(format!("{} {}", self.name, self.boots).as_bytes());
        let text = digest.as_str();
        let piece = |from: usize, to: usize| text.get(from..to).unwrap_or_default();
        format!("{}-{}-{}-{}-{}", piece(0, 8), piece(8, 12), piece(12, 16), piece(16, 20), piece(20, 32))
    }

    pub(super) fn pid(&mut self) -> i64 {
        self.next_pid += 1;
        self.next_pid
    }
}
