//! Services that a run did not come to on a host where it changed files: the host was lost, or its task failed before. What was started
//! there meanwhile, by the host's own boot or by its manager after a crash, may run from files that undoing takes away; and what was not
//! started by that boot may have lacked them.

use super::Before;
use crate::effect::{Compensation, Login, ServiceUnit};
use crate::id::{HostName, StepKey};
use crate::journal::{Group, Part, RunState, StepState, StepStatus, UndoState, UndoStatus};
use crate::op::GuardArm;
use crate::step::{ErrorKind, Outcome};
use std::collections::{BTreeMap, BTreeSet};

/// Units to look at once the files of a host are back, by the compensation that it follows.
pub(super) type Anew = BTreeMap<(StepKey, u32), (Login, Vec<ServiceUnit>)>;

pub(super) fn anew(state: &RunState, before: &[Before]) -> Anew {
    let mut found = Anew::new();
    let anchors = anchors(state);
    if anchors.is_empty() {
        return found;
    }
    let (own, siblings) = (own(state), siblings(state));
    for (host, mut anchors) in anchors {
        anchors.sort();
        let mut by_user: BTreeMap<Option<String>, Vec<ServiceUnit>> = BTreeMap::new();
        if let Some((_, key, n)) = anchors.first() {
            for (user, unit) in too_early(state, host, (key, *n)) {
                let units = by_user.entry(user).or_default();
                if !units.contains(&unit) {
                    units.push(unit);
                }
            }
        }
        for (user, unit) in not_come_to(state, before, &siblings, host) {
            if own.get(host).is_some_and(|own| own.contains(&unit)) {
                continue;
            }
            let units = by_user.entry(user).or_default();
            if !units.contains(&unit) {
                units.push(unit);
            }
        }
        // One look for each user that manages services; who has too few changes has one look for all.
        let mut anchors = anchors.into_iter().map(|(_, key, n)| (key.clone(), n));
        let mut last = None;
        for (user, units) in by_user {
            last = anchors.next().or(last);
            let Some(anchor) = last.clone() else { continue };
            let at = Login { host: host.clone(), user };
            found.entry(anchor).or_insert_with(|| (at, Vec::new())).1.extend(units);
        }
    }
    found
}

/// The changes of files on each host, as they were made.
fn anchors(state: &RunState) -> BTreeMap<&HostName, Vec<(u64, &StepKey, u32)>> {
    let mut anchors: BTreeMap<&HostName, Vec<_>> = BTreeMap::new();
    for (key, step) in &state.steps {
        let changes = has_begun_to_change(step) && !key.task.is_of_bracket() && step.command.op != GuardArm::WORD;
        for (n, undo) in step.undos.iter().filter(|_| changes && !step.command.host.is_controller()) {
            if matches!(undo.undo, Compensation::Restore { .. }) {
                anchors.entry(&step.command.host).or_default().push((undo.seq, key, *n));
            }
        }
    }
    anchors
}

/// The services that the run acted on, or was to act on, at each host.
fn own(state: &RunState) -> BTreeMap<&HostName, BTreeSet<ServiceUnit>> {
    let mut own: BTreeMap<&HostName, BTreeSet<ServiceUnit>> = BTreeMap::new();
    for step in state.steps.values() {
        if let Some(unit) = acts_on(step) {
            own.entry(&step.command.host).or_default().insert(unit);
        }
    }
    own
}

/// The services that the run acted on, and that may be restarted before the first of its changes on that host is undone: by the undoing of
/// another task, or of an `attempt`.
fn too_early(state: &RunState, host: &HostName, (key, n): (&StepKey, u32)) -> Vec<(Option<String>, ServiceUnit)> {
    let done = |undo: &UndoState, part| matches!(undo.parts.get(&part), Some(UndoStatus::Done { .. }));
    let back = state.steps.get(key).and_then(|step| step.undos.get(&n)).is_some_and(|undo| done(undo, Part::Restore));
    let here = state.steps.iter().filter(|(_, step)| step.command.host == *host && !step.is_void());
    let early = here.filter(|(other, step)| {
        let followed = step.undos.values().any(|undo| done(undo, Part::Follow));
        other.task != key.task || followed && !back
    });
    early.filter_map(|(_, step)| Some((step.command.user.clone(), acts_on(step)?))).collect()
}

/// The services that forks act on, each at the hosts that it works on, by the host that takes part in them.
fn siblings(state: &RunState) -> BTreeMap<&HostName, BTreeSet<(Option<String>, ServiceUnit)>> {
    let mut acted: BTreeMap<StepKey, BTreeSet<(Option<String>, ServiceUnit)>> = BTreeMap::new();
    for (key, step) in &state.steps {
        let Some(unit) = acts_on(step) else { continue };
        let mut task = key.task.clone();
        while let Some(fork) = task.parent() {
            if task.leaf() == step.command.host.as_str() {
                acted.entry(fork.clone()).or_default().insert((step.command.user.clone(), unit.clone()));
            }
            task = fork.task;
        }
    }
    let mut siblings: BTreeMap<&HostName, BTreeSet<_>> = BTreeMap::new();
    for (key, units) in &acted {
        if let Some((Group::Fork { batches, .. }, _)) = state.groups.get(key) {
            batches.iter().flatten().for_each(|host| siblings.entry(host).or_default().extend(units.iter().cloned()));
        }
    }
    siblings
}

/// The units that the same fork acted on at other hosts, and, where a host was lost, those that runs before acted on there.
fn not_come_to(
    state: &RunState,
    before: &[Before],
    siblings: &BTreeMap<&HostName, BTreeSet<(Option<String>, ServiceUnit)>>,
    host: &HostName,
) -> Vec<(Option<String>, ServiceUnit)> {
    let mut units: Vec<_> = siblings.get(host).into_iter().flatten().cloned().collect();
    let earlier = before.iter().filter(|one| one.host == *host);
    let by = |one: &Before| one.by.as_ref().or_else(|| one.checks.first().map(|held| &held.at)).and_then(|at| at.user.clone());
    let earlier = earlier.filter_map(|one| Some((by(one), one.unit.clone()?)));
    let earlier: Vec<_> = earlier.collect();
    if !earlier.is_empty() && is_lost(state, host) {
        units.extend(earlier);
    }
    units
}

/// The service that a step acts on.
pub(super) fn acts_on(step: &StepState) -> Option<ServiceUnit> {
    let undone = step.undos.values().any(|undo| matches!(undo.undo, Compensation::RestoreService { .. }));
    undone.then(|| step.unit()).flatten()
}

/// Whether a step changed its host, or may have before it failed.
pub(super) fn has_begun_to_change(step: &StepState) -> bool {
    match &step.status {
        StepStatus::Started => true,
        StepStatus::Succeeded { outcome, .. } => *outcome == Outcome::Changed,
        StepStatus::Failed(error) => !matches!(error.kind, ErrorKind::BadInput | ErrorKind::Unreachable),
    }
}

/// Whether a host could not be reached, at some time.
pub(super) fn is_lost(state: &RunState, host: &HostName) -> bool {
    let lost = |step: &StepState| match &step.status {
        StepStatus::Failed(error) => matches!(error.kind, ErrorKind::Unreachable | ErrorKind::Lost),
        _ => false,
    };
    state.away.contains(host)
        || state.debts().contains(host)
        || state.steps.values().any(|step| step.command.host == *host && lost(step))
}
