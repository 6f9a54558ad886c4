//! Where a rollback goes, and how that is shown before it begins.

use crate::artifact::ArtifactName;
use crate::cli::args::{Format, RollbackArgs};
use crate::cli::error::CliError;
use crate::cli::printer::Printer;
use crate::cli::table::aligned;
use crate::id::{HostName, RunId};
use crate::journal::RunState;
use crate::ledger::{Ledger, Move, Release, Remains, RemainsKind, Track, aim, moves, remains, tracks};
use crate::report::{clock, plain};
use serde_json::json;
use std::collections::BTreeSet;

/// Things that remain are shown up to this many.
const SHOWN: usize = 20;

/// A rollback that has a target.
pub(super) struct Plan {
    environment: String,
    /// What was asked for.
    pub(super) component: ArtifactName,
    /// The release that it goes back to.
    pub(super) to: Release,
    /// What becomes of the hosts that it takes.
    moves: Vec<Move>,
    /// Hosts that never had that version, and that it leaves as they are.
    left: Vec<Move>,
    remains: Vec<Remains>,
    /// When the run that made it had ended.
    made: i64,
    /// Hosts that have the component by the ledger, and that the environment does not have any more.
    gone: BTreeSet<HostName>,
}

impl Plan {
    pub(super) fn make(
        ledger: &dyn Ledger,
        environment: &str,
        args: &RollbackArgs,
        within: &BTreeSet<HostName>,
    ) -> Result<Self, CliError> {
        let releases = ledger.releases(Some(environment))?;
        let all = tracks(&releases);
        let near: Vec<&Track> = all.iter().filter(|track| within.contains(&track.host)).collect();
        let component = component(environment, args, &near)?;
        let own: Vec<&Track> = near.iter().copied().filter(|track| track.component == component).collect();
        let to = aim(&own, args.to.as_ref()).cloned().ok_or_else(|| nowhere(environment, args, &component, &own))?;
        let moves = moves(&releases, &near, &to.made_by, &|host| within.contains(host));
        let never: BTreeSet<HostName> =
            moves.iter().filter(|step| step.never_had && !args.also_missing).map(|step| step.host.clone()).collect();
        let (left, moves) = moves.into_iter().partition(|step| never.contains(&step.host));
        let made = releases.iter().find(|release| release.run == to.made_by).map_or(to.at, |release| release.at);
        let gone = all.iter().filter(|track| args.limit.is_none() && track.component == component && track.live().is_some());
        let gone = gone.map(|track| track.host.clone()).filter(|host| !within.contains(host)).collect();
        let remains = remaining(ledger, environment, &to.made_by, made)?;
        Ok(Self { environment: environment.to_owned(), component, to, made, moves, left, remains, gone })
    }

    /// Whether everything is as it is to be.
    pub(super) fn is_done(&self) -> bool {
        self.moves.iter().all(|step| !step.unsure && step.live.as_ref() == Some(&step.to))
    }

    /// The hosts that its run is limited to.
    pub(super) fn limit(&self, asked: Option<&str>, within: &BTreeSet<HostName>) -> Option<String> {
        if self.left.is_empty() {
            return asked.map(ToOwned::to_owned);
        }
        let taken = within.iter().filter(|host| !self.left.iter().any(|step| step.host == **host));
        Some(taken.map(HostName::as_str).collect::<Vec<_>>().join(","))
    }

    /// Says that there is nothing to do.
    pub(super) fn say_done(&self, printer: &Printer) {
        printer.say(&format!("{} {} is live already: nothing to do", self.component, self.to.made.version));
        self.say_left(printer);
    }

    /// Names the hosts that stay as they are since they never had that version, with what takes them along, or to what was theirs.
    fn say_left(&self, printer: &Printer) {
        for Move { component, host, to, own, live, .. } in &self.left {
            let has = live.as_ref().map_or("nothing".to_owned(), ToString::to_string);
            printer.say(&format!("  {host} never had {component} {to}: left as it is, with {has}"));
            if own.is_some() && own != live {
                let own = format!("windlass rollback -e {} --component {component} --limit {host}", self.environment);
                printer.next(&[("back to what it had itself", own)]);
            }
        }
        if !self.left.is_empty() {
            printer.say("  --also-missing takes them along");
        }
    }

    pub(super) fn show(&self, id: &RunId, printer: &Printer) {
        if printer.format == Format::Json {
            return printer.json(&json!({
                "event": "rollback", "run": id, "environment": self.environment, "component": self.component,
                "to": { "version": self.to.made.version, "artifact": self.to.made.artifact, "made_by": self.to.made_by, "at": self.made },
                "hosts": self.moves, "left": self.left, "remains": self.remains, "gone": self.gone,
            }));
        }
        let (version, made) = (&self.to.made.version, &self.to.made_by);
        let when = clock(self.made);
        printer.say(&format!("{} back to {version}: known-good since {when} UTC, made by run {made}", self.component));
        let rows: Vec<[String; 6]> = self.moves.iter().map(row).collect();
        let heading = ["COMPONENT", "HOST", "LIVE", "", "KNOWN-GOOD", "NOTE"];
        aligned(heading, &rows, printer.paint).iter().for_each(|line| printer.say(&format!("  {line}")));
        self.say_left(printer);
        for host in &self.gone {
            printer.say(&format!("  {host} is not in {} any more: left alone", self.environment));
        }
        self.show_remains(printer);
    }

