//! Where a fleet in memory begins: the runs that made live what its hosts have, and what they can go back to, are played on it,
//! oldest first. So a prediction without any host starts from what the ledger knows rather than from empty hosts.
//!
//! A run is played with its own sources, parameters, artifacts and files, as a rollback to it would be, on the hosts where it
//! did not miss. Nothing is put on record, and nobody is told.

use super::finish::Finish;
use super::runner::{Outset, Runner, StackBuilder};
use crate::artifact::{ArtifactName, DirectoryStore, KeptSources, Version};
use crate::event::{Event, Watcher};
use crate::fleet::{Environment, selector};
use crate::id::{HostName, RunId};
use crate::interp::{Controller, Fleet, Grounds, plan_stack};
use crate::journal::RunState;
use crate::ledger::{Ledger, LedgerError, MemoryLedger, Release, Standing, StoredRun, tracks};
use crate::op::Registry;
use crate::stop::Stop;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

/// What a fleet in memory begins with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// The runs that were played, oldest first.
    pub played: Vec<Played>,
    /// What a person has to know of the rest: a sentence each.
    pub notes: Vec<String>,
}

/// A run that made something live, and was played.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Played {
    /// Which.
    pub run: RunId,
    /// What it made live: components and versions.
    pub made: BTreeSet<(ArtifactName, Version)>,
    /// Where.
    pub hosts: BTreeSet<HostName>,
}

impl Played {
    /// What it made live, as in `web 1.1`.
    #[must_use]
    pub fn what(&self) -> String {
        let made: Vec<String> = self.made.iter().map(|(component, version)| format!("{component} {version}")).collect();
        made.join(", ")
    }
}

/// Plays on a fleet in memory what the ledger knows to be live in the environment of this run, and known-good before it. A run
/// that does not end well leaves the hosts as they were, and a note. Artifacts and kept files are looked for where the `wanted`
/// run has its own.
///
/// # Errors
/// When the ledger cannot be read.
pub fn play_known(fleet: &Arc<Fleet>, ledger: &dyn Ledger, wanted: &StoredRun) -> Result<Known, LedgerError> {
    let mut known = Known::default();
    let (runs, unsure) = runs(&ledger.releases(Some(&wanted.environment.name))?, &wanted.environment);
    known.notes.extend(unsure);
    if runs.is_empty() {
        return Ok(known);
    }
    let kept: Arc<dyn Ledger> = Arc::new(MemoryLedger::default());
    for (played, left_out) in runs {
        let stored = ledger.stored(&played.run)?;
        let Some(stored) = on_hosts(&stored, &wanted.environment, &left_out) else { continue };
        let origin = stored.goes_back_to;
        let (root, store) = (wanted.root.clone(), wanted.store.clone());
        // The ledger that is thrown away does not have the run that a rollback went back to.
        let stored = StoredRun { root, store, goes_back_to: None, ..stored };
        match fleet.or_as_before(|| play(fleet, &kept, &played.run, stored, origin)) {
            Ok(missed) => {
                let (run, what) = (&played.run, played.what());
                known
                    .notes
                    .extend(missed.iter().map(|host| format!("run {run}, which made {what} live, fails on {host} in memory")));
                known.played.push(played);
            }
            Err(Unplayed::Ledger(error)) => return Err(error),
            Err(Unplayed::Failed(why)) => known.notes.push(format!(
                "run {}, which made {} live, cannot be played in memory: {why}; its hosts are taken as they were before it",
                played.run,
                played.what()
            )),
        }
    }
    Ok(known)
}

