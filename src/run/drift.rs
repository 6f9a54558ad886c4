//! Whether the hosts are still as a run left them: what its completed steps made is looked at before it goes on.

use crate::effect::{
    Compensation, Content, Effect, EffectError, Effects, FileKind, FileStat, Invocation, Login, Postcondition,
    PostconditionSubject, Reply, ServiceState, ServiceUnit, UnitScope, Words,
};
use crate::id::{Digest, HostName, RemotePath, StepKey};
use crate::journal::{RunState, StepState, StepStatus, UndoState};
use crate::op::{GuardArm, GuardConfirm, Operation as _};
use crate::step::Site;
use serde::Serialize;
use serde_json::Value;
use similar::TextDiff;
use std::collections::{BTreeMap, BTreeSet};
use std::thread;

/// What is not as a run left it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Drift {
    /// What somebody else has changed.
    pub drifted: Vec<Drifted>,
    /// What differs, and may well have been changed by a command of the run itself.
    pub explained: Vec<Drifted>,
    /// Hosts that could not be looked at.
    pub unseen: BTreeSet<HostName>,
}

/// One thing that is not as a step left it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Drifted {
    /// Where.
    pub host: HostName,
    /// The step that made it.
    pub step: StepKey,
    /// Where the script asks for that.
    pub site: Site,
    /// What it was, and what it is.
    pub what: String,
    /// The difference, of a text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diff: Option<String>,
    /// The command of the run that came later, and that may have changed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub perhaps: Option<String>,
    /// The content that is expected, where the difference can be shown.
    #[serde(skip)]
    pub(super) file: Option<(RemotePath, Digest)>,
}

/// What is to hold, and since when.
struct Expected<'a> {
    at: Login,
    key: &'a StepKey,
    site: &'a Site,
    seq: u64,
    condition: &'a Postcondition,
}

