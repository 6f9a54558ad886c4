//! `h.wait_for(condition)`: goes on when something is true.

use super::expect::{Held, Look, Timing, wait};
use super::run::{How, show, tail};
use super::{Operation, Span, StepContext, Subject, context::unexpected};
use crate::effect::{Effect, Reply, Words};
use crate::step::{ErrorKind, StepError};
use serde::{Deserialize, Serialize};

/// Waits until a command that only looks ends with exit status 0, or a closure gives true. It is no health check: nothing
/// of it is held again when the run is unwound.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WaitFor {
    condition: Condition,
    /// It must be true by then.
    #[serde(default = "thirty_seconds")]
    within: Span,
    /// The pause between two looks.
    #[serde(default = "one_second")]
    every: Span,
    #[serde(flatten)]
    how: How,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged, expecting = "a command as a text or a list of words, or a closure that gives true or false")]
enum Condition {
    Command(Words),
    Closure(Turn),
}

/// Between two looks of a closure. Its looks are steps of their own; this one keeps the time, so that a replay does.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Turn {
    /// How often the closure was called.
    pub(crate) looks: u32,
    /// When the first one began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) since: Option<i64>,
    /// What the last one failed of.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) last: String,
}

/// What it was told.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Waited {
    /// The command said so.
    Held(Held),
    /// The time, between two looks of a closure.
    Now(i64),
}

fn thirty_seconds() -> Span {
    Span::from_seconds(30)
}
fn one_second() -> Span {
    Span::from_seconds(1)
}

impl Operation for WaitFor {
    const NAME: &'static str = "wait_for";
    const SUBJECT: Subject = Subject::Host;
    const POSITIONAL: &'static [&'static str] = &["condition"];
    const OPTIONS: &'static [&'static str] = &["within", "every", "cwd", "env", "stdin", "timeout", "ok_codes"];
    const PAGE: &'static str = include_str!("../../stdlib/doc/wait_for.md");
    type Output = Waited;

    fn run(&self, cx: &mut StepContext<'_>) -> Result<Waited, StepError> {
        match &self.condition {
            Condition::Command(command) => self.command(cx, command).map(Waited::Held),
            Condition::Closure(turn) => self.turn(cx, turn).map(Waited::Now),
        }
    }

    fn summary(&self) -> String {
        match &self.condition {
            Condition::Command(command) => show(command),
            Condition::Closure(Turn { looks: 0, .. }) => "closure".to_owned(),
            Condition::Closure(turn) => format!("closure, not true at look {}", turn.looks),
        }
    }
}

impl WaitFor {
    fn command(&self, cx: &mut StepContext<'_>, command: &Words) -> Result<Held, StepError> {
        self.how.check(command)?;
        let effect = Effect::Probe { command: self.how.invocation(command) };
        let timing = Timing::plain(self.within, self.every);
        wait(cx, &timing, &format!("`{}`", show(command)), |cx| match cx.look(&effect) {
            Ok(Reply::Command(result)) => Ok(match self.how.judge(command, &result) {
                Ok(_) => Look::Holds(format!("exit status {}", result.code)),
                Err(error) => Look::NotYet(format!("exit status {}: {}", result.code, tail(&error.stderr))),
            }),
            Ok(other) => Err(unexpected(&other)),
            Err(error) if error.kind == ErrorKind::Timeout => Ok(Look::NotYet(error.message)),
            Err(error) => Err(error),
        })
    }

    fn turn(&self, cx: &mut StepContext<'_>, turn: &Turn) -> Result<i64, StepError> {
        let now = cx.now()?;
        let Some(since) = turn.since else { return Ok(now) };
        let left = self.within.signed_millis() - (now - since);
        if left <= 0 {
            let looks = if turn.looks == 1 { "1 look".to_owned() } else { format!("{} looks", turn.looks) };
            let last = if turn.last.is_empty() { String::new() } else { format!("; the last one failed: {}", turn.last) };
            return Err(StepError::failed(format!("the closure did not give true within {} ({looks}{last})", self.within)));
        }
        let millis = self.every.millis().max(10).min(u64::try_from(left).unwrap_or(0).max(10));
        cx.look(&Effect::Sleep { millis })?;
        Ok(now)
    }
}
