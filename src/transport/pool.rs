//! One connection a host, made when it is first needed, and made again when it has gone.

use super::credentials::Credentials;
use super::local::LocalShell;
use super::remote::Errand;
use super::shell::{Failure, Shell};
use super::ssh::{Endpoint, SshShell};
use crate::effect::Fence;
use crate::fleet::{Host, Inventory, Jump, Transport};
use crate::id::{HostName, RunId};
use crate::stop::Stop;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// What a pool is for.
#[derive(Debug, Clone)]
pub struct PoolOptions {
    /// The run: hosts keep what it leaves with them under this name.
    pub run: RunId,
    /// Ends every wait.
    pub stop: Stop,
    /// What logins and sudo are given.
    pub credentials: Credentials,
    /// What stands for the login user's home on this machine, where that is a host; its real one otherwise.
    pub local_home: Option<PathBuf>,
    /// The lock that the run holds; without one, hosts refuse nothing.
    pub fence: Option<Fence>,
}

impl PoolOptions {
    /// For this run, with no credentials but what lies in files, and the real home.
    #[must_use]
    pub fn new(run: RunId) -> Self {
        Self { run, stop: Stop::default(), credentials: Credentials::default(), local_home: None, fence: None }
    }
}

/// The connections of one run.
pub struct Pool {
    hosts: BTreeMap<HostName, Entry>,
    jumps: Mutex<BTreeMap<String, Arc<SshShell>>>,
    gate: Gate,
    options: PoolOptions,
    /// Tells its shells on hosts from those that an earlier process left there.
    name: String,
}

/// Handshakes that go through hosts on the way at the same time.
const HANDSHAKES: usize = 8;

/// The time for connecting to a host that stayed away.
const BRIEF: Duration = Duration::from_secs(2);

struct Entry {
    host: Host,
    shell: Mutex<Option<Arc<dyn Shell>>>,
    hurried: AtomicBool,
}

impl Pool {
    /// No connection yet.
    #[must_use]
    pub fn new(inventory: &Inventory, options: PoolOptions) -> Self {
        let entry = |host: &Host| {
            (host.name.clone(), Entry { host: host.clone(), shell: Mutex::new(None), hurried: AtomicBool::new(false) })
        };
        Self {
            hosts: inventory.hosts().iter().map(entry).collect(),
            jumps: Mutex::default(),
            gate: Gate::new(HANDSHAKES),
            options,
            name: format!("{:016x}", rand::random::<u64>()),
        }
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
        let made = self.connect(&entry.host, entry.hurried.load(Ordering::Relaxed))?;
        entry.hurried.store(false, Ordering::Relaxed);
        *shell = Some(made.clone());
        Ok(made)
    }

    /// Until it answers again, connecting to this host is only tried briefly.
    pub fn hurry(&self, name: &HostName) {
        if let Some(entry) = self.hosts.get(name) {
            entry.hurried.store(true, Ordering::Relaxed);
        }
    }

