//! From arguments to what a command works with: the project, the environment, the ledger.

use super::args::{Common, Selection};
use super::error::CliError;
use crate::artifact::DirectoryStore;
use crate::fleet::{Channels, Environment, EnvironmentSource, Host, Inventory, Operator, Project, SshOptions, environment_file};
use crate::ledger::{Locks as _, SqliteLedger};
use crate::op::Registry;
use crate::script::{Facts, Load, Program, ProjectSources, STANDARD};
use crate::stop::Stop;
use crate::transport::embedded::{self, LabOptions, LabReady};
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The project that is meant.
pub(super) fn project(common: &Common) -> Result<Project, CliError> {
    match &common.project {
        Some(directory) => Ok(Project::load(directory)?),
        None => {
            let here = std::env::current_dir()
                .map_err(|error| CliError::input(format!("the current directory cannot be read: {error}")))?;
            Ok(Project::find(&here)?)
        }
    }
}

/// The ledger of the project.
pub(super) fn ledger(project: &Project) -> Result<Arc<SqliteLedger>, CliError> {
    Ok(Arc::new(SqliteLedger::open(&ledger_place(project)?)?))
}

/// Where the ledger of the project is, for whoever works in another directory.
pub(super) fn ledger_place(project: &Project) -> Result<PathBuf, CliError> {
    let Some(path) = project.ledger.strip_prefix("sqlite:") else {
        return Err(CliError::input(format!("`ledger = \"{}\"` is not supported", project.ledger)).with_help("write sqlite:PATH"));
    };
    let path = project.root.join(path);
    Ok(std::path::absolute(&path).unwrap_or(path))
}

/// The ledger, for a new run; the project's store is told that runs of it use the store.
pub(super) fn registered_ledger(project: &Project) -> Result<Arc<SqliteLedger>, CliError> {
    let ledger = ledger(project)?;
    store(project)?.register(&ledger.name()?, &ledger_place(project)?)?;
    Ok(ledger)
}

/// The artifact store of the project.
pub(super) fn store(project: &Project) -> Result<DirectoryStore, CliError> {
    if project.store.contains("://") {
        return Err(
            CliError::input(format!("`store = \"{}\"` is not supported yet", project.store)).with_help("write a directory")
        );
    }
    let path = project.root.join(&project.store);
    Ok(DirectoryStore::new(std::path::absolute(&path).unwrap_or(path)))
}

/// The name of the environment: given, or the project's usual one.
pub(super) fn environment_name(project: &Project, given: Option<&str>) -> Result<String, CliError> {
    if let Some(name) = given.or(project.defaults.environment.as_deref()) {
        return Ok(name.to_owned());
    }
    let known = crate::fleet::environments(project)?.join(", ");
    Err(CliError::usage("no environment was given").with_help(format!("say which with -e NAME; there are: {known}")))
}

/// Whether the hosts of a lab are started for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Labs {
    Start,
    Leave,
}

/// The environment, with the hosts of its lab.
pub(super) fn environment(project: &Project, name: &str, labs: Labs) -> Result<Environment, CliError> {
    let operator = operator()?;
    let mut environment = match environment_file(project, name)? {
        EnvironmentSource::Toml(path) => Environment::load(project, name, &path, &operator)?,
        EnvironmentSource::Rhai(path) => scripted(project, name, &path, &operator)?,
    };
    if let Some(count) = environment.lab {
        let directory = lab_directory(project);
        let lab = match labs {
            Labs::Start => {
                let most = u16::try_from(count.get()).unwrap_or(u16::MAX);
                let options = LabOptions::new(executable()?, &directory, most);
                let start = embedded::start_detached(&options).map_err(|error| lab_error(&error))?;
                Some(start.lab().clone())
            }
            Labs::Leave => match embedded::status(&directory) {
                Ok(embedded::LabStatus::Up(lab)) => Some(lab),
                _ => None,
            },
        };
        if let Some(lab) = lab {
            environment.hosts = with_lab(&environment, &lab, count.get(), name)?;
        }
    }
    Ok(environment)
}

/// An error of the lab, with what led to it.
pub(super) fn lab_error(error: &embedded::LabError) -> CliError {
    let mut message = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        message = format!("{message}\n{cause}");
        source = cause.source();
    }
    CliError::input(message)
}

/// This program.
pub(super) fn executable() -> Result<PathBuf, CliError> {
    std::env::current_exe().map_err(|error| CliError::input(format!("the path of this program is not known: {error}")))
}

pub(super) fn lab_directory(project: &Project) -> PathBuf {
    project.root.join(".windlass/lab")
}

/// Hosts of the file keep their roles and variables; where they are is the lab's to say.
fn with_lab(environment: &Environment, lab: &LabReady, count: u32, name: &str) -> Result<Inventory, CliError> {
    let mut hosts: Vec<Host> = environment.hosts.hosts().to_vec();
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    for lab_host in lab.hosts.iter().take(count) {
        let known = hosts.iter().position(|host| host.name.as_str() == lab_host.name);
        let mut host = match known {
            Some(at) => hosts[at].clone(),
            None => fresh(&lab_host.name)?,
        };
        host.address = lab_host.address.to_string();
        host.port = lab_host.port;
        host.user.clone_from(&lab_host.user);
        host.identity_files = vec![lab.key.clone()];
        host.known_hosts_files = vec![lab.known_hosts.clone()];
        host.known_hosts_name = format!("[{}]:{}", lab_host.address, lab_host.port);
        host.ssh = SshOptions::default();
        host.unsupported.clear();
        host.jumps.clear();
        host.transport = crate::fleet::Transport::Ssh;
        match known {
            Some(at) => hosts[at] = host,
            None => hosts.push(host),
        }
    }
    if let Some(host) = hosts.iter().find(|host| !lab.hosts.iter().any(|other| other.name == host.name.as_str())) {
        let help = format!("hosts of a lab are h1 to h{count}; leave this one out, or raise `lab`");
        return Err(CliError::input(format!("{} in the environment {name} is no host of its lab", host.name)).with_help(help));
    }
    Ok(Inventory::new(hosts)?)
}

