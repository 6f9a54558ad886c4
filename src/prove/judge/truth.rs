//! What the run says is so: its end, its exit code; and no secret is said.

use super::{Breach, Case, Judge};
use crate::journal::{Entry, RunPhase};
use crate::step::Site;
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn judge(case: &Case<'_>, breaches: &mut Vec<Breach>) {
    let outcome = case.outcome;
    if let Some(last) = &outcome.last {
        if last.state == RunPhase::Succeeded {
            well(case, breaches);
        }
        let fits = match last.state {
            RunPhase::Succeeded => matches!(last.exit, 0 | 4),
            RunPhase::Unwound => matches!(last.exit, 1 | 3 | 4 | 6),
            RunPhase::Halted | RunPhase::Stuck => last.exit == 4,
            RunPhase::Refused => last.exit == 6,
            _ => true,
        };
        let owes = !last.debts.is_empty() || !last.open.is_empty();
        if owes && matches!(last.exit, 0 | 1 | 3 | 6) {
            breaches.push(Breach {
                judge: Judge::Truth,
                what: format!("it ended {} with exit code {}, and something is owed", last.state.word(), last.exit),
                host: last.debts.first().map(ToString::to_string),
                site: case.fault_site(),
                at: None,
                help: "",
            });
        }
        if !fits {
            breaches.push(Breach {
                judge: Judge::Truth,
                what: format!("it ended {} with exit code {}", last.state.word(), last.exit),
                host: None,
                site: case.fault_site(),
                at: None,
                help: "",
            });
        }
    }
    could_go_on(case, breaches);
    secrets(case, breaches);
}

/// A run that succeeded leaves nothing that is not well.
fn well(case: &Case<'_>, breaches: &mut Vec<Breach>) {
    let missed: Vec<&crate::id::HostName> = case.outcome.state.missed.values().flatten().collect();
    for (host, unit) in &case.outcome.sick {
        if case.outcome.is_gone(host) || missed.iter().any(|missed| missed.as_str() == host) {
            continue;
        }
        // One that ended, and that does not run without faults either, is none.
        let active = |things: &BTreeMap<String, String>| {
            things.get(&format!("service {unit}")).is_some_and(|service| service.starts_with("active"))
        };
        let ends_of = [Some(&case.outcome.end), case.calm.map(|calm| &calm.end)];
        if !ends_of.into_iter().flatten().any(|end| end.hosts.get(host).is_some_and(active)) {
            continue;
        }
        let name = unit.split_once(' ').map_or(unit.as_str(), |(_, name)| name);
        let moments = &case.outcome.history.moments;
        let started = moments.iter().rposition(|moment| {
            moment.host.as_str() == host
                && !moment.undoes
                && matches!(&moment.act, crate::interp::fault::Act::Service { unit: own, .. } if own == unit)
        });
        breaches.push(Breach {
            judge: Judge::Truth,
            what: format!("it says that it succeeded, and {name} is not well: nothing looks at it after it was started"),
            host: Some(host.clone()),
            site: started.and_then(|at| case.moment_site(at)),
            at: None,
            help: "look whether it is well before the next host: h.expect_http, h.expect_tcp or h.expect_exec, with `within` and `hold`",
        });
    }
}

/// A run that was cut off can be taken up.
fn could_go_on(case: &Case<'_>, breaches: &mut Vec<Breach>) {
    let refused = case.outcome.legs.iter().find(|leg| leg.what == "resume" && leg.exit == Some(6));
    if let Some(leg) = refused {
        let why = leg.error.as_deref().unwrap_or_default();
        breaches.push(Breach {
            judge: Judge::Truth,
            what: format!("it cannot be resumed: {}", super::end::plain(case, why)),
            host: None,
            site: case.fault_site(),
            at: None,
            help: "a script must ask for the same again when it is run again: it may depend on nothing but its parameters and what its steps answer",
        });
    }
}

/// Whatever is shown or kept has no text that only the owner of a file may read.
fn secrets(case: &Case<'_>, breaches: &mut Vec<Breach>) {
    let private = &case.outcome.history.private;
    if private.is_empty() {
        return;
    }
    let told = |text: &str| private.iter().any(|secret| text.contains(secret.as_str()));
    let mut lines = BTreeSet::new();
    let mut tells = |site: Option<Site>, part: &str| {
        let shown = site.as_ref().map(ToString::to_string);
        // One line that tells it in several ways is one mistake.
        if lines.insert(shown) {
            breaches.push(Breach {
                judge: Judge::Truth,
                what: format!("{part} tells a secret"),
                host: None,
                site,
                at: None,
                help: "give it on standard input (`stdin`) or in a file of mode 0600; keep it out of words of commands, of fail(..), throw and log",
            });
        }
    };
    for record in &case.outcome.records {
        let (key, text, part) = match &record.entry {
            Entry::Started { key, summary, .. } => (key, summary.clone(), "a line of the report"),
            Entry::Failed { key, error, .. } => (key, format!("{error} {}", error.stderr), "an error"),
            Entry::Succeeded { key, diff: Some(diff), .. } => (key, diff.clone(), "a difference"),
            _ => continue,
        };
        if told(&text) {
            tells(case.site(key), part);
        }
    }
    let ends = case.outcome.records.iter().filter_map(|record| match &record.entry {
        Entry::RunEnded { error: Some(error), .. } => Some(error),
        _ => None,
    });
    let last = case.outcome.last.as_ref().and_then(|finish| finish.error.as_ref());
    for error in ends.chain(last).filter(|error| told(&error.to_string())) {
        tells(Some(error.site.clone()).filter(|site| *site != Site::default()), "the error that it ends with");
    }
}
