//! Every mode's stack of layers, outermost first.

use super::{Apply, Controller, Retry};
use crate::effect::Effects;
use crate::event::Watcher;
use crate::stop::Stop;
use crate::transport::Pool;
use std::sync::Arc;

/// `run`, `resume`, `unwind`: Retry, Apply. The fence stands below them, where the transport begins a shell.
#[must_use]
pub fn apply(pool: Arc<Pool>, controller: Controller, stop: Stop, watcher: Arc<dyn Watcher>) -> Arc<dyn Effects> {
    let theirs = pool.clone();
    let apply = Apply::new(pool, controller, stop.clone(), watcher);
    // It was waited for: undoing what is there tries once more, and does not wait as long again.
    Arc::new(Retry::new(apply, stop).telling(move |host| theirs.hurry(host)))
}
