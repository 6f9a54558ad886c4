//! A prediction as a page: what would become of each step, which hosts it is about, what is asked and unknown, and what it was made of.

use super::{diff, escape, page, tile};
use crate::interp::Look;
use crate::report::outlook::{answer_hint, not_known};
use crate::report::plan::{Fold, folded, group_of, heading, hosts};
use crate::run::{Made, Plan, PlannedStep, Prediction};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The most places of a script that have a column each.
const MOST_COLUMNS: usize = 60;

/// The whole page.
#[must_use]
pub fn plan_page(plan: &Plan) -> String {
    let word = match plan.made {
        Made::DryRun => "Dry run",
        Made::Plan => "Plan",
    };
    let title = format!("{word} of {} on {}", plan.script, plan.environment);
    let parts = [lead(plan), tiles(plan), notes(plan), steps(plan), matrix(plan), reads(&plan.reads), basis(plan)];
    page(&title, &parts.concat())
}

/// The class of `page.css` that a prediction has.
fn tone(prediction: Prediction) -> &'static str {
    match prediction {
        Prediction::Would => "would",
        Prediction::NoChange => "good",
        Prediction::Assumed => "assumed",
        Prediction::Unknown => "unknown",
        Prediction::Fails => "bad",
    }
}

const ALL: [Prediction; 5] =
    [Prediction::Would, Prediction::NoChange, Prediction::Assumed, Prediction::Unknown, Prediction::Fails];

fn lead(plan: &Plan) -> String {
    let how = match plan.made {
        Made::DryRun => "made by looking at the hosts; nothing was changed",
        Made::Plan => "made on a fleet in memory; no host was spoken to",
    };
    let pins = plan.artifacts.iter().map(|pin| format!(", {} {}", pin.name, pin.version));
    let rest = format!("run {}, Windlass {}{}", plan.run, plan.windlass, pins.collect::<String>());
    format!("<p class=\"lead\">{} · {}</p>", escape(how), escape(&rest))
}

fn tiles(plan: &Plan) -> String {
    let counts = plan.counts;
    let all = [
        (counts.would, "would change something", "would"),
        (counts.no_change, "no change", "good"),
        (counts.assumed, "assumed", "assumed"),
        (counts.unknown, "unknown", "unknown"),
        (counts.fails, "would fail", "bad"),
    ];
    let tiles = all.map(|(n, what, tone)| tile(&n.to_string(), what, if n == 0 { "" } else { tone }));
    let hosts = tile(&plan.hosts.len().to_string(), if plan.hosts.len() == 1 { "host" } else { "hosts" }, "");
    format!("<div class=\"tiles\">{}{hosts}</div>", tiles.concat())
}

fn card(tone: &str, head: &str, text: &str, more: &str) -> String {
    let more = if more.is_empty() { String::new() } else { format!("<p class=\"faint small\">{}</p>", escape(more)) };
    format!("<div class=\"card {tone}\"><p><b>{}</b> {}</p>{more}</div>", escape(head), escape(text))
}

/// What a person has to look at before anything else.
fn notes(plan: &Plan) -> String {
    let mut html = String::new();
    if let Some(error) = &plan.error {
        let place = if error.site.line > 0 { format!("{}: ", error.site) } else { String::new() };
        let host = error.host.as_ref().map(|host| format!(" on {host}")).unwrap_or_default();
        html += &card(
            "bad",
            &format!("Ends in a failure{host}:"),
            &format!("{place}{}", error.message),
            error.help.as_deref().unwrap_or_default(),
        );
    }
    for step in &plan.points_of_no_return {
        html +=
            &card("would", "Point of no return:", &step.summary, &format!("{}; nothing before it is undone any more", step.site));
    }
    for finding in &plan.findings {
        html += &card("unknown", &finding.site.to_string(), &finding.message, &finding.help);
    }
    for question in &plan.questions {
        html +=
            &card("", "Would be asked for:", &question.question, &format!("{}; {}", question.site, answer_hint(plan, question)));
    }
    let commands = not_known(plan);
    if !commands.is_empty() {
        let line = |(place, command, hosts): &(String, String, usize)| {
            let on = if *hosts == 1 { String::new() } else { format!(" on {hosts} hosts") };
            format!("<p><code>{}</code>{} <span class=\"faint small\">{}</span></p>", escape(command), escape(&on), escape(place))
        };
        let lines: String = commands.iter().map(line).collect();
        let help = "creates: and writes: say what a command makes, dry: what it prints; a probe is run.";
        let _ = write!(
            html,
            "<div class=\"card\"><p><b>Commands that are taken to go well</b></p>{lines}<p class=\"faint small\">{help}</p></div>"
        );
    }
    if html.is_empty() { html } else { format!("<h2>To look at first</h2>{html}") }
}

