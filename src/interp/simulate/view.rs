//! Looking up paths as a kernel does: through links, at most forty of them, from the root or from where a link lies. What the
//! upper layer does not hold is fetched from the one below, and kept.

use super::blob::Blob;
use super::files::{Directory, Files, Ino, Inode, Node, ROOT};
use crate::effect::{Content, EffectError, FileKind, FileStat};
use crate::id::Digest;

/// What a file system may stand on.
pub(super) trait Below: Send + Sync {
    /// What is at a path there; links are not followed.
    fn look(&self, path: &str) -> Result<Option<FileStat>, EffectError>;
    /// The names in a directory there.
    fn names(&self, path: &str) -> Result<Vec<String>, EffectError>;
    /// The digest of a file there.
    fn digest(&self, path: &str) -> Result<Digest, EffectError>;
    /// The bytes of a file there.
    fn content(&self, path: &str) -> Result<Content, EffectError>;
}

/// Nothing is below.
pub(super) struct Nothing;

impl Below for Nothing {
    fn look(&self, _: &str) -> Result<Option<FileStat>, EffectError> {
        Ok(None)
    }
    fn names(&self, _: &str) -> Result<Vec<String>, EffectError> {
        Ok(Vec::new())
    }
    fn digest(&self, path: &str) -> Result<Digest, EffectError> {
        Err(EffectError::failed(format!("{path} is not there")))
    }
    fn content(&self, path: &str) -> Result<Content, EffectError> {
        Err(EffectError::failed(format!("{path} is not there")))
    }
}

/// Whether a link at the end of a path is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Last {
    Follow,
    Keep,
}

/// Where a path leads.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// The directory in which its last name is, or would be.
    pub(super) directory: Option<Ino>,
    pub(super) name: String,
    pub(super) node: Option<Ino>,
}

/// A file system, and what it stands on.
pub(super) struct View<'a> {
    pub(super) files: &'a mut Files,
    pub(super) below: &'a dyn Below,
}

