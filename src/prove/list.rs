//! Which scenarios there are for a run: from the moments of the run without faults.

use super::play::Outcome;
use super::scenario::{Scenario, Then};
use crate::effect::EffectClass;
use crate::id::StepKey;
use crate::interp::fault::{Act, Ended, Fault, FaultKind, Moment, Point, starts};
use crate::journal::{Entry, Group};
use std::collections::{BTreeMap, BTreeSet};

/// Which scenarios are wanted.
#[derive(Debug, Clone)]
pub struct Choice {
    /// The kinds of faults.
    pub kinds: BTreeSet<FaultKind>,
    /// Also on hosts that do the same as others.
    pub all_hosts: bool,
    /// Also a second fault while the first is undone or taken up.
    pub undoing: bool,
    /// How many pairs of faults.
    pub pairs: usize,
    /// What the pairs are drawn by.
    pub seed: u64,
}

impl Default for Choice {
    fn default() -> Self {
        Self { kinds: FaultKind::ALL.iter().copied().collect(), all_hosts: false, undoing: true, pairs: 0, seed: 1 }
    }
}

impl Choice {
    /// Whether a kind is among them.
    #[must_use]
    pub fn has(&self, kind: FaultKind) -> bool {
        self.kinds.contains(&kind)
    }
}

/// Every single fault of a run, as its moments without faults tell.
pub(super) fn singles(calm: &Outcome, choice: &Choice) -> Vec<Scenario> {
    let hosts = Folded::new(calm, choice);
    let mut list = Vec::new();
    for moment in calm.history.moments.iter().filter(|moment| moment.leg == 1) {
        let Some(id) = &moment.id else { continue };
        if !hosts.keeps(&id.key) {
            continue;
        }
        for kind in kinds(moment) {
            let fault = Fault { at: Point::Effect(id.clone()), kind };
            list.extend(followed(fault, choice));
        }
    }
    for (before, record) in &calm.history.records {
        let key = key_of(&record.entry);
        let ends = matches!(record.entry, Entry::RunEnded { .. });
        if ends || *before == 0 || key.is_some_and(|key| !hosts.keeps(key)) {
            continue;
        }
        list.extend(followed(Fault { at: Point::Record(record.seq), kind: FaultKind::Killed }, choice));
    }
    list
}

/// A fault, with each of the things that can be done about it.
fn followed(fault: Fault, choice: &Choice) -> Vec<Scenario> {
    if !choice.has(fault.kind) {
        return Vec::new();
    }
    if !fault.kind.kills() {
        return vec![Scenario::one(fault)];
    }
    let after = |then| Scenario { faults: vec![fault.clone()], then, again: None };
    vec![after(Then::Resume), after(Then::Unwind)]
}

/// What can go wrong at a moment.
fn kinds(moment: &Moment) -> Vec<FaultKind> {
    use FaultKind as K;
    let mut kinds = vec![K::Fails, K::Gone, K::Away];
    if matches!(moment.class, EffectClass::Write | EffectClass::Opaque) {
        kinds.extend([K::Lost, K::GoneAfter, K::BootsLater, K::Rebooted, K::KilledAfter, K::Taken]);
    }
    if moment.class == EffectClass::Opaque {
        kinds.push(K::Timeout);
    }
    if moment.class == EffectClass::Write && moment.end == Ended::Changed && !matches!(moment.act, Act::Service { .. }) {
        kinds.push(K::Full);
    }
    if starts(&moment.act) && moment.end == Ended::Changed {
        kinds.extend([K::Sick, K::SickRelease, K::Flaps, K::Dies]);
    }
    kinds
}

fn key_of(entry: &Entry) -> Option<&StepKey> {
    match entry {
        Entry::Started { key, .. }
        | Entry::Compensation { key, .. }
        | Entry::Succeeded { key, .. }
        | Entry::Failed { key, .. }
        | Entry::GroupEntered { key, .. }
        | Entry::GroupLeft { key, .. }
        | Entry::ObligationOpened { key, .. }
        | Entry::ObligationHeld { key }
        | Entry::ObligationDischarged { key } => Some(key),
        _ => None,
    }
}

/// What goes wrong at the effects of undoing, and of going on, after a first fault.
pub(super) fn seconds(first: &Outcome, choice: &Choice) -> Vec<Scenario> {
    let hosts = Folded::new(first, choice);
    let mut list = Vec::new();
    for moment in &first.history.moments {
        let Some(id) = moment.id.as_ref().filter(|id| hosts.keeps(&id.key)) else { continue };
        if moment.fault.is_some() || !(moment.undoes || moment.leg == 2) || moment.class == EffectClass::Read {
            continue;
        }
        for kind in [FaultKind::Fails, FaultKind::Lost, FaultKind::KilledAfter] {
            // A forward step that fails in a process that went on is like one that fails in the first.
            if choice.has(kind) && (moment.undoes || kind == FaultKind::KilledAfter) {
                let mut faults = first.scenario.faults.clone();
                faults.push(Fault { at: Point::Effect(id.clone()), kind });
                list.push(Scenario { faults, then: first.scenario.then, again: None });
            }
        }
    }
    list
}

