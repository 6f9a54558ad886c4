//! Judges: each looks at what came of a scenario and says what is not as it must be. Pure.

mod capacity;
mod debts;
mod end;
mod given_up;
mod mixes;
mod once;
mod truth;

pub(super) use end::without_host;
pub(super) use given_up::speaks_of;

use super::play::Outcome;
use crate::effect::{EffectClass, Verb};
use crate::id::StepKey;
use crate::interp::fault::{Act, Broken, Moment};
use crate::journal::{Entry, RunPhase};
use crate::op::Component;
use crate::step::{Command, Site};
use serde::Serialize;
use std::collections::BTreeMap;

/// Who found a breach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Judge {
    /// New everywhere, or as before.
    EndState,
    /// Enough hosts serve, at every moment.
    Capacity,
    /// Versions that do not go together are never both live.
    Mixes,
    /// Nothing is left open or owed.
    Debts,
    /// What happens once happens once.
    Once,
    /// What is said is so, and no secret is said.
    Truth,
    /// What the script itself says must hold.
    Invariant,
}

impl Judge {
    /// Its name.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::EndState => "end state",
            Self::Capacity => "capacity",
            Self::Mixes => "mixes",
            Self::Debts => "debts",
            Self::Once => "once",
            Self::Truth => "truth",
            Self::Invariant => "invariant",
        }
    }
}

/// Something that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breach {
    /// Who says so.
    pub judge: Judge,
    /// What, without the names of hosts: the same cause reads the same.
    pub what: String,
    /// On which host, where it is one.
    pub host: Option<String>,
    /// The line of the script that it comes from.
    pub site: Option<Site>,
    /// The moment at which it shows; the end otherwise.
    pub at: Option<usize>,
    /// How it can be mended.
    pub help: &'static str,
}

/// What is not as it must be in an outcome; `calm` is the run without faults, when there is one to compare with.
#[must_use]
pub fn judge(outcome: &Outcome, calm: Option<&Outcome>) -> Vec<Breach> {
    let case = Case::new(outcome, calm);
    let mut breaches = Vec::new();
    capacity::judge(&case, &mut breaches);
    mixes::judge(&case, &mut breaches);
    end::judge(&case, &mut breaches);
    debts::judge(&case, &mut breaches);
    once::judge(&case, &mut breaches);
    truth::judge(&case, &mut breaches);
    breaches.extend(invariants(&case));
    breaches
}

/// How what shows in the same deploy once more begins.
pub(super) const AGAIN: &str = "deployed once more: ";

/// What is not as it must be in the same deploy once more, behind an outcome; `calm` is the run without faults.
#[must_use]
pub fn judge_again(next: &Outcome, calm: &Outcome) -> Vec<Breach> {
    // Where deploys take turns, it may be the turn of either.
    let turn = calm.next.as_deref().filter(|other| other.end == next.end);
    let case = Case { again: true, ..Case::new(next, Some(turn.unwrap_or(calm))) };
    let mut breaches = Vec::new();
    capacity::judge(&case, &mut breaches);
    mixes::judge(&case, &mut breaches);
    end::judge(&case, &mut breaches);
    debts::judge(&case, &mut breaches);
    truth::judge(&case, &mut breaches);
    breaches.extend(invariants(&case));
    let faulty = next.scenario.again.as_ref().is_some_and(|faults| !faults.is_empty());
    if !faulty && next.phase() != Some(RunPhase::Succeeded) {
        breaches = vec![end::fails_again(&case)];
    }
    breaches.into_iter().map(|breach| Breach { what: format!("{AGAIN}{}", breach.what), ..breach }).collect()
}

