//! Packing: the same input gives the same bytes, whoever packs it, when and where. A file is taken as it is; a directory
//! becomes a tar archive behind gzip, which every host can unpack.

use super::tree::{Entry, Item, Tree};
use super::{ArtifactError, Form};
use crate::id::Digest;
use flate2::{Compression, GzBuilder};
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;

/// What was packed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed {
    /// Of the bytes that were written.
    pub digest: Digest,
    /// How many.
    pub size: u64,
    /// What they are of.
    pub form: Form,
    /// Of the archive before gzip, which no version of a compressor can change; of the file, for a file.
    pub plain: Digest,
}

/// Group and others cannot write: two people with different umasks pack the same bytes.
const MODES: u32 = 0o755;

/// Packs a file or directory.
///
/// # Errors
/// When something cannot be read or written, or has no place in a bundle: see [`Tree::read`].
pub fn pack(path: &Path, to: &mut dyn Write) -> Result<Packed, ArtifactError> {
    let about = std::fs::metadata(path).map_err(|error| ArtifactError::io(path, "read", error))?;
    if about.is_dir() {
        return pack_tree(&Tree::read(path)?, path, to);
    }
    if !about.is_file() {
        return Err(ArtifactError::Special { path: path.to_owned(), what: "no file and no directory" });
    }
    let mut file = File::open(path).map_err(|error| ArtifactError::io(path, "read", error))?;
    let mut out = Hashing::new(to);
    io::copy(&mut file, &mut out).map_err(|error| ArtifactError::io(path, "copied", error))?;
    let (digest, size) = out.end();
    Ok(Packed { plain: digest.clone(), digest, size, form: Form::File })
}

fn pack_tree(tree: &Tree, path: &Path, to: &mut dyn Write) -> Result<Packed, ArtifactError> {
    let packed = |error| ArtifactError::io(path, "packed", error);
    let mut outer = Hashing::new(to);
    // Neither a time nor a name in its head.
    let gzip = GzBuilder::new().write(BufWriter::new(&mut outer), Compression::new(6));
    let mut inner = Hashing::new(gzip);
    write_tar(tree, MODES, &mut inner, &mut |_, _| {})?;
    let (plain, _) = inner.digest();
    let mut buffered = inner.into_inner().finish().map_err(packed)?;
    buffered.flush().map_err(packed)?;
    drop(buffered);
    let (digest, size) = outer.end();
    Ok(Packed { digest, size, form: Form::Directory, plain })
}

/// A directory as a tar archive, and what a host is to have of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackedTree {
    /// The sha256 of the archive.
    pub digest: Digest,
    /// The bytes of the archive.
    pub size: u64,
    /// The bytes of the files in it.
    pub content: u64,
    /// One line for each thing in it, sorted: kind, what it is, path. A host makes the same lines of what it has.
    pub listing: String,
}

/// Packs a directory as it is, its modes as well, without compressing it.
///
/// # Errors
/// As [`pack`].
pub fn pack_plain(path: &Path, to: &mut dyn Write) -> Result<PackedTree, ArtifactError> {
    let tree = Tree::read(path)?;
    let mut out = Hashing::new(BufWriter::new(to));
    let mut digests = Vec::new();
    write_tar(&tree, 0o7777, &mut out, &mut |entry, digest| digests.push((entry.path.clone(), digest)))?;
    let (digest, size) = out.end();
    Ok(PackedTree { digest, size, content: tree.size(), listing: tree.listing(&digests) })
}

/// Writes a tree as a tar archive: sorted, owned by root, of the first second of 1970, with those of the modes' bits.
fn write_tar(tree: &Tree, modes: u32, to: &mut dyn Write, seen: &mut dyn FnMut(&Entry, Digest)) -> Result<(), ArtifactError> {
    let mut archive = tar::Builder::new(to);
    for entry in &tree.entries {
        let failed = |error| ArtifactError::io(&entry.full, "packed", error);
        let mut header = tar::Header::new_gnu();
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1);
        header.set_mode(entry.mode & modes);
        match &entry.item {
            Item::Directory => {
                header.set_entry_type(tar::EntryType::Directory);
                header.set_size(0);
                archive.append_data(&mut header, &entry.path, io::empty()).map_err(failed)?;
            }
            Item::Link(target) => {
                header.set_entry_type(tar::EntryType::Symlink);
                header.set_mode(0o777);
                header.set_size(0);
                archive.append_link(&mut header, &entry.path, target).map_err(failed)?;
            }
            Item::File(size) => {
                header.set_size(*size);
                let file = File::open(&entry.full).map_err(failed)?;
                let mut content = Exactly { file, left: *size, hasher: Sha256::new() };
                archive.append_data(&mut header, &entry.path, &mut content).map_err(failed)?;
                seen(entry, Digest::from_hash(&content.hasher.finalize()));
            }
        }
    }
    archive.into_inner().and_then(Write::flush).map_err(|source| ArtifactError::io(Path::new("the archive"), "packed", source))
}

