//! Performs effects on live hosts.

use super::Controller;
use super::fetch::fetch;
use super::follow::Follow;
use super::guard;
use super::reboot::{Wish, reboot};
use super::vantage::Vantage;
use crate::effect::{Effect, EffectClass, EffectError, Effects, GuardAct, Login, Reply};
use crate::event::Watcher;
use crate::id::HostName;
use crate::stop::Stop;
use crate::transport::{Failure, Pool, remote};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Live hosts, and the controller.
pub struct Apply {
    pool: Arc<Pool>,
    controller: Controller,
    vantage: Vantage,
    stop: Stop,
    /// What hosts said they are.
    facts: Mutex<BTreeMap<Login, Reply>>,
    follow: Follow,
}

impl Apply {
    /// Speaks to hosts through this pool; what goes on inside long calls is told to the watcher.
    #[must_use]
    pub fn new(pool: Arc<Pool>, controller: Controller, stop: Stop, watcher: Arc<dyn Watcher>) -> Self {
        Self {
            pool,
            controller,
            vantage: Vantage::new(stop.clone()),
            stop,
            follow: Follow::new(watcher),
            facts: Mutex::default(),
        }
    }

    fn on_host(&self, at: &Login, effect: &Effect) -> Result<Reply, EffectError> {
        let host = &at.host;
        let call = remote::call(effect)?.as_user(at.user.clone());
        let shell = self.pool.shell(host).map_err(|failure| explain(host, failure))?;
        if let Some(look) = remote::look(effect) {
            let look = look.as_user(at.user.clone());
            let said = shell.call(&look, &mut || {}).map_err(|failure| explain(host, failure))?;
            if !remote::differs(&said) {
                return remote::reply(host, effect, &said);
            }
        }
        let mut followed = self.follow.call(host, shell.as_ref(), effect, &call);
        let said = shell.call(&call, &mut || followed.tick()).map_err(|failure| explain(host, failure))?;
        self.follow.beside(host, &said.beside);
        let reply = remote::reply(host, effect, &said)?;
        self.follow.ended(host, effect, &reply);
        Ok(reply)
    }

    /// Asked once, and told from memory until the host starts anew.
    fn facts(&self, at: &Login) -> Result<Reply, EffectError> {
        let known = || self.facts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(facts) = known().get(at) {
            return Ok(facts.clone());
        }
        let facts = self.on_host(at, &Effect::Facts)?;
        known().insert(at.clone(), facts.clone());
        Ok(facts)
    }
}

impl Effects for Apply {
    fn perform(&self, at: &Login, effect: &Effect) -> Result<Reply, EffectError> {
        if self.stop.is_stopped() {
            return Err(EffectError::Interrupted);
        }
        match effect {
            Effect::Http { request, via } => self.vantage.http(&self.pool, at, request, *via),
            Effect::Connect { address, port, via } => self.vantage.connect(&self.pool, at, address, *port, *via),
            Effect::Facts => self.facts(at),
            Effect::Guard { act: GuardAct::Confirm { save, seconds } } => {
                guard::confirm(&self.pool, at, save, *seconds, &self.stop)
            }
            Effect::Fetch { path, to, limit } => fetch(&self.pool, &self.controller, at, (path, *limit), to),
            Effect::Reboot { within_millis, message, begun, save, after } => {
                let within = Duration::from_millis(*within_millis);
                let wish = Wish { within, message: message.as_deref(), begun: *begun, save, after: after.as_ref() };
                let reply = reboot(&self.pool, at, &wish, &self.stop);
                self.facts.lock().unwrap_or_else(PoisonError::into_inner).retain(|login, _| login.host != at.host);
                reply
            }
            _ if effect.class() == EffectClass::Controller => self.controller.perform(effect, &self.stop),
            _ => self.on_host(at, effect),
        }
    }
}

pub(super) fn explain(host: &HostName, failure: Failure) -> EffectError {
    let reason = failure.to_string();
    match failure {
        Failure::Unreachable { reason, help } => EffectError::Unreachable { host: host.clone(), reason, help },
        Failure::Denied { reason, help } => EffectError::Denied { host: host.clone(), reason, help },
        Failure::Lost(reason) => EffectError::Lost { host: host.clone(), reason },
        Failure::Refused(_) | Failure::Forbidden(_) => EffectError::failed(reason),
        Failure::Timeout(_) => EffectError::Timeout { message: reason, stderr: String::new() },
        Failure::Stopped => EffectError::Interrupted,
        Failure::Left => EffectError::Left { host: host.clone() },
    }
}