fn steps(plan: &Plan) -> String {
    let mut rows = String::new();
    let mut group = String::new();
    for fold in folded(&plan.steps) {
        let own = group_of(fold.steps[0]);
        if own != group {
            let text = heading(plan, &own).unwrap_or_default();
            let text = text.trim_start_matches("==").trim();
            let text = if text.is_empty() { "the script itself" } else { text };
            let _ = write!(rows, "<tr class=\"group\"><td colspan=\"4\">{}</td></tr>", escape(text));
            group = own;
        }
        rows += &row(plan, &fold);
    }
    if rows.is_empty() {
        return "<h2>Steps</h2><p class=\"faint\">none</p>".to_owned();
    }
    format!(
        "<h2>Steps</h2>{}<div class=\"scroll\"><table><thead><tr><th class=\"tight\">prediction</th><th>hosts</th>\
         <th class=\"tight\">primitive</th><th>step</th></tr></thead><tbody>{rows}</tbody></table></div>",
        filters(plan)
    )
}

fn filters(plan: &Plan) -> String {
    let option = |value: &str, text: &str| format!("<option value=\"{}\">{}</option>", escape(value), escape(text));
    let hosts: String = plan.hosts.iter().map(|host| option(host.as_str(), host.as_str())).collect();
    let there = |prediction: &Prediction| plan.steps.iter().any(|step| step.prediction == *prediction);
    let predictions: String = ALL.iter().filter(|one| there(one)).map(|one| option(tone(*one), one.words())).collect();
    format!(
        "<div class=\"filters\"><label>host <select data-filter=\"host\"><option value=\"\">all</option>{hosts}</select></label>\
         <label>prediction <select data-filter=\"prediction\"><option value=\"\">all</option>{predictions}</select></label>\
         <label>text <input data-filter=\"text\" type=\"search\" placeholder=\"a path, a command\"></label>\
         <span class=\"faint small\" data-shown></span></div>"
    )
}

fn row(plan: &Plan, fold: &Fold<'_>) -> String {
    let first = fold.steps[0];
    let names: Vec<&str> = fold.steps.iter().map(|step| step.host.as_str()).collect();
    let (tone, word) = (tone(first.prediction), first.prediction.words());
    let short = hosts(plan, fold);
    let shown = if names.len() > 3 {
        format!(
            "<details><summary>{}</summary><span class=\"small\">{}</span></details>",
            escape(&short),
            escape(&names.join(" "))
        )
    } else {
        escape(&short)
    };
    let text = format!("{} {} {}", first.op, first.summary, first.site);
    format!(
        "<tr class=\"row\" data-host=\"{}\" data-prediction=\"{tone}\" data-text=\"{}\"><td class=\"tight\"><span class=\"badge {tone}\">{word}</span></td>\
         <td>{shown}</td><td class=\"tight\"><code>{}</code></td><td>{}</td></tr>\n",
        escape(&names.join(" ")),
        escape(&text.replace('\n', " ")),
        escape(&first.op),
        told(first)
    )
}

/// What a step does, what that rests on, and the difference that it makes.
fn told(step: &PlannedStep) -> String {
    let user = step.user.as_ref().map(|user| format!(" as {user}")).unwrap_or_default();
    let mut html = format!(
        "<code>{}</code>{} <span class=\"faint small\">{}</span>",
        escape(&step.summary),
        escape(&user),
        escape(&step.site.to_string())
    );
    for why in &step.why {
        let _ = write!(html, "<p class=\"faint small\">{}</p>", escape(why));
    }
    if let Some(text) = &step.diff {
        let count =
            |sign: char, head: &str| text.lines().filter(|line| line.starts_with(sign) && !line.starts_with(head)).count();
        let (more, less) = (count('+', "+++ "), count('-', "--- "));
        let _ = write!(html, "<details><summary class=\"small\">difference: +{more} −{less}</summary>{}</details>", diff(text));
    }
    html
}

