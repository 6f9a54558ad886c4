//! Changing part of a text file: what `line` and `block` share. The file is read, changed here, and written whole.

use super::context::unexpected;
use super::{StepContext, write::put};
use crate::effect::{Attributes, Content, Effect, Reply};
use crate::id::RemotePath;
use crate::step::StepError;

/// The largest file that is edited.
const LIMIT: u64 = 1 << 20;

/// Reads a file (nothing when it is not there), changes its text, and writes it when that made a difference.
pub(super) fn edit(
    cx: &mut StepContext<'_>,
    path: &RemotePath,
    change: impl FnOnce(&str) -> Result<String, StepError>,
) -> Result<bool, StepError> {
    let there = match cx.look(&Effect::Stat { path: path.clone() })? {
        Reply::Stat(stat) => stat.is_some(),
        other => return Err(unexpected(&other)),
    };
    let before = if there { read(cx, path)? } else { String::new() };
    let after = change(&before)?;
    if !there && after.is_empty() {
        return Ok(false);
    }
    // Also when nothing differs: the host knows whether it was this step that made it so, before its answer was lost.
    put(cx, path, &Content::new(after), Attributes::default(), None)
}

/// The lines of a text, without their ends; a carriage return stays.
pub(super) fn lines(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.split('\n').collect();
    if lines.last().is_some_and(|last| last.is_empty()) {
        lines.pop();
    }
    lines
}

fn read(cx: &mut StepContext<'_>, path: &RemotePath) -> Result<String, StepError> {
    match cx.look(&Effect::Read { path: path.clone(), limit: LIMIT })? {
        Reply::Content(content) => match content.text() {
            Some(text) => Ok(text.to_owned()),
            None => Err(StepError::failed(format!("{path} is not text (UTF-8), so it is not edited"))),
        },
        other => Err(unexpected(&other)),
    }
}
