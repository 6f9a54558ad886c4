//! `h.expect_unit(name)`: a service runs, and goes on running.

use super::expect::{Held, Look, Timing, log_of, status, unit, wait};
use super::{Operation, StepContext, Subject};
use crate::step::StepError;
use serde::{Deserialize, Serialize};

/// Waits until a service is active; one that ends, or that its manager restarts, fails the check at once.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectUnit {
    name: String,
    #[serde(flatten)]
    timing: Timing,
}

impl Operation for ExpectUnit {
    const NAME: &'static str = "expect_unit";
    const SUBJECT: Subject = Subject::Host;
    const POSITIONAL: &'static [&'static str] = &["name"];
    const OPTIONS: &'static [&'static str] =
        &["within", "every", "hold", "k_of_n", "unit", "scope"];
    const PAGE: &'static str = include_str!("../../stdlib/doc/expect_unit.md");
    type Output = Held;

    fn run(&self, cx: &mut StepContext<'_>) -> Result<Held, StepError> {
        cx.record_check(self)?;
        let unit = unit(&self.name, self.timing.scope);
        let what = format!("service {}", self.name);
        let mut restarts = None;
        wait(cx, &self.timing, &what, |cx| {
            let state = status(cx, &unit)?;
            if state.active == "failed" {
                return Err(StepError::failed(format!("{what} is failed")).with_stderr(log_of(cx, &unit)));
            }
            if state.restarts > *restarts.get_or_insert(state.restarts) {
                return Err(StepError::failed(format!("{what} ended and was restarted by its manager")).with_stderr(log_of(cx, &unit)));
            }
            Ok(if state.is_active() { Look::Holds("active".to_owned()) } else { Look::NotYet(format!("it is {}", state.active)) })
        })
    }

    fn summary(&self) -> String {
        self.name.clone()
    }

    fn when_unwound(&self) -> Option<Self> {
        Some(self.clone())
    }
}
