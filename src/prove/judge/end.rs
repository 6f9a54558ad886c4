//! New everywhere; or as before; or, where the script halts, each host one or the other.

use super::{Breach, Case, Judge, given_up};
use crate::interp::fault::{Ended, Moment};
use crate::interp::simulate::{Snapshot, UnitShown};
use crate::journal::{RunPhase, StepState};
use crate::step::Site;
use std::collections::BTreeSet;

pub(super) fn judge(case: &Case<'_>, breaches: &mut Vec<Breach>) {
    let outcome = case.outcome;
    match outcome.phase() {
        Some(RunPhase::Succeeded) => {
            if let Some(calm) = case.calm {
                let failed = failed_within_budget(case);
                let bodies = given_up::attempts(case);
                let excused = |host: &str, thing: &str| given_up::is_of_an_attempt(case, &bodies, host, thing);
                let differs = differences(case, &calm.end, &outcome.end, &excused);
                let kept = differs.into_iter().filter(|line| !failed.contains(line.host.as_str()));
                let what = match case.again {
                    true => "it succeeded, and a host is not as after the first deploy",
                    false => "it succeeded, and a host is not as after a run without faults",
                };
                breaches.extend(kept.map(|line| line.breach(case, what)));
            }
            missed(case, breaches);
            given_up::hosts(case, breaches);
            given_up::commands(case, breaches);
            stale(case, breaches);
            removed(case, breaches);
        }
        Some(RunPhase::Unwound | RunPhase::Refused) => {
            let differs = differences(case, &outcome.start, &outcome.end, &|_, _| false);
            breaches.extend(differs.into_iter().map(|line| line.breach(case, "it was unwound, and a host is not as before")));
            not_undone(case, breaches);
        }
        Some(RunPhase::Halted) if !outcome.state.is_past_return() => halted(case, breaches),
        Some(RunPhase::Halted) => past_return(case, breaches),
        Some(RunPhase::Stuck) => {
            let why = outcome.last.as_ref().and_then(|finish| finish.stuck.first());
            let message = why.map(|error| plain(case, &error.message)).unwrap_or_default();
            if given_up::is_told_full(case, &message) {
                return;
            }
            let site = why.map(|error| error.site.clone()).filter(|site| *site != crate::step::Site::default());
            breaches.push(Breach {
                judge: Judge::EndState,
                what: format!("it cannot be undone: {message}"),
                host: why.and_then(|error| error.host.as_ref()).map(ToString::to_string),
                site: site.or_else(|| undo_site(case)).or_else(|| case.fault_site()),
                at: None,
                help: "an undo must work whatever was done before the failure, also when nothing was: look first, then undo",
            });
        }
        Some(_) | None => {
            let state = outcome.phase().map_or("without an end", RunPhase::word);
            breaches.push(Breach {
                judge: Judge::EndState,
                what: format!("it comes to no end: it is left {state}"),
                host: None,
                site: case.fault_site(),
                at: None,
                help: "",
            });
        }
    }
}

/// The same deploy, without faults, does not succeed behind what came before it.
pub(super) fn fails_again(case: &Case<'_>) -> Breach {
    let error = case.outcome.last.as_ref().and_then(|finish| finish.error.as_ref());
    let message = error.map(|error| format!(": {}", plain(case, &error.message))).unwrap_or_default();
    Breach {
        judge: Judge::EndState,
        what: format!("it does not succeed, though nothing goes wrong then{message}"),
        host: error.and_then(|error| error.host.as_ref()).map(ToString::to_string),
        site: error.map(|error| error.site.clone()).filter(|site| *site != Site::default()),
        at: None,
        help: "a deploy must work again, whether the one before succeeded or was undone: ask for what is wanted, not for a change",
    }
}

/// Where the last undo that failed was given.
fn undo_site(case: &Case<'_>) -> Option<crate::step::Site> {
    let failed = case.outcome.records.iter().rev().find_map(|record| match &record.entry {
        crate::journal::Entry::UndoFailed { key, .. } => Some(key),
        _ => None,
    });
    failed.and_then(|key| case.site(key))
}

