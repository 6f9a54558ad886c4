//! What a store of artifacts can do, wherever it lies.

use super::{ArtifactError, ArtifactName, Version};
use crate::id::Digest;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// An artifact in a store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Artifact {
    /// What it is called.
    pub name: ArtifactName,
    /// Which build of it.
    pub version: Version,
    /// The sha256 of its bytes.
    pub digest: Digest,
    /// How many bytes.
    pub size: u64,
    /// What the bytes are.
    pub form: Form,
    /// The sha256 of the archive before it was compressed; of the file, for a file.
    pub plain: Digest,
    /// When it was added, in milliseconds since 1970-01-01 UTC.
    pub added: i64,
    /// Who added it, as `user@machine`.
    pub by: String,
}

/// What the bytes of an artifact are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// A file, as it was given.
    File,
    /// A directory, packed by tar and gzip.
    Directory,
}

impl Form {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Directory => "directory",
        }
    }
}

/// What is to be added.
#[derive(Debug, Clone)]
pub struct Incoming<'a> {
    /// What it is to be called.
    pub name: ArtifactName,
    /// Which build of it.
    pub version: Version,
    /// The file or directory.
    pub path: &'a Path,
    /// The time, in milliseconds since 1970-01-01 UTC.
    pub at: i64,
    /// Who adds it.
    pub by: String,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Added {
    /// It was not there.
    New(Artifact),
    /// The same content was there under that name and version.
    There(Artifact),
}

impl Added {
    /// What is there now.
    #[must_use]
    pub fn artifact(&self) -> &Artifact {
        match self {
            Self::New(artifact) | Self::There(artifact) => artifact,
        }
    }
}

/// What is wrong with a kept content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Damage {
    /// Its name in the store: the sha256 that it must have.
    pub digest: Digest,
    /// The sha256 that it has; nothing when it is gone or cannot be read.
    pub found: Option<Digest>,
    /// The artifacts whose content it is, as `name version`; none when nothing names it.
    pub of: Vec<String>,
}

/// What dropping freed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dropped {
    /// What is gone.
    pub artifact: Artifact,
    /// Bytes that are free now: none when another name has the same content.
    pub freed: u64,
}

/// Keeps artifacts by the sha256 of their content, with an index of names and versions. Any number of processes may use one.
pub trait Store: Send + Sync {
    /// Packs and keeps a file or directory. It is there whole, or not at all.
    ///
    /// # Errors
    /// [`ArtifactError::Different`] when that version has another content; when it cannot be packed or written.
    fn add(&self, incoming: &Incoming<'_>) -> Result<Added, ArtifactError>;

    /// Everything that is kept, by name, newest first.
    ///
    /// # Errors
    /// When the index cannot be read.
    fn list(&self) -> Result<Vec<Artifact>, ArtifactError>;

    /// A file of this machine that has the content of this digest, as it is kept: whoever uses it checks it.
    ///
    /// # Errors
    /// [`ArtifactError::Gone`] when it is not there.
    fn fetch(&self, name: &ArtifactName, version: &Version, digest: &Digest) -> Result<PathBuf, ArtifactError>;

    /// Hashes every content again.
    ///
    /// # Errors
    /// When the store cannot be read at all.
    fn verify(&self) -> Result<Vec<Damage>, ArtifactError>;

    /// Takes these away, and contents that nothing names any more. Gives what went, and the bytes of nameless contents.
    ///
    /// # Errors
    /// [`ArtifactError::Busy`] while anybody works with the store; when it cannot be written.
    fn remove(&self, artifacts: &[Artifact]) -> Result<(Vec<Dropped>, u64), ArtifactError>;
}