/// A file that is as long as it was: one that is written meanwhile would end in an archive that no tar can read.
struct Exactly {
    file: File,
    left: u64,
    hasher: Sha256,
}

impl Read for Exactly {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        if most == 0 {
            let more = self.left == 0 && self.file.read(&mut [0])? > 0;
            return if more { Err(io::Error::other("it became longer while it was packed")) } else { Ok(0) };
        }
        let read = self.file.read(&mut buffer[..most])?;
        if read == 0 {
            return Err(io::Error::other("it became shorter while it was packed"));
        }
        self.left -= read as u64;
        self.hasher.update(&buffer[..read]);
        Ok(read)
    }
}

/// Passes bytes on, and hashes them.
pub(super) struct Hashing<W> {
    to: W,
    hasher: Sha256,
    size: u64,
}

impl<W: Write> Hashing<W> {
    pub(super) fn new(to: W) -> Self {
        Self { to, hasher: Sha256::new(), size: 0 }
    }

    /// The sha256 of what was passed on, and its bytes.
    pub(super) fn digest(&self) -> (Digest, u64) {
        (Digest::from_hash(&self.hasher.clone().finalize()), self.size)
    }

    pub(super) fn end(self) -> (Digest, u64) {
        self.digest()
    }

    fn into_inner(self) -> W {
        self.to
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.to.write(bytes)?;
        self.hasher.update(&bytes[..n]);
        self.size += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn fill(root: &Path, names: &[&str], mode: u32) {
        for name in names {
            let path = root.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, name).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        }
        symlink("bin/app", root.join("app")).unwrap();
    }

    fn packed(root: &Path) -> (Packed, Vec<u8>) {
        let mut bytes = Vec::new();
        (pack(root, &mut bytes).unwrap(), bytes)
    }

    #[test]
    fn the_same_input_gives_the_same_bytes() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let long = "x".repeat(150);
        fill(one.path(), &["bin/app", "z", &long, "a/b/c"], 0o755);
        fill(two.path(), &[&long, "a/b/c", "bin/app", "z"], 0o775);
        fs::File::open(two.path().join("z")).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
        let (first, bytes) = packed(one.path());
        assert_eq!(first, packed(two.path()).0);
        assert_eq!((first.form, first.size, &first.digest), (Form::Directory, bytes.len() as u64, &Digest::of(&bytes)));
        fs::write(two.path().join("z"), "other").unwrap();
        assert_ne!(first.digest, packed(two.path()).0.digest);
    }

    #[test]
    fn tar_unpacks_it_with_modes_links_and_long_names() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let long = format!("{}/{}", "d".repeat(120), "x".repeat(150));
        fill(from.path(), &["bin/app", &long], 0o750);
        let (_, bytes) = packed(from.path());
        fs::write(to.path().join("a.tar.gz"), bytes).unwrap();
        let done = std::process::Command::new("tar").args(["-xf", "a.tar.gz"]).current_dir(to.path()).status().unwrap();
        assert!(done.success());
        assert_eq!(fs::read_to_string(to.path().join(&long)).unwrap(), long);
        assert_eq!(fs::read_to_string(to.path().join("app")).unwrap(), "bin/app");
        assert_eq!(fs::metadata(to.path().join("app")).unwrap().permissions().mode() & 0o777, 0o750);
    }

    #[test]
    fn a_file_is_taken_as_it_is() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("a.jar"), "bytes").unwrap();
        let (packed, bytes) = packed(&directory.path().join("a.jar"));
        assert_eq!((bytes.as_slice(), packed.form, packed.digest), (&b"bytes"[..], Form::File, Digest::of(b"bytes")));
    }
}