/// A message without the names of hosts and steps: the same cause reads the same.
pub(super) fn plain(case: &Case<'_>, message: &str) -> String {
    let mut text = message.to_owned();
    if let (Some(from), Some(to)) = (text.find("step "), text.find(" could not be undone: ")) {
        text.replace_range(from..to + " could not be undone: ".len(), "");
    }
    for host in case.outcome.start.hosts.keys() {
        text = without_host(&text, host);
    }
    // An address with or without its port stands for a host as well.
    let address = |word: &str| word.split('.').count() == 4 && word.split(['.', ':']).all(|part| part.parse::<u16>().is_ok());
    let is_part = |c: char| c.is_ascii_digit() || c == '.' || c == ':';
    let mut plain = String::new();
    let mut rest = text.as_str();
    while let Some(begin) = rest.find(|c: char| c.is_ascii_digit()) {
        let word = &rest[begin..];
        let word = &word[..word.find(|c: char| !is_part(c)).unwrap_or(word.len())];
        let bare = word.trim_end_matches(['.', ':']);
        plain += &rest[..begin];
        plain += if address(bare) { "ADDRESS" } else { bare };
        rest = &rest[begin + bare.len()..];
    }
    plain + rest
}

/// A text in which a host's name, where it is a word of its own, stands for any host.
pub(in crate::prove) fn without_host(text: &str, host: &str) -> String {
    let part_of_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(host) {
        let (before, after) = (&rest[..at], &rest[at + host.len()..]);
        let whole = !before.ends_with(part_of_word) && !after.starts_with(part_of_word);
        out.push_str(before);
        out.push_str(if whole { "HOST" } else { host });
        rest = after;
    }
    out + rest
}

/// Something of a host that is otherwise.
pub(super) struct Differs {
    host: String,
    thing: String,
    was: Option<String>,
    is: Option<String>,
}

impl Differs {
    pub(super) fn thing(&self) -> &str {
        &self.thing
    }

    pub(super) fn breach(self, case: &Case<'_>, what: &str) -> Breach {
        let host = self.host;
        let name = self.thing.rsplit(' ').next().unwrap_or(&self.thing).trim_end_matches(".service");
        let last = name.rsplit('/').next().unwrap_or(name);
        let site = match self.thing.strip_prefix("service ") {
            // What has it start at boot comes too late where it comes last.
            Some(unit) => case.last_verb(&host, unit, true).map(|(_, site)| site),
            None => case.last_at(&host, &self.thing).or_else(|| case.last_at(&host, last)),
        };
        let how = match (&self.was, &self.is) {
            (None, Some(_)) => "is new there".to_owned(),
            (Some(_), None) => "is gone".to_owned(),
            (Some(was), Some(is)) => format!("is otherwise ({})", instead(is, was)),
            (None, None) => String::new(),
        };
        Breach {
            judge: Judge::EndState,
            what: format!("{what}: {} {how}", self.thing.replace("service system ", "service ")),
            site: site.or_else(|| case.last_command(&host)).or_else(|| case.fault_site()),
            at: None,
            help: "",
            host: Some(host),
        }
    }
}

/// `is` instead of `was`, without what both begin with, where the beginnings tell nothing.
fn instead(is: &str, was: &str) -> String {
    match (is.split_once(" bytes, "), was.split_once(" bytes, ")) {
        (Some(_), Some(_)) => "another content".to_owned(),
        _ => format!("{} instead of {}", short(is), short(was)),
    }
}

fn short(text: &str) -> String {
    if text.chars().count() <= 60 { text.to_owned() } else { text.chars().take(59).chain(['…']).collect() }
}

