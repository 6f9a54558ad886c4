//! Virtual time. Each task has its own, which begins at that of the task that made it: what hosts do at the same time takes no
//! longer than one of them, and every wait of a task is as long as it says, in whatever order threads come to run.

use crate::id::TaskPath;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The clock of a simulated fleet.
#[derive(Debug)]
pub(in crate::interp) struct Clock {
    begin: i64,
    tasks: Mutex<BTreeMap<String, i64>>,
}

impl Clock {
    /// Milliseconds since 1970-01-01 UTC at which everything begins.
    pub(in crate::interp) fn new(begin: i64) -> Self {
        Self { begin, tasks: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, i64>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time of a task. What it made has ended when it speaks again: it is no earlier than that.
    pub(in crate::interp) fn now(&self, task: &TaskPath) -> i64 {
        let (path, mut tasks) = (task.as_str(), self.lock());
        let below = format!("{path}/");
        let ended: Vec<String> = tasks
            .range(below.clone()..)
            .take_while(|(other, _)| other.starts_with(&below))
            .map(|(other, _)| other.clone())
            .collect();
        let latest = ended.iter().filter_map(|other| tasks.remove(other)).max();
        let known = tasks
            .get(path)
            .copied()
            .or_else(|| inherited(&tasks, path))
            .or_else(|| tasks.values().max().copied())
            .unwrap_or(self.begin);
        let now = known.max(latest.unwrap_or(known));
        tasks.insert(path.to_owned(), now);
        now
    }

    /// The latest time that any task has come to.
    pub(in crate::interp) fn latest(&self) -> i64 {
        self.lock().values().max().copied().unwrap_or(self.begin)
    }

    /// A task waits.
    pub(in crate::interp) fn sleep(&self, task: &TaskPath, millis: u64) -> i64 {
        let now = self.now(task).saturating_add(i64::try_from(millis).unwrap_or(i64::MAX));
        self.lock().insert(task.as_str().to_owned(), now);
        now
    }
}

/// The time of the nearest task that this one was made by.
fn inherited(tasks: &BTreeMap<String, i64>, path: &str) -> Option<i64> {
    let mut above = path;
    while let Some((shorter, _)) = above.rsplit_once('/') {
        if let Some(time) = tasks.get(shorter) {
            return Some(*time);
        }
        above = shorter;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_wait_side_by_side_and_their_maker_goes_on_after_them() {
        let clock = Clock::new(1000);
        let main = TaskPath::main();
        let (one, other) = (main.child(1, "parallel", "a"), main.child(1, "parallel", "b"));
        assert_eq!(clock.sleep(&main, 5), 1005);
        assert_eq!(clock.sleep(&one, 100), 1105);
        assert_eq!(clock.sleep(&other, 30), 1035);
        assert_eq!(clock.now(&one), 1105);
        assert_eq!(clock.now(&main), 1105);
        assert_eq!(clock.now(&main.child(2, "parallel", "b")), 1105);
    }
}
