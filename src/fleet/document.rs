//! A file that people wrote, read into a typed form: what serde says about it becomes an error with the place,
//! the nearest known key and the bytes to underline.

use super::error::{FleetError, Place};
use serde::de::DeserializeOwned;
use std::{ops::Range, path::Path, path::PathBuf};

/// What was read, and from where.
pub(super) struct Document {
    file: PathBuf,
    /// Empty for a value that a script returned: it has no text to point into.
    text: String,
}

impl Document {
    /// Reads a file.
    pub(super) fn read(file: &Path) -> Result<Self, FleetError> {
        let text = std::fs::read_to_string(file).map_err(|source| FleetError::Read { file: file.to_owned(), source })?;
        Ok(Self { file: file.to_owned(), text })
    }

    /// Stands for a value that another room made.
    pub(super) fn of_value(origin: &str) -> Self {
        Self { file: PathBuf::from(origin), text: String::new() }
    }

    /// Takes the text as TOML.
    pub(super) fn toml<T: DeserializeOwned>(&self) -> Result<T, FleetError> {
        let parser =
            toml::Deserializer::parse(&self.text).map_err(|error| self.explain(Vec::new(), error.message(), error.span()))?;
        serde_path_to_error::deserialize(parser).map_err(|error| {
            let keys = keys(error.path());
            self.explain(keys, error.inner().message(), error.inner().span())
        })
    }

    /// Takes the value, which has the same form as the TOML.
    pub(super) fn value<T: DeserializeOwned>(&self, value: serde_json::Value) -> Result<T, FleetError> {
        serde_path_to_error::deserialize(value).map_err(|error| {
            let keys = keys(error.path());
            self.explain(keys, &error.inner().to_string(), None)
        })
    }

    /// Something is wrong with the value at these keys.
    pub(super) fn invalid(&self, keys: &[&str], message: impl Into<String>, help: Option<String>) -> FleetError {
        let at = Place { file: self.file.clone(), key: keys.join("."), span: locate(&self.text, keys) };
        FleetError::Invalid { at: Box::new(at), message: message.into(), help }
    }

    fn explain(&self, mut keys: Vec<String>, message: &str, span: Option<Range<usize>>) -> FleetError {
        let what = match message.trim() {
            text if text.starts_with("unknown field `") => Some("key"),
            text if text.starts_with("unknown variant `") => Some("value"),
            _ => None,
        };
        let mut quoted = message.split('`').skip(1).step_by(2).map(str::to_owned);
        let word = quoted.next().unwrap_or_default();
        // The key itself is named by the message; the place is the table that it stands in.
        if what == Some("key") && keys.last() == Some(&word) {
            keys.pop();
        }
        let at = Box::new(Place { file: self.file.clone(), key: keys.join("."), span });
        let Some(what) = what else {
            return FleetError::Invalid { at, message: found_last(message.trim()), help: None };
        };
        let mut known: Vec<String> = quoted.collect();
        let nearest = nearest(&word, known.iter().map(String::as_str)).map(str::to_owned);
        known.sort_by_key(|key| Some(key) != nearest.as_ref());
        FleetError::Unknown { at, what, word, known, nearest }
    }
}

/// The known word that was probably meant.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let most = 1 + word.chars().count() / 3;
    let distance = |key: &str| strsim::damerau_levenshtein(&word.to_lowercase(), &key.to_lowercase());
    known
        .into_iter()
        .map(|key| (distance(key), key))
        .filter(|(far, _)| *far <= most)
        .min_by_key(|(far, _)| *far)
        .map(|(_, key)| key)
}

/// Says what was expected before what was found, in words that are not Rust's.
fn found_last(message: &str) -> String {
    let body = message.strip_prefix("invalid type: ").or_else(|| message.strip_prefix("invalid value: "));
    let Some((found, expected)) = body.and_then(|body| body.split_once(", expected ")) else {
        return message.replacen("missing field", "missing the key", 1);
    };
    let expected = match expected {
        "a nonzero u16" => "a port from 1 to 65535",
        "u16" | "u32" | "a nonzero u32" => "a whole number",
        "a string" => "text in quotes",
        "a sequence" => "a list",
        other if other.starts_with("struct ") => "a table",
        other => other,
    };
    format!("expected {expected}, found {found}")
}

fn keys(path: &serde_path_to_error::Path) -> Vec<String> {
    path.iter().map(ToString::to_string).filter(|key| key != "?" && key != ".").collect()
}

/// The bytes of the last of these keys that is there: its value when that is on one line, else its own name.
fn locate(text: &str, keys: &[&str]) -> Option<Range<usize>> {
    let document = toml::de::DeTable::parse(text).ok()?;
    let mut table = document.get_ref();
    let mut found = None;
    for wanted in keys {
        let Some((key, value)) = table.iter().find(|(key, _)| key.get_ref() == wanted) else { break };
        match value.get_ref().as_table() {
            Some(inner) => {
                found = Some(key.span());
                table = inner;
            }
            None => return Some(value.span()),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_is_near() {
        let known = ["address", "user", "port", "identity_file"];
        for (word, wanted) in [
            ("adress", Some("address")),
            ("prot", Some("port")),
            ("USER", Some("user")),
            ("identityfile", Some("identity_file")),
            ("xyzzy", None),
        ] {
            assert_eq!(nearest(word, known), wanted, "{word}");
        }
    }

    #[test]
    fn keys_are_located() {
        let text = "class = \"lab\"\n[hosts.\"web[2:1]\"]\nport = 22\n";
        let at = |keys: &[&str]| locate(text, keys).map(|span| &text[span]);
        assert_eq!(at(&["class"]), Some("\"lab\""));
        assert_eq!(at(&["hosts", "web[2:1]"]), Some("\"web[2:1]\""));
        assert_eq!(at(&["hosts", "web[2:1]", "port"]), Some("22"));
        assert_eq!(at(&["hosts", "web[2:1]", "address"]), Some("\"web[2:1]\""));
        assert_eq!(at(&["policy"]), None);
    }
}
