//! `h.expect_http(url)`: a health check over HTTP, asked from the host itself.

use super::expect::{Held, Look, Timing, wait};
use super::{Operation, Span, StepContext, Subject, context::unexpected};
use crate::effect::{Effect, Hoped, HttpReply, HttpRequest, Reply, Via};
use crate::step::{ErrorKind, StepError};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Waits until a URL answers as expected, asked through the SSH connection: nothing is needed on the host for it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectHttp {
    url: String,
    /// The status code; 200 when not given.
    #[serde(default = "ok")]
    status: u16,
    /// A text that the body must hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    /// The version that the body must name, as a word of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    headers: BTreeMap<String, String>,
    /// Time for one request; 5 s when not given.
    #[serde(default = "five_seconds")]
    timeout: Span,
    /// From where; through the host's connection when not given.
    #[serde(default, skip_serializing_if = "Via::is_usual")]
    via: Via,
    #[serde(flatten)]
    timing: Timing,
}

fn ok() -> u16 {
    200
}
fn five_seconds() -> Span {
    Span::from_seconds(5)
}

impl Operation for ExpectHttp {
    const NAME: &'static str = "expect_http";
    const SUBJECT: Subject = Subject::Host;
    const POSITIONAL: &'static [&'static str] = &["url"];
    const OPTIONS: &'static [&'static str] =
        &["status", "body", "version", "headers", "timeout", "via", "within", "every", "hold", "k_of_n", "unit", "scope"];
    const PAGE: &'static str = include_str!("../../stdlib/doc/expect_http.md");
    type Output = Held;

    fn run(&self, cx: &mut StepContext<'_>) -> Result<Held, StepError> {
        let secure = self.url.strip_prefix("https://").filter(|_| self.via == Via::Controller);
        let place = self.url.strip_prefix("http://").or(secure).unwrap_or_default();
        if place.is_empty() || place.starts_with(['/', ':']) {
            return Err(StepError::bad_input(format!("`{}` is no URL that can be checked", self.url))
                .with_help("write http://ADDRESS:PORT/PATH as seen from the host; https:// is asked `via: \"controller\"` only"));
        }
        cx.record_check(self)?;
        let request = HttpRequest {
            url: self.url.clone(),
            method: "GET".to_owned(),
            headers: self.headers.clone(),
            timeout_millis: self.timeout.millis(),
            hoped: Some(Hoped { status: self.status, texts: self.body.iter().chain(&self.version).cloned().collect() }),
        };
        let effect = Effect::Http { request, via: self.via };
        wait(cx, &self.timing, &self.url, |cx| match cx.look(&effect) {
            Ok(Reply::Http(reply)) => Ok(self.judge(&reply)),
            Ok(other) => Err(unexpected(&other)),
            Err(error) if matches!(error.kind, ErrorKind::Failed | ErrorKind::Timeout) => Ok(Look::NotYet(error.message)),
            Err(error) => Err(error),
        })
    }

    fn summary(&self) -> String {
        self.url.clone()
    }

    fn when_unwound(&self) -> Option<Self> {
        Some(Self { version: None, ..self.clone() })
    }
}

impl ExpectHttp {
    fn judge(&self, reply: &HttpReply) -> Look {
        let HttpReply { status, body, vantage } = reply;
        if *status != self.status {
            return Look::NotYet(format!("status {status}, expected {}{} ({vantage})", self.status, excerpt(body)));
        }
        if let Some(text) = self.body.as_ref().filter(|text| !body.contains(*text)) {
            return Look::NotYet(format!("the body does not hold `{text}`{} ({vantage})", excerpt(body)));
        }
        if let Some(version) = self.version.as_ref().filter(|version| !names(body, version)) {
            return Look::NotYet(format!("the answer does not name version {version}{} ({vantage})", excerpt(body)));
        }
        Look::Holds(format!("status {status} ({vantage})"))
    }
}

/// Whether the text holds the word with no letter, digit, `.` or `-` on either side that would make it another version.
fn names(text: &str, word: &str) -> bool {
    let joins = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '+';
    !word.is_empty()
        && text.match_indices(word).any(|(at, _)| {
            let (before, after) = (&text[..at], &text[at + word.len()..]);
            let longer = after.strip_prefix('.').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
            let left = before.strip_suffix('.').is_some_and(|rest| rest.ends_with(|c: char| c.is_ascii_digit()));
            let v = before.strip_suffix(['v', 'V']).is_some_and(|rest| !rest.ends_with(joins));
            (v || !before.ends_with(joins)) && !after.starts_with(joins) && !longer && !left
        })
}

fn excerpt(body: &str) -> String {
    let line: String = body.lines().next().unwrap_or("").chars().take(80).collect();
    if line.is_empty() { String::new() } else { format!(": `{line}`") }
}

#[cfg(test)]
mod tests {
    use super::names;

    #[test]
    fn a_version_is_a_word_of_its_own() {
        for text in ["1.2", "hello 1.2\n", "{\"version\":\"1.2\"}", "v1.2", "app/1.2 (linux)", "It is 1.2."] {
            assert!(names(text, "1.2"), "{text}");
        }
        for text in ["1.20", "11.2", "1.2.1", "1.2-rc1", "", "3.1.2", "dev1.2"] {
            assert!(!names(text, "1.2"), "{text}");
        }
    }
}
