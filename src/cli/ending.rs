//! How a run ended, in words, and what can be done next.

use crate::id::{HostName, StepKey};
use crate::journal::RunPhase;
use crate::report::{Counts, plain};
use crate::run::{Drifted, Finish};
use crate::step::ErrorKind;

/// One thing that is not as the run left it, with its difference.
pub(super) fn differences(drifted: &Drifted) -> Vec<String> {
    drifted.diff.iter().flat_map(|diff| diff.lines()).map(|line| format!("    {}", plain(line))).collect()
}

pub(super) fn headline(finish: &Finish, counts: Counts) -> String {
    let id = &finish.run;
    match (finish.state, finish.exit) {
        (RunPhase::Succeeded, _) if counts.changed == 0 => format!("run {id} succeeded, nothing to change,"),
        (RunPhase::Succeeded, _) => format!("run {id} succeeded"),
        (RunPhase::Unwound, 1) => format!("run {id} failed before it changed anything,"),
        (RunPhase::Unwound, 3) if !finish.not_undone.is_empty() => {
            format!("run {id} failed and was unwound, but for {} command(s) without `undo`,", finish.not_undone.len())
        }
        (RunPhase::Unwound, 3) => format!("run {id} failed and was unwound, what was there is restored,"),
        (RunPhase::Unwound, 6) => format!("run {id} was refused and unwound, what was there is restored,"),
        (RunPhase::Unwound, _) if finish.debts.is_empty() => format!("run {id} was unwound, but for what was given up,"),
        (RunPhase::Unwound, _) => {
            let hosts: Vec<&str> = finish.debts.iter().filter(|host| !host.is_controller()).map(HostName::as_str).collect();
            let too = if finish.open.is_empty() { "" } else { ", or what is around it is" };
            format!("run {id} failed and was unwound, but not on {} (not reachable{too}),", hosts.join(", "))
        }
        (RunPhase::Stuck, _) => format!("run {id} is stuck: not everything could be undone,"),
        _ if is_fenced(finish) => format!("run {id} has lost its lock and stopped,"),
        (RunPhase::Interrupted, 6) if finish.drift.is_some() => format!("run {id} did not go on,"),
        (RunPhase::Interrupted, 6) => format!("run {id} cannot go on with this script,"),
        (RunPhase::Interrupted, _) if !finish.doubts.is_empty() => format!("run {id} is in doubt,"),
        (state, _) => format!("run {id} is {}", state.word()),
    }
}

/// Whether it ended because the lock is somebody else's by now.
fn is_fenced(finish: &Finish) -> bool {
    finish.error.as_ref().is_some_and(|error| error.kind == ErrorKind::Fenced)
}

pub(super) fn summary(counts: Counts) -> String {
    let parts = [
        (counts.changed, "changed"),
        (counts.unchanged, "unchanged"),
        (counts.skipped, "skipped"),
        (counts.failed, "failed"),
        (counts.undone, "undone"),
    ];
    let said: Vec<String> = parts.iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{n} {word}")).collect();
    if said.is_empty() { "no steps".to_owned() } else { said.join(", ") }
}

/// What can be done about a run in its state.
pub(super) fn next_commands(finish: &Finish) -> Vec<(&'static str, String)> {
    let id = &finish.run;
    if is_fenced(finish) {
        return vec![("who is at work, and what is open", "windlass status".to_owned())];
    }
    let drifted = finish.drift.as_ref().is_some_and(|drift| !drift.drifted.is_empty()) && finish.exit == 6;
    let mut next = next_for(finish.state, id.as_str(), &finish.doubts);
    match finish.state {
        RunPhase::Interrupted if drifted => {
            next.insert(1, ("go on all the same", format!("windlass resume {id} --accept-drift")));
        }
        RunPhase::Unwound | RunPhase::Succeeded | RunPhase::Halted if !finish.debts.is_empty() => {
            next.push(("once they are back", format!("windlass settle {id}")));
        }
        state if state.is_ended() && !finish.open.is_empty() => {
            next.push(("close what is open", format!("windlass settle {id}")));
        }
        _ => {}
    }
    next
}

/// What can be done about a run in this phase, whose steps in doubt are these.
pub(super) fn next_for(phase: RunPhase, id: &str, doubts: &[StepKey]) -> Vec<(&'static str, String)> {
    match phase {
        RunPhase::Interrupted | RunPhase::Suspended | RunPhase::Running => {
            let mut next = Vec::new();
            for key in doubts.iter().take(3) {
                next.push(("it took effect", format!("windlass resume {id} --assume-done '{key}'")));
                next.push(("do it again", format!("windlass resume {id} --again '{key}'")));
            }
            let go_on = if doubts.is_empty() { "go on" } else { "ask the host, and go on" };
            next.insert(0, (go_on, format!("windlass resume {id}")));
            next.push(("undo what it changed", format!("windlass unwind {id}")));
            next
        }
        RunPhase::Unwinding => vec![("go on undoing it", format!("windlass unwind {id}"))],
        RunPhase::Stuck => vec![
            ("try again to undo it", format!("windlass unwind {id}")),
            ("when done by hand", format!("windlass unwind {id} --mark-done STEP")),
            ("to leave it as it is", format!("windlass unwind {id} --skip REASON")),
        ],
        _ => Vec::new(),
    }
}
