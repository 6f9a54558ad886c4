//! Waiting for a condition to hold: what `expect_http`, `expect_tcp`, `expect_exec` and `expect_unit` share.

use super::standing::{Seen, Standing};
use super::{Span, StepContext, context::unexpected, run::tail};
use crate::effect::{Effect, Reply, ServiceState, ServiceUnit, UnitScope};
use crate::step::{ErrorKind, StepError};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

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
    /// So many of the last so many looks have to pass; the last one when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) k_of_n: Option<Share>,
    /// The unit that must be up, and stay the same, meanwhile: its end fails the check at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) unit: Option<String>,
    /// Whose service `unit` is.
    #[serde(default)]
    pub(super) scope: UnitScope,
}

impl Timing {
    /// These times, and nothing else.
    pub(super) fn plain(within: Span, every: Span) -> Self {
        Self { within, every, hold: default_hold(), k_of_n: None, unit: None, scope: UnitScope::default() }
    }
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

/// `[3, 5]`: three of the last five looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "(u32, u32)", into = "(u32, u32)")]
pub(super) struct Share {
    k: u32,
    n: u32,
}

impl TryFrom<(u32, u32)> for Share {
    type Error = String;
    fn try_from((k, n): (u32, u32)) -> Result<Self, String> {
        if (1..=n).contains(&k) && n <= 100 {
            return Ok(Self { k, n });
        }
        Err(format!("[{k}, {n}] is not k of the last n looks, as in [3, 5]; n is 100 at most"))
    }
}

impl From<Share> for (u32, u32) {
    fn from(share: Share) -> Self {
        (share.k, share.n)
    }
}

/// The last looks, newest last.
struct Window {
    share: Share,
    passed: VecDeque<bool>,
}

impl Window {
    fn new(share: Option<Share>) -> Self {
        Self { share: share.unwrap_or(Share { k: 1, n: 1 }), passed: VecDeque::new() }
    }

    /// Takes one look in; what it comes to with those before.
    fn take(&mut self, look: Look) -> Look {
        let Share { k, n } = self.share;
        self.passed.push_back(matches!(look, Look::Holds(_)));
        if self.passed.len() > n as usize {
            self.passed.pop_front();
        }
        let passed = self.passed.iter().filter(|passed| **passed).count();
        let told = |found: String| {
            let looks = self.passed.len();
            if n == 1 { found } else { format!("{passed} of the last {looks} looks passed; {found}") }
        };
        match look {
            Look::Holds(found) | Look::NotYet(found) if passed >= k as usize => Look::Holds(told(found)),
            Look::Holds(found) => Look::NotYet(format!("{}, {k} have to", told(found))),
            Look::NotYet(found) => Look::NotYet(told(found)),
        }
    }
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
    let mut window = Window::new(timing.k_of_n);
    loop {
        looks += 1;
        let mut found = window.take(look(cx)?);
        if let Some(watch) = &mut watch {
            found = watch.check(cx, what, found)?;
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

/// A unit that must be up while a check waits.
struct Watch {
    unit: ServiceUnit,
    seen: Seen,
}

impl Watch {
    fn new(name: &str, scope: UnitScope) -> Self {
        Self { unit: unit(name, scope), seen: Seen::default() }
    }

    /// What a look comes to, seeing how the unit stands.
    fn check(&mut self, cx: &mut StepContext<'_>, what: &str, found: Look) -> Result<Look, StepError> {
        let state = status(cx, &self.unit)?;
        let name = &self.unit.name;
        let how = match (self.seen.take(&state), found) {
            (Standing::Up, Look::Holds(found)) => {
                self.seen.hold(&state);
                return Ok(Look::Holds(found));
            }
            (Standing::Between(how), Look::Holds(found)) => {
                return Ok(Look::NotYet(format!("the service {name} {how}, though {found}")));
            }
            (Standing::Up | Standing::Between(_), found) => return Ok(found),
            (Standing::AtRest, _) => format!("is {}", state.active),
            (Standing::Ended(how), _) => how,
        };
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
    super::service::judge(&unit.name)?;
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
