//! `h.probe(command)`: a command that promises to change nothing.

use super::run::{How, Output, show};
use super::{Operation, StepContext, Subject, context::unexpected};
use crate::effect::{Effect, Reply, Words};
use crate::step::StepError;
use serde::{Deserialize, Serialize};

/// Runs a command that only looks. It runs in a dry run too; its exit status is an answer, not a failure, unless
/// `ok_codes` says otherwise.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    command: Words,
    #[serde(flatten)]
    how: How,
}

impl Operation for Probe {
    const NAME: &'static str = "probe";
    const SUBJECT: Subject = Subject::Host;
    const POSITIONAL: &'static [&'static str] = &["command"];
    const OPTIONS: &'static [&'static str] =
        &["cwd", "env", "stdin", "timeout", "ok_codes"];
    const PAGE: &'static str = include_str!("../../stdlib/doc/probe.md");
    type Output = Output;

    fn run(&self, cx: &mut StepContext<'_>) -> Result<Output, StepError> {
        self.how.check(&self.command)?;
        let reply = cx.look(&Effect::Probe { command: self.how.invocation(&self.command) })?;
        let Reply::Command(result) = reply else { return Err(unexpected(&reply)) };
        let lenient = How { ok_codes: self.how.ok_codes.clone().or_else(|| Some(vec![result.code])), ..self.how.clone() };
        lenient.judge(&self.command, &result)
    }

    fn summary(&self) -> String {
        show(&self.command)
    }
}
