//! Packages of a simulated host: which are installed, and which there are to install. What they need of each other is not known.

use super::at::{Answer, At, die, done};
use super::host::Was;
use crate::effect::{EffectError, PackageChange, PackageSet, PackageState, Reply};
use crate::id::SaveId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a package manager knows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Packages {
    pub(super) installed: BTreeMap<String, String>,
    /// The versions that there are, the newest last, where that is known.
    pub(super) available: BTreeMap<String, Vec<String>>,
    /// Whether a name that is not among these is no package.
    pub(super) closed: bool,
    /// Whether what a layer below has is known by now.
    #[serde(default)]
    pub(super) asked: bool,
}

/// What becomes of a package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Planned {
    pub(super) name: String,
    pub(super) before: Option<String>,
    pub(super) after: Option<String>,
}

/// The version of a package of which nothing is known.
const SOME_VERSION: &str = "0~simulated";

impl At<'_> {
    /// `wl_packages`.
    pub(super) fn packages(&mut self, save: &SaveId, wanted: &PackageSet) -> Answer {
        if let Some(Was::Packages(plan)) = self.save(save).map(|save| save.was.clone()) {
            self.install(&plan);
            return Ok(told(true, plan));
        }
        let mut plan = Vec::new();
        for word in &wanted.names {
            let (name, version) = word.split_once('=').map_or((word.as_str(), None), |(name, version)| (name, Some(version)));
            plan.extend(self.planned(name, version, wanted.state)?);
        }
        if plan.is_empty() {
            return Ok(told(false, plan));
        }
        if self.who.uid != 0 {
            return die("packages are changed by root only; call it with `sudo: true`");
        }
        self.note(save, "packages", Was::Packages(plan.clone()))?;
        self.install(&plan);
        Ok(told(true, plan))
    }

    fn planned(&mut self, name: &str, version: Option<&str>, state: PackageState) -> Result<Option<Planned>, EffectError> {
        let packages = &self.host.packages;
        let before = packages.installed.get(name).cloned();
        let there = packages.available.get(name);
        let name = name.to_owned();
        let after = match (state, version) {
            (PackageState::Absent, _) => None,
            (PackageState::Present, None) if before.is_some() => before.clone(),
            (_, Some(version)) => {
                if there.is_some_and(|there| !there.iter().any(|other| other == version)) && before.as_deref() != Some(version) {
                    return die(format!("apt-get cannot do it: Version '{version}' for '{name}' was not found"));
                }
                Some(version.to_owned())
            }
            _ => match there.and_then(|there| there.last()) {
                Some(newest) => Some(newest.clone()),
                None if before.is_some() => before.clone(),
                None if packages.closed => {
                    return die(format!(
                        "apt-get cannot do it: Unable to locate package {name}; are its lists old? `update: true` fetches them"
                    ));
                }
                None => Some(SOME_VERSION.to_owned()),
            },
        };
        Ok((before != after).then_some(Planned { name, before, after }))
    }

    fn install(&mut self, plan: &[Planned]) {
        for Planned { name, after, .. } in plan {
            match after {
                Some(version) => drop(self.host.packages.installed.insert(name.clone(), version.clone())),
                None => drop(self.host.packages.installed.remove(name)),
            }
        }
    }

    /// What undoes it: what nobody else has changed since is as before.
    pub(super) fn packages_back(&mut self, plan: &[Planned]) -> Answer {
        let mut changed = false;
        for Planned { name, before, after } in plan {
            let now = self.host.packages.installed.get(name).cloned();
            if now == *before || now != *after {
                continue;
            }
            changed = true;
            match before {
                Some(version) => drop(self.host.packages.installed.insert(name.clone(), version.clone())),
                None => drop(self.host.packages.installed.remove(name)),
            }
        }
        done(changed)
    }
}

fn told(changed: bool, plan: Vec<Planned>) -> Reply {
    let change = |planned: Planned| {
        let Planned { name, before, after } = planned;
        PackageChange { name, before, after, lost: false }
    };
    Reply::Packages { changed, list: plan.into_iter().map(change).collect() }
}
