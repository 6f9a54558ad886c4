//! What a simulated file holds: bytes, or what is known of them where they are not at hand.

use crate::effect::{Content, EffectError};
use crate::id::Digest;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// The content of a simulated file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Blob {
    /// These bytes.
    Bytes(Bytes),
    /// A file of the controller that was sent, by its digest; its bytes are read where they are asked for.
    Sent {
        /// Its sha256.
        digest: Digest,
        /// Its bytes.
        size: u64,
        /// Where it lies on the controller.
        from: String,
    },
    /// A file of the layer below, at this path of it, which nothing has changed yet.
    Below {
        /// Its path there.
        path: String,
        /// Its bytes.
        size: u64,
    },
    /// What a command wrote that was not run: nobody knows.
    Unknown {
        /// What it would have been written by.
        by: String,
    },
}

impl Blob {
    /// These bytes.
    #[must_use]
    pub(super) fn of(bytes: impl Into<Vec<u8>>) -> Self {
        Self::Bytes(Bytes(Content::new(bytes)))
    }

    /// How many bytes it has, as far as that is known.
    #[must_use]
    pub(super) fn size(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.0.bytes().len() as u64,
            Self::Sent { size, .. } | Self::Below { size, .. } => *size,
            Self::Unknown { .. } => 0,
        }
    }

    /// Its bytes, where they are at hand without asking another layer.
    ///
    /// # Errors
    /// When the file of the controller that was sent cannot be read any more.
    pub(super) fn at_hand(&self) -> Result<Option<Content>, EffectError> {
        match self {
            Self::Bytes(bytes) => Ok(Some(bytes.0.clone())),
            Self::Sent { from, .. } => match std::fs::read(from) {
                Ok(bytes) => Ok(Some(Content::new(bytes))),
                Err(error) => Err(EffectError::failed(format!("{from}, which was sent, cannot be read again: {error}"))),
            },
            Self::Unknown { .. } => Ok(Some(Content::new(Vec::new()))),
            Self::Below { .. } => Ok(None),
        }
    }

    /// Its digest, where it is known without asking another layer.
    #[must_use]
    pub(super) fn digest(&self) -> Option<Digest> {
        match self {
            Self::Bytes(bytes) => Some(bytes.0.digest()),
            Self::Sent { digest, .. } => Some(digest.clone()),
            // Of its own, so that it is equal to nothing that is known.
            Self::Unknown { by } => Some(Digest::of(format!("unknown, written by {by}").as_bytes())),
            Self::Below { .. } => None,
        }
    }
}

/// Bytes that are written down whole, as text where they are text: a simulated world holds what it holds.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Bytes(pub(super) Content);

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Form {
    Text(String),
    Base64(String),
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0.text() {
            Some(text) => Form::Text(text.to_owned()).serialize(to),
            None => Form::Base64(self.0.to_base64()).serialize(to),
        }
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        use base64::Engine as _;
        match Form::deserialize(from)? {
            Form::Text(text) => Ok(Self(Content::new(text))),
            Form::Base64(text) => {
                let bytes = base64::engine::general_purpose::STANDARD.decode(text).map_err(serde::de::Error::custom)?;
                Ok(Self(Content::new(bytes)))
            }
        }
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
