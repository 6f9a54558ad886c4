//! Lines for people: one a step as it ends, hosts aligned.

use super::duration::millis;
use super::style::{Paint, Tone, plain};
use crate::effect::Compensation;
use crate::id::StepKey;
use crate::journal::{BracketSide, Decision, Entry, Group, Part, Record, RunPhase};
use crate::step::{Command, ErrorKind, Outcome, StepError};
use std::collections::{BTreeMap, BTreeSet};

/// How much is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wordiness {
    /// Only what went wrong, and the end.
    Quiet,
    /// One line a step.
    Normal,
    /// Differences too.
    Wordy,
}

/// How many steps ended how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// The host is different now.
    pub changed: u32,
    /// As asked already, or looked only.
    pub unchanged: u32,
    /// Did not run.
    pub skipped: u32,
    /// Failed.
    pub failed: u32,
    /// Changes that were undone.
    pub undone: u32,
}

/// Turns records into lines.
pub struct TextReport {
    paint: Paint,
    wordiness: Wordiness,
    width: usize,
    steps: BTreeMap<StepKey, (Command, String)>,
    ends: BTreeSet<(StepKey, u32)>,
    /// Changes of files: what follows them is no part of the step itself.
    files: BTreeSet<(StepKey, u32)>,
    brackets: BTreeMap<StepKey, String>,
    counts: Counts,
    /// Said before the first line of what is undone.
    heading: Option<String>,
    /// What is owed of a step, as it was told last.
    owed: Option<(StepKey, String)>,
}

impl TextReport {
    /// Hosts' names take `width` columns.
    #[must_use]
    pub fn new(paint: Paint, wordiness: Wordiness, width: usize) -> Self {
        Self {
            paint,
            wordiness,
            width: width.max(4),
            steps: BTreeMap::new(),
            ends: BTreeSet::new(),
            files: BTreeSet::new(),
            brackets: BTreeMap::new(),
            owed: None,
            counts: Counts::default(),
            heading: None,
        }
    }

    /// How much it says.
    #[must_use]
    pub(super) fn wordiness(&self) -> Wordiness {
        self.wordiness
    }

    /// How many steps ended how, so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Takes note of the steps that began before this report did.
    pub fn know(&mut self, records: &[Record]) {
        for record in records {
            match &record.entry {
                Entry::Started { key, command, summary } => {
                    drop(self.steps.insert(key.clone(), (command.clone(), summary.clone())));
                }
                Entry::ObligationOpened { key, name, .. } => drop(self.brackets.insert(key.clone(), name.clone())),
                _ => {}
            }
        }
    }

    /// The lines that a record gives.
    pub fn lines(&mut self, record: &Record) -> Vec<String> {
        let lines = self.of(record);
        let heading = if lines.is_empty() { None } else { self.heading.take() };
        heading.into_iter().chain(lines).collect()
    }

    fn of(&mut self, record: &Record) -> Vec<String> {
        match &record.entry {
            Entry::Started { key, command, summary } => {
                self.steps.insert(key.clone(), (command.clone(), summary.clone()));
                Vec::new()
            }
            Entry::Succeeded { key, outcome, millis, diff, .. } => self.succeeded(key, outcome, *millis, diff.as_deref()),
            Entry::Failed { key, error, millis } => self.failed(key, error, *millis),
            Entry::GroupEntered { group, .. } => self.entered(group),
            Entry::Phase { phase: RunPhase::Unwinding, .. } => {
                let heading = self.paint.tone(Tone::Strong, "-- undoing what was changed, newest first");
                self.heading = self.quiet_or(vec![heading]).pop();
                Vec::new()
            }
            Entry::Phase { phase, why, .. } => {
                self.quiet_or(vec![self.paint.tone(Tone::Strong, &format!("-- {}: {}", phase.word(), plain(why)))])
            }
            Entry::Compensation { key, n, undo: Compensation::End { .. }, .. } => {
                self.ends.insert((key.clone(), *n));
                Vec::new()
            }
            Entry::Compensation { key, n, undo: Compensation::Restore { .. }, .. } => {
                self.files.insert((key.clone(), *n));
                Vec::new()
            }
            Entry::Undone { key, n, changed, .. } if self.ends.contains(&(key.clone(), *n)) => {
                let line = changed.then(|| self.line(key, Tone::Changed, "ended", None));
                self.quiet_or(line.into_iter().collect())
            }
            Entry::Undone { key, n, part, changed } => self.undone(key, *n, *part, *changed),
            Entry::UndoFailed { key, n, part, error } => self.undo_failed(key, *n, *part, error),
            Entry::ObligationOpened { key, name, .. } => {
                self.brackets.insert(key.clone(), name.clone());
                Vec::new()
            }
            Entry::ObligationDischarged { key } => self.closed(key),
            Entry::ObligationFailed { key, side, error } => self.not_closed(key, *side, error),
            Entry::Decided { key, decision, reason, by } => {
                let word = match decision {
                    Decision::AssumeDone => "taken as done",
                    Decision::Again => "to be done again",
                    Decision::MarkDone => "undone by hand",
                };
                let reason = if reason.is_empty() { String::new() } else { format!(": {}", plain(reason)) };
                self.quiet_or(vec![format!("-- step {key} is {word}, says {}{reason}", plain(by))])
            }
            Entry::ScriptReplaced { bundle, by } => {
                self.quiet_or(vec![format!("-- the script was replaced by {} ({})", plain(by), bundle.short())])
            }
            _ => Vec::new(),
        }
    }

