//! A directory of the project on a host: its files beside those that are there, or instead of them.

use super::at::{Answer, At, above, die, done};
use super::blob::Blob;
use super::files::{Directory, Ino, Node};
use super::host::{Made, TreeNotes, Was};
use crate::artifact::{ArchiveItem, members};
use crate::effect::{EffectError, TreeInfo};
use crate::id::SaveId;
use std::collections::{BTreeMap, BTreeSet};

/// A directory that is sent.
pub(super) struct Sent<'a> {
    pub(super) save: &'a SaveId,
    pub(super) path: String,
    pub(super) tree: &'a TreeInfo,
    pub(super) owner: Option<&'a str>,
    pub(super) group: Option<&'a str>,
    pub(super) delete: bool,
}

/// What things in a tree are, by their paths.
type Listing = BTreeMap<String, String>;

impl At<'_> {
    /// `wl_tree_look`, and `wl_tree_put` when something differs.
    pub(super) fn upload_tree(&mut self, sent: &Sent<'_>) -> Answer {
        let path = sent.path.as_str();
        let wanted = wanted(&sent.tree.listing);
        let there = self.view().directory(path)?;
        match there {
            None if self.view().entry(path)?.is_some() => return die(format!("{path} is there, and is not a directory")),
            None => drop(self.parent(path)?),
            Some(directory) => {
                let have = self.listing(path, directory, &wanted, sent)?;
                let extra = sent.delete && have.keys().any(|name| !wanted.contains_key(name));
                if !extra && self.lack(directory, &wanted, &have, sent)?.is_empty() {
                    return self.same_at(sent.save, &sent.path);
                }
            }
        }
        let parent = self.parent(path)?;
        if path.trim_matches('/').is_empty() {
            return die(format!("refuses to fill {path}"));
        }
        let above = above(path).to_owned();
        self.may_make(parent, || format!("no new file can be made in {above} (no permission, or no space)"))?;
        let new = self.arrived(parent, sent)?;
        let Some(directory) = there else {
            self.keep(sent.save, path)?;
            self.makes(sent.save, Made::Directory);
            self.put(path, new)?;
            return done(true);
        };
        let have = self.listing(path, directory, &wanted, sent)?;
        let lack = self.lack(directory, &wanted, &have, sent)?;
        self.settle_all(sent, new, &lack)?;
        if sent.delete {
            for name in have.keys().filter(|name| !wanted.contains_key(*name)) {
                self.aside(sent, name)?;
            }
        }
        done(true)
    }

    /// What arrived, in a directory of its own.
    fn arrived(&mut self, parent: Ino, sent: &Sent<'_>) -> Result<Ino, EffectError> {
        let archive = &sent.tree.archive;
        let bytes = std::fs::read(archive).map_err(|error| EffectError::failed(format!("{archive} cannot be read: {error}")))?;
        let members = members(&bytes)
            .or_else(|error| if sent.tree.listing.bytes().is_empty() { Ok(Vec::new()) } else { Err(error) })
            .map_err(|_| EffectError::failed(format!("what arrived for {} cannot be unpacked", sent.path)))?;
        let root = self.make(parent, Node::Directory(Directory::default()), 0o755);
        self.host.files.inode_mut(root).mode = 0o755;
        let now = self.now;
        for member in members {
            let parts: Vec<&str> = member.path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
            let Some((name, above)) = parts.split_last() else { continue };
            let mut at = root;
            for part in above {
                at = self.directory_in(at, part, 0o755)?;
            }
            let (node, mode) = match member.item {
                ArchiveItem::Directory => (Node::Directory(Directory::default()), member.mode),
                ArchiveItem::File(bytes) => (Node::File(Blob::Bytes(super::blob::Bytes(bytes))), member.mode),
                ArchiveItem::Link(target) => (Node::Link(target), 0o777),
                ArchiveItem::Same(_) => continue,
            };
            let made = self.make(at, node, mode);
            self.host.files.inode_mut(made).mode = mode;
            self.host.files.name(at, name, made, now);
        }
        self.owned(root, sent)?;
        Ok(root)
    }

    /// `chown -hR`.
    fn owned(&mut self, root: Ino, sent: &Sent<'_>) -> Result<(), EffectError> {
        let mut all = vec![root];
        all.extend(self.view().tree(root)?.into_iter().map(|(_, ino)| ino));
        for ino in all {
            let mode = self.host.files.inode(ino).mode;
            if let Some(owner) = sent.owner {
                self.give(&sent.path, ino, owner)?;
            }
            if let Some(group) = sent.group {
                self.give_group(&sent.path, ino, group)?;
            }
            // A new owner takes the bits that let it act as one; they are set again.
            self.host.files.inode_mut(ino).mode = mode;
        }
        Ok(())
    }

    /// What is below a directory, a word for each thing. What is not sent counts only where it would go.
    fn listing(&mut self, path: &str, directory: Ino, wanted: &Listing, sent: &Sent<'_>) -> Result<Listing, EffectError> {
        let mut listing = Listing::new();
        let tree = self.view().tree(directory)?;
        for (name, ino) in tree.into_iter().filter(|(name, _)| sent.delete || wanted.contains_key(name)) {
            if name.contains('\n') {
                return die(format!("a name in {path} has a line break in it, so it cannot be compared: ./{name}"));
            }
            let mode = self.host.files.inode(ino).mode;
            let what = match self.host.files.inode(ino).node.clone() {
                Node::Directory(_) => format!("d {mode:o}"),
                Node::Link(target) => format!("l {}", target.replace(' ', "\u{1}")),
                Node::File(_) => format!("f {mode:o} h {}", self.view().digest(ino)?),
                Node::Other => "x x".to_owned(),
            };
            listing.insert(name, what);
        }
        Ok(listing)
    }

    /// The paths that are wanted and not so, sorted.
    fn lack(&mut self, directory: Ino, wanted: &Listing, have: &Listing, sent: &Sent<'_>) -> Result<Vec<String>, EffectError> {
        let accounts = &self.host.files.accounts;
        let uid = sent.owner.map(|owner| accounts.uid(owner));
        let gid = sent.group.map(|group| accounts.gid(group));
        let mut others = BTreeSet::new();
        if uid.is_some() || gid.is_some() {
            for (name, ino) in self.view().tree(directory)? {
                let inode = self.host.files.inode(ino);
                if uid.is_some_and(|uid| uid != Some(inode.uid)) || gid.is_some_and(|gid| gid != Some(inode.gid)) {
                    others.insert(name);
                }
            }
        }
        let lacks = |(name, what): &(&String, &String)| have.get(*name) != Some(*what) || others.contains(*name);
        Ok(wanted.iter().filter(lacks).map(|(name, _)| name.clone()).collect())
    }

    fn settle_all(&mut self, sent: &Sent<'_>, new: Ino, lack: &[String]) -> Result<(), EffectError> {
        let trash = self.trash(&sent.path, sent.save);
        let notes = TreeNotes { trash: trash.clone(), ..TreeNotes::default() };
        self.note(sent.save, &sent.path, Was::Tree(notes))?;
        if self.view().directory(&trash)?.is_none() {
            let parent = self.parent(&sent.path)?;
            let made = self.make(parent, Node::Directory(Directory::default()), 0o700);
            self.host.files.inode_mut(made).mode = 0o700;
            self.put(&trash, made)?;
        }
        for name in lack {
            self.settle(sent, new, name)?;
        }
        Ok(())
    }

    fn notes(&mut self, sent: &Sent<'_>, note: impl FnOnce(&mut TreeNotes)) {
        if let Some(save) = self.kept().saves.get_mut(sent.save.as_str())
            && let Was::Tree(notes) = &mut save.was
        {
            note(notes);
        }
    }

    /// It becomes what it is in the new tree; what it was is in the trash, or noted as made, or its mode is.
    fn settle(&mut self, sent: &Sent<'_>, new: Ino, name: &str) -> Result<(), EffectError> {
        let mut wanted = new;
        for part in name.split('/') {
            let Some(child) = self.view().child(wanted, part)? else { return Ok(()) };
            wanted = child;
        }
        let full = format!("{}/{name}", sent.path);
        let there = self.view().entry(&full)?;
        let there_directory = there.filter(|there| self.host.files.is_directory(*there));
        let made = |notes: &mut TreeNotes| notes.made.push(name.to_owned());
        if self.host.files.is_directory(wanted) {
            let inode = self.host.files.inode(wanted).clone();
            let directory = if let Some(there) = there_directory {
                let old = self.host.files.inode(there);
                let (mode, uid, gid) = (old.mode, old.uid, old.gid);
                self.notes(sent, |notes| notes.modes.push((mode, uid, gid, name.to_owned())));
                there
            } else {
                self.aside(sent, name)?;
                self.notes(sent, made);
                let parent = self.parent(&full)?;
                let directory = self.make(parent, Node::Directory(Directory::default()), inode.mode);
                self.put(&full, directory)?;
                directory
            };
            let directory = self.host.files.inode_mut(directory);
            (directory.mode, directory.uid, directory.gid) = (inode.mode, inode.uid, inode.gid);
            return Ok(());
        }
        let trash = self.trash(&sent.path, sent.save);
        let kept = format!("{trash}/{name}");
        if there_directory.is_some() {
            self.aside(sent, name)?;
            self.notes(sent, made);
        } else if let Some(there) = there {
            if self.view().entry(&kept)?.is_none() {
                self.make_directories(above(&kept))?;
                self.put(&kept, there)?;
            }
        } else {
            self.notes(sent, made);
        }
        self.put(&full, wanted)
    }

    /// What is there goes into the trash, unless it went there before.
    fn aside(&mut self, sent: &Sent<'_>, name: &str) -> Result<(), EffectError> {
        let trash = self.trash(&sent.path, sent.save);
        let (from, to) = (format!("{}/{name}", sent.path), format!("{trash}/{name}"));
        let Some(there) = self.take(&from)? else { return Ok(()) };
        if self.view().entry(&to)?.is_none() {
            self.make_directories(above(&to))?;
            self.put(&to, there)?;
        }
        Ok(())
    }
}

/// A listing as it travels, by path: a file's mode and its digest are lines of their own there.
fn wanted(listing: &crate::effect::Content) -> Listing {
    let mut wanted = Listing::new();
    let text = String::from_utf8_lossy(listing.bytes()).into_owned();
    // Kinds are sorted: f before h.
    for line in text.lines() {
        let mut fields = line.splitn(3, ' ');
        let (Some(kind), Some(what), Some(name)) = (fields.next(), fields.next(), fields.next()) else { continue };
        let name = name.strip_prefix("./").unwrap_or(name).to_owned();
        match wanted.get_mut(&name) {
            Some(before) => {
                before.push(' ');
                before.push_str(&format!("{kind} {what}"));
            }
            None => drop(wanted.insert(name, format!("{kind} {what}"))),
        }
    }
    wanted
}