impl View<'_> {
    /// Where a path leads.
    pub(super) fn place(&mut self, path: &str, last: Last) -> Result<Place, EffectError> {
        self.walk(&mut vec![ROOT], path, last, &mut 40)
    }

    /// `stack` holds the directories from the root to where the walk is.
    fn walk(&mut self, stack: &mut Vec<Ino>, path: &str, last: Last, links: &mut u32) -> Result<Place, EffectError> {
        if path.starts_with('/') {
            stack.truncate(1);
        }
        let names: Vec<&str> = path.split('/').filter(|name| !name.is_empty() && *name != ".").collect();
        let nowhere = |name: &str| Place { directory: None, name: name.to_owned(), node: None };
        let here = |stack: &[Ino]| stack.last().copied().unwrap_or(ROOT);
        // A path that ends in `/` or `.` is that of a directory.
        let mut end = Place { directory: stack.iter().rev().nth(1).copied(), name: ".".to_owned(), node: Some(here(stack)) };
        for (at, name) in names.iter().enumerate() {
            let directory = here(stack);
            if !self.files.is_directory(directory) {
                return Ok(nowhere(name));
            }
            if *name == ".." {
                if stack.len() > 1 {
                    stack.pop();
                }
                end = Place { directory: None, name: "..".to_owned(), node: Some(here(stack)) };
                continue;
            }
            let found = self.child(directory, name)?;
            let is_last = at + 1 == names.len();
            let place = Place { directory: Some(directory), name: (*name).to_owned(), node: found };
            let Some(node) = found else { return Ok(if is_last { place } else { nowhere(name) }) };
            let target = self.files.target(node).map(ToOwned::to_owned);
            match target {
                Some(target) if !is_last || last == Last::Follow => {
                    if *links == 0 {
                        return Ok(nowhere(name));
                    }
                    *links -= 1;
                    let led = self.walk(stack, &target, Last::Follow, links)?;
                    let Some(node) = led.node else { return Ok(if is_last { led } else { nowhere(name) }) };
                    if here(stack) != node {
                        stack.push(node);
                    }
                    end = led;
                }
                _ => {
                    stack.push(node);
                    end = place;
                }
            }
        }
        Ok(end)
    }

    /// What a path leads to, through a link at its end: `-e` of a shell.
    pub(super) fn find(&mut self, path: &str) -> Result<Option<Ino>, EffectError> {
        Ok(self.place(path, Last::Follow)?.node)
    }

    /// What has this very name, a link that leads nowhere too.
    pub(super) fn entry(&mut self, path: &str) -> Result<Option<Ino>, EffectError> {
        Ok(self.place(path, Last::Keep)?.node)
    }

    /// The target, when a link has this very name: `-L` of a shell.
    pub(super) fn link(&mut self, path: &str) -> Result<Option<String>, EffectError> {
        Ok(self.entry(path)?.and_then(|node| self.files.target(node).map(ToOwned::to_owned)))
    }

    /// `-d` of a shell.
    pub(super) fn directory(&mut self, path: &str) -> Result<Option<Ino>, EffectError> {
        Ok(self.find(path)?.filter(|node| self.files.is_directory(*node)))
    }

    /// `-f` of a shell.
    pub(super) fn file(&mut self, path: &str) -> Result<Option<Ino>, EffectError> {
        Ok(self.find(path)?.filter(|node| self.files.is_file(*node)))
    }

    pub(super) fn child(&mut self, directory: Ino, name: &str) -> Result<Option<Ino>, EffectError> {
        let Some(entries) = self.files.directory(directory) else { return Ok(None) };
        if let Some(child) = entries.entries.get(name) {
            return Ok(Some(*child));
        }
        let listed = entries.listed.as_ref().is_none_or(|names| names.contains(name));
        let Some(from) = entries.from.clone().filter(|_| listed && !entries.gone.contains(name)) else { return Ok(None) };
        let path = format!("{}/{name}", from.trim_end_matches('/'));
        let found = self.below.look(&path)?.map(|stat| self.planted(&path, stat));
        if let Some(entries) = self.files.directory_mut(directory) {
            match found {
                Some(child) => drop(entries.entries.insert(name.to_owned(), child)),
                None => drop(entries.gone.insert(name.to_owned())),
            }
        }
        Ok(found)
    }

    /// Takes over what the layer below has.
    fn planted(&mut self, path: &str, stat: FileStat) -> Ino {
        let node = match stat.kind {
            FileKind::File => Node::File(Blob::Below { path: path.to_owned(), size: stat.size }),
            FileKind::Directory => Node::Directory(Directory { from: Some(path.to_owned()), ..Directory::default() }),
            FileKind::Link => Node::Link(stat.target.unwrap_or_default()),
            FileKind::Other => Node::Other,
        };
        let (uid, gid) = (self.files.accounts.known_user(&stat.owner), self.files.accounts.known_group(&stat.group));
        let mode = u32::from_str_radix(&stat.mode, 8).unwrap_or(0o644);
        self.files.add(Inode { node, mode, uid, gid, modified: stat.modified })
    }

    /// All names in a directory, sorted.
    pub(super) fn names(&mut self, directory: Ino) -> Result<Vec<String>, EffectError> {
        let Some(entries) = self.files.directory(directory) else { return Ok(Vec::new()) };
        if let (Some(from), None) = (&entries.from, &entries.listed) {
            let names = self.below.names(from)?.into_iter().collect();
            if let Some(entries) = self.files.directory_mut(directory) {
                entries.listed = Some(names);
            }
        }
        let Some(entries) = self.files.directory(directory) else { return Ok(Vec::new()) };
        let below = entries.listed.iter().flatten().filter(|name| !entries.gone.contains(*name));
        let all: std::collections::BTreeSet<&String> = entries.entries.keys().chain(below).collect();
        Ok(all.into_iter().cloned().collect())
    }

    /// The bytes of a file.
    pub(super) fn content(&mut self, file: Ino) -> Result<Content, EffectError> {
        let Node::File(blob) = &self.files.inode(file).node else { return Ok(Content::new(Vec::new())) };
        if let Some(content) = blob.at_hand()? {
            return Ok(content);
        }
        let Blob::Below { path, .. } = blob else { return Ok(Content::new(Vec::new())) };
        self.below.content(path)
    }

    /// The text of a file, where it is text.
    pub(super) fn text(&mut self, path: &str) -> Result<Option<String>, EffectError> {
        let Some(file) = self.file(path)? else { return Ok(None) };
        Ok(self.content(file)?.text().map(ToOwned::to_owned))
    }

    /// The sha256 of a file.
    pub(super) fn digest(&mut self, file: Ino) -> Result<Digest, EffectError> {
        match &self.files.inode(file).node {
            Node::File(Blob::Below { path, .. }) => self.below.digest(path),
            Node::File(blob) => Ok(blob.digest().unwrap_or_else(|| Digest::of(b""))),
            _ => Ok(Digest::of(b"")),
        }
    }

    /// A copy of something, with all that is in it: `cp -a`.
    pub(super) fn copied(&mut self, ino: Ino) -> Result<Ino, EffectError> {
        let names = if self.files.is_directory(ino) { self.names(ino)? } else { Vec::new() };
        let mut copy = self.files.inode(ino).clone();
        if let Node::Directory(entries) = &mut copy.node {
            let mut copies = Directory::default();
            for name in names {
                if let Some(child) = entries.entries.get(&name).copied().or(self.child(ino, &name)?) {
                    copies.entries.insert(name, self.copied(child)?);
                }
            }
            *entries = copies;
        }
        Ok(self.files.add(copy))
    }

    /// What lies below a directory, itself not among it: paths without a leading slash, parents first.
    pub(super) fn tree(&mut self, directory: Ino) -> Result<Vec<(String, Ino)>, EffectError> {
        let mut found = Vec::new();
        self.tree_into(directory, "", &mut found)?;
        Ok(found)
    }

    fn tree_into(&mut self, directory: Ino, above: &str, into: &mut Vec<(String, Ino)>) -> Result<(), EffectError> {
        for name in self.names(directory)? {
            let Some(child) = self.child(directory, &name)? else { continue };
            let path = format!("{above}{name}");
            into.push((path.clone(), child));
            if self.files.is_directory(child) {
                self.tree_into(child, &format!("{path}/"), into)?;
            }
        }
        Ok(())
    }
}
