//! What a run made live, from its journal. Pure: the ledger asks at the run's end, and writes it with the end itself.
//!
//! A host is known-good when the run completed on it and health held: the last change there is followed by a check of that host
//! that succeeded, and by none that failed. Checks of other hosts do not count, whatever they look at.

use super::release::{Made, Standing};
use crate::id::{HostName, StepKey, TaskPath};
use crate::journal::{Entry, Group, Item, Part, Record, RunPhase, RunState, StepState, StepStatus, UndoStatus};
use crate::op::{Component, SERVICE_AT_BOOT};
use crate::step::Outcome;
use std::collections::{BTreeMap, BTreeSet};

/// What tells health, of the host on which it looks.
const CHECKS: &[&str] = &["expect_http", "expect_tcp", "expect_exec", "expect_unit"];

/// What a run that has ended made live; nothing for one that was unwound or refused.
#[must_use]
pub fn released(records: &[Record]) -> Vec<Made> {
    let Ok(state) = RunState::read(records) else { return Vec::new() };
    let Some(phase) = state.phase.filter(|phase| matches!(phase, RunPhase::Succeeded | RunPhase::Halted)) else {
        return Vec::new();
    };
    let hosts = histories(records, &state);
    let missed: BTreeSet<&HostName> = state.missed.values().flatten().collect();
    let judge = |component: &Component, host: &HostName| {
        let (standing, why) = hosts
            .get(host)
            .map_or((Standing::Missed, "the run did nothing there"), |history| history.judge(phase, missed.contains(host)));
        let by = hosts.get(host).filter(|_| why == AFTER_ITS_CHECK).and_then(|history| history.changed_by.clone());
        Made {
            component: component.name.clone(),
            host: host.clone(),
            version: component.version.clone(),
            artifact: component.artifact.as_ref().map(|bundle| bundle.digest.clone()),
            standing,
            why: by.map_or_else(|| why.to_owned(), |step| format!("{why}: {step}")),
        }
    };
    let mut made = BTreeMap::new();
    for component in declared(&state) {
        for host in &component.hosts {
            made.insert((component.name.clone(), host.clone()), judge(&component, host));
        }
    }
    made.into_values().collect()
}

/// The components that a run declared, but for those in a part of it that failed; the later ones last.
fn declared(state: &RunState) -> Vec<Component> {
    let steps = state.steps.iter().filter(|(_, step)| step.command.op == Component::WORD);
    let counts = |key: &StepKey, status: &StepStatus| {
        matches!(status, StepStatus::Succeeded { .. })
            && !around(state, key).iter().any(|group| state.failed_groups.contains(group))
    };
    let counting = steps.filter(|(key, step)| counts(key, &step.status));
    counting.filter_map(|(_, step)| serde_json::from_value(step.command.args.clone()).ok()).collect()
}

/// The groups in which a step stands, the inner ones first.
fn around(state: &RunState, key: &StepKey) -> Vec<StepKey> {
    let mut found = Vec::new();
    let mut place = Some((key.task.clone(), Item::Step(key.clone())));
    while let Some((task, item)) = place {
        let items = state.tasks.get(&task).map(Vec::as_slice).unwrap_or_default();
        let before = items.iter().take_while(|other| **other != item);
        let mut open: Vec<&StepKey> = Vec::new();
        for other in before {
            match other {
                Item::Enter(key) => open.push(key),
                Item::Leave(key) => open.retain(|other| *other != key),
                Item::Step(_) => {}
            }
        }
        found.extend(open.into_iter().rev().cloned());
        place = task.parent().map(|parent| {
            found.push(parent.clone());
            (parent.task.clone(), Item::Enter(parent))
        });
    }
    found
}

/// Why a host is not known-good on which a check held, and which was changed then.
const AFTER_ITS_CHECK: &str = "changed after its last check";

/// What happened on one host, by the numbers of the records.
#[derive(Default)]
struct History {
    /// The last change.
    changed: Option<u64>,
    /// The step that made it: what it does, and where the script says so.
    changed_by: Option<String>,
    /// The last check that succeeded.
    held: Option<u64>,
    /// The last check that failed.
    failed: Option<u64>,
    /// Whether something was put back there.
    undone: bool,
    /// Whether something was to be put back there, and it is not known that it was.
    owed: bool,
    /// Whether a change stands that was not put back.
    stays: bool,
    /// What the tasks of this host that failed came to.
    lost: Lost,
}

#[derive(Clone, Copy, Default)]
enum Lost {
    #[default]
    Nothing,
    Changed,
    PutBack,
}