/// After which first faults the undoing is tried at each of its effects: of each group of hosts, a failure at its last change, when
/// all that came before is undone.
pub(super) fn firsts(singles: &[Scenario], calm: &Outcome) -> Vec<Scenario> {
    let mut last: BTreeMap<(String, FaultKind, Then), Scenario> = BTreeMap::new();
    let writes: BTreeSet<String> = (calm.history.moments.iter())
        .filter(|moment| moment.class != EffectClass::Read)
        .filter_map(|moment| moment.id.as_ref().map(ToString::to_string))
        .collect();
    for scenario in singles {
        let [Fault { at: Point::Effect(id), kind: kind @ (FaultKind::Fails | FaultKind::SickRelease | FaultKind::KilledAfter) }] =
            scenario.faults.as_slice()
        else {
            continue;
        };
        if writes.contains(&id.to_string()) {
            let group = id.key.task.as_str().rsplit_once('/').map_or("", |(group, _)| group).to_owned();
            last.insert((group, *kind, scenario.then), scenario.clone());
        }
    }
    last.into_values().collect()
}

/// The same deploy once more: behind a run as it ended, and behind one whose process was killed at its last record, so that no host was
/// told that it is over.
pub(super) fn agains(first: &Outcome, choice: &Choice) -> Vec<Scenario> {
    let again = |faults: &[Fault]| Scenario { faults: faults.to_vec(), then: first.scenario.then, again: Some(Vec::new()) };
    let mut list = vec![again(&first.scenario.faults)];
    let last = first.records.last().filter(|record| matches!(record.entry, Entry::RunEnded { .. }));
    // Records of a process that took the run up are not those of the run without faults.
    if let Some(record) = last.filter(|_| first.legs.len() == 1 && choice.has(FaultKind::Killed)) {
        let killed = Fault { at: Point::Record(record.seq), kind: FaultKind::Killed };
        let faults: Vec<Fault> = first.scenario.faults.iter().cloned().chain([killed]).collect();
        list.push(again(&faults));
    }
    list
}

/// A deploy once more that fails, or is killed, at the last of its changes: it is undone to what it began with.
pub(super) fn failing_agains(again: &Outcome, choice: &Choice) -> Vec<Scenario> {
    let next = again.next.iter().flat_map(|next| next.history.moments.iter().rev());
    let mut changes = next.filter(|moment| moment.leg == 1 && moment.class != EffectClass::Read && !moment.undoes);
    let Some(id) = changes.find_map(|moment| moment.id.clone()) else { return Vec::new() };
    let kinds = [FaultKind::Fails, FaultKind::KilledAfter].into_iter().filter(|kind| choice.has(*kind));
    let fault = |kind| Fault { at: Point::Effect(id.clone()), kind };
    kinds.map(|kind| again.scenario.clone().and_again(vec![fault(kind)])).collect()
}

/// Hosts of a group that do the same, of which the first, one in the middle and the last stand for all.
struct Folded {
    /// Tasks that are left out.
    left_out: BTreeSet<String>,
}

impl Folded {
    fn new(calm: &Outcome, choice: &Choice) -> Self {
        let mut left_out = BTreeSet::new();
        if choice.all_hosts {
            return Self { left_out };
        }
        let mut stories: BTreeMap<String, String> = BTreeMap::new();
        for moment in &calm.history.moments {
            if let Some(id) = &moment.id {
                let story = stories.entry(id.key.task.to_string()).or_default();
                let kind = format!("{:?}", moment.act);
                let kind = kind.split([' ', '{']).next().unwrap_or_default();
                *story += &format!("{}/{}{:?}{}{kind};", id.key.n, id.nth, moment.class, moment.took_effect());
            }
        }
        for record in &calm.records {
            let Entry::GroupEntered { key, group: Group::Fork { word, batches } } = &record.entry else { continue };
            let mut alike: BTreeMap<String, Vec<String>> = BTreeMap::new();
            for host in batches.iter().flatten() {
                let task = key.task.child(key.n, word, host.as_str()).to_string();
                let story: String = (stories.iter())
                    .filter(|(path, _)| **path == task || path.starts_with(&format!("{task}/")))
                    .map(|(path, story)| format!("{}:{story}", &path[task.len()..]))
                    .collect();
                alike.entry(story).or_default().push(task);
            }
            for tasks in alike.into_values().filter(|tasks| tasks.len() > 3) {
                let middle = tasks.len() / 2;
                let rest = tasks.iter().enumerate().filter(|(n, _)| ![0, middle, tasks.len() - 1].contains(n));
                left_out.extend(rest.map(|(_, task)| task.clone()));
            }
        }
        Self { left_out }
    }

    fn keeps(&self, key: &StepKey) -> bool {
        let path = key.task.as_str();
        !self.left_out.iter().any(|task| path == task || path.starts_with(&format!("{task}/")))
    }
}
