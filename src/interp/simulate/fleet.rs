//! A fleet in memory: its hosts, made of an environment and of what `world.toml` says of them.

use super::accounts::{Accounts, Numbers, User};
use super::at::{At, Who, die};
use super::clock::Clock;
use super::commands::Programs;
use super::files::Files;
use super::host::{Host, Opaque, keeper};
use super::network::{Around, Hosts};
use super::packages::Packages;
use super::services::Services;
use super::shell::{Shell, ShellItem, ShellKind};
use super::view::{Below, Nothing};
use crate::effect::{Content, EffectError, Fence, Login, Reply};
use crate::fleet::{Environment, WantedFile, WantedForm, WantedHost, World};
use crate::id::{RunId, RunTag};
use crate::interp::marks::Marks;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Directories of every host, with their modes.
const DIRECTORIES: &[(&str, u32)] = &[
    ("bin", 0o755),
    ("etc", 0o755),
    ("etc/systemd/system", 0o755),
    ("etc/systemd/user", 0o755),
    ("etc/cron.d", 0o755),
    ("home", 0o755),
    ("opt", 0o755),
    ("proc", 0o555),
    ("root", 0o700),
    ("run", 0o755),
    ("srv", 0o755),
    ("sys", 0o555),
    ("tmp", 0o1777),
    ("usr/bin", 0o755),
    ("usr/local/bin", 0o755),
    ("var", 0o755),
    ("var/lib", 0o755),
    ("var/log", 0o755),
    ("var/tmp", 0o1777),
    ("var/www", 0o755),
];

/// When a simulated world begins: noon UTC of the first day of 2026.
const BEGIN: i64 = 1_767_268_800_000;

/// Hosts in memory, and their clock. Runs that follow each other find what the earlier ones left.
pub struct Fleet {
    pub(super) hosts: Mutex<Hosts>,
    pub(super) clock: Clock,
    pub(super) answers: BTreeMap<String, String>,
    pub(super) around: Around,
    /// Names of those who can be told something.
    pub(super) channels: Vec<String>,
}

impl Fleet {
    /// The hosts of an environment, as the description wants them: Debian, just installed, where it says nothing.
    ///
    /// # Errors
    /// When the description asks for something that cannot be.
    pub fn new(environment: &Environment, world: &World) -> Result<Self, EffectError> {
        let mut hosts = Hosts::new();
        for host in environment.hosts.hosts() {
            let name = host.name.as_str();
            let addresses = [host.address.clone(), name.to_owned()].into();
            let host = Host::debian(name, addresses, &host.user, world.host(name))?;
            hosts.insert(name.to_owned(), host);
        }
        Ok(Self {
            hosts: Mutex::new(hosts),
            clock: Clock::new(BEGIN),
            answers: world.answers.clone(),
            around: Around::new(environment, world),
            channels: channels(environment),
        })
    }

    /// A fleet that was written down.
    ///
    /// # Errors
    /// When the text is not one.
    pub fn read(text: &str) -> Result<Self, serde_json::Error> {
        let hosts = serde_json::from_str(text)?;
        let (answers, around) = (BTreeMap::new(), Around::default());
        Ok(Self { hosts: Mutex::new(hosts), clock: Clock::new(BEGIN), answers, around, channels: Vec::new() })
    }

    /// With what is around the hosts of this environment.
    #[must_use]
    pub fn among(self, environment: &Environment, world: &World) -> Self {
        let (answers, around) = (world.answers.clone(), Around::new(environment, world));
        Self { answers, around, channels: channels(environment), ..self }
    }

