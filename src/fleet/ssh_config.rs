//! Reads the operator's ssh_config, of it only the keys that say who connects to where.
//!
//! The crate `ssh2-config` 0.9 was looked at and not used: it takes `Match` for an unknown key, so that what stands below
//! it is given to the `Host` block above; within a block it takes the last value where ssh takes the first; it cuts lines
//! at any `#`; and of a key that it does not support it keeps no line, so that an error could not point at it.

use super::{
    error::{FleetError, Place},
    inventory::Operator,
    ssh_settings,
};
use std::path::{Path, PathBuf};

/// Files that include files deeper than this are a loop; ssh has the same limit.
const DEEPEST: usize = 16;

/// The lines of an ssh_config that matter here, those of included files among them, in the order in which they count.
#[derive(Debug, Clone)]
pub struct SshConfig {
    pub(super) operator: Operator,
    pub(super) lines: Vec<Line>,
}

/// One setting.
#[derive(Debug, Clone)]
pub(super) struct Line {
    /// All of these have to hold.
    pub scope: Vec<Condition>,
    /// As ssh_config(5) spells it.
    pub key: &'static str,
    pub words: Vec<String>,
    pub file: PathBuf,
    pub number: usize,
}

/// When a setting counts.
#[derive(Debug, Clone)]
pub(super) enum Condition {
    /// The patterns of a `Host` line.
    Host(Vec<String>),
    /// The criteria of a `Match` line.
    Match(Vec<String>),
}

impl SshConfig {
    /// Reads the file that the operator names, and what it includes. A file that is not there says nothing.
    ///
    /// # Errors
    /// When a file cannot be read, or a line of it is not right.
    pub fn load(operator: &Operator) -> Result<Self, FleetError> {
        let mut config = Self { operator: operator.clone(), lines: Vec::new() };
        if operator.ssh_config.exists() {
            config.file(&operator.ssh_config, &[], 0)?;
        }
        Ok(config)
    }

    fn file(&mut self, file: &Path, outer: &[Condition], depth: usize) -> Result<(), FleetError> {
        let bytes = std::fs::read(file).map_err(|source| FleetError::Read { file: file.to_owned(), source })?;
        let text = String::from_utf8_lossy(&bytes);
        let mut scope = outer.to_vec();
        let mut offset = 0;
        for (index, line) in text.split('\n').enumerate() {
            let wrong = |message: String| {
                let span = Some(offset..offset + line.trim_end().len());
                let at = Box::new(Place { file: file.to_owned(), key: String::new(), span });
                FleetError::SshConfig { at, line: index + 1, message }
            };
            match split(line).map_err(wrong)? {
                None => {}
                Some((key, words)) if key == "include" => {
                    for included in included(&self.operator, &words, depth).map_err(wrong)? {
                        self.file(&included, &scope, depth + 1)?;
                    }
                }
                Some((key, words)) => match condition(&key, &words) {
                    Some(condition) => scope = outer.iter().cloned().chain([condition]).collect(),
                    None => self.lines.extend(setting(&key, words, &scope, file, index + 1).map_err(wrong)?),
                },
            }
            offset += line.len() + 1;
        }
        Ok(())
    }
}

/// What a `Host` or `Match` line says about the lines below it.
fn condition(key: &str, words: &[String]) -> Option<Condition> {
    match (key, words) {
        ("match", [all]) if all.eq_ignore_ascii_case("all") => Some(Condition::Host(vec!["*".to_owned()])),
        ("match", _) => Some(Condition::Match(words.to_vec())),
        ("host", _) => Some(Condition::Host(words.to_vec())),
        _ => None,
    }
}

/// The line, when its key matters here.
fn setting(key: &str, words: Vec<String>, scope: &[Condition], file: &Path, number: usize) -> Result<Option<Line>, String> {
    let Some(key) = ssh_settings::known_key(key) else { return Ok(None) };
    ssh_settings::check(key, &words)?;
    Ok(Some(Line { scope: scope.to_vec(), key, words, file: file.to_owned(), number }))
}

/// The files that the patterns of an `Include` mean, sorted; none is no error.
fn included(operator: &Operator, patterns: &[String], depth: usize) -> Result<Vec<PathBuf>, String> {
    if depth == DEEPEST {
        return Err(format!("includes files more than {DEEPEST} deep"));
    }
    let mut files = Vec::new();
    for text in patterns {
        let home = glob::Pattern::escape(&operator.home.display().to_string());
        let pattern = match text.strip_prefix("~/") {
            Some(rest) => format!("{home}/{rest}"),
            None if text.starts_with(['~', '$', '%']) => return Err(format!("Include of `{text}` is not supported")),
            None if text.starts_with('/') => text.clone(),
            None => format!("{home}/.ssh/{text}"),
        };
        let paths = glob::glob(&pattern).map_err(|error| format!("`{text}` is no pattern of files: {}", error.msg))?;
        for path in paths {
            files.push(path.map_err(|error| error.to_string())?);
        }
    }
    files.retain(|file| !file.is_dir());
    Ok(files)
}

/// The key of a line in lowercase, and its words; `None` for a blank line or a comment.
fn split(line: &str) -> Result<Option<(String, Vec<String>)>, String> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let end = line.find(|c: char| c.is_whitespace() || c == '=').unwrap_or(line.len());
    let (key, rest) = line.split_at(end);
    let rest = rest.trim_start();
    let key = key.trim_matches('"').to_ascii_lowercase();
    let words = words(rest.strip_prefix('=').unwrap_or(rest))?;
    if words.is_empty() {
        return Err(format!("expected a value after `{key}`, found nothing"));
    }
    Ok(Some((key, words)))
}

/// Splits as ssh does: quotes of both kinds, a backslash before a quote, a backslash or a blank, `#` where a word begins.
fn words(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\\' if rest.peek().is_some_and(|next| matches!(next, '"' | '\'' | '\\') || (*next == ' ' && quote.is_none())) => {
                word.get_or_insert_default().extend(rest.next());
            }
            '"' | '\'' if quote == Some(c) => quote = None,
            '"' | '\'' if quote.is_none() => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            _ if quote.is_none() && c.is_whitespace() => words.extend(word.take()),
            '#' if quote.is_none() && word.is_none() => break,
            _ => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err("a quote is not closed".to_owned());
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_split_as_in_ssh() {
        for (line, wanted) in [
            ("", "-"),
            ("  # Host x", "-"),
            ("Host a b", "host|a|b"),
            ("HostName=x", "hostname|x"),
            ("\tPORT = 22 # usual", "port|22"),
            ("IdentityFile \"~/my keys/id\" x", "identityfile|~/my keys/id|x"),
            ("IdentityFile '~/my keys/id'", "identityfile|~/my keys/id"),
            (r"IdentityFile ~/my\ keys/id", "identityfile|~/my keys/id"),
            ("User a#b", "user|a#b"),
            ("User ''", "user|"),
            ("User", "expected a value after `user`, found nothing"),
            ("User \"a", "a quote is not closed"),
        ] {
            let found = match split(line) {
                Ok(None) => "-".to_owned(),
                Ok(Some((key, words))) => [vec![key], words].concat().join("|"),
                Err(error) => error,
            };
            assert_eq!(found, wanted, "{line}");
        }
    }
}
