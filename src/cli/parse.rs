//! Words of the command line, read once: what is wrong with one is told before anything begins.

use crate::artifact::{ArtifactName, Version};
use crate::id::{RunId, StepKey};

pub(super) fn parse_pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE".to_owned()),
    }
}

/// What `--answer` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The question's name.
    pub name: String,
    /// The answer.
    pub value: String,
}

pub(super) fn parse_answer(text: &str) -> Result<Answer, String> {
    parse_pair(text).map(|(name, value)| Answer { name, value })
}

pub(super) fn parse_pin(text: &str) -> Result<(ArtifactName, Version), String> {
    let (name, version) = text.split_once('=').ok_or("write NAME=VERSION")?;
    let name = ArtifactName::parse(name).map_err(|error| error.to_string())?;
    Ok((name, Version::parse(version).map_err(|error| error.to_string())?))
}

pub(super) fn parse_step(text: &str) -> Result<StepKey, String> {
    StepKey::parse(text).map_err(|error| error.to_string())
}

/// The name of a run that this ledger need not know.
pub(super) fn parse_run(text: &str) -> Result<RunId, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let right = !text.is_empty() && text.chars().all(plain);
    if right {
        RunId::parse(text).map_err(|bad| bad.to_string())
    } else {
        Err("a run is named as in 20261123-1518-wqpz".to_owned())
    }
}

pub(super) fn parse_crash(text: &str) -> Result<crate::run::Crash, String> {
    let (before, number) = text.strip_prefix("before:").map_or((false, text), |number| (true, number));
    let record = number.parse().map_err(|_| "write a record's number".to_owned())?;
    Ok(crate::run::Crash { record, before })
}
