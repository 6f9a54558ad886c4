//! What an ssh_config says about one host, as ssh would read it: the first value of a key counts, and only the keys of
//! identity files and certificates add up. What Windlass cannot do is named, never skipped.

use super::{
    ssh_config::{Line, SshConfig},
    ssh_keys::{self, Use},
    ssh_match::{Applies, Judge, Known, shell},
    ssh_options::{AddressFamily, Agent, AlgorithmKind, Algorithms, HostKeyPolicy, ProxyCommand, SshOptions},
    ssh_tokens::{OF_PROXY, Tokens, percent},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, path::PathBuf, time::Duration};

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
    /// Where that stands: the file, and the line from 1.
    pub(super) proxy_jump_at: Option<(PathBuf, usize)>,
    /// How a session is set up and logged in to.
    pub options: SshOptions,
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
    /// What is the matter with it, as the end of a sentence, where it is not the key as such.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
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
        let mut reading = Reading {
            config: self,
            alias,
            explicit,
            settings: HostSettings::default(),
            seen: BTreeSet::new(),
            later: Vec::new(),
        };
        reading.pass(alias, false);
        if self.twice {
            let name = reading.host_name();
            reading.settings.host_name.clone_from(&name);
            reading.seen.insert("HostName");
            reading.pass(&name, true);
        }
        reading.end()
    }
}

/// A host's settings while the lines are gone through.
struct Reading<'a> {
    config: &'a SshConfig,
    alias: &'a str,
    explicit: &'a Explicit,
    /// `host_name` is empty until it is said.
    settings: HostSettings,
    seen: BTreeSet<&'static str>,
    /// Values with tokens, which stand for what is known at the end.
    later: Vec<(&'a Line, &'a str)>,
}

impl<'a> Reading<'a> {
    fn pass(&mut self, name: &str, last_pass: bool) {
        let judge = Judge::new(self.config);
        for line in &self.config.lines {
            if self.seen.contains(line.key) {
                continue;
            }
            let known = Known { alias: self.alias, name, tokens: self.tokens(), last_pass };
            match judge.applies(line.scope, &known) {
                Applies::No => {}
                Applies::Perhaps { criteria, why } => self.settings.cannot(line, "Match", &criteria, Some(why)),
                Applies::Yes => {
                    self.seen.extend(settled(line));
                    self.take(line);
                }
            }
        }
    }

    /// What will be connected to. Capitals of the alias go only now: while lines are read, ssh keeps them.
    fn host_name(&self) -> String {
        match self.settings.host_name.as_str() {
            "" => self.alias.to_lowercase(),
            said => said.to_owned(),
        }
    }

    /// What tokens stand for by now.
    fn tokens(&self) -> Tokens<'a> {
        let user = self.explicit.user.clone().or_else(|| self.settings.user.clone());
        Tokens {
            operator: &self.config.operator,
            host: Some(&self.settings.host_name).filter(|name| !name.is_empty()).map_or(self.alias, String::as_str).to_owned(),
            alias: self.alias,
            key_alias: self.settings.options.host_key_alias.clone(),
            port: self.explicit.port.or(self.settings.port).unwrap_or(22),
            user: user.unwrap_or_else(|| self.config.operator.user.clone()),
            jump: self.settings.proxy_jump.clone().unwrap_or_default(),
        }
    }

    fn take(&mut self, line: &'a Line) {
        let word = line.words.first().map(String::as_str).unwrap_or_default();
        let settings = &mut self.settings;
        match line.key {
            "HostName" => match percent(word, |token| (token == 'h').then(|| self.alias.to_owned())) {
                Ok(host_name) => settings.host_name = host_name,
                Err(why) => settings.cannot(line, line.key, word, Some(why)),
            },
            "User" if word.contains(['%', '$']) => settings.cannot(line, line.key, word, None),
            "User" => settings.user = Some(word.to_owned()),
            "Port" => settings.port = word.parse().ok(),
            "ConnectTimeout" => settings.connect_timeout = ssh_keys::seconds(word),
            "ProxyJump" if word.eq_ignore_ascii_case("none") => {}
            "ProxyJump" => {
                self.later.push((line, word));
                settings.proxy_jump = Some(word.to_owned());
                settings.proxy_jump_at = Some((line.file.clone(), line.number));
            }
            "ProxyCommand" => self.later.push((line, line.text.as_str())),
            "IdentityAgent" => self.later.push((line, word)),
            key if key.ends_with("File") => self.later.extend(line.words.iter().map(|word| (line, word.as_str()))),
            key if ssh_keys::known(&key.to_ascii_lowercase()).is_some_and(|(_, how)| how == Use::Refused) => {
                if !ssh_keys::asks_nothing(word) {
                    settings.cannot(line, key, &line.words.join(" "), None);
                }
            }
            _ => settings.option(line, word),
        }
    }

    fn end(mut self) -> HostSettings {
        self.settings.host_name = self.host_name();
        if let Some(alias) = &mut self.settings.options.host_key_alias {
            alias.make_ascii_lowercase();
        }
        let tokens = self.tokens();
        for (line, word) in std::mem::take(&mut self.later) {
            let none = word.eq_ignore_ascii_case("none");
            let result = match line.key {
                "ProxyJump" => tokens.percent(word, OF_PROXY).map(|way| self.settings.proxy_jump = Some(way)),
                "ProxyCommand" if none => Ok(()),
                "ProxyCommand" => tokens.percent(word, OF_PROXY).map(|command| {
                    let shell = shell(self.config).to_owned();
                    // In place of the shell, so that to end it is to end the command.
                    self.settings.options.proxy_command = Some(ProxyCommand { shell, command: format!("exec {command}") });
                }),
                "IdentityAgent" => agent(&tokens, word).map(|agent| self.settings.options.agent = agent),
                "GlobalKnownHostsFile" => path(&tokens, word.to_owned()).map(|path| self.settings.file(line, none, path)),
                _ => tokens
                    .dollar_and_percent(word)
                    .and_then(|text| path(&tokens, text))
                    .map(|path| self.settings.file(line, none, path)),
            };
            if let Err(why) = result {
                self.settings.cannot(line, line.key, word, Some(why));
            }
        }
        self.settings
    }
}

