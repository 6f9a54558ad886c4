//! SSH sessions over libssh2. One worker thread owns a session and all its channels: libssh2 does I/O when a channel is
//! dropped, without a lock, so nothing of a session may be touched elsewhere. Messages go in, replies come out.

mod auth;
mod connect;
mod known_hosts;
mod session;
mod slot;
mod tunnel;
mod worker;

pub use known_hosts::KnownHosts;
pub(super) use worker::SshShell;

use std::path::PathBuf;
use std::time::Duration;

/// Where a host is and who logs in there how.
#[derive(Debug, Clone)]
pub(super) struct Endpoint {
    /// The name in the inventory.
    pub(super) name: String,
    /// A name or address to connect to.
    pub(super) address: String,
    pub(super) port: u16,
    pub(super) user: String,
    pub(super) identity_files: Vec<PathBuf>,
    pub(super) known_hosts_files: Vec<PathBuf>,
    pub(super) connect_timeout: Duration,
}
