//! `h.expect_tcp(port)`: something listens, as seen from the host.

use super::expect::{Held, Look, Timing, wait};
use super::{Operation, StepContext, Subject, context::unexpected};
use crate::effect::{Effect, Reply, Via};
use crate::step::{ErrorKind, StepError};
use serde::{Deserialize, Serialize};

/// Waits until a TCP connection to a port can be made from the host.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectTcp {
    port: u16,
    /// Where; the host's loopback when not given.
    #[serde(default = "loopback")]
    address: String,
    /// From where; through the host's connection when not given.
    #[serde(default, skip_serializing_if = "Via::is_usual")]
    via: Via,
    #[serde(flatten)]
    timing: Timing,
}

fn loopback() -> String {
    "127.0.0.1".to_owned()
}

impl Operation for ExpectTcp {
    const NAME: &'static str = "expect_tcp";
    const SUBJECT: Subject = Subject::Host;
    const POSITIONAL: &'static [&'static str] = &["port"];
    const OPTIONS: &'static [&'static str] =
        &["address", "via", "within", "every", "hold", "k_of_n", "unit", "scope"];
    const PAGE: &'static str = include_str!("../../stdlib/doc/expect_tcp.md");
    type Output = Held;

    fn run(&self, cx: &mut StepContext<'_>) -> Result<Held, StepError> {
        cx.record_check(self)?;
        let what = format!("a connection to {}:{}", self.address, self.port);
        let effect = Effect::Connect { address: self.address.clone(), port: self.port, via: self.via };
        wait(cx, &self.timing, &what, |cx| match cx.look(&effect) {
            Ok(Reply::Connected { vantage }) => Ok(Look::Holds(format!("connected ({vantage})"))),
            Ok(other) => Err(unexpected(&other)),
            Err(error) if matches!(error.kind, ErrorKind::Failed | ErrorKind::Timeout) => Ok(Look::NotYet(error.message)),
            Err(error) => Err(error),
        })
    }

    fn summary(&self) -> String {
        format!("{}:{}", self.address, self.port)
    }

    fn when_unwound(&self) -> Option<Self> {
        Some(self.clone())
    }
}