    /// All of it, to be read back.
    ///
    /// # Errors
    /// When something in it cannot be written down.
    pub fn write(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(&*self.lock())
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Hosts> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Works on the files of a host, as root.
    ///
    /// # Errors
    /// When there is no such host, or what the work says.
    pub fn on<T>(&self, host: &str, work: impl FnOnce(&mut Shell<'_>) -> Result<T, EffectError>) -> Result<T, EffectError> {
        match self.lock().get_mut(host) {
            Some(host) => work(&mut Shell::new(&mut host.as_root())),
            None => die(format!("there is no host {host} in this fleet")),
        }
    }

    /// Work that may come to nothing: unless it goes well, all hosts are as they were before it. What was made of its commands is
    /// not kept either way.
    ///
    /// # Errors
    /// What the work says.
    pub fn or_as_before<T, E>(&self, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let before = self.lock().clone();
        let done = work();
        let mut hosts = self.lock();
        if done.is_err() {
            *hosts = before;
            return done;
        }
        for (name, host) in hosts.iter_mut() {
            host.opaque.truncate(before.get(name).map_or(0, |before| before.opaque.len()));
        }
        done
    }

    /// The commands of a host that were answered without being run, in their order.
    #[must_use]
    pub fn opaque(&self, host: &str) -> Vec<Opaque> {
        self.lock().get(host).map(|host| host.opaque.clone()).unwrap_or_default()
    }

    /// What runs keep on hosts: nothing once all have ended.
    #[must_use]
    pub fn kept(&self) -> Vec<String> {
        let hosts = self.lock();
        hosts.values().flat_map(|host| host.kept.keys().map(|keeper| format!("{}: {keeper}", host.name))).collect()
    }
}

impl Host {
    /// A host that was just installed.
    pub(super) fn debian(name: &str, addresses: BTreeSet<String>, login: &str, wanted: WantedHost) -> Result<Self, EffectError> {
        let mut files = Files::new(None);
        files.accounts = Accounts::debian();
        let mut host = Self::empty(name, addresses, login, files, wanted.clone());
        host.packages = Packages {
            installed: wanted.packages.clone(),
            available: wanted.available.clone(),
            closed: !wanted.available.is_empty(),
            asked: true,
        };
        host.facts.extend(wanted.facts.clone());
        let mut at = host.as_root();
        let mut shell = Shell::new(&mut at);
        for (path, mode) in DIRECTORIES {
            shell.make(&format!("/{path}"), item(ShellKind::Directory, *mode, 0))?;
        }
        for (path, text) in [("/etc/hostname", format!("{name}\n")), ("/etc/debian_version", "12.0\n".to_owned())] {
            shell.write(path, text.as_bytes())?;
        }
        host.add_login(login, wanted.home.as_deref())?;
        for (path, file) in &wanted.files {
            host.add_file(path, file)?;
        }
        Ok(host)
    }

    /// A host of which nothing is known but its name.
    pub(super) fn empty(name: &str, addresses: BTreeSet<String>, login: &str, files: Files, wanted: WantedHost) -> Self {
        Self {
            name: name.to_owned(),
            addresses,
            login: login.to_owned(),
            files,
            services: Services::default(),
            packages: Packages::default(),
            boots: 1,
            next_pid: 1000,
            facts: BTreeMap::new(),
            opaque: Vec::new(),
            locks: BTreeMap::new(),
            kept: BTreeMap::new(),
            wanted,
        }
    }

    /// Whoever logs in has an account and a home.
    fn add_login(&mut self, login: &str, home: Option<&str>) -> Result<(), EffectError> {
        let accounts = &mut self.files.accounts;
        if let (Some(user), Some(home)) = (accounts.users.get_mut(login), home) {
            home.clone_into(&mut user.home);
        }
        if !accounts.users.contains_key(login) {
            let uid = accounts.free_user(Numbers::People);
            let home = home.map_or_else(|| format!("/home/{login}"), ToOwned::to_owned);
            let shell = "/bin/bash".to_owned();
            accounts.groups.entry(login.to_owned()).or_default().gid = uid;
            accounts.users.insert(login.to_owned(), User { uid, gid: uid, comment: String::new(), home: home.clone(), shell });
            let directory = ShellItem { uid, gid: uid, ..item(ShellKind::Directory, 0o755, 0) };
            Shell::new(&mut self.as_root()).make(&home, directory)?;
        }
        self.as_root().write_accounts()
    }

    fn add_file(&mut self, path: &str, wanted: &WantedFile) -> Result<(), EffectError> {
        let form = match wanted {
            WantedFile::Text(text) => WantedForm { text: Some(text.clone()), ..WantedForm::default() },
            WantedFile::Form(form) => form.clone(),
        };
        let owner = form.owner.as_deref().map_or(Some(0), |owner| self.files.accounts.uid(owner));
        let Some(owner) = owner else { return die(format!("world: {path}: there is no such owner")) };
        let (kind, usual) = match (form.link, form.directory) {
            (Some(target), _) => (ShellKind::Link(target), 0o777),
            (None, true) => (ShellKind::Directory, 0o755),
            (None, false) => (ShellKind::File(Content::new(form.text.unwrap_or_default())), 0o644),
        };
        let mode = match form.mode.as_deref().map(|mode| u32::from_str_radix(mode, 8)) {
            None => usual,
            Some(Ok(mode)) => mode & 0o7777,
            Some(Err(_)) => return die(format!("world: {path}: its mode is no octal number")),
        };
        Shell::new(&mut self.as_root()).make(path, item(kind, mode, owner))
    }

    /// Root at work, for no run.
    pub(super) fn as_root(&mut self) -> At<'_> {
        self.as_user("root")
    }

    /// A user at work, for no run.
    pub(super) fn as_user(&mut self, user: &str) -> At<'_> {
        let who = self.who(user);
        At {
            host: self,
            below: &Nothing,
            programs: None,
            marks: None,
            who,
            fence: None,
            run: String::new(),
            tag: String::new(),
            keeper: String::new(),
            place: String::new(),
            now: BEGIN / 1000,
        }
    }

