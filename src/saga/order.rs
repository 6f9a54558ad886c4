//! The order within one task. What must follow, and a bracket's closing, wait until the task is undone to its start, or
//! to the bracket around another host before: that server is not drained before this one is back. Before anything follows on a host, what
//! was done there earlier is undone as well, whichever fork or step did it: a restart comes after the last file.

use super::anew::{Anew, anew, has_begun_to_change};
use super::{Action, Before, Work, fork, inside, last_of_each, step};
use crate::effect::Effect;
use crate::id::{HostName, StepKey, TaskPath};
use crate::journal::{BracketSide, Group, Item, ObligationStatus, RunState};
use std::cell::RefCell;
use std::collections::BTreeSet;

/// What all tasks of a run share while it is asked what is to be undone.
pub(super) struct Whole<'a> {
    pub(super) state: &'a RunState,
    /// What runs before held.
    pub(super) before: &'a [Before],
    /// Services that the run did not come to.
    pub(super) anew: Anew,
    /// Steps and brackets that are in the work already.
    taken: RefCell<BTreeSet<StepKey>>,
}

impl<'a> Whole<'a> {
    pub(super) fn new(state: &'a RunState, before: &'a [Before]) -> Self {
        Self { state, before, anew: anew(state, before), taken: RefCell::default() }
    }

    /// Whether the run may have changed something on a host.
    pub(super) fn has_changes(&self, host: &HostName) -> bool {
        self.state.steps.values().any(|step| step.command.host == *host && has_begun_to_change(step))
    }

    /// Whether it comes for the first time.
    pub(super) fn takes(&self, key: &StepKey) -> bool {
        self.taken.borrow_mut().insert(key.clone())
    }

    /// What began in a task.
    pub(super) fn items(&self, path: &TaskPath) -> &'a [Item] {
        self.state.tasks.get(path).map(Vec::as_slice).unwrap_or_default()
    }
}

/// Whose task is undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose<'a> {
    /// That of one host: its brackets are all around that host.
    Host(&'a HostName),
    /// One that speaks to many.
    Many,
}

/// Collects the work of one task, or of one bracket in it.
pub(super) struct Undoing<'w, 'a> {
    pub(super) whole: &'w Whole<'a>,
    whose: Whose<'w>,
    pub(super) back: Vec<Work>,
    /// What follows, collected from the end.
    pub(super) follow: Vec<Work>,
    /// What must be well then, collected from the end.
    pub(super) checks: Vec<Work>,
    /// The brackets to be closed then, the inner ones first.
    leave: Vec<Work>,
}

impl<'w, 'a> Undoing<'w, 'a> {
    pub(super) fn new(whole: &'w Whole<'a>) -> Self {
        Self { whole, whose: Whose::Many, back: Vec::new(), follow: Vec::new(), checks: Vec::new(), leave: Vec::new() }
    }

    /// Of the task of one host.
    pub(super) fn of_host(whole: &'w Whole<'a>, host: &'w HostName) -> Self {
        Self { whose: Whose::Host(host), ..Self::new(whole) }
    }

    /// Takes these items, the last one first.
    pub(super) fn collect(&mut self, items: &'a [Item]) {
        let mut end = items.len();
        if let Some((at, key)) = self.open_bracket(items) {
            self.bracket(key, items.get(at + 1..).unwrap_or_default(), items.get(..at).unwrap_or_default());
            end = at;
        }
        while let Some(item) = end.checked_sub(1).and_then(|last| items.get(last)) {
            end -= 1;
            match item {
                Item::Step(key) => step(self, key),
                Item::Enter(key) => self.back.extend(fork(self.whole, key)),
                Item::Leave(key) if self.is_bracket(key) => {
                    let begin = position(items, &Item::Enter(key.clone())).unwrap_or(end);
                    self.bracket(key, items.get(begin + 1..end).unwrap_or_default(), items.get(..begin).unwrap_or_default());
                    end = begin;
                }
                Item::Leave(_) => {}
            }
        }
    }

    /// All of it, with what waited.
    pub(super) fn finish(mut self) -> Vec<Work> {
        self.flush();
        self.back
    }

    /// Takes what was done on hosts where something follows, among these items that came earlier, the last one first. What stands in
    /// a bracket that was closed again is left to it.
    pub(super) fn pull(&mut self, items: &'a [Item]) {
        let mut end = items.len();
        let hosts = self.followed();
        while let Some(item) = end.checked_sub(1).and_then(|last| items.get(last)).filter(|_| !hosts.is_empty()) {
            end -= 1;
            match item {
                Item::Step(key) => {
                    if self.whole.state.steps.get(key).is_some_and(|step| hosts.contains(&step.command.host)) {
                        step(self, key);
                    }
                }
                Item::Enter(key) => hosts.iter().for_each(|host| self.branch(key, host)),
                Item::Leave(key) if self.is_bracket(key) => {
                    end = position(items, &Item::Enter(key.clone())).unwrap_or(end);
                }
                Item::Leave(_) => {}
            }
        }
    }

