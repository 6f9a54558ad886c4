//! `[notify.NAME]`: where `notify(text, #{ to: "NAME" })` goes. The URL of a webhook is a secret: it is neither shown nor stored.

use serde::{Deserialize, Deserializer, de};
use std::{collections::BTreeMap, fmt};

/// The channels by name. One called `default` is told what names no other.
pub type Channels = BTreeMap<String, Channel>;

/// Where messages go.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Channel {
    /// What takes them.
    pub webhook: Webhook,
    /// The form that it takes.
    #[serde(default)]
    pub kind: ChannelKind,
}

/// The form of a message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChannelKind {
    /// `{"text": ..}`, as Slack, Mattermost and others take it.
    #[default]
    Slack,
    /// `{"text": .., "run": .., "environment": .., "project": ..}`.
    Json,
    /// The text alone.
    Plain,
}

/// A URL that messages are posted to; written out, or as `{ env = "NAME" }`.
#[derive(Clone, PartialEq, Eq)]
pub enum Webhook {
    /// This one.
    Url(String),
    /// What this variable of the environment holds.
    Env(String),
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(_) => f.write_str("Url(..)"),
            Self::Env(name) => write!(f, "Env({name})"),
        }
    }
}

impl<'de> Deserialize<'de> for Webhook {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Named {
            env: String,
        }
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "expected a URL, or { env = \"NAME\" } with the variable that holds it")]
        enum Form {
            Url(String),
            Env(Named),
        }
        match Form::deserialize(deserializer)? {
            // What is wrong is not repeated: it may be a secret all the same.
            Form::Url(url) if !url.starts_with("https://") && !url.starts_with("http://") => {
                Err(de::Error::custom("expected a URL with http:// or https://, or { env = \"NAME\" }"))
            }
            Form::Url(url) => Ok(Self::Url(url)),
            Form::Env(Named { env }) => Ok(Self::Env(env)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_webhook_is_not_shown() {
        let channel: Channel = toml::from_str("webhook = \"https://hooks.example/T0/secret\"").unwrap();
        assert_eq!(channel.kind, ChannelKind::Slack);
        assert!(!format!("{channel:?}").contains("secret"));
        let channel: Channel = toml::from_str("webhook = { env = \"OPS_URL\" }\nkind = \"json\"").unwrap();
        assert_eq!((channel.webhook, channel.kind), (Webhook::Env("OPS_URL".to_owned()), ChannelKind::Json));
        for wrong in ["webhook = \"hooks.example/secret\"", "webhook = { enw = \"secret\" }", "webhook = 7"] {
            let error = toml::from_str::<Channel>(wrong).unwrap_err().message().to_owned();
            assert!(error.contains("expected a URL") && !error.contains("secret"), "{error}");
        }
    }
}
