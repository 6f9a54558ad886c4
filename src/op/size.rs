//! What people write for amounts of bytes: `"500MB"`, `"2GiB"`.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// So many bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(u64);

const UNITS: [(&str, u64); 9] = [
    ("B", 1),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

impl Size {
    /// So many bytes.
    #[must_use]
    pub const fn from_bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// In bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// Parses a whole number with its unit: `B`, `KB`, `MB`, `GB`, `TB` (powers of 1000), or `KiB` and so on (of 1024).
    ///
    /// # Errors
    /// What is wrong with the text, and what it would look like.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a size; write a whole number and its unit, as in \"500MB\" or \"2GiB\"");
        let split = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let (number, unit) = text.split_at(split);
        let (_, factor) = UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit.trim())).ok_or_else(wrong)?;
        number.parse::<u64>().ok().and_then(|number| number.checked_mul(*factor)).map(Self).ok_or_else(wrong)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, factor) = UNITS[..5].iter().rev().find(|(_, factor)| self.0 >= *factor).unwrap_or(&UNITS[0]);
        let tenths = self.0 / (factor / 10).max(1) % 10;
        let part = if *factor == 1 || tenths == 0 { String::new() } else { format!(".{tenths}") };
        write!(f, "{}{part} {unit}", self.0 / factor)
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&format_args!("{}B", self.0))
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_str(super::units::Written("a size in quotes, as in \"500MB\" or \"2GiB\"", Self::parse))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_shown() {
        for (text, bytes, shown) in [
            ("500MB", 500_000_000, "500 MB"),
            ("2GiB", 2_147_483_648, "2.1 GB"),
            ("1 kb", 1_000, "1 KB"),
            ("0B", 0, "0 B"),
            ("1536B", 1536, "1.5 KB"),
        ] {
            let size = Size::parse(text).unwrap();
            assert_eq!((size.bytes(), size.to_string().as_str()), (bytes, shown), "{text}");
            assert_eq!(serde_json::from_value::<Size>(serde_json::to_value(size).unwrap()).unwrap(), size);
        }
        for text in ["", "5", "MB", "-1MB", "1.5GB", "5 parsecs", "99999999999TB"] {
            assert!(Size::parse(text).is_err(), "{text}");
        }
    }
}
