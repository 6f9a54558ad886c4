//! Users and groups of a simulated host.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Who there is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Accounts {
    pub(super) users: BTreeMap<String, User>,
    pub(super) groups: BTreeMap<String, Group>,
    /// Names that the layer below shows and that its lists do not have, with numbers of our own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) strangers: BTreeMap<String, u32>,
}

/// A user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct User {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) comment: String,
    pub(super) home: String,
    pub(super) shell: String,
}

/// A group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Group {
    pub(super) gid: u32,
    pub(super) members: BTreeSet<String>,
}

/// How a user was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct UserBefore {
    pub(super) name: String,
    /// Nothing when there was none.
    pub(super) user: Option<User>,
    pub(super) groups: BTreeSet<String>,
    /// Of a new one: what is made with it and goes with it.
    pub(super) new_home: Option<String>,
    pub(super) new_group: bool,
    /// A group of its own that goes with it, as it was.
    pub(super) own_group: Option<(String, Group)>,
}

/// How a group was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct GroupBefore {
    pub(super) name: String,
    pub(super) group: Option<Group>,
}

/// Names of the layer below without a number get one from here on: no real host counts so far.
const STRANGERS: u32 = 4_000_000_000;

impl Accounts {
    /// A Debian that was just installed.
    pub(super) fn debian() -> Self {
        let mut accounts = Self::default();
        for (name, gid) in GROUPS {
            accounts.groups.insert((*name).to_owned(), Group { gid: *gid, members: BTreeSet::new() });
        }
        for (name, uid, gid, home, shell) in USERS {
            let comment = if *uid == 0 { "root" } else { name };
            let user =
                User { uid: *uid, gid: *gid, comment: comment.to_string(), home: (*home).to_owned(), shell: (*shell).to_owned() };
            accounts.users.insert((*name).to_owned(), user);
        }
        accounts
    }

    /// Reads the two lists of a host.
    pub(super) fn read(passwd: &str, group: &str) -> Self {
        let mut accounts = Self::default();
        for line in passwd.lines() {
            let fields: Vec<&str> = line.split(':').collect();
            let [name, _, uid, gid, comment, home, shell] = fields[..] else { continue };
            let (Ok(uid), Ok(gid)) = (uid.parse(), gid.parse()) else { continue };
            let text = ToOwned::to_owned;
            accounts.users.entry(name.to_owned()).or_insert(User {
                uid,
                gid,
                comment: text(comment),
                home: text(home),
                shell: text(shell),
            });
        }
        for line in group.lines() {
            let fields: Vec<&str> = line.split(':').collect();
            let [name, _, gid, members] = fields[..] else { continue };
            let Ok(gid) = gid.parse() else { continue };
            let members = members.split(',').filter(|name| !name.is_empty()).map(ToOwned::to_owned).collect();
            accounts.groups.entry(name.to_owned()).or_insert(Group { gid, members });
        }
        accounts
    }

    /// `/etc/passwd`.
    pub(super) fn passwd(&self) -> String {
        let mut users: Vec<_> = self.users.iter().collect();
        users.sort_by_key(|(name, user)| (user.uid, (*name).clone()));
        let line = |(name, user): (&String, &User)| {
            let User { uid, gid, comment, home, shell } = user;
            format!("{name}:x:{uid}:{gid}:{comment}:{home}:{shell}\n")
        };
        users.into_iter().map(line).collect()
    }

    /// `/etc/group`.
    pub(super) fn group_file(&self) -> String {
        let mut groups: Vec<_> = self.groups.iter().collect();
        groups.sort_by_key(|(name, group)| (group.gid, (*name).clone()));
        let line = |(name, group): (&String, &Group)| {
            let members: Vec<&str> = group.members.iter().map(String::as_str).collect();
            format!("{name}:x:{}:{}\n", group.gid, members.join(","))
        };
        groups.into_iter().map(line).collect()
    }

    /// The name of a user, or its number where it has none.
    pub(super) fn user_name(&self, uid: u32) -> String {
        let user = self.users.iter().find(|(_, user)| user.uid == uid).map(|(name, _)| name.clone());
        user.or_else(|| self.stranger(uid)).unwrap_or_else(|| uid.to_string())
    }

    /// The name of a group, or its number where it has none.
    pub(super) fn group_name(&self, gid: u32) -> String {
        let group = self.groups.iter().find(|(_, group)| group.gid == gid).map(|(name, _)| name.clone());
        group.or_else(|| self.stranger(gid)).unwrap_or_else(|| gid.to_string())
    }