/// What the script says must hold, and did not: the first moment of each.
fn invariants(case: &Case<'_>) -> Vec<Breach> {
    let mut told = std::collections::BTreeSet::new();
    let first = case.outcome.history.broken.iter().filter(|broken| told.insert(broken.name.clone()));
    let breach = |broken: &Broken| Breach {
        judge: Judge::Invariant,
        what: format!(
            "\"{}\" does not hold{}",
            broken.name,
            if broken.why.is_empty() { String::new() } else { format!(": {}", end::plain(case, &broken.why)) }
        ),
        host: case.outcome.history.moments.get(broken.at).map(|moment| moment.host.to_string()),
        site: case.moment_site(broken.at).or_else(|| Some(broken.site.clone())),
        at: Some(broken.at),
        help: "",
    };
    first.map(breach).collect()
}

/// An outcome with what is looked up in it.
pub(super) struct Case<'a> {
    pub(super) outcome: &'a Outcome,
    pub(super) calm: Option<&'a Outcome>,
    pub(super) commands: BTreeMap<&'a StepKey, &'a Command>,
    /// Whether it is a deploy that came behind another one.
    pub(super) again: bool,
}

impl<'a> Case<'a> {
    fn new(outcome: &'a Outcome, calm: Option<&'a Outcome>) -> Self {
        let started = |outcome: &'a Outcome| {
            outcome.records.iter().filter_map(|record| match &record.entry {
                Entry::Started { key, command, .. } => Some((key, command)),
                _ => None,
            })
        };
        // What a fault cut off before it was on record is known from the run without faults.
        let mut commands: BTreeMap<_, _> = calm.into_iter().flat_map(started).collect();
        commands.extend(started(outcome));
        Self { outcome, calm, commands, again: false }
    }

    pub(super) fn site(&self, key: &StepKey) -> Option<Site> {
        self.commands.get(key).map(|command| command.site.clone()).filter(|site| *site != Site::default())
    }

    /// What the run declares that it makes live, with the lines.
    pub(super) fn components(&self) -> Vec<(Component, Site)> {
        let declared = self.commands.values().filter(|command| command.op == Component::WORD);
        let read = |command: &&&Command| Some((serde_json::from_value(command.args.clone()).ok()?, command.site.clone()));
        declared.filter_map(|command| read(&command)).collect()
    }

    pub(super) fn moment_site(&self, at: usize) -> Option<Site> {
        self.outcome.history.moments.get(at).and_then(|moment| moment.key()).and_then(|key| self.site(key))
    }

    /// The moment at which a fault came to pass, and its line.
    pub(super) fn fault_site(&self) -> Option<Site> {
        let at = self.outcome.history.moments.iter().position(|moment| moment.fault.is_some())?;
        self.moment_site(at)
    }

    /// The last step that went at something of a host, by a part of its words.
    pub(super) fn last_at(&self, host: &str, part: &str) -> Option<Site> {
        let moments = self.outcome.history.moments.iter().rev();
        let fits =
            moments.filter(|moment| moment.host.as_str() == host && moment.took_effect() && moment.class != EffectClass::Read);
        fits.filter(|moment| moment.what.contains(part)).find_map(|moment| moment.key().and_then(|key| self.site(key)))
    }

    /// The last word to a service that could have it run otherwise, or, if that counts, at the next boot; with its moment, and
    /// whether it took effect or not.
    pub(super) fn last_verb(&self, host: &str, unit: &str, at_boot: bool) -> Option<(usize, Site)> {
        let says = |moment: &Moment| match &moment.act {
            Act::Service { verb, unit: own } => own == unit && (at_boot || !matches!(verb, Verb::Enable | Verb::Disable)),
            _ => false,
        };
        let moments = self.outcome.history.moments.iter().enumerate().rev();
        let mut fits = moments.filter(|(_, moment)| moment.host.as_str() == host && says(moment));
        fits.find_map(|(at, _)| Some((at, self.moment_site(at)?)))
    }

    /// The last command that may have changed anything on a host.
    pub(super) fn last_command(&self, host: &str) -> Option<Site> {
        let ran = |moment: &&Moment| moment.host.as_str() == host && moment.took_effect() && !moment.undoes;
        let moments = self.outcome.history.moments.iter().rev().filter(ran);
        let commands = moments.filter(|moment| moment.class == EffectClass::Opaque);
        commands.filter_map(Moment::key).find_map(|key| self.site(key))
    }
}
