//! The form of an environment file as people write it, before ranges are expanded and defaults are filled in.

use super::{
    channel::Channels,
    duration,
    environment::Class,
    inventory::Transport,
    policy::{External, Policy},
};
use serde::{Deserialize, Deserializer, de};
use serde_json::{Map, Value};
use std::{collections::BTreeMap, fmt, marker::PhantomData, num::NonZeroU16, num::NonZeroU32, time::Duration};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EnvironmentForm {
    /// Required; an option here so that its absence can be explained.
    pub class: Option<Class>,
    pub transport: Option<Transport>,
    pub lab: Option<NonZeroU32>,
    #[serde(default)]
    pub defaults: DefaultsForm,
    #[serde(default)]
    pub hosts: Ordered<HostForm>,
    #[serde(default, deserialize_with = "vars")]
    pub vars: Map<String, Value>,
    #[serde(default)]
    pub externals: BTreeMap<String, External>,
    #[serde(default)]
    pub notify: Channels,
    #[serde(default)]
    pub policy: Policy,
    #[serde(default)]
    pub artifacts: crate::artifact::Wishes,
}

/// Whether every step becomes somebody else: root, or a user by name.
#[derive(Clone, Deserialize)]
#[serde(untagged, expecting = "true, false or the name of a user")]
pub(super) enum SudoForm {
    Root(bool),
    User(String),
}

impl SudoForm {
    pub(super) fn user(self) -> Option<String> {
        match self {
            Self::Root(root) => root.then(|| "root".to_owned()),
            Self::User(user) => Some(user),
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DefaultsForm {
    pub address: Option<String>,
    pub port: Option<NonZeroU16>,
    pub user: Option<String>,
    pub identity_file: Option<String>,
    #[serde(default, deserialize_with = "wait")]
    pub connect_timeout: Option<Duration>,
    pub transport: Option<Transport>,
    pub sudo: Option<SudoForm>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HostForm {
    pub address: Option<String>,
    pub port: Option<NonZeroU16>,
    pub user: Option<String>,
    pub identity_file: Option<String>,
    #[serde(default)]
    pub roles: Vec<String>,
    #[serde(default, deserialize_with = "vars")]
    pub vars: Map<String, Value>,
    pub transport: Option<Transport>,
    pub sudo: Option<SudoForm>,
}

/// A table whose order counts: that of hosts is the order in which they are deployed to.
pub(super) struct Ordered<T>(pub Vec<(String, T)>);

impl<T> Default for Ordered<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Ordered<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> de::Visitor<'de> for Visitor<T> {
            type Value = Ordered<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table")
            }
            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Ordered<T>, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Ordered(entries))
            }
        }
        deserializer.deserialize_map(Visitor(PhantomData))
    }
}

fn wait<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let wait = duration::parse(&text, None).filter(|wait| !wait.is_zero());
    wait.map(Some).ok_or_else(|| de::Error::invalid_value(de::Unexpected::Str(&text), &"a duration as in \"10s\""))
}

fn vars<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Map<String, Value>, D::Error> {
    let map = Map::<String, Value>::deserialize(deserializer)?;
    Ok(map.into_iter().map(|(key, value)| (key, dates_as_text(value))).collect())
}

/// The toml crate hands a date to serde as a table with one private key; a script is to see its text.
fn dates_as_text(value: Value) -> Value {
    match value {
        Value::Object(map) => match map.get("$__toml_private_datetime") {
            Some(Value::String(text)) => Value::String(text.clone()),
            _ => Value::Object(map.into_iter().map(|(key, value)| (key, dates_as_text(value))).collect()),
        },
        Value::Array(list) => Value::Array(list.into_iter().map(dates_as_text).collect()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_text_and_order_is_kept() {
        let text =
            "class = \"lab\"\n[hosts.web2]\n[hosts.db1]\n[hosts.api]\n[vars]\nsince = 2026-11-23\nlist = [{ at = 07:32:00 }]\n";
        let form: EnvironmentForm = toml::from_str(text).unwrap();
        let names: Vec<_> = form.hosts.0.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["web2", "db1", "api"]);
        assert_eq!(Value::Object(form.vars), serde_json::json!({"since": "2026-11-23", "list": [{"at": "07:32:00"}]}));
    }
}
