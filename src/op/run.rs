//! `h.run(command)`: a command that may change anything.

use super::{Operation, Span, StepContext, Subject, context::unexpected};
use crate::effect::{CommandResult, Compensation, Content, Contract, Effect, Foretold, Invocation, Reply, Words};
use crate::id::{RemotePath, SaveId};
use crate::step::StepError;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Runs a command to its end; another exit status than the allowed ones is a failure.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    command: Words,
    #[serde(flatten)]
    how: How,
    /// A path: when it is there already, the command is not run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    creates: Option<RemotePath>,
    /// A command that asks whether this one is needed: exit status 0 says it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unless: Option<Words>,
    /// A command that undoes this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    undo: Option<Words>,
    /// `"safe"`: may be repeated, and is, once unwinding has put the files back. `"ask"`: may not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    again: Option<Again>,
    /// Paths that it writes: the host keeps what is there before it begins, and unwinding puts that back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    writes: Vec<RemotePath>,
    /// What it would answer, for a run that only predicts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dry: Option<Dry>,
    /// It cannot be undone, for this reason; unwinding says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    irreversible: Option<String>,
}

/// The answer of a command where it is not run: in a dry run, a plan or a fault test.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Dry {
    /// Its exit status.
    code: i32,
    /// Its standard output.
    stdout: String,
    /// Its standard error.
    stderr: String,
}

/// Whether a command may be repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Again {
    /// A person decides.
    Ask,
    /// It may.
    Safe,
}

/// How a command is run; shared with `probe` and `expect_exec`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct How {
    /// The directory to run in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) cwd: Option<RemotePath>,
    /// Variables added to the environment.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) env: BTreeMap<String, String>,
    /// Text for standard input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) stdin: Option<Content>,
    /// Time after which the command and all that it started are ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) timeout: Option<Span>,
    /// Exit statuses that are no failure; 0 when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) ok_codes: Option<Vec<i32>>,
}

/// What a script gets of a command.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Output {
    /// Its exit status.
    pub code: i32,
    /// Standard output; bytes that are no UTF-8 are replaced.
    pub stdout: String,
    /// Standard error, likewise.
    pub stderr: String,
    /// The lines of standard output.
    pub lines: Vec<String>,
    /// Whether there was more output than is kept (1 MiB each).
    pub truncated: bool,
    /// Whether nobody knows: a prediction did not run it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unknown: bool,
}

impl Operation for Run {
    const NAME: &'static str = "run";
    const SUBJECT: Subject = Subject::Host;
    const POSITIONAL: &'static [&'static str] = &["command"];
    const OPTIONS: &'static [&'static str] =
        &["cwd", "env", "stdin", "timeout", "ok_codes", "creates", "unless", "writes", "dry", "undo", "again", "irreversible"];
    const PAGE: &'static str = include_str!("../../stdlib/doc/run.md");
    type Output = Output;

    fn run(&self, cx: &mut StepContext<'_>) -> Result<Output, StepError> {
        self.how.check(&self.command)?;
        for (name, words) in [("unless", &self.unless), ("undo", &self.undo)] {
            if let Some(words) = words {
                self.how.check(words).map_err(|error| StepError::bad_input(format!("`{name}`: {}", error.message)))?;
            }
        }
        if !cx.was_begun()
            && let Some(why) = self.not_needed(cx)?
        {
            cx.skipped(why);
            return Ok(Output { code: 0, stdout: String::new(), stderr: String::new(), lines: Vec::new(), truncated: false, unknown: false });
        }
        let command = self.how.invocation(&self.command);
        if self.again == Some(Again::Safe) && command.stdin.is_some() {
            return Err(StepError::bad_input("`again: \"safe\"` and `stdin` do not go together: what is repeated is kept in the journal, and standard input is not"));
        }
        if let Some(path) = self.writes.iter().find(|path| matches!(path.as_str(), "/" | "~")) {
            return Err(StepError::bad_input(format!("`writes` names {path}, which is too much to keep; name what it writes")));
        }
        if let Some(code) = self.dry.as_ref().map(|dry| dry.code).filter(|code| !self.how.allows(*code)) {
            return Err(StepError::bad_input(format!("`dry` answers with exit status {code}, which is not among `ok_codes`")));
        }
        let reply =
            cx.command_keeping(command.clone(), &self.writes, self.contract(), |receipt| self.undos(&command, receipt))?;
        let Reply::Command(result) = reply else { return Err(unexpected(&reply)) };
        self.how.judge(&self.command, &result)
    }

    fn summary(&self) -> String {
        show(&self.command)
    }

    fn may_repeat(&self) -> bool {
        self.again == Some(Again::Safe)
    }

    /// As its contract says, or nothing said and a good end.
    fn assumed(&self) -> Option<Output> {
        let dry = self.dry.clone().unwrap_or_default();
        let code = self.how.ok_codes.as_ref().and_then(|codes| codes.first().copied()).filter(|_| self.dry.is_none());
        let lines = dry.stdout.lines().map(ToOwned::to_owned).collect();
        Some(Output { code: code.unwrap_or(dry.code), stdout: dry.stdout, stderr: dry.stderr, lines, truncated: false, unknown: false })
    }
}

