//! What a run kept on its hosts for its undoing goes when it has ended, and what earlier runs of the same ledger left there goes with
//! it. What stays is on record, with the reason.

use super::conductor::Run;
use super::runner::anchor;
use crate::effect::{Anchor, Effect, Effects, Login};
use crate::id::RunId;
use crate::journal::RunState;
use crate::ledger::{Ledger, Leftover};
use std::collections::BTreeSet;
use std::thread;

/// Why something is still there of a run whose controller ended before it could know.
const UNTOLD: &str = "whether the host has forgotten the run is not known";

/// Puts on record, before a run ends, where it keeps something. When the ledger fails here, so does the end that follows.
pub(super) fn announce(ledger: &dyn Ledger, id: &RunId, run: &Run) {
    let kept: Vec<(Login, String)> =
        run.writer.state(RunState::logins_changed).into_iter().map(|at| (at, UNTOLD.to_owned())).collect();
    if !kept.is_empty()
        && let Err(error) = ledger.leave(id, &kept)
    {
        tracing::warn!(%error, "what the run keeps on its hosts is not on record");
    }
}

/// Has the hosts within reach forget the run, and what ended runs left there. Gives what could not be removed.
pub(super) fn sweep(ledger: &dyn Ledger, id: &RunId, run: &Run) -> Vec<Leftover> {
    let logins = run.writer.state(RunState::logins_within_reach);
    let environment = ledger.find(id.as_str()).map(|row| row.environment).unwrap_or_default();
    let mut left = settled(ledger, id, &environment, forget(run.effects.as_ref(), &logins, anchor(run)));
    for earlier in earlier(ledger, id, &logins) {
        let forget = Effect::Forget { anchor: None, of: Some(earlier.run.clone()) };
        let result = run.effects.perform(&earlier.at, &forget).map(drop).map_err(|error| error.to_string());
        left.extend(settled(ledger, &earlier.run, &earlier.environment, vec![(earlier.at, result)]));
    }
    left
}

/// Puts on record what became of it.
fn settled(ledger: &dyn Ledger, id: &RunId, environment: &str, ends: Vec<(Login, Result<(), String>)>) -> Vec<Leftover> {
    let (gone, stays): (Vec<_>, Vec<_>) = ends.into_iter().partition(|(_, end)| end.is_ok());
    let gone: Vec<Login> = gone.into_iter().map(|(at, _)| at).collect();
    let stays: Vec<(Login, String)> = stays.into_iter().filter_map(|(at, end)| Some((at, end.err()?))).collect();
    let kept = if stays.is_empty() { Ok(()) } else { ledger.leave(id, &stays) };
    if let Err(error) = kept.and_then(|()| if gone.is_empty() { Ok(()) } else { ledger.swept(id, &gone) }) {
        tracing::warn!(%error, "what was left on hosts is not on record");
    }
    let leftover = |(at, why)| Leftover { run: id.clone(), environment: environment.to_owned(), at, why };
    stays.into_iter().map(leftover).collect()
}

/// What ended runs left at these logins, and need no more.
fn earlier(ledger: &dyn Ledger, id: &RunId, logins: &BTreeSet<Login>) -> Vec<Leftover> {
    let left = ledger.leftovers().unwrap_or_default();
    left.into_iter().filter(|left| left.run != *id && logins.contains(&left.at) && !is_owed(ledger, left)).collect()
}

/// Whether a host still needs what a run left, for that is what undoing it there takes.
pub fn is_owed(ledger: &dyn Ledger, left: &Leftover) -> bool {
    let state = ledger.records(&left.run).ok().and_then(|records| RunState::read(&records).ok());
    state.is_none_or(|state| state.debts().contains(&left.at.host) || state.open_obligations().next().is_some())
}

/// What a run kept on its hosts is of no use once it has ended.
pub(super) fn forget(
    effects: &dyn Effects,
    logins: &BTreeSet<Login>,
    anchor: Option<Anchor>,
) -> Vec<(Login, Result<(), String>)> {
    let forget = &Effect::Forget { anchor, of: None };
    thread::scope(|scope| {
        let one = |at: &Login| (at.clone(), effects.perform(at, forget).map(drop).map_err(|error| error.to_string()));
        let threads: Vec<_> = logins.iter().map(|at| (at, scope.spawn(move || one(at)))).collect();
        let ended = |at: &Login| (at.clone(), Err("a defect of Windlass".to_owned()));
        threads.into_iter().map(|(at, thread)| thread.join().unwrap_or_else(|_| ended(at))).collect()
    })
}
