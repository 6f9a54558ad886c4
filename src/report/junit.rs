//! A fault test as JUnit XML, for CI systems: a suite for each start, a case for each cause of breaches.

use crate::prove::{Cause, Verdict};
use std::fmt::Write as _;

/// The XML.
#[must_use]
pub fn junit(project: &str, verdicts: &[Verdict]) -> String {
    let mut suites = String::new();
    let (mut tests, mut failures) = (0, 0);
    for verdict in verdicts {
        let broken: usize = verdict.causes.iter().map(|cause| cause.count).sum();
        // At least one, so that a suite that found nothing wrong is seen to have run.
        let count = verdict.coverage.scenarios.max(broken).max(1);
        let failed = verdict.causes.len() + usize::from(verdict.fails.is_some());
        tests += count;
        failures += failed;
        let mut cases = String::new();
        if let Some(diagnostic) = &verdict.fails {
            case(&mut cases, "without faults", Some((&diagnostic.message, "")));
        }
        for cause in &verdict.causes {
            case(&mut cases, &cause.scenario, Some((&headline(cause), &body(cause))));
        }
        if failed == 0 {
            case(&mut cases, "all scenarios", None);
        }
        // Writing to a String cannot fail.
        let _ = write!(
            suites,
            "  <testsuite name=\"{}\" tests=\"{count}\" failures=\"{failed}\" errors=\"0\" skipped=\"0\">\n{cases}  </testsuite>\n",
            escaped(&format!("{project}: from {}", verdict.start)),
        );
    }
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"windlass test\" tests=\"{tests}\" failures=\"{failures}\">\n{suites}</testsuites>\n"
    )
}

fn headline(cause: &Cause) -> String {
    let site = cause.site.as_ref().map(|site| format!("{site}: ")).unwrap_or_default();
    format!("{site}breach of {}: {}", cause.judge.word(), cause.what)
}

fn body(cause: &Cause) -> String {
    let faults: Vec<String> = cause.faults.iter().map(|fault| format!("when: {fault}")).collect();
    let lines = super::fault_test::trace_lines(&cause.trace, super::style::Paint::Plain);
    faults
        .into_iter()
        .chain(lines)
        .chain((!cause.help.is_empty()).then(|| format!("help: {}", cause.help)))
        .collect::<Vec<_>>()
        .join("\n")
}

fn case(into: &mut String, name: &str, failure: Option<(&str, &str)>) {
    let name = escaped(name);
    let _ = match failure {
        None => writeln!(into, "    <testcase classname=\"windlass\" name=\"{name}\"/>"),
        Some((message, body)) => writeln!(
            into,
            "    <testcase classname=\"windlass\" name=\"{name}\">\n      <failure message=\"{}\">{}</failure>\n    </testcase>",
            escaped(message),
            escaped(body)
        ),
    };
}

/// Text for XML; characters that it cannot have are left out.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\n' | '\t' => safe.push(c),
            c if c < ' ' || c == '\u{fffe}' || c == '\u{ffff}' => {}
            c => safe.push(c),
        }
    }
    safe
}
