//! A layer over a simulated fleet that makes things go wrong where a fault test wants them to, and writes down every moment.

mod kind;
mod moment;
mod state;

pub use kind::{EffectId, Fault, FaultKind, Point};
pub use moment::{Act, Ended, Moment};
pub use state::{Broken, Forked, History, Injector, Memory};

use super::{turns, whose};
use crate::effect::{CommandResult, Content, Effect, EffectClass, EffectError, Effects, HttpReply, Login, Reply, Verb};
use crate::transport::http::Place;
use state::{Now, Returns};
use std::sync::Arc;

/// How long an effect takes, in milliseconds of virtual time.
const EFFECT_MILLIS: u64 = 20;
/// How long it takes until a host that is gone is given up.
const GONE_MILLIS: u64 = 10_000;

/// Faults over another layer.
pub struct Faulty<E> {
    inner: E,
    injector: Arc<Injector>,
}

impl<E: Effects> Faulty<E> {
    /// Makes things go wrong over the inner layer, which performs on the injector's fleet.
    pub fn new(inner: E, injector: Arc<Injector>) -> Self {
        Self { inner, injector }
    }

    /// What goes wrong before the effect takes place: its end, and whether it took place all the same.
    fn before(&self, at: &Login, effect: &Effect, now: &Now) -> Option<Result<Reply, EffectError>> {
        let injector = &self.injector;
        let lost = |reason: &str| Err(EffectError::Lost { host: at.host.clone(), reason: reason.to_owned() });
        Some(match now.fault? {
            FaultKind::Fails => Err(EffectError::failed("made to fail")),
            FaultKind::Gone | FaultKind::Away => {
                let returns = if now.fault == Some(FaultKind::Away) { Returns::AsItWas } else { Returns::Never };
                injector.gone(&at.host, returns);
                lost("it is gone")
            }
            FaultKind::Rebooted => {
                self.reboot(at, effect);
                lost("it was restarted")
            }
            FaultKind::Timeout => {
                let message = "it did not end in time, and was ended".to_owned();
                Err(EffectError::Timeout { message, stderr: String::new() })
            }
            FaultKind::Full => {
                injector.full(&at.host);
                return None;
            }
            FaultKind::Taken => {
                injector.taken();
                return None;
            }
            _ => return None,
        })
    }

    /// A command that a restart cut off has begun, and nobody knows how far it came.
    fn reboot(&self, at: &Login, effect: &Effect) {
        if let Effect::Exec { receipt, .. } = effect {
            // How far it came in the simulated world is as good as any other.
            let _ = self.inner.perform(at, effect);
            self.injector.doubt(receipt.as_str());
        }
        let _ = self.injector.fleet().reboot(at.host.as_str());
    }

    /// Performs it on a host whose disk may be full.
    fn perform_with_room(&self, at: &Login, effect: &Effect) -> Result<Reply, EffectError> {
        if !needs_room(effect) || !self.injector.is_full(&at.host) {
            return self.inner.perform(at, effect);
        }
        let before = self.injector.fleet().keep(at.host.as_str());
        let result = self.inner.perform(at, effect);
        if !matches!(moment::ended(&result), Ended::Changed) {
            return result;
        }
        self.injector.fleet().put_back(before);
        Err(EffectError::failed("No space left on device"))
    }

    /// What goes wrong once it took effect.
    fn after(&self, at: &Login, effect: &Effect, now: &Now, result: Result<Reply, EffectError>) -> Result<Reply, EffectError> {
        if let (Some(kind), Effect::Service { unit, .. }, Ok(_)) = (now.fault, effect, &result) {
            self.injector.ails(kind, &at.host, &moment::key_of(unit));
        }
        let lost = |reason: &str| Err(EffectError::Lost { host: at.host.clone(), reason: reason.to_owned() });
        match now.fault {
            Some(FaultKind::Lost) => lost("it was cut"),
            Some(kind @ (FaultKind::GoneAfter | FaultKind::BootsLater)) => {
                let returns = if kind == FaultKind::BootsLater { Returns::Booted } else { Returns::Never };
                self.injector.gone(&at.host, returns);
                lost("it is gone")
            }
            Some(FaultKind::KilledAfter) => {
                self.injector.die();
                Err(EffectError::Interrupted)
            }
            _ => result,
        }
    }

