//! The file system of a simulated host: inodes, as a kernel has them, so that names of one file, links and moves are what they
//! are on a host. A directory may stand for one of a layer below, and is looked up there when something in it is asked for.

use super::accounts::Accounts;
use super::blob::Blob;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The number of an inode.
pub(super) type Ino = u64;

/// All inodes of a host, and whose names they bear.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Files {
    pub(super) inodes: BTreeMap<Ino, Inode>,
    pub(super) next: Ino,
    pub(super) accounts: Accounts,
}

/// One file, directory or link.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Inode {
    /// What it is.
    pub(super) node: Node,
    /// Permission bits, twelve of them.
    pub(super) mode: u32,
    /// Its owner's number.
    pub(super) uid: u32,
    /// Its group's number.
    pub(super) gid: u32,
    /// Seconds since 1970-01-01 UTC.
    pub(super) modified: i64,
}

/// What an inode is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Node {
    /// A directory.
    Directory(Directory),
    /// A file.
    File(Blob),
    /// A symbolic link to there.
    Link(String),
    /// A pipe, socket or device.
    Other,
}

/// Names and their inodes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Directory {
    pub(super) entries: BTreeMap<String, Ino>,
    /// The directory of the layer below that it is, where it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) from: Option<String>,
    /// Names that are not there, whatever the layer below says.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(super) gone: BTreeSet<String>,
    /// All names that the layer below has there, once they were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) listed: Option<BTreeSet<String>>,
}

/// The root of every file system.
pub(super) const ROOT: Ino = 1;

impl Files {
    /// An empty root; with `from`, one that stands for that of the layer below.
    pub(super) fn new(from: Option<String>) -> Self {
        let root = Directory { from, ..Directory::default() };
        let root = Inode { node: Node::Directory(root), mode: 0o755, uid: 0, gid: 0, modified: 0 };
        Self { inodes: [(ROOT, root)].into(), next: ROOT + 1, accounts: Accounts::default() }
    }

    pub(super) fn add(&mut self, inode: Inode) -> Ino {
        let ino = self.next;
        self.next += 1;
        self.inodes.insert(ino, inode);
        ino
    }

    /// An inode that a name or a save leads to.
    pub(super) fn inode(&self, ino: Ino) -> &Inode {
        self.inodes.get(&ino).unwrap_or(&NOTHING)
    }

    pub(super) fn inode_mut(&mut self, ino: Ino) -> &mut Inode {
        self.inodes.entry(ino).or_insert_with(|| NOTHING.clone())
    }

    pub(super) fn directory(&self, ino: Ino) -> Option<&Directory> {
        match &self.inode(ino).node {
            Node::Directory(directory) => Some(directory),
            _ => None,
        }
    }

    pub(super) fn directory_mut(&mut self, ino: Ino) -> Option<&mut Directory> {
        match &mut self.inodes.get_mut(&ino)?.node {
            Node::Directory(directory) => Some(directory),
            _ => None,
        }
    }

    pub(super) fn is_directory(&self, ino: Ino) -> bool {
        self.directory(ino).is_some()
    }

    pub(super) fn is_file(&self, ino: Ino) -> bool {
        matches!(self.inode(ino).node, Node::File(_))
    }

    pub(super) fn target(&self, ino: Ino) -> Option<&str> {
        match &self.inode(ino).node {
            Node::Link(target) => Some(target),
            _ => None,
        }
    }

    /// Gives a name to an inode; what had it before has one name less.
    pub(super) fn name(&mut self, directory: Ino, name: &str, ino: Ino, now: i64) {
        self.inode_mut(directory).modified = now;
        if let Some(directory) = self.directory_mut(directory) {
            directory.gone.remove(name);
            directory.entries.insert(name.to_owned(), ino);
        }
    }

    /// Takes a name away; gives what had it.
    pub(super) fn unname(&mut self, directory: Ino, name: &str, now: i64) -> Option<Ino> {
        self.inode_mut(directory).modified = now;
        let directory = self.directory_mut(directory)?;
        if directory.from.is_some() {
            directory.gone.insert(name.to_owned());
        }
        directory.entries.remove(name)
    }

    /// Whether `below` is `above`, or lies in it.
    pub(super) fn within(&self, above: Ino, below: Ino) -> bool {
        above == below
            || self.directory(above).is_some_and(|directory| directory.entries.values().any(|child| self.within(*child, below)))
    }
}

/// What stands for an inode that is not there; no name leads to one.
static NOTHING: Inode = Inode { node: Node::Other, mode: 0, uid: 0, gid: 0, modified: 0 };
