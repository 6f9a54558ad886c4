//! A fault test as a page: what was tried, and for each cause of breaches a timeline of the hosts.

use super::{escape, page, tile};
use crate::prove::{Cause, Coverage, Start, TraceLine, Verdict};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The page of these verdicts; `again` is the command that plays a scenario, but for its name.
#[must_use]
pub fn fault_test_page(project: &str, verdicts: &[Verdict], again: &dyn Fn(&Start) -> String) -> String {
    let mut body = String::new();
    for verdict in verdicts {
        one(&mut body, verdict, &again(&verdict.start));
    }
    page(&format!("windlass test: {project}"), &body)
}

fn one(body: &mut String, verdict: &Verdict, again: &str) {
    let coverage = &verdict.coverage;
    // Writing to a String cannot fail.
    let _ = write!(body, "<h2>From {}</h2>", escape(&verdict.start.to_string()));
    if let Some(diagnostic) = &verdict.fails {
        let message = escape(&diagnostic.message);
        let _ = write!(body, "<div class=\"card bad\"><p>The run does not succeed even without faults: {message}</p></div>");
        return;
    }
    let causes = verdict.causes.len();
    let tiles = [
        tile(&causes.to_string(), "causes of breaches", if causes == 0 { "good" } else { "bad" }),
        tile(&coverage.scenarios.to_string(), "scenarios", ""),
        tile(&coverage.effects.to_string(), "effects", ""),
        tile(&coverage.hosts.to_string(), "hosts", ""),
        tile(
            &verdict.uncovered.len().to_string(),
            "commands not covered",
            if verdict.uncovered.is_empty() { "" } else { "unknown" },
        ),
    ];
    let _ = write!(body, "<div class=\"tiles\">{}</div>", tiles.concat());
    if verdict.stopped {
        body.push_str("<div class=\"card bad\"><p>It was stopped before all was tried.</p></div>");
    }
    if causes == 0 && coverage.scenarios > 0 {
        body.push_str("<p>No breach within the model. That is no proof: what is not modelled is listed below.</p>");
    }
    for cause in &verdict.causes {
        breach(body, cause, again);
    }
    covered(body, coverage);
    if !verdict.uncovered.is_empty() {
        body.push_str("<h3>Not covered</h3><p class=\"faint\">What these commands do is not known to the model.</p><div class=\"scroll\"><table><tr><th>line<th>command</tr>");
        for one in &verdict.uncovered {
            let (site, command) = (escape(one.site.as_deref().unwrap_or("-")), escape(&one.command));
            let _ = write!(body, "<tr><td class=\"tight mono\">{site}<td class=\"mono\">{command}</tr>");
        }
        body.push_str("</table></div>");
    }
}

fn breach(body: &mut String, cause: &Cause, again: &str) {
    let site = cause.site.as_ref().map(|site| format!(" <code>{}</code>", escape(&site.to_string()))).unwrap_or_default();
    let hosts: Vec<String> = cause.hosts.iter().map(|host| escape(host)).collect();
    let hosts = if hosts.is_empty() { String::new() } else { format!("<p class=\"small faint\">on {}</p>", hosts.join(", ")) };
    let way: Vec<String> = cause.way.iter().map(|way| format!("<br>{}", escape(way))).collect();
    let way = if way.is_empty() {
        String::new()
    } else {
        format!("<p class=\"small faint mono\">{}</p>", way.concat().trim_start_matches("<br>"))
    };
    let when: Vec<String> = cause.faults.iter().map(|fault| format!("<p><b>When:</b> {}</p>", escape(fault))).collect();
    let when = if when.is_empty() { "<p><b>When:</b> nothing goes wrong at all</p>".to_owned() } else { when.concat() };
    let help = if cause.help.is_empty() { String::new() } else { format!("<p><b>Help:</b> {}</p>", escape(cause.help)) };
    let (judge, what) = (cause.judge.word(), escape(&cause.what));
    let command = escape(&format!("{again} --scenario '{}'", cause.scenario));
    let times = if cause.count == 1 { "1 scenario".to_owned() } else { format!("{} scenarios", cause.count) };
    let _ = write!(
        body,
        "<div class=\"card bad\"><p><span class=\"badge bad\">{judge}</span>{site}</p><p>{what}</p>{way}{hosts}{when}{help}\
         <details><summary>timeline of the shortest of {times}</summary>{}<p class=\"small\">Step by step: <code>{command}</code></p></details></div>",
        timeline(&cause.story),
    );
}

