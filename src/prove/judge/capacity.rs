//! Enough hosts serve, at every moment: as many as `min_available` says, and never none where some served.
//!
//! A host serves with a service that runs, that is not being restarted, and that no bracket keeps out of its users' way. What a
//! fault took away is not the script's doing.

use super::{Breach, Case, Judge};
use crate::interp::fault::{Act, Moment};
use crate::interp::simulate::UnitShown;
use crate::journal::{BracketSide, Entry};
use std::collections::{BTreeMap, BTreeSet};

/// Hosts on which a service ran when the run began.
struct Pool<'a> {
    unit: &'a str,
    hosts: BTreeSet<&'a str>,
    needed: usize,
}

pub(super) fn judge(case: &Case<'_>, breaches: &mut Vec<Breach>) {
    for pool in pools(case) {
        if let Some(breach) = watch(case, &pool) {
            breaches.push(breach);
        }
    }
}

fn pools<'a>(case: &Case<'a>) -> Vec<Pool<'a>> {
    let mut hosts: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (host, units) in &case.outcome.began {
        for unit in units.iter().filter(|unit| unit.is_up()) {
            hosts.entry(unit.unit.as_str()).or_default().insert(host);
        }
    }
    let pools = hosts.into_iter().filter(|(_, hosts)| hosts.len() > 1);
    pools.map(|(unit, hosts)| Pool { unit, needed: needed(case, &hosts), hosts }).collect()
}

/// How many of these hosts must serve: what the groups of hosts that hold them all say, else one.
fn needed(case: &Case<'_>, hosts: &BTreeSet<&str>) -> usize {
    let said = case.outcome.history.forks.iter().chain(case.calm.iter().flat_map(|calm| &calm.history.forks));
    let over = said.filter(|fork| hosts.iter().all(|host| fork.hosts.iter().any(|name| name.as_str() == *host)));
    over.filter_map(|fork| fork.keeps).max().unwrap_or(0).clamp(1, hosts.len())
}

/// The pool as it goes.
struct Watched<'a> {
    up: BTreeMap<&'a str, bool>,
    /// Hosts whose service is on its way up again.
    restarting: BTreeSet<&'a str>,
    /// Brackets that are open, by key, with their hosts.
    out: BTreeMap<String, String>,
    /// What faults took away.
    taken: BTreeSet<&'a str>,
}

impl Watched<'_> {
    fn serving(&self, pool: &Pool<'_>) -> usize {
        let serves = |host: &&&str| {
            self.up.get(**host).copied().unwrap_or(false)
                && !self.restarting.contains(**host)
                && !self.out.values().any(|out| out == **host)
                && !self.taken.contains(**host)
        };
        pool.hosts.iter().filter(serves).count()
    }
}

fn watch(case: &Case<'_>, pool: &Pool<'_>) -> Option<Breach> {
    let history = &case.outcome.history;
    let mut now = Watched {
        up: pool.hosts.iter().map(|host| (*host, true)).collect(),
        restarting: BTreeSet::new(),
        out: BTreeMap::new(),
        taken: BTreeSet::new(),
    };
    let mut records = history.records.iter().peekable();
    let mut before = now.serving(pool);
    for (at, moment) in history.moments.iter().enumerate() {
        while let Some((_, record)) = records.next_if(|(before, _)| *before <= at) {
            bracket(&record.entry, pool, &mut now.out);
        }
        let Some(host) = pool.hosts.get(moment.host.as_str()).copied() else { continue };
        now.restarting.remove(host);
        step(moment, pool, host, &mut now);
        let serving = now.serving(pool);
        // What a fault took away is not the script's doing, and what is left must be undone all the same.
        let needed = pool.needed.saturating_sub(now.taken.len());
        if moment.fault.is_none() && moment.sick.is_none() && serving < before && serving < needed {
            let name = pool.unit.split_once(' ').map_or(pool.unit, |(_, name)| name);
            return Some(Breach {
                judge: Judge::Capacity,
                what: format!("{serving} of {} hosts serve {name}, and {} must", pool.hosts.len(), pool.needed),
                host: Some(host.to_owned()),
                site: case.moment_site(at),
                at: Some(at),
                help: "take fewer hosts at a time: rolling(.., #{ batch: .., min_available: .. }, ..)",
            });
        }
        before = serving;
    }
    None
}

fn step<'a>(moment: &Moment, pool: &Pool<'a>, host: &'a str, now: &mut Watched<'a>) {
    let up = |units: &[UnitShown]| units.iter().any(|unit| unit.unit == pool.unit && unit.is_up());
    if let Some(units) = &moment.units {
        now.up.insert(host, up(units));
    }
    let restarts = |verb: &crate::effect::Verb| *verb == crate::effect::Verb::Restart;
    if matches!(&moment.act, Act::Service { verb, unit } if restarts(verb) && unit == pool.unit) && moment.took_effect() {
        now.restarting.insert(host);
    }
    if moment.fault.is_some() || moment.sick.is_some() {
        now.taken.insert(host);
    }
    // Put back on what ran before, it is as good as before.
    if moment.undoes && moment.units.as_ref().is_some_and(|units| up(units)) && moment.sick.is_none() {
        now.taken.remove(host);
    }
}

/// A bracket that is opened or closed; that of a host keeps this host out of the way.
fn bracket(entry: &Entry, pool: &Pool<'_>, out: &mut BTreeMap<String, String>) {
    match entry {
        Entry::ObligationOpened { key, name, .. } => {
            let hosts: Vec<&&str> = pool.hosts.iter().filter(|host| name.split([' ', ',']).any(|word| word == **host)).collect();
            let own = pool.hosts.get(key.task.leaf());
            if let Some(host) = hosts.first().copied().or(own) {
                out.insert(key.to_string(), (*host).to_owned());
            }
        }
        Entry::ObligationDischarged { key } | Entry::ObligationFailed { key, side: BracketSide::Enter, .. } => {
            out.remove(&key.to_string());
        }
        _ => {}
    }
}
