//! Why a lab could not do what was asked of it.

use std::io;
use std::path::{Path, PathBuf};

/// What can go wrong with a lab.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// A file or directory of the lab refused.
    #[error("{what} `{}`", path.display())]
    File {
        /// What was done with it, as in "write".
        what: &'static str,
        /// Which one.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The system refused something that is no file.
    #[error("{what}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A key of the lab can't be made or read.
    #[error("read or make the key `{}`: {why}", path.display())]
    Key {
        /// Where it is kept.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A file of the lab holds something else than it should.
    #[error("understand `{}`", path.display())]
    Record {
        /// Which one.
        path: PathBuf,
        /// Where it stops making sense.
        source: serde_json::Error,
    },
    /// More hosts than a subnet has addresses for, or none.
    #[error("make {count} lab hosts: between 1 and {most} are possible", most = super::record::MOST_HOSTS)]
    Count {
        /// How many were asked for.
        count: u16,
    },
    /// No block of loopback addresses is free.
    #[error("find free addresses for the hosts: port 2222 is taken in all of 127.77.0.0/16; end other labs with `lab down`")]
    NoAddresses,
    /// Namespaces were demanded and this machine does not give them.
    #[error("give each host namespaces of its own: {why}; try the mode `directories`")]
    NoNamespaces {
        /// What the trial said.
        why: String,
    },
    /// Hosts without namespaces, run by the superuser, would change this very machine.
    #[error(
        "run lab hosts in mode `directories` as root: without namespaces (refused here: {why}) a path such as /etc on a lab host \
         is that of this machine, and root may change it; run the lab as an ordinary user, or allow it for a machine that may break"
    )]
    SharedAsRoot {
        /// Why there are no namespaces.
        why: String,
    },
    /// A host did not come up.
    #[error("start the lab host {host}: {why}")]
    Host {
        /// Which one.
        host: String,
        /// What it said.
        why: String,
    },
    /// Another process serves this directory.
    #[error("serve `{}`: another lab is running there; see `lab status`, or end it with `lab down`", dir.display())]
    Busy {
        /// The lab's directory.
        dir: PathBuf,
    },
    /// The lab in the background did not get ready.
    #[error("start the lab in the background: {why}\n{tail}")]
    NotReady {
        /// Whether it ended or took too long.
        why: String,
        /// The last lines that it wrote.
        tail: String,
    },
    /// The lab's process does not end.
    #[error("end the lab: process {pid} is still there after SIGKILL")]
    Stuck {
        /// The process.
        pid: i32,
    },
}

impl LabError {
    pub(crate) fn file(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { what, path, source }
    }

    pub(crate) fn system<E: Into<io::Error>>(what: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Self::System { what, source: source.into() }
    }
}
