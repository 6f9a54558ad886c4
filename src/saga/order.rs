//! The order within one task. What must follow, and a bracket's closing, wait until the task is undone to its start, or
//! to the next bracket before: another server is not drained before this one is back.

use super::{Before, Work, fork, last_of_each, step};
use crate::id::StepKey;
use crate::journal::{BracketSide, Group, Item, ObligationStatus, RunState};

/// Collects the work of one task, or of one bracket in it.
pub(super) struct Undoing<'a> {
    pub(super) state: &'a RunState,
    /// What runs before held.
    pub(super) before: &'a [Before],
    pub(super) back: Vec<Work>,
    /// What follows, collected from the end.
    pub(super) follow: Vec<Work>,
    /// What must be well then, collected from the end.
    pub(super) checks: Vec<Work>,
    /// The bracket to be closed then.
    leave: Option<Work>,
}

impl<'a> Undoing<'a> {
    pub(super) fn new(state: &'a RunState, before: &'a [Before]) -> Self {
        Self { state, before, back: Vec::new(), follow: Vec::new(), checks: Vec::new(), leave: None }
    }

    /// Takes these items, the last one first.
    pub(super) fn collect(&mut self, items: &'a [Item]) {
        let mut end = items.len();
        if let Some((at, key)) = self.open_bracket(items) {
            self.bracket(key, items.get(at + 1..).unwrap_or_default());
            end = at;
        }
        while let Some(item) = end.checked_sub(1).and_then(|last| items.get(last)) {
            end -= 1;
            match item {
                Item::Step(key) => step(self, key),
                Item::Enter(key) => self.back.extend(fork(self.state, self.before, key)),
                Item::Leave(key) if self.is_bracket(key) => {
                    let begin = position(items, &Item::Enter(key.clone())).unwrap_or(end);
                    self.bracket(key, items.get(begin + 1..end).unwrap_or_default());
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

    /// A bracket and what stands in it.
    fn bracket(&mut self, key: &'a StepKey, items: &'a [Item]) {
        self.flush();
        let mut inner = Self::new(self.state, self.before);
        inner.collect(items);
        if inner.leave.is_some() {
            // What waited for a bracket within this one does not wait for more.
            inner.flush();
        }
        let nothing = inner.back.is_empty() && inner.follow.is_empty() && inner.checks.is_empty();
        let status = self.state.obligations.get(key).map(|obligation| &obligation.status);
        let again = match status {
            // Given up by a person, or never opened.
            _ if self.state.settled.contains_key(key) => None,
            None => None,
            Some(ObligationStatus::Discharged) if nothing => None,
            Some(ObligationStatus::Discharged) => Some(true),
            Some(ObligationStatus::Opening | ObligationStatus::Failed(BracketSide::Enter, _)) => Some(!nothing),
            Some(ObligationStatus::Held | ObligationStatus::Failed(BracketSide::Leave, _)) => Some(false),
        };
        let side = |side| Work::Bracket { key: key.clone(), side };
        if again == Some(true) {
            self.back.push(side(BracketSide::Enter));
        }
        self.back.extend(inner.back);
        (self.follow, self.checks) = (inner.follow, inner.checks);
        self.leave = again.map(|_| side(BracketSide::Leave));
    }

    fn flush(&mut self) {
        // They were collected from the end; what follows goes forward, and the same thing twice is once too many.
        self.follow.reverse();
        self.checks.reverse();
        self.back.extend(last_of_each(std::mem::take(&mut self.follow)));
        self.back.extend(last_of_each(std::mem::take(&mut self.checks)));
        self.back.extend(self.leave.take());
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
        matches!(self.state.groups.get(key), Some((Group::Bracket { .. }, _)))
    }
}

fn position(items: &[Item], item: &Item) -> Option<usize> {
    items.iter().position(|other| other == item)
}
