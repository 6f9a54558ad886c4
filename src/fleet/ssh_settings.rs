//! What an ssh_config says about one host, as ssh would read it: the first value of a key counts, and only the keys of
//! identity files add up. What Windlass cannot do is named, never skipped.

use super::{
    duration,
    ssh_config::{Condition, Line, SshConfig},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, path::PathBuf, time::Duration};

static KEYS: [&str; 14] = [
    "HostName",
    "User",
    "Port",
    "IdentityFile",
    "UserKnownHostsFile",
    "GlobalKnownHostsFile",
    "ConnectTimeout",
    // From here on: they change who connects to where, or which host key is good, and are not supported.
    "ProxyJump",
    "ProxyCommand",
    "CertificateFile",
    "IdentityAgent",
    "HostKeyAlias",
    "CanonicalizeHostname",
    "RevokedHostKeys",
];

/// What an ssh_config says about one host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostSettings {
    /// What to connect to; the alias itself when nothing else is said.
    pub host_name: String,
    /// 1 to 65535.
    pub port: Option<u16>,
    /// Who to log in as.
    pub user: Option<String>,
    /// In the order in which they are offered; empty for `none`.
    pub identity_files: Option<Vec<PathBuf>>,
    /// The operator's own; empty for `none`.
    pub user_known_hosts_files: Option<Vec<PathBuf>>,
    /// Those of the machine; empty for `none`.
    pub global_known_hosts_files: Option<Vec<PathBuf>>,
    /// How long to wait for a connection.
    pub connect_timeout: Option<Duration>,
    /// The hosts on the way, as `ProxyJump` names them.
    pub proxy_jump: Option<String>,
    /// What cannot be done, and may not be ignored.
    pub unsupported: Vec<UnsupportedKey>,
}

/// A key, or a value of one, that Windlass cannot do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnsupportedKey {
    /// As ssh_config(5) spells it.
    pub key: String,
    /// Its value.
    pub value: String,
    /// The file that says so.
    pub file: PathBuf,
    /// The line in it, from 1.
    pub line: usize,
}

/// What is said elsewhere and counts more.
#[derive(Debug, Default)]
pub(super) struct Explicit {
    pub user: Option<String>,
    pub port: Option<u16>,
}

impl SshConfig {
    /// What `ssh ALIAS` would do.
    #[must_use]
    pub fn resolve(&self, alias: &str) -> HostSettings {
        self.resolve_with(alias, &Explicit::default())
    }

    /// What `ssh -l USER -p PORT ALIAS` would do.
    pub(super) fn resolve_with(&self, alias: &str, explicit: &Explicit) -> HostSettings {
        let mut settings = HostSettings { host_name: alias.to_owned(), ..HostSettings::default() };
        let mut files: Vec<(&Line, &String)> = Vec::new();
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        for line in &self.lines {
            match applies(&line.scope, alias, &settings.host_name) {
                _ if seen.contains(line.key) => {}
                Applies::No => {}
                Applies::Perhaps(criteria) => settings.cannot(line, "Match", &criteria),
                Applies::Yes => {
                    seen.extend(settled(line));
                    if line.key.ends_with("File") {
                        files.extend(line.words.iter().map(|word| (line, word)));
                    } else {
                        settings.take(line, alias);
                    }
                }
            }
        }
        let tokens = Tokens {
            home: self.operator.home.display().to_string(),
            local: &self.operator.user,
            user: explicit.user.clone().or_else(|| settings.user.clone()).unwrap_or_else(|| self.operator.user.clone()),
            port: explicit.port.or(settings.port).unwrap_or(22).to_string(),
            host: settings.host_name.clone(),
            alias,
        };
        for (line, word) in files {
            let path = tokens.expand(word).and_then(|word| self.operator.expand(&word));
            settings.file(line, word, path);
        }
        settings
    }
}

/// The keys that count no more after this line. A proxy of either kind settles both, but after `ProxyJump none` ssh still
/// takes a `ProxyCommand`.
fn settled(line: &Line) -> &'static [&'static str] {
    match line.key {
        "IdentityFile" | "CertificateFile" => &[],
        "ProxyJump" if line.words.first().is_some_and(|word| word.eq_ignore_ascii_case("none")) => &["ProxyJump"],
        "ProxyJump" | "ProxyCommand" => &["ProxyJump", "ProxyCommand"],
        _ => KEYS.iter().position(|key| *key == line.key).map_or(&[], |at| &KEYS[at..=at]),
    }
}

impl HostSettings {
    fn take(&mut self, line: &Line, alias: &str) {
        let word = line.words.first().map(String::as_str).unwrap_or_default();
        let nothing = word.eq_ignore_ascii_case("none") || word.eq_ignore_ascii_case("no");
        match line.key {
            "HostName" => match percent(word, |token| (token == 'h').then_some(alias)) {
                Some(host_name) => self.host_name = host_name,
                None => self.cannot(line, line.key, word),
            },
            "User" if word.contains(['%', '$']) => self.cannot(line, line.key, word),
            "User" => self.user = Some(word.to_owned()),
            "Port" => self.port = word.parse().ok(),
            "ConnectTimeout" => self.connect_timeout = timeout(word),
            "ProxyJump" | "ProxyCommand" | "CanonicalizeHostname" | "RevokedHostKeys" if nothing => {}
            "ProxyJump" => self.proxy_jump = Some(word.to_owned()),
            "IdentityAgent" if word == "SSH_AUTH_SOCK" => {}
            key => self.cannot(line, key, &line.words.join(" ")),
        }
    }

