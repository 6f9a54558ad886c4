//! What the run says is so: its end, its exit code; and no secret is said.

use super::{Breach, Case, Judge};
use crate::journal::{Entry, RunPhase};

pub(super) fn judge(case: &Case<'_>, breaches: &mut Vec<Breach>) {
    let outcome = case.outcome;
    if let Some(last) = &outcome.last {
        if last.state == RunPhase::Succeeded {
            well(case, breaches);
        }
        let fits = match last.state {
            RunPhase::Succeeded => matches!(last.exit, 0 | 4),
            RunPhase::Unwound => matches!(last.exit, 1 | 3 | 4),
            RunPhase::Halted | RunPhase::Stuck => last.exit == 4,
            RunPhase::Refused => last.exit == 6,
            _ => true,
        };
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
    let errors = case.outcome.legs.iter().filter_map(|leg| leg.error.as_deref());
    let told = |text: &str| private.iter().any(|secret| text.contains(secret.as_str()));
    if errors.into_iter().any(told) {
        let failed = case.outcome.last.as_ref().and_then(|finish| finish.error.as_ref());
        breaches.push(Breach {
            judge: Judge::Truth,
            what: "its error tells a secret".to_owned(),
            host: None,
            site: failed.map(|error| error.site.clone()).filter(|site| *site != crate::step::Site::default()),
            at: None,
            help: "keep what a file of mode 0600 holds, and what a command reads on standard input, out of fail(..), throw and log",
        });
    }
    for record in &case.outcome.records {
        let (key, text, part) = match &record.entry {
            Entry::Started { key, summary, .. } => (key, summary.clone(), "line of the report"),
            Entry::Failed { key, error, .. } => (key, format!("{error} {}", error.stderr), "error"),
            Entry::Succeeded { key, diff: Some(diff), .. } => (key, diff.clone(), "difference"),
            _ => continue,
        };
        if told(&text) {
            breaches.push(Breach {
                judge: Judge::Truth,
                what: format!("a {part} tells a secret"),
                host: None,
                site: case.site(key),
                at: None,
                help: "give it on standard input (`stdin`) or in a file of mode 0600, not as a word of a command or of a message",
            });
        }
    }
}