/// The first thing of each host that is otherwise; what this excuses, by host and name, is left out.
fn differences(case: &Case<'_>, before: &Snapshot, after: &Snapshot, besides: &dyn Fn(&str, &str) -> bool) -> Vec<Differs> {
    let nothing = std::collections::BTreeMap::new();
    let mut all = Vec::new();
    for (host, was) in &before.hosts {
        if case.outcome.is_gone(host) {
            continue;
        }
        let is = after.hosts.get(host).unwrap_or(&nothing);
        let things: BTreeSet<&String> = was.keys().chain(is.keys()).collect();
        // Who could not be told that it is over keeps what was kept, until a later run comes to it.
        let was_gone = case.outcome.history.were_gone.iter().any(|gone| gone.as_str() == host);
        let untold = was_gone || case.outcome.last.is_none();
        let kept = |thing: &String| thing.contains("/.wl-trash-") && (untold || !is.contains_key(thing));
        let told = |thing: &String| thing.strip_prefix("service ").is_some_and(|unit| told_elsewhere(case, host, unit));
        let differ = things.into_iter().filter(|thing| was.get(*thing) != is.get(*thing));
        let as_booted = |thing: &String| {
            let booted = case.outcome.booted.as_ref().and_then(|booted| booted.hosts.get(host));
            thing.starts_with("service ") && booted.is_some_and(|booted| booted.get(thing) == is.get(thing))
        };
        let excused =
            |thing: &String| told(thing) || as_booted(thing) || case.outcome.is_held_open(host, thing) || besides(host, thing);
        let differ: Vec<&String> = differ.filter(|thing| !excused(thing) && !kept(thing)).collect();
        // What runs no more is what matters most.
        let ends = |thing: &&String| thing.starts_with("service ") && !is.contains_key(*thing);
        let first = differ.iter().copied().find(ends).or_else(|| differ.first().copied());
        // One a host is enough: what is missing in a directory is missing with it.
        all.extend(first.map(|thing| Differs {
            host: host.clone(),
            thing: thing.clone(),
            was: was.get(thing).cloned(),
            is: is.get(thing).cloned(),
        }));
    }
    all
}

/// Everything of one host that is otherwise than before the run.
pub(super) fn differences_of(case: &Case<'_>, host: &str) -> Vec<Differs> {
    let nothing = std::collections::BTreeMap::new();
    let was = case.outcome.start.hosts.get(host).unwrap_or(&nothing);
    let is = case.outcome.end.hosts.get(host).unwrap_or(&nothing);
    let things: BTreeSet<&String> = was.keys().chain(is.keys()).collect();
    let were_gone = &case.outcome.history.were_gone;
    let untold = were_gone.iter().any(|gone| gone.as_str() == host);
    let kept = |thing: &str| thing.contains("/.wl-trash-") && (untold || !is.contains_key(thing));
    let differ = things.into_iter().filter(|thing| was.get(*thing) != is.get(*thing));
    let differ = differ.filter(|thing| !kept(thing) && !told_elsewhere(case, host, thing.trim_start_matches("service ")));
    let line = |thing: &String| Differs {
        host: host.to_owned(),
        thing: thing.clone(),
        was: was.get(thing).cloned(),
        is: is.get(thing).cloned(),
    };
    differ.map(line).collect()
}

/// Services of which other breaches tell: that are not well, or that run from old files in the run without faults as well.
fn told_elsewhere(case: &Case<'_>, host: &str, unit: &str) -> bool {
    let succeeded = case.outcome.phase() == Some(RunPhase::Succeeded);
    let sick = case.outcome.sick.iter().any(|(where_, name)| where_ == host && name == unit);
    let stale = |outcome: &super::Outcome| outcome.stale.iter().any(|(name, shown, _)| name == host && shown.unit == unit);
    succeeded && (sick || stale(case.outcome) || case.calm.is_some_and(stale))
}

/// Hosts that failed within what the script allows, and were restored.
fn failed_within_budget(case: &Case<'_>) -> BTreeSet<String> {
    let missed = case.outcome.state.missed.values().flatten();
    missed.map(ToString::to_string).collect()
}

