//! Mode, owner and group: what differs is set, and what a kernel takes away with a new owner goes.

use super::at::{Answer, At, die, done};
use super::files::{Ino, Node};
use super::host::{Made, Was};
use crate::effect::{Attributes, EffectError};
use crate::id::SaveId;

impl At<'_> {
    /// `wl_chmod`.
    pub(super) fn set_attributes(&mut self, save: &SaveId, path: &str, wanted: &Attributes) -> Answer {
        let Some(ino) = self.view().find(path)? else { return die(format!("{path} is not there")) };
        if !self.differs(ino, wanted) {
            return self.same_at(save, path);
        }
        self.set(save, path, ino, wanted)?;
        done(true)
    }

    /// Whether `attributes` would change something. A name that nobody has differs, and is refused when it is set.
    pub(super) fn differs(&self, ino: Ino, wanted: &Attributes) -> bool {
        let inode = self.host.files.inode(ino);
        let accounts = &self.host.files.accounts;
        wanted.mode.is_some_and(|mode| mode != inode.mode)
            || wanted.owner.as_ref().is_some_and(|owner| accounts.uid(owner) != Some(inode.uid))
            || wanted.group.as_ref().is_some_and(|group| accounts.gid(group) != Some(inode.gid))
    }

    /// The same with the old values kept.
    pub(super) fn set(&mut self, save: &SaveId, path: &str, ino: Ino, wanted: &Attributes) -> Result<(), EffectError> {
        self.trusted(path)?;
        let inode = self.host.files.inode(ino);
        let was = Was::Attributes { mode: inode.mode, uid: inode.uid, gid: inode.gid };
        self.note(save, path, was)?;
        self.makes(save, Made::Attributes(wanted.clone()));
        self.attributes(path, ino, wanted)
    }

    /// Refuses a link by which somebody who is neither root nor this user leads to what is not their own (`wl_ours`).
    pub(super) fn trusted(&mut self, path: &str) -> Result<(), EffectError> {
        let (Some(link), Some(behind)) = (self.view().entry(path)?, self.view().find(path)?) else { return Ok(()) };
        let owner = self.host.files.inode(link).uid;
        if let Some(target) = self.host.files.target(link)
            && ![0, self.who.uid, self.host.files.inode(behind).uid].contains(&owner)
        {
            let name = self.host.files.accounts.user_name(owner);
            return die(format!("{path} is a link of {name} to what is not theirs ({target}), so it is not followed"));
        }
        Ok(())
    }

    /// What differs is set.
    pub(super) fn attributes(&mut self, path: &str, ino: Ino, wanted: &Attributes) -> Result<(), EffectError> {
        let mut changed = false;
        if let Some(owner) = &wanted.owner {
            changed |= self.give(path, ino, owner)?;
        }
        if let Some(group) = &wanted.group {
            changed |= self.give_group(path, ino, group)?;
        }
        if let Some(mode) = wanted.mode
            && (changed || mode != self.host.files.inode(ino).mode)
        {
            self.chmod(path, ino, mode)?;
        }
        Ok(())
    }

    /// A new owner, when it is another.
    pub(super) fn give(&mut self, path: &str, ino: Ino, owner: &str) -> Result<bool, EffectError> {
        let Some(uid) = self.host.files.accounts.uid(owner) else { return die(format!("chown: invalid user: '{owner}'")) };
        if uid == self.host.files.inode(ino).uid {
            return Ok(false);
        }
        if self.who.uid != 0 {
            return die(format!("chown: changing ownership of '{path}': Operation not permitted"));
        }
        self.host.files.inode_mut(ino).uid = uid;
        self.clear_bits(ino);
        Ok(true)
    }

    /// A new group, when it is another.
    pub(super) fn give_group(&mut self, path: &str, ino: Ino, group: &str) -> Result<bool, EffectError> {
        let Some(gid) = self.host.files.accounts.gid(group) else { return die(format!("chgrp: invalid group: '{group}'")) };
        let inode = self.host.files.inode(ino);
        if gid == inode.gid {
            return Ok(false);
        }
        let may = self.who.uid == 0 || (self.who.uid == inode.uid && (self.who.gid == gid || self.who.groups.contains(&gid)));
        if !may {
            return die(format!("chgrp: changing group of '{path}': Operation not permitted"));
        }
        self.host.files.inode_mut(ino).gid = gid;
        self.clear_bits(ino);
        Ok(true)
    }

    pub(super) fn chmod(&mut self, path: &str, ino: Ino, mode: u32) -> Result<(), EffectError> {
        if self.who.uid != 0 && self.who.uid != self.host.files.inode(ino).uid {
            return die(format!("chmod: changing permissions of '{path}': Operation not permitted"));
        }
        self.host.files.inode_mut(ino).mode = mode;
        Ok(())
    }

    /// With an owner or a group, a file loses what would run it as them.
    fn clear_bits(&mut self, ino: Ino) {
        let inode = self.host.files.inode_mut(ino);
        if matches!(inode.node, Node::File(_)) {
            inode.mode &= !0o4000;
            if inode.mode & 0o010 != 0 {
                inode.mode &= !0o2000;
            }
        }
    }

    /// Gives a new file its mode, owner and group: those that are wanted, else those of the file that it is for.
    pub(super) fn dress(
        &mut self,
        path: &str,
        new: Ino,
        mode: Option<u32>,
        wanted: &Attributes,
        old: Option<Ino>,
    ) -> Result<(), EffectError> {
        let old = old.map(|old| self.host.files.inode(old)).map(|old| (old.uid, old.gid));
        let mine = |who: &super::at::Who, gid: u32| who.gid == gid || who.groups.contains(&gid);
        if let Some(owner) = &wanted.owner {
            self.give(path, new, owner)?;
        } else if let Some((uid, _)) = old
            && self.who.uid == self.host.files.inode(new).uid
            && self.who.uid != uid
        {
            // Who is not root cannot give it away: it becomes theirs, as on a host, where this fails.
            self.give(path, new, &uid.to_string())?;
        }
        if let Some(group) = &wanted.group {
            self.give_group(path, new, group)?;
        } else if let Some((_, gid)) = old
            && !(mine(&self.who, gid) && mine(&self.who, self.host.files.inode(new).gid))
        {
            let given = self.give_group(path, new, &gid.to_string());
            if self.who.uid == 0 {
                given?;
            }
        }
        match mode {
            Some(mode) => self.chmod(path, new, mode),
            None => Ok(()),
        }
    }
}
