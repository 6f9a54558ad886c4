//! `h.digest(path)`: the sha256 of a file.

use super::{Operation, StepContext, Subject, context::unexpected};
use crate::effect::{Effect, Reply};
use crate::id::{Digest, RemotePath};
use crate::step::StepError;
use serde::{Deserialize, Serialize};

/// Gives the sha256 of a file as hexadecimal text; `()` when there is no such file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileDigest {
    path: RemotePath,
}

impl Operation for FileDigest {
    const NAME: &'static str = "digest";
    const SUBJECT: Subject = Subject::Host;
    const POSITIONAL: &'static [&'static str] = &["path"];
    const PAGE: &'static str = include_str!("../../stdlib/doc/digest.md");
    type Output = Option<Digest>;

    fn run(&self, cx: &mut StepContext<'_>) -> Result<Option<Digest>, StepError> {
        match cx.look(&Effect::Digest { path: self.path.clone() })? {
            Reply::Digest(digest) => Ok(digest),
            other => Err(unexpected(&other)),
        }
    }

    fn summary(&self) -> String {
        self.path.to_string()
    }
}
