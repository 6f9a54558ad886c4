//! A payload, read in pieces: a large file is never whole in memory.

use super::shell::Payload;
use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const PIECE: usize = 256 << 10;

/// What is left of a payload.
pub(super) enum PayloadReader {
    Bytes { content: crate::effect::Content, at: usize },
    File { file: File, left: u64, sent: Arc<AtomicU64> },
}

impl PayloadReader {
    pub(super) fn open(payload: &Payload) -> io::Result<Self> {
        match payload {
            Payload::Bytes(content) => Ok(Self::Bytes { content: content.clone(), at: 0 }),
            Payload::File { path, size, sent } => {
                let named =
                    |error: io::Error| io::Error::new(error.kind(), format!("{} cannot be read: {error}", path.display()));
                let file = File::open(path).map_err(named)?;
                let now = file.metadata().map_err(named)?.len();
                if now == *size {
                    sent.store(0, Ordering::Relaxed);
                    Ok(Self::File { file, left: *size, sent: sent.clone() })
                } else {
                    Err(io::Error::other(format!("{} had {size} bytes and has {now} now", path.display())))
                }
            }
        }
    }

    /// Appends the next piece; `false` when nothing is left.
    pub(super) fn fill(&mut self, out: &mut Vec<u8>) -> io::Result<bool> {
        match self {
            Self::Bytes { content, at } => {
                let rest = &content.bytes()[*at..];
                let piece = &rest[..rest.len().min(PIECE)];
                out.extend_from_slice(piece);
                *at += piece.len();
                Ok(!piece.is_empty())
            }
            Self::File { left: 0, .. } => Ok(false),
            Self::File { file, left, sent } => {
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
