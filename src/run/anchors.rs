//! What hosts kept of how a run's journal ended.

use crate::effect::{Anchor, Effect, EffectError, Effects, Login, Reply};
use crate::id::{LockName, RunId};
use std::collections::BTreeSet;
use std::thread;

/// What a login kept of a run: its anchor, or none; or why it could not be asked.
pub type Kept = (Login, Result<Option<Anchor>, String>);

/// Asks all of these logins at once what they kept of a run under this lock.
#[must_use]
pub fn anchors(effects: &dyn Effects, logins: &BTreeSet<Login>, lock: &LockName, run: &RunId) -> Vec<Kept> {
    let ask = Effect::Anchors { lock: lock.clone() };
    let one = |at: &Login| match effects.perform(at, &ask) {
        Ok(Reply::Content(kept)) => Ok(Anchor::find(&String::from_utf8_lossy(kept.bytes()), run)),
        Ok(_) => Err("it gave an answer of another kind".to_owned()),
        Err(EffectError::Unreachable { reason, .. } | EffectError::Denied { reason, .. }) => Err(reason),
        Err(error) => Err(error.to_string()),
    };
    let one = &one;
    thread::scope(|scope| {
        let threads: Vec<_> = logins.iter().map(|at| (at, scope.spawn(move || one(at)))).collect();
        let broken = |_| Err("asking it ended by a defect".to_owned());
        threads.into_iter().map(|(at, thread)| (at.clone(), thread.join().unwrap_or_else(broken))).collect()
    })
}
