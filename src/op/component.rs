//! `component(name, #{..})`: which version of a component a run makes live, and where.

use super::{Operation, StepContext, Subject};
use crate::artifact::{ArtifactName, Version};
use crate::id::{Digest, HostName};
use crate::step::StepError;
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeSet;

/// Declares that this run makes a version of a component live on these hosts. It changes nothing; once the run has
/// succeeded, the ledger says so.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Component {
    /// What it is called, as in `shop-web`.
    pub name: ArtifactName,
    /// Where it runs.
    #[serde(deserialize_with = "one_or_many")]
    pub hosts: Vec<HostName>,
    /// The version that runs there then.
    pub version: Version,
    /// The bundle that it is made of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact: Option<Bundle>,
    /// Whether two versions of it may be live at the same time; they may when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tolerates_mixed: Option<bool>,
}

/// What `artifact(..)` gives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bundle {
    /// What it is called.
    pub artifact: ArtifactName,
    /// Which build of it.
    pub version: Version,
    /// The sha256 of its content.
    pub digest: Digest,
    /// The bytes of its content.
    pub size: u64,
}

impl Component {
    /// The name by which the journal knows it.
    pub const WORD: &'static str = "component";

    /// Whether two versions of it may be live at the same time.
    #[must_use]
    pub fn may_be_mixed(&self) -> bool {
        self.tolerates_mixed != Some(false)
    }
}

impl Operation for Component {
    const NAME: &'static str = Self::WORD;
    const SUBJECT: Subject = Subject::Controller;
    const POSITIONAL: &'static [&'static str] = &["name"];
    const PAGE: &'static str = include_str!("../../stdlib/doc/component.md");
    type Output = ();

    fn run(&self, _: &mut StepContext<'_>) -> Result<(), StepError> {
        if self.hosts.is_empty() {
            return Err(StepError::bad_input(format!("component `{}` has no hosts", self.name))
                .with_help("`hosts` is what hosts(..) gives, or the host of the block"));
        }
        for host in &self.hosts {
            HostName::parse(host.as_str()).map_err(|bad| StepError::bad_input(bad.to_string()))?;
        }
        Ok(())
    }

    fn summary(&self) -> String {
        let hosts: BTreeSet<&str> = self.hosts.iter().map(HostName::as_str).collect();
        match hosts.len() {
            1..=4 => format!("{} {} on {}", self.name, self.version, hosts.into_iter().collect::<Vec<_>>().join(", ")),
            many => format!("{} {} on {many} hosts", self.name, self.version),
        }
    }
}

fn one_or_many<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<HostName>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "a host, or a list of hosts as hosts(..) gives it")]
    enum Form {
        One(HostName),
        Many(Vec<HostName>),
    }
    Ok(match Form::deserialize(from)? {
        Form::One(host) => vec![host],
        Form::Many(hosts) => hosts,
    })
}
