//! Reading an archive back: what a host would make of it, in memory.

use crate::effect::Content;
use std::io::{self, Read};

/// One thing in an archive.
#[derive(Debug, Clone)]
pub struct ArchiveMember {
    /// Its name in the archive, as it stands there.
    pub path: String,
    /// Permission bits.
    pub mode: u32,
    /// Seconds since 1970-01-01 UTC.
    pub modified: i64,
    /// What it is.
    pub item: ArchiveItem,
}

/// What a thing in an archive is.
#[derive(Debug, Clone)]
pub enum ArchiveItem {
    /// A directory.
    Directory,
    /// A file with these bytes.
    File(Content),
    /// A symbolic link to there.
    Link(String),
    /// Another name of a file that came before.
    Same(String),
}

/// What is in a tar archive, plain or behind gzip, in its order.
///
/// # Errors
/// When it is no such archive, or not whole.
pub fn members(bytes: &[u8]) -> io::Result<Vec<ArchiveMember>> {
    if bytes.is_empty() {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "an archive of no bytes"));
    }
    if bytes.starts_with(&[0x1f, 0x8b]) {
        let mut plain = Vec::new();
        // To its end: the checksum comes last.
        flate2::read::MultiGzDecoder::new(bytes).read_to_end(&mut plain)?;
        return read(&plain);
    }
    read(bytes)
}

fn read(plain: &[u8]) -> io::Result<Vec<ArchiveMember>> {
    let mut archive = tar::Archive::new(plain);
    archive.entries()?.map(|entry| member(entry?)).filter_map(io::Result::transpose).collect()
}

fn member(mut entry: tar::Entry<'_, &[u8]>) -> io::Result<Option<ArchiveMember>> {
    let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
    let link = entry.link_name_bytes().map(|name| String::from_utf8_lossy(&name).into_owned()).unwrap_or_default();
    let (mode, modified) = (entry.header().mode()? & 0o7777, entry.header().mtime()?);
    let modified = i64::try_from(modified).unwrap_or(i64::MAX);
    let item = match entry.header().entry_type() {
        tar::EntryType::Directory => ArchiveItem::Directory,
        tar::EntryType::Symlink => ArchiveItem::Link(link),
        tar::EntryType::Link => ArchiveItem::Same(link),
        kind if kind.is_file() || kind.is_contiguous() || kind.is_gnu_sparse() => {
            let mut content = Vec::new();
            entry.read_to_end(&mut content)?;
            ArchiveItem::File(Content::new(content))
        }
        // A pipe or a device: no release has one.
        _ => return Ok(None),
    };
    Ok(Some(ArchiveMember { path, mode, modified, item }))
}
