//! New everywhere; or as before; or, where the script halts, each host one or the other.

use super::{Breach, Case, Judge};
use crate::interp::simulate::Snapshot;
use crate::journal::RunPhase;
use std::collections::BTreeSet;

pub(super) fn judge(case: &Case<'_>, breaches: &mut Vec<Breach>) {
    let outcome = case.outcome;
    match outcome.phase() {
        Some(RunPhase::Succeeded) => {
            if let Some(calm) = case.calm {
                let failed = failed_within_budget(case);
                let differs = differences(case, &calm.end, &outcome.end);
                let kept = differs.into_iter().filter(|line| !failed.contains(line.host.as_str()));
                breaches
                    .extend(kept.map(|line| line.breach(case, "it succeeded, and a host is not as after a run without faults")));
            }
            stale(case, breaches);
            removed(case, breaches);
        }
        Some(RunPhase::Unwound | RunPhase::Refused) => {
            let differs = differences(case, &outcome.start, &outcome.end);
            breaches.extend(differs.into_iter().map(|line| line.breach(case, "it was unwound, and a host is not as before")));
            not_undone(case, breaches);
        }
        Some(RunPhase::Halted) if !outcome.state.is_past_return() => halted(case, breaches),
        Some(RunPhase::Halted) => {}
        Some(RunPhase::Stuck) => {
            let why = outcome.last.as_ref().and_then(|finish| finish.stuck.first());
            let message = why.map(|error| plain(case, &error.message)).unwrap_or_default();
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
    text
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
struct Differs {
    host: String,
    thing: String,
    was: Option<String>,
    is: Option<String>,
}

impl Differs {
    fn breach(self, case: &Case<'_>, what: &str) -> Breach {
        let name = self.thing.rsplit(' ').next().unwrap_or(&self.thing).trim_end_matches(".service");
        let last = name.rsplit('/').next().unwrap_or(name);
        let site = case.last_at(&self.host, &self.thing).or_else(|| case.last_at(&self.host, last));
        let how = match (&self.was, &self.is) {
            (None, Some(_)) => "is new there".to_owned(),
            (Some(_), None) => "is gone".to_owned(),
            (Some(was), Some(is)) => format!("is otherwise ({} instead of {})", short(is), short(was)),
            (None, None) => String::new(),
        };
        Breach {
            judge: Judge::EndState,
            what: format!("{what}: {} {how}", self.thing),
            host: Some(self.host),
            site: site.or_else(|| case.fault_site()),
            at: None,
            help: "",
        }
    }
}

fn short(text: &str) -> String {
    if text.chars().count() <= 60 { text.to_owned() } else { text.chars().take(59).chain(['…']).collect() }
}

fn differences(case: &Case<'_>, before: &Snapshot, after: &Snapshot) -> Vec<Differs> {
    let nothing = std::collections::BTreeMap::new();
    let mut all = Vec::new();
    for (host, was) in &before.hosts {
        if case.outcome.is_gone(host) {
            continue;
        }
        let is = after.hosts.get(host).unwrap_or(&nothing);
        let things: BTreeSet<&String> = was.keys().chain(is.keys()).collect();
        let first = things.into_iter().find(|thing| was.get(*thing) != is.get(*thing));
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
        let changed = case.last_at(host, file.rsplit('/').next().unwrap_or(file)).or_else(|| case.last_at(host, unit.name()));
        let touched = before.is_none_or(|began| began.pid != unit.pid) || changed.is_some();
        if case.outcome.is_gone(host) || failed.contains(host) || !touched {
            continue;
        }
        breaches.push(Breach {
            judge: Judge::EndState,
            what: format!("it succeeded, and {} still runs from before: {file} was changed since it was started", unit.name()),
            host: Some(host.clone()),
            site: changed,
            at: None,
            help: "restart the service once its files are in place (a reload does not start another program)",
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
        if step.command.args["irreversible"].is_string() || case.outcome.is_gone(step.command.host.as_str()) {
            continue;
        }
        let command = plain(case, &step.summary);
        breaches.push(Breach {
            judge: Judge::EndState,
            what: format!("it was unwound, and nothing undoes `{command}`"),
            host: Some(step.command.host.to_string()),
            site: Some(step.command.site.clone()),
            at: None,
            help: "say how: `undo: \"COMMAND\"`, `writes: [PATHS]`, `again: \"safe\"`; or that it stays: `irreversible: \"WHY\"`",
        });
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
        let line = differences(case, &one(&outcome.start), &one(&outcome.end)).into_iter().next();
        breaches.extend(line.map(|line| line.breach(case, "it halted, and a host is neither as before nor new")));
    }
}
