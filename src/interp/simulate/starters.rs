//! Simulated units that start others: sockets, timers and paths. What they started ends with them when they are undone.

use super::at::{At, die};
use super::services::{Unit, UnitState};
use crate::effect::EffectError;
use crate::id::SaveId;
use std::collections::BTreeSet;

impl At<'_> {
    /// What a unit starts when its time comes.
    pub(super) fn started_by(&self, unit: &Unit, state: &UnitState) -> Vec<Unit> {
        state.file.triggers(&unit.name).map(|name| Unit { scope: unit.scope, name }).into_iter().collect()
    }

    /// `wl_keep_ran`: which of these units run, once for a save.
    pub(super) fn keep_ran(&mut self, save: &SaveId, units: Vec<Unit>) -> Result<(), EffectError> {
        let mut ran = BTreeSet::new();
        for unit in units {
            if self.runs(&unit)? {
                ran.insert(unit.name);
            }
        }
        self.kept().ran.entry(save.as_str().to_owned()).or_insert(ran);
        Ok(())
    }

    fn runs(&mut self, unit: &Unit) -> Result<bool, EffectError> {
        Ok(!matches!(self.unit_state(unit)?.active.as_str(), "inactive" | "failed"))
    }

    /// `wl_ends`: what did not run before the step ends.
    pub(super) fn ends(&mut self, save: &SaveId, units: Vec<Unit>) -> Result<(), EffectError> {
        let Some(ran) = self.kept().ran.get(save.as_str()).cloned() else { return Ok(()) };
        for unit in units.into_iter().filter(|unit| !ran.contains(&unit.name)) {
            if self.runs(&unit)? {
                self.act("stop", &unit)?;
            }
            if let Some(service) = self.host.services.known.get_mut(&unit.key())
                && service.active == "failed"
            {
                (service.active, service.result) = ("inactive".to_owned(), "success".to_owned());
            }
        }
        Ok(())
    }

    /// `wl_unit_ends`: before the file of a new unit goes.
    pub(super) fn unit_ends(&mut self, save: &SaveId, path: &str) -> Result<(), EffectError> {
        let Some(scope) = self.kept().reloads.get(save.as_str()).copied() else { return Ok(()) };
        let unit = Unit { scope, name: path.rsplit('/').next().unwrap_or(path).to_owned() };
        let state = self.unit_state(&unit)?;
        let all = [unit.clone()].into_iter().chain(self.started_by(&unit, &state)).collect();
        self.ends(save, all)
    }

    /// `wl_free_socket`: no socket is opened anew that a running service has.
    pub(super) fn free_socket(&mut self, unit: &Unit, word: &str, state: &UnitState) -> Result<(), EffectError> {
        let Some(Unit { name: holder, .. }) = self.holder(unit, word, state)? else { return Ok(()) };
        let socket = &unit.name;
        die(format!(
            "{socket} cannot be opened anew while {holder} runs and has it; restart {holder} for settings of its own, or stop {holder} \
             first for those of {socket}"
        ))
    }

    /// `wl_socket_back`, and a plain restart of what is no socket: what has it is stopped for that, and comes back where it ran before.
    pub(super) fn opened_anew(&mut self, save: &SaveId, unit: &Unit) -> Result<(), EffectError> {
        let state = self.unit_state(unit)?;
        let word = if state.active == "active" { "restart" } else { "start" };
        let holder = self.holder(unit, word, &state)?;
        if let Some(holder) = &holder {
            self.act("stop", holder)?;
        }
        self.act("restart", unit)?;
        let ran = |holder: &Unit| self.kept_ran(save).is_some_and(|ran| ran.contains(&holder.name));
        match holder.filter(ran) {
            Some(holder) => self.act("start", &holder),
            None => Ok(()),
        }
    }

    /// Which service has a socket, and does not go along when that one is restarted.
    fn holder(&mut self, unit: &Unit, word: &str, state: &UnitState) -> Result<Option<Unit>, EffectError> {
        if !unit.name.ends_with(".socket") {
            return Ok(None);
        }
        for holder in self.started_by(unit, state) {
            let along = word == "restart" && self.unit_state(&holder)?.file.goes_with.contains(&unit.name);
            if !along && self.runs(&holder)? {
                return Ok(Some(holder));
            }
        }
        Ok(None)
    }

    fn kept_ran(&self, save: &SaveId) -> Option<&BTreeSet<String>> {
        self.host.kept.get(&self.keeper)?.ran.get(save.as_str())
    }
}
