//! A mistake in a script, ready to be shown: what, where, and what to try. Plain data; colours and widths are for `cli/`.

use super::source_map::{SourceFile, SourceMap};
use crate::step::Site;
use miette::{LabeledSpan, NamedSource, SourceCode};
use rhai::Position;
use serde::Serialize;
use std::fmt;
use std::sync::Arc;

/// How bad it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The script can run, but hardly does what was meant.
    Warning,
    /// The script cannot run, or failed.
    #[default]
    Error,
}

/// A marked piece of the source text, with words at it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Label {
    /// The file.
    pub source_name: String,
    /// Where the piece starts, in bytes.
    pub offset: usize,
    /// How long it is, in bytes.
    pub length: usize,
    /// What is to be said about it.
    pub text: String,
    /// Whether this is the place of the mistake, not one that explains it.
    pub primary: bool,
}

/// One mistake or failure with all that is needed to show it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// What is wrong, as a sentence without a full stop.
    pub message: String,
    /// How bad it is.
    pub severity: Severity,
    /// What to try.
    pub help: Option<String>,
    /// Where it is.
    pub site: Option<Site>,
    /// The marked pieces, all of the same file, the primary one first.
    pub labels: Vec<Label>,
    /// How the script came there, innermost first, as in "in `restart`, called at deploy.rhai:2:11".
    pub chain: Vec<String>,
    /// The text of the file that the labels mark.
    #[serde(skip)]
    pub source: Option<NamedSource<Arc<str>>>,
}

impl Diagnostic {
    /// An error without a place yet.
    #[must_use]
    pub fn error(message: impl Into<String>) -> Self {
        Self { message: message.into(), ..Self::default() }
    }

    /// A warning without a place yet.
    #[must_use]
    pub fn warning(message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(message) }
    }

    /// Adds what to try; empty adds nothing.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into()).filter(|text| !text.is_empty());
        self
    }

    /// Says where it is: marks the token at a position.
    #[must_use]
    pub fn at(self, sources: &SourceMap, position: Position, label: &str) -> Self {
        let site = sources.site(position);
        let place = sources.span(position);
        self.placed(site, place, label)
    }

    /// Says where it is, by a place that the journal or an error names.
    #[must_use]
    pub fn at_site(self, sources: &SourceMap, site: &Site, label: &str) -> Self {
        self.placed(site.clone(), sources.site_span(site), label)
    }

    /// Adds a place that explains the first one: as a label in the same file, else as a line of the chain.
    #[must_use]
    pub fn by_way_of(mut self, sources: &SourceMap, position: Position, how: &str) -> Self {
        let Some((file, offset, length)) = sources.span(position) else { return self };
        let same_file = self.labels.first().is_some_and(|first| *first.source_name == *file.name);
        if same_file && self.labels.iter().any(|label| label.offset == offset) {
            return self;
        }
        if same_file && self.labels.len() == 1 {
            self.labels.push(label(&file, (offset, length), &format!("{how} here"), false));
        } else {
            self.chain.push(format!("{how} at {}", sources.site(position)));
        }
        self
    }

    /// How the script came there, innermost first, each with its place: `in \`restart\`, called at deploy.rhai:2:11`.
    #[must_use]
    pub fn way(&self) -> Vec<String> {
        let placed = |label: &Label| {
            let text = self.source.as_ref().map(|source| source.inner().as_ref()).unwrap_or_default();
            let before = text.get(..label.offset).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
            let words = label.text.strip_suffix(" here").unwrap_or(&label.text);
            format!("{words} at {}:{line}:{column}", label.source_name)
        };
        let labels = self.labels.iter().filter(|label| !label.primary).map(placed);
        labels.chain(self.chain.iter().cloned()).collect()
    }

    /// The report as text without colours.
    #[must_use]
    pub fn to_report_text(&self, width: usize) -> String {
        let mut text = String::new();
        let theme = miette::GraphicalTheme::unicode_nocolor();
        let rendered = miette::GraphicalReportHandler::new_themed(theme).with_width(width).render_report(&mut text, self);
        if rendered.is_err() { self.message.clone() } else { text }
    }

    fn placed(mut self, site: Site, place: Option<(SourceFile, usize, usize)>, words: &str) -> Self {
        if site.line > 0 {
            self.site = Some(site);
        }
        if let Some((file, offset, length)) = place {
            self.labels.insert(0, label(&file, (offset, length), words, true));
            self.source = Some(NamedSource::new(&file.name, file.text.clone()));
        }
        self
    }
}

fn label(file: &SourceFile, (offset, length): (usize, usize), text: &str, primary: bool) -> Label {
    Label { source_name: file.name.to_string(), offset, length, text: text.to_owned(), primary }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Diagnostic {}

impl miette::Diagnostic for Diagnostic {
    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.severity {
            Severity::Warning => miette::Severity::Warning,
            Severity::Error => miette::Severity::Error,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        let lines: Vec<&str> = self.help.iter().chain(&self.chain).map(String::as_str).collect();
        if lines.is_empty() { None } else { Some(Box::new(lines.join("\n"))) }
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_ref().map(|source| source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let spans = self.labels.iter().map(|label| {
            let (text, span) = (Some(label.text.clone()), (label.offset, label.length));
            if label.primary { LabeledSpan::new_primary_with_span(text, span) } else { LabeledSpan::new_with_span(text, span) }
        });
        if self.labels.is_empty() { None } else { Some(Box::new(spans)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources() -> SourceMap {
        let map = SourceMap::new();
        map.add("deploy.rhai", "let web = host(\"w\");\nweb.rnu(\"ls\");").unwrap();
        map.add("lib.rhai", "fn f() {\n  g()\n}").unwrap();
        map
    }

    #[test]
    fn a_report_shows_the_line_the_label_and_the_help() {
        let diagnostic = Diagnostic::error("Host has no method `rnu`").with_help("did you mean `run`?").at(
            &sources(),
            Position::new(2, 5),
            "unknown method",
        );
        assert_eq!(diagnostic.site.as_ref().unwrap().to_string(), "deploy.rhai:2:5");
        let text = diagnostic.to_report_text(80);
        for part in ["Host has no method `rnu`", "deploy.rhai:2:5", "unknown method", "help: did you mean `run`?"] {
            assert!(text.contains(part), "{part} is missing in\n{text}");
        }
    }

    #[test]
    fn a_place_in_another_file_goes_to_the_chain() {
        let map = sources();
        let diagnostic = Diagnostic::error("boom")
            .at(&map, Position::new(2, 5), "here")
            .by_way_of(&map, Position::new(1, 11), "called")
            .by_way_of(&map, Position::new(6, 3), "in `f`, called");
        assert_eq!(diagnostic.labels.len(), 2);
        assert_eq!(diagnostic.chain, ["in `f`, called at lib.rhai:2:3"]);
        assert!(diagnostic.to_report_text(80).contains("in `f`, called at lib.rhai:2:3"));
    }

    #[test]
    fn without_a_place_there_is_no_label() {
        let diagnostic = Diagnostic::warning("hm").at(&sources(), Position::NONE, "here");
        assert_eq!((diagnostic.site.clone(), diagnostic.labels.len()), (None, 0));
        assert!(diagnostic.to_report_text(80).contains("hm"));
    }
}
