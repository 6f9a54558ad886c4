//! Every mode's stack of layers, outermost first.

use super::{Apply, Controller, Fleet, Looks, Marks, Observe, OneByOne, Overlay, ReadOnly, Retry, Seen, Simulate};
use crate::effect::Effects;
use crate::event::Watcher;
use crate::fleet::Environment;
use crate::id::RunId;
use crate::stop::Stop;
use crate::transport::Pool;
use std::sync::Arc;

/// `run`, `resume`, `unwind`: OneByOne, Retry, Apply. The fence stands below them, where the transport begins a shell.
#[must_use]
pub fn apply(pool: Arc<Pool>, controller: Controller, stop: Stop, watcher: Arc<dyn Watcher>) -> Arc<dyn Effects> {
    let theirs = pool.clone();
    let apply = Apply::new(pool, controller, stop.clone(), watcher);
    // It was waited for: undoing what is there tries once more, and does not wait as long again.
    let retry = Retry::new(apply, stop.clone()).telling(move |host| theirs.hurry(host));
    Arc::new(OneByOne::new(retry, stop))
}

/// `plan`: Observe, Simulate. The fleet is thrown away afterwards, so nothing has to lie over it; and it is no host whose state says
/// anything, so only looks at the project are noted.
#[must_use]
pub fn plan(fleet: Arc<Fleet>, run: RunId, controller: Controller, stop: Stop, basis: Grounds) -> Arc<dyn Effects> {
    let simulate = Simulate::new(fleet, run, controller, stop).with_marks(basis.marks);
    Arc::new(Observe::new(simulate, basis.looks, Seen::Project))
}

/// What a prediction turns out to rest on.
#[derive(Debug, Clone, Default)]
pub struct Grounds {
    /// What was taken to be so, by step.
    pub marks: Arc<Marks>,
    /// What was looked at.
    pub looks: Arc<Looks>,
}

/// What a dry run is made of, beside the layers themselves.
pub struct DryRun<'a> {
    /// Whose hosts are looked at.
    pub environment: &'a Environment,
    /// Its name.
    pub run: RunId,
    /// The project, for the layer that only reads; and once more, for what is compared with it.
    pub controllers: [Controller; 2],
    /// What it rests on.
    pub grounds: Grounds,
}

/// `dry-run`: Overlay, Observe, ReadOnly, Retry, Apply.
#[must_use]
pub fn dry_run(pool: Arc<Pool>, dry: DryRun<'_>, stop: Stop, watcher: Arc<dyn Watcher>) -> Arc<dyn Effects> {
    let [reads, compared] = dry.controllers;
    let live = ReadOnly::new(Retry::new(Apply::new(pool, reads, stop.clone(), watcher), stop));
    let seen = Observe::new(live, dry.grounds.looks, Seen::All);
    Arc::new(Overlay::new(seen, dry.environment, dry.run, compared, dry.grounds.marks, super::controller::now()))
}
