//! What a fault test sees of a simulated fleet, and does to it behind the back of a run.

use super::fleet::Fleet;
use super::host::Host;
use super::network;
use super::services::{Service, Unit};
use crate::effect::{EffectError, Login, UnitScope, Via};
use crate::event::WorldView;
use crate::id::{Digest, Epoch, HostName, LockName};
use serde::Serialize;
use std::sync::Mutex;

/// A service of a host, at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnitShown {
    /// Its scope and name, as in `system web.service`.
    pub unit: String,
    /// `active`, `inactive`, `failed`.
    pub active: String,
    /// The files that it runs from, where links led when it was started, with what they held then.
    pub from: Vec<(String, Digest)>,
    /// The versions that these tell.
    pub versions: Vec<String>,
    /// Its process.
    pub pid: i64,
}

/// A host as it was.
pub(in crate::interp) struct Kept(Option<Host>);

impl UnitShown {
    /// Whether it runs.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.active == "active"
    }

    /// Its name without the scope.
    #[must_use]
    pub fn name(&self) -> &str {
        self.unit.split_once(' ').map_or(self.unit.as_str(), |(_, name)| name)
    }
}

impl Fleet {
    /// Another one that is the same: what happens in it does not happen here. Its time begins at the latest of this one's.
    #[must_use]
    pub fn copy(&self) -> Self {
        Self {
            hosts: Mutex::new(self.lock().clone()),
            clock: super::Clock::new(self.clock.latest()),
            answers: self.answers.clone(),
            around: self.around.clone(),
            channels: self.channels.clone(),
        }
    }

    /// The names of its hosts.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.lock().keys().cloned().collect()
    }

    /// The services of a host.
    #[must_use]
    pub fn units(&self, host: &str) -> Vec<UnitShown> {
        self.lock().get(host).map(Host::units).unwrap_or_default()
    }

    /// Running services that would be otherwise if they were started now: their files were changed since, or are gone. With the
    /// first such file, or `its unit file`.
    #[must_use]
    pub fn stale(&self, host: &str) -> Vec<(UnitShown, String)> {
        let Some(host) = self.lock().get(host).cloned() else { return Vec::new() };
        let running = host.units().into_iter().filter(UnitShown::is_up);
        running.filter_map(|unit| Some((unit.clone(), host.clone().stale_file(&unit)?))).collect()
    }

    /// The host and the service that answer at a place.
    pub(in crate::interp) fn owner(&self, at: &Login, via: Via, address: &str, port: u16) -> Option<(String, String)> {
        let hosts = self.lock();
        let network = network::Network { hosts: &hosts, around: &self.around, at, via };
        let host = network.addressed(address)?;
        Some((host.name.clone(), network::owner(host, port)?))
    }

    /// Whether a service has no port of its own.
    pub(in crate::interp) fn is_silent(&self, host: &str, unit: &str) -> bool {
        let hosts = self.lock();
        let Some(host) = hosts.get(host) else { return false };
        let wanted = unit.split_once(' ').and_then(|(_, name)| host.wanted.service(name));
        let known = host.services.known.get(unit);
        // Small numbers in settings are those of a version.
        let ports = |service: &Service| service.ports.iter().any(|port| *port > 20);
        wanted.is_none_or(|wanted| wanted.ports.is_empty()) && !known.is_some_and(ports)
    }

    /// A host is restarted: what is enabled runs again.
    ///
    /// # Errors
    /// When what it starts cannot be read.
    pub fn reboot(&self, host: &str) -> Result<(), EffectError> {
        match self.lock().get_mut(host) {
            Some(host) => host.as_root().start_anew(),
            None => Ok(()),
        }
    }

    /// A service ends by itself.
    pub(in crate::interp) fn crash(&self, host: &str, unit: &str) {
        if let Some(service) = self.lock().get_mut(host).and_then(|host| host.services.known.get_mut(unit)) {
            (service.active, service.pid, service.result) = ("failed".to_owned(), 0, "exit-code".to_owned());
        }
    }

    /// Every host is shown a later holder of a lock.
    pub(in crate::interp) fn taken(&self, lock: &LockName, epoch: Epoch) {
        for host in self.lock().values_mut() {
            host.show(lock, epoch);
        }
    }

    /// The time that a task has come to, in milliseconds since 1970-01-01 UTC; this work takes it so long.
    pub(in crate::interp) fn spend(&self, task: &crate::id::TaskPath, millis: u64) -> i64 {
        self.clock.sleep(task, millis)
    }

    /// A host as it is, to be put back.
    pub(in crate::interp) fn keep(&self, host: &str) -> Kept {
        Kept(self.lock().get(host).cloned())
    }

    /// It is as it was.
    pub(in crate::interp) fn put_back(&self, kept: Kept) {
        if let Some(host) = kept.0 {
            self.lock().insert(host.name.clone(), host);
        }
    }

    /// What is kept on a host for a run.
    #[must_use]
    pub fn keeps(&self, host: &HostName) -> bool {
        self.lock().get(host.as_str()).is_some_and(|host| !host.kept.is_empty())
    }
}

