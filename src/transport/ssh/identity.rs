//! A file with a key: which key it is, and whether its private half is locked. OpenSSH keeps the public half of its own
//! format readable, so that a key can be offered before anybody is asked for a passphrase.

use super::wire::{Reader, kind_of};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::path::{Path, PathBuf};

/// A key in a file.
#[derive(Debug, Clone)]
pub(super) struct Identity {
    pub(super) file: PathBuf,
    /// As SSH writes it; not known for a private key in another format without a `.pub` beside it.
    pub(super) public: Option<Vec<u8>>,
    pub(super) private: Private,
}

/// The private half.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Private {
    /// It can be used.
    Open,
    /// It is in OpenSSH's own format, and encrypted.
    Locked,
    /// It is in another format, and encrypted.
    LockedElsewhere,
    /// It is not in the file: in the agent, perhaps, or in a security key.
    Away,
}

const MAGIC: &[u8] = b"openssh-key-v1\0";
const BEGIN: &str = "-----BEGIN OPENSSH PRIVATE KEY-----";

impl Identity {
    /// Looks into a file and the one with its public half; nothing when neither is there.
    pub(super) fn read(file: &Path) -> Option<Self> {
        let beside = public(&with_ending(file, ".pub")).map(|(blob, _)| blob);
        let Ok(text) = std::fs::read_to_string(file) else {
            return beside.map(|public| Self { file: file.to_owned(), public: Some(public), private: Private::Away });
        };
        let (public, private) = if let Some((public, cipher)) = openssh(&text) {
            let away = kind_of(&public).is_some_and(|kind| kind.starts_with("sk-"));
            let private = if away {
                Private::Away
            } else if cipher == b"none" {
                Private::Open
            } else {
                Private::Locked
            };
            (Some(public), private)
        } else if let Some((blob, _)) = line(&text) {
            (Some(blob), Private::Away)
        } else if text.contains("ENCRYPTED") {
            (beside, Private::LockedElsewhere)
        } else {
            (beside, Private::Open)
        };
        Some(Self { file: file.to_owned(), public, private })
    }

    /// The public half as a line of a `.pub` file.
    pub(super) fn line(&self) -> Option<String> {
        let public = self.public.as_ref()?;
        Some(format!("{} {}", kind_of(public)?, STANDARD.encode(public)))
    }
}

/// A key or certificate of a `.pub` file, and the line as it stands there.
pub(super) fn public(file: &Path) -> Option<(Vec<u8>, String)> {
    let text = std::fs::read_to_string(file).ok()?;
    line(&text)
}

/// The path with something after it.
pub(super) fn with_ending(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

fn line(text: &str) -> Option<(Vec<u8>, String)> {
    let line = text.lines().next()?.trim();
    let mut words = line.split_whitespace();
    let (kind, blob) = (words.next()?, STANDARD.decode(words.next()?).ok()?);
    (kind_of(&blob) == Some(kind)).then(|| (blob, line.to_owned()))
}

/// The public half of a private key in OpenSSH's format, and the name of the cipher of the other one.
fn openssh(text: &str) -> Option<(Vec<u8>, Vec<u8>)> {
    let body: String = text.trim_start().strip_prefix(BEGIN)?.lines().take_while(|line| !line.starts_with('-')).collect();
    let bytes = STANDARD.decode(body.trim()).ok()?;
    let mut reader = Reader(bytes.strip_prefix(MAGIC)?);
    let cipher = reader.text()?.to_vec();
    reader.text()?; // how the passphrase becomes a key
    reader.text()?; // with what
    reader.number()?; // how many keys: one
    Some((reader.text()?.to_vec(), cipher))
}