    fn quiet_or(&self, lines: Vec<String>) -> Vec<String> {
        if self.wordiness == Wordiness::Quiet { Vec::new() } else { lines }
    }

    fn entered(&self, group: &Group) -> Vec<String> {
        let text = match group {
            Group::Step { name } => format!("== {}", plain(name)),
            Group::Attempt => return Vec::new(),
            Group::Bracket { name } => format!("== {}", plain(name)),
            Group::Fork { word, batches } => {
                let sizes: Vec<String> = batches.iter().map(|batch| batch.len().to_string()).collect();
                let hosts: usize = batches.iter().map(Vec::len).sum();
                match batches.len() {
                    1 => format!("== {word}: {hosts} {} at once", plural(hosts)),
                    _ => format!("== {word}: {hosts} {} in batches of {}", plural(hosts), sizes.join(", ")),
                }
            }
        };
        self.quiet_or(vec![self.paint.tone(Tone::Strong, &text)])
    }

    fn line(&self, key: &StepKey, tone: Tone, word: &str, took: Option<u64>) -> String {
        let (op, summary, host) = match self.steps.get(key) {
            Some((command, summary)) => (
                command.op.as_str(),
                summary.as_str(),
                if command.host.is_controller() { of_task(key) } else { command.host.as_str() },
            ),
            None => ("?", "", "?"),
        };
        self.line_of(host, op, summary, (tone, word), took)
    }

    fn line_of(&self, host: &str, op: &str, summary: &str, (tone, word): (Tone, &str), took: Option<u64>) -> String {
        let summary = plain(summary).replace('\n', " ");
        let took = took
            .filter(|took| *took >= 5)
            .map(|took| self.paint.tone(Tone::Faint, &format!("  {}", millis(took))))
            .unwrap_or_default();
        format!("{host:<width$}  {}  {op:<15} {summary}{took}", self.paint.tone(tone, &format!("{word:<9}")), width = self.width)
    }

    fn succeeded(&mut self, key: &StepKey, outcome: &Outcome, took: u64, diff: Option<&str>) -> Vec<String> {
        if self.steps.get(key).is_some_and(|(command, _)| command.op == "on_undo") {
            return Vec::new();
        }
        let line = match outcome {
            Outcome::Changed => {
                self.counts.changed += 1;
                self.line(key, Tone::Changed, "changed", Some(took))
            }
            Outcome::Unchanged => {
                self.counts.unchanged += 1;
                let looked = self.steps.get(key).is_some_and(|(command, _)| looks(&command.op));
                self.line(key, Tone::Good, if looked { "ok" } else { "unchanged" }, Some(took))
            }
            Outcome::Skipped(why) => {
                self.counts.skipped += 1;
                format!("{} ({})", self.line(key, Tone::Faint, "skipped", None), plain(why))
            }
        };
        let mut lines = vec![line];
        if let Some(diff) = diff.filter(|_| self.wordiness == Wordiness::Wordy) {
            lines.extend(diff.lines().map(|line| self.diff_line(line)));
        }
        self.quiet_or(lines)
    }

