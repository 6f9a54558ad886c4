//! Enough hosts serve, at every moment: as many as `min_available` says, and never none where some served.
//!
//! A host serves with a service that runs and is well, that is not being restarted, and that no bracket keeps out of its users' way.
//! What a fault took away is not the script's doing: but whoever goes on, goes on with what is left. Only undoing must, whatever is left.

use super::super::play::Outcome;
use super::{Breach, Case, Judge};
use crate::effect::Verb;
use crate::id::StepKey;
use crate::interp::fault::{Act, FaultKind, Moment};
use crate::interp::simulate::UnitShown;
use crate::journal::{Entry, RunPhase};
use crate::step::Site;
use std::collections::{BTreeMap, BTreeSet};

/// Hosts on which a service ran when the run began.
struct Pool<'a> {
    unit: &'a str,
    /// Services that have taken its place once the run is over, as the other colour of two.
    instead: Vec<&'a str>,
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
    pools.map(|(unit, hosts)| Pool { unit, instead: instead(case, unit, &hosts), needed: needed(case, &hosts), hosts }).collect()
}

/// Where a service no longer runs on any of its hosts after a run without faults: those that run on all of them then, and did not
/// before.
fn instead<'a>(case: &Case<'a>, unit: &str, hosts: &BTreeSet<&str>) -> Vec<&'a str> {
    let calm = case.calm.unwrap_or(case.outcome);
    let turns = std::iter::once(calm).chain(calm.next.as_deref());
    turns.map(|calm| replaces(calm, unit, hosts)).find(|units| !units.is_empty()).unwrap_or_default()
}

fn replaces<'a>(calm: &'a Outcome, unit: &str, hosts: &BTreeSet<&str>) -> Vec<&'a str> {
    let began = |host: &str, unit: &str| calm.began.get(host).into_iter().flatten().any(|own| own.is_up() && own.unit == unit);
    let ends = |host: &str, unit: &str| {
        let service = calm.end.hosts.get(host).and_then(|things| things.get(&format!("service {unit}")));
        service.is_some_and(|service| service.starts_with("active"))
    };
    if !hosts.iter().all(|host| began(host, unit) && !ends(host, unit)) {
        return Vec::new();
    }
    let things = hosts.iter().filter_map(|host| calm.end.hosts.get(*host)).flat_map(|things| things.keys());
    let units: BTreeSet<&str> = things.filter_map(|thing| thing.strip_prefix("service ")).collect();
    units.into_iter().filter(|unit| hosts.iter().all(|host| ends(host, unit) && !began(host, unit))).collect()
}

/// How many of these hosts must serve: what the groups of hosts that hold them all say, else one; none when what runs there tolerates
/// no mix, since it has to be stopped everywhere then.
fn needed(case: &Case<'_>, hosts: &BTreeSet<&str>) -> usize {
    let holds = |all: &[crate::id::HostName]| hosts.iter().all(|host| all.iter().any(|name| name.as_str() == *host));
    let said = case.outcome.history.forks.iter().chain(case.calm.iter().flat_map(|calm| &calm.history.forks));
    let over = said.filter(|fork| holds(&fork.hosts));
    let least = usize::from(!case.components().iter().any(|(component, _)| !component.may_be_mixed() && holds(&component.hosts)));
    over.filter_map(|fork| fork.keeps).max().unwrap_or(least).min(hosts.len())
}

/// The pool as it goes.
struct Watched<'a> {
    up: BTreeMap<&'a str, bool>,
    /// Hosts whose service is on its way up again.
    restarting: BTreeSet<&'a str>,
    /// Brackets that are open, with their hosts.
    out: BTreeMap<&'a StepKey, Vec<&'a str>>,
    /// Hosts of brackets.
    named: BTreeMap<&'a StepKey, Vec<&'a str>>,
    /// Hosts that something was made to go wrong on.
    taken: BTreeSet<&'a str>,
    /// Those of them that are away, by the process that they went away from.
    away: BTreeMap<&'a str, u8>,
    /// Those of them whose service runs, and is not well.
    ill: BTreeSet<&'a str>,
    /// Whether what is not well is so for one look only.
    flaps: bool,
    /// Whether the run is being undone.
    undoing: bool,
}

impl<'a> Watched<'a> {
    /// A bracket that is opened or closed; it keeps the hosts that its name tells, else the one of its task, out of the way. Gives
    /// whether there may be more or fewer hosts that serve now.
    fn bracket(&mut self, entry: &'a Entry, pool: &Pool<'a>) -> bool {
        match entry {
            Entry::ObligationOpened { key, name, .. } => {
                let named = |host: &&&str| name.split([' ', ',']).any(|word| word == **host);
                let hosts: Vec<&str> = pool.hosts.iter().filter(named).copied().collect();
                let own = pool.hosts.get(key.task.leaf()).copied().into_iter().collect();
                self.named.insert(key, if hosts.is_empty() { own } else { hosts });
                false
            }
            // Before that, it may be that nothing was done.
            Entry::ObligationHeld { key } => {
                let hosts = self.named.get(key).cloned().unwrap_or_default();
                self.out.insert(key, hosts);
                true
            }
            Entry::ObligationDischarged { key } => self.out.remove(key).is_some(),
            _ => false,
        }
    }

    /// Going forward, what serves must be enough, whatever took the others away. What is left must be undone all the same.
    fn needed(&self, pool: &Pool<'_>) -> usize {
        if self.undoing { pool.needed.saturating_sub(self.taken.len()) } else { pool.needed }
    }

    fn serving(&self, pool: &Pool<'_>) -> usize {
        let serves = |host: &&&str| {
            let out = self.out.values().flatten().any(|out| out == *host);
            let lost = self.away.contains_key(**host) || self.ill.contains(**host);
            let taken = lost || self.undoing && self.taken.contains(**host);
            self.up.get(**host) == Some(&true) && !(self.restarting.contains(**host) || out || taken)
        };
        pool.hosts.iter().filter(serves).count()
    }

