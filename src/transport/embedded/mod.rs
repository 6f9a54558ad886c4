//! The lab: hosts to throw away, on loopback, that speak real SSH and run real services, with nothing to install.
//!
//! One process serves all hosts ([`serve`]). Each host has a body (namespaces with a file system of its own, or a
//! directory) whose first process ([`init`]) starts everything in it, and stands in for systemd: an executable named
//! `systemctl` in the host asks that process ([`stand_in`]). The directory of a lab is its identity: keys, addresses and
//! the files of its hosts stay there until [`down`] removes them.
//!
//! It refuses what would make it a second operating system: other users' logins, terminals, sftp, a network to the outside.

mod body;
mod error;
mod faults;
mod host;
mod init;
mod keys;
mod manage;
mod network;
mod process;
mod reaper;
mod record;
mod serve;
mod server;
mod service;
mod session;
mod signals;
mod stand_in;
mod wire;

pub use error::LabError;
pub use init::init;
pub use manage::{LabStart, down, start_detached, status};
pub use process::ProcessId;
pub use record::{LAB_PORT, LAB_VERSION, LabHost, LabMode, LabOptions, LabReady, LabSession, LabStatus, MOST_HOSTS, SharedRoot};
pub use serve::serve;
pub use stand_in::{is_stand_in, stand_in};
pub use wire::StandInOutput;
