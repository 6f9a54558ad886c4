//! A layer that keeps every change to itself: looks go to the layer below, unless a change of before bears upon the answer. What
//! comes out of a script is what a run would do, and no host is touched.

use super::simulate::{Clock, Upper, UpperMeans, channels, takes};
use super::{Controller, Marks, whose};
use crate::effect::{Content, Effect, EffectClass, EffectError, Effects, Hoped, Login, Question, Reply, Via};
use crate::fleet::Environment;
use crate::id::{HostName, RunId};
use crate::transport::http::Place;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Changes that were not made, over another layer.
pub struct Overlay<E> {
    inner: E,
    run: RunId,
    controller: Controller,
    marks: Arc<Marks>,
    clock: Clock,
    hosts: BTreeMap<HostName, Mutex<Upper>>,
    addresses: BTreeMap<String, HostName>,
    /// Names of those who can be told something.
    channels: Vec<String>,
}

impl<E: Effects> Overlay<E> {
    /// Over the hosts of this environment, from this time on: milliseconds since 1970-01-01 UTC.
    pub fn new(inner: E, environment: &Environment, run: RunId, controller: Controller, marks: Arc<Marks>, begin: i64) -> Self {
        let hosts = environment.hosts.hosts();
        let addresses = hosts.iter().map(|host| (host.address.clone(), host.name.clone())).collect();
        let hosts = hosts.iter().map(|host| (host.name.clone(), Mutex::new(Upper::new(&host.name, &host.user)))).collect();
        Self { inner, run, controller, marks, clock: Clock::new(begin), hosts, addresses, channels: channels(environment) }
    }

    fn upper(&self, host: &HostName) -> Option<MutexGuard<'_, Upper>> {
        self.hosts.get(host).map(|upper| upper.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn on_controller(&self, at: &Login, effect: &Effect) -> Result<Reply, EffectError> {
        let task = whose::task();
        match effect {
            Effect::Now => Ok(Reply::Time(self.clock.now(&task))),
            // Nothing becomes otherwise by waiting: no change was made.
            Effect::Sleep { millis } => {
                self.clock.sleep(&task, *millis);
                Ok(Reply::done(false))
            }
            Effect::Notify { to, .. } => takes(&self.channels, to.as_deref()),
            Effect::Ask { question } => self.inner.perform(at, effect).or_else(|error| likely(question).ok_or(error)),
            _ => self.inner.perform(at, effect),
        }
    }

    /// The host that an address leads to, when it is one of these.
    fn addressed(&self, at: &Login, address: &str, via: Via) -> Option<&HostName> {
        let own = address == "localhost" || address == "::1" || address.starts_with("127.");
        match (own, via) {
            (true, Via::Controller) => None,
            (true, _) => self.hosts.get_key_value(&at.host).map(|(name, _)| name),
            (false, _) => self.addresses.get(address),
        }
    }

    fn server(&self, at: &Login, (address, port): (&str, u16), via: Via, hoped: Option<&Hoped>) -> Option<(u16, String)> {
        self.upper(self.addressed(at, address, via)?)?.server(port, hoped, &self.marks)
    }
}

/// The default, or the first choice: a prediction asks nobody.
fn likely(question: &Question) -> Option<Reply> {
    let answer = question.default.as_ref().or(question.choices.first())?;
    Some(Reply::Content(Content::new(answer.as_str())))
}

impl<E: Effects> Effects for Overlay<E> {
    fn perform(&self, at: &Login, effect: &Effect) -> Result<Reply, EffectError> {
        if effect.class() == EffectClass::Controller {
            return self.on_controller(at, effect);
        }
        let predicted = match effect {
            Effect::Http { request, via } => Place::parse(&request.url)
                .ok()
                .and_then(|place| self.server(at, (&place.address, place.port), *via, request.hoped.as_ref()))
                .map(|answer| Upper::http_reply(at, answer)),
            Effect::Connect { address, port, via } => self
                .server(at, (address, *port), *via, None)
                .map(|_| Reply::Connected { vantage: format!("predicted for {}", at.host) }),
            _ => None,
        };
        match (predicted, effect) {
            (Some(reply), _) => Ok(reply),
            (None, Effect::Http { .. } | Effect::Connect { .. }) => self.inner.perform(at, effect),
            _ => {
                let Some(mut upper) = self.upper(&at.host) else { return self.inner.perform(at, effect) };
                let now = self.clock.now(&whose::task()).div_euclid(1000);
                let (run, inner, controller, marks) =
                    (&self.run, &self.inner as &dyn Effects, &self.controller, self.marks.as_ref());
                upper.perform(at, &UpperMeans { run, inner, controller, marks, now }, effect)
            }
        }
    }
}
