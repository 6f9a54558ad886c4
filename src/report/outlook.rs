//! What a prediction leaves to people: questions that the run will ask, and what is not known, with how it would be.

use super::style::{Paint, Tone, plain};
use crate::op::{Operation, Run};
use crate::run::{Plan, PlannedQuestion, Prediction};
use std::collections::BTreeMap;

/// Lines behind the steps of a prediction; none where nothing is left to say.
#[must_use]
pub fn outlook(plan: &Plan, paint: Paint) -> Vec<String> {
    let mut lines = Vec::new();
    let head = |text: &str| paint.tone(Tone::Strong, text);
    let faint = |text: &str| paint.tone(Tone::Faint, text);
    if !plan.questions.is_empty() {
        lines.push(head("== would be asked for"));
    }
    for question in &plan.questions {
        lines.push(format!("{}  {}", plain(&question.question), faint(&format!("({})", question.site))));
        lines.push(faint(&format!("           {}", plain(&answer_hint(plan, question)))));
    }
    let commands = not_known(plan);
    if !commands.is_empty() || !plan.findings.is_empty() {
        lines.push(head("== what is unknown, and how to make it known"));
    }
    for finding in &plan.findings {
        lines.push(format!("{}: {}", paint.tone(Tone::Bad, &finding.site.to_string()), plain(&finding.message)));
        lines.push(faint(&format!("           {}", plain(&finding.help))));
    }
    for (place, command, hosts) in commands {
        let on = if hosts == 1 { String::new() } else { format!(" on {hosts} hosts") };
        lines.push(format!("{place}: `{}` is taken to go well{on}", plain(&command).replace('\n', " ")));
    }
    if plan.steps.iter().any(is_assumed_command) {
        let help = "`creates` and `writes` say what a command makes, `dry` what it prints; a `probe` is run";
        lines.push(faint(&format!("           {help}")));
    }
    lines
}

/// How a question is answered beforehand.
pub(super) fn answer_hint(plan: &Plan, question: &PlannedQuestion) -> String {
    let taken = question.taken.as_deref().unwrap_or_default();
    if plan.answers.contains_key(&question.name) {
        return format!("answered beforehand: {taken}");
    }
    let choices = if question.choices.is_empty() { String::new() } else { format!("one of {}; ", question.choices.join(", ")) };
    format!("{choices}went on with `{taken}` here; beforehand: --answer '{}={taken}'", question.name)
}

fn is_assumed_command(step: &crate::run::PlannedStep) -> bool {
    step.op == Run::NAME && matches!(step.prediction, Prediction::Assumed | Prediction::Unknown)
}

/// Commands of which nothing is known: where, what, and on how many hosts.
pub(super) fn not_known(plan: &Plan) -> Vec<(String, String, usize)> {
    let mut commands: BTreeMap<(&crate::step::Site, &str), usize> = BTreeMap::new();
    for step in plan.steps.iter().filter(|step| is_assumed_command(step)) {
        *commands.entry((&step.site, &step.summary)).or_default() += 1;
    }
    commands.into_iter().map(|((site, command), hosts)| (site.to_string(), command.to_owned(), hosts)).collect()
}
