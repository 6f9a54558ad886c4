//! A block of changes that a simulated host takes back by itself, when its virtual time comes, unless it is confirmed.

use super::at::{Answer, At, die, done};
use super::host::Was;
use crate::effect::{EffectError, GuardAct, Invocation};
use crate::id::SaveId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A guarded block of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Guard {
    save: String,
    /// When it is over, in seconds since 1970-01-01 UTC.
    until: i64,
    state: State,
    /// What was done since, in order: what kind of thing, and its name.
    list: Vec<(String, SaveId)>,
    /// Commands that undo others, and commands to be repeated, by word and receipt.
    told: BTreeMap<String, Invocation>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Armed,
    Fired,
    Confirmed,
}

impl At<'_> {
    pub(super) fn guard(&mut self, act: &GuardAct) -> Answer {
        match act {
            GuardAct::Arm { save, seconds } => self.arm(save, *seconds),
            GuardAct::Undo { receipt, command } => self.guard_told("undo", receipt, command),
            GuardAct::Again { receipt, command } => self.guard_told("again", receipt, command),
            GuardAct::Confirm { save, .. } => self.confirm(save),
        }
    }

    fn arm(&mut self, save: &SaveId, seconds: u64) -> Answer {
        match self.kept().guard.as_ref().map(|guard| (guard.state, guard.save == save.as_str())) {
            Some((State::Fired, _)) => return die("this host has restored itself in this run: it is to be undone first"),
            Some((State::Armed, false)) => return die("this host is in a guarded block already"),
            Some((_, true)) => return done(false),
            Some((State::Confirmed, false)) | None => {}
        }
        self.note(save, "guard", Was::Guard)?;
        let until = self.now.saturating_add(i64::try_from(seconds).unwrap_or(i64::MAX));
        let guard = Guard { save: save.to_string(), until, state: State::Armed, list: Vec::new(), told: BTreeMap::new() };
        self.kept().guard = Some(guard);
        done(false)
    }

    fn guard_told(&mut self, word: &str, receipt: &SaveId, command: &Invocation) -> Answer {
        let Some(guard) = &mut self.kept().guard else { return done(false) };
        guard.told.insert(format!("{word} {receipt}"), command.clone());
        self.watched(word, receipt)?;
        done(false)
    }

    /// Before a change, the list of a guarded block has what is to be put back. Once that began, nothing changes.
    pub(super) fn watched(&mut self, word: &str, name: &SaveId) -> Result<(), EffectError> {
        self.fire_when_due();
        let Some(guard) = &mut self.kept().guard else { return Ok(()) };
        match guard.state {
            State::Armed => guard.list.push((word.to_owned(), name.clone())),
            State::Fired => {
                return die("this host has restored itself: what the guarded block changed was not confirmed in time");
            }
            State::Confirmed => {}
        }
        Ok(())
    }

    fn confirm(&mut self, save: &SaveId) -> Answer {
        let place = self.place.clone();
        let host = self.host.name.clone();
        match self.kept().guard.as_mut().filter(|guard| guard.save == save.as_str()) {
            None => die(format!("nothing is known here of this guarded block: {place} is gone, or was never there")),
            Some(guard) if guard.state == State::Fired => {
                die(format!("{host} has restored itself: the block was not confirmed over a new connection in time"))
            }
            Some(guard) => {
                guard.state = State::Confirmed;
                done(false)
            }
        }
    }

    /// Before the changes of its block are undone from elsewhere.
    pub(super) fn guard_back(&mut self) -> Answer {
        if let Some(guard) = &mut self.kept().guard {
            guard.state = State::Confirmed;
        }
        done(false)
    }

    /// The host restores itself, when the time for it has come: what cannot be put back stays, as on a host.
    pub(super) fn fire_when_due(&mut self) {
        let now = self.now;
        let Some(kept) = self.host.kept.get_mut(&self.keeper) else { return };
        let Some(guard) = kept.guard.as_mut().filter(|guard| guard.state == State::Armed && now >= guard.until) else { return };
        guard.state = State::Fired;
        let Guard { list, told, .. } = guard.clone();
        for (word, name) in list.iter().rev() {
            match word.as_str() {
                "saved" => drop(self.restore(name, false, crate::effect::Overwrite::Nothing)),
                "undo" if self.kept().receipts.remove(name.as_str()).is_some() => {
                    if let Some(command) = told.get(&format!("undo {name}")) {
                        drop(self.ask(command, None));
                    }
                }
                _ => {}
            }
        }
        for (word, name) in &list {
            match word.as_str() {
                "saved" => drop(self.resume(name, &[])),
                "again" if self.kept().receipts.contains_key(name.as_str()) => {
                    if let Some(command) = told.get(&format!("again {name}")) {
                        drop(self.ask(command, None));
                    }
                }
                _ => {}
            }
        }
        // Files of before the block may still be put back, and need their own restart then.
        self.kept().firsts.values_mut().for_each(|first| first.back = None);
    }
}
