//! Which text a `Position` belongs to. Every file of a run is parsed with as many newlines in front as all files before it
//! have lines, so that a position alone names file, line and column: Rhai's own source names are wrong where a closure of
//! one file is run by another. A position has 16 bits for the line, hence the limit for all files together.

use crate::id::Digest;
use crate::step::Site;
use rhai::Position;
use std::sync::{Arc, PoisonError, RwLock};

/// The number of lines that all sources of a run may have together.
const MAX_LINES: usize = 65_535;
/// Kept free between two files, so that a position at the end of one never reads as the start of the next.
const GAP: usize = 2;

/// One script or module, as it is parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// The name relative to the project, as in `deploy.rhai`, or `std/release`.
    pub name: Arc<str>,
    /// How many lines stand before its first line.
    pub base: usize,
    /// The text as it was read.
    pub text: Arc<str>,
    /// The sha256 of the text.
    pub digest: Digest,
}

impl SourceFile {
    /// The text with the newlines in front that make its positions unique: what the parser has to be given.
    #[must_use]
    pub fn padded(&self) -> String {
        let mut padded = "\n".repeat(self.base);
        padded.push_str(&self.text);
        padded
    }

    /// The byte offset of a line and column, both from 1; the end of the line when the column is behind it.
    fn offset(&self, line: usize, column: usize) -> usize {
        let start: usize = self.text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
        let rest = self.text.get(start..).unwrap_or_default();
        let line_text = rest.split('\n').next().unwrap_or_default();
        start + line_text.char_indices().nth(column.saturating_sub(1)).map_or(line_text.len(), |(at, _)| at)
    }

    /// Offset and length of the token at a line and column; the last character before it where there is none.
    fn token(&self, line: usize, column: usize) -> (usize, usize) {
        let offset = self.offset(line, column);
        let length = token_length(self.text.get(offset..).unwrap_or_default());
        if length > 0 {
            return (offset, length);
        }
        let before = self.text.get(..offset).unwrap_or_default().trim_end();
        let last = before.chars().next_back().map_or(0, char::len_utf8);
        (before.len() - last, last)
    }
}

/// The sources of a run are longer than positions can tell apart.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("with `{name}` the sources of this run have {lines} lines; at most {MAX_LINES} are possible")]
pub struct SourcesTooLong {
    /// The file that did not fit.
    pub name: String,
    /// The lines with it.
    pub lines: usize,
}

/// All sources of a run. Clones share the same list.
#[derive(Debug, Clone, Default)]
pub struct SourceMap(Arc<RwLock<Vec<SourceFile>>>);

impl SourceMap {
    /// An empty map.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file and gives it its lines. The same name with the same text is the same file.
    ///
    /// # Errors
    /// When all files together get too long.
    pub fn add(&self, name: &str, text: &str) -> Result<SourceFile, SourcesTooLong> {
        let digest = Digest::of(text.as_bytes());
        let mut files = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = files.iter().find(|file| &*file.name == name && file.digest == digest) {
            return Ok(known.clone());
        }
        let base = files.last().map_or(0, |file| file.base + line_count(&file.text) + GAP);
        let lines = base + line_count(text);
        if lines > MAX_LINES {
            return Err(SourcesTooLong { name: name.to_owned(), lines });
        }
        let file = SourceFile { name: name.into(), base, text: text.into(), digest };
        files.push(file.clone());
        Ok(file)
    }

    /// The whole bundle in the order in which it was read, to be stored with a run.
    #[must_use]
    pub fn sources(&self) -> Vec<SourceFile> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The file, line and column (from 1) of a position.
    #[must_use]
    pub fn locate(&self, position: Position) -> Option<(SourceFile, usize, usize)> {
        let line = position.line()?;
        let files = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let file = files.iter().rev().find(|file| file.base < line)?;
        Some((file.clone(), line - file.base, position.position().unwrap_or(1)))
    }

    /// The place of a position in words of the journal; empty where it is not known.
    #[must_use]
    pub fn site(&self, position: Position) -> Site {
        let Some((file, line, column)) = self.locate(position) else { return Site::default() };
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Site { source: file.name.to_string(), line: number(line), column: number(column) }
    }

    /// The token at a position: its file, byte offset and length in bytes.
    #[must_use]
    pub fn span(&self, position: Position) -> Option<(SourceFile, usize, usize)> {
        let (file, line, column) = self.locate(position)?;
        let (offset, length) = file.token(line, column);
        Some((file, offset, length))
    }

