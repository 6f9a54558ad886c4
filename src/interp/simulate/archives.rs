//! An archive that lies on a host, unpacked into a directory of its own.

use super::at::{Answer, At, die, done};
use super::blob::Blob;
use super::files::{Directory, Ino, Node};
use super::host::{Made, Was};
use crate::artifact::{ArchiveItem, ArchiveMember, members};
use crate::effect::EffectError;
use crate::id::{Digest, SaveId};

/// The file by which a directory is known as what an unpack made.
pub(super) const MARK: &str = ".windlass-unpacked";

impl At<'_> {
    /// `wl_unpack`.
    pub(super) fn unpack(&mut self, save: &SaveId, archive: &str, path: &str, strip: u32, wanted: Option<&Digest>) -> Answer {
        let parent = self.parent(path)?;
        let Some(file) = self.view().file(archive)? else { return die(format!("the archive {archive} is not there")) };
        let digest = self.view().digest(file)?;
        let there = self.view().directory(path)?;
        match there {
            Some(directory) => match self.unpacked_mark(path)? {
                Some((was, stripped)) => {
                    right(archive, &digest, wanted)?;
                    if was == digest.as_str() && stripped == strip.to_string() {
                        return self.same_at(save, path);
                    }
                }
                None if !self.view().names(directory)?.is_empty() => {
                    return die(format!(
                        "{path} holds files that no unpack put there; an archive is unpacked into a directory of its own"
                    ));
                }
                None => {}
            },
            None if self.view().entry(path)?.is_some() => return die(format!("{path} is there, and is not a directory")),
            None => {}
        }
        right(archive, &digest, wanted)?;
        self.may_make(parent, || format!("mkdir: cannot create directory '{path}': Permission denied"))?;
        let new = self.unpacked(parent, archive, file, strip)?;
        // What the archive says of ./ is said of where it was packed.
        self.host.files.inode_mut(new).mode = 0o755;
        let begins = format!("{digest} {strip} ");
        let mark = format!("{begins}sim:{file}\n");
        let mark = self.make(new, Node::File(Blob::of(mark)), 0o644);
        let now = self.now;
        self.host.files.name(new, MARK, mark, now);
        if there.is_some() {
            let trash = self.trash(path, save);
            self.note(save, path, Was::Moved(trash.clone()))?;
            self.makes(save, Made::Unpacked(begins));
            if let Some(old) = self.take(path)? {
                self.put(&trash, old)?;
            }
        } else {
            self.keep(save, path)?;
            self.makes(save, Made::Unpacked(begins));
        }
        self.put(path, new)?;
        done(true)
    }

    /// The digest and the parts dropped that an unpack left word of.
    fn unpacked_mark(&mut self, path: &str) -> Result<Option<(String, String)>, EffectError> {
        let Some(text) = self.view().text(&format!("{path}/{MARK}"))? else { return Ok(None) };
        let mut words = text.split_whitespace().map(ToOwned::to_owned);
        Ok(Some((words.next().unwrap_or_default(), words.next().unwrap_or_default())))
    }

    /// A new directory with what is in an archive.
    fn unpacked(&mut self, parent: Ino, archive: &str, file: Ino, strip: u32) -> Result<Ino, EffectError> {
        let directory = self.make(parent, Node::Directory(Directory::default()), 0o755);
        self.host.files.inode_mut(directory).mode = 0o755;
        let bytes = self.view().content(file)?;
        let damaged = || {
            EffectError::failed(format!(
                "{archive} could not be unpacked; is it a tar archive, whole, and is its packer (gzip, xz, zstd, bzip2) on this host?"
            ))
        };
        let members = members(bytes.bytes()).map_err(|_| damaged())?;
        for member in &members {
            let parts: Vec<&str> = member.path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
            if parts.contains(&"..") {
                return Err(damaged());
            }
            let strip = usize::try_from(strip).unwrap_or(usize::MAX);
            if parts.len() > strip || (strip == 0 && parts.is_empty()) {
                self.member(directory, &parts[strip..], member, strip)?;
            }
        }
        Ok(directory)
    }

    /// One thing of an archive, with the directories above it.
    fn member(&mut self, root: Ino, parts: &[&str], member: &ArchiveMember, strip: usize) -> Result<(), EffectError> {
        // Without root, the login's umask counts.
        let mode = if self.who.uid == 0 { member.mode } else { member.mode & 0o755 };
        let Some((name, above)) = parts.split_last() else { return Ok(()) };
        let mut at = root;
        for part in above {
            at = self.directory_in(at, part, 0o755)?;
        }
        let now = self.now;
        let node = match &member.item {
            ArchiveItem::Directory => {
                let directory = self.directory_in(at, name, mode)?;
                self.host.files.inode_mut(directory).mode = mode;
                return Ok(());
            }
            ArchiveItem::File(bytes) => Node::File(Blob::Bytes(super::blob::Bytes(bytes.clone()))),
            ArchiveItem::Link(target) => Node::Link(target.clone()),
            ArchiveItem::Same(other) => return self.same_file(root, at, name, other, strip),
        };
        let mode = if matches!(node, Node::Link(_)) { 0o777 } else { mode };
        let made = self.make(at, node, mode);
        self.host.files.inode_mut(made).modified = member.modified;
        self.host.files.name(at, name, made, now);
        Ok(())
    }

    /// Another name of a file that came before.
    fn same_file(&mut self, root: Ino, at: Ino, name: &str, other: &str, strip: usize) -> Result<(), EffectError> {
        let mut found = Some(root);
        for part in other.split('/').filter(|part| !part.is_empty() && *part != ".").skip(strip) {
            let Some(directory) = found else { break };
            found = self.view().child(directory, part)?;
        }
        let now = self.now;
        if let Some(found) = found {
            self.host.files.name(at, name, found, now);
        }
        Ok(())
    }

    /// The directory of this name, made where it is not there.
    pub(super) fn directory_in(&mut self, above: Ino, name: &str, mode: u32) -> Result<Ino, EffectError> {
        let there = self.view().child(above, name)?;
        if let Some(there) = there.filter(|there| self.host.files.is_directory(*there)) {
            return Ok(there);
        }
        let made = self.make(above, Node::Directory(Directory::default()), mode);
        let now = self.now;
        self.host.files.name(above, name, made, now);
        Ok(made)
    }
}

fn right(archive: &str, digest: &Digest, wanted: Option<&Digest>) -> Result<(), EffectError> {
    match wanted {
        Some(wanted) if wanted != digest => die(format!("{archive} has sha256 {digest}, expected {wanted}")),
        _ => Ok(()),
    }
}