    /// Goes forward, or back, in this process: hosts that were away only for another one are there again. Gives whether it is otherwise
    /// than before.
    fn turns(&mut self, undoing: bool, leg: u8) -> bool {
        let away = self.away.len();
        self.away.retain(|_, since| *since == leg);
        let turned = self.undoing != undoing || self.away.len() != away;
        self.undoing = undoing;
        turned
    }

    /// What a fault does to a host of the pool, and when that is over.
    fn fault(&mut self, moment: &Moment, host: &'a str, is_up: Option<bool>) {
        use FaultKind as K;
        if moment.fault.is_some() || moment.sick.is_some() {
            self.taken.insert(host);
        }
        match moment.fault {
            Some(K::Gone | K::GoneAfter | K::Away | K::BootsLater) => drop(self.away.insert(host, moment.leg)),
            Some(K::Sick | K::SickRelease | K::Dies) => drop(self.ill.insert(host)),
            // A look that fails once says nothing of the next one.
            _ if moment.sick.is_some() && !self.flaps => drop(self.ill.insert(host)),
            Some(K::Flaps) => self.flaps = true,
            _ => {}
        }
        // Put back on what ran before, it is as good as before.
        if moment.undoes && is_up == Some(true) && moment.sick.is_none() {
            self.taken.remove(host);
            self.ill.remove(host);
        }
    }
}

fn watch(case: &Case<'_>, pool: &Pool<'_>) -> Option<Breach> {
    let history = &case.outcome.history;
    let mut now = Watched {
        up: pool.hosts.iter().map(|host| (*host, true)).collect(),
        restarting: BTreeSet::new(),
        out: BTreeMap::new(),
        named: BTreeMap::new(),
        taken: BTreeSet::new(),
        away: BTreeMap::new(),
        ill: BTreeSet::new(),
        flaps: false,
        undoing: false,
    };
    let mut unwinding = false;
    let mut records = history.records.iter().peekable();
    let mut before = now.serving(pool);
    for (at, moment) in history.moments.iter().enumerate() {
        let undoes = moment.undoes || case.outcome.is_undoing(moment.leg);
        while let Some((_, record)) = records.next_if(|(before, _)| *before <= at) {
            unwinding |= matches!(record.entry, Entry::Phase { phase: RunPhase::Unwinding, .. });
            if now.turns(unwinding || undoes, moment.leg) {
                before = now.serving(pool);
            }
            if !now.bracket(&record.entry, pool) {
                continue;
            }
            let serving = now.serving(pool);
            if let (Entry::ObligationHeld { key }, true) = (&record.entry, serving < before && serving < now.needed(pool)) {
                return Some(opened(case, pool, &now, key, at));
            }
            before = serving;
        }
        if now.turns(unwinding || undoes, moment.leg) {
            before = now.serving(pool);
        }
        let Some(host) = pool.hosts.get(moment.host.as_str()).copied() else { continue };
        let up_again = now.restarting.remove(host);
        if !step(moment, pool, host, &mut now) && !up_again {
            continue;
        }
        let serving = now.serving(pool);
        if moment.fault.is_none() && moment.sick.is_none() && serving < before && serving < now.needed(pool) {
            return Some(breach(pool, serving, host, case.moment_site(at), at));
        }
        before = serving;
    }
    None
}

fn breach(pool: &Pool<'_>, serving: usize, host: &str, site: Option<Site>, at: usize) -> Breach {
    let name = pool.unit.split_once(' ').map_or(pool.unit, |(_, name)| name);
    Breach {
        judge: Judge::Capacity,
        what: format!("{serving} of {} hosts serve {name}, and {} must", pool.hosts.len(), pool.needed),
        host: Some(host.to_owned()),
        site,
        at: Some(at),
        help: "take fewer hosts at a time: rolling(.., #{ batch: .., min_available: .. }, ..); where none needs to serve, say `min_available: 0`",
    }
}

/// A bracket that takes one host too many out of the way shows at the last step that opened it.
fn opened(case: &Case<'_>, pool: &Pool<'_>, now: &Watched<'_>, key: &StepKey, before: usize) -> Breach {
    let within = format!("{}/{}.", key.task, key.n);
    let moments = case.outcome.history.moments.iter().take(before);
    let at = moments.enumerate().rev().find(|(_, moment)| moment.key().is_some_and(|own| own.task.as_str().starts_with(&within)));
    let at = at.map_or(before.saturating_sub(1), |(at, _)| at);
    let host = now.out.get(key).and_then(|hosts| hosts.last()).copied().unwrap_or_default();
    breach(pool, now.serving(pool), host, case.moment_site(at), at)
}

/// What a moment does to a host of the pool. Gives whether there may be more or fewer that serve now.
fn step<'a>(moment: &Moment, pool: &Pool<'a>, host: &'a str, now: &mut Watched<'a>) -> bool {
    let serves = |unit: &str| unit == pool.unit || pool.instead.contains(&unit);
    let up = |units: &[UnitShown]| units.iter().any(|unit| serves(&unit.unit) && unit.is_up());
    if let Some(units) = &moment.units {
        now.up.insert(host, up(units));
    }
    let restarts = match &moment.act {
        Act::Service { verb, unit } => *verb == Verb::Restart && unit == pool.unit,
        Act::Reboot => true,
        _ => false,
    };
    if restarts && moment.took_effect() {
        now.restarting.insert(host);
    }
    now.fault(moment, host, moment.units.as_ref().map(|units| up(units)));
    moment.units.is_some() || restarts || moment.fault.is_some() || moment.sick.is_some()
}
