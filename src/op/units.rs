//! What people write for durations and permission bits, parsed once.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// A duration as scripts write it: `"500ms"`, `"90s"`, `"5m"`, `"2h"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    millis: u64,
}

impl Span {
    /// So many milliseconds.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self { millis }
    }

    /// So many seconds.
    #[must_use]
    pub const fn from_seconds(seconds: u64) -> Self {
        Self { millis: seconds * 1000 }
    }

    /// In milliseconds.
    #[must_use]
    pub const fn millis(self) -> u64 {
        self.millis
    }

    /// In milliseconds, for differences of times.
    #[must_use]
    pub fn signed_millis(self) -> i64 {
        i64::try_from(self.millis).unwrap_or(i64::MAX)
    }

    /// In whole seconds, rounded up.
    #[must_use]
    pub const fn seconds(self) -> u64 {
        self.millis.div_ceil(1000)
    }

    /// Parses a number with its unit: `ms`, `s`, `m` or `h`.
    ///
    /// # Errors
    /// What is wrong with the text, and what it would look like.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("`{text}` is not a duration; write a number and its unit, as in \"500ms\", \"90s\", \"5m\" or \"2h\"");
        let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
        let (number, unit) = text.split_at(split);
        let factor = match unit.trim() {
            "ms" => 1.0,
            "s" => 1_000.0,
            "m" | "min" => 60_000.0,
            "h" => 3_600_000.0,
            _ => return Err(wrong()),
        };
        let millis = number.parse::<f64>().map_err(|_| wrong())? * factor;
        if !(0.0..=1e12).contains(&millis) {
            return Err(wrong());
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 1e12, checked above")]
        Ok(Self { millis: millis as u64 })
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.millis {
            ms if ms > 0 && ms % 3_600_000 == 0 => write!(f, "{}h", ms / 3_600_000),
            ms if ms > 0 && ms % 60_000 == 0 => write!(f, "{}m", ms / 60_000),
            ms if ms % 1000 == 0 => write!(f, "{}s", ms / 1000),
            ms => write!(f, "{ms}ms"),
        }
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_str(Written("a duration in quotes, as in \"500ms\", \"30s\" or \"5m\"", Self::parse))
    }
}

/// Reads a text, and says by which form of it where it finds something else.
pub(super) struct Written<T, E>(pub(super) &'static str, pub(super) fn(&str) -> Result<T, E>);

impl<T, E: fmt::Display> serde::de::Visitor<'_> for Written<T, E> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_str<R: serde::de::Error>(self, text: &str) -> Result<T, R> {
        (self.1)(text).map_err(R::custom)
    }
}

/// Permission bits: `"0644"`, `"755"` or `0o644` in a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mode(u32);

impl Mode {
    /// The bits.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

impl Serialize for Mode {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Mode {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "a mode such as \"0644\" or 0o644")]
        enum Form {
            Bits(u32),
            Text(String),
        }
        let (bits, decimal) = match Form::deserialize(from)? {
            Form::Bits(bits) => (Some(bits), true),
            Form::Text(text) => (u32::from_str_radix(&text, 8).ok(), false),
        };
        // 644 is 0o1204: somebody meant octal and wrote decimal.
        const MEANT_OCTAL: [u32; 4] = [400, 440, 444, 500];
        match bits {
            Some(bits) if decimal && (bits > 0o777 || MEANT_OCTAL.contains(&bits)) => Err(serde::de::Error::custom(format!(
                "{bits} is {bits:o} in octal, which nobody means; write \"{bits}\" or 0o{bits}"
            ))),
            Some(bits) if bits <= 0o7777 => Ok(Self(bits)),
            Some(bits) => Err(serde::de::Error::custom(format!(
                "{bits} is more than the permission bits can be; write it in octal, as \"0644\" or 0o644"
            ))),
            None => Err(serde::de::Error::custom("expected octal digits, as in \"0644\"")),
        }
    }
}

/// What people are told: text, or anything else as text. A message is never wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Said(pub String);

impl<'de> Deserialize<'de> for Said {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(Self(match serde_json::Value::deserialize(from)? {
            serde_json::Value::String(text) => text,
            serde_json::Value::Null => "()".to_owned(),
            other => other.to_string(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_back() {
        for text in ["500ms", "90s", "5m", "2h", "0s"] {
            assert_eq!(Span::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Span::parse("1.5s").unwrap().millis(), 1500);
        for text in ["", "5", "s", "5 days", "-1s", "1e9h"] {
            assert!(Span::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn modes_are_octal() {
        let mode = |json: &str| serde_json::from_str::<Mode>(json).map(Mode::bits);
        assert_eq!(mode("\"0644\"").unwrap(), 0o644);
        assert_eq!(mode("420").unwrap(), 0o644);
        assert!(mode("\"rw\"").is_err());
        assert!(mode("100000").is_err());
    }
}
