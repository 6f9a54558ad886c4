//! Hosts on the way to a host: what `ProxyJump` of the ssh_config names, each resolved as `ssh` would.

use super::{
    ssh_config::SshConfig,
    ssh_options::SshOptions,
    ssh_settings::{Explicit, HostSettings, UnsupportedKey},
};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// A host through which another one is reached.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Jump {
    /// What to connect to.
    pub address: String,
    /// 1 to 65535.
    pub port: u16,
    /// Who to log in as.
    pub user: String,
    /// Private keys, in the order in which they are offered.
    pub identity_files: Vec<PathBuf>,
    /// Where its host key is looked up.
    pub known_hosts_files: Vec<PathBuf>,
    /// How long to wait for a connection.
    pub connect_timeout: Duration,
    /// How a session with it is set up.
    #[serde(default, skip_serializing_if = "SshOptions::is_usual")]
    pub ssh: SshOptions,
}

/// One word of a `ProxyJump`: `[user@]host[:port]`.
pub(super) struct Word {
    pub alias: String,
    pub explicit: Explicit,
}

/// Hosts in a row; a longer one is taken for a circle.
pub(super) const MOST: usize = 8;

/// The words of a `ProxyJump`, the first hop first; nothing when one cannot be read.
pub(super) fn words(text: &str) -> Option<Vec<Word>> {
    text.split(',').map(|word| parse(word.trim())).collect()
}

fn parse(word: &str) -> Option<Word> {
    let word = word.strip_prefix("ssh://").map_or(word, |word| word.trim_end_matches('/'));
    let (user, rest) = word.rsplit_once('@').map_or((None, word), |(user, rest)| (Some(user.to_owned()), rest));
    let bracketed = rest.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let (alias, port) = match bracketed {
        Some((alias, "")) => (alias, None),
        Some((alias, port)) => (alias, Some(port.strip_prefix(':')?)),
        None => rest.split_once(':').map_or((rest, None), |(alias, port)| (alias, Some(port))),
    };
    let port = port.map(str::parse::<u16>).transpose().ok()?;
    let plain =
        !alias.is_empty() && !alias.starts_with('-') && !alias.contains(['/', '%', '$']) && !alias.contains(char::is_whitespace);
    plain.then(|| Word { alias: alias.to_owned(), explicit: Explicit { user, port } })
}

/// Why there is no way.
pub(super) enum Dead {
    /// The words name none.
    Unreadable(String),
    /// A host on it cannot be reached as it should be.
    Unsupported(Box<UnsupportedKey>),
}

impl SshConfig {
    /// The way to a host: the first hop may itself be reached through others.
    ///
    /// # Errors
    /// When it cannot be read, goes in a circle, or leads through a host that asks for what cannot be done.
    pub(super) fn way(&self, text: &str, made: &dyn Fn(&Word, HostSettings) -> Jump) -> Result<Vec<Jump>, Dead> {
        let mut way: Vec<Jump> = Vec::new();
        let mut text = Some(text.to_owned());
        while let Some(words) = text.take() {
            let mut hops = Vec::new();
            let unreadable = || Dead::Unreadable("is not a list of [user@]host[:port]".to_owned());
            for (n, word) in self::words(&words).ok_or_else(unreadable)?.iter().enumerate() {
                let mut settings = self.resolve_with(&word.alias, &word.explicit);
                if let Some(key) = settings.unsupported.pop() {
                    return Err(Dead::Unsupported(Box::new(key)));
                }
                if n == 0 {
                    text.clone_from(&settings.proxy_jump);
                } else {
                    // The hop before it is how it is reached.
                    settings.options.proxy_command = None;
                }
                hops.push(made(word, settings));
            }
            way.splice(0..0, hops);
            if way.len() > MOST {
                return Err(Dead::Unreadable(format!("leads through more than {MOST} hosts, or in a circle")));
            }
        }
        Ok(way)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_way() {
        let shown = |text: &str| {
            let show = |word: Word| {
                format!("{}|{}|{}", word.explicit.user.unwrap_or_default(), word.alias, word.explicit.port.unwrap_or(0))
            };
            words(text).map(|words| words.into_iter().map(show).collect::<Vec<_>>().join(" "))
        };
        assert_eq!(shown("bastion").as_deref(), Some("|bastion|0"));
        assert_eq!(shown("a@b:23,[::1]:24, c").as_deref(), Some("a|b|23 |::1|24 |c|0"));
        assert_eq!(shown("ssh://a@b:23,ssh://c/").as_deref(), Some("a|b|23 |c|0"));
        for text in ["", "a,,b", "-oProxyCommand=x", "http://b", "b:port"] {
            assert!(shown(text).is_none(), "{text}");
        }
    }
}
