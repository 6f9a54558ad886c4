//! Runs that are held to a plan: what was looked at must be as it was, and only the plan's steps are taken.

use super::plan::Plan;
use crate::effect::Effects;
use crate::id::{Digest, StepKey};
use crate::interp::Look;
use crate::ledger::{Held, HeldStep, arguments};
use crate::step::{ErrorKind, StepError};
use std::thread;

/// The steps of a plan, for a run to be held to. `text` is the plan's document.
#[must_use]
pub fn held_to(plan: &Plan, text: &str) -> Held {
    let steps = plan.steps.iter().map(|step| HeldStep {
        key: StepKey { task: step.task.clone(), n: step.n },
        op: step.op.clone(),
        host: step.host.clone(),
        user: step.user.clone(),
        args: arguments(&step.args),
        summary: step.summary.clone(),
        site: step.site.clone(),
    });
    Held::new(Digest::of(text.as_bytes()), steps.collect())
}

/// Looks again at what a plan was made of, at all hosts at once. Gives a line for each difference.
#[must_use]
pub fn differences(looks: &[Look], effects: &dyn Effects) -> Vec<String> {
    let mut by_login: Vec<Vec<&Look>> = Vec::new();
    for look in looks.iter().filter(|look| look.look.is_some()) {
        match by_login.iter_mut().find(|group| group[0].at == look.at) {
            Some(group) => group.push(look),
            None => by_login.push(vec![look]),
        }
    }
    let again = |group: Vec<&Look>| -> Vec<String> {
        let differs = |look: &&Look| look.again(effects).map(|found| line(look, &found));
        group.iter().filter_map(differs).collect()
    };
    let again = &again;
    thread::scope(|scope| {
        let threads: Vec<_> = by_login.into_iter().map(|group| scope.spawn(move || again(group))).collect();
        let defect = |_| vec!["a look at a host panicked; this is a defect".to_owned()];
        threads.into_iter().flat_map(|thread| thread.join().unwrap_or_else(defect)).collect()
    })
}

fn line(look: &Look, found: &str) -> String {
    let at = if look.at.host.is_controller() { "the project".to_owned() } else { look.at.to_string() };
    format!("{at}: {}: expected {}, found {found}", look.what, look.said)
}

/// Why a run does not begin: these are not as its plan saw them.
#[must_use]
pub fn stale(differences: &[String]) -> StepError {
    let shown: Vec<String> = differences.iter().take(30).map(|line| format!("\n  {line}")).collect();
    let more = differences.len().saturating_sub(shown.len());
    let more = if more > 0 { format!("\n  and {more} more") } else { String::new() };
    let s = if differences.len() == 1 { "is" } else { "are" };
    let n = differences.len();
    let things = if n == 1 { "thing" } else { "things" };
    let message = format!("the plan is stale: {n} {things} {s} not as it was made of{}{more}", shown.concat());
    StepError::new(ErrorKind::Refused, message).with_help("nothing was touched; make a new plan, and look at it")
}
