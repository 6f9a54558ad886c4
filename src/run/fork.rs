//! `parallel` and `rolling`: one task a host, batch after batch.

use super::capacity::{self, Capacity};
use super::conductor::{Mode, Run};
use super::unwind;
use crate::effect::{Effect, Login};
use crate::event::Event;
use crate::id::{HostName, StepKey};
use crate::interp::turns;
use crate::journal::{Entry, Group};
use crate::op::Span;
use crate::saga;
use crate::script::{BatchSize, Branch, ForkSpec, OnFailure, Task};
use crate::step::{ErrorKind, StepError};
use std::collections::BTreeSet;
use std::thread;

/// A script's blocks nest; each level of Rhai takes its share of the stack.
const STACK: usize = 4 << 20;

type Failures = Vec<(HostName, StepError)>;

pub(super) fn fork(run: &Run, task: &Task, spec: &ForkSpec, branch: &Branch<'_>) -> Result<Failures, StepError> {
    let key = task.next_key();
    let batches = match run.cursor.group(&key) {
        Some((Group::Fork { word, batches }, _)) if word == spec.word && is_over(batches, &spec.hosts) => batches.clone(),
        Some(_) => return Err(run.diverged(&key, &format!("`{}` over {} hosts", spec.word, spec.hosts.len()))),
        None if run.cursor.state().steps.contains_key(&key) => {
            return Err(run.diverged(&key, &format!("`{}` over {} hosts", spec.word, spec.hosts.len())));
        }
        None => {
            run.may_begin()?;
            let batches = cut(&spec.queue, &spec.batches);
            capacity::check(spec, &batches)?;
            let group = Group::Fork { word: spec.word.to_owned(), batches: batches.clone() };
            run.writer.submit(vec![Entry::GroupEntered { key: key.clone(), group }])?;
            batches
        }
    };
    let keeps = spec.min_available.map(|needed| needed.at_least(spec.hosts.len()));
    run.watcher.see(&Event::Forked { hosts: spec.hosts.clone(), keeps });
    let mut missed = Missed::default();
    let result = batches_in_turn(run, task, spec, branch, &key, &batches, &mut missed);
    let hosts = match &result {
        Ok(failures) => failures.iter().map(|(host, _)| host.clone()).collect(),
        Err(_) => missed.hosts(&batches),
    };
    run.leave_without(&key, result.is_err(), hosts)?;
    result
}

/// What a fork that ends in an error did not do.
#[derive(Default)]
struct Missed {
    failed: Vec<HostName>,
    begun: usize,
}

impl Missed {
    /// The hosts whose task failed, and those of the batches that were not begun.
    fn hosts(self, batches: &[Vec<HostName>]) -> Vec<HostName> {
        let rest = batches.iter().skip(self.begun).flatten().cloned();
        self.failed.into_iter().chain(rest).collect()
    }
}

/// Whether the batches are those of these hosts.
fn is_over(batches: &[Vec<HostName>], hosts: &[HostName]) -> bool {
    let recorded: BTreeSet<&HostName> = batches.iter().flatten().collect();
    recorded == hosts.iter().collect()
}

fn batches_in_turn(
    run: &Run,
    task: &Task,
    spec: &ForkSpec,
    branch: &Branch<'_>,
    key: &StepKey,
    batches: &[Vec<HostName>],
    missed: &mut Missed,
) -> Result<Failures, StepError> {
    let mut failures: Failures = Vec::new();
    let mut capacity = Capacity::new(spec);
    for (index, batch) in batches.iter().enumerate() {
        capacity.may_take(batch)?;
        let failed = at_once(run, task, spec, branch, key, batch);
        missed.begun = index + 1;
        missed.failed.extend(failed.iter().map(|(host, _)| host.clone()));
        let lost = failed.iter().find(|(_, error)| error.kind == ErrorKind::Fenced);
        if let Some((_, stop)) = lost.or_else(|| failed.iter().find(|(_, error)| stops_the_run(error))) {
            return Err(stop.clone());
        }
        capacity.took(batch, failed.iter().map(|(host, _)| host));
        failures.extend(failed);
        judge(run, task, spec, key, &failures)?;
        if let Some(bake) = spec.bake.filter(|_| index + 1 < batches.len() && run.mode() == Mode::Perform) {
            // When a host of the next batch has records, the pause is over.
            let next = batches.get(index + 1).map(Vec::as_slice).unwrap_or_default();
            if !next.iter().any(|host| run.cursor.has_task(&task.path.child(key.n, spec.word, host.as_str()))) {
                pause(run, key, bake, next)?;
            }
        }
    }
    Ok(failures)
}

