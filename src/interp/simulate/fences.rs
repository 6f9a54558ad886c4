//! Locks on a simulated host: the highest holder that it was shown, and how the journals of ended runs went.

use super::at::{Answer, At, done};
use crate::effect::{Anchor, Content, EffectError, Reply};
use crate::id::{Epoch, HostName, LockName};
use serde::{Deserialize, Serialize};

/// What a host keeps of a lock.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Lock {
    shown: Epoch,
    /// Lines of a run, how many records its journal had, and their head.
    anchors: Vec<String>,
}

/// Of so many runs.
const ANCHORS: usize = 50;

impl super::host::Host {
    /// Somebody else has the lock from now on, whoever they work as here.
    pub(super) fn show(&mut self, lock: &LockName, epoch: Epoch) {
        for user in [self.login.as_str(), "root"] {
            self.locks.entry(format!("{user} {lock}")).or_default().shown = epoch;
        }
        let ending = format!(" {lock}");
        self.locks.iter_mut().filter(|(key, _)| key.ends_with(&ending)).for_each(|(_, lock)| lock.shown = epoch);
    }
}

impl At<'_> {
    fn lock_key(&self, lock: &LockName) -> String {
        format!("{} {lock}", self.who.name)
    }

    /// `wl_fence`: refuses what changes something, where a later holder of the lock was shown; shows this one otherwise.
    pub(super) fn fenced(&mut self) -> Result<(), EffectError> {
        let Some(fence) = self.fence else { return Ok(()) };
        let key = self.lock_key(&fence.lock);
        let lock = self.host.locks.entry(key).or_default();
        if lock.shown > fence.epoch {
            let (shown, name) = (lock.shown.to_string(), self.host.name.clone());
            return match HostName::parse(&name) {
                Ok(host) => Err(EffectError::Fenced { host, shown }),
                Err(error) => Err(EffectError::failed(error.to_string())),
            };
        }
        lock.shown = fence.epoch;
        Ok(())
    }

    /// `wl_raise`: this one is shown already.
    pub(super) fn raise(&mut self) -> Answer {
        done(false)
    }

    /// `wl_anchor`.
    pub(super) fn anchor(&mut self, anchor: &Anchor) {
        let Some(fence) = self.fence else { return };
        let (key, run) = (self.lock_key(&fence.lock), format!("{} ", self.run));
        let lock = self.host.locks.entry(key).or_default();
        lock.anchors.retain(|line| !line.starts_with(&run));
        let from = lock.anchors.len().saturating_sub(ANCHORS - 1);
        lock.anchors.drain(..from);
        lock.anchors.push(format!("{run}{} {}", anchor.records, anchor.head));
    }

    /// `wl_anchors`.
    pub(super) fn anchors(&mut self, lock: &LockName) -> Reply {
        let lock = self.host.locks.get(&self.lock_key(lock)).cloned().unwrap_or_default();
        Reply::Content(Content::new(lock.anchors.iter().map(|line| format!("{line}\n")).collect::<String>()))
    }
}
