//! Colours, and making foreign text safe to print.

use std::fmt::{self, Write as _};

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

/// A line as a terminal is given it: text and colours, and nothing that would take it over, whoever wrote what is in it. What is
/// written to people is of this type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plain(String);

impl Plain {
    /// Shows what is neither text nor a colour.
    #[must_use]
    pub fn of(line: &str) -> Self {
        let mut safe = String::with_capacity(line.len());
        let mut rest = line;
        while let Some(at) = rest.find('\x1b') {
            safe.push_str(&plain(&rest[..at]));
            let colour = colour(&rest[at..]);
            safe.push_str(if colour == 0 { "\\x1b" } else { &rest[at..at + colour] });
            rest = &rest[at + colour.max(1)..];
        }
        safe.push_str(&plain(rest));
        Self(safe)
    }
}

impl fmt::Display for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The bytes of the colour that a text begins with; 0 when it begins with another command, or hides what follows.
fn colour(text: &str) -> usize {
    let Some(rest) = text.strip_prefix("\x1b[") else { return 0 };
    let length = rest.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b';').count();
    if !rest[length..].starts_with('m') || length > 20 {
        return 0;
    }
    let hides = |word: &str| matches!(word.parse::<u8>(), Ok(5..=8 | 40..=49 | 100..=107));
    let hidden = rest[..length].split(';').take_while(|word| *word != "38").any(hides);
    if hidden { 0 } else { "\x1b[m".len() + length }
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
    use super::{Paint, Plain, Tone, plain};

    #[test]
    fn a_terminal_is_given_text_and_colours_only() {
        let ours = Paint::Colours.tone(Tone::Bad, "FAILED");
        assert_eq!(Plain::of(&ours).to_string(), ours);
        let theirs = "a\x1b[2Jb\x1b]0;title\x07c\x1b[8mhidden\x1b[31;40mx\x1b[38;2;1;2;3my\r\u{9b}1m\x1b";
        let shown = "a\\x1b[2Jb\\x1b]0;title\\x07c\\x1b[8mhidden\\x1b[31;40mx\x1b[38;2;1;2;3my\\x9b1m\\x1b";
        assert_eq!(Plain::of(theirs).to_string(), shown);
    }

    #[test]
    fn escapes_are_shown_and_do_nothing() {
        assert_eq!(plain("a\x1b[2Jb\r\n\u{9b}c"), "a\\x1b[2Jb\n\\x9bc");
    }
}
