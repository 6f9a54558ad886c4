//! Waiting for a condition to hold: what `expect_http`, `expect_tcp`, `expect_exec` and `expect_unit` share.

use super::{Span, StepContext, context::unexpected, run::tail};
use crate::effect::{Effect, Reply, ServiceState, ServiceUnit, UnitScope};
use crate::step::{ErrorKind, StepError};
use serde::{Deserialize, Serialize};

/// How long to wait, how often to look, how long it must hold, and the service that it depends on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Timing {
    /// The check must hold for the first time by then.
    #[serde(default = "default_within")]
    pub(super) within: Span,
    /// The pause between two looks.
    #[serde(default = "default_every")]
    pub(super) every: Span,
    /// From its first success on, it must hold this long without a gap.
    #[serde(default = "default_hold")]
    pub(super) hold: Span,
    /// The service that must keep running meanwhile: its end fails the check at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) unit: Option<String>,
    /// Whose service `unit` is.
    #[serde(default)]
    pub(super) scope: UnitScope,
}

fn default_within() -> Span {
    Span::from_seconds(30)
}
fn default_every() -> Span {
    Span::from_millis(500)
}
fn default_hold() -> Span {
    Span::from_millis(0)
}

/// What one look found.
pub(super) enum Look {
    /// As expected; what to say of it.
    Holds(String),
    /// Not yet: what was found instead.
    NotYet(String),
}

/// What a script gets of a check that held.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Held {
    /// Milliseconds until it held for the first time.
    pub after_millis: i64,
    /// How often it was looked at.
    pub looks: u32,
    /// What was found, and from where.
    pub found: String,
}

/// Looks until the condition holds as long as asked, or the time is over, or the service has ended.
pub(super) fn wait(
    cx: &mut StepContext<'_>,
    timing: &Timing,
    what: &str,
    mut look: impl FnMut(&mut StepContext<'_>) -> Result<Look, StepError>,
) -> Result<Held, StepError> {
    let start = cx.now()?;
    let mut watch = timing.unit.as_ref().map(|name| Watch::new(name, timing.scope));
    let (mut looks, mut since) = (0, None);
    loop {
        looks += 1;
        let found = look(cx)?;
        if let Some(watch) = &mut watch {
            watch.check(cx, what)?;
        }
        let now = cx.now()?;
        match found {
            Look::Holds(found) => {
                let first = *since.get_or_insert(now);
                if now - first >= timing.hold.signed_millis() {
                    return Ok(Held { after_millis: first - start, looks, found });
                }
            }
            Look::NotYet(found) => {
                if let Some(first) = since {
                    let held = Span::from_millis(u64::try_from(now - first).unwrap_or(0));
                    return Err(StepError::failed(format!(
                        "{what} held for {held} of {} and then did not: {found}",
                        timing.hold
                    )));
                }
                if now - start >= timing.within.signed_millis() {
                    return Err(over(cx, timing, what, &found));
                }
                cx.progress(&found);
            }
        }
        pause(cx, timing, now - start, since.is_some())?;
    }
}

/// Waits until the next look, but not past the time by which it must hold.
fn pause(cx: &mut StepContext<'_>, timing: &Timing, elapsed: i64, holding: bool) -> Result<(), StepError> {
    let left = u64::try_from(timing.within.signed_millis() - elapsed).unwrap_or(0);
    let every = timing.every.millis().max(10);
    let millis = if holding { every.min(timing.hold.millis().max(10)) } else { every.min(left.max(10)) };
    cx.look(&Effect::Sleep { millis }).map(drop)
}

fn over(cx: &mut StepContext<'_>, timing: &Timing, what: &str, found: &str) -> StepError {
    let log = timing.unit.as_ref().map(|name| log_of(cx, &unit(name, timing.scope))).unwrap_or_default();
    StepError::new(ErrorKind::Failed, format!("{what} did not hold within {}: {found}", timing.within)).with_stderr(log)
}

/// A service that must keep running while a check waits.
struct Watch {
    unit: ServiceUnit,
    first: Option<ServiceState>,
}

impl Watch {
    fn new(name: &str, scope: UnitScope) -> Self {
        Self { unit: unit(name, scope), first: None }
    }

    fn check(&mut self, cx: &mut StepContext<'_>, what: &str) -> Result<(), StepError> {
        let state = status(cx, &self.unit)?;
        let name = &self.unit.name;
        let ended = matches!(state.active.as_str(), "failed" | "inactive");
        let first = self.first.get_or_insert_with(|| state.clone());
        if !ended && state.restarts == first.restarts {
            return Ok(());
        }
        let how = if ended { format!("is {}", state.active) } else { "was restarted by its manager".to_owned() };
        let log = log_of(cx, &self.unit);
        Err(StepError::failed(format!("{what} cannot hold: the service {name} {how}")).with_stderr(log))
    }
}

/// The service that a check names.
pub(super) fn unit(name: &str, scope: UnitScope) -> ServiceUnit {
    ServiceUnit { name: name.to_owned(), scope }
}

/// How a service is.
pub(super) fn status(cx: &mut StepContext<'_>, unit: &ServiceUnit) -> Result<ServiceState, StepError> {
    match cx.look(&Effect::ServiceStatus { unit: unit.clone() })? {
        Reply::Service { state, .. } => Ok(state),
        other => Err(unexpected(&other)),
    }
}

/// The last lines of a service's log; empty when they cannot be had.
pub(super) fn log_of(cx: &mut StepContext<'_>, unit: &ServiceUnit) -> String {
    match cx.look(&Effect::ServiceLog { unit: unit.clone(), lines: 15 }) {
        Ok(Reply::Content(content)) => tail(&String::from_utf8_lossy(content.bytes())),
        _ => String::new(),
    }
}
