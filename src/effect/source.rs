//! What a script sends from the controller: a path of its project, or an artifact of the store.

use crate::id::Digest;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "a path of the project such as \"files/app.conf\", or what artifact(..) gives")]
pub enum SourceName {
    /// A file or directory of the project, as in `"files/app.tar.gz"`.
    Project(String),
    /// A version of an artifact, by the digest of its content.
    Artifact {
        /// What it is called.
        artifact: String,
        /// Which build of it.
        version: String,
        /// The sha256 of its content.
        digest: Digest,
        /// The bytes of its content.
        size: u64,
    },
}

impl fmt::Display for SourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Project(path) => f.write_str(path),
            Self::Artifact { artifact, version, .. } => write!(f, "{artifact} {version}"),
        }
    }
}
