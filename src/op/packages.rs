//! `h.packages(names)`: packages of the host's package manager.

use super::context::Diff;
use super::{Operation, Span, StepContext, Subject, context::unexpected};
use crate::effect::{Effect, PackageChange, PackageSet, PackageState, Reply};
use crate::step::StepError;
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;

/// Installs, upgrades or removes packages.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Packages {
    /// One name or several, with `=VERSION` behind one that is to have that version.
    names: Names,
    #[serde(default)]
    state: PackageState,
    /// Whether the lists of what there is are fetched first, when something is to be installed.
    #[serde(default)]
    update: bool,
    /// Whether what they recommend comes with them; as the host is set up otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    recommends: Option<bool>,
    /// Whether packages that were not named may be removed for it.
    #[serde(default)]
    allow_removals: bool,
    /// How long to wait while another program uses the package manager.
    #[serde(default = "default_lock_timeout")]
    lock_timeout: Span,
}

fn default_lock_timeout() -> Span {
    Span::from_seconds(120)
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged, expecting = "the name of a package, or a list of names")]
enum Names {
    One(String),
    Several(Vec<String>),
}

impl Names {
    fn list(&self) -> Vec<String> {
        match self {
            Self::One(name) => vec![name.clone()],
            Self::Several(names) => names.clone(),
        }
    }
}

impl Operation for Packages {
    const NAME: &'static str = "packages";
    const SUBJECT: Subject = Subject::Host;
    const POSITIONAL: &'static [&'static str] = &["names"];
    const PAGE: &'static str = include_str!("../../stdlib/doc/packages.md");
    type Output = bool;

    fn run(&self, cx: &mut StepContext<'_>) -> Result<bool, StepError> {
        let names = self.names.list();
        if names.is_empty() {
            return Err(StepError::bad_input("no package is named"));
        }
        names.iter().try_for_each(|name| self.check(name))?;
        let packages = PackageSet {
            names,
            state: self.state,
            update: self.update,
            recommends: self.recommends,
            allow_removals: self.allow_removals,
            lock_seconds: self.lock_timeout.seconds(),
        };
        match cx.change(|save| Effect::Packages { packages, save })? {
            Reply::Packages { changed, list } => {
                if !list.is_empty() {
                    cx.show_diff(diff(&list));
                }
                Ok(changed)
            }
            other => Err(unexpected(&other)),
        }
    }

    fn summary(&self) -> String {
        let names = self.names.list().join(" ");
        if self.state == PackageState::Present { names } else { format!("{names} ({})", self.state.word()) }
    }
}

impl Packages {
    /// Refuses what apt would take for something else than a package: an option, a pattern, a wish to remove it.
    fn check(&self, word: &str) -> Result<(), StepError> {
        let (name, version) = word.split_once('=').map_or((word, None), |(name, version)| (name, Some(version)));
        let begins = name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "+-.:".contains(c);
        if !begins || name.ends_with('-') || !name.chars().all(plain) {
            let error = StepError::bad_input(format!("`{word}` is no name of a package"));
            return Err(error.with_help("write \"nginx\", or \"nginx=1.22.1-9\" for one version"));
        }
        let Some(version) = version else { return Ok(()) };
        if version.is_empty() || !version.chars().all(|c| c.is_ascii_alphanumeric() || ".+-:~".contains(c)) {
            return Err(StepError::bad_input(format!("`{word}` names no version; write \"{name}=1.22.1-9\"")));
        }
        if self.state == PackageState::Present {
            return Ok(());
        }
        Err(StepError::bad_input(format!("`{word}` names a version, and state \"{}\" does not care for one", self.state.word())))
    }
}

/// The packages that were touched, before and after.
fn diff(list: &[PackageChange]) -> Diff {
    let (mut before, mut after) = (String::new(), String::new());
    for change in list {
        let lost = if change.lost { " (no source has this version any more: it cannot be put back)" } else { "" };
        // Writing to a String cannot fail.
        if let Some(version) = &change.before {
            let _ = writeln!(before, "{} {version}{lost}", change.name);
        }
        if let Some(version) = &change.after {
            let _ = writeln!(after, "{} {version}", change.name);
        }
    }
    Diff { path: "packages".to_owned(), before, after }
}