/// The whole name of a unit, as scripts give it.
fn fits(unit: &UnitShown, name: &str) -> bool {
    unit.name() == name || unit.name().strip_suffix(".service") == Some(name)
}

impl WorldView for Fleet {
    fn hosts(&self) -> Vec<String> {
        self.names()
    }

    fn runs(&self, host: &str, unit: &str) -> bool {
        self.units(host).iter().any(|shown| fits(shown, unit) && shown.is_up())
    }

    fn versions(&self, host: &str, unit: &str) -> Vec<String> {
        let found = self.units(host).into_iter().find(|shown| fits(shown, unit) && shown.is_up());
        found.map(|shown| shown.versions).unwrap_or_default()
    }

    fn exists(&self, host: &str, path: &str) -> bool {
        self.lock().get_mut(host).is_some_and(|host| {
            let login = host.login.clone();
            let mut at = host.as_user(&login);
            let path = at.expand(path);
            at.view().find(&path).is_ok_and(|found| found.is_some())
        })
    }

    fn text(&self, host: &str, path: &str) -> Option<String> {
        let mut hosts = self.lock();
        let host = hosts.get_mut(host)?;
        let login = host.login.clone();
        let mut at = host.as_user(&login);
        let path = at.expand(path);
        at.view().text(&path).ok().flatten()
    }
}

impl Host {
    fn units(&self) -> Vec<UnitShown> {
        let shown = |(key, service): (&String, &Service)| UnitShown {
            unit: key.clone(),
            active: service.active.clone(),
            from: service.started_from.clone(),
            versions: service.versions.iter().cloned().collect(),
            pid: service.pid,
        };
        self.services.known.iter().map(shown).collect()
    }

    /// The first file of a running service that is not what it was when it was started.
    fn stale_file(&mut self, unit: &UnitShown) -> Option<String> {
        let (scope, name) = unit.unit.split_once(' ')?;
        let scope = if scope == "user" { UnitScope::User } else { UnitScope::System };
        let user = if scope == UnitScope::User { self.login.clone() } else { "root".to_owned() };
        let text = self.services.known.get(&unit.unit).map(|service| service.text.clone())?;
        match self.as_user(&user).would_run(&Unit { scope, name: name.to_owned() }) {
            Some((_, now)) if now != text => Some("its unit file".to_owned()),
            Some((from, _)) => {
                let differs = |one: &[(String, Digest)], other: &[(String, Digest)]| {
                    one.iter().find(|file| !other.contains(file)).map(|(path, _)| path.clone())
                };
                differs(&unit.from, &from).or_else(|| differs(&from, &unit.from))
            }
            None => Some(unit.from.first().map_or_else(|| "its unit file".to_owned(), |(path, _)| path.clone())),
        }
    }
}
