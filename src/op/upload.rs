//! `h.upload(source, path)`: a file or directory of the project, or an artifact, on the host.

use super::{Mode, Operation, StepContext, Subject, context::unexpected};
use crate::effect::{Attributes, Effect, Reply, SourceInfo, SourceName, TreeInfo};
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
    /// Of a directory: whether what else is there goes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    delete: bool,
}

/// What was sent.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Uploaded {
    /// The sha256 of the file; of a directory, that of the list of what is in it.
    pub digest: Digest,
    /// Its bytes; of a directory, those of all files in it.
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
        match cx.look(&Effect::Source { source: self.source.clone() })? {
            Reply::Source(source) => self.file(cx, source),
            Reply::Tree(tree) => self.directory(cx, tree),
            other => Err(unexpected(&other)),
        }
    }

    fn summary(&self) -> String {
        format!("{} -> {}", self.source, self.path)
    }
}

impl Upload {
    fn file(&self, cx: &mut StepContext<'_>, source: SourceInfo) -> Result<Uploaded, StepError> {
        if self.delete {
            return Err(StepError::bad_input(format!("`delete` is for directories, and {} is a file", self.source)));
        }
        if let Some(wanted) = &self.sha256
            && !wanted.eq_ignore_ascii_case(source.digest.as_str())
        {
            return Err(StepError::bad_input(format!("{} has sha256 {}, expected {wanted}", self.source, source.digest)));
        }
        let mode = self.mode.map_or(source.mode & 0o777, Mode::bits);
        let attributes = Attributes { mode: Some(mode), owner: self.owner.clone(), group: self.group.clone() };
        let (digest, size) = (source.digest.clone(), source.size);
        let changed = cx.apply(|save| Effect::Upload {
            path: self.path.clone(),
            source: source.path,
            digest: source.digest,
            size,
            attributes,
            save,
        })?;
        Ok(Uploaded { digest, size, changed })
    }

    fn directory(&self, cx: &mut StepContext<'_>, tree: TreeInfo) -> Result<Uploaded, StepError> {
        let own = [("mode", self.mode.is_some()), ("sha256", self.sha256.is_some())];
        if let Some((option, _)) = own.iter().find(|(_, given)| *given) {
            let message = format!("`{option}` is for files, and {} is a directory", self.source);
            return Err(StepError::bad_input(message).with_help("each of its files keeps the mode that it has in the project"));
        }
        let (digest, size) = (tree.listing.digest(), tree.size);
        let (path, owner, group) = (self.path.clone(), self.owner.clone(), self.group.clone());
        let changed = cx.apply(|save| Effect::UploadTree { path, tree, owner, group, delete: self.delete, save })?;
        Ok(Uploaded { digest, size, changed })
    }
}
