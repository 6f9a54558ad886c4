//! Whole files: written, sent or copied beside the path, dressed, and put into its place in one instant.

use super::at::{Answer, At, die, done};
use super::blob::Blob;
use super::files::{Ino, Node};
use super::host::{Made, Was};
use super::view::Last;
use crate::effect::{Attributes, Content, EffectError, Reply};
use crate::id::{Digest, SaveId};

/// What a file is to be.
pub(super) struct Put<'a> {
    pub(super) save: &'a SaveId,
    pub(super) path: String,
    pub(super) blob: Blob,
    pub(super) digest: Digest,
    pub(super) attributes: &'a Attributes,
    pub(super) validate: Option<&'a str>,
    /// Whether what was there is shown.
    pub(super) shows: Shows,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shows {
    Before,
    Nothing,
}

/// What is there before is shown up to this size.
const SHOWN: u64 = 65536;

impl At<'_> {
    /// `wl_put`.
    pub(super) fn put_file(&mut self, put: &Put<'_>) -> Answer {
        let path = put.path.as_str();
        let directory = self.parent(path)?;
        let old = self.replaceable(path)?;
        if let Some(old) = old
            && self.view().digest(old)? == put.digest
        {
            return self.only_attributes(put.save, path, old, put.attributes);
        }
        let mode = put.attributes.mode.or_else(|| old.map(|old| self.host.files.inode(old).mode));
        let above = super::at::above(path).to_owned();
        self.may_make(directory, || format!("no new file can be made in {above} (no permission, or no space)"))?;
        self.no_kernel_file(&above)?;
        let new = self.make(directory, Node::File(put.blob.clone()), 0o644);
        self.dress(path, new, mode, put.attributes, old)?;
        if let Some(command) = put.validate {
            self.validate(path, &self.unfinished(path, put.save), new, command)?;
        }
        let was = self.keep(put.save, path)?;
        self.makes(put.save, Made::File(put.digest.clone()));
        // What only its owner may read is shown to nobody.
        let shows = if mode.is_some_and(|mode| mode & 0o077 == 0) { Shows::Nothing } else { put.shows };
        let before = match (shows, &was) {
            (Shows::Nothing, _) => None,
            (Shows::Before, Was::Absent) => Some(Content::new(Vec::new())),
            (Shows::Before, Was::Same(kept)) => self.short(*kept)?,
            (Shows::Before, _) => None,
        };
        self.put(path, new)?;
        Ok(Reply::Done { changed: true, before })
    }

    /// The same content: only its attributes may differ.
    fn only_attributes(&mut self, save: &SaveId, path: &str, old: Ino, wanted: &Attributes) -> Answer {
        if !self.differs(old, wanted) {
            return self.same_at(save, path);
        }
        self.set(save, path, old, wanted)?;
        done(true)
    }

    fn short(&mut self, file: Ino) -> Result<Option<Content>, EffectError> {
        let size = match &self.host.files.inode(file).node {
            Node::File(blob) => blob.size(),
            _ => return Ok(None),
        };
        if size > SHOWN { Ok(None) } else { self.view().content(file).map(Some) }
    }

    /// The file that a new one would replace; refuses what is none.
    fn replaceable(&mut self, path: &str) -> Result<Option<Ino>, EffectError> {
        let Some(entry) = self.view().entry(path)? else { return Ok(None) };
        match &self.host.files.inode(entry).node {
            Node::File(_) => Ok(Some(entry)),
            Node::Directory(_) => die(format!("{path} is a directory, not a file")),
            Node::Link(target) => {
                die(format!("{path} is a symbolic link (to {target}), not a file; remove the link first, or name its target"))
            }
            Node::Other => die(format!("{path} is neither a file, a directory nor a link")),
        }
    }

    /// `/proc` and `/sys` are the kernel's: nobody makes files there.
    pub(super) fn no_kernel_file(&mut self, directory: &str) -> Result<(), EffectError> {
        let kernel = ["/proc", "/sys"].iter().any(|root| directory == *root || directory.starts_with(&format!("{root}/")));
        if kernel { die(format!("no new file can be made in {directory} (no permission, or no space)")) } else { Ok(()) }
    }

    /// The file that is to be copied; refuses what is none.
    fn copyable(&mut self, from: &str) -> Result<Ino, EffectError> {
        self.trusted(from)?;
        match self.view().find(from)?.map(|ino| (ino, &self.host.files.inode(ino).node)) {
            None => die(format!("{from} is not there")),
            Some((_, Node::Directory(_))) => die(format!("{from} is a directory; a file is copied")),
            Some((ino, Node::File(_))) => Ok(ino),
            Some(_) => die(format!("{from} is not a file")),
        }
    }

    /// `wl_copy`.
    pub(super) fn copy(&mut self, save: &SaveId, from: &str, path: &str, wanted: &Attributes) -> Answer {
        let source = self.copyable(from)?;
        if self.save(save).is_none() {
            self.claim(from, None)?;
        }
        let directory = self.parent(path)?;
        if self.view().link(path)?.is_none() && self.view().directory(path)?.is_some() {
            return die(format!("{path} is a directory; name the file in it"));
        }
        let old = self.replaceable(path)?;
        let digest = self.view().digest(source)?;
        if let Some(old) = old
            && self.view().digest(old)? == digest
        {
            return self.only_attributes(save, path, old, wanted);
        }
        let above = super::at::above(path).to_owned();
        self.may_make(directory, || format!("no new file can be made in {above} (no permission, or no space)"))?;
        let from = self.host.files.inode(source);
        let (node, bits) = (from.node.clone(), from.mode & 0o777);
        let new = self.make(directory, node, 0o600);
        let mode = wanted.mode.or_else(|| old.map(|old| self.host.files.inode(old).mode)).or(Some(bits));
        self.dress(path, new, mode, wanted, old)?;
        self.keep(save, path)?;
        self.makes(save, Made::File(digest));
        self.put(path, new)?;
        done(true)
    }

    /// Has a command judge a new file at the path that it has until it takes the old one's place.
    fn validate(&mut self, path: &str, beside: &str, new: Ino, command: &str) -> Result<(), EffectError> {
        let place = self.view().place(beside, Last::Keep)?;
        let Some(directory) = place.directory else { return Ok(()) };
        let now = self.now;
        self.host.files.name(directory, &place.name, new, now);
        let words = vec!["sh".to_owned(), "-c".to_owned(), command.replace("%s", "\"$1\""), "sh".to_owned(), beside.to_owned()];
        let result = self.ask(&super::commands::plain(words), None);
        // By its path: what answered the command may have made the whole directory anew.
        self.take(beside)?;
        let result = result?;
        if result.code == 0 {
            return Ok(());
        }
        let said = [result.stdout.bytes(), result.stderr.bytes()].concat();
        let stderr = String::from_utf8_lossy(&said).into_owned();
        Err(EffectError::Failed { message: format!("the new {path} does not pass `validate`:"), stderr, code: None })
    }
}
