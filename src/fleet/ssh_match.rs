//! Which blocks of an ssh_config are about a host: `Host` patterns and `Match` criteria.

use super::{
    local_command,
    ssh_config::{Condition, Scope, SshConfig},
    ssh_tokens::{OF_MOST, Tokens},
};
use std::{cell::RefCell, collections::BTreeMap, path::Path};

/// What is known of a host when a block is reached.
pub(super) struct Known<'a> {
    /// What was asked for.
    pub(super) alias: &'a str,
    /// What `Host` lines are held against: the alias, and in the second pass the name that came out of the first.
    pub(super) name: &'a str,
    pub(super) tokens: Tokens<'a>,
    pub(super) last_pass: bool,
}

#[derive(Debug, Clone)]
pub(super) enum Applies {
    Yes,
    No,
    /// Not ruled out by what can be judged here: the criteria, and why they cannot be.
    Perhaps {
        criteria: String,
        why: String,
    },
}

/// Judges each block once, when its first line is reached.
pub(super) struct Judge<'a> {
    config: &'a SshConfig,
    verdicts: RefCell<BTreeMap<usize, Applies>>,
}

impl<'a> Judge<'a> {
    pub(super) fn new(config: &'a SshConfig) -> Self {
        Self { config, verdicts: RefCell::default() }
    }

    /// Whether the block counts, with all those that it stands in.
    pub(super) fn applies(&self, scope: Option<usize>, known: &Known<'_>) -> Applies {
        let Some(at) = scope else { return Applies::Yes };
        if let Some(verdict) = self.verdicts.borrow().get(&at) {
            return verdict.clone();
        }
        let Some(Scope { outer, condition }) = self.config.scopes.get(at) else { return Applies::No };
        let verdict = match (self.applies(*outer, known), condition) {
            (Applies::No, _) => Applies::No,
            (outer, Condition::Host(patterns)) => {
                if matches_list(patterns.iter().map(String::as_str), known.name) {
                    outer
                } else {
                    Applies::No
                }
            }
            (outer, Condition::Match(criteria)) => match self.criteria(criteria, known) {
                Applies::Yes => outer,
                other => other,
            },
        };
        self.verdicts.borrow_mut().insert(at, verdict.clone());
        verdict
    }

    fn criteria(&self, criteria: &[String], known: &Known<'_>) -> Applies {
        let mut perhaps = None;
        let mut words = criteria.iter().map(String::as_str);
        while let Some(word) = words.next() {
            let (attribute, value) = word.split_once('=').map_or((word, None), |(attribute, value)| (attribute, Some(value)));
            let (negated, attribute) = attribute.strip_prefix('!').map_or((false, attribute), |rest| (true, rest));
            let attribute = attribute.to_ascii_lowercase();
            let alone = matches!(attribute.as_str(), "all" | "canonical" | "final");
            let value = if alone { "" } else { value.or_else(|| words.next()).unwrap_or_default() };
            match self.criterion(&attribute, value, known) {
                Ok(holds) if holds == negated => return Applies::No,
                Ok(_) => {}
                Err(why) => perhaps = Some(why),
            }
        }
        perhaps.map_or(Applies::Yes, |why| Applies::Perhaps { criteria: criteria.join(" "), why })
    }

    fn criterion(&self, attribute: &str, value: &str, known: &Known<'_>) -> Result<bool, String> {
        let operator = &self.config.operator;
        match attribute {
            "all" => Ok(true),
            "canonical" | "final" => Ok(known.last_pass),
            "host" => Ok(matches_list(value.to_lowercase().split(','), &known.tokens.host.to_lowercase())),
            "originalhost" => Ok(matches_list(value.to_lowercase().split(','), &known.alias.to_lowercase())),
            "user" => Ok(matches_list(value.split(','), &known.tokens.user)),
            "localuser" => Ok(matches_list(value.split(','), &operator.user)),
            "exec" => {
                let command = known.tokens.percent(value, OF_MOST)?;
                self.config.asked(&command, || local_command::succeeds(shell(self.config), &command))
            }
            _ => Err("is not supported".to_owned()),
        }
    }
}

/// The operator's shell.
pub(super) fn shell(config: &SshConfig) -> &Path {
    Path::new(config.operator.variables.get("SHELL").filter(|shell| !shell.is_empty()).map_or("/bin/sh", String::as_str))
}

/// A pattern has to match, and none that begins with `!` may.
fn matches_list<'a>(patterns: impl Iterator<Item = &'a str>, name: &str) -> bool {
    let mut matched = false;
    for pattern in patterns {
        match pattern.strip_prefix('!') {
            Some(pattern) if wildcard(pattern.as_bytes(), name.as_bytes()) => return false,
            Some(_) => {}
            None => matched |= wildcard(pattern.as_bytes(), name.as_bytes()),
        }
    }
    matched
}

/// `*` and `?`, and nothing else: brackets are plain in an ssh_config.
pub(super) fn wildcard(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut seen, mut star) = (0, 0, None);
    while seen < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, seen));
                at += 1;
            }
            Some(c) if *c == b'?' || *c == name[seen] => (at, seen) = (at + 1, seen + 1),
            _ => {
                // Let the last star take one more.
                let Some((back, taken)) = star else { return false };
                star = Some((back, taken + 1));
                (at, seen) = (back + 1, taken + 1);
            }
        }
    }
    pattern[at..].iter().all(|c| *c == b'*')
}
