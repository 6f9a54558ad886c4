//! `h.upload(source, path)`: a file of the project, or an artifact, on the host.

use super::{Mode, Operation, StepContext, Subject, context::unexpected};
use crate::effect::{Attributes, Effect, Reply, SourceName};
use crate::id::{Digest, RemotePath};
use crate::step::StepError;
use serde::{Deserialize, Serialize};

/// Sends a file: streamed, digest-checked on the host, renamed into place; what is there already is not sent.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Upload {
    source: SourceName,
    path: RemotePath,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mode: Option<Mode>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    group: Option<String>,
    /// The sha256 that the file must have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
}

/// What was sent.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Uploaded {
    /// The sha256 of the file.
    pub digest: Digest,
    /// Its bytes.
    pub size: u64,
    /// Whether it had to be sent.
    pub changed: bool,
}

impl Operation for Upload {
    const NAME: &'static str = "upload";
    const SUBJECT: Subject = Subject::Host;
    const POSITIONAL: &'static [&'static str] = &["source", "path"];
    const PAGE: &'static str = include_str!("../../stdlib/doc/upload.md");
    type Output = Uploaded;

    fn run(&self, cx: &mut StepContext<'_>) -> Result<Uploaded, StepError> {
        let source = match cx.look(&Effect::Source { source: self.source.clone() })? {
            Reply::Source(source) => source,
            other => return Err(unexpected(&other)),
        };
        if let Some(wanted) = &self.sha256
            && !wanted.eq_ignore_ascii_case(source.digest.as_str())
        {
            return Err(StepError::bad_input(format!("{} has sha256 {}, expected {wanted}", self.source, source.digest)));
        }
        let mode = self.mode.map_or(source.mode & 0o777, Mode::bits);
        let attributes = Attributes { mode: Some(mode), owner: self.owner.clone(), group: self.group.clone() };
        let (digest, size) = (source.digest.clone(), source.size);
        let changed = cx.apply(|save| Effect::Upload { path: self.path.clone(), source: source.path, digest: source.digest, size, attributes, save })?;
        Ok(Uploaded { digest, size, changed })
    }

    fn summary(&self) -> String {
        format!("{} -> {}", self.source, self.path)
    }
}
