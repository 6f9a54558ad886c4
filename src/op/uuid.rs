//! `uuid()`: a name that nothing else has.

use super::{Operation, StepContext, Subject, context::unexpected};
use crate::effect::{Effect, Reply};
use crate::step::{ErrorKind, StepError};
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;

/// Gives a random UUID (version 4). A resumed run is given the same one again.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Uuid {}

impl Operation for Uuid {
    const NAME: &'static str = "uuid";
    const SUBJECT: Subject = Subject::Controller;
    const POSITIONAL: &'static [&'static str] = &[];
    const PAGE: &'static str = include_str!("../../stdlib/doc/uuid.md");
    type Output = String;

    fn run(&self, cx: &mut StepContext<'_>) -> Result<String, StepError> {
        let content = match cx.look(&Effect::Entropy { bytes: 16 })? {
            Reply::Content(content) => content,
            other => return Err(unexpected(&other)),
        };
        let bytes: [u8; 16] = content
            .bytes()
            .try_into()
            .map_err(|_| StepError::new(ErrorKind::Internal, "sixteen random bytes were asked for, and others came"))?;
        Ok(version_4(bytes))
    }

    fn summary(&self) -> String {
        String::new()
    }
}

fn version_4(mut bytes: [u8; 16]) -> String {
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    bytes.iter().enumerate().fold(String::with_capacity(36), |mut text, (n, byte)| {
        let dash = if matches!(n, 4 | 6 | 8 | 10) { "-" } else { "" };
        // Writing to a String cannot fail.
        let _ = write!(text, "{dash}{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::version_4;

    #[test]
    fn version_and_variant_are_set() {
        assert_eq!(version_4([0xff; 16]), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(version_4([0; 16]), "00000000-0000-4000-8000-000000000000");
    }
}
