//! `external(name)`: whether a service that others run is well.

use super::expect::{Held, Look, Timing, wait};
use super::{Operation, Span, StepContext, Subject, context::unexpected};
use crate::effect::{Effect, HttpRequest, Reply, Via};
use crate::fleet::Check;
use crate::step::{ErrorKind, StepError};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// An entry of `[externals]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// Its name there.
    pub name: String,
    /// How to see whether it is there.
    pub check: Check,
}

/// Looks once, and tells.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Healthy {
    external: Service,
    /// Time for one look; 5 s when not given.
    #[serde(default = "five_seconds")]
    timeout: Span,
}

/// Waits until it is well.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MustBeHealthy {
    external: Service,
    #[serde(default = "five_seconds")]
    timeout: Span,
    /// It must be well by then.
    #[serde(default = "ten_seconds")]
    within: Span,
    /// The pause between two looks.
    #[serde(default = "one_second")]
    every: Span,
}

fn one_second() -> Span {
    Span::from_seconds(1)
}
fn five_seconds() -> Span {
    Span::from_seconds(5)
}
fn ten_seconds() -> Span {
    Span::from_seconds(10)
}

impl Operation for Healthy {
    const NAME: &'static str = "external.healthy";
    const SUBJECT: Subject = Subject::External;
    const POSITIONAL: &'static [&'static str] = &[];
    const OPTIONS: &'static [&'static str] = &["timeout"];
    const PAGE: &'static str = include_str!("../../stdlib/doc/external.healthy.md");
    type Output = bool;

    fn run(&self, cx: &mut StepContext<'_>) -> Result<bool, StepError> {
        Ok(matches!(self.external.look(cx, self.timeout)?, Look::Holds(_)))
    }

    fn summary(&self) -> String {
        self.external.name.clone()
    }
}

impl Operation for MustBeHealthy {
    const NAME: &'static str = "external.must_be_healthy";
    const SUBJECT: Subject = Subject::External;
    const POSITIONAL: &'static [&'static str] = &[];
    const OPTIONS: &'static [&'static str] = &["timeout", "within", "every"];
    const PAGE: &'static str = include_str!("../../stdlib/doc/external.must_be_healthy.md");
    type Output = Held;

    fn run(&self, cx: &mut StepContext<'_>) -> Result<Held, StepError> {
        let what = format!("the health of the external `{}`", self.external.name);
        wait(cx, &Timing::plain(self.within, self.every), &what, |cx| self.external.look(cx, self.timeout))
    }

    fn summary(&self) -> String {
        self.external.name.clone()
    }
}

impl Service {
    /// From the host that the environment names, or from the controller.
    fn look(&self, cx: &mut StepContext<'_>, timeout: Span) -> Result<Look, StepError> {
        let via = if cx.host().is_controller() { Via::Controller } else { Via::Tunnel };
        let effect = match &self.check {
            Check::Http { url, .. } => {
                let request = HttpRequest {
                    url: url.clone(),
                    method: "GET".to_owned(),
                    headers: BTreeMap::new(),
                    timeout_millis: timeout.millis(),
                    hoped: None,
                };
                Effect::Http { request, via }
            }
            Check::Tcp { address } => {
                let (address, port) = address.rsplit_once(':').unwrap_or((address, ""));
                let port = port.parse().map_err(|_| StepError::bad_input(format!("`{port}` is no port")))?;
                Effect::Connect { address: address.trim_matches(['[', ']']).to_owned(), port, via }
            }
        };
        match cx.look(&effect) {
            Ok(reply) => self.judge(&reply),
            Err(error) if matches!(error.kind, ErrorKind::Failed | ErrorKind::Timeout) => Ok(Look::NotYet(error.message)),
            Err(error) => Err(error),
        }
    }

    fn judge(&self, reply: &Reply) -> Result<Look, StepError> {
        match (reply, &self.check) {
            (Reply::Connected { vantage }, _) => Ok(Look::Holds(format!("connected ({vantage})"))),
            (Reply::Http(reply), Check::Http { status, .. }) => {
                let right = status.map_or((200..=299).contains(&reply.status), |status| reply.status == status);
                let expected = status.map_or("200 to 299".to_owned(), |status| status.to_string());
                let (found, vantage) = (reply.status, &reply.vantage);
                Ok(if right {
                    Look::Holds(format!("status {found} ({vantage})"))
                } else {
                    Look::NotYet(format!("status {found}, expected {expected} ({vantage})"))
                })
            }
            (other, _) => Err(unexpected(other)),
        }
    }
}
