//! `h.fact(name)`: what a host is.

use super::{Operation, StepContext, Subject, context::unexpected};
use crate::effect::{Effect, Reply};
use crate::step::StepError;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Every fact that a host is asked for.
const NAMES: [&str; 25] = [
    "addresses",
    "arch",
    "boot_id",
    "cpus",
    "fqdn",
    "home",
    "hostname",
    "init",
    "interface",
    "ipv4",
    "ipv6",
    "kernel",
    "machine_id",
    "memory_bytes",
    "os",
    "os_codename",
    "os_like",
    "os_name",
    "os_version",
    "package_manager",
    "selinux",
    "swap_bytes",
    "uid",
    "user",
    "virtualization",
];

/// Tells one fact of a host. All of them are asked for at once, and remembered until the run ends or the host restarts.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fact {
    name: FactName,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "String")]
struct FactName(String);

impl TryFrom<String> for FactName {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        if NAMES.contains(&name.as_str()) {
            return Ok(Self(name));
        }
        Err(format!("there is no fact `{name}`; there are {}", NAMES.join(", ")))
    }
}

impl Operation for Fact {
    const NAME: &'static str = "fact";
    const SUBJECT: Subject = Subject::Host;
    const POSITIONAL: &'static [&'static str] = &["name"];
    const PAGE: &'static str = include_str!("../../stdlib/doc/fact.md");
    type Output = Value;

    fn run(&self, cx: &mut StepContext<'_>) -> Result<Value, StepError> {
        match cx.look(&Effect::Facts)? {
            Reply::Facts(facts) => Ok(facts.get(&self.name.0).cloned().unwrap_or_default()),
            other => Err(unexpected(&other)),
        }
    }

    fn summary(&self) -> String {
        self.name.0.clone()
    }
}
