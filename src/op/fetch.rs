//! `h.fetch(path, to)`: a file of a host in the project.

use super::size::Size;
use super::{Operation, StepContext, Subject, context::unexpected};
use crate::effect::{Effect, Reply};
use crate::id::{Digest, RemotePath};
use crate::step::StepError;
use serde::{Deserialize, Serialize};

/// Keeps a file of the host in the project: in pieces, digest-checked, renamed into place. The same content is not sent.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fetch {
    path: RemotePath,
    /// A path of the project, as in `"fetched/web1/app.log"`.
    to: String,
    /// A larger one is not fetched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    limit: Option<Size>,
}

/// What is fetched where nothing is said: a host may have files of any size.
const USUAL: Size = Size::from_bytes(1 << 30);

/// What was fetched.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Fetched {
    /// Where it is in the project.
    pub path: String,
    /// Its sha256.
    pub digest: Digest,
    /// Its bytes.
    pub size: u64,
    /// Whether the project had it otherwise, or not at all.
    pub changed: bool,
}

impl Operation for Fetch {
    const NAME: &'static str = "fetch";
    const SUBJECT: Subject = Subject::Host;
    const POSITIONAL: &'static [&'static str] = &["path", "to"];
    const PAGE: &'static str = include_str!("../../stdlib/doc/fetch.md");
    type Output = Fetched;

    fn run(&self, cx: &mut StepContext<'_>) -> Result<Fetched, StepError> {
        match cx.look(&Effect::Fetch { path: self.path.clone(), to: self.to.clone(), limit: self.limit.unwrap_or(USUAL).bytes() })? {
            Reply::Fetched { digest, size, changed } => Ok(Fetched { path: self.to.clone(), digest, size, changed }),
            other => Err(unexpected(&other)),
        }
    }

    fn summary(&self) -> String {
        format!("{} -> {}", self.path, self.to)
    }
}
