//! A payload, read in pieces: a large file is never whole in memory.

use super::frame::Beginning;
use super::shell::Payload;
use crate::id::Digest;
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const PIECE: usize = 256 << 10;

/// What is left of a payload.
pub(super) struct PayloadReader {
    /// Where it starts, as a line of its own, for a function that said what it has.
    head: Vec<u8>,
    rest: Rest,
}

enum Rest {
    Bytes { content: crate::effect::Content, at: usize },
    File { file: File, left: u64, sent: Arc<AtomicU64> },
}

impl PayloadReader {
    /// Opens it: behind its beginning, when that is what the other side has.
    pub(super) fn open(payload: &Payload, from: Option<&Beginning>) -> io::Result<Self> {
        let (rest, start) = match payload {
            Payload::Bytes(content) => (Rest::Bytes { content: content.clone(), at: 0 }, 0),
            Payload::File { path, size, sent } => {
                let named =
                    |error: io::Error| io::Error::new(error.kind(), format!("{} cannot be read: {error}", path.display()));
                let mut file = File::open(path).map_err(named)?;
                let now = file.metadata().map_err(named)?.len();
                if now != *size {
                    return Err(io::Error::other(format!("{} had {size} bytes and has {now} now", path.display())));
                }
                let start = from.map_or(Ok(0), |from| agreed(&mut file, *size, from)).map_err(named)?;
                file.seek(SeekFrom::Start(start)).map_err(named)?;
                sent.store(start, Ordering::Relaxed);
                (Rest::File { file, left: size - start, sent: sent.clone() }, start)
            }
        };
        let head = from.map(|_| format!("{start}\n").into_bytes()).unwrap_or_default();
        Ok(Self { head, rest })
    }

    /// Reads these bytes.
    pub(super) fn of(bytes: Vec<u8>) -> Self {
        Self { head: Vec::new(), rest: Rest::Bytes { content: crate::effect::Content::new(bytes), at: 0 } }
    }

    /// Appends the next piece; `false` when nothing is left.
    pub(super) fn fill(&mut self, out: &mut Vec<u8>) -> io::Result<bool> {
        let headed = !self.head.is_empty();
        out.append(&mut self.head);
        match &mut self.rest {
            Rest::Bytes { content, at } => {
                let rest = &content.bytes()[*at..];
                let piece = &rest[..rest.len().min(PIECE)];
                out.extend_from_slice(piece);
                *at += piece.len();
                Ok(headed || !piece.is_empty())
            }
            Rest::File { left: 0, .. } => Ok(headed),
            Rest::File { file, left, sent } => {
                let read = file.by_ref().take((*left).min(PIECE as u64)).read_to_end(out)?;
                if read == 0 {
                    return Err(io::Error::other("the file became shorter while it was sent"));
                }
                *left -= read as u64;
                sent.fetch_add(read as u64, Ordering::Relaxed);
                Ok(true)
            }
        }
    }
}

/// How much of the file the other side has: all that it says, or nothing when that is another file's.
fn agreed(file: &mut File, size: u64, from: &Beginning) -> io::Result<u64> {
    if from.size > size {
        return Ok(0);
    }
    let (mut hasher, mut piece, mut left) = (Sha256::new(), vec![0_u8; PIECE], from.size);
    while left > 0 {
        let most = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
        let read = file.read(&mut piece[..most])?;
        if read == 0 {
            return Ok(0);
        }
        hasher.update(&piece[..read]);
        left -= read as u64;
    }
    Ok(if Digest::from_hash(&hasher.finalize()) == from.digest { from.size } else { 0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn sent(text: &str, size: u64, beginning: &str) -> String {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let payload = Payload::File { path: file.path().to_owned(), size: text.len() as u64, sent: Arc::default() };
        let from = Beginning { size, digest: Digest::of(beginning.as_bytes()) };
        let mut reader = PayloadReader::open(&payload, Some(&from)).unwrap();
        let mut out = Vec::new();
        while reader.fill(&mut out).unwrap() {}
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_has_arrived_is_not_sent_again() {
        assert_eq!(sent("abcdef", 4, "abcd"), "4\nef");
        assert_eq!(sent("abcdef", 6, "abcdef"), "6\n");
    }

    #[test]
    fn another_beginning_counts_for_nothing() {
        assert_eq!(sent("abcdef", 4, "abXd"), "0\nabcdef");
        assert_eq!(sent("abc", 4, "abcd"), "0\nabc");
    }
}
