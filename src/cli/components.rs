//! What `status` says of components: which version is live and known-good where, which hosts missed one, and which mix that is.

use super::error::CliError;
use super::printer::Printer;
use super::settings::{Labs, environment};
use super::table::aligned;
use crate::artifact::{ArtifactName, Version};
use crate::fleet::Project;
use crate::id::{HostName, RunId};
use crate::journal::RunState;
use crate::ledger::{Ledger, Release, RunRow, Standing, Track, tracks};
use crate::op::Component;
use crate::report::Tone;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The components of one environment.
pub(super) struct Components {
    tracks: Vec<Track>,
    /// The hosts that there are today; nothing when that is not known.
    hosts: Option<BTreeSet<HostName>>,
    /// What runs that are not over left in between.
    between: Vec<Between>,
}

/// A host that a run left between what it had and what it was to have, or that it is still at.
struct Between {
    run: RunId,
    host: HostName,
    component: ArtifactName,
    version: Version,
}

impl Between {
    /// What a run that owes something, or is not over, has changed and not put back.
    fn of(row: &RunRow, state: &RunState) -> Vec<Self> {
        let hosts = if row.state.is_ended() { state.debts() } else { state.changed_hosts() };
        let mut found = Vec::new();
        for Component { name, hosts: meant, version, .. } in components(state) {
            let there = meant.into_iter().filter(|host| hosts.contains(host));
            let one = |host| Self { run: row.id.clone(), host, component: name.clone(), version: version.clone() };
            found.extend(there.map(one));
        }
        found
    }
}

/// The components that a run declared.
fn components(state: &RunState) -> Vec<Component> {
    let steps = state.steps.values().filter(|step| step.command.op == Component::WORD);
    steps.filter_map(|step| serde_json::from_value(step.command.args.clone()).ok()).collect()
}

impl Components {
    /// With the runs of the environment that are not over, or that owe something.
    pub(super) fn read(project: &Project, name: &str, ledger: &dyn Ledger, runs: &[&RunRow]) -> Result<Self, CliError> {
        let mut between = Vec::new();
        for row in runs {
            let state = RunState::read(&ledger.records(&row.id)?).map_err(|illegal| CliError::input(illegal.to_string()))?;
            between.extend(Between::of(row, &state));
        }
        let tracks = tracks(&ledger.releases(Some(name))?);
        // A lab that is down, or a file that cannot be read, tells nothing about hosts.
        let today = if tracks.is_empty() { None } else { environment(project, name, Labs::Leave).ok() };
        let hosts: Option<BTreeSet<HostName>> =
            today.map(|today| today.hosts.hosts().iter().map(|host| host.name.clone()).collect());
        Ok(Self { tracks, between, hosts: hosts.filter(|hosts| !hosts.is_empty()) })
    }

    fn names(&self) -> BTreeSet<&ArtifactName> {
        self.tracks.iter().map(|track| &track.component).collect()
    }

    fn of<'a>(&'a self, name: &'a ArtifactName) -> impl Iterator<Item = &'a Track> {
        self.tracks.iter().filter(move |track| track.component == *name)
    }

    fn is_there(&self, host: &HostName) -> bool {
        self.hosts.as_ref().is_none_or(|hosts| hosts.contains(host))
    }

    /// Which hosts have which version, of those that are there.
    fn versions<'a>(&'a self, name: &'a ArtifactName) -> BTreeMap<&'a Version, Vec<&'a str>> {
        let mut versions: BTreeMap<&Version, Vec<&str>> = BTreeMap::new();
        for track in self.of(name).filter(|track| self.is_there(&track.host)) {
            if let Some(live) = track.live() {
                versions.entry(&live.made.version).or_default().push(track.host.as_str());
            }
        }
        for one in self.between.iter().filter(|one| one.component == *name && self.is_there(&one.host)) {
            let hosts = versions.entry(&one.version).or_default();
            if !hosts.contains(&one.host.as_str()) {
                hosts.push(one.host.as_str());
            }
        }
        versions
    }

    /// Runs that left this in between, with what they were to make.
    fn between<'a>(&'a self, track: &'a Track) -> impl Iterator<Item = &'a Between> {
        self.between.iter().filter(|one| one.component == track.component && one.host == track.host)
    }

    pub(super) fn json(&self) -> Value {
        let between = |track: &Track| -> Vec<Value> {
            self.between(track).map(|one| json!({ "run": one.run, "version": one.version })).collect()
        };
        let host = |track: &Track| {
            json!({
                "host": track.host, "there": self.is_there(&track.host), "live": track.live(), "known_good": track.known_good(),
                "missed": track.missed(), "between": between(track),
            })
        };
        let one = |name: &ArtifactName| {
            let versions = self.versions(name);
            let hosts: Vec<Value> = self.of(name).map(host).collect();
            json!({ "component": name, "mixed": versions.len() > 1, "versions": versions.keys().collect::<Vec<_>>(), "hosts": hosts })
        };
        self.names().into_iter().map(one).collect()
    }

    pub(super) fn text(&self, printer: &Printer) {
        if self.tracks.is_empty() {
            return;
        }
        let rows: Vec<[String; 5]> = self.tracks.iter().map(|track| self.row(track)).collect();
        let heading = ["COMPONENT", "HOST", "LIVE", "KNOWN-GOOD", "NOTE"];
        aligned(heading, &rows, printer.out_paint).iter().for_each(|line| printer.data(&format!("  {line}")));
        for name in self.names() {
            let versions = self.versions(name);
            if versions.len() > 1 {
                let parts: Vec<String> =
                    versions.iter().map(|(version, hosts)| format!("{version} on {}", hosts.join(", "))).collect();
                printer.data(&format!("  {} {name}: {}", printer.out_paint.tone(Tone::Bad, "mixed"), parts.join("; ")));
            }
        }
    }

    fn row(&self, track: &Track) -> [String; 5] {
        let version = |release: Option<&Release>| release.map_or_else(|| "-".to_owned(), |it| it.made.version.to_string());
        let live = match track.live() {
            Some(live) if live.made.standing == Standing::Unsure || self.between(track).next().is_some() => {
                format!("{}?", live.made.version)
            }
            live => version(live),
        };
        let missed = track.missed().map(|missed| format!("missed {}: {}", missed.made.version, missed.made.why));
        let why = track.live().map(|live| live.made.why.clone()).filter(|why| !why.is_empty());
        let gone = (!self.is_there(&track.host)).then(|| "not in the environment any more".to_owned());
        let between = self.between(track).map(|one| format!("in between with {}, by run {}", one.version, one.run));
        let notes: Vec<String> = gone.into_iter().chain(between).chain(missed).chain(why).collect();
        [track.component.to_string(), track.host.to_string(), live, version(track.known_good()), notes.join("; ")]
    }
}
