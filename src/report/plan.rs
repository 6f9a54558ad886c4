//! A prediction in lines: grouped as the script groups its hosts, the same step on several hosts in one line.

use super::style::{Paint, Tone, plain};
use super::text::Wordiness;
use crate::run::{Plan, PlanCounts, PlannedStep, Prediction};

/// The lines of a prediction; steps that change nothing only where more is wanted.
#[must_use]
pub fn plan_lines(plan: &Plan, paint: Paint, wordiness: Wordiness) -> Vec<String> {
    let mut lines = Vec::new();
    let mut group = String::new();
    for fold in folded(&plan.steps) {
        let first = fold.steps[0];
        if first.prediction == Prediction::NoChange && wordiness < Wordiness::Wordy {
            continue;
        }
        let own = group_of(first);
        if own != group {
            lines.extend(heading(plan, &own).map(|text| paint.tone(Tone::Strong, &text)));
            group = own;
        }
        lines.extend(fold_lines(plan, &fold, paint, wordiness));
    }
    lines
}

/// What it comes to.
#[must_use]
pub fn plan_summary(counts: PlanCounts) -> String {
    let parts = [
        (counts.would, "would change something"),
        (counts.no_change, "no change"),
        (counts.assumed, "assumed"),
        (counts.unknown, "unknown"),
        (counts.fails, "would fail"),
    ];
    let said: Vec<String> = parts.iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{n} {word}")).collect();
    if said.is_empty() { "no steps".to_owned() } else { said.join(", ") }
}

/// The same step on several hosts.
pub(super) struct Fold<'a> {
    pub(super) steps: Vec<&'a PlannedStep>,
}

/// Puts together what stands at one place of the script and comes to the same.
pub(super) fn folded(steps: &[PlannedStep]) -> Vec<Fold<'_>> {
    let mut folds: Vec<Fold<'_>> = Vec::new();
    for step in steps {
        let alike = |other: &PlannedStep| {
            (group_of(other), other.n, &other.op, &other.summary, other.prediction, &other.why, &other.user)
                == (group_of(step), step.n, &step.op, &step.summary, step.prediction, &step.why, &step.user)
        };
        // Others of the same place stand right before.
        match folds.iter_mut().rev().take_while(|fold| fold.steps[0].n == step.n).find(|fold| alike(fold.steps[0])) {
            Some(fold) => fold.steps.push(step),
            None => folds.push(Fold { steps: vec![step] }),
        }
    }
    folds
}

/// The group of hosts that a step's task is of, as in `main/3.rolling`; empty outside of one.
pub(super) fn group_of(step: &PlannedStep) -> String {
    step.task.as_str().rsplit_once('/').map(|(group, _)| group.to_owned()).unwrap_or_default()
}

pub(super) fn heading(plan: &Plan, group: &str) -> Option<String> {
    if group.is_empty() {
        return Some("==".to_owned());
    }
    let fork = plan.forks.iter().find(|fork| fork.path == group)?;
    let sizes: Vec<String> = fork.batches.iter().map(ToString::to_string).collect();
    let hosts: usize = fork.batches.iter().sum();
    let plural = if hosts == 1 { "host" } else { "hosts" };
    let how = if sizes.len() > 1 { format!("in batches of {}", sizes.join(", ")) } else { "at once".to_owned() };
    Some(format!("== {}: {hosts} {plural} {how}", fork.word))
}

fn fold_lines(plan: &Plan, fold: &Fold<'_>, paint: Paint, wordiness: Wordiness) -> Vec<String> {
    let first = fold.steps[0];
    let tone = match first.prediction {
        Prediction::Would => Tone::Changed,
        Prediction::NoChange => Tone::Faint,
        Prediction::Assumed => Tone::Strong,
        Prediction::Unknown | Prediction::Fails => Tone::Bad,
    };
    let word = paint.tone(tone, &format!("{:<9}", first.prediction.words()));
    let user = first.user.as_ref().map(|user| format!(" (as {user})")).unwrap_or_default();
    let summary = plain(&first.summary).replace('\n', " ");
    let mut lines = vec![format!("{word}  {:<12}  {:<10} {summary}{user}", hosts(plan, fold), first.op)];
    let shows_why = first.prediction != Prediction::NoChange || wordiness == Wordiness::Wordy;
    if shows_why {
        lines.extend(
            first.why.iter().map(|why| paint.tone(Tone::Faint, &format!("           {}", plain(why).replace('\n', " ")))),
        );
    }
    if first.prediction == Prediction::Would || wordiness == Wordiness::Wordy {
        let most = if wordiness == Wordiness::Wordy { usize::MAX } else { DIFF_LINES };
        lines.extend(diff_lines(first.diff.as_deref().unwrap_or_default(), paint, most));
    }
    lines
}

/// Lines of a difference that are shown without asking for more.
const DIFF_LINES: usize = 12;

/// A difference in colours, cut behind so many lines. Which file it is of stands in the line above.
fn diff_lines(diff: &str, paint: Paint, most: usize) -> Vec<String> {
    let tone = |line: &str| match line.as_bytes().first() {
        Some(b'+') => Some(Tone::Good),
        Some(b'-') => Some(Tone::Gone),
        Some(b'@') => Some(Tone::Faint),
        _ => None,
    };
    let is_head = |line: &&str| line.starts_with("--- ") || line.starts_with("+++ ");
    let all: Vec<&str> = diff.lines().take(2).filter(|line| !is_head(line)).chain(diff.lines().skip(2)).collect();
    let most = if all.len() <= most + 1 { all.len() } else { most };
    let painted = |line: &&str| {
        let text = format!("           {}", plain(line));
        tone(line).map_or_else(|| text.clone(), |tone| paint.tone(tone, &text))
    };
    let mut lines: Vec<String> = all.iter().take(most).map(painted).collect();
    if most < all.len() {
        lines.push(paint.tone(Tone::Faint, &format!("           … {} more lines, -v shows all", all.len() - most)));
    }
    lines
}

/// The hosts of a line: by name when they are few.
pub(super) fn hosts(plan: &Plan, fold: &Fold<'_>) -> String {
    let names: Vec<&str> = fold.steps.iter().map(|step| step.host.as_str()).collect();
    let whole =
        plan.forks.iter().find(|fork| fork.path == group_of(fold.steps[0])).map(|fork| fork.batches.iter().sum::<usize>());
    match names.as_slice() {
        ["@controller"] => "-".to_owned(),
        [one] => (*one).to_owned(),
        all if whole == Some(all.len()) => format!("{} hosts", all.len()),
        few if few.len() <= 3 => few.join(" "),
        several => format!("{} of {} hosts", several.len(), whole.unwrap_or(several.len())),
    }
}
