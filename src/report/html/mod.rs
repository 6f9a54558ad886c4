//! Pages for a browser: one file each, which needs nothing else, reads in light and dark, and in which foreign text does nothing.
//!
//! A report makes its body of escaped text and the classes of `page.css`, and puts it into [`page`]. Elements of the class `row` that
//! have `data-KEY` are shown as the controls `<select data-filter="KEY">` and `<input data-filter="KEY">` say.

mod fault_test;
mod plan;

pub use fault_test::fault_test_page;
pub use plan::plan_page;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// A whole page: its title, and the HTML below its heading. Only its own style and script are taken by a browser, whatever
/// the body holds.
#[must_use]
pub fn page(title: &str, body: &str) -> String {
    let sum = |text: &str| format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text.as_bytes())));
    let (title, style, script) = (escape(title), sum(STYLE), sum(SCRIPT));
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src {style}; script-src {script}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n{body}\n</main>\n\
         <script>{SCRIPT}</script>\n</body>\n</html>\n"
    )
}

/// Text as the content of an element, or between quotes as an attribute. Control characters, and those that turn the direction of
/// writing, are shown.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in super::style::plain(text).chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

/// A unified diff, with its lines in the colours of what they say.
#[must_use]
pub fn diff(unified: &str) -> String {
    let mut html = String::from("<pre class=\"diff\">");
    for line in unified.lines() {
        let class = match line.as_bytes() {
            [b'+', b'+', b'+', ..] | [b'-', b'-', b'-', ..] => "file",
            [b'@', ..] => "hunk",
            [b'+', ..] => "add",
            [b'-', ..] => "del",
            _ => "same",
        };
        // Writing to a String cannot fail.
        let _ = write!(html, "<span class=\"{class}\">{}\n</span>", escape(line));
    }
    html + "</pre>"
}

/// A number with what it counts, as one tile of a row of them; `tone` is a class of `page.css`.
#[must_use]
pub fn tile(number: &str, what: &str, tone: &str) -> String {
    let (number, what, tone) = (escape(number), escape(what), escape(tone));
    format!("<div class=\"tile {tone}\"><b>{number}</b><span>{what}</span></div>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_stays_text() {
        let hostile = "</title><script>alert(1)</script>\" onload='x' \x1b[2J\u{202e}";
        let whole = page(hostile, &format!("{}{}", diff(&format!("+{hostile}")), tile(hostile, hostile, hostile)));
        assert_eq!(whole.matches("<script>").count(), 1, "only its own");
        assert!(!whole.contains("<script>alert") && !whole.contains("onload='x'"), "{whole}");
        assert!(!whole.contains('\x1b') && !whole.contains('\u{202e}'));
    }

    #[test]
    fn a_page_needs_nothing_but_itself() {
        let whole = page("A", "<p>b</p>");
        for away in ["http://", "https://", "src=", "href=", "@import", "url("] {
            assert!(!whole.contains(away), "{away}");
        }
    }

    #[test]
    fn lines_of_a_difference_have_their_colours() {
        let html = diff("--- /a\n+++ /a\n@@ -1 +1 @@\n-<one>\n+two\n three");
        for part in ["\"file\">--- /a", "\"hunk\">@@", "\"del\">-&lt;one&gt;", "\"add\">+two", "\"same\"> three"] {
            assert!(html.contains(part), "{part} is not in {html}");
        }
    }
}
