//! Changing part of a text file: what `line` and `block` share. The file is read, changed here, and written whole.

use super::context::unexpected;
use super::{StepContext, write::show};
use crate::effect::{Attributes, Basis, Content, Effect, Reply};
use crate::id::{Digest, RemotePath};
use crate::step::StepError;

/// The largest file that is edited.
const LIMIT: u64 = 1 << 20;

/// Reads a file (nothing when it is not there), changes its text, and writes it when that made a difference. Where somebody else
/// changed it meanwhile, all of that is done anew.
pub(super) fn edit(
    cx: &mut StepContext<'_>,
    path: &RemotePath,
    change: impl Fn(&str) -> Result<String, StepError>,
) -> Result<bool, StepError> {
    let first = text(cx, path)?;
    if first.is_none() && change("")?.is_empty() {
        return Ok(false);
    }
    let mut looked = Some(first);
    let mut after = String::new();
    // Also when nothing differs: the host knows whether it was this step that made it so, before its answer was lost.
    let reply = cx.change_until(|cx, save| {
        let there = match looked.take() {
            Some(first) => first,
            None => text(cx, path)?,
        };
        after = change(there.as_deref().unwrap_or_default())?;
        let basis = there.map_or(Basis::Absent, |text| Basis::File(Digest::of(text.as_bytes())));
        let (content, attributes) = (Content::new(after.as_str()), Attributes::default());
        Ok(Effect::Write { path: path.clone(), content, attributes, validate: None, save, basis: Some(basis) })
    })?;
    let Reply::Done { changed, before } = reply else { return Err(unexpected(&reply)) };
    if changed {
        show(cx, path, before.as_ref(), &after);
    }
    Ok(changed)
}

/// The text of a file; nothing when it is not there.
fn text(cx: &mut StepContext<'_>, path: &RemotePath) -> Result<Option<String>, StepError> {
    match cx.look(&Effect::Stat { path: path.clone() })? {
        Reply::Stat(None) => Ok(None),
        Reply::Stat(Some(_)) => read(cx, path).map(Some),
        other => Err(unexpected(&other)),
    }
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
