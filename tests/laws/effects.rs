//! Layers over the effects of a run: one that counts, one that fails at a place, one that allows nothing.

use crate::world::Layer;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use windlass::effect::{Effect, EffectClass, EffectError, Effects, Login, Reply};

/// Whether an effect may change a host, and is not part of undoing or forgetting.
fn changes(effect: &Effect) -> bool {
    let undoes = match effect {
        Effect::Restore { .. } | Effect::Resume { .. } | Effect::Forget { .. } | Effect::Fence => true,
        // One that undoes another has its place behind it.
        Effect::Exec { after, .. } => after.is_some(),
        _ => false,
    };
    !undoes && matches!(effect.class(), EffectClass::Write | EffectClass::Opaque)
}

/// When an effect fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// Before it took effect.
    Before,
    /// It took effect, and the answer says it did not.
    After,
}

/// Counts the effects that may change a host.
pub(crate) fn counting() -> (Layer, Arc<AtomicU32>) {
    let count = Arc::new(AtomicU32::new(0));
    let theirs = count.clone();
    (Arc::new(move |inner| Arc::new(Fault { inner, at: None, count: theirs.clone() })), count)
}

/// Fails at the `k`th effect, from 1, that may change a host.
pub(crate) fn failing(k: u32, when: When) -> Layer {
    Arc::new(move |inner| Arc::new(Fault { inner, at: Some((k, when)), count: Arc::default() }))
}

struct Fault {
    inner: Arc<dyn Effects>,
    at: Option<(u32, When)>,
    count: Arc<AtomicU32>,
}

impl Effects for Fault {
    fn perform(&self, at: &Login, effect: &Effect) -> Result<Reply, EffectError> {
        if !changes(effect) {
            return self.inner.perform(at, effect);
        }
        let n = self.count.fetch_add(1, Ordering::SeqCst) + 1;
        match self.at.filter(|(k, _)| *k == n) {
            None => self.inner.perform(at, effect),
            Some((_, when)) => {
                if when == When::After {
                    let _ = self.inner.perform(at, effect);
                }
                Err(EffectError::failed("the test says no"))
            }
        }
    }
}

/// Sends each effect that may change a host twice, as when its answer was lost, and gives the second answer.
pub(crate) fn twice() -> Layer {
    Arc::new(|inner| Arc::new(Twice { inner }))
}

struct Twice {
    inner: Arc<dyn Effects>,
}

impl Effects for Twice {
    fn perform(&self, at: &Login, effect: &Effect) -> Result<Reply, EffectError> {
        let first = self.inner.perform(at, effect);
        if matches!(effect.class(), EffectClass::Write | EffectClass::Opaque) && !matches!(effect, Effect::Forget { .. }) {
            return self.inner.perform(at, effect);
        }
        first
    }
}

/// Allows no effect but showing the fence and forgetting, and tells which were asked for.
pub(crate) fn none() -> (Layer, Arc<Mutex<Vec<String>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let theirs = asked.clone();
    (Arc::new(move |inner| Arc::new(Nothing { inner, asked: theirs.clone() })), asked)
}

struct Nothing {
    inner: Arc<dyn Effects>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Effects for Nothing {
    fn perform(&self, at: &Login, effect: &Effect) -> Result<Reply, EffectError> {
        if matches!(effect, Effect::Forget { .. } | Effect::Fence) {
            return self.inner.perform(at, effect);
        }
        self.asked.lock().unwrap().push(format!("{effect:?}"));
        Err(EffectError::failed("nothing is performed"))
    }
}

/// Nobody answers for this host as long as this file is there.
pub(crate) fn away(host: &'static str, file: &Path) -> Layer {
    let file = file.to_owned();
    Arc::new(move |inner| Arc::new(Away { inner, host, file: file.clone() }))
}

struct Away {
    inner: Arc<dyn Effects>,
    host: &'static str,
    file: PathBuf,
}

impl Effects for Away {
    fn perform(&self, at: &Login, effect: &Effect) -> Result<Reply, EffectError> {
        // The hosts of these worlds share one home: as long as one is away, the others forget nothing of it.
        if matches!(effect, Effect::Forget { .. }) && self.file.exists() {
            return Ok(Reply::done(false));
        }
        if at.host.as_str() == self.host && self.file.exists() {
            return Err(EffectError::Unreachable { host: at.host.clone(), reason: "the test says so".to_owned(), help: None });
        }
        self.inner.perform(at, effect)
    }
}

/// Forgets nothing, as when a host is away at the end of a run.
pub(crate) fn never_forgetting() -> Layer {
    Arc::new(|inner| Arc::new(Keeping { inner }))
}

struct Keeping {
    inner: Arc<dyn Effects>,
}

impl Effects for Keeping {
    fn perform(&self, at: &Login, effect: &Effect) -> Result<Reply, EffectError> {
        if matches!(effect, Effect::Forget { .. }) { Ok(Reply::done(true)) } else { self.inner.perform(at, effect) }
    }
}
