//! The content of a file or of standard input. The journal keeps its digest and size, never the bytes: they may hold a
//! secret, and may be large.

use crate::id::Digest;
use base64::Engine as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::sync::Arc;

/// Bytes that are shared, not copied, and that print and serialize as digest and size.
#[derive(Clone, PartialEq, Eq)]
pub struct Content(Arc<[u8]>);

impl Content {
    /// Takes these bytes.
    #[must_use]
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(Arc::from(bytes.into()))
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Their sha256.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(&self.0)
    }

    /// The text, when it is UTF-8.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// The bytes as base64, for the few places that must carry them as text.
    #[must_use]
    pub fn to_base64(&self) -> String {
        base64::engine::general_purpose::STANDARD.encode(&self.0)
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes, sha256 {}", self.0.len(), self.digest().short())
    }
}

#[derive(Serialize, Deserialize)]
#[serde(untagged, expecting = "a text")]
enum Form {
    Digest { sha256: Digest, bytes: usize },
    Text(String),
}

impl Serialize for Content {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        Form::Digest { sha256: self.digest(), bytes: self.0.len() }.serialize(to)
    }
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        match Form::deserialize(from)? {
            Form::Text(text) => Ok(Self::new(text)),
            Form::Digest { .. } => Err(serde::de::Error::custom("only the digest of this content was kept, not its bytes")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_journal_form_holds_no_bytes() {
        let kept = serde_json::to_string(&Content::new("hunter2")).unwrap();
        assert!(!kept.contains("hunter2"), "{kept}");
        assert!(kept.contains("\"bytes\":7"), "{kept}");
    }

    #[test]
    fn a_script_gives_plain_text() {
        let content: Content = serde_json::from_str("\"port = 1\\n\"").unwrap();
        assert_eq!(content.bytes(), b"port = 1\n");
    }
}