    /// The token at a place that the journal or an error names.
    #[must_use]
    pub fn site_span(&self, site: &Site) -> Option<(SourceFile, usize, usize)> {
        let (line, column) = (usize::try_from(site.line).ok()?, usize::try_from(site.column).ok()?);
        let files = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let file = files.iter().rev().find(|file| *file.name == *site.source && line > 0)?;
        let (offset, length) = file.token(line, column);
        Some((file.clone(), offset, length))
    }
}

fn line_count(text: &str) -> usize {
    text.matches('\n').count() + 1
}

/// The length in bytes of the token that a text starts with: a word or number, a quoted text, or a run of operator signs.
fn token_length(text: &str) -> usize {
    const OPERATOR: &str = "+-*/%=<>!&|^?~";
    let Some(first) = text.chars().next() else { return 0 };
    let run = |holds: fn(char) -> bool| text.find(|c| !holds(c)).unwrap_or(text.len());
    match first {
        '\n' | '\r' => 0,
        c if c.is_ascii_digit() => number_length(text),
        c if c.is_alphanumeric() || c == '_' => run(|c| c.is_alphanumeric() || c == '_'),
        '"' | '`' | '\'' => quoted_length(text, first),
        c if OPERATOR.contains(c) => run(|c| OPERATOR.contains(c)),
        c => c.len_utf8(),
    }
}

fn number_length(text: &str) -> usize {
    let digits = |from: usize| {
        let rest = text.get(from..).unwrap_or_default();
        from + rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len())
    };
    let whole = digits(0);
    let fraction = text.get(whole..).unwrap_or_default().strip_prefix('.');
    if fraction.is_some_and(|f| f.starts_with(|c: char| c.is_ascii_digit())) { digits(whole + 1) } else { whole }
}

/// Up to the closing quote; to the end of the line where it is missing or further down.
fn quoted_length(text: &str, quote: char) -> usize {
    let line = text.split('\n').next().unwrap_or_default();
    let mut escaped = false;
    for (at, c) in line.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    line.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marked(map: &SourceMap, position: Position) -> String {
        let (file, offset, length) = map.span(position).unwrap();
        file.text[offset..offset + length].to_owned()
    }

    #[test]
    fn a_position_names_its_file() {
        let map = SourceMap::new();
        let main = map.add("deploy.rhai", "let a = 1;\nlet b = 2;").unwrap();
        let lib = map.add("lib/util.rhai", "fn f() {\n  g()\n}").unwrap();
        assert_eq!(map.locate(Position::new(2, 5)).unwrap().0, main);
        let line = u16::try_from(lib.base + 2).unwrap();
        assert_eq!(map.site(Position::new(line, 3)).to_string(), "lib/util.rhai:2:3");
        assert_eq!(lib.padded().lines().nth(lib.base), Some("fn f() {"));
        assert_eq!(map.sources().len(), 2);
    }

    #[test]
    fn the_same_text_is_added_once() {
        let map = SourceMap::new();
        let first = map.add("a", "1").unwrap();
        assert_eq!(map.add("a", "1").unwrap(), first);
        assert_ne!(map.add("a", "2").unwrap().base, first.base);
    }

    #[test]
    fn spans_cover_whole_tokens() {
        let map = SourceMap::new();
        map.add("a", "größe.rnu(\"x\\\"y\", 3.25, a ?? b) >= `t\nu`;").unwrap();
        let at = |column| marked(&map, Position::new(1, column));
        assert_eq!(at(1), "größe");
        assert_eq!(at(7), "rnu");
        assert_eq!(at(11), "\"x\\\"y\"");
        assert_eq!(at(19), "3.25");
        assert_eq!(at(27), "??");
        assert_eq!(at(33), ">=");
        assert_eq!(at(36), "`t");
    }

    #[test]
    fn behind_the_end_the_last_character_is_marked() {
        let map = SourceMap::new();
        map.add("a", "let x = 1;\n\n").unwrap();
        assert_eq!(marked(&map, Position::new(3, 1)), ";");
        map.add("empty", "").unwrap();
        assert_eq!(marked(&map, Position::new(6, 1)), "");
    }

    #[test]
    fn too_many_lines_are_refused() {
        let map = SourceMap::new();
        map.add("a", &"\n".repeat(60_000)).unwrap();
        let error = map.add("b", &"\n".repeat(6_000)).unwrap_err();
        assert_eq!(error.lines, 66_004);
        assert!(error.to_string().contains("`b`"), "{error}");
    }

    #[test]
    fn a_site_leads_back_to_its_token() {
        let map = SourceMap::new();
        map.add("a", "x;\nhost.run(1);").unwrap();
        let site = map.site(Position::new(2, 6));
        let (file, offset, length) = map.site_span(&site).unwrap();
        assert_eq!(&file.text[offset..offset + length], "run");
        assert_eq!(map.site_span(&Site::default()), None);
    }
}