/// The hosts side by side, time downwards.
fn timeline(story: &[TraceLine]) -> String {
    let mut lanes: BTreeMap<&str, usize> = BTreeMap::new();
    for line in story.iter().filter(|line| !line.host.is_empty()) {
        let next = lanes.len();
        lanes.entry(&line.host).or_insert(next);
    }
    let lanes: Vec<&str> = lanes.into_keys().collect();
    let mut html = String::from("<div class=\"scroll\"><table class=\"lanes\"><tr><th class=\"tight\">time");
    for lane in &lanes {
        let _ = write!(html, "<th>{}", escape(lane));
    }
    html.push_str("</tr>");
    for line in story {
        let time = format!("{:.2} s", line.millis as f64 / 1000.0);
        let (what, how) = (escape(&line.what), escape(&line.how));
        let how = if how.is_empty() { String::new() } else { format!(" <span class=\"faint small\">{how}</span>") };
        if line.host.is_empty() {
            let _ = write!(
                html,
                "<tr class=\"phase\"><td class=\"tight faint small\">{time}<td colspan=\"{}\">{what}{how}</tr>",
                lanes.len().max(1)
            );
            continue;
        }
        let _ = write!(html, "<tr><td class=\"tight faint small\">{time}");
        for lane in &lanes {
            if *lane != line.host {
                html.push_str("<td>");
                continue;
            }
            let services: Vec<String> = line.services.iter().map(|service| badge(service)).collect();
            let fault =
                line.fault.map(|fault| format!("<br><span class=\"badge bad\">{}</span>", escape(fault))).unwrap_or_default();
            let here = if line.breach { "<br><span class=\"badge bad\">the breach shows here</span>" } else { "" };
            let site = line
                .site
                .as_deref()
                .map(|site| format!(" <span class=\"faint small mono\">{}</span>", escape(site)))
                .unwrap_or_default();
            let _ = write!(html, "<td>{what}{how}{site} {}{fault}{here}", services.concat());
        }
        html.push_str("</tr>");
    }
    html + "</table></div>"
}

fn badge(service: &str) -> String {
    let tone = if service.contains(" active") {
        "good"
    } else if service.contains(" failed") {
        "bad"
    } else {
        "would"
    };
    format!("<span class=\"badge {tone}\">{}</span> ", escape(service))
}

fn covered(body: &mut String, coverage: &Coverage) {
    body.push_str(
        "<h3>Covered</h3><div class=\"scroll\"><table><tr><th>fault<th>what goes wrong<th class=\"tight\">scenarios</tr>",
    );
    for (kind, count) in &coverage.kinds {
        let _ = write!(body, "<tr><td class=\"tight mono\">{kind}<td>{}<td class=\"tight\">{count}</tr>", escape(kind.told()));
    }
    body.push_str("</table></div>");
    let more = [
        (coverage.undoing, "with a second fault while the first was undone or taken up"),
        (coverage.pairs, "pairs of faults, drawn by chance"),
        (coverage.folded, "left out, for their hosts do the same as others (--all-hosts has them, too)"),
        (coverage.missed, "in which a fault did not come to pass: the run went another way before"),
    ];
    for (count, what) in more.iter().filter(|(count, _)| *count > 0) {
        let _ = write!(body, "<p class=\"small faint\">{count} {what}</p>");
    }
}
