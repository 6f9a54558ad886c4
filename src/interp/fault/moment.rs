//! What happened in a simulated run, moment by moment: data for judges and for people.

use super::kind::{EffectId, FaultKind};
use crate::effect::{Effect, EffectClass, EffectError, Reply, Verb, Words};
use crate::id::{HostName, StepKey};
use crate::interp::simulate::UnitShown;
use serde::Serialize;
use std::sync::Arc;

/// An effect that was performed, or that failed.
#[derive(Debug, Clone)]
pub struct Moment {
    /// Which; nothing for what belongs to no step.
    pub id: Option<EffectId>,
    /// Which process of the run.
    pub leg: u8,
    /// Virtual time, in milliseconds since 1970-01-01 UTC.
    pub at: i64,
    /// Where.
    pub host: HostName,
    /// What was asked, in words.
    pub what: String,
    /// What it does to the world.
    pub class: EffectClass,
    /// What kind of thing it is.
    pub act: Act,
    /// Whether it belongs to undoing.
    pub undoes: bool,
    /// How it ended.
    pub end: Ended,
    /// What was made to go wrong here.
    pub fault: Option<FaultKind>,
    /// The services of the host afterwards, when they may be otherwise than before.
    pub units: Option<Arc<[UnitShown]>>,
    /// Whether what answers was made to be sick.
    pub sick: Option<String>,
}

/// Kinds of effects that judges tell apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// A service was told something.
    Service {
        /// What.
        verb: Verb,
        /// Its scope and name.
        unit: String,
    },
    /// A command that may change anything.
    Command {
        /// It, on one line.
        text: String,
        /// Under which receipt.
        receipt: String,
        /// Whether nothing tells what it does.
        opaque: bool,
    },
    /// The host was restarted on request.
    Reboot,
    /// A look that asks whether something is well.
    Check,
    /// A change back.
    Undo,
    /// Anything else.
    Other,
}

/// How an effect ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// It changed something.
    Changed,
    /// It was so already, or it only looked.
    Unchanged,
    /// It took effect, and nobody was told.
    Unheard,
    /// It did not take effect, for this reason.
    Failed(String),
}

impl Moment {
    /// Whether it took effect.
    #[must_use]
    pub fn took_effect(&self) -> bool {
        !matches!(self.end, Ended::Failed(_))
    }

    /// The step.
    #[must_use]
    pub fn key(&self) -> Option<&StepKey> {
        self.id.as_ref().map(|id| &id.key)
    }
}

/// An effect in a few words.
pub(super) fn words(effect: &Effect) -> String {
    use Effect as E;
    match effect {
        E::Stat { path } => format!("look at {path}"),
        E::Read { path, .. } => format!("read {path}"),
        E::Digest { path } => format!("digest {path}"),
        E::List { pattern } => format!("list {pattern}"),
        E::Facts => "facts".to_owned(),
        E::Fetch { path, .. } => format!("fetch {path}"),
        E::ServiceStatus { unit } => format!("status of {}", unit.name),
        E::ServiceLog { unit, .. } => format!("log of {}", unit.name),
        E::Probe { command } => format!("probe `{}`", line(&command.words)),
        E::Http { request, .. } => format!("{} {}", request.method, request.url),
        E::Connect { address, port, .. } => format!("connect to {address}:{port}"),
        E::Anchors { .. } => "anchors".to_owned(),
        E::Write { path, .. } => format!("write {path}"),
        E::Upload { path, .. } => format!("upload {path}"),
        E::Copy { from, to, .. } => format!("copy {from} to {to}"),
        E::Unit { path, .. } => format!("unit file {path}"),
        E::Account { .. } => "account".to_owned(),
        E::Packages { packages, .. } => format!("packages {}", packages.names.join(" ")),
        E::Reboot { .. } => "reboot".to_owned(),
        E::UploadTree { path, .. } => format!("upload the directory {path}"),
        E::Unpack { archive, directory, .. } => format!("unpack {archive} into {directory}"),
        E::Mkdir { path, .. } => format!("make {path}"),
        E::Link { path, target, .. } => format!("link {path} -> {target}"),
        E::Rename { from, to, .. } => format!("move {from} to {to}"),
        E::Remove { path, .. } => format!("remove {path}"),
        E::SetAttributes { path, .. } => format!("mode and owner of {path}"),
        E::Service { unit, verb, .. } => format!("{verb} {}", unit.name),
        E::Exec { command, .. } => format!("run `{}`", line(&command.words)),
        E::Restore { .. } => "put back what was there".to_owned(),
        E::End { .. } => "end the command".to_owned(),
        E::Resume { .. } => "have the service run as before".to_owned(),
        E::Guard { .. } => "guard".to_owned(),
        E::Forget { .. } => "forget the run".to_owned(),
        E::Fence => "show the lock".to_owned(),
        E::Source { .. } | E::Template { .. } | E::Now | E::Entropy { .. } | E::Ask { .. } => "ask the controller".to_owned(),
        E::Sleep { millis } => format!("wait {millis} ms"),
        E::Notify { .. } => "notify".to_owned(),
    }
}

pub(super) fn act(effect: &Effect) -> Act {
    match effect {
        Effect::Service { unit, verb, .. } => Act::Service { verb: *verb, unit: key_of(unit) },
        Effect::Exec { command, receipt, contract, keeps, .. } => Act::Command {
            text: line(&command.words),
            receipt: receipt.to_string(),
            opaque: contract.is_empty() && keeps.is_empty(),
        },
        Effect::Reboot { .. } => Act::Reboot,
        Effect::Restore { .. } | Effect::Resume { .. } | Effect::End { .. } => Act::Undo,
        Effect::Http { .. } | Effect::Connect { .. } => Act::Check,
        _ => Act::Other,
    }
}

/// The scope and the whole name of a unit.
pub(super) fn key_of(unit: &crate::effect::ServiceUnit) -> String {
    let name = if unit.name.contains('.') { unit.name.clone() } else { format!("{}.service", unit.name) };
    let scope = if unit.scope == crate::effect::UnitScope::User { "user" } else { "system" };
    format!("{scope} {name}")
}

fn line(words: &Words) -> String {
    let text = match words {
        Words::Shell(text) => text.split_whitespace().collect::<Vec<_>>().join(" "),
        Words::List(list) => list.join(" "),
    };
    if text.chars().count() <= 80 { text } else { text.chars().take(79).chain(['…']).collect() }
}

pub(super) fn ended(result: &Result<Reply, EffectError>) -> Ended {
    match result {
        Ok(
            Reply::Done { changed, .. }
            | Reply::Service { changed, .. }
            | Reply::Packages { changed, .. }
            | Reply::Fetched { changed, .. },
        ) => {
            if *changed {
                Ended::Changed
            } else {
                Ended::Unchanged
            }
        }
        Ok(Reply::Command(_)) => Ended::Changed,
        Ok(_) => Ended::Unchanged,
        Err(error) => Ended::Failed(error.to_string()),
    }
}
