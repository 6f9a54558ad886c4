//! What went wrong, with the exit code that says so.

use crate::artifact::ArtifactError;
use crate::fleet::FleetError;
use crate::ledger::LedgerError;
use crate::run::DecideError;
use crate::script::Diagnostic;
use crate::words;
use std::path::Path;

/// An error of a command.
#[derive(Debug)]
pub struct CliError {
    /// The exit code.
    pub code: u8,
    /// What happened.
    pub message: String,
    /// What to try.
    pub help: Option<String>,
    /// The place in a file: its name, its text, and where in it.
    pub place: Option<(String, String, std::ops::Range<usize>)>,
    /// A script's diagnostics, instead of the message.
    pub diagnostics: Vec<Diagnostic>,
}

impl CliError {
    /// An error with this exit code.
    #[must_use]
    pub fn new(code: u8, message: impl Into<String>) -> Self {
        Self { code, message: words::of_system(&message.into()), help: None, place: None, diagnostics: Vec::new() }
    }

    /// Wrong words on the command line.
    #[must_use]
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(2, message)
    }

    /// Wrong input, before any change.
    #[must_use]
    pub fn input(message: impl Into<String>) -> Self {
        Self::new(1, message)
    }

    /// Adds what to try.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl From<Box<Diagnostic>> for CliError {
    fn from(diagnostic: Box<Diagnostic>) -> Self {
        Self { diagnostics: vec![*diagnostic], ..Self::input("") }
    }
}

impl From<FleetError> for CliError {
    fn from(error: FleetError) -> Self {
        let place = error.span().and_then(|(path, span)| {
            let text = std::fs::read_to_string(&path).ok()?;
            (span.end <= text.len()).then(|| (shown(&path), text, span))
        });
        Self { help: error.help(), place, ..Self::input(error.to_string()) }
    }
}

impl From<ArtifactError> for CliError {
    fn from(error: ArtifactError) -> Self {
        let code = if matches!(error, ArtifactError::Busy { .. }) { 6 } else { 1 };
        Self { help: error.help(), ..Self::new(code, error.to_string()) }
    }
}

impl From<LedgerError> for CliError {
    fn from(error: LedgerError) -> Self {
        let help = match &error {
            LedgerError::NoRun(_) => Some("`windlass history` lists the runs"),
            LedgerError::Ambiguous { .. } => Some("give more of the name"),
            LedgerError::Newer { .. } => Some("use the newer Windlass that wrote it"),
            LedgerError::Open { .. } | LedgerError::Write(_) => Some("is the disk full, or the directory not writable?"),
            LedgerError::Fenced { .. } => Some("`windlass status` shows who is at work there"),
            LedgerError::Read(_) => None,
        };
        let code = if matches!(error, LedgerError::Fenced { .. }) { 6 } else { 1 };
        Self { help: help.map(ToOwned::to_owned), ..Self::new(code, error.to_string()) }
    }
}

impl From<DecideError> for CliError {
    fn from(error: DecideError) -> Self {
        match error {
            DecideError::Ledger(error) => error.into(),
            other => Self::input(other.to_string()).with_help("nothing was changed; `windlass show RUN` lists the steps"),
        }
    }
}

/// A path for people: relative where that is shorter.
pub(super) fn shown(path: &Path) -> String {
    let here = std::env::current_dir().ok();
    let relative = here.as_deref().and_then(|here| path.strip_prefix(here).ok());
    relative.unwrap_or(path).display().to_string()
}