    /// A user of the host; one that it does not know is nobody in particular.
    pub(super) fn who(&self, name: &str) -> Who {
        let accounts = &self.files.accounts;
        let home = || if name == "root" { "/root".to_owned() } else { format!("/home/{name}") };
        let groups = accounts.groups_of(name).iter().filter_map(|group| accounts.gid(group)).collect();
        match accounts.users.get(name) {
            Some(user) => Who { name: name.to_owned(), uid: user.uid, gid: user.gid, groups, home: user.home.clone() },
            None => {
                let number = if name == "root" { 0 } else { 65_533 };
                Who { name: name.to_owned(), uid: number, gid: number, groups, home: home() }
            }
        }
    }

    /// An effect under way, as who it is to be performed.
    pub(super) fn at<'a>(&'a mut self, at: &Login, means: &Means<'a>, now: i64) -> At<'a> {
        let who = self.who(self.user_of(at));
        self.as_who(who, means, now)
    }

    /// The same as somebody who is known already.
    pub(super) fn as_who<'a>(&'a mut self, who: Who, means: &Means<'a>, now: i64) -> At<'a> {
        let Means { run, below, programs, marks, fence } = *means;
        let tag = RunTag::new(run, fence.map(|fence| &fence.lock));
        let (keeper, place) = (keeper(run, &tag, &who.name), format!("{}/.windlass/runs/{run}-{tag}", who.home));
        At { host: self, below, programs, marks, who, fence, run: run.to_string(), tag: tag.to_string(), keeper, place, now }
    }
}

/// What an effect is performed with.
#[derive(Clone, Copy)]
pub(super) struct Means<'a> {
    pub(super) run: &'a RunId,
    pub(super) below: &'a dyn Below,
    pub(super) programs: Option<&'a dyn Programs>,
    pub(super) marks: Option<&'a Marks>,
    pub(super) fence: Option<&'a Fence>,
}

/// Whether a message could be sent there.
pub(in crate::interp) fn takes(channels: &[String], to: Option<&str>) -> Result<Reply, EffectError> {
    let Some(to) = to.filter(|to| *to != "log" && !channels.iter().any(|name| name == to)) else { return Ok(Reply::done(false)) };
    let known: Vec<&str> = channels.iter().map(String::as_str).chain(["log"]).collect();
    let known = if known.len() > 1 { format!("; there are: {}", known.join(", ")) } else { String::new() };
    die(format!("there is no channel `{to}`{known}"))
}

/// Names of those who can be told something.
pub(in crate::interp) fn channels(environment: &Environment) -> Vec<String> {
    environment.notify.keys().cloned().collect()
}

fn item(kind: ShellKind, mode: u32, owner: u32) -> ShellItem {
    ShellItem { kind, mode, uid: owner, gid: owner, modified: BEGIN / 1000, file: 0 }
}
