//! The hosts on which something was done within a bracket: as long as they are away and not restored, it stays open.

use crate::id::{HostName, StepKey};
use crate::journal::{Group, Item, RunState};
use std::collections::BTreeSet;

/// The hosts within a bracket.
#[derive(Debug, Default)]
struct Within {
    /// Those that its own steps speak to, and the one in whose task it stands.
    each: BTreeSet<HostName>,
    /// Those that its forks work on.
    together: BTreeSet<HostName>,
}

impl Within {
    fn of(state: &RunState, key: &StepKey) -> Self {
        let items = state.tasks.get(&key.task).map(Vec::as_slice).unwrap_or_default();
        let body = items.iter().skip_while(|item| **item != Item::Enter(key.clone())).skip(1);
        let mut within = Self::default();
        for item in body.take_while(|item| **item != Item::Leave(key.clone())) {
            match item {
                Item::Step(key) => within.each.extend(state.steps.get(key).map(|step| step.command.host.clone())),
                Item::Enter(key) => {
                    if let Some((Group::Fork { batches, .. }, _)) = state.groups.get(key) {
                        within.together.extend(batches.iter().flatten().cloned());
                    }
                }
                Item::Leave(_) => {}
            }
        }
        if key.task.as_str().contains('/') {
            within.each.extend(HostName::parse(key.task.leaf()));
        }
        within.each.retain(|host| !host.is_controller());
        within
    }
}

/// The hosts of all that was done in a bracket, and the one in whose task it stands.
#[must_use]
pub fn inside(state: &RunState, key: &StepKey) -> BTreeSet<HostName> {
    let Within { mut each, together } = Within::of(state, key);
    each.extend(together);
    each
}

/// Whether a bracket stays open as long as these hosts are away: its users would be sent to one that is not restored. One around many
/// hosts is closed for those that are well, and stays open when none of them is.
#[must_use]
pub fn waits_for(state: &RunState, key: &StepKey, away: impl Fn(&HostName) -> bool) -> bool {
    let Within { each, together } = Within::of(state, key);
    each.iter().any(&away) || !together.is_empty() && together.iter().all(&away)
}
