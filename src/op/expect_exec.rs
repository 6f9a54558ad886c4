//! `h.expect_exec(command)`: a health check in the script's own words.

use super::expect::{Held, Look, Timing, wait};
use super::run::{How, show, tail};
use super::{Operation, StepContext, Subject, context::unexpected};
use crate::effect::{Effect, Reply, Words};
use crate::step::{ErrorKind, StepError};
use serde::{Deserialize, Serialize};

/// Waits until a command that only looks ends with exit status 0.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectExec {
    command: Words,
    #[serde(flatten)]
    how: How,
    #[serde(flatten)]
    timing: Timing,
}

impl Operation for ExpectExec {
    const NAME: &'static str = "expect_exec";
    const SUBJECT: Subject = Subject::Host;
    const POSITIONAL: &'static [&'static str] = &["command"];
    const OPTIONS: &'static [&'static str] =
        &["cwd", "env", "stdin", "timeout", "ok_codes", "within", "every", "hold", "k_of_n", "unit", "scope"];
    const PAGE: &'static str = include_str!("../../stdlib/doc/expect_exec.md");
    type Output = Held;

    fn run(&self, cx: &mut StepContext<'_>) -> Result<Held, StepError> {
        self.how.check(&self.command)?;
        if self.how.stdin.is_none() {
            cx.record_check(self)?;
        }
        let effect = Effect::Probe { command: self.how.invocation(&self.command) };
        let what = format!("`{}`", show(&self.command));
        wait(cx, &self.timing, &what, |cx| match cx.look(&effect) {
            Ok(Reply::Command(result)) => Ok(match self.how.judge(&self.command, &result) {
                Ok(_) => Look::Holds(format!("exit status {}", result.code)),
                Err(error) => Look::NotYet(format!("exit status {}: {}", result.code, tail(&error.stderr))),
            }),
            Ok(other) => Err(unexpected(&other)),
            Err(error) if error.kind == ErrorKind::Timeout => Ok(Look::NotYet(error.message)),
            Err(error) => Err(error),
        })
    }

    fn summary(&self) -> String {
        show(&self.command)
    }

    fn when_unwound(&self) -> Option<Self> {
        self.how.stdin.is_none().then(|| self.clone())
    }
}
