//! Directories, links, moves and removals.

use super::at::{Answer, At, above, die, done};
use super::files::Node;
use super::host::{Made, Was};
use super::view::Last;
use crate::effect::Attributes;
use crate::id::SaveId;

impl At<'_> {
    /// `wl_mkdir`.
    pub(super) fn mkdir(&mut self, save: &SaveId, path: &str, wanted: &Attributes) -> Answer {
        if let Some(directory) = self.view().directory(path)? {
            if !self.differs(directory, wanted) {
                return self.same_at(save, path);
            }
            self.set(save, path, directory, wanted)?;
            return done(true);
        }
        if self.view().entry(path)?.is_some() {
            return die(format!("{path} is there, and is not a directory"));
        }
        let mut first = path.to_owned();
        while above(&first) != "/" && self.view().find(above(&first))?.is_none() {
            first = above(&first).to_owned();
        }
        self.keep(save, &first)?;
        self.makes(save, Made::Directory);
        self.make_directories(path)?;
        if let Some(directory) = self.view().directory(path)? {
            self.attributes(path, directory, wanted)?;
        }
        done(true)
    }

    /// `wl_link`.
    pub(super) fn symlink(&mut self, save: &SaveId, path: &str, target: &str) -> Answer {
        let directory = self.parent(path)?;
        match self.view().entry(path)?.map(|ino| &self.host.files.inode(ino).node) {
            Some(Node::Link(there)) if there == target => return self.same_at(save, path),
            Some(Node::Directory(_)) => return die(format!("{path} is a directory, not a link; move it away first")),
            Some(Node::File(_) | Node::Other) => return die(format!("{path} is a file, not a link; remove it first")),
            Some(Node::Link(_)) | None => {}
        }
        self.may_make(directory, || format!("ln: failed to create symbolic link '{path}': Permission denied"))?;
        self.keep(save, path)?;
        self.makes(save, Made::Link(target.to_owned()));
        let link = self.make(directory, Node::Link(target.to_owned()), 0o777);
        self.put(path, link)?;
        done(true)
    }

    /// `wl_rename`.
    pub(super) fn rename(&mut self, save: &SaveId, from: &str, to: &str) -> Answer {
        let directory = self.parent(to)?;
        let (source, there) = (self.view().entry(from)?, self.view().entry(to)?);
        match (source, there) {
            (None, Some(_)) => return self.same_at(save, from),
            (None, None) => return die(format!("{from} is not there")),
            (Some(_), Some(_)) => return die(format!("{to} is there already")),
            (Some(source), None) => {
                if self.host.files.within(source, directory) {
                    return die(format!("{from} cannot go into itself, {to}"));
                }
                self.note(save, from, Was::Moved(to.to_owned()))?;
                self.makes(save, Made::Absent);
                self.may_move(from, to)?;
                if let Some(source) = self.take(from)? {
                    self.put(to, source)?;
                }
            }
        }
        done(true)
    }

    fn may_move(&mut self, from: &str, to: &str) -> Result<(), crate::effect::EffectError> {
        for path in [from, to] {
            let directory = self.parent(path)?;
            self.may_make(directory, || format!("mv: cannot move '{from}' to '{to}': Permission denied"))?;
        }
        Ok(())
    }

    /// `wl_remove`.
    pub(super) fn remove(&mut self, save: &SaveId, path: &str) -> Answer {
        let place = self.view().place(path, Last::Keep)?;
        if place.node.is_none() {
            return self.same_at(save, path);
        }
        if path.ends_with("/.") || path.ends_with("/..") {
            return die(format!("refuses to remove {path}: call the directory by its own name"));
        }
        if path.trim_matches('/').is_empty() {
            return die(format!("refuses to remove {path}"));
        }
        let home = self.who.home.clone();
        if format!("{home}/").starts_with(&format!("{path}/")) {
            return die(format!("refuses to remove {path}, in which the home directory {home} lies"));
        }
        let trash = self.trash(path, save);
        self.note(save, path, Was::Moved(trash.clone()))?;
        self.makes(save, Made::Absent);
        self.may_move(path, &trash)?;
        let gone = self.take(path)?;
        // Sent twice, with something new there meanwhile: what was there at first is in the trash already.
        if let Some(gone) = gone
            && self.view().entry(&trash)?.is_none()
        {
            self.put(&trash, gone)?;
        }
        done(true)
    }
}
