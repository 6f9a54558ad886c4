//! What lies below a directory, in one order whatever the file system's: the same listing here and on a host.

use super::ArtifactError;
use crate::id::Digest;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

/// A directory, as it would be packed.
#[derive(Debug)]
pub struct Tree {
    /// Everything below it; sorted by the bytes of the names, so that parents come before children.
    pub entries: Vec<Entry>,
}

/// One thing in a tree.
#[derive(Debug)]
pub struct Entry {
    /// Its path below the directory.
    pub path: PathBuf,
    /// Where it lies.
    pub full: PathBuf,
    /// Permission bits, set-uid, set-gid and sticky among them.
    pub mode: u32,
    /// What it is.
    pub item: Item,
}

/// What a thing in a tree is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// A directory.
    Directory,
    /// A file of so many bytes.
    File(u64),
    /// A symbolic link to there.
    Link(PathBuf),
}

impl Tree {
    /// Looks through a directory.
    ///
    /// # Errors
    /// When something cannot be read, is no file, directory or link, is a link that leads out of the directory, or has a name
    /// with a line break or a backslash, which tools on hosts write in different ways.
    pub fn read(root: &Path) -> Result<Self, ArtifactError> {
        let mut entries = Vec::new();
        read_directory(root, root, Path::new(""), &mut entries)?;
        entries.sort_by(|a, b| key(&a.path).cmp(&key(&b.path)));
        Ok(Self { entries })
    }

    /// The sum of the files' sizes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.entries.iter().map(|entry| if let Item::File(size) = entry.item { size } else { 0 }).sum()
    }

    /// One line for each thing, sorted: kind, what it is, and path. In a link's target, spaces are written as U+0001.
    pub(super) fn listing(&self, digests: &[(PathBuf, Digest)]) -> String {
        let mut lines = Vec::new();
        for entry in &self.entries {
            let path = entry.path.display();
            match &entry.item {
                Item::Directory => lines.push(format!("d {:o} ./{path}", entry.mode)),
                Item::Link(target) => lines.push(format!("l {} ./{path}", target.display().to_string().replace(' ', "\u{1}"))),
                Item::File(_) => lines.push(format!("f {:o} ./{path}", entry.mode)),
            }
        }
        lines.extend(digests.iter().map(|(path, digest)| format!("h {digest} ./{}", path.display())));
        lines.sort();
        lines.iter().map(|line| format!("{line}\n")).collect()
    }
}

fn key(path: &Path) -> Vec<&[u8]> {
    path.components().map(|part| part.as_os_str().as_bytes()).collect()
}

fn read_directory(root: &Path, full: &Path, path: &Path, into: &mut Vec<Entry>) -> Result<(), ArtifactError> {
    let unread = |error| ArtifactError::io(full, "read", error);
    for entry in fs::read_dir(full).map_err(unread)? {
        let name = entry.map_err(unread)?.file_name();
        visit(root, &path.join(name), into)?;
    }
    Ok(())
}

fn visit(root: &Path, path: &Path, into: &mut Vec<Entry>) -> Result<(), ArtifactError> {
    let full = root.join(path);
    let unread = |error| ArtifactError::io(&full, "read", error);
    let about = fs::symlink_metadata(&full).map_err(unread)?;
    check_name(path, &full)?;
    let mode = about.mode() & 0o7777;
    let kind = about.file_type();
    let item = if kind.is_dir() {
        Item::Directory
    } else if kind.is_file() {
        Item::File(about.len())
    } else if kind.is_symlink() {
        let target = fs::read_link(&full).map_err(unread)?;
        check_target(path, &full, &target)?;
        Item::Link(target)
    } else {
        return Err(ArtifactError::Special { path: full, what: special(kind) });
    };
    let enter = item == Item::Directory;
    into.push(Entry { path: path.to_owned(), full: full.clone(), mode, item });
    if enter { read_directory(root, &full, path, into) } else { Ok(()) }
}

fn special(kind: fs::FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt;
    if kind.is_fifo() {
        "a pipe"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}

fn check_name(path: &Path, full: &Path) -> Result<(), ArtifactError> {
    let bad = |why| Err(ArtifactError::Name { path: full.to_owned(), why });
    match path.to_str() {
        None => bad("is not UTF-8"),
        Some(text) if text.contains('\n') => bad("holds a line break"),
        Some(text) if text.contains('\\') => bad("holds a backslash"),
        Some(_) => Ok(()),
    }
}

/// A link may point to what is packed with it, and to nothing else: on a host, all else is another thing.
fn check_target(path: &Path, full: &Path, target: &Path) -> Result<(), ArtifactError> {
    let escapes = || ArtifactError::Escapes { path: full.to_owned(), target: target.display().to_string() };
    check_name(target, full)?;
    let mut depth = path.components().filter(|part| matches!(part, Component::Normal(_))).count().saturating_sub(1);
    for part in target.components() {
        match part {
            Component::Normal(_) => depth += 1,
            Component::CurDir => {}
            Component::ParentDir => depth = depth.checked_sub(1).ok_or_else(escapes)?,
            Component::RootDir | Component::Prefix(_) => return Err(escapes()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn escape(link: &str, target: &str) -> Option<String> {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir_all(directory.path().join("a/b")).unwrap();
        symlink(target, directory.path().join(link)).unwrap();
        Tree::read(directory.path()).err().map(|error| error.to_string())
    }

    #[test]
    fn links_that_stay_inside_are_kept_and_others_refused() {
        for (link, target) in [("l", "a/b"), ("a/l", "../a"), ("a/b/l", "../../x"), ("l", "gone"), ("l", "a/../a")] {
            assert_eq!(escape(link, target), None, "{link} -> {target}");
        }
        for (link, target) in [("l", "/etc/passwd"), ("l", ".."), ("a/l", "../../x"), ("l", "a/../../x")] {
            assert!(escape(link, target).unwrap().contains("leads out of what is packed"), "{link} -> {target}");
        }
    }

    #[test]
    fn special_files_are_refused_with_their_path() {
        let directory = tempfile::tempdir().unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(directory.path().join("s")).unwrap();
        let error = Tree::read(directory.path()).unwrap_err().to_string();
        assert!(error.contains("/s is a socket"), "{error}");
    }

    #[test]
    fn parents_come_first_whatever_their_names() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir_all(directory.path().join("a/b")).unwrap();
        fs::write(directory.path().join("a-b"), "").unwrap();
        fs::write(directory.path().join("a/b/c"), "").unwrap();
        let names: Vec<String> =
            Tree::read(directory.path()).unwrap().entries.iter().map(|entry| entry.path.display().to_string()).collect();
        assert_eq!(names, ["a", "a/b", "a/b/c", "a-b"]);
    }
}
