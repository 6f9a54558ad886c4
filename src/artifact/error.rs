//! Why something could not be packed, kept or found.

use super::{ArtifactName, Version};
use crate::id::{Digest, RunId};
use std::path::{Path, PathBuf};

/// Why something could not be packed, kept or found.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the sentence of each variant tells what its fields are")]
pub enum ArtifactError {
    /// Reading or writing failed.
    #[error("{} cannot be {what}: {source}", path.display())]
    Io { path: PathBuf, what: &'static str, source: std::io::Error },
    /// Something that has no place in a bundle.
    #[error("{} is {what}; only files, directories and symbolic links are packed", path.display())]
    Special { path: PathBuf, what: &'static str },
    /// A link that means something else on a host.
    #[error("the link {} leads out of what is packed, to {target}", path.display())]
    Escapes { path: PathBuf, target: String },
    /// A name that not every host can take.
    #[error("the name of {} {why}", path.display())]
    Name { path: PathBuf, why: &'static str },
    /// It is another thing than the one that is kept under that version.
    #[error("{name} {version} is in the store already, with other content: sha256 {kept} there, {given} here")]
    Different { name: ArtifactName, version: Version, kept: Digest, given: Digest },
    /// Nothing of that name.
    #[error("there is no artifact `{name}` in the store")]
    NoName { name: String, known: Vec<String> },
    /// No such version.
    #[error("there is no version `{version}` of {name} in the store")]
    NoVersion { name: ArtifactName, version: String, known: Vec<String> },
    /// The content is gone.
    #[error("the content of {name} {version} (sha256 {digest}) is gone from the store")]
    Gone { name: ArtifactName, version: Version, digest: Digest },
    /// A file of the project that a rollback needs, and that the run which it goes back to never read.
    #[error("`{name}` was not read by run {run}, so what it was then is not known")]
    NeverRead { name: String, run: RunId },
    /// A file of the project as a run read it is gone.
    #[error("`{name}` as the run read it first (sha256 {digest}) is gone from {}", place.display())]
    KeptGone { name: String, digest: Digest, place: PathBuf },
    /// A file of the index that is none.
    #[error("{} is no entry of an artifact: {why}", path.display())]
    Index { path: PathBuf, why: String },
    /// Somebody else uses the store.
    #[error("the store {} is in use: a run, or another `artifact` command, works with it", path.display())]
    Busy { path: PathBuf },
}

impl ArtifactError {
    pub(super) fn io(path: &Path, what: &'static str, source: std::io::Error) -> Self {
        Self::Io { path: path.to_owned(), what, source }
    }

    /// What to try.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        let listed = |known: &[String]| {
            let shown: Vec<&str> = known.iter().take(12).map(String::as_str).collect();
            let more =
                if known.len() > shown.len() { format!(", and {} more", known.len() - shown.len()) } else { String::new() };
            format!("{}{more}", shown.join(", "))
        };
        Some(match self {
            Self::Io { source, .. }
                if matches!(
                    source.kind(),
                    std::io::ErrorKind::ReadOnlyFilesystem
                        | std::io::ErrorKind::StorageFull
                        | std::io::ErrorKind::PermissionDenied
                        | std::io::ErrorKind::QuotaExceeded
                ) =>
            {
                "is the disk full, or the directory not writable?".to_owned()
            }
            Self::Io { .. } | Self::Special { .. } | Self::Index { .. } => return None,
            Self::Escapes { .. } => "make it relative to something inside, or copy what it points to".to_owned(),
            Self::Name { .. } => "rename it".to_owned(),
            Self::Different { .. } => "a version means one content for ever; give the new build a version of its own".to_owned(),
            Self::NoName { known, .. } if known.is_empty() => {
                "the store is empty; windlass artifact add NAME VERSION PATH puts something into it".to_owned()
            }
            Self::NoName { known, .. } => format!("the store has: {}", listed(known)),
            Self::NoVersion { known, .. } => format!("newest first, it has: {}", listed(known)),
            Self::Gone { name, version, .. } => {
                format!("add the same build again: windlass artifact add {name} {version} PATH")
            }
            Self::NeverRead { .. } => {
                "the release of that run cannot be made whole again; deploy that version with the files of today: windlass run"
                    .to_owned()
            }
            Self::KeptGone { name, .. } => format!("put the same file back as {name} into the project, and try again"),
            Self::Busy { .. } => "try again once it has ended".to_owned(),
        })
    }
}
