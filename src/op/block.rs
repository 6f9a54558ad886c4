//! `h.block(path, #{marker, text})`: lines of a file that belong to the deployment.

use super::edit::{edit, lines as lines_of};
use super::{Operation, StepContext, Subject};
use crate::id::RemotePath;
use crate::step::StepError;
use serde::{Deserialize, Serialize};

/// Keeps a block of lines between two marked lines of a file; an empty text takes the block away.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Block {
    path: RemotePath,
    /// Sets this block apart from others in the file.
    marker: String,
    /// The lines.
    text: String,
    /// What begins a comment in this file; `#` when not given.
    #[serde(default = "hash")]
    comment: String,
}

fn hash() -> String {
    "#".to_owned()
}

impl Operation for Block {
    const NAME: &'static str = "block";
    const SUBJECT: Subject = Subject::Host;
    const POSITIONAL: &'static [&'static str] = &["path"];
    const PAGE: &'static str = include_str!("../../stdlib/doc/block.md");
    type Output = bool;

    fn run(&self, cx: &mut StepContext<'_>) -> Result<bool, StepError> {
        if self.marker.is_empty() || self.marker.contains('\n') {
            return Err(StepError::bad_input("`marker` is a word or a few, on one line"));
        }
        edit(cx, &self.path, |text| self.applied(text))
    }

    fn summary(&self) -> String {
        format!("{}: {}", self.path, self.marker)
    }
}

impl Block {
    fn applied(&self, text: &str) -> Result<String, StepError> {
        let (begin, end) = (format!("{} BEGIN {}", self.comment, self.marker), format!("{} END {}", self.comment, self.marker));
        let body = lines_of(&self.text);
        if body.iter().any(|line| *line == begin || *line == end) {
            return Err(StepError::bad_input("`text` holds a line that marks the block's own beginning or end"));
        }
        let block = || [begin.as_str()].into_iter().chain(body.iter().copied()).chain([end.as_str()]);
        let (mut lines, mut inside, mut placed) = (Vec::new(), false, body.is_empty());
        for line in lines_of(text) {
            if line == begin {
                inside = true;
                if !placed {
                    lines.extend(block());
                    placed = true;
                }
            } else if line == end && inside {
                inside = false;
            } else if !inside {
                lines.push(line);
            }
        }
        if inside {
            return Err(StepError::failed(format!("{}: `{begin}` has no `{end}` behind it; mend the file by hand", self.path)));
        }
        if !placed {
            lines.extend(block());
        }
        Ok(if lines.is_empty() { String::new() } else { lines.join("\n") + "\n" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(text: &str, file: &str) -> String {
        let path = RemotePath::parse("/etc/x").unwrap();
        Block { path, marker: "web".to_owned(), text: text.to_owned(), comment: hash() }.applied(file).unwrap()
    }

    #[test]
    fn a_block_is_added_replaced_and_taken_away() {
        let once = applied("a\nb\n", "head\n");
        assert_eq!(once, "head\n# BEGIN web\na\nb\n# END web\n");
        assert_eq!(applied("a\nb", &once), once);
        assert_eq!(applied("c", &(once.clone() + "tail\n")), "head\n# BEGIN web\nc\n# END web\ntail\n");
        assert_eq!(applied("", &once), "head\n");
    }
}
