//! Packages of a host's package manager, as they are wanted, and what became of them.

use serde::{Deserialize, Serialize};

/// Packages as they are wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageSet {
    /// Their names, with `=VERSION` behind one that is to have that version.
    pub names: Vec<String>,
    /// How they are to be.
    pub state: PackageState,
    /// Whether the lists of what there is are fetched before something is installed.
    pub update: bool,
    /// Whether packages that these recommend come with them; as the host is set up otherwise.
    pub recommends: Option<bool>,
    /// Whether packages that were not named may be removed for it.
    pub allow_removals: bool,
    /// Seconds to wait while another program uses the package manager.
    pub lock_seconds: u64,
}

/// How packages are to be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PackageState {
    /// Installed, whatever the version where none is named.
    #[default]
    Present,
    /// Not installed.
    Absent,
    /// Installed, and at the newest version that the host knows of.
    Latest,
}

impl PackageState {
    /// The word that scripts use.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Present => "present",
            Self::Absent => "absent",
            Self::Latest => "latest",
        }
    }
}

/// What became of one package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageChange {
    /// Its name.
    pub name: String,
    /// The version that was installed, if one was.
    pub before: Option<String>,
    /// The version that is installed, if one is.
    pub after: Option<String>,
    /// Whether no source of the host has the version of before any more.
    pub lost: bool,
}