/// A service that runs on from files that are no longer there, or are otherwise by now.
fn stale(case: &Case<'_>, breaches: &mut Vec<Breach>) {
    let failed = failed_within_budget(case);
    for (host, unit, file) in &case.outcome.stale {
        let before = case.outcome.began.get(host).into_iter().flatten().find(|began| began.unit == unit.unit);
        let verb = case.last_verb(host, &unit.unit, false);
        let changed = changed(case, host, unit, file);
        let touched = before.is_none_or(|began| began.pid != unit.pid) || verb.is_some() || changed.is_some();
        // What was changed behind the last word to the service is the line; else that word is.
        let later = changed.filter(|(at, _)| verb.as_ref().is_none_or(|(verb, _)| at > verb));
        let site = later.or(verb).map(|(_, site)| site);
        if case.outcome.is_gone(host) || failed.contains(host) || !touched {
            continue;
        }
        breaches.push(Breach {
            judge: Judge::EndState,
            what: format!("it succeeded, and {} still runs from before: {}", unit.name(), since(file)),
            host: Some(host.clone()),
            site,
            at: None,
            help: "restart the service once its files are in place (a reload does not start another program)",
        });
    }
}

fn since(file: &str) -> String {
    match file.split_once("/releases/") {
        Some((root, _)) => format!("from another release than {root} tells"),
        None => format!("{file} was changed since it was started"),
    }
}

/// The last change of what a service runs from: of the file, of its unit file, or of a link above it.
fn changed(case: &Case<'_>, host: &str, unit: &UnitShown, file: &str) -> Option<(usize, Site)> {
    let stem = unit.name().trim_end_matches(".service");
    let touches = |moment: &Moment| match moment.what.strip_prefix("link ").and_then(|link| link.split(" -> ").next()) {
        Some(link) => link.rsplit_once('/').is_some_and(|(above, _)| file.starts_with(&format!("{above}/"))),
        None if file == "its unit file" => {
            moment.what.ends_with(&format!("/{stem}.service")) || moment.what.contains(&format!("/{stem}.service.d/"))
        }
        None => moment.what.contains(file),
    };
    let moments = case.outcome.history.moments.iter().enumerate().rev();
    let mut fits = moments.filter(|(_, moment)| moment.host.as_str() == host && moment.end == Ended::Changed && touches(moment));
    fits.find_map(|(at, _)| Some((at, case.moment_site(at)?)))
}

/// The first service of a host that ran before, and that does not run well now.
fn serves_no_more<'a>(case: &Case<'a>, host: &str) -> Option<&'a UnitShown> {
    let outcome = case.outcome;
    let serves = |unit: &UnitShown| {
        let now = outcome.end.hosts.get(host).and_then(|things| things.get(&format!("service {}", unit.unit)));
        let sick = outcome.sick.iter().any(|(name, sick)| name == host && *sick == unit.unit);
        !sick && now.is_some_and(|now| now.starts_with("active"))
    };
    outcome.began.get(host)?.iter().find(|unit| unit.is_up() && !serves(unit))
}

/// A host that failed within what the script allows was restored: what ran there runs.
fn missed(case: &Case<'_>, breaches: &mut Vec<Breach>) {
    for host in failed_within_budget(case).into_iter().filter(|host| !case.outcome.is_gone(host)) {
        let Some(unit) = serves_no_more(case, &host) else { continue };
        breaches.push(Breach {
            judge: Judge::EndState,
            what: format!("it succeeded with a host that failed, and {} does not run well there, as it did before", unit.name()),
            site: case.last_verb(&host, &unit.unit, false).map(|(_, site)| site).or_else(|| case.fault_site()),
            host: Some(host),
            at: None,
            help: "",
        });
    }
}