    fn show_remains(&self, printer: &Printer) {
        if !self.remains.is_empty() {
            printer.say("not taken back, of the runs since then:");
        }
        let what = |remains: &Remains| {
            let hosts: Vec<&str> = remains.hosts.iter().map(HostName::as_str).collect();
            let kind = match remains.kind {
                RemainsKind::PointOfNoReturn => "point of no return".to_owned(),
                RemainsKind::Command if hosts.is_empty() => "command".to_owned(),
                RemainsKind::Command => format!("command on {}", hosts.join(", ")),
            };
            [remains.run.to_string(), remains.site.to_string(), kind, plain(&remains.what).replace('\n', " ")]
        };
        let rows: Vec<[String; 4]> = self.remains.iter().take(SHOWN).map(what).collect();
        if !rows.is_empty() {
            aligned(["RUN", "LINE", "KIND", "WHAT"], &rows, printer.paint)
                .iter()
                .for_each(|line| printer.say(&format!("  {line}")));
        }
        if let Some(more) = self.remains.len().checked_sub(SHOWN).filter(|more| *more > 0) {
            printer.say(&format!("  and {more} more; `windlass show RUN` tells them"));
        }
        printer.say("what databases hold stays, and whatever else later runs made that this script does not touch");
    }
}

fn row(step: &Move) -> [String; 6] {
    let mark = if step.unsure { "?" } else { "" };
    let live = step.live.as_ref().map_or_else(|| "-".to_owned(), |live| format!("{live}{mark}"));
    let note = match (&step.own, &step.live) {
        (Some(own), _) => format!("{} never was known-good there; its own is {own}", step.to),
        (None, Some(live)) if *live == step.to && !step.unsure => "has it".to_owned(),
        _ if step.untried => "nothing ever was known-good there".to_owned(),
        (_, Some(_)) if step.unsure => "left in between by its last run".to_owned(),
        _ => String::new(),
    };
    [step.component.to_string(), step.host.to_string(), live, "->".to_owned(), step.to.to_string(), note]
}

/// The component that is meant.
fn component(environment: &str, args: &RollbackArgs, tracks: &[&Track]) -> Result<ArtifactName, CliError> {
    let known: BTreeSet<&ArtifactName> = tracks.iter().map(|track| &track.component).collect();
    let listed = || known.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    if known.is_empty() {
        let message = format!("no run of {environment} has made a component live yet, as far as the ledger knows");
        let help =
            "a script says what it makes live: component(NAME, #{ hosts, version }); runs that succeed with it are taken down";
        return Err(CliError::new(6, message).with_help(help));
    }
    if let Some(name) = &args.component {
        if known.contains(name) {
            return Ok(name.clone());
        }
        return Err(CliError::usage(format!("there is no component `{name}` in {environment}"))
            .with_help(format!("there are: {}", listed())));
    }
    let of = |name: &ArtifactName| -> Option<&Release> {
        let own: Vec<&Track> = tracks.iter().copied().filter(|track| track.component == *name).collect();
        aim(&own, args.to.as_ref())
    };
    // One script that made all of them goes back with all of them.
    let runs: BTreeSet<Option<&RunId>> = known.iter().map(|name| of(name).map(|release| &release.made_by)).collect();
    match known.first() {
        Some(first) if known.len() == 1 || (runs.len() == 1 && !runs.contains(&None)) => Ok((*first).clone()),
        _ => {
            let way = |name: &&ArtifactName| {
                let to = of(name).map_or_else(|| "nothing earlier".to_owned(), |to| format!("to {}", to.made.version));
                format!("--component {name}: {to}")
            };
            let help = known.iter().map(way).collect::<Vec<_>>().join("\n");
            Err(CliError::usage(format!("{environment} has several components: {}; say which", listed())).with_help(help))
        }
    }
}

/// Why there is no way back, with what there is.
fn nowhere(environment: &str, args: &RollbackArgs, component: &ArtifactName, tracks: &[&Track]) -> CliError {
    let mut good: Vec<&Release> = tracks.iter().flat_map(|track| track.good()).collect();
    good.sort_by_key(|release| std::cmp::Reverse(release.n));
    let mut versions: Vec<&str> = Vec::new();
    for release in good {
        if !versions.contains(&release.made.version.as_str()) {
            versions.push(release.made.version.as_str());
        }
    }
    let known = if versions.is_empty() {
        "nothing of it ever was known-good there".to_owned()
    } else {
        format!("known-good were, newest first: {}", versions.join(", "))
    };
    if let Some(version) = &args.to {
        let message = format!("{component} {version} never was known-good in {environment}");
        return CliError::new(6, message).with_help(known);
    }
    let place = |track: &&Track| {
        let version = |release: Option<&Release>| release.map_or("-", |release| release.made.version.as_str()).to_owned();
        format!("{}: live {}, known-good {}", track.host, version(track.live()), version(track.known_good()))
    };
    let places: Vec<String> = tracks.iter().map(place).collect();
    let message = format!("nothing of {component} in {environment} was known-good before what is live");
    CliError::new(6, message).with_help(format!("{}\n{known}; --to VERSION goes to one of them", places.join("\n")))
}

/// What the runs since then did that stays.
fn remaining(ledger: &dyn Ledger, environment: &str, made_by: &RunId, made: i64) -> Result<Vec<Remains>, CliError> {
    let mut all = Vec::new();
    for row in ledger.runs(Some(environment), usize::MAX)? {
        if row.started < made || row.id == *made_by {
            continue;
        }
        let state = RunState::read(&ledger.records(&row.id)?).map_err(|illegal| CliError::input(illegal.to_string()))?;
        all.extend(remains(&row.id, &state));
    }
    Ok(all)
}
