//! The hosts of an environment, with everything that is needed to reach them: a snapshot that is stored with a run.

use super::{error::FleetError, jump::Jump, ssh_options::SshOptions, ssh_settings::UnsupportedKey};
use crate::id::HostName;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    time::Duration,
};

/// The person at the keyboard: what the process environment says about them, taken in at the edge of the program.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Operator {
    /// The home directory, for `~`.
    pub home: PathBuf,
    /// The user name on this machine.
    pub user: String,
    /// Usually `~/.ssh/config`; it need not exist.
    pub ssh_config: PathBuf,
    /// What is read after it, usually `/etc/ssh/ssh_config`; empty for nothing.
    pub system_ssh_config: PathBuf,
    /// The number of the user on this machine, for `%i`.
    pub uid: u32,
    /// The name of this machine, for `%l`.
    pub machine: String,
    /// The environment, for `${NAME}` in an ssh_config, and `SHELL`.
    pub variables: BTreeMap<String, String>,
}

impl Operator {
    /// The path that `~` or `~/...` stands for; `None` for `~someone`, whose home is not known here.
    pub(super) fn expand(&self, text: &str) -> Option<PathBuf> {
        match text.strip_prefix('~') {
            None => Some(PathBuf::from(text)),
            Some("") => Some(self.home.clone()),
            Some(rest) => rest.strip_prefix('/').map(|rest| self.home.join(rest.trim_start_matches('/'))),
        }
    }
}

/// How a host is spoken to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transport {
    /// Over SSH.
    #[default]
    Ssh,
    /// The machine on which Windlass runs, without SSH.
    Local,
}

/// A machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Host {
    /// What scripts and people call it.
    pub name: HostName,
    /// What to connect to: a name or a number, after `HostName` of the ssh_config.
    pub address: String,
    /// 1 to 65535.
    pub port: u16,
    /// Who to log in as.
    pub user: String,
    /// Private keys, in the order in which they are offered. A built-in one need not exist.
    pub identity_files: Vec<PathBuf>,
    /// Where host keys are looked up, the operator's own first. A file need not exist.
    pub known_hosts_files: Vec<PathBuf>,
    /// The name under which the host key is looked up: the address, or `[address]:port` when the port is not 22.
    pub known_hosts_name: String,
    /// How long to wait for a connection.
    pub connect_timeout: Duration,
    /// Its labels.
    pub roles: BTreeSet<String>,
    /// Its own variables; those of the environment are kept there.
    pub vars: Map<String, Value>,
    /// How a session with it is set up.
    #[serde(default, skip_serializing_if = "SshOptions::is_usual")]
    pub ssh: SshOptions,
    /// The hosts on the way, the first one first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub jumps: Vec<Jump>,
    /// How it is spoken to.
    pub transport: Transport,
    /// Who every step becomes there by sudo, unless the script says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sudo: Option<String>,
    /// What the ssh_config says about it that Windlass cannot do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unsupported: Vec<UnsupportedKey>,
}

impl Host {
    /// Refuses a host that would be reached in another way than the operator's ssh_config says.
    ///
    /// # Errors
    /// With the file and line of the first key that is not supported.
    pub fn check_supported(&self) -> Result<(), FleetError> {
        let Some(UnsupportedKey { key, value, file, line, why }) = self.unsupported.first().cloned() else { return Ok(()) };
        let why = why.unwrap_or_else(|| "is not supported".to_owned());
        Err(FleetError::Unsupported { host: self.name.to_string(), file, line, key, value, why })
    }
}

/// All hosts of an environment, in the order of its file. No name is in it twice.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Inventory {
    hosts: Vec<Host>,
}

impl Inventory {
    /// Takes hosts, in this order.
    ///
    /// # Errors
    /// When two have the same name.
    pub fn new(hosts: Vec<Host>) -> Result<Self, FleetError> {
        let mut names = BTreeSet::new();
        match hosts.iter().find(|host| !names.insert(&host.name)) {
            Some(host) => Err(FleetError::Duplicate { name: host.name.to_string() }),
            None => Ok(Self { hosts }),
        }
    }

    /// Every host.
    #[must_use]
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// The host of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Host> {
        self.hosts.iter().find(|host| host.name.as_str() == name)
    }

    /// Every role that a host has.
    #[must_use]
    pub fn roles(&self) -> BTreeSet<&str> {
        self.hosts.iter().flat_map(|host| &host.roles).map(String::as_str).collect()
    }

    /// Roles and hosts on one line, the first twenty of each, for an error.
    pub(super) fn summary(&self) -> String {
        if self.hosts.is_empty() {
            return "the environment has no hosts".to_owned();
        }
        let roles: Vec<&str> = self.roles().into_iter().collect();
        let hosts: Vec<&str> = self.hosts.iter().map(|host| host.name.as_str()).collect();
        let roles = if roles.is_empty() { "no roles".to_owned() } else { format!("roles: {}", shorten(&roles)) };
        format!("{roles}; hosts: {}", shorten(&hosts))
    }
}

fn shorten(names: &[&str]) -> String {
    const SHOWN: usize = 20;
    let head = names.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN { format!("{head} and {} more", names.len() - SHOWN) } else { head }
}

/// The path as people may write it in a project: below the home with `~/`, else below the project.
pub(super) fn project_path(root: &Path, operator: &Operator, text: &str) -> Option<PathBuf> {
    operator.expand(text).map(|path| root.join(path))
}