    /// What a fork did on one host, as a part of this task.
    fn branch(&mut self, key: &StepKey, host: &HostName) {
        if let Some((Group::Fork { word, batches }, _)) = self.whole.state.groups.get(key)
            && batches.iter().flatten().any(|other| other == host)
        {
            let whole = self.whole;
            self.collect(whole.items(&key.task.child(key.n, word, host.as_str())));
        }
    }

    /// The hosts on which something follows: in the task of a host, that one.
    fn followed(&self) -> BTreeSet<HostName> {
        let hosts =
            self.follow.iter().filter_map(|work| if let Work::Do { at, .. } = work { Some(at.host.clone()) } else { None });
        hosts.filter(|host| matches!(self.whose, Whose::Many) || self.whose == Whose::Host(host)).collect()
    }

    /// Whether a bracket is around other hosts than what waits to be closed: that comes first then.
    fn is_for_others(&self, key: &StepKey) -> bool {
        let around = || inside(self.whole.state, key).is_disjoint(&self.followed());
        self.whose == Whose::Many && !self.leave.is_empty() && around()
    }

    /// A bracket and what stands in it, with what came earlier.
    fn bracket(&mut self, key: &'a StepKey, items: &'a [Item], earlier: &'a [Item]) {
        if !self.whole.takes(key) {
            return;
        }
        if self.is_for_others(key) {
            self.pull(earlier);
            self.flush();
        }
        let mut inner = Self { whose: self.whose, ..Self::new(self.whole) };
        inner.collect(items);
        let nothing = inner.back.is_empty() && inner.follow.is_empty() && inner.checks.is_empty() && inner.leave.is_empty();
        let status = self.whole.state.obligations.get(key).map(|obligation| &obligation.status);
        let again = match status {
            // Given up by a person, or never opened.
            _ if self.whole.state.settled.contains_key(key) => None,
            None => None,
            Some(ObligationStatus::Discharged) if nothing => None,
            Some(ObligationStatus::Discharged) => Some(true),
            Some(ObligationStatus::Opening | ObligationStatus::Failed(BracketSide::Enter, _)) => Some(!nothing),
            // A run that has ended left it open for a host that was away; by now, nobody knows what became of it.
            Some(ObligationStatus::Held | ObligationStatus::Failed(BracketSide::Leave, _)) => {
                Some(self.whole.state.ended.is_some() && !nothing)
            }
        };
        let side = |side| Work::Bracket { key: key.clone(), side };
        if again == Some(true) {
            self.back.push(side(BracketSide::Enter));
        }
        self.back.extend(inner.back);
        // What waits for the inner ones waits for this one, too: as they were opened, they are closed.
        self.follow.extend(inner.follow);
        self.checks.extend(inner.checks);
        let later = std::mem::replace(&mut self.leave, inner.leave);
        self.leave.extend(again.map(|_| side(BracketSide::Leave)));
        self.leave.extend(later);
    }

    fn flush(&mut self) {
        // They were collected from the end; what follows goes forward, and the same thing twice is once too many.
        self.follow.reverse();
        // What runs again does so behind the restart of its host.
        self.follow.sort_by_key(|work| !is_reboot(work));
        self.checks.reverse();
        self.back.extend(last_of_each(std::mem::take(&mut self.follow)));
        self.back.extend(last_of_each(std::mem::take(&mut self.checks)));
        self.back.append(&mut self.leave);
    }

    /// The outermost bracket among these that was never left: all that comes after is in it.
    fn open_bracket(&self, items: &'a [Item]) -> Option<(usize, &'a StepKey)> {
        let mut at = 0;
        while let Some(item) = items.get(at) {
            if let Item::Enter(key) = item
                && self.is_bracket(key)
            {
                match position(items, &Item::Leave(key.clone())) {
                    Some(left) => at = left,
                    None => return Some((at, key)),
                }
            }
            at += 1;
        }
        None
    }

    fn is_bracket(&self, key: &StepKey) -> bool {
        matches!(self.whole.state.groups.get(key), Some((Group::Bracket { .. }, _)))
    }
}

fn is_reboot(work: &Work) -> bool {
    matches!(work, Work::Do { action: Action::Effect(Effect::Reboot { .. }), .. })
}

fn position(items: &[Item], item: &Item) -> Option<usize> {
    items.iter().position(|other| other == item)
}
