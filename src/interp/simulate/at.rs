//! An effect under way on one simulated host: who performs it, what the run keeps there, and the words that every function of
//! the host-side library shares: `wl_keep`, `wl_note`, `wl_same`.

use super::commands::Programs;
use super::files::{Ino, Inode, Node};
use super::host::{Claimant, Host, Kept, Save, Was};
use super::view::{Below, Last, View};
use crate::effect::{EffectError, Fence, Reply};
use crate::id::{RemotePath, SaveId};
use crate::interp::marks::{Certainty, Marks};
use std::collections::BTreeSet;

/// Who performs an effect.
#[derive(Debug, Clone)]
pub(super) struct Who {
    pub(super) name: String,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) groups: BTreeSet<u32>,
    pub(super) home: String,
}

/// An effect under way.
pub(super) struct At<'a> {
    pub(super) host: &'a mut Host,
    pub(super) below: &'a dyn Below,
    /// Who answers commands, where somebody does.
    pub(super) programs: Option<&'a dyn Programs>,
    /// Where it is told what was taken to be so.
    pub(super) marks: Option<&'a Marks>,
    pub(super) who: Who,
    /// The lock that the run holds.
    pub(super) fence: Option<&'a Fence>,
    /// The name of the run.
    pub(super) run: String,
    /// What its names beside a path carry.
    pub(super) tag: String,
    /// The name of what this run keeps as this user.
    pub(super) keeper: String,
    /// Where that would lie on a real host.
    pub(super) place: String,
    /// Seconds since 1970-01-01 UTC.
    pub(super) now: i64,
}

pub(super) type Answer = Result<Reply, EffectError>;

pub(super) fn die<T>(message: impl Into<String>) -> Result<T, EffectError> {
    Err(EffectError::failed(message))
}

pub(super) fn done(changed: bool) -> Answer {
    Ok(Reply::done(changed))
}

/// The path of the directory in which a path lies, as `${p%/*}` of a shell.
pub(super) fn above(path: &str) -> &str {
    match path.rsplit_once('/') {
        Some(("", _)) | None => "/",
        Some((above, _)) => above,
    }
}

/// A path beside another, as in `/srv/.wl-SAVE`.
fn beside(path: &str, name: &str) -> String {
    format!("{}/{name}", above(path).trim_end_matches('/'))
}

