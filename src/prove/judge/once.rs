//! What happens once happens once: neither twice nor never.

use super::{Breach, Case, Judge};
use crate::effect::EffectClass;
use crate::interp::fault::{Act, FaultKind, Moment};
use crate::journal::RunPhase;
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn judge(case: &Case<'_>, breaches: &mut Vec<Breach>) {
    if case.calm.is_none() {
        loops(case, breaches);
    }
    twice(case, breaches);
    never(case, breaches);
}

/// Commands that took effect, by host and text, with the moments.
fn commands(moments: &[Moment]) -> impl Iterator<Item = (usize, &Moment, &str, &str)> {
    moments.iter().enumerate().filter_map(|(at, moment)| match &moment.act {
        Act::Command { text, receipt, .. } if moment.took_effect() && !moment.undoes && moment.class == EffectClass::Opaque => {
            Some((at, moment, text.as_str(), receipt.as_str()))
        }
        _ => None,
    })
}

/// The same command, on the same host, from the tasks of several hosts: it stands within a loop over hosts, and belongs before it.
fn loops(case: &Case<'_>, breaches: &mut Vec<Breach>) {
    let mut first: BTreeMap<(&str, &str), &Moment> = BTreeMap::new();
    let mut told = BTreeSet::new();
    for (at, moment, text, _) in commands(&case.outcome.history.moments) {
        let Some(key) = moment.key() else { continue };
        let known = first.entry((moment.host.as_str(), text)).or_insert(moment);
        let other = known.key().is_some_and(|known| known.task != key.task && known.n == key.n);
        let safe = case.commands.get(key).is_some_and(|command| command.args["again"] == "safe");
        if other && !safe && told.insert((moment.host.clone(), text.to_owned())) {
            breaches.push(Breach {
                judge: Judge::Once,
                what: format!("`{}` runs again on the same host for each host of the group", super::end::plain(case, text)),
                host: Some(moment.host.to_string()),
                site: case.site(key),
                at: Some(at),
                help: "take it out of the block, before it or behind it; or once(\"NAME\", || ..); or, if it may be repeated, say `again: \"safe\"`",
            });
        }
    }
}

/// A run that succeeded has run a command more often than it does without faults.
fn twice(case: &Case<'_>, breaches: &mut Vec<Breach>) {
    let Some(calm) = case.calm.filter(|_| case.outcome.phase() == Some(RunPhase::Succeeded)) else { return };
    let often = often(&calm.history.moments);
    for ((host, text), receipts) in self::often(&case.outcome.history.moments) {
        let usual = often.get(&(host, text)).map_or(0, BTreeSet::len);
        if usual == 0 || receipts.len() <= usual {
            continue;
        }
        let last = commands(&case.outcome.history.moments)
            .filter(|(_, moment, own, _)| moment.host.as_str() == host && *own == text)
            .last();
        breaches.push(Breach {
            judge: Judge::Once,
            what: format!("it succeeded, and `{}` ran more often than without faults", super::end::plain(case, text)),
            host: Some(host.to_owned()),
            site: last.and_then(|(at, ..)| case.moment_site(at)),
            at: None,
            help: "",
        });
    }
}

/// How often commands took effect: by host and text, the receipts under which they did.
fn often(moments: &[Moment]) -> BTreeMap<(&str, &str), BTreeSet<&str>> {
    let mut often: BTreeMap<(&str, &str), BTreeSet<&str>> = BTreeMap::new();
    for (_, moment, text, receipt) in commands(moments) {
        often.entry((moment.host.as_str(), text)).or_default().insert(receipt);
    }
    often
}

/// A run that succeeded left out a command that it runs without faults.
fn never(case: &Case<'_>, breaches: &mut Vec<Breach>) {
    let Some(calm) = case.calm.filter(|_| case.outcome.phase() == Some(RunPhase::Succeeded)) else { return };
    // One that a restart cut off may have done its work, and a person has said that it did.
    let cut_off = case.outcome.history.moments.iter().filter_map(|moment| match &moment.act {
        Act::Command { text, .. } if moment.fault == Some(FaultKind::Rebooted) => Some((moment.host.as_str(), text.as_str())),
        _ => None,
    });
    let ended = commands(&case.outcome.history.moments).map(|(_, moment, text, _)| (moment.host.as_str(), text));
    let ran: BTreeSet<(&str, &str)> = ended.chain(cut_off).collect();
    let bodies = super::given_up::attempts(case);
    let in_a_body = |moment: &Moment| moment.key().is_some_and(|key| bodies.iter().any(|body| body.holds(key)));
    let missed: BTreeSet<String> = case.outcome.state.missed.values().flatten().map(ToString::to_string).collect();
    for (_, moment, text, _) in commands(&calm.history.moments) {
        let host = moment.host.as_str();
        // In whose block it stands may be another host than the one where it runs.
        let block = moment.key().map(|key| key.task.leaf().to_owned()).unwrap_or_default();
        if ran.contains(&(host, text))
            || in_a_body(moment)
            || case.outcome.is_gone(host)
            || missed.contains(host)
            || missed.contains(&block)
        {
            continue;
        }
        breaches.push(Breach {
            judge: Judge::Once,
            what: format!("it succeeded, and `{}` never ran", super::end::plain(case, text)),
            host: Some(host.to_owned()),
            site: moment.key().and_then(|key| calm.state.steps.get(key)).map(|step| step.command.site.clone()),
            at: None,
            help: "",
        });
    }
}
