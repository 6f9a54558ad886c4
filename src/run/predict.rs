//! The layers of a prediction: what stands behind the effects of a run that changes nothing.

use super::runner::StackBuilder;
use crate::artifact::DirectoryStore;
use crate::interp::{Controller, DryRun, Fleet, Marks, People, dry_run_stack, plan_stack};
use crate::ledger::StoredRun;
use crate::transport::{Credentials, Pool, PoolOptions};
use std::path::Path;
use std::sync::Arc;

/// A fleet in memory, which is thrown away; no host is spoken to.
#[must_use]
pub fn plan_layers(fleet: Arc<Fleet>, marks: Arc<Marks>) -> StackBuilder {
    Arc::new(move |stored, id, stop, _| plan_stack(fleet.clone(), id.clone(), controller(stored), stop, marks.clone()))
}

/// The live hosts, which are only looked at.
#[must_use]
pub fn dry_run_layers(credentials: Credentials, people: People, marks: Arc<Marks>) -> StackBuilder {
    Arc::new(move |stored, id, stop, watcher| {
        let options = PoolOptions { stop: stop.clone(), credentials: credentials.clone(), ..PoolOptions::new(id.clone()) };
        let pool = Arc::new(Pool::new(&stored.environment.hosts, options));
        // Nobody is told of what is only predicted; who answers may be asked.
        let asks = People { answers: people.answers.clone(), outbox: None };
        let controllers = [controller(stored).with_people(asks), controller(stored)];
        let dry = DryRun { environment: &stored.environment, run: id.clone(), controllers, marks: marks.clone() };
        dry_run_stack(pool, dry, stop, watcher)
    })
}

fn controller(stored: &StoredRun) -> Controller {
    Controller::new(Path::new(&stored.root), Arc::new(DirectoryStore::new(&stored.store)))
}