impl At<'_> {
    /// Where what a step makes for a path lies until it is whole.
    pub(super) fn unfinished(&self, path: &str, save: &SaveId) -> String {
        beside(path, &format!(".wl-{}-{save}", self.tag))
    }

    /// Where what a step takes from a path lies until the run has ended. `wl_trash` refuses one that this step did not make; a
    /// prediction would have to ask a live host for a name that only this run can have.
    pub(super) fn trash(&self, path: &str, save: &SaveId) -> String {
        beside(path, &format!(".wl-trash-{}-{save}", self.tag))
    }

    /// The step rests on this.
    pub(super) fn mark(&self, certainty: Certainty, why: impl Into<String>) {
        if let Some(marks) = self.marks {
            marks.note(certainty, why);
        }
    }

    pub(super) fn view(&mut self) -> View<'_> {
        View { files: &mut self.host.files, below: self.below }
    }

    /// What the run keeps here as this user, with word of whose it is from the beginning. `wl_private`.
    pub(super) fn kept(&mut self) -> &mut Kept {
        let (since, since_boot, run) = (Some(self.host.next_pid), self.host.boots, &self.run);
        let claimant = |fence: &Fence| Claimant { lock: fence.lock.clone(), run: run.clone(), by: fence.by.clone() };
        let of = self.fence.map(claimant);
        self.host.kept.entry(self.keeper.clone()).or_insert_with(|| Kept { since, since_boot, of, ..Kept::default() })
    }

    pub(super) fn save(&self, save: &SaveId) -> Option<&Save> {
        self.host.kept.get(&self.keeper)?.saves.get(save.as_str())
    }

    /// The path behind `~`.
    pub(super) fn path(&self, path: &RemotePath) -> String {
        self.expand(path.as_str())
    }

    pub(super) fn expand(&self, path: &str) -> String {
        match path.strip_prefix('~') {
            Some("") => self.who.home.clone(),
            Some(rest) if rest.starts_with('/') => format!("{}{rest}", self.who.home.trim_end_matches('/')),
            _ => path.to_owned(),
        }
    }

    /// The directory that a new name would be in.
    pub(super) fn parent(&mut self, path: &str) -> Result<Ino, EffectError> {
        let directory = above(path).to_owned();
        match self.view().directory(&directory)? {
            Some(directory) => Ok(directory),
            None => die(format!("the directory {directory} is not there")),
        }
    }

    /// `wl_real`: where a path lies, links on the way to it followed.
    pub(super) fn lies(&mut self, path: &str) -> Result<String, EffectError> {
        if !path.starts_with('/') {
            return Ok(path.to_owned());
        }
        let name = path.rsplit('/').next().unwrap_or_default();
        Ok(format!("{}/{name}", self.real(above(path))?.trim_end_matches('/')))
    }

    /// Refuses what this user may not do in a directory.
    pub(super) fn may_make(&mut self, directory: Ino, message: impl FnOnce() -> String) -> Result<(), EffectError> {
        let inode = self.host.files.inode(directory);
        let shift = match &self.who {
            who if who.uid == 0 => return Ok(()),
            who if who.uid == inode.uid => 6,
            who if who.gid == inode.gid || who.groups.contains(&inode.gid) => 3,
            _ => 0,
        };
        if (inode.mode >> shift) & 0o3 == 0o3 { Ok(()) } else { die(message()) }
    }

    /// Keeps what is at a path, once. Gives what was kept.
    pub(super) fn keep(&mut self, save: &SaveId, path: &str) -> Result<Was, EffectError> {
        self.watched("saved", save)?;
        if let Some(kept) = self.save(save) {
            return Ok(kept.was.clone());
        }
        let entry = self.view().entry(path)?;
        let was = match entry.map(|ino| (ino, &self.host.files.inode(ino).node)) {
            None => Was::Absent,
            Some((_, Node::Directory(_))) => Was::Directory,
            Some((ino, Node::File(_))) if !self.may_keep(ino) => return die(self.not_as_it_was(path, ino)),
            Some((ino, Node::File(_) | Node::Link(_))) => Was::Same(ino),
            Some((_, Node::Other)) => return die(format!("{path} is neither a file, a directory nor a link")),
        };
        self.note(save, path, was.clone())?;
        Ok(was)
    }

    /// Whether this user can give a file another name: its owner, root, and who may read and write it can.
    fn may_keep(&self, ino: Ino) -> bool {
        let inode = self.host.files.inode(ino);
        let member = self.who.gid == inode.gid || self.who.groups.contains(&inode.gid);
        let bits = inode.mode >> if member { 3 } else { 0 };
        self.who.uid == 0 || self.who.uid == inode.uid || bits & 0o6 == 0o6
    }

    /// Why something is not changed that could not be put back (`wl_hold`).
    pub(super) fn not_as_it_was(&self, path: &str, ino: Ino) -> String {
        let inode = self.host.files.inode(ino);
        let accounts = &self.host.files.accounts;
        let (user, group) = (accounts.user_name(inode.uid), accounts.group_name(inode.gid));
        let mode = inode.mode;
        format!(
            "{path} could not be put back as it is (its mode, owner and group are {mode:o} {user} {group}); its owner may change it, or root with `sudo: true`"
        )
    }

    /// Keeps this instead, once.
    pub(super) fn note(&mut self, save: &SaveId, path: &str, was: Was) -> Result<(), EffectError> {
        self.watched("saved", save)?;
        if self.save(save).is_some() {
            return Ok(());
        }
        self.claim(path, Some(&was))?;
        let real = Some(self.lies(path)?).filter(|real| real != path);
        let path = path.to_owned();
        self.kept().saves.insert(save.as_str().to_owned(), Save { path, real, was, made: None });
        Ok(())
    }

    /// It is as asked. When this very step made it so before its answer was lost, it has changed it.
    pub(super) fn same(&self, save: &SaveId) -> Answer {
        done(self.save(save).is_some())
    }

    /// The same of what is at a path: when an unfinished run of others made it so, it may not stay.
    pub(super) fn same_at(&mut self, save: &SaveId, path: &str) -> Answer {
        if self.save(save).is_none() {
            self.claim(path, None)?;
        }
        self.same(save)
    }

    /// A new inode of this user, in a directory whose group may be handed down.
    pub(super) fn make(&mut self, directory: Ino, node: Node, mode: u32) -> Ino {
        let above = self.host.files.inode(directory);
        let hands_down = above.mode & 0o2000 != 0;
        let gid = if hands_down { above.gid } else { self.who.gid };
        let sticks = hands_down && matches!(node, Node::Directory(_));
        let mode = if sticks { mode | 0o2000 } else { mode };
        let (uid, modified) = (self.who.uid, self.now);
        self.host.files.add(Inode { node, mode, uid, gid, modified })
    }

    /// Takes something to a path, in place of what is there: `mv -fT`.
    pub(super) fn put(&mut self, path: &str, ino: Ino) -> Result<(), EffectError> {
        let place = self.view().place(path, Last::Keep)?;
        let Some(directory) = place.directory else { return die(format!("{path}: No such file or directory")) };
        let now = self.now;
        self.host.files.name(directory, &place.name, ino, now);
        Ok(())
    }

    /// Takes the name of something away; gives what it was.
    pub(super) fn take(&mut self, path: &str) -> Result<Option<Ino>, EffectError> {
        let place = self.view().place(path, Last::Keep)?;
        let (Some(directory), Some(_)) = (place.directory, place.node) else { return Ok(None) };
        let now = self.now;
        Ok(self.host.files.unname(directory, &place.name, now).or(place.node))
    }

    /// Makes a directory with the parents that are missing.
    pub(super) fn make_directories(&mut self, path: &str) -> Result<(), EffectError> {
        let mut at = String::new();
        for name in path.split('/').filter(|name| !name.is_empty() && *name != ".") {
            at = format!("{at}/{name}");
            if self.view().directory(&at)?.is_some() {
                continue;
            }
            let cannot = |why: &str| format!("mkdir: cannot create directory '{at}': {why}");
            let place = self.view().place(&at, Last::Keep)?;
            if let Some(there) = place.node {
                let last = at.trim_matches('/') == path.trim_matches('/');
                let link = self.host.files.target(there).is_some();
                return die(cannot(if last || link { "File exists" } else { "Not a directory" }));
            }
            let Some(directory) = place.directory else { return die(cannot("Not a directory")) };
            self.may_make(directory, || cannot("Permission denied"))?;
            let made = self.make(directory, Node::Directory(super::files::Directory::default()), 0o755);
            let now = self.now;
            self.host.files.name(directory, &place.name, made, now);
        }
        Ok(())
    }
}
