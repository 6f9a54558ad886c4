//! Colours, and making foreign text safe to print.

use std::fmt::Write as _;

/// Whether colours are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    /// With escapes for colours.
    Colours,
    /// Without.
    Plain,
}

/// What a colour says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Something is different now.
    Changed,
    /// As it should be.
    Good,
    /// Taken away.
    Gone,
    /// Wrong.
    Bad,
    /// Less important.
    Faint,
    /// A heading.
    Strong,
}

impl Paint {
    /// The text in the colour of its tone.
    #[must_use]
    pub fn tone(self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Changed => "33",
            Tone::Good => "32",
            Tone::Gone => "31",
            Tone::Bad => "1;31",
            Tone::Faint => "2",
            Tone::Strong => "1",
        };
        match self {
            Self::Colours => format!("\x1b[{code}m{text}\x1b[0m"),
            Self::Plain => text.to_owned(),
        }
    }
}

/// Text from a host or a script with control characters shown, so that it cannot take over a terminal.
#[must_use]
pub fn plain(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' => safe.push(c),
            '\r' => {}
            c if is_treacherous(c) => {
                // Writing to a String cannot fail.
                let _ = write!(safe, "\\x{:02x}", u32::from(c));
            }
            c => safe.push(c),
        }
    }
    safe
}

/// Text of the same length in bytes, for excerpts in which places are counted.
#[must_use]
pub fn same_length(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if is_treacherous(c) && c != '\r' { safe.extend(std::iter::repeat_n('?', c.len_utf8())) } else { safe.push(c) }
    }
    safe
}

/// A value as one line of JSON in which nothing is a command for a terminal: such characters are written as escapes, which
/// mean the same to a reader of JSON.
///
/// ```
/// assert_eq!(windlass::report::json_line(&serde_json::json!("a\u{9b}b")), r#""a\u009bb""#);
/// ```
#[must_use]
pub fn json_line(value: &serde_json::Value) -> String {
    let mut safe = String::new();
    for c in value.to_string().chars() {
        if is_treacherous(c) {
            // Only strings hold them, and all of them have four digits.
            let _ = write!(safe, "\\u{:04x}", u32::from(c));
        } else {
            safe.push(c);
        }
    }
    safe
}

/// Control characters, and those that turn the direction of writing.
fn is_treacherous(c: char) -> bool {
    (c.is_control() && !matches!(c, '\n' | '\t')) || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn escapes_are_shown_and_do_nothing() {
        assert_eq!(plain("a\x1b[2Jb\r\n\u{9b}c"), "a\\x1b[2Jb\n\\x9bc");
    }
}
