//! Where a rollback goes, and what it does not take back. Pure.

use super::release::{Release, Standing};
use super::track::Track;
use crate::artifact::{ArtifactName, Version};
use crate::id::{HostName, RunId};
use crate::journal::{RunState, StepState};
use crate::op::PointOfNoReturn;
use crate::step::Site;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// The release to go back to: the newest known-good one of this version; without one, the newest before what the hosts that are
/// furthest have, of another version. Nothing when there is none.
#[must_use]
pub fn aim<'a>(tracks: &[&'a Track], to: Option<&Version>) -> Option<&'a Release> {
    if let Some(version) = to {
        let good = tracks.iter().flat_map(|track| track.good());
        return good.filter(|release| release.made.version == *version).max_by_key(|release| release.n);
    }
    let furthest = tracks.iter().max_by_key(|track| track.place())?.live()?;
    let there = |track: &&&Track| track.live().is_some_and(|live| live.made.version == furthest.made.version);
    tracks.iter().filter(there).filter_map(|track| track.earlier()).max_by_key(|release| release.n)
}

/// What becomes of one component on one host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Move {
    /// The component.
    pub component: ArtifactName,
    /// The host.
    pub host: HostName,
    /// What it has.
    pub live: Option<Version>,
    /// What it is to have.
    pub to: Version,
    /// Whether the host was left between what it has and what it had.
    pub unsure: bool,
    /// What was known-good there last, when what it is to have never was.
    pub own: Option<Version>,
    /// Whether nothing ever was known-good there.
    pub untried: bool,
    /// Whether no run ever made there what it is to have.
    pub never_had: bool,
}

/// What becomes of every component that the script of this run makes live, on every host that has it or was to have it.
#[must_use]
pub fn moves(releases: &[Release], tracks: &[&Track], run: &RunId, within: &dyn Fn(&HostName) -> bool) -> Vec<Move> {
    let declared: Vec<&Release> = releases.iter().filter(|release| release.run == *run).collect();
    let versions: BTreeMap<&ArtifactName, &Version> =
        declared.iter().map(|release| (&release.made.component, &release.made.version)).collect();
    let had = tracks.iter().filter(|track| track.live().is_some()).map(|track| (&track.component, &track.host));
    let places: BTreeSet<_> = had.chain(declared.iter().map(|release| (&release.made.component, &release.made.host))).collect();
    let one = |(component, host): (&ArtifactName, &HostName)| {
        let to = (*versions.get(component)?).clone();
        let track = tracks.iter().find(|track| track.component == *component && track.host == *host);
        let was_good = track.is_some_and(|track| track.good().any(|release| release.made.version == to));
        let own = track.and_then(|track| track.known_good()).filter(|_| !was_good);
        let live = track.and_then(|track| track.live());
        Some(Move {
            component: component.clone(),
            host: host.clone(),
            live: live.map(|live| live.made.version.clone()),
            unsure: live.is_some_and(|live| live.made.standing == Standing::Unsure),
            own: own.map(|own| own.made.version.clone()),
            untried: !was_good && own.is_none(),
            never_had: !track.is_some_and(|track| track.had(&to)),
            to,
        })
    };
    places.into_iter().filter(|(_, host)| within(host)).filter_map(one).collect()
}

/// Something that a run did and that no rollback takes back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Remains {
    /// The run.
    pub run: RunId,
    /// What kind of thing.
    pub kind: RemainsKind,
    /// The reason, or the command.
    pub what: String,
    /// Where it was done; no host for a point of no return.
    pub hosts: BTreeSet<HostName>,
    /// Where the script says so.
    pub site: Site,
}

/// What kind of thing remains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RemainsKind {
    /// A point of no return was passed.
    PointOfNoReturn,
    /// A command ran for which the script gives no undo.
    Command,
}

/// What of a run remains: points of no return first, each thing once with all its hosts.
#[must_use]
pub fn remains(run: &RunId, state: &RunState) -> Vec<Remains> {
    let passed = state.steps.values().filter(|step| step.command.op == PointOfNoReturn::WORD);
    let commands = state.commands_without_undo();
    let kinds = passed
        .map(|step| (RemainsKind::PointOfNoReturn, step))
        .chain(commands.into_iter().map(|(_, step)| (RemainsKind::Command, step)));
    let mut found: BTreeMap<(RemainsKind, Site, String), BTreeSet<HostName>> = BTreeMap::new();
    for (kind, StepState { command, summary, .. }) in kinds {
        let hosts = found.entry((kind, command.site.clone(), summary.clone())).or_default();
        hosts.extend((!command.host.is_controller()).then(|| command.host.clone()));
    }
    let one = |((kind, site, what), hosts)| Remains { run: run.clone(), kind, what, hosts, site };
    found.into_iter().map(one).collect()
}
