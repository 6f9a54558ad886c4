//! SSH sessions over libssh2. One worker thread owns a session and all its channels: libssh2 does I/O when a channel is
//! dropped, without a lock, so nothing of a session may be touched elsewhere. Messages go in, replies come out.

mod agent;
mod algorithms;
mod auth;
mod connect;
mod dial;
mod host_key;
mod identity;
mod known_hosts;
mod proxy;
mod session;
mod slot;
mod tunnel;
mod wire;
mod worker;

pub use known_hosts::KnownHosts;
pub(super) use worker::SshShell;

use crate::fleet::SshOptions;
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
    pub(super) options: SshOptions,
}

impl Endpoint {
    /// The name under which its host key is looked up.
    fn key_name(&self) -> String {
        match &self.options.host_key_alias {
            Some(alias) => alias.clone(),
            None => known_hosts::full_name(&self.address.to_lowercase(), self.port),
        }
    }
}
