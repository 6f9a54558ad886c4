//! What happened in a scenario, in lines: all of it, or as little as tells a breach.

use super::judge::Breach;
use super::play::Outcome;
use crate::effect::EffectClass;
use crate::interp::fault::{Act, Ended, Moment};
use crate::journal::{Entry, RunPhase};
use serde::Serialize;

/// How many lines tell a breach.
const MOST: usize = 14;

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TraceLine {
    /// Virtual time since the run began, in milliseconds.
    pub millis: i64,
    /// Where.
    pub host: String,
    /// What.
    pub what: String,
    /// How it went, where that is worth a word.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub how: String,
    /// What was made to go wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<&'static str>,
    /// The line of the script.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
    /// Whether the breach shows here.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub breach: bool,
    /// The services of the host, where they are otherwise than before: `web.service active 1.1`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<String>,
}

/// Everything that happened, with whatever the runs said in between.
#[must_use]
pub fn timeline(outcome: &Outcome) -> Vec<TraceLine> {
    lines(outcome, &|_, _| true, None)
}

/// As little as tells a breach: faults, what changed on its host, how services went, how the run went.
pub(super) fn trace(outcome: &Outcome, breach: &Breach) -> Vec<TraceLine> {
    let tells = |at: usize, moment: &Moment| {
        let here = breach.host.as_deref().is_none_or(|host| host == moment.host.as_str());
        let changes = moment.class != EffectClass::Read && !matches!(moment.end, Ended::Unchanged);
        moment.fault.is_some() || Some(at) == breach.at || (here && changes) || matches!(moment.act, Act::Service { .. })
    };
    let mut lines = lines(outcome, &tells, breach.at);
    if breach.at.is_some() {
        // What comes behind it does not explain it.
        let end = lines.iter().position(|line| line.breach).map_or(lines.len(), |at| at + 1);
        lines.truncate(end);
    }
    let mut said = std::collections::BTreeSet::new();
    lines.retain(|line| !line.host.is_empty() || said.insert((line.what.clone(), line.how.clone())));
    if lines.len() > MOST {
        let from = lines.iter().position(|line| line.fault.is_some()).unwrap_or(lines.len() - MOST).saturating_sub(3);
        lines.drain(..from);
        if lines.len() > MOST {
            let cut = lines.len() - MOST + 1;
            let hidden = TraceLine {
                millis: lines[MOST / 2].millis,
                host: String::new(),
                what: format!("… {cut} more"),
                how: String::new(),
                fault: None,
                site: None,
                breach: false,
                services: Vec::new(),
            };
            lines.splice(MOST / 2..MOST / 2 + cut, [hidden]);
        }
    }
    lines
}

/// Every change on every host, and every look that failed, up to a few hundred.
pub(super) fn story(outcome: &Outcome, breach: &Breach) -> Vec<TraceLine> {
    const MOST_OF_A_STORY: usize = 300;
    let tells = |at: usize, moment: &Moment| {
        let changes = moment.class != EffectClass::Read && moment.end != Ended::Unchanged;
        changes || moment.fault.is_some() || moment.sick.is_some() || !moment.took_effect() || Some(at) == breach.at
    };
    let mut lines = lines(outcome, &tells, breach.at);
    lines.truncate(MOST_OF_A_STORY);
    lines
}

fn lines(outcome: &Outcome, tells: &dyn Fn(usize, &Moment) -> bool, breach: Option<usize>) -> Vec<TraceLine> {
    let began = outcome.history.moments.first().map_or(0, |moment| moment.at);
    let site = |moment: &Moment| {
        let step = moment.key().and_then(|key| outcome.state.steps.get(key));
        step.map(|step| step.command.site.to_string())
    };
    let mut lines = Vec::new();
    let mut records = outcome.history.records.iter().peekable();
    let (mut last, mut leg) = (0, 1);
    for (at, moment) in outcome.history.moments.iter().enumerate() {
        while let Some((_, record)) = records.next_if(|(before, _)| *before <= at) {
            lines.extend(told(&record.entry).map(|(what, how)| plain(last, what, how)));
        }
        last = moment.at - began;
        if moment.leg > leg {
            leg = moment.leg;
            let taken_up = outcome.legs.get(usize::from(leg) - 1).map_or("taken up", |leg| leg.what.as_str());
            let killed = outcome.legs.get(usize::from(leg) - 2).is_some_and(|leg| leg.state.is_none());
            let how = if killed { "its process was killed before" } else { "" };
            lines.push(plain(last, format!("windlass {taken_up}"), how.to_owned()));
        }
        if !tells(at, moment) || moment.id.is_none() {
            continue;
        }
        let how = match &moment.end {
            Ended::Changed | Ended::Unheard => String::new(),
            Ended::Unchanged if moment.class == EffectClass::Read => String::new(),
            Ended::Unchanged => "as it was".to_owned(),
            Ended::Failed(why) => format!("failed: {why}"),
        };
        let how = match &moment.sick {
            Some(unit) => format!("{} is not well", unit.split_once(' ').map_or(unit.as_str(), |(_, name)| name)),
            None => how,
        };
        let back = if moment.undoes { "undo: " } else { "" };
        lines.push(TraceLine {
            millis: last,
            host: moment.host.to_string(),
            what: format!("{back}{}", moment.what),
            how,
            fault: moment.fault.map(crate::interp::fault::FaultKind::told),
            site: site(moment),
            breach: breach == Some(at),
            services: moment.units.iter().flat_map(|units| units.iter()).map(shown).collect(),
        });
    }
    for (_, record) in records {
        lines.extend(told(&record.entry).map(|(what, how)| plain(last, what, how)));
    }
    lines
}

fn shown(unit: &crate::interp::simulate::UnitShown) -> String {
    let versions = if unit.is_up() { unit.versions.as_slice() } else { &[] };
    let words = [unit.name(), unit.active.as_str()].into_iter().chain(versions.iter().map(String::as_str));
    words.collect::<Vec<_>>().join(" ")
}

fn plain(millis: i64, what: String, how: String) -> TraceLine {
    TraceLine { millis, host: String::new(), what, how, fault: None, site: None, breach: false, services: Vec::new() }
}

/// How the run goes, in words.
fn told(entry: &Entry) -> Option<(String, String)> {
    Some(match entry {
        Entry::Phase { phase, why, .. } => (format!("the run is {}", phase.word()), why.clone()),
        Entry::RunEnded { state, exit, .. } => (format!("the run has ended: {}", state.word()), format!("exit code {exit}")),
        Entry::ObligationOpened { name, .. } => (format!("\"{name}\" is opened"), String::new()),
        Entry::ObligationDischarged { .. } => ("it is closed".to_owned(), String::new()),
        Entry::UndoFailed { error, .. } => ("an undo failed".to_owned(), error.message.clone()),
        Entry::RunStarted { .. } => (format!("the run is {}", RunPhase::Running.word()), String::new()),
        _ => return None,
    })
}