    fn diff_line(&self, line: &str) -> String {
        let indent = " ".repeat(self.width + 2);
        let text = plain(line);
        let tone = match line.as_bytes().first() {
            Some(b'+') => Tone::Good,
            Some(b'-') => Tone::Bad,
            _ => Tone::Faint,
        };
        format!("{indent}{}", self.paint.tone(tone, &text))
    }

    fn failed(&mut self, key: &StepKey, error: &StepError, took: u64) -> Vec<String> {
        self.counts.failed += 1;
        let mut lines = vec![self.line(key, Tone::Bad, "FAILED", Some(took))];
        let indent = " ".repeat(self.width + 2);
        lines.extend(plain(&error.message).lines().map(|line| format!("{indent}{line}")));
        lines.extend(
            plain(&error.stderr).lines().map(|line| format!("{indent}{}", self.paint.tone(Tone::Faint, &format!("| {line}")))),
        );
        lines
    }

    fn undone(&mut self, key: &StepKey, n: u32, part: Part, changed: bool) -> Vec<String> {
        if !changed {
            return Vec::new();
        }
        let word = match part {
            Part::Restore => {
                self.counts.undone += 1;
                "undone"
            }
            Part::Follow => "again",
            Part::Health => "well",
        };
        let line = self.undo_line(key, n, part, (Tone::Changed, word));
        self.quiet_or(vec![line])
    }

    /// The line of a part of undoing. Behind a file come the services of its host, which may run from it.
    fn undo_line(&self, key: &StepKey, n: u32, part: Part, (tone, word): (Tone, &str)) -> String {
        match self.steps.get(key) {
            Some((command, summary)) if part != Part::Restore && self.files.contains(&(key.clone(), n)) => {
                let behind = format!("behind {} {summary}", command.op);
                self.line_of(command.host.as_str(), "services", &behind, (tone, word), None)
            }
            _ => self.line(key, tone, word, None),
        }
    }

    fn closed(&self, key: &StepKey) -> Vec<String> {
        let name = self.brackets.get(key).map_or("?", String::as_str);
        self.quiet_or(vec![self.paint.tone(Tone::Strong, &format!("== closed: {}", plain(name)))])
    }

    fn not_closed(&self, key: &StepKey, side: BracketSide, error: &StepError) -> Vec<String> {
        let name = self.brackets.get(key).map_or("?", String::as_str);
        let word = if side == BracketSide::Enter { "NOT opened" } else { "NOT closed" };
        let mut lines = vec![self.paint.tone(Tone::Bad, &format!("== {word}: {}", plain(name)))];
        let indent = " ".repeat(self.width + 2);
        lines.extend(plain(&error.message).lines().map(|line| format!("{indent}{line}")));
        lines
    }

    fn undo_failed(&mut self, key: &StepKey, n: u32, part: Part, error: &StepError) -> Vec<String> {
        let indent = " ".repeat(self.width + 2);
        // A host that is away, or left as it is, is told of once a step.
        let told = (key.clone(), error.message.clone());
        if error.kind == ErrorKind::Unreachable && self.owed.replace(told.clone()).is_some_and(|last| last == told) {
            return Vec::new();
        }
        let mut lines = vec![self.undo_line(key, n, part, (Tone::Bad, "NOT undone"))];
        lines.extend(plain(&error.message).lines().map(|line| format!("{indent}{line}")));
        lines
    }
}

/// The host in whose block a step stands that speaks to none.
fn of_task(key: &StepKey) -> &str {
    let path = key.task.as_str();
    if path.starts_with("main/") && !path.contains(".undo/") { key.task.leaf() } else { "-" }
}

/// Whether a primitive only looks.
fn looks(op: &str) -> bool {
    op.starts_with("expect_")
        || op.starts_with("external.")
        || matches!(
            op,
            "read"
                | "exists"
                | "stat"
                | "digest"
                | "probe"
                | "log"
                | "notify"
                | "now"
                | "uuid"
                | "ask"
                | "preflight"
                | "guarded"
                | "guarded.confirm"
                | "wait_for"
                | "service.status"
        )
}

fn plural(hosts: usize) -> &'static str {
    if hosts == 1 { "host" } else { "hosts" }
}
