//! Standard output and standard error: data goes to the one, the rest to the other.

use super::args::{Color, Common, Format};
use super::error::CliError;
use crate::report::{Paint, Plain, Tone, Wordiness, json_line, plain, same_length};
use crate::script::Diagnostic;
use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteDiagnostic, NamedSource, Report};
use serde_json::Value;
use std::io::{IsTerminal, Write};
use std::sync::{Arc, OnceLock};

/// How to print.
#[derive(Clone)]
pub(super) struct Printer {
    pub(super) format: Format,
    pub(super) paint: Paint,
    pub(super) out_paint: Paint,
    pub(super) wordiness: Wordiness,
    verbose: u8,
    cut: Arc<OnceLock<String>>,
}

impl Printer {
    pub(super) fn new(common: &Common) -> Self {
        #[expect(clippy::disallowed_methods, reason = "the command line reads the environment, once")]
        let refused = std::env::var("NO_COLOR").is_ok_and(|value| !value.is_empty());
        let paint = |terminal: bool| match common.color {
            Color::Always => Paint::Colours,
            Color::Auto if terminal && !refused => Paint::Colours,
            Color::Auto | Color::Never => Paint::Plain,
        };
        let wordiness = match (common.quiet, common.verbose) {
            (true, _) => Wordiness::Quiet,
            (false, 0) => Wordiness::Normal,
            (false, _) => Wordiness::Wordy,
        };
        let (out, err) = (std::io::stdout().is_terminal(), std::io::stderr().is_terminal());
        Self {
            format: common.format,
            paint: paint(err),
            out_paint: paint(out),
            wordiness,
            verbose: common.verbose,
            cut: Arc::default(),
        }
    }

    pub(super) fn start_tracing(&self) {
        let level = match self.verbose {
            0 | 1 => return,
            2 => "windlass=info",
            _ => "windlass=debug",
        };
        let subscriber =
            tracing_subscriber::fmt().with_env_filter(level).with_writer(std::io::stderr).with_ansi(self.paint == Paint::Colours);
        // Only a second subscriber is refused.
        let _ = subscriber.try_init();
    }

    /// A line of data.
    pub(super) fn data(&self, line: &str) {
        let mut stdout = std::io::stdout();
        // A reader that went away is no failure of the command.
        if let Err(error) = writeln!(stdout, "{}", Plain::of(line)).and_then(|()| stdout.flush())
            && self.cut.set(error.to_string()).is_ok()
        {
            self.note(&format!("what was asked for is cut short: standard output cannot be written: {error}"));
        }
    }

    /// An object of data.
    pub(super) fn json(&self, object: &Value) {
        self.data(&json_line(object));
    }

    /// A line for people.
    pub(super) fn say(&self, line: &str) {
        if self.wordiness > Wordiness::Quiet && self.format == Format::Text {
            self.note(line);
        }
    }

    /// A line for people, even when asked to be quiet.
    /// A line that the next one takes the place of.
    pub(super) fn passing(&self, line: &str) {
        if self.wordiness > Wordiness::Quiet {
            use std::io::Write as _;
            let mut stderr = std::io::stderr();
            // Nobody misses it when it cannot be written.
            let _ = write!(stderr, "\r\x1b[2K{}", Plain::of(line));
            let _ = stderr.flush();
        }
    }

    pub(super) fn note(&self, line: &str) {
        // Nobody can be told that nobody can be told.
        let _ = writeln!(std::io::stderr(), "{}", Plain::of(line));
    }

    /// What to type next.
    pub(super) fn next(&self, commands: &[(&str, String)]) {
        for (what, command) in commands {
            self.note(&format!("  {what:<28} {}", self.paint.tone(Tone::Strong, command)));
        }
    }

    pub(super) fn error(&self, error: &CliError) {
        if self.format == Format::Json {
            let findings: Vec<Value> =
                error.diagnostics.iter().filter_map(|diagnostic| serde_json::to_value(diagnostic).ok()).collect();
            let message = if error.message.is_empty() {
                error.diagnostics.first().map(|d| d.message.clone()).unwrap_or_default()
            } else {
                error.message.clone()
            };
            return self.json(&serde_json::json!({"event": "error", "message": message, "help": error.help, "exit": error.code, "diagnostics": findings}));
        }
        for diagnostic in &error.diagnostics {
            self.diagnostic(diagnostic);
        }
        if error.message.is_empty() {
            return;
        }
        let mut report = MietteDiagnostic::new(plain(&error.message));
        report.help = error.help.as_deref().map(plain);
        let rendered = match &error.place {
            Some((name, text, span)) => {
                report.labels = Some(vec![LabeledSpan::new_primary_with_span(Some("here".to_owned()), span.clone())]);
                self.render(&Report::new(report).with_source_code(NamedSource::new(name, text.clone())))
            }
            None => self.render(&Report::new(report)),
        };
        self.note(rendered.trim_end());
    }

    /// A finding in a script, with its lines.
    pub(super) fn diagnostic(&self, diagnostic: &Diagnostic) {
        let rendered = self.render(&Report::new(harmless(diagnostic)));
        self.note(rendered.trim_end());
    }

    fn render(&self, report: &Report) -> String {
        let theme = match self.paint {
            Paint::Colours => GraphicalTheme::unicode(),
            Paint::Plain => GraphicalTheme::unicode_nocolor(),
        };
        let mut text = String::new();
        let handler = GraphicalReportHandler::new_themed(theme).with_width(width()).with_links(false);
        match handler.render_report(&mut text, report.as_ref()) {
            Ok(()) => text,
            Err(_) => report.to_string(),
        }
    }
}

/// The same finding with nothing in it that a terminal would take for a command.
fn harmless(diagnostic: &Diagnostic) -> Diagnostic {
    let mut safe = diagnostic.clone();
    safe.message = plain(&safe.message);
    safe.help = safe.help.as_deref().map(plain);
    safe.chain = safe.chain.iter().map(|line| plain(line)).collect();
    for label in &mut safe.labels {
        label.text = plain(&label.text);
    }
    safe.source = safe.source.map(|source| NamedSource::new(plain(source.name()), same_length(source.inner()).into()));
    safe
}

/// Columns of the terminal; 100 where there is none.
fn width() -> usize {
    let size = rustix::termios::tcgetwinsize(std::io::stderr()).ok();
    size.map(|size| usize::from(size.ws_col)).filter(|columns| *columns >= 40).unwrap_or(100)
}
