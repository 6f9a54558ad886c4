//! Where an effect takes place, and as whom.

use crate::id::HostName;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A host, and the user to become there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Login {
    /// The host.
    pub host: HostName,
    /// Who to become by sudo; the user that logs in otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
}

impl Login {
    /// As the user that logs in.
    #[must_use]
    pub fn plain(host: &HostName) -> Self {
        Self { host: host.clone(), user: None }
    }

    /// The machine on which Windlass runs.
    #[must_use]
    pub fn controller() -> Self {
        Self::plain(&HostName::controller())
    }
}

impl crate::step::Command {
    /// Where it is to take place, and as whom.
    #[must_use]
    pub fn login(&self) -> Login {
        Login { host: self.host.clone(), user: self.user.clone() }
    }
}

impl fmt::Display for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.user {
            Some(user) => write!(f, "{} (as {user})", self.host),
            None => self.host.fmt(f),
        }
    }
}