/// Decides whether the failures so far end it.
fn judge(run: &Run, task: &Task, spec: &ForkSpec, key: &StepKey, failures: &Failures) -> Result<(), StepError> {
    let Some((_, first)) = failures.first() else { return Ok(()) };
    let all = failures.len() == spec.hosts.len();
    let within = !all && u32::try_from(failures.len()).unwrap_or(u32::MAX) <= spec.max_failures;
    match spec.on_failure {
        OnFailure::Continue if within => restore(run, task, spec, key, failures).map(drop),
        OnFailure::Halt => {
            let owed = restore(run, task, spec, key, failures)?;
            let begun = |host: &HostName| {
                let path = task.path.child(key.n, spec.word, host.as_str());
                run.writer.state(|state| state.tasks.contains_key(&path))
            };
            let mut error = first.clone();
            error.kind = ErrorKind::Halted;
            error.message = format!("halted: {}: {}", halted(spec, failures, &owed, begun), first.message);
            Err(error)
        }
        OnFailure::Unwind if within && spec.max_failures > 0 => restore(run, task, spec, key, failures).map(drop),
        OnFailure::Continue | OnFailure::Unwind => Err(first.clone()),
    }
}

/// What became of which hosts.
fn halted(spec: &ForkSpec, failures: &Failures, owed: &BTreeSet<HostName>, begun: impl Fn(&HostName) -> bool) -> String {
    let failed = |host: &HostName| failures.iter().any(|(other, _)| other == host);
    let those = |wanted: &dyn Fn(&HostName) -> bool| spec.hosts.iter().filter(|host| wanted(host)).collect::<Vec<_>>();
    let groups = [
        (those(&|host| failed(host) && !owed.contains(host)), "failed and was restored", "failed and were restored"),
        (those(&|host| failed(host) && owed.contains(host)), "failed and cannot be reached", "failed and cannot be reached"),
        (those(&|host| !failed(host) && begun(host)), "keeps what it has", "keep what they have"),
        (those(&|host| !failed(host) && !begun(host)), "was not begun", "were not begun"),
    ];
    let parts = groups.iter().filter(|(hosts, ..)| !hosts.is_empty()).map(|(hosts, one, many)| match hosts.as_slice() {
        [host] => format!("{host} {one}"),
        all if all.len() == spec.hosts.len() => format!("all {} hosts {many}", all.len()),
        hosts => format!("{} {many}", names(hosts)),
    });
    parts.collect::<Vec<_>>().join(", ")
}

/// Hosts in words; of many only how many.
fn names(hosts: &[&HostName]) -> String {
    match hosts {
        [before @ .., last] if !before.is_empty() && hosts.len() <= 5 => {
            let before: Vec<&str> = before.iter().map(|host| host.as_str()).collect();
            format!("{} and {last}", before.join(", "))
        }
        [host] => host.to_string(),
        _ => format!("{} hosts", hosts.len()),
    }
}

/// Puts the failed hosts back as they were; the others are not touched. Gives those that cannot be reached: they stay on
/// record as owed.
fn restore(run: &Run, task: &Task, spec: &ForkSpec, key: &StepKey, failures: &Failures) -> Result<BTreeSet<HostName>, StepError> {
    let mut owed = BTreeSet::new();
    if !run.is_performing() {
        return Ok(owed);
    }
    for (host, _) in failures {
        let path = task.path.child(key.n, spec.word, host.as_str());
        let work = run.left_to_undo(|state, before| saga::task(state, before, &path));
        let end = unwind::unwind(run, &work);
        if let Some(stuck) = end.stuck.into_iter().next() {
            return Err(stuck);
        }
        if end.interrupted {
            return Err(StepError::new(ErrorKind::Interrupted, "the run was asked to stop"));
        }
        owed.extend(end.debts);
    }
    Ok(owed)
}