/// The runs to play, oldest first, each with the hosts that it did not come to; and what is not known of hosts.
fn runs(releases: &[Release], environment: &Environment) -> (Vec<(Played, BTreeSet<HostName>)>, Vec<String>) {
    let stands = |standing: Standing| matches!(standing, Standing::KnownGood | Standing::Live);
    let mut runs: BTreeMap<RunId, i64> = BTreeMap::new();
    let mut notes = Vec::new();
    for track in tracks(releases).iter().filter(|track| environment.hosts.get(track.host.as_str()).is_some()) {
        if let Some(live) = track.live().filter(|live| !stands(live.made.standing)) {
            notes.push(format!(
                "run {} left {} on {} between two versions ({}): the host is taken as it was before it",
                live.run, track.component, track.host, live.made.why
            ));
        }
        for release in track.needed().into_iter().filter(|release| stands(release.made.standing)) {
            let place = runs.entry(release.run.clone()).or_insert(release.n);
            *place = release.n.max(*place);
        }
    }
    let mut order: Vec<(i64, RunId)> = runs.into_iter().map(|(run, n)| (n, run)).collect();
    order.sort();
    let of = |run: RunId| {
        let mut played = Played { run, made: BTreeSet::new(), hosts: BTreeSet::new() };
        let mut left_out = BTreeSet::new();
        for Release { made, .. } in releases.iter().filter(|release| release.run == played.run) {
            if stands(made.standing) {
                played.made.insert((made.component.clone(), made.version.clone()));
                played.hosts.insert(made.host.clone());
            } else {
                left_out.insert(made.host.clone());
            }
        }
        (played, left_out)
    };
    (order.into_iter().map(|(_, run)| of(run)).collect(), notes)
}

/// The run on those of its hosts that are still there, but for these; nothing when none is left.
fn on_hosts(stored: &StoredRun, now: &Environment, left_out: &BTreeSet<HostName>) -> Option<StoredRun> {
    let limit = stored.limit.as_deref().unwrap_or("all");
    let then = selector::select(&stored.environment.hosts, limit).ok()?;
    let names = then.iter().map(|host| &host.name);
    let names: Vec<&str> =
        names.filter(|name| !left_out.contains(*name) && now.hosts.get(name.as_str()).is_some()).map(HostName::as_str).collect();
    if names.is_empty() {
        return None;
    }
    let all = names.len() == now.hosts.hosts().len();
    let limit = (!all).then(|| names.join(","));
    Some(StoredRun { environment: Environment::as_of(&stored.environment, now), limit, ..stored.clone() })
}

/// Why a run was not played.
enum Unplayed {
    /// It does not end well.
    Failed(String),
    /// It could not even be begun.
    Ledger(LedgerError),
}

/// Plays one run; gives the hosts that failed within its budget.
fn play(
    fleet: &Arc<Fleet>,
    ledger: &Arc<dyn Ledger>,
    run: &RunId,
    stored: StoredRun,
    origin: Option<RunId>,
) -> Result<BTreeSet<HostName>, Unplayed> {
    let runner = Runner {
        ledger: ledger.clone(),
        registry: Arc::new(Registry::standard()),
        stack: layers(fleet.clone(), origin),
        watcher: Arc::new(Nobody),
        interrupt: Stop::default(),
        stop: Stop::default(),
        crash: None,
        programs: None,
    };
    // It has done what its plan said.
    let stored = StoredRun { held: None, ..stored };
    let finish = runner.start(&Outset { id: run.clone(), stored, by: "memory".to_owned() }).map_err(Unplayed::Ledger)?;
    if finish.exit != 0 {
        return Err(Unplayed::Failed(why(&finish)));
    }
    let records = ledger.records(run).map_err(Unplayed::Ledger)?;
    let state = RunState::read(&records).map_err(|illegal| Unplayed::Failed(illegal.to_string()))?;
    Ok(state.missed.into_values().flatten().collect())
}

fn why(finish: &Finish) -> String {
    match (&finish.error, &finish.diagnostic) {
        (Some(error), _) => error.to_string(),
        (None, Some(diagnostic)) => diagnostic.message.clone(),
        (None, None) => format!("it ends with exit code {}", finish.exit),
    }
}

/// The fleet, and what the run itself read of its project.
fn layers(fleet: Arc<Fleet>, origin: Option<RunId>) -> StackBuilder {
    Arc::new(move |stored, id, stop, _| {
        let store = Arc::new(DirectoryStore::new(stored.store_directory()));
        let kept = KeptSources::of_ended(store.root(), id.clone(), origin.clone());
        let controller = Controller::new(Path::new(&stored.root), store, kept);
        plan_stack(fleet.clone(), id.clone(), controller, stop, Grounds::default())
    })
}

struct Nobody;

impl Watcher for Nobody {
    fn see(&self, _: &Event) {}
}
