//! A simulated service manager: which unit files there are, which services run, and on which files they were started.

use super::at::{Answer, At};
use super::unit_file::UnitFile;
use crate::effect::{EffectError, Reply, ServiceState, ServiceUnit, UnitScope};
use crate::id::Digest;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The services of a host, by scope and name.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Services {
    pub(super) known: BTreeMap<String, Service>,
    /// Whether a layer below has services of its own, which are asked for when they are first spoken of.
    #[serde(default)]
    pub(super) over: bool,
}

/// A service that runs, or ran.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Service {
    pub(super) active: String,
    pub(super) pid: i64,
    pub(super) restarts: i64,
    pub(super) result: String,
    /// The text of its unit file as its manager has it.
    pub(super) text: String,
    /// The files that it was started from, where links led, and what they held.
    pub(super) started_from: Vec<(String, Digest)>,
    /// How many of these, from the first, are its settings' files and its program: what a reload may leave as it is.
    #[serde(default)]
    pub(super) code: usize,
    /// Numbers in its settings that may be ports.
    pub(super) ports: BTreeSet<u16>,
    /// Versions that the names and files of its release tell.
    pub(super) versions: BTreeSet<String>,
    pub(super) log: Vec<String>,
    /// Whether it was started since the host came up.
    #[serde(default)]
    pub(super) started: bool,
    /// What the layer below says of it, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) below: Option<ServiceBelow>,
}

/// What a layer below says of a service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct ServiceBelow {
    pub(super) known: bool,
    pub(super) enabled: String,
    /// Whether it was started, stopped or told anything since.
    pub(super) touched: bool,
}

impl Default for Service {
    fn default() -> Self {
        Self {
            active: "inactive".to_owned(),
            pid: 0,
            restarts: 0,
            result: "success".to_owned(),
            text: String::new(),
            started_from: Vec::new(),
            code: 0,
            ports: BTreeSet::new(),
            versions: BTreeSet::new(),
            log: Vec::new(),
            started: false,
            below: None,
        }
    }
}

impl Service {
    /// It has read its settings again; its program is the one that was started.
    pub(super) fn reload(&mut self, now: Option<Vec<(String, Digest)>>) {
        if let Some(now) = now {
            self.started_from.truncate(self.code);
            self.started_from.extend(now.into_iter().skip(self.code));
        }
    }
}

/// A unit, by its whole name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unit {
    pub(super) scope: UnitScope,
    pub(super) name: String,
}

impl Unit {
    pub(super) fn of(unit: &ServiceUnit) -> Self {
        let name = if unit.name.contains('.') { unit.name.clone() } else { format!("{}.service", unit.name) };
        Self { scope: unit.scope, name }
    }

    /// The name under which all is kept.
    pub(super) fn key(&self) -> String {
        let scope = if self.scope == UnitScope::User { "user" } else { "system" };
        format!("{scope} {}", self.name)
    }

    fn short(&self) -> &str {
        self.name.rsplit_once('.').map_or(self.name.as_str(), |(short, _)| short)
    }
}

/// What a manager says of a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct UnitState {
    pub(super) load: &'static str,
    pub(super) active: String,
    pub(super) enabled: String,
    pub(super) file: UnitFile,
}

/// Where unit files lie; the first is where a person's own do.
const SYSTEM: &[&str] = &[
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];
const USER: &[&str] =
    &["~/.config/systemd/user", "/etc/systemd/user", "/run/systemd/user", "/usr/local/lib/systemd/user", "/usr/lib/systemd/user"];

