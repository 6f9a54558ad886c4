//! A layer that tries again when a connection went away. Every effect may be sent twice: those that look first find
//! their work done, and a command is found again by its receipt.

use crate::effect::{Effect, EffectError, Effects, Login, Reply};
use crate::id::HostName;
use crate::stop::Stop;
use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a host that was there may stay away before a step on it fails.
const PATIENCE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(500);

/// Tries again over another layer.
pub struct Retry<E> {
    inner: E,
    stop: Stop,
    reached: Mutex<BTreeSet<HostName>>,
    /// How often it is tried again where no time passes; by the clock otherwise.
    tries: Option<u32>,
    /// Told of a host that stayed away.
    given_up: Box<dyn Fn(&HostName) + Send + Sync>,
}

impl<E: Effects> Retry<E> {
    /// Tries again what the inner layer lost.
    pub fn new(inner: E, stop: Stop) -> Self {
        Self { inner, stop, reached: Mutex::default(), tries: None, given_up: Box::new(|_| {}) }
    }

    /// With somebody who is told of each host that stayed away for the whole time.
    #[must_use]
    pub fn telling(self, given_up: impl Fn(&HostName) + Send + Sync + 'static) -> Self {
        Self { given_up: Box::new(given_up), ..self }
    }

    /// Tries again so often, without waiting: for a world in memory, where waiting changes nothing.
    #[must_use]
    pub fn at_once(self, tries: u32) -> Self {
        Self { tries: Some(tries), ..self }
    }

    fn reached(&self) -> MutexGuard<'_, BTreeSet<HostName>> {
        self.reached.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn knows(&self, at: &Login) -> bool {
        self.reached().contains(&at.host)
    }

    /// A host that has answered gets patience from then on.
    fn note(&self, at: &Login, result: &Result<Reply, EffectError>) {
        if result.is_ok() && !at.host.is_controller() {
            self.reached().insert(at.host.clone());
        }
    }

    /// A host that stayed away gets none any more.
    fn forget(&self, at: &Login) {
        self.reached().remove(&at.host);
        (self.given_up)(&at.host);
    }
}

impl<E: Effects> Effects for Retry<E> {
    fn perform(&self, at: &Login, effect: &Effect) -> Result<Reply, EffectError> {
        let first = self.inner.perform(at, effect);
        let (mut last, sent) = match first {
            Err(EffectError::Lost { reason, .. }) => (reason, true),
            // It was there a while ago: its sshd may be starting again.
            Err(EffectError::Unreachable { reason, .. }) if self.knows(at) => (reason, false),
            result => {
                self.note(at, &result);
                return result;
            }
        };
        tracing::info!(%at, %last, "trying again");
        let deadline = Instant::now() + PATIENCE;
        let mut tried = 0;
        while self.tries.map_or_else(|| Instant::now() < deadline, |tries| tried < tries) && !self.stop.is_stopped() {
            tried += 1;
            if self.tries.is_none() {
                wait(&self.stop, PAUSE);
            }
            match self.inner.perform(at, effect) {
                Err(EffectError::Lost { reason, .. }) => last = reason,
                Err(EffectError::Unreachable { reason, .. }) => last = format!("it cannot be reached again: {reason}"),
                result => return result,
            }
        }
        let host = at.host.clone();
        if self.stop.is_stopped() {
            // It did not stay away: nobody waited for it.
            return Err(if sent { EffectError::Left { host } } else { EffectError::Interrupted });
        }
        self.forget(at);
        Err(if sent {
            EffectError::Lost { host, reason: last }
        } else {
            EffectError::Unreachable { host, reason: last, help: None }
        })
    }
}

fn wait(stop: &Stop, pause: Duration) {
    let end = Instant::now() + pause;
    while Instant::now() < end && !stop.is_stopped() {
        std::thread::park_timeout(Duration::from_millis(50));
    }
}