/// Commands of the run, by host: what they change is not known.
type Opaque<'a> = BTreeMap<&'a HostName, Vec<(u64, &'a StepState)>>;

/// Looks at all that completed steps made.
pub(super) fn look(state: &RunState, effects: &dyn Effects) -> Drift {
    let (expected, opaque) = expected(state);
    let mut by_host: BTreeMap<&HostName, Vec<&Expected<'_>>> = BTreeMap::new();
    for one in &expected {
        by_host.entry(&one.at.host).or_default().push(one);
    }
    let mut drift = Drift::default();
    let found: Vec<_> = thread::scope(|scope| {
        let spawn = |(host, list)| {
            let list: &Vec<&Expected<'_>> = list;
            let host: &HostName = host;
            (host.clone(), thread::Builder::new().spawn_scoped(scope, move || on_host(list, effects)))
        };
        let threads: Vec<_> = by_host.iter().map(|(host, list)| spawn((*host, list))).collect();
        threads.into_iter().map(|(host, thread)| (host, thread.ok().and_then(|thread| thread.join().ok()).flatten())).collect()
    });
    for (host, found) in found {
        match found {
            None => drop(drift.unseen.insert(host)),
            Some(found) => found.into_iter().for_each(|(seq, changed, drifted)| drift.add(seq, changed, drifted, &opaque)),
        }
    }
    drift
}

/// The first of these that is not as it was made, in words; what cannot be looked at is taken to be.
pub(super) fn first_of(made: &[(Login, Postcondition)], key: &StepKey, effects: &dyn Effects) -> Option<String> {
    made.iter().find_map(|(at, condition)| {
        let one = Expected { at: at.clone(), key, site: &Site::default(), seq: 0, condition };
        differs(&one, effects).ok().flatten().map(|what| told(condition, &what))
    })
}

impl Drift {
    /// What was changed before a later command of the run had ended may well be that command's doing; what was changed since is not.
    fn add(&mut self, seq: u64, changed: Option<i64>, mut drifted: Drifted, opaque: &Opaque<'_>) {
        let later = opaque.get(&drifted.host).into_iter().flatten().filter(|(at, _)| *at > seq).map(|(_, step)| step);
        let explains = |step: &&&StepState| changed.zip(step.ended).is_some_and(|(changed, ended)| changed <= ended);
        let told = |step: &StepState, how: &str| format!("`{}` at {}, {how}", step.summary, step.command.site);
        match later.clone().find(explains) {
            Some(step) => {
                drifted.perhaps = Some(told(step, "which ran after it"));
                self.explained.push(drifted);
            }
            None => {
                let open = later.clone().find(|step| step.ended.is_none());
                drifted.perhaps = open.map(|step| told(step, "whose end is not on record"));
                self.drifted.push(drifted);
            }
        }
    }

    /// Steps of which it is wanted what they wrote.
    pub(super) fn steps(&self) -> BTreeSet<StepKey> {
        self.drifted.iter().filter(|drifted| drifted.file.is_some()).map(|drifted| drifted.step.clone()).collect()
    }

    /// Adds the differences, now that it is known what was written.
    pub(super) fn show(&mut self, contents: &BTreeMap<(StepKey, RemotePath), Content>, state: &RunState, effects: &dyn Effects) {
        const LIMIT: u64 = 256 << 10;
        for drifted in &mut self.drifted {
            let Some((path, digest)) = &drifted.file else { continue };
            let Some(wanted) = contents.get(&(drifted.step.clone(), path.clone())).filter(|c| c.digest() == *digest) else {
                continue;
            };
            let Some(step) = state.steps.get(&drifted.step) else { continue };
            if is_closed(&step.command.login(), path, effects) {
                continue;
            }
            let read = effects.perform(&step.command.login(), &Effect::Read { path: path.clone(), limit: LIMIT });
            let (Some(before), Ok(Reply::Content(now))) = (wanted.text(), read) else { continue };
            let Some(now) = now.text() else { continue };
            let names = (format!("{path} (as the run left it)"), format!("{path} (as it is)"));
            let diff = TextDiff::from_lines(before, now);
            drifted.diff = Some(diff.unified_diff().context_radius(3).header(&names.0, &names.1).to_string());
        }
    }
}

/// Whether only its owner may read a file: what is in it is shown to nobody.
fn is_closed(at: &Login, path: &RemotePath, effects: &dyn Effects) -> bool {
    let Ok(Reply::Stat(Some(stat))) = effects.perform(at, &Effect::Stat { path: path.clone() }) else { return true };
    u32::from_str_radix(&stat.mode, 8).is_ok_and(|mode| mode & 0o077 == 0)
}

/// The last thing that is to hold of each subject, and the commands of which it is not known what they changed.
fn expected(state: &RunState) -> (Vec<Expected<'_>>, Opaque<'_>) {
    let mut all: Vec<(&StepKey, &StepState, &UndoState)> =
        state.steps.iter().flat_map(|(key, step)| step.undos.values().map(move |undo| (key, step, undo))).collect();
    all.sort_by_key(|(.., undo)| undo.seq);
    let mut opaque: Opaque<'_> = BTreeMap::new();
    let mut holds: BTreeMap<(&HostName, PostconditionSubject), Option<Expected<'_>>> = BTreeMap::new();
    for (key, step, undo) in all {
        let host = &step.command.host;
        if matches!(undo.undo, Compensation::End { .. } | Compensation::Reboot { .. }) && !step.is_void() {
            opaque.entry(host).or_default().push((undo.seq, step));
        }
        let stands = matches!(step.status, StepStatus::Succeeded { .. })
            && step.undos.values().all(|undo| undo.parts.is_empty())
            && guarded_since(state, host).is_none_or(|since| undo.seq < since);
        for condition in &undo.makes {
            if let Some(path) = condition.path().filter(|_| condition.covers_below()) {
                holds.retain(|(other, subject), _| *other != host || !is_below(subject, path));
            }
            let one = Expected { at: step.command.login(), key, site: &step.command.site, seq: undo.seq, condition };
            holds.insert((host, condition.subject()), stands.then_some(one));
        }
    }
    (holds.into_values().flatten().collect(), opaque)
}

/// The record with which a guarded block began that was not confirmed: the host may have taken back by itself what came after.
fn guarded_since(state: &RunState, host: &HostName) -> Option<u64> {
    let here = || state.steps.values().filter(|step| step.command.host == *host);
    let confirmed = |guard: &Value| {
        let well = |step: &StepState| matches!(step.status, StepStatus::Succeeded { .. });
        here().any(|step| step.command.op == GuardConfirm::NAME && well(step) && step.command.args["guard"] == *guard)
    };
    let open = here().filter(|step| match &step.status {
        StepStatus::Succeeded { output, .. } => step.command.op == GuardArm::NAME && !confirmed(output),
        _ => step.command.op == GuardArm::NAME,
    });
    open.flat_map(|step| step.undos.values()).map(|undo| undo.seq).min()
}

fn is_below(subject: &PostconditionSubject, top: &RemotePath) -> bool {
    let (PostconditionSubject::Path(path) | PostconditionSubject::Mode(path)) = subject else { return false };
    path.as_str().strip_prefix(top.as_str()).is_some_and(|rest| rest.starts_with('/'))
        || matches!(subject, PostconditionSubject::Mode(path) if path == top)
}

/// What differs there; nothing when the host cannot be looked at.
fn on_host(expected: &[&Expected<'_>], effects: &dyn Effects) -> Option<Vec<(u64, Option<i64>, Drifted)>> {
    let mut found = Vec::new();
    let mut ahead = None;
    for one in expected {
        let what = match differs(one, effects) {
            Ok(None) => continue,
            Ok(Some(what)) => what,
            Err(
                EffectError::Unreachable { .. }
                | EffectError::Denied { .. }
                | EffectError::Lost { .. }
                | EffectError::Interrupted
                | EffectError::Left { .. },
            ) => return None,
            Err(error) => format!("cannot be looked at: {error}"),
        };
        let file = match one.condition {
            Postcondition::File { path, digest } => Some((path.clone(), digest.clone())),
            _ => None,
        };
        // How far the host's clock is ahead of ours is asked once.
        let ahead = *ahead.get_or_insert_with(|| clock_ahead(one, effects));
        let changed = ahead.and_then(|ahead| Some(changed_at(one, effects)? - ahead));
        let (host, step, site) = (one.at.host.clone(), one.key.clone(), one.site.clone());
        found.push((
            one.seq,
            changed,
            Drifted { host, step, site, what: told(one.condition, &what), diff: None, perhaps: None, file },
        ));
    }
    Some(found)
}

fn told(condition: &Postcondition, what: &str) -> String {
    match condition {
        Postcondition::Active { unit, .. } | Postcondition::Enabled { unit, .. } => format!("the service {} {what}", unit.name),
        _ => match condition.path() {
            Some(path) => format!("{path} {what}"),
            None => what.to_owned(),
        },
    }
}

/// How it is otherwise than expected, as the end of a sentence.
fn differs(one: &Expected<'_>, effects: &dyn Effects) -> Result<Option<String>, EffectError> {
    let stat = |path: &RemotePath| match effects.perform(&one.at, &Effect::Stat { path: path.clone() })? {
        Reply::Stat(stat) => Ok(stat),
        _ => Ok(None),
    };
    let service = |unit: &ServiceUnit| match effects.perform(&one.at, &Effect::ServiceStatus { unit: unit.clone() })? {
        Reply::Service { state, .. } => Ok(state),
        _ => Ok(ServiceState::default()),
    };
    Ok(match one.condition {
        Postcondition::File { path, digest } => match effects.perform(&one.at, &Effect::Digest { path: path.clone() })? {
            Reply::Digest(Some(found)) if found == *digest => None,
            Reply::Digest(Some(found)) => Some(format!("has other content: sha256 {}, was {}", found.short(), digest.short())),
            _ => Some("is gone".to_owned()),
        },
        Postcondition::Link { path, target } => match stat(path)? {
            Some(stat) if stat.kind == FileKind::Link => {
                let now = stat.target.unwrap_or_default();
                (now != *target).then(|| format!("points to {now}, pointed to {target}"))
            }
            Some(_) => Some(format!("is no link any more, pointed to {target}")),
            None => Some("is gone".to_owned()),
        },
        Postcondition::Directory { path } | Postcondition::Tree { path } => match stat(path)? {
            Some(stat) if matches!(stat.kind, FileKind::Directory | FileKind::Link) => None,
            Some(_) => Some("is no directory any more".to_owned()),
            None => Some("is gone".to_owned()),
        },
        Postcondition::Present { path } => stat(path)?.is_none().then(|| "is gone".to_owned()),
        Postcondition::Absent { path } => stat(path)?.is_some().then(|| "is there, and was not".to_owned()),
        Postcondition::Mode { path, mode } => {
            let bits = |stat: &FileStat| u32::from_str_radix(&stat.mode, 8).ok();
            let now = stat(path)?.filter(|stat| stat.kind != FileKind::Link);
            now.filter(|now| bits(now) != Some(*mode)).map(|now| format!("has mode {}, had {mode:04o}", now.mode))
        }
        Postcondition::Active { unit, active } => {
            let now = service(unit)?.active;
            let same = (now == "active" || now == "reloading") == *active || (*active && ends_by_itself(one, unit, effects)?);
            (!same).then(|| format!("is {now}, was {}", if *active { "active" } else { "stopped" }))
        }
        Postcondition::Enabled { unit, enabled } => {
            let now = service(unit)?.enabled;
            let is = matches!(now.as_str(), "enabled" | "static" | "alias" | "enabled-runtime" | "linked");
            (*enabled && !is || !*enabled && now == "enabled").then(|| {
                format!(
                    "is {}, was {}",
                    if now.is_empty() { "gone" } else { &now },
                    if *enabled { "enabled" } else { "disabled" }
                )
            })
        }
    })
}

/// Whether a service does its work and ends: it is not expected to be active for longer.
fn ends_by_itself(one: &Expected<'_>, unit: &ServiceUnit, effects: &dyn Effects) -> Result<bool, EffectError> {
    let scope = if unit.scope == UnitScope::User { "--user" } else { "--system" };
    let words = ["systemctl", scope, "show", "--no-pager", "-p", "Type", "--value", "--", &unit.name];
    // Where there is no systemd, what is started goes on.
    Ok(said(one, &words, effects)?.is_some_and(|text| text.trim() == "oneshot"))
}

/// By how many milliseconds the host's clock is ahead of this machine's, at most: of a few askings the one that says least. So what
/// changed is taken to have changed as early as may be: only what surely came after a command is not put down to it.
fn clock_ahead(one: &Expected<'_>, effects: &dyn Effects) -> Option<i64> {
    const ASKINGS: u32 = 3;
    let asked = (0..ASKINGS).map(|_| {
        let Ok(Reply::Time(here)) = effects.perform(&Login::controller(), &Effect::Now) else { return None };
        let there = millis(&said(one, &["date", "+%s.%N"], effects).ok()??)?;
        // Both are cut to whole milliseconds.
        Some(there - here + 1)
    });
    // The time that it takes to ask, and to connect at first, is in each.
    asked.flatten().min()
}

/// When it came to be as it is, by the host's clock: of what is gone, when something in its directory last came or went.
fn changed_at(one: &Expected<'_>, effects: &dyn Effects) -> Option<i64> {
    // Relative to the home directory, in which commands begin.
    let path = one.condition.path()?.as_str();
    let path = path.strip_prefix("~/").map_or_else(|| path.to_owned(), |rest| format!("./{rest}"));
    let above = path.rsplit_once('/').map_or("/", |(above, _)| if above.is_empty() { "/" } else { above });
    let format = if matches!(one.condition, Postcondition::Mode { .. }) { "%.Z" } else { "%.Y" };
    let at = |path: &str| millis(&said(one, &["stat", "-c", format, "--", path], effects).ok()??);
    at(&path).or_else(|| at(above))
}

/// Seconds since 1970 with a fraction, in milliseconds.
fn millis(text: &str) -> Option<i64> {
    let (seconds, fraction) = text.trim().split_once(['.', ',']).unwrap_or((text.trim(), "0"));
    let thousandths: String = fraction.chars().chain("000".chars()).take(3).collect();
    Some(seconds.parse::<i64>().ok()? * 1000 + thousandths.parse::<i64>().ok()?)
}

/// What a command prints that only looks; nothing when it fails.
fn said(one: &Expected<'_>, words: &[&str], effects: &dyn Effects) -> Result<Option<String>, EffectError> {
    let command = Invocation {
        words: Words::List(words.iter().map(ToString::to_string).collect()),
        directory: None,
        environment: BTreeMap::new(),
        stdin: None,
        timeout_seconds: Some(10),
    };
    Ok(match effects.perform(&one.at, &Effect::Probe { command })? {
        Reply::Command(said) if said.code == 0 => said.stdout.text().map(ToOwned::to_owned),
        _ => None,
    })
}