    fn file(&mut self, line: &Line, word: &str, path: Option<PathBuf>) {
        let list = match line.key {
            "IdentityFile" => &mut self.identity_files,
            "UserKnownHostsFile" => &mut self.user_known_hosts_files,
            "GlobalKnownHostsFile" => &mut self.global_known_hosts_files,
            _ if word.eq_ignore_ascii_case("none") => return,
            key => return self.cannot(line, key, word),
        };
        match path {
            _ if word.eq_ignore_ascii_case("none") => {
                list.get_or_insert_default();
            }
            Some(path) if list.as_ref().is_some_and(|list| list.contains(&path)) => {}
            Some(path) => list.get_or_insert_default().push(path),
            None => self.cannot(line, line.key, word),
        }
    }

    fn cannot(&mut self, line: &Line, key: &str, value: &str) {
        // One `Match` with several settings is one reason to refuse.
        if !self.unsupported.iter().any(|known| known.key == key && known.value == value) {
            let (key, value) = (key.to_owned(), value.to_owned());
            self.unsupported.push(UnsupportedKey { key, value, file: line.file.clone(), line: line.number });
        }
    }
}

/// The spelling of a key that matters here.
pub(super) fn known_key(lowercase: &str) -> Option<&'static str> {
    KEYS.iter().copied().find(|key| key.eq_ignore_ascii_case(lowercase))
}

/// Whether the words can be the value of this key.
pub(super) fn check(key: &str, words: &[String]) -> Result<(), String> {
    let word = words.first().map(String::as_str).unwrap_or_default();
    let single = matches!(key, "HostName" | "User" | "Port" | "IdentityFile" | "ConnectTimeout");
    let wanted = match key {
        "Port" if !word.parse::<u16>().is_ok_and(|port| port > 0) => "a port from 1 to 65535",
        "ConnectTimeout" if word != "none" && timeout(word).is_none() => "seconds",
        "HostName" | "User" if word.is_empty() || word.starts_with('-') => "a name",
        _ if single && words.len() > 1 => "one value",
        _ => return Ok(()),
    };
    Err(format!("`{key}`: expected {wanted}, found `{}`", words.join(" ")))
}

fn timeout(word: &str) -> Option<Duration> {
    duration::parse(word, Some(Duration::from_secs(1))).filter(|wait| !wait.is_zero())
}

enum Applies {
    Yes,
    No,
    /// Not ruled out by what can be judged here: the criteria.
    Perhaps(String),
}

fn applies(scope: &[Condition], alias: &str, host_name: &str) -> Applies {
    let mut perhaps = None;
    for condition in scope {
        match condition {
            Condition::Host(patterns) if !matches_list(patterns.iter().map(String::as_str), alias) => return Applies::No,
            Condition::Match(criteria) if ruled_out(criteria, alias, host_name) => return Applies::No,
            Condition::Host(_) => {}
            Condition::Match(criteria) => perhaps = Some(criteria.join(" ")),
        }
    }
    perhaps.map_or(Applies::Yes, Applies::Perhaps)
}

/// Whether `host` or `originalhost` of a `Match` line says that it is about others.
fn ruled_out(criteria: &[String], alias: &str, host_name: &str) -> bool {
    let mut words = criteria.iter().map(String::as_str);
    while let Some(word) = words.next() {
        let (attribute, list) = match word.split_once('=') {
            Some((attribute, list)) => (attribute, list),
            None if matches!(word, "all" | "canonical" | "final" | "!canonical" | "!final") => continue,
            None => (word, words.next().unwrap_or_default()),
        };
        let name = match attribute {
            "host" => host_name,
            "originalhost" => alias,
            _ => continue,
        };
        if !matches_list(list.split(','), name) {
            return true;
        }
    }
    false
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
fn wildcard(pattern: &[u8], name: &[u8]) -> bool {
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

struct Tokens<'a> {
    home: String,
    local: &'a str,
    user: String,
    port: String,
    host: String,
    alias: &'a str,
}

impl Tokens<'_> {
    /// The word with its tokens replaced; `None` when it has one that is not known here, or a variable.
    fn expand(&self, word: &str) -> Option<String> {
        if word.contains("${") {
            return None;
        }
        percent(word, |token| match token {
            'd' => Some(&self.home),
            'h' => Some(&self.host),
            'n' => Some(self.alias),
            'p' => Some(&self.port),
            'r' => Some(&self.user),
            'u' => Some(self.local),
            _ => None,
        })
    }
}

fn percent<'a>(word: &str, meaning: impl Fn(char) -> Option<&'a str>) -> Option<String> {
    let mut text = String::new();
    let mut rest = word.chars();
    while let Some(c) = rest.next() {
        match c {
            '%' => match rest.next()? {
                '%' => text.push('%'),
                token => text.push_str(meaning(token)?),
            },
            _ => text.push(c),
        }
    }
    Some(text)
}

#[cfg(test)]
#[path = "ssh_settings_tests.rs"]
mod tests;