impl Run {
    fn not_needed(&self, cx: &mut StepContext<'_>) -> Result<Option<String>, StepError> {
        if let Some(path) = &self.creates
            && let Reply::Stat(Some(_)) = cx.look(&Effect::Stat { path: path.clone() })?
        {
            return Ok(Some(format!("{path} is there")));
        }
        if let Some(question) = &self.unless {
            let command = self.how.invocation(question);
            if let Reply::Command(result) = cx.look(&Effect::Probe { command })?
                && result.code == 0
            {
                return Ok(Some(format!("`{}` says so", show(question))));
            }
        }
        Ok(None)
    }

    fn contract(&self) -> Contract {
        let foretold = |dry: &Dry| Foretold { code: dry.code, stdout: dry.stdout.clone(), stderr: dry.stderr.clone() };
        Contract { creates: self.creates.clone(), answer: self.dry.as_ref().map(foretold) }
    }

    fn undos(&self, command: &Invocation, receipt: &SaveId) -> Vec<Compensation> {
        let undo = self.undo.as_ref().map(|words| {
            let plain = How { stdin: None, ..self.how.clone() };
            Compensation::Command { command: plain.invocation(words), of: Some(receipt.clone()) }
        });
        let again = (self.again == Some(Again::Safe)).then(|| Compensation::Again { command: command.clone(), of: Some(receipt.clone()) });
        let end = Compensation::End { receipt: receipt.clone() };
        undo.into_iter().chain(again).chain([end]).collect()
    }
}

impl How {
    /// Refuses what no host could run.
    pub(super) fn check(&self, words: &Words) -> Result<(), StepError> {
        let empty = match words {
            Words::Shell(text) => text.trim().is_empty(),
            Words::List(list) => list.first().is_none_or(String::is_empty),
        };
        if empty {
            return Err(StepError::bad_input("the command is empty"));
        }
        let nul = match words {
            Words::Shell(text) => text.contains('\0'),
            Words::List(list) => list.iter().any(|word| word.contains('\0')),
        };
        if nul || self.env.values().any(|value| value.contains('\0')) {
            return Err(StepError::bad_input("a command and its environment cannot hold a NUL byte"));
        }
        if self.timeout.is_some_and(|timeout| timeout.millis() == 0) {
            return Err(StepError::bad_input("a timeout of nothing would end it before it begins"));
        }
        let named = |name: &String| {
            !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit()) && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        };
        match self.env.keys().find(|name| !named(name)) {
            Some(name) => Err(StepError::bad_input(format!("`{name}` is no name of an environment variable"))),
            None => Ok(()),
        }
    }

    pub(super) fn invocation(&self, words: &Words) -> Invocation {
        Invocation {
            words: words.clone(),
            directory: self.cwd.clone(),
            environment: self.env.clone(),
            stdin: self.stdin.clone(),
            timeout_seconds: self.timeout.map(Span::seconds),
        }
    }

    fn allows(&self, code: i32) -> bool {
        self.ok_codes.as_ref().map_or(code == 0, |codes| codes.contains(&code))
    }

    pub(super) fn judge(&self, words: &Words, result: &CommandResult) -> Result<Output, StepError> {
        let allowed = self.allows(result.code);
        let output = Output::of(result);
        if allowed {
            return Ok(output);
        }
        let said = if output.stderr.trim().is_empty() { &output.stdout } else { &output.stderr };
        let mut error = StepError::failed(format!("`{}` ended with exit status {}", show(words), result.code)).with_stderr(tail(said));
        error.code = Some(result.code);
        if result.code == 127 {
            error.help = Some("exit status 127: the program is not on this host, or not in PATH".to_owned());
        }
        Err(error)
    }
}

impl Output {
    fn of(result: &CommandResult) -> Self {
        let stdout = String::from_utf8_lossy(result.stdout.bytes()).into_owned();
        let lines = stdout.lines().map(ToOwned::to_owned).collect();
        let stderr = String::from_utf8_lossy(result.stderr.bytes()).into_owned();
        Self { code: result.code, stdout, stderr, lines, truncated: result.truncated, unknown: result.unknown }
    }
}

/// The last lines of what a command said.
pub(super) fn tail(text: &str) -> String {
    const LINES: usize = 15;
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}

/// A command on one line, cut where it gets long.
pub(super) fn show(words: &Words) -> String {
    let text = match words {
        Words::Shell(text) => text.clone(),
        Words::List(list) => list.join(" "),
    };
    let mut line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() > 100 {
        line = line.chars().take(99).chain(['…']).collect();
    }
    line
}