    /// Lets go of the connection to a host: the next call makes a new one.
    pub fn renew(&self, name: &HostName) {
        if let Some(entry) = self.hosts.get(name) {
            *entry.shell.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }

    /// Whether a host is the machine on which Windlass runs.
    #[must_use]
    pub fn is_local(&self, name: &HostName) -> bool {
        self.hosts.get(name).is_some_and(|entry| entry.host.transport == Transport::Local)
    }

    fn connect(&self, host: &Host, hurried: bool) -> Result<Arc<dyn Shell>, Failure> {
        if host.transport == Transport::Local {
            return Ok(Arc::new(LocalShell::new(
                &self.options,
                Errand::new(&self.options.run, &self.name, host.name.as_str()).under(self.options.fence.clone()),
            )));
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
            connect_timeout: if hurried { host.connect_timeout.min(BRIEF) } else { host.connect_timeout },
            options: host.ssh.clone(),
        };
        let jump = match host.jumps.split_last() {
            Some((last, way)) => Some(self.jump(last, way)?),
            None if endpoint.options.proxy_command.is_none() => return Ok(Arc::new(self.ssh(endpoint, None)?)),
            None => None,
        };
        // A stock sshd drops connections when many are not yet logged in, and on the way all hosts look like one.
        let _place = self.gate.enter();
        Ok(Arc::new(self.ssh(endpoint, jump)?))
    }

    fn ssh(&self, endpoint: Endpoint, via: Option<Arc<SshShell>>) -> Result<SshShell, Failure> {
        let options = &self.options;
        let errand = Errand::new(&options.run, &self.name, &endpoint.name).under(options.fence.clone());
        SshShell::connect(endpoint, via, errand, options.stop.clone(), options.credentials.clone())
    }

    /// The connection to a host on the way, which all hosts behind it share.
    fn jump(&self, jump: &Jump, way: &[Jump]) -> Result<Arc<SshShell>, Failure> {
        let before = match way.split_last() {
            Some((last, way)) => Some(self.jump(last, way)?),
            None => None,
        };
        let key = format!("{}@{}:{} after {}", jump.user, jump.address, jump.port, way.len());
        let mut jumps = self.jumps.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shell) = jumps.get(&key).filter(|shell| shell.is_usable()) {
            return Ok(shell.clone());
        }
        let endpoint = Endpoint {
            name: jump.address.clone(),
            address: jump.address.clone(),
            port: jump.port,
            user: jump.user.clone(),
            identity_files: jump.identity_files.clone(),
            known_hosts_files: jump.known_hosts_files.clone(),
            connect_timeout: jump.connect_timeout,
            options: jump.ssh.clone(),
        };
        let shell = Arc::new(self.ssh(endpoint, before).map_err(|failure| on_the_way(jump, failure))?);
        jumps.insert(key, shell.clone());
        Ok(shell)
    }
}

fn on_the_way(jump: &Jump, failure: Failure) -> Failure {
    let named = |reason: String| format!("the host on the way, {}: {reason}", jump.address);
    match failure {
        Failure::Unreachable { reason, help } => Failure::Unreachable { reason: named(reason), help },
        Failure::Denied { reason, help } => Failure::Denied { reason: named(reason), help },
        other => other,
    }
}

/// Lets so many in at a time.
struct Gate {
    free: Mutex<usize>,
    freed: Condvar,
}

struct Place<'a>(&'a Gate);

impl Gate {
    fn new(places: usize) -> Self {
        Self { free: Mutex::new(places), freed: Condvar::new() }
    }

    fn enter(&self) -> Place<'_> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        while *free == 0 {
            free = self.freed.wait(free).unwrap_or_else(PoisonError::into_inner);
        }
        *free -= 1;
        Place(self)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        *self.0.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::SshOptions;
    use std::net::TcpListener;
    use std::time::Instant;

    /// A host that accepts connections, and never says a word.
    fn quiet(stop: &Stop) -> (TcpListener, HostName, Pool) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let name = HostName::parse("quiet").unwrap();
        let host = Host {
            name: name.clone(),
            address: "127.0.0.1".to_owned(),
            port: listener.local_addr().unwrap().port(),
            user: "nobody".to_owned(),
            identity_files: Vec::new(),
            known_hosts_files: Vec::new(),
            known_hosts_name: String::new(),
            connect_timeout: Duration::from_secs(60),
            roles: [].into(),
            vars: serde_json::Map::new(),
            transport: Transport::Ssh,
            jumps: Vec::new(),
            ssh: SshOptions::default(),
            sudo: None,
            unsupported: Vec::new(),
        };
        let options = PoolOptions { stop: stop.clone(), ..PoolOptions::new(RunId::new("20250101-0000", "bcdf")) };
        (listener, name, Pool::new(&Inventory::new(vec![host]).unwrap(), options))
    }

    #[test]
    fn a_host_that_stayed_away_is_tried_briefly() {
        let (_listener, name, pool) = quiet(&Stop::default());
        pool.hurry(&name);
        let begun = Instant::now();
        assert!(matches!(pool.shell(&name), Err(Failure::Unreachable { .. })));
        assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    }

    #[test]
    fn connecting_ends_when_the_run_is_to_stop() {
        let stop = Stop::default();
        let (_listener, name, pool) = quiet(&stop);
        let begun = Instant::now();
        stop.stop();
        // Who waits for the same connection ends with it.
        std::thread::scope(|scope| {
            for thread in [scope.spawn(|| pool.shell(&name).err()), scope.spawn(|| pool.shell(&name).err())] {
                assert_eq!(thread.join().unwrap(), Some(Failure::Stopped));
            }
        });
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    }
}