/// Runs the block of each host of a batch on a thread of its own.
fn at_once(_run: &Run, task: &Task, spec: &ForkSpec, branch: &Branch<'_>, key: &StepKey, batch: &[HostName]) -> Failures {
    let one = |host: &HostName| {
        let child = Task::new(task.path.child(key.n, spec.word, host.as_str()), Some(host.clone()));
        branch(&child, host)
    };
    let ended = |host: &HostName| StepError::new(ErrorKind::Internal, format!("the task of {host} ended by a defect"));
    let seats = turns::side_by_side(batch.len());
    let failures = thread::scope(|scope| {
        let spawn = |host: &HostName, seat: turns::Seat| {
            let (host, one) = (host.clone(), &one);
            let name = host.to_string();
            thread::Builder::new().name(name).stack_size(STACK).spawn_scoped(scope, move || seat.within(|| one(&host)))
        };
        let threads: Vec<_> = batch.iter().zip(seats).map(|(host, seat)| (host.clone(), spawn(host, seat))).collect();
        let join = |(host, thread): (HostName, std::io::Result<thread::ScopedJoinHandle<'_, Result<(), StepError>>>)| {
            let result = match thread {
                Ok(thread) => thread.join().unwrap_or_else(|_| Err(ended(&host))),
                Err(error) => Err(StepError::new(ErrorKind::Internal, format!("no thread for {host}: {error}"))),
            };
            result.err().map(|error| (host, error))
        };
        threads.into_iter().filter_map(join).collect()
    });
    turns::again();
    failures
}

fn stops_the_run(error: &StepError) -> bool {
    matches!(
        error.kind,
        ErrorKind::Interrupted
            | ErrorKind::Ledger
            | ErrorKind::Fenced
            | ErrorKind::Divergence
            | ErrorKind::Internal
            | ErrorKind::InDoubt
            | ErrorKind::Halted
            // A wrong machine, a step that the plan does not have, a host that took its changes back: no budget is for that.
            | ErrorKind::Refused
    )
}

/// Waits between two batches, and shows that it does.
fn pause(run: &Run, key: &StepKey, bake: Span, next: &[HostName]) -> Result<(), StepError> {
    let host = HostName::controller();
    let next: Vec<&HostName> = next.iter().collect();
    let summary = format!("{bake} before {}", names(&next));
    run.watcher.see(&Event::Began { key: key.clone(), host: host.clone(), op: "bake".to_owned(), summary });
    let mut left = bake.millis();
    let mut result = Ok(());
    while left > 0 && result.is_ok() {
        let piece = left.min(1000);
        let text = format!("{} s until {}", left.div_ceil(1000), names(&next));
        run.watcher.see(&Event::Progress { key: key.clone(), host: host.clone(), text });
        let sleep = || run.effects.perform(&Login::controller(), &Effect::Sleep { millis: piece });
        result = crate::interp::within(key, sleep).map(drop);
        left -= piece;
    }
    run.watcher.see(&Event::Ended { key: key.clone() });
    result.map_err(|error| StepError::new(ErrorKind::Interrupted, error.to_string()))
}

/// Cuts the hosts into batches; the last size is used for all that is left.
fn cut(hosts: &[HostName], sizes: &[BatchSize]) -> Vec<Vec<HostName>> {
    let total = hosts.len();
    let (mut batches, mut rest, mut sizes) = (Vec::new(), hosts, sizes.iter().peekable());
    let mut size = total.max(1);
    while !rest.is_empty() {
        if let Some(next) = sizes.next() {
            size = next.at_most(total);
        }
        let (batch, after) = rest.split_at(size.min(rest.len()));
        batches.push(batch.to_vec());
        rest = after;
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(hosts: usize, batches: &[BatchSize]) -> Vec<usize> {
        let hosts: Vec<HostName> = (0..hosts).filter_map(|n| HostName::parse(&format!("h{n}")).ok()).collect();
        cut(&hosts, batches).iter().map(Vec::len).collect()
    }

    #[test]
    fn batches_ramp_up_and_go_on() {
        use BatchSize::{Hosts, Percent};
        assert_eq!(sizes(8, &[Hosts(1), Percent(25)]), [1, 2, 2, 2, 1]);
        assert_eq!(sizes(3, &[]), [3]);
        assert_eq!(sizes(3, &[Percent(10)]), [1, 1, 1]);
        assert_eq!(sizes(5, &[Hosts(99)]), [5]);
    }
}
