//! The layers of a prediction: what stands behind the effects of a run that changes nothing.

use super::runner::StackBuilder;
use crate::artifact::{DirectoryStore, KeptSources};
use crate::effect::{Effect, EffectError, Effects, Login, Reply};
use crate::id::RunId;
use crate::interp::{Controller, DryRun, Fleet, Grounds, People, dry_run_stack, plan_stack};
use crate::ledger::StoredRun;
use crate::transport::{Credentials, Pool, PoolOptions};
use std::path::Path;
use std::sync::Arc;

/// A fleet in memory, which is thrown away; no host is spoken to. What is read of the project is kept in `scratch` meanwhile.
#[must_use]
pub fn plan_layers(fleet: Arc<Fleet>, grounds: Grounds, scratch: &Path) -> StackBuilder {
    let scratch = scratch.to_owned();
    Arc::new(move |stored, id, stop, _| {
        plan_stack(fleet.clone(), id.clone(), controller(stored, id, &scratch), stop, grounds.clone())
    })
}

/// The live hosts, which are only looked at.
#[must_use]
pub fn dry_run_layers(credentials: Credentials, people: People, grounds: Grounds, scratch: &Path) -> StackBuilder {
    let scratch = scratch.to_owned();
    Arc::new(move |stored, id, stop, watcher| {
        let options = PoolOptions { stop: stop.clone(), credentials: credentials.clone(), ..PoolOptions::new(id.clone()) };
        let pool = Arc::new(Pool::new(&stored.environment.hosts, options));
        // Nobody is told of what is only predicted; who answers may be asked.
        let asks = People { answers: people.answers.clone(), outbox: None };
        let controllers = [controller(stored, id, &scratch).with_people(asks), controller(stored, id, &scratch)];
        let dry = DryRun { environment: &stored.environment, run: id.clone(), controllers, grounds: grounds.clone() };
        dry_run_stack(pool, dry, stop, watcher)
    })
}

/// The project alone: no host is behind it.
#[must_use]
pub fn project_layer(controller: Controller) -> Arc<dyn Effects> {
    Arc::new(Project(controller))
}

struct Project(Controller);

impl Effects for Project {
    fn perform(&self, _: &Login, effect: &Effect) -> Result<Reply, EffectError> {
        self.0.answer(effect)
    }
}

/// The project, with what is read of it kept in a directory that is thrown away: a prediction leaves nothing in the store.
fn controller(stored: &StoredRun, run: &RunId, scratch: &Path) -> Controller {
    let store = Arc::new(DirectoryStore::new(stored.store_directory()));
    Controller::new(Path::new(&stored.root), store, KeptSources::new(scratch, run.clone(), None))
}
