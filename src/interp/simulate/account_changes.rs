//! Making, changing and removing users and groups, and putting them back.

use super::accounts::{Group, GroupBefore, Numbers, User, UserBefore};
use super::at::{Answer, At, above, die, done};
use super::commands::empty_directory;
use super::host::Was;
use crate::effect::{EffectError, GroupAccount, Presence, UserAccount};
use crate::id::SaveId;
use std::collections::BTreeSet;

impl At<'_> {
    /// `wl_user`.
    pub(super) fn user(&mut self, save: &SaveId, wanted: &UserAccount) -> Answer {
        let there = self.host.files.accounts.users.get(&wanted.name).cloned();
        if wanted.presence == Presence::Absent {
            return match there {
                None => self.same(save),
                Some(user) => self.user_goes(save, &wanted.name, user),
            };
        }
        let accounts = &self.host.files.accounts;
        if let Some(group) = wanted.groups.iter().flatten().find(|group| !accounts.groups.contains_key(*group)) {
            return die(format!("there is no group {group} on this host"));
        }
        let gid = match &wanted.group {
            Some(group) => match accounts.gid(group) {
                Some(gid) => Some(gid),
                None => return die(format!("there is no group {group} on this host")),
            },
            None => None,
        };
        match there {
            None => self.new_user(save, wanted, gid),
            Some(user) => self.other_user(save, wanted, gid, user),
        }
    }

    fn user_goes(&mut self, save: &SaveId, name: &str, user: User) -> Answer {
        if user.uid == 0 {
            return die(format!("{name} is the superuser; refuses to remove it"));
        }
        if name == self.who.name || name == self.host.login {
            return die(format!("{name} is who is logged in; refuses to remove it"));
        }
        self.needs_root()?;
        let accounts = &self.host.files.accounts;
        let own = accounts.groups.get(name).filter(|group| group.gid == user.gid && group.members.is_empty());
        let own_group = own.map(|group| (name.to_owned(), group.clone()));
        let groups = accounts.groups_of(name);
        let before = UserBefore { name: name.to_owned(), user: Some(user), groups, new_home: None, new_group: false, own_group };
        self.note(save, &format!("account {name}"), Was::User(Box::new(before)))?;
        self.drop_user(name);
        self.write_accounts()?;
        done(true)
    }

    /// Takes a user away, with the group of its own.
    fn drop_user(&mut self, name: &str) {
        let accounts = &mut self.host.files.accounts;
        let gid = accounts.users.remove(name).map(|user| user.gid);
        for group in accounts.groups.values_mut() {
            group.members.remove(name);
        }
        let own = accounts.groups.get(name).is_some_and(|group| Some(group.gid) == gid && group.members.is_empty());
        if own {
            accounts.groups.remove(name);
        }
    }

    fn new_user(&mut self, save: &SaveId, wanted: &UserAccount, gid: Option<u32>) -> Answer {
        self.needs_root()?;
        let name = wanted.name.clone();
        if let Some(uid) = wanted.uid
            && let Some((taken, _)) = self.host.files.accounts.users.iter().find(|(_, user)| user.uid == uid)
        {
            return die(format!("number {uid} is taken by {taken}"));
        }
        let home = wanted.home.as_deref().map_or_else(|| format!("/home/{name}"), |home| self.expand(home));
        let new_home = wanted.create_home && self.view().entry(&home)?.is_none();
        let accounts = &self.host.files.accounts;
        let own = accounts.groups.get(&name).map(|group| group.gid);
        let before = UserBefore {
            name: name.clone(),
            user: None,
            groups: BTreeSet::new(),
            new_home: new_home.then(|| home.clone()),
            new_group: own.is_none(),
            own_group: accounts.groups.get(&name).map(|group| (name.clone(), group.clone())),
        };
        self.note(save, &format!("account {name}"), Was::User(Box::new(before)))?;
        let numbers = if wanted.system { Numbers::Services } else { Numbers::People };
        let accounts = &mut self.host.files.accounts;
        let uid = wanted.uid.unwrap_or_else(|| accounts.free_user(numbers));
        let gid = gid.or(own).unwrap_or_else(|| {
            // useradd takes the user's number only where it is one for such groups.
            let taken = accounts.groups.values().any(|group| group.gid == uid) || !numbers.have(uid);
            let free = if taken { accounts.free_group(numbers) } else { uid };
            accounts.groups.insert(name.clone(), Group { gid: free, members: BTreeSet::new() });
            free
        });
        let shell = wanted.shell.clone().unwrap_or_else(|| "/bin/sh".to_owned());
        let comment = wanted.comment.clone().unwrap_or_default();
        accounts.users.insert(name.clone(), User { uid, gid, comment, home: home.clone(), shell });
        for group in wanted.groups.iter().flatten() {
            if let Some(group) = accounts.groups.get_mut(group) {
                group.members.insert(name.clone());
            }
        }
        self.write_accounts()?;
        if new_home {
            self.make_home(&home, uid, gid)?;
        }
        done(true)
    }

    fn make_home(&mut self, home: &str, uid: u32, gid: u32) -> Result<(), EffectError> {
        self.make_directories(above(home))?;
        let parent = self.parent(home)?;
        let made = self.make(parent, empty_directory(), 0o755);
        let inode = self.host.files.inode_mut(made);
        (inode.uid, inode.gid) = (uid, gid);
        self.put(home, made)
    }

    fn other_user(&mut self, save: &SaveId, wanted: &UserAccount, gid: Option<u32>, user: User) -> Answer {
        let name = wanted.name.clone();
        let home = wanted.home.as_deref().map(|home| self.expand(home));
        let accounts = &self.host.files.accounts;
        let groups = accounts.groups_of(&name);
        let primary = gid.unwrap_or(user.gid);
        let asked: BTreeSet<String> = wanted.groups.iter().flatten().cloned().collect();
        let own = |group: &&String| accounts.groups.get(*group).is_some_and(|group| group.gid == primary);
        let join: Vec<String> = asked.iter().filter(|group| !groups.contains(*group) && !own(group)).cloned().collect();
        let leaves = |group: &&String| wanted.groups.is_some() && wanted.groups_only && !asked.contains(*group);
        let leave: Vec<String> = groups.iter().filter(leaves).cloned().collect();
        let new = User {
            uid: wanted.uid.unwrap_or(user.uid),
            gid: primary,
            comment: wanted.comment.clone().unwrap_or_else(|| user.comment.clone()),
            home: home.unwrap_or_else(|| user.home.clone()),
            shell: wanted.shell.clone().unwrap_or_else(|| user.shell.clone()),
        };
        if new == user && join.is_empty() && leave.is_empty() {
            return self.same(save);
        }
        self.needs_root()?;
        let before =
            UserBefore { name: name.clone(), user: Some(user), groups, new_home: None, new_group: false, own_group: None };
        self.note(save, &format!("account {name}"), Was::User(Box::new(before)))?;
        if self.host.files.accounts.users.iter().any(|(other, user)| user.uid == new.uid && *other != name) {
            return die(format!("usermod: UID '{}' already exists", new.uid));
        }
        self.host.files.accounts.users.insert(name.clone(), new);
        self.membership(&name, &join, &leave);
        self.write_accounts()?;
        done(true)
    }

    fn membership(&mut self, name: &str, join: &[String], leave: &[String]) {
        let groups = &mut self.host.files.accounts.groups;
        for group in join {
            groups.entry(group.clone()).or_default().members.insert(name.to_owned());
        }
        for group in leave {
            if let Some(group) = groups.get_mut(group) {
                group.members.remove(name);
            }
        }
    }

    /// `wl_group`.
    pub(super) fn group(&mut self, save: &SaveId, wanted: &GroupAccount) -> Answer {
        let name = wanted.name.clone();
        let there = self.host.files.accounts.groups.get(&name).cloned();
        let as_asked = match (&there, wanted.presence) {
            (None, Presence::Absent) => true,
            (Some(group), Presence::Present) => wanted.gid.is_none_or(|gid| gid == group.gid),
            _ => false,
        };
        if as_asked {
            return self.same(save);
        }
        self.needs_root()?;
        let accounts = &self.host.files.accounts;
        if let (Some(group), Presence::Absent) = (&there, wanted.presence)
            && let Some((user, _)) = accounts.users.iter().find(|(_, user)| user.gid == group.gid)
        {
            return die(format!("groupdel: cannot remove the primary group of user '{user}'"));
        }
        self.note(save, &format!("account {name}"), Was::Group(GroupBefore { name: name.clone(), group: there.clone() }))?;
        let accounts = &self.host.files.accounts;
        if let Some(gid) = wanted.gid
            && let Some((taken, _)) = accounts.groups.iter().find(|(other, group)| group.gid == gid && **other != name)
        {
            return die(format!("number {gid} is taken by the group {taken}"));
        }
        let numbers = if wanted.system { Numbers::Services } else { Numbers::People };
        let free = accounts.free_group(numbers);
        let accounts = &mut self.host.files.accounts;
        match wanted.presence {
            Presence::Absent => drop(accounts.groups.remove(&name)),
            Presence::Present => {
                let group = accounts.groups.entry(name).or_insert(Group { gid: free, members: BTreeSet::new() });
                group.gid = wanted.gid.unwrap_or(group.gid);
                let now = group.gid;
                accounts.follow(there.map(|group| group.gid), now);
            }
        }
        self.write_accounts()?;
        done(true)
    }

    /// `wl_back_user`.
    pub(super) fn user_back(&mut self, before: &UserBefore) -> Answer {
        let accounts = &self.host.files.accounts;
        let now = accounts.users.get(&before.name).cloned();
        if now == before.user && accounts.groups_of(&before.name) == before.groups {
            return done(false);
        }
        match &before.user {
            None => {
                self.drop_user(&before.name);
                if let Some(home) = &before.new_home {
                    self.take(home)?;
                }
                if before.new_group {
                    self.host.files.accounts.groups.remove(&before.name);
                }
            }
            Some(user) => drop(self.host.files.accounts.users.insert(before.name.clone(), user.clone())),
        }
        let accounts = &mut self.host.files.accounts;
        if let Some((name, group)) = &before.own_group {
            accounts.groups.entry(name.clone()).or_insert_with(|| group.clone());
        }
        let now = accounts.groups_of(&before.name);
        let join: Vec<String> = before.groups.difference(&now).cloned().collect();
        let leave: Vec<String> = now.difference(&before.groups).cloned().collect();
        self.membership(&before.name, &join, &leave);
        self.write_accounts()?;
        done(true)
    }

    /// `wl_back_group`.
    pub(super) fn group_back(&mut self, before: &GroupBefore) -> Answer {
        let accounts = &mut self.host.files.accounts;
        if accounts.groups.get(&before.name) == before.group.as_ref() {
            return done(false);
        }
        match &before.group {
            Some(group) => {
                let now = accounts.groups.insert(before.name.clone(), group.clone());
                accounts.follow(now.map(|group| group.gid), group.gid);
            }
            None => drop(accounts.groups.remove(&before.name)),
        }
        self.write_accounts()?;
        done(true)
    }

    fn needs_root(&self) -> Result<(), EffectError> {
        if self.who.uid == 0 {
            return Ok(());
        }
        die("users and groups are changed by root only; call it with `sudo: true`")
    }

    /// The lists that a script may read are as the accounts are.
    pub(super) fn write_accounts(&mut self) -> Result<(), EffectError> {
        let (passwd, group) = (self.host.files.accounts.passwd(), self.host.files.accounts.group_file());
        for (path, text) in [("/etc/passwd", passwd), ("/etc/group", group)] {
            let Ok(parent) = self.parent(path) else { continue };
            let made = self.make(parent, super::files::Node::File(super::blob::Blob::of(text)), 0o644);
            let inode = self.host.files.inode_mut(made);
            (inode.uid, inode.gid) = (0, 0);
            self.put(path, made)?;
        }
        Ok(())
    }
}
