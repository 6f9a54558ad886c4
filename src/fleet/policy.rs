//! What an environment asks of a run before it may change something, and the services of others that it leans on.
//! Only read here; the gates judge it.

use crate::id::HostName;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;

/// The gates of an environment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// How many hosts one run may change without being told so.
    pub max_blast: Option<Blast>,
    /// The environments whose attestation an artifact needs here.
    pub requires: Vec<String>,
    /// Who has to say yes.
    pub approvals: Option<Approvals>,
    /// When changes are allowed, as in `Mon-Thu 09:00-16:00 Europe/Copenhagen`; always when empty.
    pub windows: Vec<String>,
}

/// How many people have to approve, and which file of allowed signers names them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approvals {
    /// At least one.
    pub needed: std::num::NonZeroU32,
    /// The name of the allowed signers.
    pub from: String,
}

/// A number of hosts: written as `3` or `"50%"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blast {
    /// So many.
    Hosts(u32),
    /// So many of a hundred hosts of the environment.
    Percent(u8),
}

impl Blast {
    /// How many hosts of so many that is. A share is rounded down, but is never less than one host.
    #[must_use]
    pub fn of(self, hosts: usize) -> usize {
        match self {
            Self::Hosts(count) => usize::try_from(count).unwrap_or(usize::MAX),
            Self::Percent(share) => (hosts.saturating_mul(usize::from(share)) / 100).max(1),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        match text.trim().strip_suffix('%') {
            Some(share) => share.trim_end().parse().ok().filter(|share| (1..=100).contains(share)).map(Self::Percent),
            None => text.trim().parse().ok().filter(|count| *count > 0).map(Self::Hosts),
        }
    }
}

impl fmt::Display for Blast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hosts(count) => write!(f, "{count}"),
            Self::Percent(share) => write!(f, "{share}%"),
        }
    }
}

impl Serialize for Blast {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Blast {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Blast;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of hosts from 1, or a share as in \"50%\"")
            }
            fn visit_i64<E: de::Error>(self, count: i64) -> Result<Blast, E> {
                Blast::parse(&count.to_string()).ok_or_else(|| E::invalid_value(de::Unexpected::Signed(count), &self))
            }
            fn visit_u64<E: de::Error>(self, count: u64) -> Result<Blast, E> {
                Blast::parse(&count.to_string()).ok_or_else(|| E::invalid_value(de::Unexpected::Unsigned(count), &self))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Blast, E> {
                Blast::parse(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// A service that others run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct External {
    /// How to see whether it is there.
    pub check: Check,
    /// The host from which it is looked at; the controller when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<HostName>,
}

/// Written as `{ http = URL, status = 200 }` or `{ tcp = "HOST:PORT" }`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "CheckForm", into = "CheckForm")]
pub enum Check {
    /// A GET has to answer.
    Http {
        /// What is asked for.
        url: String,
        /// The status that is right; any from 200 to 299 when none is said.
        status: Option<u16>,
    },
    /// A connection has to open.
    Tcp {
        /// `HOST:PORT`.
        address: String,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CheckForm {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    http: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tcp: Option<String>,
}

impl TryFrom<CheckForm> for Check {
    type Error = String;
    fn try_from(form: CheckForm) -> Result<Self, String> {
        match form {
            CheckForm { http: Some(url), status, tcp: None } => http(url, status),
            CheckForm { http: None, status: None, tcp: Some(address) } => tcp(address),
            CheckForm { http: None, status: Some(_), .. } => Err("`status` belongs to `http`, which is missing".to_owned()),
            CheckForm { http: Some(_), tcp: Some(_), .. } => Err("expected one of `http` and `tcp`, found both".to_owned()),
            CheckForm { .. } => Err("expected `http` or `tcp`, found neither".to_owned()),
        }
    }
}

fn http(url: String, status: Option<u16>) -> Result<Check, String> {
    if !url.starts_with("http://") && !url.starts_with("https://") {
        return Err(format!("expected a URL with http:// or https://, found `{url}`"));
    }
    match status {
        Some(code) if !(100..=599).contains(&code) => Err(format!("expected a status from 100 to 599, found {code}")),
        _ => Ok(Check::Http { url, status }),
    }
}

fn tcp(address: String) -> Result<Check, String> {
    let right =
        address.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0));
    if right { Ok(Check::Tcp { address }) } else { Err(format!("expected HOST:PORT, found `{address}`")) }
}

impl From<Check> for CheckForm {
    fn from(check: Check) -> Self {
        match check {
            Check::Http { url, status } => Self { http: Some(url), status, tcp: None },
            Check::Tcp { address } => Self { http: None, status: None, tcp: Some(address) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blast_is_a_number_or_a_share() {
        for (text, hosts, wanted) in [
            ("\"50%\"", 5, Some(2)),
            ("\"10%\"", 3, Some(1)),
            ("3", 9, Some(3)),
            ("\"3\"", 9, Some(3)),
            ("0", 9, None),
            ("\"0%\"", 9, None),
        ] {
            let blast = serde_json::from_str::<Blast>(text).ok();
            assert_eq!(blast.map(|blast| blast.of(hosts)), wanted, "{text}");
        }
    }

    #[test]
    fn checks() {
        for (text, wanted) in [
            (r#"{"http":"https://x/health","status":200}"#, "ok"),
            (r#"{"tcp":"db.example:5432"}"#, "ok"),
            (r#"{"http":"x"}"#, "expected a URL"),
            (r#"{"tcp":"db.example"}"#, "expected HOST:PORT"),
            (r#"{"http":"http://x","tcp":"x:1"}"#, "found both"),
            (r#"{"status":200}"#, "belongs to `http`"),
            ("{}", "found neither"),
        ] {
            match serde_json::from_str::<Check>(text) {
                Ok(check) => assert_eq!((wanted, serde_json::to_string(&check).unwrap().as_str()), ("ok", text)),
                Err(error) => assert!(error.to_string().contains(wanted), "{text}: {error}"),
            }
        }
    }
}