/// Hosts that come to the same: their names, what becomes of each place, and the steps of the first.
type Alike<'a> = (Vec<&'a str>, Vec<Option<Prediction>>, &'a BTreeMap<usize, &'a PlannedStep>);

/// Hosts by the places of the script: hosts that come to the same share a line.
fn matrix(plan: &Plan) -> String {
    let mut places: Vec<(String, u32, &str)> = Vec::new();
    let mut lines: BTreeMap<&str, BTreeMap<usize, &PlannedStep>> = BTreeMap::new();
    for step in plan.steps.iter().filter(|step| !step.host.is_controller()) {
        let place = (group_of(step), step.n, step.op.as_str());
        let at = places.iter().position(|known| *known == place).unwrap_or_else(|| {
            places.push(place);
            places.len() - 1
        });
        lines.entry(step.host.as_str()).or_default().insert(at, step);
    }
    if places.is_empty() || places.len() > MOST_COLUMNS {
        return String::new();
    }
    let mut alike: Vec<Alike<'_>> = Vec::new();
    for host in &plan.hosts {
        let Some(own) = lines.get(host.as_str()) else { continue };
        let cells: Vec<_> = (0..places.len()).map(|at| own.get(&at).map(|step| step.prediction)).collect();
        match alike.iter_mut().find(|(_, known, _)| *known == cells) {
            Some((names, ..)) => names.push(host.as_str()),
            None => alike.push((vec![host.as_str()], cells, own)),
        }
    }
    let head: String = (1..=places.len()).map(|n| format!("<th class=\"cell\">{n}</th>")).collect();
    let body: String = alike.iter().map(|(names, cells, own)| matrix_row(names, cells, own)).collect();
    let legend: String = ALL.iter().map(|one| format!("<span class=\"badge {}\">{}</span> ", tone(*one), one.words())).collect();
    format!(
        "<h2>Hosts and steps</h2><p class=\"small\">{legend}</p><div class=\"scroll\"><table class=\"matrix\"><thead><tr><th>hosts</th>{head}</tr></thead>\
         <tbody>{body}</tbody></table></div>"
    )
}

fn matrix_row(names: &[&str], cells: &[Option<Prediction>], own: &BTreeMap<usize, &PlannedStep>) -> String {
    let shown = match names {
        [first, .., last] if names.len() > 3 => format!("{first} … {last} ({})", names.len()),
        few => few.join(" "),
    };
    let cell = |(at, cell): (usize, &Option<Prediction>)| {
        let Some((prediction, step)) = cell.zip(own.get(&at)) else { return "<td class=\"cell\"></td>".to_owned() };
        let title = format!("{}: {} {}", prediction.words(), step.op, step.summary);
        format!("<td class=\"cell\"><i class=\"{}\" title=\"{}\"></i></td>", tone(prediction), escape(&title))
    };
    let cells: String = cells.iter().enumerate().map(cell).collect();
    format!("<tr><td class=\"name\" title=\"{}\">{}</td>{cells}</tr>\n", escape(&names.join(" ")), escape(&shown))
}

fn reads(reads: &[Look]) -> String {
    let mut by_place: BTreeMap<String, Vec<&Look>> = BTreeMap::new();
    for look in reads {
        let place = if look.at.host.is_controller() { "the project".to_owned() } else { look.at.to_string() };
        by_place.entry(place).or_default().push(look);
    }
    let mut html = format!(
        "<h2>What was looked at</h2><p class=\"faint small\">{} looks; <code>run --plan</code> makes them again, and does not begin \
         where one is answered otherwise. What is marked ○ is not compared.</p>",
        reads.len()
    );
    for (place, looks) in by_place {
        let line = |look: &&Look| {
            let mark = if look.look.is_some() { "" } else { "○" };
            format!(
                "<tr><td class=\"tight\">{mark}</td><td><code>{}</code></td><td>{}</td></tr>",
                escape(&look.what),
                escape(&look.said)
            )
        };
        let rows: String = looks.iter().map(line).collect();
        let _ = write!(
            html,
            "<details class=\"card\"><summary>{} <span class=\"faint small\">{}</span></summary><div class=\"scroll\"><table>{rows}</table></div></details>",
            escape(&place),
            looks.len()
        );
    }
    html
}

