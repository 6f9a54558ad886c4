//! `h.unpack(archive, directory)`: an archive that lies on the host, unpacked.

use super::{Operation, StepContext, Subject};
use crate::effect::Effect;
use crate::id::{Digest, RemotePath};
use crate::step::StepError;
use serde::{Deserialize, Serialize};

/// Unpacks a tar archive (plain, gzip, xz, zstd, bzip2) into a directory of its own, which appears whole or not at all.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unpack {
    archive: RemotePath,
    directory: RemotePath,
    /// Leading path components to drop from the names in the archive.
    #[serde(default)]
    strip: u32,
    /// The sha256 that the archive must have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
}

impl Operation for Unpack {
    const NAME: &'static str = "unpack";
    const SUBJECT: Subject = Subject::Host;
    const POSITIONAL: &'static [&'static str] = &["archive", "directory"];
    const PAGE: &'static str = include_str!("../../stdlib/doc/unpack.md");
    type Output = bool;

    fn run(&self, cx: &mut StepContext<'_>) -> Result<bool, StepError> {
        let (archive, directory) = (self.archive.clone(), self.directory.clone());
        let digest = self.sha256.as_deref().map(Digest::parse).transpose();
        let digest = digest.map_err(|error| StepError::bad_input(error.to_string()))?;
        cx.apply(|save| Effect::Unpack { archive, directory, strip: self.strip, digest, save })
    }

    fn summary(&self) -> String {
        format!("{} -> {}", self.archive, self.directory)
    }
}
