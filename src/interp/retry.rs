//! A layer that tries again when a connection went away. Every effect may be sent twice: those that look first find
//! their work done, and a command is found again by its receipt.

use crate::effect::{Effect, EffectError, Effects, Login, Reply};
use crate::stop::Stop;
use std::time::{Duration, Instant};

/// How long a host that was there may stay away before a step on it fails.
const PATIENCE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(500);

/// Tries again over another layer.
pub struct Retry<E> {
    inner: E,
    stop: Stop,
}

impl<E: Effects> Retry<E> {
    /// Tries again what the inner layer lost.
    pub fn new(inner: E, stop: Stop) -> Self {
        Self { inner, stop }
    }
}

impl<E: Effects> Effects for Retry<E> {
    fn perform(&self, at: &Login, effect: &Effect) -> Result<Reply, EffectError> {
        let mut last = match self.inner.perform(at, effect) {
            Err(EffectError::Lost { reason, .. }) => reason,
            result => return result,
        };
        tracing::info!(%at, %last, "trying again");
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline && !self.stop.is_stopped() {
            wait(&self.stop, PAUSE);
            match self.inner.perform(at, effect) {
                Err(EffectError::Lost { reason, .. }) => last = reason,
                Err(EffectError::Unreachable { reason, .. }) => last = format!("it cannot be reached again: {reason}"),
                result => return result,
            }
        }
        Err(EffectError::Lost { host: at.host.clone(), reason: last })
    }
}

fn wait(stop: &Stop, pause: Duration) {
    let end = Instant::now() + pause;
    while Instant::now() < end && !stop.is_stopped() {
        std::thread::park_timeout(Duration::from_millis(50));
    }
}
