//! `h.read(path)`: the text of a file.

use super::{Operation, StepContext, Subject, context::unexpected};
use crate::effect::{Effect, Reply};
use crate::id::RemotePath;
use crate::step::StepError;
use serde::{Deserialize, Serialize};

/// Reads a text file of up to 1 MiB.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Read {
    path: RemotePath,
}

const LIMIT: u64 = 1 << 20;

impl Operation for Read {
    const NAME: &'static str = "read";
    const SUBJECT: Subject = Subject::Host;
    const POSITIONAL: &'static [&'static str] = &["path"];
    const PAGE: &'static str = include_str!("../../stdlib/doc/read.md");
    type Output = String;

    fn run(&self, cx: &mut StepContext<'_>) -> Result<String, StepError> {
        match cx.look(&Effect::Read { path: self.path.clone(), limit: LIMIT })? {
            Reply::Content(content) => match content.text() {
                Some(text) => Ok(text.to_owned()),
                None => Err(StepError::failed(format!("{} is not text (UTF-8)", self.path)).with_help("compare it by `h.digest(path)`")),
            },
            other => Err(unexpected(&other)),
        }
    }

    fn summary(&self) -> String {
        self.path.to_string()
    }
}
