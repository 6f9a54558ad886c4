//! `h.expect_identity(#{..})`: this really is the machine that is meant.

use super::{Operation, StepContext, Subject, context::unexpected};
use crate::effect::{Effect, Reply};
use crate::id::RemotePath;
use crate::step::{ErrorKind, StepError};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Ends the run before any change when a host is not what the script takes it for.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectIdentity {
    /// What `/etc/machine-id` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    machine_id: Option<String>,
    /// What `/etc/hostname` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hostname: Option<String>,
    /// Files, and what each must say, as in `#{ "/etc/environment-name": "staging" }`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    files: BTreeMap<String, String>,
}

impl Operation for ExpectIdentity {
    const NAME: &'static str = "expect_identity";
    const SUBJECT: Subject = Subject::Host;
    const POSITIONAL: &'static [&'static str] = &[];
    const PAGE: &'static str = include_str!("../../stdlib/doc/expect_identity.md");
    type Output = ();

    fn run(&self, cx: &mut StepContext<'_>) -> Result<(), StepError> {
        let own = [("/etc/machine-id", &self.machine_id), ("/etc/hostname", &self.hostname)];
        let own = own.into_iter().filter_map(|(path, wanted)| wanted.as_ref().map(|wanted| (path.to_owned(), wanted.clone())));
        let wanted: BTreeMap<String, String> = self.files.clone().into_iter().chain(own).collect();
        if wanted.is_empty() {
            return Err(StepError::bad_input("nothing says how the host is recognised").with_help("give machine_id, hostname or files"));
        }
        for (path, wanted) in wanted {
            let found = self.said(cx, &path)?;
            if found.trim() != wanted.trim() {
                let message = format!("{} is another machine: {path} says `{}`, expected `{}`", cx.host(), found.trim(), wanted.trim());
                return Err(StepError::new(ErrorKind::Refused, message).with_help("check the address of this host in the environment"));
            }
        }
        Ok(())
    }

    fn summary(&self) -> String {
        let names = self.files.keys().cloned().chain(self.machine_id.iter().map(|_| "machine_id".to_owned()));
        names.chain(self.hostname.iter().map(|_| "hostname".to_owned())).collect::<Vec<_>>().join(", ")
    }
}

impl ExpectIdentity {
    fn said(&self, cx: &mut StepContext<'_>, path: &str) -> Result<String, StepError> {
        let path = RemotePath::parse(path).map_err(|error| StepError::bad_input(error.to_string()))?;
        let there = matches!(cx.look(&Effect::Stat { path: path.clone() })?, Reply::Stat(Some(_)));
        if !there {
            return Ok(String::new());
        }
        match cx.look(&Effect::Read { path, limit: 4096 })? {
            Reply::Content(content) => Ok(String::from_utf8_lossy(content.bytes()).into_owned()),
            other => Err(unexpected(&other)),
        }
    }
}
