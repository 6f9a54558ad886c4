//! What a run that succeeded did without: the body of an `attempt` that failed, and the tasks of hosts that failed within what the
//! script allows. Each is undone, and the rest of the run may then have gone another way.

use super::{Breach, Case};
use crate::effect::PostconditionSubject;
use crate::id::StepKey;
use crate::journal::{Entry, Group, StepState, StepStatus};
use crate::prove::play::Outcome;
use std::collections::BTreeSet;

/// Whether a step makes something of a thing of its host, as snapshots name them: a path, or `service SCOPE UNIT`.
pub(in crate::prove) fn speaks_of(step: &StepState, thing: &str) -> bool {
    step.undos.values().flat_map(|undo| &undo.makes).any(|made| match made.subject() {
        PostconditionSubject::Path(path) | PostconditionSubject::Mode(path) => {
            thing.strip_prefix(path.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        }
        PostconditionSubject::Active(unit) | PostconditionSubject::Enabled(unit) => {
            thing.strip_prefix("service ").is_some_and(|name| name.contains(unit.as_str()))
        }
    })
}

/// Steps in the body of an `attempt`: of its task, those behind it up to this number, and whatever they began.
pub(super) struct Body {
    from: StepKey,
    last: u32,
}

impl Body {
    pub(super) fn holds(&self, key: &StepKey) -> bool {
        let within = |n: u32| n > self.from.n && n <= self.last;
        let below = key.task.as_str().strip_prefix(self.from.task.as_str());
        match below {
            Some("") => within(key.n),
            Some(below) => {
                let n = below.strip_prefix('/').and_then(|below| below.split('.').next()?.parse().ok());
                n.is_some_and(within)
            }
            None => false,
        }
    }
}

/// The bodies of those that failed, and that the run went on without.
pub(super) fn attempts(case: &Case<'_>) -> Vec<Body> {
    let failed = case.outcome.state.failed_groups.iter();
    let given_up = failed.filter(|key| matches!(case.outcome.state.groups.get(*key), Some((Group::Attempt, _))));
    given_up.map(|key| Body { from: key.clone(), last: last_of(case.calm.unwrap_or(case.outcome), key) }).collect()
}

/// The number of the last step in a body, as the run without faults has it.
fn last_of(outcome: &Outcome, attempt: &StepKey) -> u32 {
    let mut last = attempt.n;
    for record in &outcome.records {
        match &record.entry {
            Entry::GroupLeft { key, .. } if key == attempt => break,
            Entry::Started { key, .. } | Entry::GroupEntered { key, .. } if key.task == attempt.task => last = last.max(key.n),
            _ => {}
        }
    }
    last
}

/// Whether something is otherwise than after a run without faults since an `attempt` was given up: it is as before, and the body would
/// have made it; or the run has gone another way, and has made it itself.
pub(super) fn is_of_an_attempt(case: &Case<'_>, bodies: &[Body], host: &str, thing: &str) -> bool {
    if bodies.is_empty() {
        return false;
    }
    let of = |outcome: &Outcome, end: bool| {
        let snapshot = if end { &outcome.end } else { &*outcome.start };
        snapshot.hosts.get(host).and_then(|things| things.get(thing)).cloned()
    };
    let as_before = of(case.outcome, true) == of(case.outcome, false);
    let here = |(_, step): &(&StepKey, &StepState)| step.command.host.as_str() == host && speaks_of(step, thing);
    let would = case.calm.iter().flat_map(|calm| &calm.state.steps).filter(here);
    let in_a_body = would.into_iter().any(|(key, _)| bodies.iter().any(|body| body.holds(key)));
    let made = || {
        let own = case.outcome.state.steps.iter().filter(here);
        own.into_iter().any(|(_, step)| matches!(step.status, StepStatus::Succeeded { .. }))
    };
    in_a_body && as_before || made()
}

/// On a host that failed within what the script allows, what its task made is as before, where nothing else of the run made it.
pub(super) fn hosts(case: &Case<'_>, breaches: &mut Vec<Breach>) {
    let state = &case.outcome.state;
    for (group, hosts) in &state.missed {
        let Some((Group::Fork { word, .. }, _)) = state.groups.get(group) else { continue };
        for host in hosts.iter().filter(|host| !case.outcome.is_gone(host.as_str())) {
            let task = group.task.child(group.n, word, host.as_str());
            let of_task = |key: &StepKey| {
                let below = key.task.as_str().strip_prefix(task.as_str());
                below.is_some_and(|below| below.is_empty() || below.starts_with('/'))
            };
            let all = state.steps.iter().filter(|(_, step)| step.command.host == *host);
            let (own, other): (Vec<_>, Vec<_>) = all.partition(|(key, _)| of_task(key));
            let speaks = |steps: &[(&StepKey, &StepState)], thing: &str| steps.iter().any(|(_, step)| speaks_of(step, thing));
            let otherwise = super::end::differences_of(case, host.as_str());
            // What a command outside of it did there is not known by name.
            let opaque = other.iter().any(|(_, step)| step.command.op == "run");
            let is_left = |thing: &str| !speaks(&other, thing) && (speaks(&own, thing) || !opaque);
            let left = otherwise.into_iter().find(|line| is_left(line.thing()));
            breaches.extend(
                left.map(|line| line.breach(case, "it succeeded with a host that failed, and that host is not as before")),
            );
        }
    }
}

/// Commands that ran in what was given up, that nothing undoes, and of which the script does not say that this is so.
pub(super) fn commands(case: &Case<'_>, breaches: &mut Vec<Breach>) {
    let (state, bodies) = (&case.outcome.state, attempts(case));
    let missed = |key: &StepKey| {
        state.missed.iter().any(|(group, hosts)| {
            let Some((Group::Fork { word, .. }, _)) = state.groups.get(group) else { return false };
            hosts.iter().any(|host| {
                let task = group.task.child(group.n, word, host.as_str());
                key.task.as_str().strip_prefix(task.as_str()).is_some_and(|below| below.is_empty() || below.starts_with('/'))
            })
        })
    };
    let ran: BTreeSet<&StepKey> =
        case.outcome.history.moments.iter().filter(|moment| moment.took_effect()).filter_map(|moment| moment.key()).collect();
    for (key, step) in state.commands_without_undo() {
        let given_up = missed(key) || bodies.iter().any(|body| body.holds(key));
        if given_up && ran.contains(key) && !super::end::is_declared(case, step) {
            breaches.push(super::end::not_undone_breach(case, step));
        }
    }
}

/// The breach of a full disk that undoing met, and told, is none.
pub(super) fn is_told_full(case: &Case<'_>, message: &str) -> bool {
    let full = |moment: &crate::interp::fault::Moment| moment.fault == Some(crate::interp::fault::FaultKind::Full);
    message.contains("No space left on device") && case.outcome.history.moments.iter().any(full)
}
