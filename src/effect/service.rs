//! Services: which unit, under which manager, and what to do to it.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A service and the manager that it belongs to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ServiceUnit {
    /// Its name, with or without `.service`.
    pub name: String,
    /// Whose it is.
    #[serde(default)]
    pub scope: UnitScope,
}

impl ServiceUnit {
    /// The same by the name that leaves out `.service`.
    #[must_use]
    pub fn plain(self) -> Self {
        let name = self.name.strip_suffix(".service").map(ToOwned::to_owned);
        Self { name: name.unwrap_or(self.name), scope: self.scope }
    }
}

/// The manager that a unit belongs to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnitScope {
    /// The machine's.
    #[default]
    System,
    /// The login user's own (`systemctl --user`).
    User,
}

/// What to do to a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    /// Run it, if it does not run.
    Start,
    /// End it, if it runs.
    Stop,
    /// End it and run it again; start it if it does not run.
    Restart,
    /// Have it read its settings again; start it if it does not run.
    Reload,
    /// Start it at boot.
    Enable,
    /// Do not start it at boot.
    Disable,
}

impl Verb {
    /// The word that scripts and service managers use.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Restart => "restart",
            Self::Reload => "reload",
            Self::Enable => "enable",
            Self::Disable => "disable",
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
