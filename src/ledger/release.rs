//! What a run made live on a host, as the ledger keeps it.

use crate::artifact::{ArtifactName, Version};
use crate::id::{Digest, HostName, RunId};
use serde::{Deserialize, Serialize};

/// How much is known of a version on a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// The run completed there, and health held.
    KnownGood,
    /// The run completed there.
    Live,
    /// The run left the host between two versions, or may have.
    Unsure,
    /// The run did not come to the host, or put it back: the host has what it had.
    Missed,
}

impl Standing {
    /// The word for people, for JSON and for the ledger.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::KnownGood => "known_good",
            Self::Live => "live",
            Self::Unsure => "unsure",
            Self::Missed => "missed",
        }
    }
}

/// What a run comes to for one component on one host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Made {
    /// The component.
    pub component: ArtifactName,
    /// The host.
    pub host: HostName,
    /// The version that the run was to make live there.
    pub version: Version,
    /// The content of the artifact that it is made of.
    pub artifact: Option<Digest>,
    /// What is known of it.
    pub standing: Standing,
    /// Why it is not known-good; empty when it is.
    pub why: String,
}

/// The same, in its place in the history of an environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Release {
    /// Its number: later ends of runs have higher ones.
    pub n: i64,
    /// The environment.
    pub environment: String,
    /// What the run made.
    #[serde(flatten)]
    pub made: Made,
    /// The run that ended so.
    pub run: RunId,
    /// The run whose script, parameters and artifacts made it: another one after a rollback.
    pub made_by: RunId,
    /// When the run ended, in milliseconds since 1970-01-01 UTC.
    pub at: i64,
}

/// A release that is known-good on a host, as a run is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownGood {
    /// The host.
    pub host: HostName,
    /// The component.
    pub component: ArtifactName,
    /// Its version.
    pub version: Version,
    /// The content of the artifact that it is made of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact: Option<Digest>,
}