    /// The answer of something that is not well; and the name of what is not.
    fn ill(&self, at: &Login, effect: &Effect, now: &Now) -> Option<(String, Result<Reply, EffectError>)> {
        let injector = &self.injector;
        match effect {
            Effect::Http { request, via } => {
                let place = Place::parse(&request.url).ok()?;
                let (host, unit) = injector.fleet().owner(at, *via, &place.address, place.port)?;
                injector.is_ill(&host, &unit).then(|| {
                    let vantage = format!("asked from {}", at.host);
                    let reply = HttpReply { status: 503, body: "made to be sick\n".to_owned(), vantage };
                    (unit, Ok(Reply::Http(reply)))
                })
            }
            Effect::Connect { address, port, via } => {
                let (host, unit) = injector.fleet().owner(at, *via, address, *port)?;
                let refused = || Err(EffectError::failed(format!("nothing answers at {address}:{port}: made to be sick")));
                injector.is_ill(&host, &unit).then(|| (unit, refused()))
            }
            // What such a command asks is not known: it is taken to ask for whatever is sick on its host.
            Effect::Probe { .. } if now.op == "expect_exec" => {
                let units = injector.fleet().units(at.host.as_str());
                let ill = |unit: &str| injector.is_ill(at.host.as_str(), unit) || injector.is_ended(at.host.as_str(), unit);
                let unit = units.into_iter().find(|unit| ill(&unit.unit))?;
                let stderr = Content::new("made to be sick\n");
                let result = CommandResult { code: 1, stdout: Content::new(""), stderr, truncated: false, unknown: false };
                Some((unit.unit, Ok(Reply::Command(result))))
            }
            // A service that answers nobody is sick when its manager cannot keep it up.
            Effect::ServiceStatus { unit } if now.op == "expect_unit" => {
                let unit = moment::key_of(unit);
                let silent = injector.fleet().is_silent(at.host.as_str(), &unit);
                let failed = || EffectError::failed(format!("{unit} ends again and again: made to be sick"));
                (silent && injector.is_ill(at.host.as_str(), &unit)).then(|| (unit.clone(), Err(failed())))
            }
            _ => None,
        }
    }

    fn on_host(&self, at: &Login, effect: &Effect) -> Result<Reply, EffectError> {
        let injector = &self.injector;
        let now = injector.now(whose::step(), effect);
        if injector.is_gone(&at.host, now.id.as_ref().map(|id| &id.key)) {
            injector.fleet().spend(&whose::task(), GONE_MILLIS);
            let (host, reason) = (at.host.clone(), "it is gone".to_owned());
            return Err(EffectError::Unreachable { host, reason, help: None });
        }
        let time = injector.fleet().spend(&whose::task(), EFFECT_MILLIS);
        if let Effect::Exec { receipt, .. } = effect
            && now.fault.is_none()
            && injector.is_doubtful(receipt.as_str())
        {
            let reason = "the host was restarted while the command ran".to_owned();
            return Err(EffectError::InDoubt { host: at.host.clone(), reason });
        }
        let mut sick = None;
        let result = match self.before(at, effect, &now) {
            Some(result) => result,
            None => {
                let ill = self.ill(at, effect, &now);
                let performed = match ill {
                    Some((unit, result)) => {
                        sick = Some(unit);
                        result
                    }
                    None => self.perform_with_room(at, effect),
                };
                self.after(at, effect, &now, performed)
            }
        };
        injector.write_down(at, effect, now, time, sick, &result);
        result
    }
}

impl<E: Effects> Effects for Faulty<E> {
    fn perform(&self, at: &Login, effect: &Effect) -> Result<Reply, EffectError> {
        turns::pass();
        if self.injector.is_dead() {
            return Err(EffectError::Interrupted);
        }
        match effect {
            Effect::Source { .. } | Effect::Template { .. } => {
                self.injector.remembered(effect, || self.inner.perform(at, effect))
            }
            _ if effect.class() == EffectClass::Controller => self.inner.perform(at, effect),
            _ => self.on_host(at, effect),
        }
    }
}

/// Whether an effect writes something new.
fn needs_room(effect: &Effect) -> bool {
    matches!(
        effect,
        Effect::Write { .. }
            | Effect::Upload { .. }
            | Effect::Copy { .. }
            | Effect::Unit { .. }
            | Effect::UploadTree { .. }
            | Effect::Unpack { .. }
            | Effect::Mkdir { .. }
            | Effect::Packages { .. }
            | Effect::Account { .. }
    )
}

/// Whether an effect has something run that may not be well.
#[must_use]
pub fn starts(effect: &Act) -> bool {
    matches!(effect, Act::Service { verb: Verb::Start | Verb::Restart | Verb::Reload, .. })
}
