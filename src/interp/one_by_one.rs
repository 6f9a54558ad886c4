//! A layer that lets one task of a run at a time change the same thing of a host: what a step keeps of before is then what the one
//! before it made, and undoing can go back through all of them.

use crate::effect::{Account, Effect, EffectError, Effects, Login, Reply};
use crate::id::HostName;
use crate::stop::Stop;
use std::collections::BTreeSet;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// How often who waits looks whether the run was stopped.
const LOOK: Duration = Duration::from_millis(200);

/// Has changes of one thing wait for each other, over another layer.
pub struct OneByOne<E> {
    inner: E,
    stop: Stop,
    busy: Mutex<BTreeSet<(HostName, String)>>,
    freed: Condvar,
}

/// Frees what was taken, whatever became of the effect.
struct Taken<'a, E> {
    layer: &'a OneByOne<E>,
    things: Vec<(HostName, String)>,
}

impl<E> Drop for Taken<'_, E> {
    fn drop(&mut self) {
        let mut busy = self.layer.busy.lock().unwrap_or_else(PoisonError::into_inner);
        for thing in &self.things {
            busy.remove(thing);
        }
        self.layer.freed.notify_all();
    }
}

impl<E: Effects> OneByOne<E> {
    /// Over this layer; who waits gives up when the run is stopped.
    pub fn new(inner: E, stop: Stop) -> Self {
        Self { inner, stop, busy: Mutex::default(), freed: Condvar::new() }
    }

    fn take(&self, things: Vec<(HostName, String)>) -> Result<Taken<'_, E>, EffectError> {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        while things.iter().any(|thing| busy.contains(thing)) {
            if self.stop.is_stopped() {
                return Err(EffectError::Interrupted);
            }
            busy = self.freed.wait_timeout(busy, LOOK).unwrap_or_else(PoisonError::into_inner).0;
        }
        busy.extend(things.iter().cloned());
        Ok(Taken { layer: self, things })
    }
}

impl<E: Effects> Effects for OneByOne<E> {
    fn perform(&self, at: &Login, effect: &Effect) -> Result<Reply, EffectError> {
        let things = changes(effect);
        if things.is_empty() {
            return self.inner.perform(at, effect);
        }
        let _taken = self.take(things.into_iter().map(|thing| (at.host.clone(), thing)).collect())?;
        self.inner.perform(at, effect)
    }
}

/// What an effect changes by name: paths, services, accounts. What a command changes is not known; edits of lines are one by one on
/// the host itself.
fn changes(effect: &Effect) -> Vec<String> {
    use Effect as E;
    match effect {
        E::Write { path, .. }
        | E::Upload { path, .. }
        | E::UploadTree { path, .. }
        | E::Mkdir { path, .. }
        | E::Link { path, .. }
        | E::Remove { path, .. }
        | E::SetAttributes { path, .. } => vec![path.to_string()],
        E::Unit { unit, path, .. } => vec![path.to_string(), format!("service {}", unit.name)],
        E::Copy { to, .. } => vec![to.to_string()],
        E::Unpack { directory, .. } => vec![directory.to_string()],
        E::Rename { from, to, .. } => vec![from.to_string(), to.to_string()],
        E::Service { unit, .. } => vec![format!("service {}", unit.name)],
        E::Account { account: Account::User(_) | Account::Group(_), .. } => vec!["accounts".to_owned()],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effect::Attributes;
    use crate::id::{RemotePath, SaveId, StepKey};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    /// Counts how many are at work at once, by path.
    #[derive(Default)]
    struct Counting {
        now: AtomicUsize,
        most: AtomicUsize,
    }

    impl Effects for Counting {
        fn perform(&self, _: &Login, _: &Effect) -> Result<Reply, EffectError> {
            let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
            self.most.fetch_max(now, Ordering::SeqCst);
            // Long enough for whoever does not wait to be there as well.
            let (gate, never) = (Mutex::new(()), Condvar::new());
            drop(never.wait_timeout(gate.lock().unwrap(), Duration::from_millis(30)));
            self.now.fetch_sub(1, Ordering::SeqCst);
            Err(EffectError::failed("enough"))
        }
    }

    fn mkdir(path: &str) -> Effect {
        let save: SaveId = StepKey::parse("main#1").unwrap().save(1);
        Effect::Mkdir { path: RemotePath::parse(path).unwrap(), attributes: Attributes::default(), save }
    }

    fn at_once(all: &[Effect]) -> usize {
        let layer = Arc::new(OneByOne::new(Counting::default(), Stop::default()));
        let at = Login { host: HostName::parse("web1").unwrap(), user: None };
        thread::scope(|scope| {
            for effect in all {
                scope.spawn(|| drop(layer.perform(&at, effect)));
            }
        });
        layer.inner.most.load(Ordering::SeqCst)
    }

    #[test]
    fn changes_of_one_path_wait_for_each_other_and_others_do_not() {
        assert_eq!(at_once(&[mkdir("/srv/a"), mkdir("/srv/a"), mkdir("/srv/a")]), 1);
        assert!(at_once(&[mkdir("/srv/a"), mkdir("/srv/b"), mkdir("/srv/c")]) > 1);
        let there = RemotePath::parse("/srv/a").unwrap();
        assert!(at_once(&[Effect::Stat { path: there.clone() }, Effect::Stat { path: there }]) > 1);
    }

    #[test]
    fn who_waits_gives_up_when_the_run_is_stopped() {
        let stop = Stop::default();
        let layer = OneByOne::new(Counting::default(), stop.clone());
        let thing = (HostName::parse("web1").unwrap(), "/srv/a".to_owned());
        let taken = layer.take(vec![thing.clone()]).unwrap();
        stop.stop();
        assert!(matches!(layer.take(vec![thing]), Err(EffectError::Interrupted)));
        drop(taken);
    }
}
