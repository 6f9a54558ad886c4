//! Reads the ssh_config of the operator and that of the machine: the keys that say who connects to where, and how.
//!
//! The crate `ssh2-config` 0.9 was looked at and not used: it takes `Match` for an unknown key, so that what stands below
//! it is given to the `Host` block above; within a block it takes the last value where ssh takes the first; it cuts lines
//! at any `#`; and of a key that it does not support it keeps no line, so that an error could not point at it.

use super::{
    error::{FleetError, Place},
    inventory::Operator,
    ssh_keys,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Files that include files deeper than this are a loop; ssh has the same limit.
const DEEPEST: usize = 16;

/// The lines of an ssh_config that matter here, those of included files among them, in the order in which they count.
#[derive(Debug, Clone)]
pub struct SshConfig {
    pub(super) operator: Operator,
    pub(super) scopes: Vec<Scope>,
    pub(super) lines: Vec<Line>,
    /// A `Match final` has everything read a second time, with the name that came out of the first.
    pub(super) twice: bool,
    answers: Arc<Mutex<BTreeMap<String, Result<bool, String>>>>,
}

/// One setting.
#[derive(Debug, Clone)]
pub(super) struct Line {
    /// The block that it stands in.
    pub scope: Option<usize>,
    /// As ssh_config(5) spells it.
    pub key: &'static str,
    pub words: Vec<String>,
    /// All that follows the key, quotes and all.
    pub text: String,
    pub file: PathBuf,
    pub number: usize,
}

/// A block of lines: what is below a `Host` or `Match` line.
#[derive(Debug, Clone)]
pub(super) struct Scope {
    /// The block in which the file of this one is included.
    pub outer: Option<usize>,
    pub condition: Condition,
}

/// When a block counts.
#[derive(Debug, Clone)]
pub(super) enum Condition {
    /// The patterns of a `Host` line.
    Host(Vec<String>),
    /// The criteria of a `Match` line.
    Match(Vec<String>),
}

impl SshConfig {
    /// Reads the files of the operator and of the machine, and what they include. A file that is not there says nothing.
    ///
    /// # Errors
    /// When a file cannot be read, or a line of it is not right.
    pub fn load(operator: &Operator) -> Result<Self, FleetError> {
        let mut config =
            Self { operator: operator.clone(), scopes: Vec::new(), lines: Vec::new(), twice: false, answers: Arc::default() };
        let system = operator.system_ssh_config.parent().unwrap_or(Path::new("/etc/ssh")).to_owned();
        for (file, directory) in [(&operator.ssh_config, operator.home.join(".ssh")), (&operator.system_ssh_config, system)] {
            if file.exists() {
                config.file(file, &directory, None, 0)?;
            }
        }
        Ok(config)
    }

    /// The answer to a question that costs a process; asked once.
    pub(super) fn asked(&self, command: &str, ask: impl FnOnce() -> Result<bool, String>) -> Result<bool, String> {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.entry(command.to_owned()).or_insert_with(ask).clone()
    }

    fn file(&mut self, file: &Path, directory: &Path, outer: Option<usize>, depth: usize) -> Result<(), FleetError> {
        let bytes = std::fs::read(file).map_err(|source| FleetError::Read { file: file.to_owned(), source })?;
        let text = String::from_utf8_lossy(&bytes);
        let mut scope = outer;
        let mut offset = 0;
        for (index, line) in text.split('\n').enumerate() {
            let wrong = |message: String| {
                let span = Some(offset..offset + line.trim_end().len());
                let at = Box::new(Place { file: file.to_owned(), key: String::new(), span });
                FleetError::SshConfig { at, line: index + 1, message }
            };
            match split(line).map_err(wrong)? {
                None => {}
                Some(Split { key, words, .. }) if key == "include" => {
                    for included in included(&self.operator, directory, &words, depth).map_err(wrong)? {
                        self.file(&included, directory, scope, depth + 1)?;
                    }
                }
                Some(Split { key, words, text }) => match condition(&key, &words) {
                    Some(condition) => {
                        self.twice |= is_final(&condition);
                        scope = Some(self.scopes.len());
                        self.scopes.push(Scope { outer, condition });
                    }
                    None => self.lines.extend(setting(&key, words).map_err(wrong)?.map(|(key, words)| Line {
                        scope,
                        key,
                        words,
                        text: text.to_owned(),
                        file: file.to_owned(),
                        number: index + 1,
                    })),
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

/// Whether it asks for a second pass.
fn is_final(condition: &Condition) -> bool {
    matches!(condition, Condition::Match(words) if words.iter().any(|word| word.trim_start_matches('!').eq_ignore_ascii_case("final")))
}

/// The key as it is usually spelled and its words, when it matters here.
fn setting(key: &str, words: Vec<String>) -> Result<Option<(&'static str, Vec<String>)>, String> {
    let Some((key, _)) = ssh_keys::known(key) else { return Ok(None) };
    ssh_keys::check(key, &words)?;
    Ok(Some((key, words)))
}

/// The files that the patterns of an `Include` mean, sorted; none is no error.
fn included(operator: &Operator, directory: &Path, patterns: &[String], depth: usize) -> Result<Vec<PathBuf>, String> {
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
            None => format!("{}/{text}", glob::Pattern::escape(&directory.display().to_string())),
        };
        let paths = glob::glob(&pattern).map_err(|error| format!("`{text}` is no pattern of files: {}", error.msg))?;
        for path in paths {
            files.push(path.map_err(|error| error.to_string())?);
        }
    }
    files.retain(|file| !file.is_dir());
    Ok(files)
}

/// A line taken apart.
struct Split<'a> {
    /// In lowercase.
    key: String,
    words: Vec<String>,
    /// What the words were.
    text: &'a str,
}

/// Takes a line apart; `None` for a blank line or a comment.
fn split(line: &str) -> Result<Option<Split<'_>>, String> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let end = line.find(|c: char| c.is_whitespace() || c == '=').unwrap_or(line.len());
    let (key, rest) = line.split_at(end);
    let rest = rest.trim_start();
    let key = key.trim_matches('"').to_ascii_lowercase();
    let rest = rest.strip_prefix('=').unwrap_or(rest).trim_start();
    let words = words(rest)?;
    if words.is_empty() {
        return Err(format!("expected a value after `{key}`, found nothing"));
    }
    Ok(Some(Split { key, words, text: rest }))
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
                Ok(Some(Split { key, words, .. })) => [vec![key], words].concat().join("|"),
                Err(error) => error,
            };
            assert_eq!(found, wanted, "{line}");
        }
    }
}
