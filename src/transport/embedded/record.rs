//! What a lab is asked to be, what it wrote down about itself (`lab.json`), and where its files are.
//! No processes are touched here.

use super::error::LabError;
use super::process::ProcessId;
use serde::{Deserialize, Serialize};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

/// The port on which all hosts of a lab listen; their addresses differ.
pub const LAB_PORT: u16 = 2222;
/// How many hosts a lab can have: the addresses of hosts start at .11.
pub const MOST_HOSTS: u16 = 240;
/// The version of `lab.json` that is written.
pub const LAB_VERSION: u32 = 1;

/// What keeps the hosts of a lab apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LabMode {
    /// Each host has namespaces, a file system and a superuser of its own.
    Namespaces,
    /// Each host is a home directory; the rest of the machine is shared.
    Directories,
}

/// Whether the superuser may run hosts that share this machine's file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SharedRoot {
    /// No: a deploy script would change the real machine.
    #[default]
    Refuse,
    /// Yes: the machine is itself one to throw away, such as a container in CI.
    Allow,
}

/// Whether the lab belongs to the terminal that started it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LabSession {
    /// It ends with the terminal.
    #[default]
    Foreground,
    /// It has a session of its own and outlives the terminal.
    Detached,
}

/// What a lab shall be.
#[derive(Debug, Clone)]
pub struct LabOptions {
    /// Where it keeps everything; this directory is the identity of the lab.
    pub dir: PathBuf,
    /// How many hosts: `h1` to `hN`.
    pub count: u16,
    /// The mode, or none for the best that this machine gives.
    pub mode: Option<LabMode>,
    /// Whether mode `Directories` may be used by the superuser.
    pub shared_root: SharedRoot,
    /// Whether it shall outlive the terminal.
    pub session: LabSession,
    /// The executable that answers to `lab init`, `systemctl` and `journalctl`: this one, or the test's.
    pub exe: PathBuf,
}

impl LabOptions {
    /// A lab in this directory, in the best mode, in the foreground.
    #[must_use]
    pub fn new(exe: impl Into<PathBuf>, dir: impl Into<PathBuf>, count: u16) -> Self {
        let (exe, dir) = (exe.into(), dir.into());
        Self { dir, count, mode: None, shared_root: SharedRoot::Refuse, session: LabSession::Foreground, exe }
    }
}

/// A lab that listens: the content of `lab.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabReady {
    /// The version of this format.
    pub version: u32,
    /// The process that serves.
    #[serde(flatten)]
    pub process: ProcessId,
    /// What keeps the hosts apart.
    pub mode: LabMode,
    /// Why it is not mode `Namespaces`, where that was tried and refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode_reason: Option<String>,
    /// The private key for all hosts.
    pub key: PathBuf,
    /// The host keys, for `UserKnownHostsFile`.
    pub known_hosts: PathBuf,
    /// The hosts.
    pub hosts: Vec<LabHost>,
}

/// One host of a lab.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabHost {
    /// `h1` and so on.
    pub name: String,
    /// Its address on loopback.
    pub address: Ipv4Addr,
    /// Its port.
    pub port: u16,
    /// The user to log in as. Any name is accepted.
    pub user: String,
    /// The private key.
    pub key: PathBuf,
    /// Where its state and its fault switches are.
    pub dir: PathBuf,
    /// The process from which all of its processes come.
    pub init: ProcessId,
}

/// What is in a lab's directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LabStatus {
    /// Nothing runs; there may be hosts of before.
    Down,
    /// It runs.
    Up(LabReady),
    /// It says that it runs, but its process is gone: it was killed.
    Stale(LabReady),
}

/// The files of a lab.
#[derive(Debug, Clone)]
pub(crate) struct LabDir(pub(crate) PathBuf);

impl LabDir {
    /// Makes the directory, for its owner only, and takes its absolute path.
    pub(crate) fn make(dir: &Path) -> Result<Self, LabError> {
        use std::os::unix::fs::DirBuilderExt as _;
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(LabError::file("make", dir))?;
        std::fs::canonicalize(dir).map(Self).map_err(LabError::file("find", dir))
    }

    pub(crate) fn key(&self) -> PathBuf {
        self.0.join("id_ed25519")
    }

    pub(crate) fn known_hosts(&self) -> PathBuf {
        self.0.join("known_hosts")
    }

    pub(crate) fn record(&self) -> PathBuf {
        self.0.join("lab.json")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.0.join("lab.log")
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.0.join("lock")
    }

    /// Where the third byte of the addresses is remembered, so that a lab keeps them.
    pub(crate) fn subnet(&self) -> PathBuf {
        self.0.join("subnet")
    }

    pub(crate) fn host(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Reads `lab.json`, if there is one.
    pub(crate) fn read_record(&self) -> Result<Option<LabReady>, LabError> {
        let path = self.record();
        let text = match std::fs::read_to_string(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(LabError::file("read", &path))?,
        };
        serde_json::from_str(&text).map(Some).map_err(|source| LabError::Record { path, source })
    }

    /// Writes `lab.json` so that a reader sees all of it or nothing.
    pub(crate) fn write_record(&self, ready: &LabReady) -> Result<(), LabError> {
        let path = self.record();
        let text = serde_json::to_string_pretty(ready).map_err(|source| LabError::Record { path: path.clone(), source })?;
        let fresh = self.0.join("lab.json.new");
        write_private(&fresh, &text)?;
        std::fs::rename(&fresh, &path).map_err(LabError::file("write", &path))
    }
}

/// Writes a file that only its owner may read.
pub(crate) fn write_private(path: &Path, text: &str) -> Result<(), LabError> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = std::fs::OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(LabError::file("write", path))
}