impl History {
    fn judge(&self, phase: RunPhase, missed: bool) -> (Standing, &'static str) {
        if missed {
            return match self.lost {
                _ if self.owed => (Standing::Unsure, "its part failed and could not be put back"),
                Lost::Nothing => (Standing::Missed, "its part failed at once, or was not begun"),
                Lost::PutBack => (Standing::Missed, "its part failed and was put back"),
                Lost::Changed => (Standing::Unsure, "its part failed and was not put back"),
            };
        }
        match (self.undone || self.owed, self.stays || self.owed) {
            (false, _) => {}
            (true, false) => return (Standing::Missed, "what the run did there was put back"),
            (true, true) => return (Standing::Unsure, "a part of the run was undone there"),
        }
        let unwell = self.unwell();
        match (phase, unwell) {
            (RunPhase::Succeeded, None) => (Standing::KnownGood, ""),
            (RunPhase::Succeeded, Some(why)) => (Standing::Live, why),
            (_, None) => (Standing::Live, "the run was halted"),
            (_, Some(_)) => (Standing::Unsure, "the run was halted before its check"),
        }
    }

    /// Why it is not known that health held.
    fn unwell(&self) -> Option<&'static str> {
        if self.failed > self.changed {
            return Some("a check failed after its last change");
        }
        match self.held {
            None => Some("no health check"),
            held if held < self.changed => Some(AFTER_ITS_CHECK),
            Some(_) => None,
        }
    }
}

fn histories(records: &[Record], state: &RunState) -> BTreeMap<HostName, History> {
    let mut hosts: BTreeMap<HostName, History> = BTreeMap::new();
    let lost = lost_tasks(state);
    for record in records {
        let seq = Some(record.seq);
        let (Entry::Succeeded { key, .. }
        | Entry::Failed { key, .. }
        | Entry::UndoStarted { key, .. }
        | Entry::Undone { key, .. }
        | Entry::UndoFailed { key, .. }) = &record.entry
        else {
            continue;
        };
        let Some(step) = state.steps.get(key).filter(|step| !step.command.host.is_controller()) else { continue };
        let op = step.command.op.as_str();
        let history = hosts.entry(step.command.host.clone()).or_default();
        let before = history.changed;
        match &record.entry {
            Entry::Succeeded { .. } if CHECKS.contains(&op) => history.held = seq,
            Entry::Failed { .. } if CHECKS.contains(&op) => history.failed = seq,
            // What a bracket opens it closes again, behind the check that stands in it.
            _ if key.task.is_of_bracket() => {}
            Entry::Succeeded { outcome: Outcome::Changed, .. } if !SERVICE_AT_BOOT.contains(&op) => history.changed = seq,
            Entry::Failed { .. } if step.may_have_changed() => history.changed = seq,
            Entry::Undone { changed: true, part, .. } => {
                history.undone |= *part == Part::Restore;
                history.changed = seq;
            }
            _ => {}
        }
        if history.changed > before {
            history.changed_by = Some(format!("`{} {}` at {}", step.command.op, step.summary, step.command.site));
        }
        if history.changed > before && lost.iter().any(|task| key.task.is_within(task)) {
            let undone = matches!(&record.entry, Entry::Undone { .. });
            history.lost = if undone { Lost::PutBack } else { Lost::Changed };
        }
    }
    for step in state.steps.values().filter(|step| step.may_have_changed() && !is_put_back(step)) {
        if let Some(history) = hosts.get_mut(&step.command.host) {
            history.stays = true;
        }
    }
    for host in owing(state) {
        hosts.entry(host).or_default().owed = true;
    }
    hosts
}

/// Hosts on which the undoing of something failed, or is owed. What was done later is done.
fn owing(state: &RunState) -> BTreeSet<HostName> {
    let failed = |step: &&StepState| {
        step.undos.values().flat_map(|undo| undo.parts.values()).any(|part| matches!(part, UndoStatus::Failed(_)))
    };
    let hosts = state.steps.values().filter(failed).map(|step| step.command.host.clone());
    hosts.filter(|host| !host.is_controller()).collect()
}

fn is_put_back(step: &StepState) -> bool {
    let mut parts = step.undos.values().flat_map(|undo| undo.parts.iter());
    parts.any(|(part, status)| *part == Part::Restore && matches!(status, UndoStatus::Done { .. }))
}

/// The tasks of hosts that failed, or were not begun.
fn lost_tasks(state: &RunState) -> Vec<TaskPath> {
    let word = |key: &StepKey| match state.groups.get(key) {
        Some((Group::Fork { word, .. }, _)) => word.clone(),
        _ => String::new(),
    };
    let tasks = |(key, hosts): (&StepKey, &Vec<HostName>)| {
        let word = word(key);
        hosts.iter().map(|host| key.task.child(key.n, &word, host.as_str())).collect::<Vec<_>>()
    };
    state.missed.iter().flat_map(tasks).collect()
}
