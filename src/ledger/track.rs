//! The history of one component on one host: what is live, what is known-good, and what came before it. Pure.

use super::release::{KnownGood, Made, Release, Standing};
use crate::artifact::{ArtifactName, Version};
use crate::id::{HostName, RunId};
use std::collections::{BTreeMap, BTreeSet};

/// One component on one host, oldest release first.
#[derive(Debug, Clone)]
pub struct Track {
    /// The component.
    pub component: ArtifactName,
    /// The host.
    pub host: HostName,
    releases: Vec<Release>,
    /// The place of each run in the history of the environment.
    places: BTreeMap<RunId, i64>,
}

/// The tracks of one environment, from all that runs made there.
#[must_use]
pub fn tracks(releases: &[Release]) -> Vec<Track> {
    let mut places = BTreeMap::new();
    for release in releases {
        let place = places.entry(release.run.clone()).or_insert(release.n);
        *place = release.n.min(*place);
    }
    let mut by: BTreeMap<(ArtifactName, HostName), Vec<Release>> = BTreeMap::new();
    for release in releases {
        by.entry((release.made.component.clone(), release.made.host.clone())).or_default().push(release.clone());
    }
    let track = |((component, host), mut releases): (_, Vec<Release>)| {
        releases.sort_by_key(|release| release.n);
        Track { component, host, releases, places: places.clone() }
    };
    by.into_iter().map(track).collect()
}

/// What must stay on the hosts of an environment: the known-good ones of what is needed of each track.
#[must_use]
pub fn known_good(releases: &[Release]) -> Vec<KnownGood> {
    let mut known: Vec<KnownGood> = Vec::new();
    for track in tracks(releases) {
        let good = track.needed().into_iter().filter(|release| release.made.standing == Standing::KnownGood);
        for Made { host, component, version, artifact, .. } in good.map(|release| release.made.clone()) {
            let one = KnownGood { host, component, version, artifact };
            if !known.contains(&one) {
                known.push(one);
            }
        }
    }
    known
}

impl Track {
    /// What the host has; of a run that left it in between, what it was to have. Nothing when no run came to it.
    #[must_use]
    pub fn live(&self) -> Option<&Release> {
        self.releases.iter().rev().find(|release| release.made.standing != Standing::Missed)
    }

    /// The newest release that was known-good there.
    #[must_use]
    pub fn known_good(&self) -> Option<&Release> {
        self.good().next()
    }

    /// The newest release that the host was to have and did not get, when nothing came after it.
    #[must_use]
    pub fn missed(&self) -> Option<&Release> {
        let live = self.live().map_or(0, |live| live.n);
        self.releases.iter().rev().find(|release| release.made.standing == Standing::Missed && release.n > live)
    }

    /// Whether a run made this version live there.
    #[must_use]
    pub fn had(&self, version: &Version) -> bool {
        let stood = |release: &Release| matches!(release.made.standing, Standing::KnownGood | Standing::Live);
        self.releases.iter().any(|release| release.made.version == *version && stood(release))
    }

    /// All known-good releases, newest first.
    pub fn good(&self) -> impl Iterator<Item = &Release> {
        self.releases.iter().rev().filter(|release| release.made.standing == Standing::KnownGood)
    }

    /// Where in the history what is live stands. A rollback goes back to the place of the release that it made live again:
    /// what it went away from lies ahead.
    #[must_use]
    pub fn place(&self) -> Option<i64> {
        self.live().map(|live| self.places.get(&live.made_by).copied().unwrap_or(live.n))
    }

    /// The newest known-good release of another version before what is live.
    #[must_use]
    pub fn earlier(&self) -> Option<&Release> {
        let (live, place) = (self.live()?, self.place()?);
        self.good().find(|release| release.n < place && release.made.version != live.made.version)
    }

    /// What must be kept so that all of this stays true: what is live, the newest two known-good versions, and what a rollback
    /// would go back to.
    #[must_use]
    pub fn needed(&self) -> Vec<&Release> {
        let mut needed: Vec<&Release> = self.live().into_iter().chain(self.earlier()).collect();
        let mut versions = BTreeSet::new();
        for release in self.good() {
            if versions.len() < 2 && versions.insert(&release.made.version) {
                needed.push(release);
            }
        }
        needed
    }
}

#[cfg(test)]
#[path = "track_tests.rs"]
mod tests;