fn basis(plan: &Plan) -> String {
    let basis = &plan.basis;
    let mut rows: Vec<(String, String)> =
        vec![("script".to_owned(), format!("{} (all sources: sha256 {})", plan.script, plan.bundle))];
    rows.extend(basis.sources.iter().map(|(name, digest)| (format!("source {name}"), format!("sha256 {}", digest.short()))));
    rows.extend(basis.params.iter().map(|(name, value)| (format!("--set {name}"), value.to_string())));
    rows.extend(basis.limit.iter().map(|limit| ("--limit".to_owned(), limit.clone())));
    rows.extend(plan.answers.iter().map(|(name, value)| (format!("--answer {name}"), value.clone())));
    let pin = |pin: &crate::artifact::Pin| {
        (format!("artifact {}", pin.name), format!("{}, sha256 {}", pin.version, pin.digest.short()))
    };
    rows.extend(basis.artifacts.iter().map(pin));
    rows.extend(basis.hosts.iter().map(|host| (format!("host {}", host.name), host.address.clone())));
    let row = |(name, value): &(String, String)| {
        format!("<tr><td class=\"tight\">{}</td><td><code>{}</code></td></tr>", escape(name), escape(value))
    };
    let rows: String = rows.iter().map(row).collect();
    format!(
        "<h2>What it was made of</h2><details class=\"card\"><summary>script, parameters, artifacts, hosts</summary><div class=\"scroll\"><table>{rows}</table></div></details>"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::PlanCounts;
    use serde_json::json;

    const HOSTILE: &str = "</code><script>alert(1)</script>\" onmouseover='x' \u{202e}";

    /// A plan for so many hosts, in which every foreign text is hostile.
    fn plan(hosts: usize) -> Plan {
        let names: Vec<String> = (1..=hosts).map(|n| format!("web{n}")).collect();
        let site = json!({ "source": HOSTILE, "line": 1, "column": 1 });
        let digest = "a".repeat(64);
        let step = |host: &String| {
            json!({
                "task": format!("main/1.rolling/{host}"), "n": 1, "host": host, "user": HOSTILE, "op": "write", "args": {}, "summary": HOSTILE,
                "site": site, "prediction": "would", "why": [HOSTILE], "diff": format!("--- /a\n+++ /a\n@@ -0,0 +1 @@\n+{HOSTILE}\n"),
            })
        };
        let look = json!({ "host": "web1", "what": HOSTILE, "said": HOSTILE });
        let after = json!({ "task": "main", "n": 1 });
        let value = json!({
            "version": 2, "windlass": HOSTILE, "made": "dry_run", "run": "r", "environment": HOSTILE, "script": HOSTILE, "bundle": digest,
            "artifacts": [], "hosts": names, "forks": [{ "path": "main/1.rolling", "word": "rolling", "batches": [hosts] }],
            "steps": names.iter().map(step).collect::<Vec<_>>(), "points_of_no_return": [step(&names[0])],
            "counts": PlanCounts { would: 1, ..PlanCounts::default() },
            "questions": [{ "name": HOSTILE, "question": HOSTILE, "choices": [HOSTILE], "taken": HOSTILE, "site": site }],
            "answers": { HOSTILE: HOSTILE }, "findings": [{ "site": site, "message": HOSTILE, "help": HOSTILE, "after": after }],
            "basis": { "sources": { HOSTILE: digest }, "params": { HOSTILE: HOSTILE }, "limit": HOSTILE, "artifacts": [],
                "hosts": [{ "name": "web1", "address": HOSTILE, "settings": digest }], "environment": {} },
            "reads": [look], "error": { "kind": "failed", "message": HOSTILE, "help": HOSTILE },
        });
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_hostile_name_or_difference_does_nothing() {
        let html = plan_page(&plan(3));
        assert_eq!(html.matches("<script>").count(), 1, "only its own");
        assert!(!html.contains("onmouseover='x'") && !html.contains('\u{202e}'));
        assert!(html.matches("&lt;script&gt;alert(1)").count() > 20);
    }

    #[test]
    fn many_hosts_share_a_line() {
        let html = plan_page(&plan(24));
        assert_eq!(html.matches("class=\"row\"").count(), 1);
        assert!(html.contains("<summary>24 hosts</summary>") && html.contains("web1 … web24 (24)"));
        assert_eq!(html.matches("<option value=\"web").count(), 24, "each can be chosen");
    }
}
