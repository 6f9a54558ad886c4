//! What a hook may do with a simulated host: look at its files and change them, as the user whose command it answers.

use super::at::{At, above, die};
use super::blob::{Blob, Bytes};
use super::commands::empty_directory;
use super::files::Node;
use crate::effect::{Content, EffectError};

/// The files of a simulated host, in the hands of a hook.
pub struct Shell<'a> {
    at: Hand<'a>,
}

/// The host at hand, without the names of its parts' lifetimes.
type Hand<'a> = &'a mut dyn Files;

/// What a hook needs of an effect under way.
trait Files {
    fn expand(&self, path: &str) -> String;
    fn read(&mut self, path: &str) -> Result<Option<Content>, EffectError>;
    fn make(&mut self, path: &str, item: ShellItem) -> Result<(), EffectError>;
    fn same(&mut self, path: &str, other: &str) -> Result<(), EffectError>;
    fn remove(&mut self, path: &str) -> Result<(), EffectError>;
    fn list(&mut self, path: &str) -> Result<Vec<ShellEntry>, EffectError>;
}

/// One thing below a directory.
#[derive(Debug, Clone, PartialEq)]
pub struct ShellEntry {
    /// Its path below that directory; empty for the directory itself.
    pub path: String,
    /// What it is.
    pub item: ShellItem,
}

/// A file, directory or link with all that is known of it.
#[derive(Debug, Clone, PartialEq)]
pub struct ShellItem {
    /// What it is.
    pub kind: ShellKind,
    /// Permission bits.
    pub mode: u32,
    /// Its owner's number.
    pub uid: u32,
    /// Its group's number.
    pub gid: u32,
    /// Seconds since 1970-01-01 UTC.
    pub modified: i64,
    /// Which file it is: two names of one file have the same number.
    pub file: u64,
}

/// What something is.
#[derive(Debug, Clone, PartialEq)]
pub enum ShellKind {
    /// A directory.
    Directory,
    /// A file with these bytes.
    File(Content),
    /// A symbolic link.
    Link(String),
    /// A pipe, socket or device.
    Other,
}

impl<'a> Shell<'a> {
    pub(super) fn new(at: &'a mut At<'_>) -> Self {
        Self { at }
    }

    /// The path behind `~`.
    #[must_use]
    pub fn expand(&self, path: &str) -> String {
        self.at.expand(path)
    }

    /// The bytes of a file; nothing when there is none.
    ///
    /// # Errors
    /// When a layer below cannot be asked.
    pub fn read(&mut self, path: &str) -> Result<Option<Content>, EffectError> {
        self.at.read(path)
    }

    /// Writes a file, with the directories above it.
    ///
    /// # Errors
    /// When something above it is no directory.
    pub fn write(&mut self, path: &str, bytes: &[u8]) -> Result<(), EffectError> {
        let kind = ShellKind::File(Content::new(bytes.to_vec()));
        self.make(path, ShellItem { kind, mode: 0o644, uid: 0, gid: 0, modified: 0, file: 0 })
    }

    /// Makes a file, directory or link that is so, in place of what is there, with the directories above it.
    ///
    /// # Errors
    /// When something above it is no directory.
    pub fn make(&mut self, path: &str, item: ShellItem) -> Result<(), EffectError> {
        self.at.make(path, item)
    }

    /// Gives a file another name: both are one file from then on.
    ///
    /// # Errors
    /// When there is no such file.
    pub fn same(&mut self, path: &str, other: &str) -> Result<(), EffectError> {
        self.at.same(path, other)
    }

    /// Removes what is at a path, with all that is in it.
    ///
    /// # Errors
    /// When a layer below cannot be asked.
    pub fn remove(&mut self, path: &str) -> Result<(), EffectError> {
        self.at.remove(path)
    }

    /// What is at a path and below it, parents first; nothing when nothing is there.
    ///
    /// # Errors
    /// When a layer below cannot be asked.
    pub fn list(&mut self, path: &str) -> Result<Vec<ShellEntry>, EffectError> {
        self.at.list(path)
    }
}

impl Files for At<'_> {
    fn expand(&self, path: &str) -> String {
        At::expand(self, path)
    }

    fn read(&mut self, path: &str) -> Result<Option<Content>, EffectError> {
        let path = At::expand(self, path);
        match self.view().file(&path)? {
            Some(file) => self.view().content(file).map(Some),
            None => Ok(None),
        }
    }

    fn make(&mut self, path: &str, item: ShellItem) -> Result<(), EffectError> {
        let path = At::expand(self, path);
        self.make_directories(above(&path))?;
        let parent = self.parent(&path)?;
        let node = match item.kind {
            ShellKind::Directory => match self.view().directory(&path)? {
                Some(there) => {
                    let inode = self.host.files.inode_mut(there);
                    (inode.mode, inode.uid, inode.gid, inode.modified) = (item.mode, item.uid, item.gid, item.modified);
                    return Ok(());
                }
                None => empty_directory(),
            },
            ShellKind::File(bytes) => Node::File(Blob::Bytes(Bytes(bytes))),
            ShellKind::Link(target) => Node::Link(target),
            ShellKind::Other => Node::Other,
        };
        let made = At::make(self, parent, node, item.mode);
        let inode = self.host.files.inode_mut(made);
        (inode.mode, inode.uid, inode.gid, inode.modified) = (item.mode, item.uid, item.gid, item.modified);
        self.put(&path, made)?;
        if self.view().entry(&path)?.is_none() {
            return die(format!("{path} cannot be made"));
        }
        Ok(())
    }

    fn same(&mut self, path: &str, other: &str) -> Result<(), EffectError> {
        let (path, other) = (At::expand(self, path), At::expand(self, other));
        match self.view().entry(&path)? {
            Some(file) => self.put(&other, file),
            None => die(format!("{path} is not there")),
        }
    }

    fn remove(&mut self, path: &str) -> Result<(), EffectError> {
        let path = At::expand(self, path);
        self.take(&path).map(drop)
    }

    fn list(&mut self, path: &str) -> Result<Vec<ShellEntry>, EffectError> {
        let path = At::expand(self, path);
        let Some(root) = self.view().entry(&path)? else { return Ok(Vec::new()) };
        let mut all = vec![(String::new(), root)];
        if self.host.files.is_directory(root) {
            all.extend(self.view().tree(root)?);
        }
        let mut entries = Vec::new();
        for (path, ino) in all {
            let inode = self.host.files.inode(ino).clone();
            let kind = match inode.node {
                Node::Directory(_) => ShellKind::Directory,
                Node::File(_) => ShellKind::File(self.view().content(ino)?),
                Node::Link(target) => ShellKind::Link(target),
                Node::Other => ShellKind::Other,
            };
            let (mode, uid, gid, modified) = (inode.mode, inode.uid, inode.gid, inode.modified);
            entries.push(ShellEntry { path, item: ShellItem { kind, mode, uid, gid, modified, file: ino } });
        }
        Ok(entries)
    }
}
