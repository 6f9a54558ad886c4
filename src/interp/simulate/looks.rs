//! Looking at files: what is at a path, what a file holds, which paths match.

use super::at::{Answer, At, die};
use super::blob::Blob;
use super::files::{Ino, Node};
use super::view::Last;
use crate::effect::{EffectError, FileKind, FileStat, Reply};
use crate::interp::marks::Certainty;

/// What every directory is told to have: hosts differ.
const DIRECTORY_SIZE: u64 = 4096;

impl At<'_> {
    /// `wl_stat`.
    pub(super) fn stat(&mut self, path: &str) -> Answer {
        let entry = self.view().entry(path)?;
        Ok(Reply::Stat(entry.map(|ino| self.stat_of(ino))))
    }

    pub(super) fn stat_of(&self, ino: Ino) -> FileStat {
        let inode = self.host.files.inode(ino);
        let (kind, size, target) = match &inode.node {
            Node::Directory(_) => (FileKind::Directory, DIRECTORY_SIZE, None),
            Node::File(blob) => (FileKind::File, blob.size(), None),
            Node::Link(target) => (FileKind::Link, target.len() as u64, Some(target.clone())),
            Node::Other => (FileKind::Other, 0, None),
        };
        let accounts = &self.host.files.accounts;
        let (owner, group) = (accounts.user_name(inode.uid), accounts.group_name(inode.gid));
        FileStat { kind, size, mode: format!("{:04o}", inode.mode), owner, group, modified: inode.modified, target }
    }

    /// `wl_content`.
    pub(super) fn read(&mut self, path: &str, limit: u64) -> Answer {
        let file = self.readable(path)?;
        let size = self.stat_of(file).size;
        if size <= limit {
            self.doubt(path, file);
            return self.view().content(file).map(Reply::Content);
        }
        die(format!("{path} has {size} bytes; at most {limit} are read"))
    }

    /// Tells when what a file holds is not known.
    fn doubt(&self, path: &str, file: Ino) {
        if let Node::File(Blob::Unknown { by }) = &self.host.files.inode(file).node {
            self.mark(Certainty::Unknown, format!("{path} would have been written by `{by}`, which was not run"));
        }
    }

    /// The file at a path.
    pub(super) fn readable(&mut self, path: &str) -> Result<Ino, EffectError> {
        match self.view().find(path)? {
            None => die(format!("{path} is not there")),
            Some(file) if self.host.files.is_file(file) => Ok(file),
            Some(_) => die(format!("{path} is not a file")),
        }
    }

    /// `wl_digest`.
    pub(super) fn digest(&mut self, path: &str) -> Answer {
        if self.view().find(path)?.is_none() {
            return Ok(Reply::Digest(None));
        }
        let Some(file) = self.view().file(path)? else { return die(format!("{path} is not a file")) };
        self.doubt(path, file);
        self.view().digest(file).map(|digest| Reply::Digest(Some(digest)))
    }

    /// `wl_list`.
    pub(super) fn list(&mut self, pattern: &str) -> Answer {
        let whole = self.expand(pattern);
        let mut found = vec![String::new()];
        for part in whole.split('/').skip(1) {
            found = self.matching(&found, part)?;
        }
        let mut there = Vec::new();
        for path in found {
            let path = if path.is_empty() { "/".to_owned() } else { path };
            if self.view().entry(&path)?.is_some() {
                there.push(path);
            }
        }
        Ok(Reply::List(there))
    }

    /// The paths one name further.
    fn matching(&mut self, above: &[String], part: &str) -> Result<Vec<String>, EffectError> {
        if !part.contains(['*', '?', '[']) {
            return Ok(above.iter().map(|path| format!("{path}/{part}")).collect());
        }
        let mut found = Vec::new();
        for path in above {
            let at = if path.is_empty() { "/" } else { path };
            let Some(directory) = self.view().place(at, Last::Follow)?.node else { continue };
            let names = self.view().names(directory)?;
            let fits = |name: &&String| (part.starts_with('.') || !name.starts_with('.')) && fits(part, name);
            found.extend(names.iter().filter(fits).map(|name| format!("{path}/{name}")));
        }
        Ok(found)
    }
}

/// Whether a name fits a pattern of a shell.
fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    fits_from(&pattern, &name)
}

fn fits_from(pattern: &[char], name: &[char]) -> bool {
    match (pattern.first(), name.first()) {
        (None, None) => true,
        (Some('*'), _) => fits_from(&pattern[1..], name) || (!name.is_empty() && fits_from(pattern, &name[1..])),
        (Some('?'), Some(_)) => fits_from(&pattern[1..], &name[1..]),
        (Some('['), Some(letter)) => match class(&pattern[1..], *letter) {
            Some((true, used)) => fits_from(&pattern[1 + used..], &name[1..]),
            Some((false, _)) => false,
            // A bracket that nothing closes is a bracket.
            None => *letter == '[' && fits_from(&pattern[1..], &name[1..]),
        },
        (Some(wanted), Some(letter)) => wanted == letter && fits_from(&pattern[1..], &name[1..]),
        _ => false,
    }
}

/// Whether a letter is in the class that begins here, and how long that is; nothing when it does not end.
fn class(pattern: &[char], letter: char) -> Option<(bool, usize)> {
    let not = matches!(pattern.first(), Some('!' | '^'));
    let mut at = usize::from(not);
    let (first, mut found) = (at, false);
    loop {
        match pattern.get(at)? {
            ']' if at > first => return Some((found != not, at + 1)),
            low => match (pattern.get(at + 1), pattern.get(at + 2)) {
                (Some('-'), Some(high)) if *high != ']' => {
                    found |= (*low..=*high).contains(&letter);
                    at += 3;
                }
                _ => {
                    found |= *low == letter;
                    at += 1;
                }
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn patterns_are_those_of_a_shell() {
        for (pattern, name) in [
            ("*", "a"),
            ("a?c", "abc"),
            ("[ab]1", "b1"),
            ("[!a]*", "b1"),
            ("a[*]", "a*"),
            ("[a-c]x", "bx"),
            ("[]]", "]"),
            ("[", "["),
        ] {
            assert!(fits(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [("a?", "a"), ("[!a]*", "a1"), ("a[*]", "ab"), ("*.conf", "conf"), ("[a-c]x", "dx")] {
            assert!(!fits(pattern, name), "{pattern} {name}");
        }
    }
}
