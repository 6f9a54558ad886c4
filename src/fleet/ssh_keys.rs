//! The keys of an ssh_config that matter here, and what their values can be.

use super::duration;
use std::time::Duration;

/// What Windlass does with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// It is followed.
    Followed,
    /// It changes who connects to where or which host key is good, and cannot be done. `no` and `none` are no such change.
    Refused,
}

use Use::{Followed, Refused};

static KEYS: [(&str, Use); 34] = [
    ("HostName", Followed),
    ("User", Followed),
    ("Port", Followed),
    ("IdentityFile", Followed),
    ("CertificateFile", Followed),
    ("UserKnownHostsFile", Followed),
    ("GlobalKnownHostsFile", Followed),
    ("ConnectTimeout", Followed),
    ("ProxyJump", Followed),
    ("ProxyCommand", Followed),
    ("IdentitiesOnly", Followed),
    ("IdentityAgent", Followed),
    ("HostKeyAlias", Followed),
    ("StrictHostKeyChecking", Followed),
    ("HashKnownHosts", Followed),
    ("ServerAliveInterval", Followed),
    ("ServerAliveCountMax", Followed),
    ("HostKeyAlgorithms", Followed),
    ("KexAlgorithms", Followed),
    ("Ciphers", Followed),
    ("MACs", Followed),
    ("PubkeyAcceptedAlgorithms", Followed),
    ("BindAddress", Followed),
    ("AddressFamily", Followed),
    ("Compression", Followed),
    ("PreferredAuthentications", Followed),
    ("PubkeyAuthentication", Followed),
    ("CanonicalizeHostname", Refused),
    ("RevokedHostKeys", Refused),
    ("KnownHostsCommand", Refused),
    ("BindInterface", Refused),
    ("ProxyUseFdpass", Refused),
    ("PKCS11Provider", Refused),
    ("SmartcardDevice", Refused),
];

/// Older spellings.
static OLD: [(&str, &str); 1] = [("pubkeyacceptedkeytypes", "PubkeyAcceptedAlgorithms")];

/// The spelling of a key that matters here, and what is done with it.
pub(super) fn known(lowercase: &str) -> Option<(&'static str, Use)> {
    let name = OLD.iter().find(|(old, _)| *old == lowercase).map_or(lowercase, |(_, new)| new);
    KEYS.iter().copied().find(|(key, _)| key.eq_ignore_ascii_case(name))
}

/// Whether the words can be the value of this key.
pub(super) fn check(key: &str, words: &[String]) -> Result<(), String> {
    let word = words.first().map(String::as_str).unwrap_or_default();
    let several =
        matches!(key, "UserKnownHostsFile" | "GlobalKnownHostsFile" | "ProxyCommand" | "KnownHostsCommand" | "ProxyJump");
    let wanted = match key {
        "Port" if !word.parse::<u16>().is_ok_and(|port| port > 0) => "a port from 1 to 65535",
        "ConnectTimeout" if word != "none" && seconds(word).is_none_or(|wait| wait.is_zero()) => "seconds",
        "ServerAliveInterval" if seconds(word).is_none() => "seconds",
        "ServerAliveCountMax" if word.parse::<u32>().is_err() => "a number",
        "HostName" | "User" | "HostKeyAlias" | "BindAddress" if word.is_empty() || word.starts_with('-') => "a name",
        "IdentitiesOnly" | "HashKnownHosts" | "Compression" if flag(word).is_none() => "yes or no",
        "PubkeyAuthentication" if flag(word).is_none() && !matches!(word, "unbound" | "host-bound") => "yes or no",
        "StrictHostKeyChecking" if flag(word).is_none() && !matches!(word, "ask" | "accept-new" | "off") => {
            "yes, ask, accept-new, no or off"
        }
        "AddressFamily" if !matches!(word, "any" | "inet" | "inet6") => "any, inet or inet6",
        _ if !several && words.len() > 1 => "one value",
        _ => return Ok(()),
    };
    Err(format!("`{key}`: expected {wanted}, found `{}`", words.join(" ")))
}

/// `yes` or `no`.
pub(super) fn flag(word: &str) -> Option<bool> {
    match word {
        "yes" | "true" => Some(true),
        "no" | "false" => Some(false),
        _ => None,
    }
}

/// A time: seconds, or numbers with units.
pub(super) fn seconds(word: &str) -> Option<Duration> {
    duration::parse(word, Some(Duration::from_secs(1)))
}

/// Whether this value of a key that cannot be done asks for nothing.
pub(super) fn asks_nothing(word: &str) -> bool {
    word.eq_ignore_ascii_case("none") || flag(word) == Some(false)
}
