//! Users and groups of a host, as they are wanted.

use serde::{Deserialize, Serialize};

/// A user or a group, as it is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Account {
    /// A user.
    User(UserAccount),
    /// A group.
    Group(GroupAccount),
}

/// Whether something is to be there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    /// It is there.
    #[default]
    Present,
    /// It is not there.
    Absent,
}

/// A user; what is not given stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserAccount {
    /// Its name.
    pub name: String,
    /// Whether it is to be there.
    pub presence: Presence,
    /// Its number.
    pub uid: Option<u32>,
    /// Its own group, by name or number.
    pub group: Option<String>,
    /// Groups that it is a member of.
    pub groups: Option<Vec<String>>,
    /// Whether it is to be in no other groups.
    pub groups_only: bool,
    /// What it logs in to.
    pub shell: Option<String>,
    /// Its home directory.
    pub home: Option<String>,
    /// Whether a new user's home is made.
    pub create_home: bool,
    /// What people call it.
    pub comment: Option<String>,
    /// Whether a new one gets a number of those for services.
    pub system: bool,
}

/// A group; what is not given stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupAccount {
    /// Its name.
    pub name: String,
    /// Whether it is to be there.
    pub presence: Presence,
    /// Its number.
    pub gid: Option<u32>,
    /// Whether a new one gets a number of those for services.
    pub system: bool,
}