    fn stranger(&self, number: u32) -> Option<String> {
        self.strangers.iter().find(|(_, other)| **other == number).map(|(name, _)| name.clone())
    }

    /// The number of a user, by name or number.
    pub(super) fn uid(&self, name: &str) -> Option<u32> {
        let known = self.users.get(name).map(|user| user.uid);
        known.or_else(|| self.strangers.get(name).copied()).or_else(|| name.parse().ok())
    }

    /// The number of a group, by name or number.
    pub(super) fn gid(&self, name: &str) -> Option<u32> {
        let known = self.groups.get(name).map(|group| group.gid);
        known.or_else(|| self.strangers.get(name).copied()).or_else(|| name.parse().ok())
    }

    /// The same for a name that a layer below has shown: it gets a number where none is known.
    pub(super) fn known_user(&mut self, name: &str) -> u32 {
        self.uid(name).unwrap_or_else(|| self.new_stranger(name))
    }

    /// The same for a group.
    pub(super) fn known_group(&mut self, name: &str) -> u32 {
        self.gid(name).unwrap_or_else(|| self.new_stranger(name))
    }

    fn new_stranger(&mut self, name: &str) -> u32 {
        let number = STRANGERS + u32::try_from(self.strangers.len()).unwrap_or(0);
        *self.strangers.entry(name.to_owned()).or_insert(number)
    }

    /// The groups that name a user as a member.
    pub(super) fn groups_of(&self, user: &str) -> BTreeSet<String> {
        self.groups.iter().filter(|(_, group)| group.members.contains(user)).map(|(name, _)| name.clone()).collect()
    }

    /// A group's number has changed: users whose own group it is go with it, as `groupmod` does.
    pub(super) fn follow(&mut self, old: Option<u32>, new: u32) {
        self.users.values_mut().filter(|user| Some(user.gid) == old).for_each(|user| user.gid = new);
    }

    /// The number of the next user, as shadow's tools choose it.
    pub(super) fn free_user(&self, kind: Numbers) -> u32 {
        kind.next(self.users.values().map(|user| user.uid).collect())
    }

    /// The number of the next group.
    pub(super) fn free_group(&self, kind: Numbers) -> u32 {
        kind.next(self.groups.values().map(|group| group.gid).collect())
    }
}

/// Which numbers a new account gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Numbers {
    Services,
    People,
}

impl Numbers {
    /// Whether it is one of them.
    pub(super) fn have(self, number: u32) -> bool {
        match self {
            Self::Services => (100..1000).contains(&number),
            Self::People => (1000..=60_000).contains(&number),
        }
    }

    /// The one above the highest, of people; the one below the lowest, of services. Where these are at their end, one in between.
    fn next(self, taken: BTreeSet<u32>) -> u32 {
        let mine = taken.iter().copied().filter(|number| self.have(*number));
        match self {
            Self::Services => match mine.min().map_or(999, |lowest| lowest - 1) {
                below if self.have(below) => below,
                _ => (100..1000).rev().find(|number| !taken.contains(number)).unwrap_or(999),
            },
            Self::People => match mine.max().map_or(1000, |highest| highest + 1) {
                above if self.have(above) => above,
                _ => (1000..=60_000).find(|number| !taken.contains(number)).unwrap_or(60_000),
            },
        }
    }
}

const GROUPS: &[(&str, u32)] = &[
    ("root", 0),
    ("daemon", 1),
    ("bin", 2),
    ("sys", 3),
    ("adm", 4),
    ("tty", 5),
    ("disk", 6),
    ("mail", 8),
    ("sudo", 27),
    ("www-data", 33),
    ("backup", 34),
    ("staff", 50),
    ("games", 60),
    ("users", 100),
    ("nogroup", 65534),
];

const USERS: &[(&str, u32, u32, &str, &str)] = &[
    ("root", 0, 0, "/root", "/bin/bash"),
    ("daemon", 1, 1, "/usr/sbin", "/usr/sbin/nologin"),
    ("bin", 2, 2, "/bin", "/usr/sbin/nologin"),
    ("sys", 3, 3, "/dev", "/usr/sbin/nologin"),
    ("games", 5, 60, "/usr/games", "/usr/sbin/nologin"),
    ("mail", 8, 8, "/var/mail", "/usr/sbin/nologin"),
    ("www-data", 33, 33, "/var/www", "/usr/sbin/nologin"),
    ("backup", 34, 34, "/var/backups", "/usr/sbin/nologin"),
    ("nobody", 65534, 65534, "/nonexistent", "/usr/sbin/nologin"),
];
