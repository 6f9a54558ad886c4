//! `h.line(path, #{ replace, line })`: one line of a file.

use super::edit::{edit, lines as lines_of};
use super::{Operation, StepContext, Subject};
use crate::id::RemotePath;
use crate::step::StepError;
use serde::{Deserialize, Serialize};

/// Makes sure that a file has a line; one that begins with `replace` is replaced by it, and further ones like it go.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    path: RemotePath,
    /// The line, without its end.
    line: String,
    /// How the lines begin that it stands for; the line itself when not given.
    #[serde(rename = "replace", default, skip_serializing_if = "Option::is_none")]
    beginning: Option<String>,
}

impl Operation for Line {
    const NAME: &'static str = "line";
    const SUBJECT: Subject = Subject::Host;
    const POSITIONAL: &'static [&'static str] = &["path"];
    const PAGE: &'static str = include_str!("../../stdlib/doc/line.md");
    type Output = bool;

    fn run(&self, cx: &mut StepContext<'_>) -> Result<bool, StepError> {
        if self.line.contains('\n') {
            return Err(StepError::bad_input("`line` is one line").with_help("h.block(path, #{ marker, text }) keeps several"));
        }
        if self.beginning.as_ref().is_some_and(String::is_empty) {
            return Err(StepError::bad_input("`replace` is empty: every line would begin with it"));
        }
        edit(cx, &self.path, |text| Ok(self.applied(text)))
    }

    fn summary(&self) -> String {
        format!("{}: {}", self.path, self.line)
    }
}

impl Line {
    fn applied(&self, text: &str) -> String {
        let begins = |line: &str| self.beginning.as_ref().is_some_and(|beginning| line.starts_with(beginning.as_str()));
        let fits = |line: &str| line == self.line || begins(line);
        let mut placed = false;
        let mut lines: Vec<&str> = Vec::new();
        for line in lines_of(text) {
            if !fits(line) {
                lines.push(line);
            } else if !placed {
                placed = true;
                lines.push(&self.line);
            }
        }
        if !placed {
            lines.push(&self.line);
        }
        lines.join("\n") + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(line: &str, beginning: Option<&str>, text: &str) -> String {
        let path = RemotePath::parse("/etc/x").unwrap();
        Line { path, line: line.to_owned(), beginning: beginning.map(ToOwned::to_owned) }.applied(text)
    }

    #[test]
    fn a_line_is_replaced_added_or_left() {
        assert_eq!(applied("a=2", Some("a="), "x\na=1\ny\na=0\n"), "x\na=2\ny\n");
        assert_eq!(applied("a=2", Some("a="), "x\n"), "x\na=2\n");
        assert_eq!(applied("a=2", None, "a=2\n"), "a=2\n");
        assert_eq!(applied("Port 22", Some("#Port"), "#Port 22\r\nx\r\nPort 22\n"), "Port 22\nx\r\n");
        assert_eq!(applied("a=2", None, ""), "a=2\n");
        assert_eq!(applied("a=2", None, "no newline"), "no newline\na=2\n");
    }
}
