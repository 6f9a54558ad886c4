//! Turns Rhai's errors into words for the person who wrote the script: what was expected, what was found, what to try, and how
//! the script came there. Rhai's own messages repeat positions and speak of Rust types.

mod call;
mod parse;
mod payload;
mod value;

pub(super) use payload::OptionError;

use super::calls::is_closure_name;
use super::diagnostic::Diagnostic;
use super::source_map::SourceMap;
use super::symbols::Symbols;
use crate::step::Site;
use rhai::{EvalAltResult, Position};

/// Explains errors by what is known about the sources and their names.
#[derive(Debug, Clone, Copy)]
pub(super) struct Explainer<'a> {
    sources: &'a SourceMap,
    symbols: &'a Symbols,
}

impl<'a> Explainer<'a> {
    /// The symbols should be of the engine and of every tree that was loaded.
    #[must_use]
    pub(super) fn new(sources: &'a SourceMap, symbols: &'a Symbols) -> Self {
        Self { sources, symbols }
    }

    /// Explains why an evaluation failed.
    #[must_use]
    pub(super) fn error(&self, error: &EvalAltResult) -> Diagnostic {
        let (frames, inner) = unwrapped(error);
        let finding = self.explain(inner);
        let innermost = frames.iter().rev().map(|frame| frame.position).find(|position| !position.is_none());
        let here = if inner.position().is_none() { innermost.unwrap_or(Position::NONE) } else { inner.position() };
        let diagnostic = finding.into_diagnostic(self.sources, here);
        frames
            .iter()
            .rev()
            .fold(diagnostic, |diagnostic, frame| diagnostic.by_way_of(self.sources, frame.position, &self.how(frame)))
    }

    fn explain(&self, error: &EvalAltResult) -> Finding {
        match error {
            EvalAltResult::ErrorFunctionNotFound(signature, position) => call::explain(self.symbols, signature, *position),
            EvalAltResult::ErrorParsing(kind, position) => parse::explain(self, kind, *position),
            EvalAltResult::ErrorRuntime(thrown, position) | EvalAltResult::ErrorTerminated(thrown, position) => {
                payload::explain(self.symbols, thrown, *position)
            }
            other => value::explain(self.symbols, other),
        }
    }

    fn how(&self, frame: &Frame<'_>) -> String {
        match frame.kind {
            FrameKind::Import => format!("`{}` is imported", frame.name),
            FrameKind::Call if !is_closure_name(frame.name) => format!("in `{}`, called", frame.name),
            FrameKind::Call => match self.symbols.calls.get(&frame.position) {
                Some(site) if site.name != "call" => format!("in the closure that `{}` runs", site.name),
                _ => "in a closure, called".to_owned(),
            },
        }
    }
}

/// What there is to say about an error, before its place is looked up.
#[derive(Debug, Default)]
pub(super) struct Finding {
    message: String,
    label: String,
    help: String,
    place: Place,
}

/// Where an error is to be shown.
#[derive(Debug, Default)]
pub(super) enum Place {
    /// Where Rhai says.
    #[default]
    Here,
    /// At a better position that was found, as an argument's.
    At(Position),
    /// At a place that the error itself names.
    Site(Site),
}

impl Finding {
    fn new(message: impl Into<String>, label: impl Into<String>) -> Self {
        Self { message: message.into(), label: label.into(), ..Self::default() }
    }

    fn help(mut self, help: impl Into<String>) -> Self {
        self.help = help.into();
        self
    }

    fn place(mut self, place: Option<Position>) -> Self {
        if let Some(position) = place {
            self.place = Place::At(position);
        }
        self
    }

    fn into_diagnostic(self, sources: &SourceMap, here: Position) -> Diagnostic {
        let diagnostic = Diagnostic::error(self.message).with_help(self.help);
        match self.place {
            Place::Here => diagnostic.at(sources, here, &self.label),
            Place::At(position) => diagnostic.at(sources, position, &self.label),
            Place::Site(site) => diagnostic.at_site(sources, &site, &self.label),
        }
    }
}

enum FrameKind {
    Call,
    Import,
}

/// One step of the way to an error.
struct Frame<'a> {
    kind: FrameKind,
    name: &'a str,
    position: Position,
}

/// The frames round an error, outermost first, and the error itself.
fn unwrapped(error: &EvalAltResult) -> (Vec<Frame<'_>>, &EvalAltResult) {
    let (mut frames, mut current) = (Vec::new(), error);
    loop {
        let (kind, name, inner, position) = match current {
            EvalAltResult::ErrorInFunctionCall(name, _, inner, position) => (FrameKind::Call, name, inner, position),
            EvalAltResult::ErrorInModule(name, inner, position) => (FrameKind::Import, name, inner, position),
            _ => return (frames, current),
        };
        frames.push(Frame { kind, name, position: *position });
        current = inner;
    }
}

/// "1 argument", "2 arguments".
fn counted(n: usize, word: &str) -> String {
    if n == 1 { format!("1 {word}") } else { format!("{n} {word}s") }
}

/// Rhai's messages start like sentences, ours do not.
fn uncapitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

#[cfg(test)]
mod tests;
