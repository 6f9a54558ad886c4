//! The names and versions of artifacts. They become names of files, on this machine and on hosts: parsed once, here.

use crate::id::BadName;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Bytes in the longest name or version.
const LONGEST: usize = 100;

macro_rules! plain_name {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(String);

        impl $name {
            /// Parses it.
            ///
            /// # Errors
            /// When it is empty or too long, starts with `-` or `.`, or has other characters than letters, digits, `.`, `_`,
            /// `-` and `+`.
            pub fn parse(text: &str) -> Result<Self, BadName> {
                let bad = |why| Err(BadName { what: $what, text: text.to_owned(), why });
                if text.is_empty() {
                    return bad("is empty");
                }
                if text.len() > LONGEST {
                    return bad("is longer than 100 characters");
                }
                if text.starts_with(['-', '.']) {
                    return bad("starts with `-` or `.`");
                }
                if !text.chars().all(|c| c.is_ascii_alphanumeric() || "._-+".contains(c)) {
                    return bad("has other characters than letters, digits, `.`, `_`, `-` and `+`");
                }
                Ok(Self(text.to_owned()))
            }

            /// The text of it.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = BadName;
            fn try_from(text: String) -> Result<Self, BadName> {
                Self::parse(&text)
            }
        }

        impl std::str::FromStr for $name {
            type Err = BadName;
            fn from_str(text: &str) -> Result<Self, BadName> {
                Self::parse(text)
            }
        }
    };
}

plain_name! {
    /// What an artifact is called, as in `shop-web`.
    ArtifactName, "artifact"
}
plain_name! {
    /// Which build of it, as in `1.4.2`; a word, not a number: `1.10` is neither above nor below `1.9`.
    Version, "version"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_safe_as_a_file_name_everywhere() {
        for good in ["shop-web", "1.4.2", "2026-11-23T1829", "v1+build.7", "a"] {
            assert!(Version::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "-rf", ".", "..", ".hidden", "a/b", "a b", "a\nb", "a\0", "ä", "$(x)", "~", &"x".repeat(101)] {
            assert!(ArtifactName::parse(bad).is_err(), "{bad}");
        }
    }
}
