//! What a fault test comes to, in lines.

use super::style::{Paint, Tone, plain};
use crate::prove::{Cause, Coverage, TraceLine, Verdict};

/// The lines of one verdict: breaches by cause, what was covered, what was not.
#[must_use]
pub fn verdict_lines(verdict: &Verdict, again: &str, paint: Paint) -> Vec<String> {
    let mut lines = vec![paint.tone(Tone::Strong, &format!("== from {}", plain(&verdict.start.to_string())))];
    for cause in &verdict.causes {
        lines.extend(cause_lines(cause, again, paint));
    }
    lines.extend(covered(&verdict.coverage).into_iter().map(|line| paint.tone(Tone::Faint, &line)));
    if !verdict.uncovered.is_empty() {
        let head = "not covered: what these commands do is not known; `creates`, `writes` or `dry` say more, and world.toml may";
        lines.push(head.to_owned());
        for one in &verdict.uncovered {
            let site = one.site.as_deref().unwrap_or("-");
            lines.push(format!("  {site:<24} {}", plain(&one.command)));
        }
    }
    lines
}

/// What it comes to, in one line.
#[must_use]
pub fn verdict_summary(verdicts: &[Verdict]) -> String {
    let causes: usize = verdicts.iter().map(|verdict| verdict.causes.len()).sum();
    let scenarios: usize = verdicts.iter().map(|verdict| verdict.coverage.scenarios).sum();
    let in_all = format!("{scenarios} scenarios");
    match causes {
        0 => format!("no breach within the model, in {in_all}"),
        1 => format!("breaches of 1 cause, in {in_all}"),
        many => format!("breaches of {many} causes, in {in_all}"),
    }
}

fn cause_lines(cause: &Cause, again: &str, paint: Paint) -> Vec<String> {
    let site = cause.site.as_ref().map(|site| format!("  {site}")).unwrap_or_default();
    let head = paint.tone(Tone::Bad, &format!("breach of {}", cause.judge.word()));
    let mut lines = vec![String::new(), format!("{head}{}", paint.tone(Tone::Strong, &site))];
    lines.push(format!("  {}", plain(&cause.what)));
    lines.extend(cause.way.iter().map(|way| paint.tone(Tone::Faint, &format!("  {}", plain(way)))));
    let hosts: Vec<&str> = cause.hosts.iter().map(String::as_str).collect();
    if !hosts.is_empty() {
        let shown = if hosts.len() > 6 { format!("{} hosts", hosts.len()) } else { hosts.join(", ") };
        lines.push(format!("  on {shown}"));
    }
    let times = if cause.count == 1 { "1 scenario".to_owned() } else { format!("{} scenarios", cause.count) };
    match cause.faults.as_slice() {
        [] => lines.push("  without any fault".to_owned()),
        faults => {
            for fault in faults {
                lines.push(format!("  when: {}", plain(fault)));
            }
        }
    }
    lines.push(paint.tone(Tone::Faint, &format!("  in {times}, of which the shortest:")));
    lines.extend(trace_lines(&cause.trace, paint).into_iter().map(|line| format!("  {line}")));
    if !cause.help.is_empty() {
        lines.push(format!("  help: {}", cause.help));
    }
    lines.push(format!("  step by step: {again} --scenario '{}'", cause.scenario));
    lines
}

/// A trace, aligned.
#[must_use]
pub fn trace_lines(trace: &[TraceLine], paint: Paint) -> Vec<String> {
    let width = trace.iter().map(|line| line.host.len()).max().unwrap_or(0);
    let mut lines = Vec::new();
    for line in trace {
        let time = format!("{:>7.2} s", line.millis as f64 / 1000.0);
        let services = if line.services.is_empty() { String::new() } else { format!("  [{}]", line.services.join(", ")) };
        let how = if line.how.is_empty() { String::new() } else { format!("  {}", plain(&line.how)) };
        let what = plain(&line.what).replace('\n', " ");
        let text = format!("{} {:<width$}  {what}", paint.tone(Tone::Faint, &time), line.host);
        let fault = line.fault.map(|fault| paint.tone(Tone::Bad, &format!("  <- {fault}"))).unwrap_or_default();
        let here = if line.breach { paint.tone(Tone::Bad, "  <- the breach shows here") } else { String::new() };
        lines.push(format!("{text}{how}{}{fault}{here}", paint.tone(Tone::Faint, &services)));
    }
    lines
}

fn covered(coverage: &Coverage) -> Vec<String> {
    let kinds: Vec<String> = coverage.kinds.iter().map(|(kind, n)| format!("{kind} {n}")).collect();
    let mut lines = vec![format!(
        "covered: {} effects on {} hosts; {} scenarios: {}",
        coverage.effects,
        coverage.hosts,
        coverage.scenarios,
        kinds.join(", ")
    )];
    if coverage.undoing > 0 {
        lines.push(format!("  of them {} with a second fault while it was undone or taken up", coverage.undoing));
    }
    if coverage.again > 0 {
        lines.push(format!("  and {} with the same deploy once more afterwards, as it is or with a fault in it", coverage.again));
    }
    if coverage.pairs > 0 {
        lines.push(format!("  and {} pairs of faults, drawn by chance", coverage.pairs));
    }
    if coverage.folded > 0 {
        let n = coverage.folded;
        lines.push(format!("  {n} more are left out: their hosts do the same as others (--all-hosts has them, too)"));
    }
    if coverage.missed > 0 {
        lines.push(format!("  in {} of them a fault did not come to pass: the run went another way before", coverage.missed));
    }
    lines
}