fn agent(tokens: &Tokens<'_>, word: &str) -> Result<Agent, String> {
    match (word, word.strip_prefix('$').filter(|name| !name.starts_with('{'))) {
        ("SSH_AUTH_SOCK", _) => Ok(Agent::Usual),
        (_, Some(name)) => tokens.variable(name).map(|socket| Agent::At(PathBuf::from(socket))),
        _ if word.eq_ignore_ascii_case("none") => Ok(Agent::Nobody),
        _ => tokens.dollar_and_percent(word).and_then(|text| path(tokens, text)).map(Agent::At),
    }
}

fn path(tokens: &Tokens<'_>, text: String) -> Result<PathBuf, String> {
    tokens.operator.expand(&text).ok_or_else(|| "names the home of another user, which is not known here".to_owned())
}

/// The keys that count no more after this line. A proxy of either kind settles both, but after `ProxyJump none` ssh still
/// takes a `ProxyCommand`.
fn settled(line: &Line) -> Vec<&'static str> {
    match line.key {
        "IdentityFile" | "CertificateFile" => Vec::new(),
        "ProxyJump" if line.words.first().is_some_and(|word| word.eq_ignore_ascii_case("none")) => vec!["ProxyJump"],
        "ProxyJump" | "ProxyCommand" => vec!["ProxyJump", "ProxyCommand"],
        key => vec![key],
    }
}

impl HostSettings {
    /// Takes a value that needs nothing else to be understood; it was checked when the file was read.
    fn option(&mut self, line: &Line, word: &str) {
        let options = &mut self.options;
        let yes = ssh_keys::flag(word) == Some(true);
        match line.key {
            "IdentitiesOnly" => options.identities_only = yes,
            "HashKnownHosts" => options.hash_names = yes,
            "Compression" => options.compression = yes,
            "HostKeyAlias" => options.host_key_alias = Some(word.to_owned()),
            "BindAddress" => options.bind_address = Some(word.to_owned()),
            "ServerAliveInterval" => options.alive_interval = ssh_keys::seconds(word).filter(|wait| !wait.is_zero()),
            "ServerAliveCountMax" => options.alive_count = word.parse().ok(),
            "StrictHostKeyChecking" => {
                options.host_key_policy = match word {
                    "accept-new" => HostKeyPolicy::AcceptNew,
                    "no" | "off" | "false" => HostKeyPolicy::AcceptAny,
                    _ => HostKeyPolicy::Known,
                }
            }
            "AddressFamily" => {
                options.address_family = match word {
                    "inet" => AddressFamily::Inet,
                    "inet6" => AddressFamily::Inet6,
                    _ => AddressFamily::Any,
                }
            }
            "KexAlgorithms" => self.algorithms(AlgorithmKind::Kex, line, word),
            "HostKeyAlgorithms" => self.algorithms(AlgorithmKind::HostKey, line, word),
            "Ciphers" => self.algorithms(AlgorithmKind::Cipher, line, word),
            "MACs" => self.algorithms(AlgorithmKind::Mac, line, word),
            "PubkeyAcceptedAlgorithms" => self.algorithms(AlgorithmKind::Login, line, word),
            "PubkeyAuthentication" if ssh_keys::flag(word) != Some(false) => {}
            "PreferredAuthentications" if word.split(',').any(|way| way == "publickey") => {}
            key => self.cannot(line, key, word, Some("leaves no way to log in that Windlass knows".to_owned())),
        }
    }

    fn algorithms(&mut self, kind: AlgorithmKind, line: &Line, list: &str) {
        let (list, file) = (list.to_owned(), line.file.clone());
        self.options.algorithms.push(Algorithms { kind, list, file, line: line.number });
    }

    fn file(&mut self, line: &Line, none: bool, path: PathBuf) {
        let list = match line.key {
            "IdentityFile" => self.identity_files.get_or_insert_default(),
            "UserKnownHostsFile" => self.user_known_hosts_files.get_or_insert_default(),
            "GlobalKnownHostsFile" => self.global_known_hosts_files.get_or_insert_default(),
            _ => &mut self.options.certificates,
        };
        if !none && !list.contains(&path) {
            list.push(path);
        }
    }

    fn cannot(&mut self, line: &Line, key: &str, value: &str, why: Option<String>) {
        // One `Match` with several settings is one reason to refuse.
        if !self.unsupported.iter().any(|known| known.key == key && known.value == value) {
            let (key, value) = (key.to_owned(), value.to_owned());
            self.unsupported.push(UnsupportedKey { key, value, file: line.file.clone(), line: line.number, why });
        }
    }
}

#[cfg(test)]
#[path = "ssh_settings_tests.rs"]
mod tests;
