//! What a plan was made of: the script, its parameters, its artifacts, and the environment. A run that is held to the plan is made of
//! the same. Pure.

use crate::artifact::Pin;
use crate::fleet::{Environment, Host};
use crate::id::{Digest, HostName};
use crate::ledger::StoredRun;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// What a plan was made of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Basis {
    /// Every source of the script, by name, with its digest.
    pub sources: BTreeMap<String, Digest>,
    /// The parameters.
    pub params: Map<String, Value>,
    /// The selector that limits the hosts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<String>,
    /// The artifacts that it is pinned to.
    pub artifacts: Vec<Pin>,
    /// All hosts of the environment.
    pub hosts: Vec<BasisHost>,
    /// The other parts of the environment, each with its digest.
    pub environment: BTreeMap<String, Digest>,
}

/// A host of a plan's environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BasisHost {
    /// Its name.
    pub name: HostName,
    /// Where it is, as in `deploy@10.0.0.1:22`.
    pub address: String,
    /// The digest of its roles, its variables, and who is become there.
    pub settings: Digest,
}

impl Basis {
    /// What a run is made of.
    #[must_use]
    pub fn of(stored: &StoredRun) -> Self {
        let sources = stored.bundle.iter().map(|(name, text)| (name.clone(), Digest::of(text.as_bytes()))).collect();
        let environment = &stored.environment;
        Self {
            sources,
            params: stored.params.clone(),
            limit: stored.limit.clone(),
            artifacts: stored.artifacts.clone(),
            hosts: environment.hosts.hosts().iter().map(host).collect(),
            environment: parts(environment),
        }
    }

    /// What is otherwise now, a line for each.
    #[must_use]
    pub fn differences(&self, now: &Self) -> Vec<String> {
        let mut lines = maps("the script", &self.sources, &now.sources, |digest| format!("sha256 {}", digest.short()));
        let values = |map: &Map<String, Value>| map.iter().map(|(name, value)| (name.clone(), value.to_string())).collect();
        lines.extend(maps("the parameter", &values(&self.params), &values(&now.params), Clone::clone));
        if self.limit != now.limit {
            let limit = |limit: &Option<String>| limit.clone().unwrap_or_else(|| "no limit".to_owned());
            lines.push(differs("--limit", &limit(&self.limit), &limit(&now.limit)));
        }
        let pins = |pins: &[Pin]| {
            let text = |pin: &Pin| format!("{} (sha256 {})", pin.version, pin.digest.short());
            pins.iter().map(|pin| (pin.name.to_string(), text(pin))).collect()
        };
        lines.extend(maps("the artifact", &pins(&self.artifacts), &pins(&now.artifacts), Clone::clone));
        let addresses = |hosts: &[BasisHost]| hosts.iter().map(|host| (host.name.to_string(), host.address.clone())).collect();
        lines.extend(maps("the host", &addresses(&self.hosts), &addresses(&now.hosts), Clone::clone));
        for host in &self.hosts {
            let other = now.hosts.iter().find(|other| other.name == host.name && other.settings != host.settings);
            lines.extend(other.map(|_| format!("the host {}: its roles, its variables or its sudo are others", host.name)));
        }
        let changed = self.environment.iter().filter(|(part, digest)| now.environment.get(*part) != Some(digest));
        lines.extend(changed.map(|(part, _)| format!("the environment: its {part} is not as it was")));
        lines
    }
}

fn host(host: &Host) -> BasisHost {
    let settings = serde_json::json!([host.roles, host.vars, host.sudo, host.transport]);
    BasisHost {
        name: host.name.clone(),
        address: format!("{}@{}:{}", host.user, host.address, host.port),
        settings: Digest::of(settings.to_string().as_bytes()),
    }
}

fn parts(environment: &Environment) -> BTreeMap<String, Digest> {
    let digest = |value: Result<Value, _>| Digest::of(value.unwrap_or_default().to_string().as_bytes());
    let part = |name: &str, value: Result<Value, serde_json::Error>| (name.to_owned(), digest(value));
    BTreeMap::from([
        part("name", serde_json::to_value(&environment.name)),
        part("class", serde_json::to_value(environment.class)),
        part("[vars]", serde_json::to_value(&environment.vars)),
        part("[policy]", serde_json::to_value(&environment.policy)),
        part("[externals]", serde_json::to_value(&environment.externals)),
    ])
}

/// What two maps have differently.
fn maps<T: PartialEq>(
    what: &str,
    planned: &BTreeMap<String, T>,
    now: &BTreeMap<String, T>,
    show: impl Fn(&T) -> String,
) -> Vec<String> {
    let names: BTreeSet<&String> = planned.keys().chain(now.keys()).collect();
    let shown = |value: Option<&T>| value.map_or_else(|| "none".to_owned(), &show);
    let (of, other) = (|name: &String| planned.get(name), |name: &String| now.get(name));
    let changed = names.into_iter().filter(|name| of(name) != other(name));
    changed.map(|name| differs(&format!("{what} {name}"), &shown(of(name)), &shown(other(name)))).collect()
}

fn differs(what: &str, expected: &str, found: &str) -> String {
    format!("{what}: expected {expected}, found {found}")
}
