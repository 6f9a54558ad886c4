//! Nothing is left open or owed, but on hosts that are gone, and then it is on record.

use super::{Breach, Case, Judge};
use crate::id::StepKey;

pub(super) fn judge(case: &Case<'_>, breaches: &mut Vec<Breach>) {
    let outcome = case.outcome;
    let Some(last) = outcome.last.as_ref().filter(|finish| finish.state.is_ended()) else { return };
    for (key, name) in &last.open {
        // A host within it is away and not restored: its users are not sent there.
        if outcome.is_open_for_one_away(key) {
            continue;
        }
        // What opens or closes it asked for something of a host that is gone.
        let within = format!("{}/{}.", key.task, key.n);
        let own = |task: &StepKey| task.task.as_str().starts_with(&within);
        let unreached = outcome.history.unreached.iter().any(|(task, host)| own(task) && outcome.is_gone(host.as_str()));
        let cut_off = outcome.history.moments.iter().filter(|moment| moment.key().is_some_and(own));
        if unreached || cut_off.into_iter().any(|moment| outcome.is_gone(moment.host.as_str())) {
            continue;
        }
        let failed = outcome.records.iter().rev().find_map(|record| match &record.entry {
            crate::journal::Entry::ObligationFailed { key: failed, error, .. } if failed == key => Some(error),
            _ => None,
        });
        let why = failed.map(|error| format!(": {}", super::end::plain(case, &error.message))).unwrap_or_default();
        breaches.push(Breach {
            judge: Judge::Debts,
            what: format!("it has ended, and \"{name}\" is still open{why}"),
            host: failed.and_then(|error| error.host.as_ref()).map(ToString::to_string),
            site: failed.map(|error| error.site.clone()).or_else(|| case.site(key)),
            at: None,
            help: "what closes a bracket must work whatever became of its body, a service that does not run included",
        });
    }
    // Nobody was away.
    if let Some(debt) =
        last.debts.first().filter(|_| outcome.history.were_gone.is_empty() && outcome.history.unreached.is_empty())
    {
        breaches.push(Breach {
            judge: Judge::Debts,
            what: "it has ended, and owes what it changed on a host that is there".to_owned(),
            host: Some(debt.to_string()),
            site: case.fault_site(),
            at: None,
            help: "",
        });
    }
    // Who cannot be told that it is over, or is killed before it tells, leaves what was kept.
    let killed = outcome.legs.iter().any(|leg| leg.state.is_none());
    for kept in outcome.kept.iter().filter(|_| !killed) {
        let host = kept.split(':').next().unwrap_or_default();
        let was_gone = outcome.history.were_gone.iter().any(|gone| gone.as_str() == host);
        if was_gone || !last.debts.is_empty() {
            continue;
        }
        breaches.push(Breach {
            judge: Judge::Debts,
            what: "it has ended, and what it kept on a host is still there".to_owned(),
            host: Some(host.to_owned()),
            site: case.fault_site(),
            at: None,
            help: "",
        });
    }
}
