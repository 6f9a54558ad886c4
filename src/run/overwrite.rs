//! What undoing a step may overwrite: it is looked at before, and what others have put there stays.

use crate::effect::{Compensation, Effect, Overwrite};
use crate::id::{HostName, StepKey};
use crate::journal::{RunPhase, RunState};

/// By how much a clock may have been set meanwhile; one restart too many does less harm than one too few.
const SLACK_MILLIS: u64 = 2_000;

/// The same effect, so that it overwrites no more than it may; a person may have said that anything may go.
pub(super) fn undoing(effect: &Effect, state: &RunState, step: (&StepKey, u32), host: &HostName, accepted: bool) -> Effect {
    match effect {
        Effect::Restore { save, surely, .. } => {
            let overwrite = if accepted || had_a_later_command(state, step, host) {
                Overwrite::Anything
            } else if had_others_at_work(state, step, host) {
                Overwrite::OwnLogins
            } else if state.phase == Some(RunPhase::Unwinding) {
                Overwrite::OwnRun
            } else {
                Overwrite::Nothing
            };
            Effect::Restore { save: save.clone(), surely: *surely, overwrite }
        }
        Effect::Resume { save, units, .. } => {
            let run_millis = u64::try_from(super::writer::now().saturating_sub(state.began_at)).unwrap_or(0);
            Effect::Resume { save: save.clone(), units: units.clone(), run_millis: run_millis.saturating_add(SLACK_MILLIS) }
        }
        other => other.clone(),
    }
}

/// Whether the run has changed something there as another user, of which this one's directory knows nothing, or has asked something by a
/// command that may have written.
fn had_others_at_work(state: &RunState, (key, _): (&StepKey, u32), host: &HostName) -> bool {
    const ASKS: [&str; 2] = ["probe", "expect_exec"];
    let user = state.steps.get(key).map(|step| &step.command.user);
    let here = state.steps.values().filter(|step| step.command.host == *host);
    here.into_iter().any(|step| {
        let other = Some(&step.command.user) != user && step.may_have_changed();
        let validates = step.command.args.get("validate").is_some_and(|command| !command.is_null());
        other || validates || ASKS.contains(&step.command.op.as_str())
    })
}

/// Whether the run began a command there after this change: what that changed is not known, and is part of what is undone.
fn had_a_later_command(state: &RunState, (key, n): (&StepKey, u32), host: &HostName) -> bool {
    let Some(since) = state.steps.get(key).and_then(|step| step.undos.get(&n)).map(|undo| undo.seq) else { return false };
    let opaque = |undo: &Compensation| matches!(undo, Compensation::End { .. } | Compensation::Reboot { .. });
    let here = state.steps.values().filter(|step| step.command.host == *host && !step.is_void());
    here.flat_map(|step| step.undos.values()).any(|undo| undo.seq > since && opaque(&undo.undo))
}