/// Behind a point of no return nothing is restored; what served before must serve all the same.
fn past_return(case: &Case<'_>, breaches: &mut Vec<Breach>) {
    let outcome = case.outcome;
    let declared = case.commands.values().find(|command| command.op == crate::op::PointOfNoReturn::WORD);
    if let Some(calm) = case.calm {
        let has = |snapshot: &Snapshot, host: &str, thing: &str| {
            snapshot.hosts.get(host).is_some_and(|things| things.contains_key(thing))
        };
        let is_known = |host: &str, thing: &str| has(&outcome.start, host, thing) || has(&calm.end, host, thing);
        let differs = differences(case, &outcome.start, &outcome.end, &is_known);
        let what = "it halted behind its point of no return, and something stays that neither was there nor is to be";
        breaches.extend(differs.into_iter().map(|line| line.breach(case, what)));
    }
    for host in outcome.began.keys().filter(|host| !outcome.is_gone(host)) {
        let Some(unit) = serves_no_more(case, host) else { continue };
        breaches.push(Breach {
            judge: Judge::EndState,
            what: format!(
                "it halted behind its point of no return, and {} does not run well there, as it did before",
                unit.name()
            ),
            host: Some(host.clone()),
            site: declared.map(|command| command.site.clone()),
            at: None,
            help: "declare it right before what cannot be undone, once all hosts are new and well",
        });
    }
}

/// What ran before is what a rollback goes back to.
fn removed(case: &Case<'_>, breaches: &mut Vec<Breach>) {
    for (host, path) in &case.outcome.removed {
        let release = path.contains("/releases/") || path.contains("/versions/");
        if !release || case.outcome.is_gone(host) {
            continue;
        }
        let directory = path
            .split_inclusive('/')
            .take(path.split('/').position(|part| part == "releases" || part == "versions").unwrap_or(0) + 2);
        let directory: String = directory.collect();
        let directory = directory.trim_end_matches('/');
        breaches.push(Breach {
            judge: Judge::EndState,
            what: format!("it succeeded, and the release that ran before is gone: {directory}; there is no way back"),
            host: Some(host.clone()),
            site: case.last_at(host, directory).or_else(|| case.last_at(host, "remove")),
            at: None,
            help: "keep at least the release that ran before: std/release keeps it, and what is known-good",
        });
    }
}

/// Commands that ran, that nothing undoes, and of which the script does not say that this is so.
fn not_undone(case: &Case<'_>, breaches: &mut Vec<Breach>) {
    let ran: BTreeSet<&crate::id::StepKey> =
        case.outcome.history.moments.iter().filter(|moment| moment.took_effect()).filter_map(|moment| moment.key()).collect();
    for (key, step) in case.outcome.state.commands_without_undo() {
        if !ran.contains(key) {
            continue;
        }
        if is_declared(case, step) {
            continue;
        }
        breaches.push(not_undone_breach(case, step));
    }
}

/// Whether the script says that what a command did stays, or its host is gone.
pub(super) fn is_declared(case: &Case<'_>, step: &StepState) -> bool {
    step.command.args["irreversible"].is_string() || case.outcome.is_gone(step.command.host.as_str())
}

pub(super) fn not_undone_breach(case: &Case<'_>, step: &StepState) -> Breach {
    Breach {
        judge: Judge::EndState,
        what: format!("it was undone, and nothing undoes `{}`", plain(case, &step.summary)),
        host: Some(step.command.host.to_string()),
        site: Some(step.command.site.clone()),
        at: None,
        help: "say how: `undo: \"COMMAND\"`, `writes: [PATHS]`, `again: \"safe\"`; or that it stays: `irreversible: \"WHY\"`",
    }
}

/// Each host is as before, or new.
fn halted(case: &Case<'_>, breaches: &mut Vec<Breach>) {
    let Some(calm) = case.calm else { return };
    let outcome = case.outcome;
    for host in outcome.start.hosts.keys().filter(|host| !outcome.is_gone(host)) {
        let is = outcome.end.hosts.get(host);
        if is == outcome.start.hosts.get(host) || is == calm.end.hosts.get(host) {
            continue;
        }
        let one = |snapshot: &Snapshot| Snapshot {
            hosts: snapshot
                .hosts
                .iter()
                .filter(|(name, _)| *name == host)
                .map(|(name, things)| (name.clone(), things.clone()))
                .collect(),
        };
        let line = differences(case, &one(&outcome.start), &one(&outcome.end), &|_, _| false).into_iter().next();
        breaches.extend(line.map(|line| line.breach(case, "it halted, and a host is neither as before nor new")));
    }
}
