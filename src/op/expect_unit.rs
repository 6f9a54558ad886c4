//! `h.expect_unit(name)`: a service runs, and goes on running.

use super::expect::{Held, Look, Timing, log_of, status, unit, wait};
use super::standing::{Seen, Standing};
use super::{Operation, StepContext, Subject};
use crate::step::StepError;
use serde::{Deserialize, Serialize};

/// Waits until a unit is up; one that ends, or that is started anew, fails the check at once.
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
        let mut seen = Seen::default();
        wait(cx, &self.timing, &what, |cx| {
            let state = status(cx, &unit)?;
            match seen.take(&state) {
                Standing::Up => {
                    seen.hold(&state);
                    Ok(Look::Holds(if state.is_active() { state.active } else { "it has done its work".to_owned() }))
                }
                Standing::AtRest => Ok(Look::NotYet(format!("it is {}", state.active))),
                Standing::Between(how) => Ok(Look::NotYet(format!("it {how}"))),
                Standing::Ended(how) => Err(StepError::failed(format!("{what} {how}")).with_stderr(log_of(cx, &unit))),
            }
        })
    }

    fn summary(&self) -> String {
        self.name.clone()
    }

    fn when_unwound(&self) -> Option<Self> {
        Some(self.clone())
    }
}