impl At<'_> {
    pub(super) fn unit_directories(&self, scope: UnitScope) -> Vec<String> {
        let all = if scope == UnitScope::User { USER } else { SYSTEM };
        // Of a layer below, only what a person puts there is looked at: it says itself what it knows.
        let most = if self.host.services.over { 1 } else { all.len() };
        all.iter().take(most).map(|directory| self.expand(directory)).collect()
    }

    /// The path of a unit's file, and its text with the drop-ins; of a masked one the text is nothing.
    pub(super) fn unit_file(&mut self, unit: &Unit) -> Result<Option<(String, Option<String>)>, EffectError> {
        let template = unit.name.split_once('@').and_then(|(stem, rest)| Some(format!("{stem}@.{}", rest.rsplit_once('.')?.1)));
        let directories = self.unit_directories(unit.scope);
        for name in [Some(unit.name.clone()), template].into_iter().flatten() {
            for directory in &directories {
                let path = format!("{directory}/{name}");
                if self.view().link(&path)?.as_deref() == Some("/dev/null") {
                    return Ok(Some((path, None)));
                }
                if let Some(mut text) = self.view().text(&path)? {
                    for part in self.drop_ins(&directories, &name)? {
                        text.push('\n');
                        text.push_str(&part);
                    }
                    return Ok(Some((path, Some(text))));
                }
            }
        }
        Ok(None)
    }

    fn drop_ins(&mut self, directories: &[String], name: &str) -> Result<Vec<String>, EffectError> {
        let mut found = BTreeMap::new();
        for directory in directories.iter().rev() {
            let place = format!("{directory}/{name}.d");
            let Some(ino) = self.view().directory(&place)? else { continue };
            for file in self.view().names(ino)?.into_iter().filter(|file| file.ends_with(".conf")) {
                if let Some(text) = self.view().text(&format!("{place}/{file}"))? {
                    found.insert(file, text);
                }
            }
        }
        Ok(found.into_values().collect())
    }

    /// What the manager says of a unit.
    pub(super) fn unit_state(&mut self, unit: &Unit) -> Result<UnitState, EffectError> {
        let found = self.unit_file(unit)?;
        let known = self.host.services.known.get(&unit.key()).cloned().unwrap_or_default();
        let text = match &found {
            Some((_, Some(text))) if known.active == "inactive" || known.text.is_empty() => text.clone(),
            _ => known.text.clone(),
        };
        let file = UnitFile::read(&text);
        let load = match &found {
            Some((_, None)) => "masked",
            None if known.text.is_empty() => "not-found",
            _ if file.refusal(&unit.name).is_some() => "bad-setting",
            _ => "loaded",
        };
        if let Some(below) = &known.below {
            return Ok(over(below, &found, &known, &unit.name, file));
        }
        let enabled = match &found {
            None => String::new(),
            Some((_, None)) => "masked".to_owned(),
            Some((_, Some(text))) => self.enabled_word(unit, &UnitFile::read(text))?,
        };
        Ok(UnitState { load, active: known.active, enabled, file })
    }

    pub(super) fn told(&mut self, unit: &Unit, changed: bool) -> Answer {
        let state = self.unit_state(unit)?;
        let known = self.host.services.known.get(&unit.key()).cloned().unwrap_or_default();
        let state = ServiceState {
            known: state.load != "not-found",
            active: state.active,
            enabled: state.enabled,
            main_pid: known.pid,
            restarts: known.restarts,
            result: known.result,
            substate: String::new(),
            kind: if state.file.oneshot { "oneshot" } else { "" }.to_owned(),
            // As long as its process is the same, so is its start.
            invocation: if known.started { format!("start-{}", known.pid) } else { String::new() },
        };
        Ok(Reply::Service { changed, state })
    }

    /// The manager reads its unit files again.
    pub(super) fn daemon_reload(&mut self, scope: UnitScope) -> Result<(), EffectError> {
        let word = if scope == UnitScope::User { "user " } else { "system " };
        let keys: Vec<String> = self.host.services.known.keys().filter(|key| key.starts_with(word)).cloned().collect();
        for key in keys {
            let unit = Unit { scope, name: key[word.len()..].to_owned() };
            let text = self.unit_file(&unit)?.and_then(|(_, text)| text).unwrap_or_default();
            let Some(service) = self.host.services.known.get_mut(&key) else { continue };
            // What runs without a file stays known for as long as it runs.
            if !text.is_empty() || service.active != "active" {
                service.text = text;
            }
            if service.text.is_empty() && service.active == "inactive" && service.below.is_none() {
                self.host.services.known.remove(&key);
            }
        }
        Ok(())
    }

    pub(super) fn log(&mut self, unit: &Unit, lines: u32) -> String {
        let known = self.host.services.known.get(&unit.key());
        let log = known.map(|service| service.log.as_slice()).unwrap_or_default();
        let from = log.len().saturating_sub(usize::try_from(lines).unwrap_or(usize::MAX));
        log[from..].iter().map(|line| format!("{line}\n")).collect()
    }

    /// A name in the settings of a unit, with what it stands for.
    pub(super) fn specified(&self, unit: &Unit, word: &str) -> String {
        let instance = unit.short().split_once('@').map_or("", |(_, instance)| instance);
        let prefix = unit.short().split_once('@').map_or(unit.short(), |(prefix, _)| prefix);
        let home = if unit.scope == UnitScope::User { self.who.home.as_str() } else { "/root" };
        let pairs =
            [("%h", home), ("%n", &unit.name), ("%N", unit.short()), ("%i", instance), ("%p", prefix), ("%H", &self.host.name)];
        pairs.iter().fold(word.to_owned(), |word, (from, to)| word.replace(from, to)).replace("%%", "%")
    }
}

/// The state of a unit that a layer below may have.
fn over(
    below: &ServiceBelow,
    found: &Option<(String, Option<String>)>,
    known: &Service,
    name: &str,
    file: UnitFile,
) -> UnitState {
    let active = known.active.clone();
    let fresh = || if file.installable { "disabled" } else { "static" }.to_owned();
    let enabled = if below.enabled.is_empty() && found.is_some() { fresh() } else { below.enabled.clone() };
    match found {
        Some((_, None)) => UnitState { load: "masked", active, enabled: "masked".to_owned(), file },
        Some((_, Some(_))) if file.refusal(name).is_some() => UnitState { load: "bad-setting", active, enabled, file },
        Some((_, Some(_))) => UnitState { load: "loaded", active, enabled, file },
        // Its file is none that is looked at here: what it can do is not known.
        None if below.known => UnitState { load: "loaded", active, enabled, file: UnitFile { reloads: true, ..file } },
        None => UnitState { load: "not-found", active, enabled: String::new(), file },
    }
}
