//! What must hold where something that ran before runs again: what the run before held there, not what the new version was to
//! fulfil. Where nothing is on record, that the service is up as it was.

use super::anew::{has_begun_to_change, is_lost};
use crate::effect::{Compensation, Login, ServiceUnit};
use crate::id::HostName;
use crate::journal::{RunState, StepState, StepStatus};
use crate::op::{ExpectUnit, Operation as _, SERVICE_AT_BOOT};
use serde_json::{Value, json};
use std::collections::BTreeMap;

impl HeldCheck {
    /// Whether it says no more than that a service is up.
    pub(super) fn is_only_up(&self) -> bool {
        self.op == ExpectUnit::NAME && self.args.as_object().is_some_and(|args| args.len() == 2)
    }
}

/// A check that held.
#[derive(Debug, Clone, PartialEq)]
pub struct HeldCheck {
    /// Where, and as whom.
    pub at: Login,
    /// The primitive.
    pub op: String,
    /// Its arguments, without what only one release fulfils.
    pub args: Value,
}

/// What a run held of a service, or of a host as a whole.
#[derive(Debug, Clone, PartialEq)]
pub struct Before {
    /// The host.
    pub host: HostName,
    /// The service; none for checks of which it is not known which one they are for.
    pub unit: Option<ServiceUnit>,
    /// As whom the service was acted on last.
    pub by: Option<Login>,
    /// How many runs ago.
    pub age: usize,
    /// What held.
    pub checks: Vec<HeldCheck>,
}

/// What is to hold again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Follows<'a> {
    /// A service that runs again.
    Service(&'a ServiceUnit),
    /// A command that was repeated, or the host's restart: whatever it is for.
    Anything,
}

/// What an ended run held of each service that it acted on, and of each host.
#[must_use]
pub fn held(state: &RunState, age: usize) -> Vec<Before> {
    let missed: Vec<&HostName> = state.missed.values().flatten().collect();
    let own = state.steps.iter().filter(|(key, step)| !key.task.is_of_bracket() && !missed.contains(&&step.command.host));
    let mut all: Vec<(u64, &StepState, &Compensation)> =
        own.flat_map(|(_, step)| step.undos.values().map(move |undo| (undo.seq, step, &undo.undo))).collect();
    all.sort_by_key(|(seq, ..)| *seq);
    let mut found: BTreeMap<(HostName, Option<ServiceUnit>), Vec<HeldCheck>> = BTreeMap::new();
    let mut last: BTreeMap<&HostName, ServiceUnit> = BTreeMap::new();
    let mut by: BTreeMap<(HostName, ServiceUnit), Login> = BTreeMap::new();
    for (_, step, undo) in all {
        let host = &step.command.host;
        match undo {
            Compensation::RestoreService { .. } if !SERVICE_AT_BOOT.contains(&step.command.op.as_str()) => {
                if let Some(unit) = step.unit() {
                    found.entry((host.clone(), Some(unit.clone()))).or_default();
                    by.insert((host.clone(), unit.clone()), step.command.login());
                    last.insert(host, unit);
                }
            }
            Compensation::Check { op, args } if matches!(step.status, StepStatus::Succeeded { .. }) => {
                let unit = named(op, args).or_else(|| last.get(host).cloned());
                let check = HeldCheck { at: step.command.login(), op: op.clone(), args: args.clone() };
                let checks = found.entry((host.clone(), unit)).or_default();
                checks.retain(|other| *other != check);
                checks.push(check);
            }
            _ => {}
        }
    }
    let mut who = |host: &HostName, unit: &Option<ServiceUnit>| by.remove(&(host.clone(), unit.clone()?));
    found.into_iter().map(|((host, unit), checks)| Before { by: who(&host, &unit), host, unit, age, checks }).collect()
}

/// The service that a check names.
fn named(op: &str, args: &Value) -> Option<ServiceUnit> {
    let name = if op == ExpectUnit::NAME { &args["name"] } else { &args["unit"] };
    let scope = serde_json::from_value(args["scope"].clone()).unwrap_or_default();
    Some(ServiceUnit { name: name.as_str()?.to_owned(), scope }.plain())
}

/// What must hold of this on a host. What is older than the newest that is known of it does not count.
pub(super) fn health(before: &[Before], at: &Login, follows: Follows<'_>) -> Vec<HeldCheck> {
    let fits = |one: &&Before| one.host == at.host && is_for(one, follows);
    let newest = before.iter().filter(fits).map(|one| one.age).min();
    let known = before.iter().filter(fits).filter(|one| Some(one.age) == newest);
    let checks: Vec<HeldCheck> = known.flat_map(|one| one.checks.iter().cloned()).collect();
    match follows {
        Follows::Service(unit) if checks.is_empty() => vec![up(at, unit)],
        _ => checks,
    }
}

fn is_for(before: &Before, follows: Follows<'_>) -> bool {
    match (follows, &before.unit) {
        (Follows::Service(wanted), Some(unit)) => unit == wanted,
        (Follows::Service(_), None) | (Follows::Anything, _) => true,
    }
}

/// That a service is up, and no more.
#[must_use]
pub fn up(at: &Login, unit: &ServiceUnit) -> HeldCheck {
    HeldCheck { at: at.clone(), op: ExpectUnit::NAME.to_owned(), args: json!({ "name": unit.name, "scope": unit.scope }) }
}

/// The services that a run acted on, and hosts on which something else follows: what must be known of runs before.
#[must_use]
pub fn asks(state: &RunState) -> Vec<(HostName, Option<ServiceUnit>)> {
    let mut asks = Vec::new();
    for step in state.steps.values() {
        for undo in step.undos.values() {
            let ask = match undo.undo {
                Compensation::RestoreService { .. } => (step.command.host.clone(), step.unit()),
                Compensation::Again { .. } | Compensation::Reboot { .. } => (step.command.host.clone(), None),
                _ => continue,
            };
            if !asks.contains(&ask) {
                asks.push(ask);
            }
        }
        let ask = (step.command.host.clone(), None);
        if has_begun_to_change(step) && is_lost(state, &step.command.host) && !asks.contains(&ask) {
            asks.push(ask);
        }
    }
    asks
}

/// Whether runs that were looked at say enough of all this.
#[must_use]
pub fn answers(before: &[Before], asks: &[(HostName, Option<ServiceUnit>)]) -> bool {
    let follows = |unit: &Option<ServiceUnit>, one: &Before| match unit {
        Some(unit) => is_for(one, Follows::Service(unit)),
        None => is_for(one, Follows::Anything),
    };
    asks.iter().all(|(host, unit)| before.iter().any(|one| one.host == *host && follows(unit, one)))
}