fn fresh(name: &str) -> Result<Host, CliError> {
    let name = crate::id::HostName::parse(name).map_err(|error| CliError::input(error.to_string()))?;
    Ok(Host {
        name,
        address: String::new(),
        port: 22,
        user: String::new(),
        identity_files: Vec::new(),
        known_hosts_files: Vec::new(),
        known_hosts_name: String::new(),
        connect_timeout: std::time::Duration::from_secs(10),
        roles: ["lab".to_owned()].into(),
        vars: Map::new(),
        transport: crate::fleet::Transport::Ssh,
        jumps: Vec::new(),
        ssh: SshOptions::default(),
        sudo: None,
        unsupported: Vec::new(),
    })
}

/// An environment that is written as a script.
fn scripted(project: &Project, name: &str, path: &Path, operator: &Operator) -> Result<Environment, CliError> {
    let script = inside(project, path)?;
    let facts = Facts {
        environment: None,
        params: Map::new(),
        limit: None,
        artifacts: Vec::new(),
        known_good: Vec::new(),
        run: String::new(),
        mode: "environment",
    };
    let sources = Arc::new(ProjectSources::new(&project.root, STANDARD));
    // No primitive exists for it: an inventory is data.
    let registry = Arc::new(Registry::empty());
    let program = Program::load(Load { sources, script: script.clone(), registry, facts, stop: Stop::default() })?;
    let value = program.value().map_err(|failure| CliError::from(Box::new(failure.diagnostic)))?;
    Ok(Environment::from_value(project, name, value, &script, operator)?)
}

/// Where notifications of an environment go now: channels are not kept with a run. Those of a file that cannot be read any
/// more are left out.
pub(super) fn channels(project: &Project, name: &str) -> Channels {
    environment(project, name, Labs::Leave).map_or_else(|_| project.notify.clone(), |environment| environment.notify)
}

/// A path as a name within the project.
fn inside(project: &Project, path: &Path) -> Result<String, CliError> {
    let full = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let root = std::path::absolute(&project.root).unwrap_or_else(|_| project.root.clone());
    let clean = |path: PathBuf| path.canonicalize().unwrap_or(path);
    let (full, root) = (clean(full), clean(root));
    match full.strip_prefix(&root) {
        Ok(relative) => Ok(relative.to_string_lossy().into_owned()),
        Err(_) => Err(CliError::usage(format!("{} lies outside of the project {}", path.display(), root.display()))
            .with_help("a run keeps its whole project; put the script into it")),
    }
}

/// The name of the script that is meant.
pub(super) fn script(project: &Project, selection: &Selection) -> Result<String, CliError> {
    match &selection.script {
        None => inside(project, &project.root.join(&project.script)),
        Some(path) => script_name(project, path),
    }
}

/// The name of a script that is given as a path.
pub(super) fn script_name(project: &Project, path: &Path) -> Result<String, CliError> {
    if path.is_file() {
        return inside(project, path);
    }
    let other = project.root.join(path);
    if other.is_file() {
        return inside(project, &other);
    }
    Err(CliError::input(format!("there is no script {}", path.display())))
}

/// The parameters of the command line.
pub(super) fn params(selection: &Selection) -> Map<String, Value> {
    selection.set.iter().map(|(name, value)| (name.clone(), Value::String(value.clone()))).collect()
}

/// Who works here.
#[expect(clippy::disallowed_methods, reason = "the command line reads the environment, once")]
fn operator() -> Result<Operator, CliError> {
    let home =
        std::env::var("HOME").map_err(|_| CliError::input("HOME is not set").with_help("set it to your home directory"))?;
    let user = std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).unwrap_or_else(|_| "root".to_owned());
    let home = PathBuf::from(home);
    let text = |name: std::ffi::OsString| name.into_string().ok();
    Ok(Operator {
        ssh_config: home.join(".ssh/config"),
        system_ssh_config: PathBuf::from("/etc/ssh/ssh_config"),
        home,
        user,
        uid: rustix::process::getuid().as_raw(),
        machine: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        // What is not text cannot be named in an ssh_config either.
        variables: std::env::vars_os().filter_map(|(name, value)| Some((text(name)?, text(value)?))).collect(),
    })
}

/// The socket of the operator's agent.
pub(super) fn agent() -> Option<PathBuf> {
    std::env::var_os("SSH_AUTH_SOCK").filter(|socket| !socket.is_empty()).map(PathBuf::from)
}

/// Who starts a run, as `user@machine`.
pub(super) fn who() -> String {
    let user = operator().map(|operator| operator.user).unwrap_or_default();
    let name = rustix::system::uname();
    format!("{user}@{}", name.nodename().to_string_lossy())
}

/// This machine since it was started the last time: two processes with the same may ask each other's locks.
pub(super) fn machine() -> String {
    let line = |path: &str| std::fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    format!("{}/{}", line("/etc/machine-id"), line("/proc/sys/kernel/random/boot_id"))
}

/// Milliseconds since 1970-01-01 UTC.
#[expect(clippy::disallowed_methods, reason = "leases and freezes end by the clock of whoever asks")]
pub(super) fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
