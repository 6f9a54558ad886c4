//! One connection a host, made when it is first needed, and made again when it has gone.

use super::local::LocalShell;
use super::shell::{Failure, Shell};
use super::ssh::{Endpoint, SshShell};
use super::sudo::Password;
use crate::fleet::{Host, Inventory, Transport};
use crate::id::{HostName, RunId};
use crate::stop::Stop;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// What a pool is for.
#[derive(Debug, Clone)]
pub struct PoolOptions {
    /// The run: hosts keep what it leaves with them under this name.
    pub run: RunId,
    /// Ends every wait.
    pub stop: Stop,
    /// For hosts on which sudo wants one.
    pub password: Password,
    /// What stands for the login user's home on this machine, where that is a host; its real one otherwise.
    pub local_home: Option<PathBuf>,
}

impl PoolOptions {
    /// For this run, with no password and the real home.
    #[must_use]
    pub fn new(run: RunId) -> Self {
        Self { run, stop: Stop::default(), password: Password::default(), local_home: None }
    }
}

/// The connections of one run.
pub struct Pool {
    hosts: BTreeMap<HostName, Entry>,
    options: PoolOptions,
}

struct Entry {
    host: Host,
    shell: Mutex<Option<Arc<dyn Shell>>>,
}

impl Pool {
    /// No connection yet.
    #[must_use]
    pub fn new(inventory: &Inventory, options: PoolOptions) -> Self {
        let entry = |host: &Host| (host.name.clone(), Entry { host: host.clone(), shell: Mutex::new(None) });
        Self { hosts: inventory.hosts().iter().map(entry).collect(), options }
    }

    /// The connection to a host.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn shell(&self, name: &HostName) -> Result<Arc<dyn Shell>, Failure> {
        let Some(entry) = self.hosts.get(name) else {
            return Err(Failure::Unreachable { reason: format!("{name} is not in the inventory"), help: None });
        };
        // Whoever comes while a connection is being made waits here for the same one.
        let mut shell = entry.shell.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shell) = shell.as_ref().filter(|shell| shell.is_usable()) {
            return Ok(shell.clone());
        }
        *shell = None;
        let made = self.connect(&entry.host)?;
        *shell = Some(made.clone());
        Ok(made)
    }

    fn connect(&self, host: &Host) -> Result<Arc<dyn Shell>, Failure> {
        if host.transport == Transport::Local {
            return Ok(Arc::new(LocalShell::new(&self.options)));
        }
        host.check_supported().map_err(|error| Failure::Denied { reason: error.to_string(), help: error.help() })?;
        tracing::debug!(host = %host.name, address = %host.address, "connecting");
        let endpoint = Endpoint {
            name: host.name.to_string(),
            address: host.address.clone(),
            port: host.port,
            user: host.user.clone(),
            identity_files: host.identity_files.clone(),
            known_hosts_files: host.known_hosts_files.clone(),
            connect_timeout: host.connect_timeout,
        };
        let PoolOptions { run, stop, password, .. } = &self.options;
        Ok(Arc::new(SshShell::connect(endpoint, run.as_str(), stop.clone(), password.clone())?))
    }
}
