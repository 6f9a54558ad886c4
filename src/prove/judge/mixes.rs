//! No moment at which two versions were both live that do not go together.

use super::{Breach, Case, Judge};
use crate::interp::simulate::UnitShown;
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn judge(case: &Case<'_>, breaches: &mut Vec<Breach>) {
    for (component, site) in case.components().into_iter().filter(|(component, _)| !component.may_be_mixed()) {
        // What runs on a host that went away is nobody's doing, also when it is back.
        let were_gone: BTreeSet<&str> = case.outcome.history.were_gone.iter().map(crate::id::HostName::as_str).collect();
        let hosts = component.hosts.iter().map(crate::id::HostName::as_str);
        let hosts: Vec<&str> = hosts.filter(|host| !were_gone.contains(host)).collect();
        let mut live: BTreeMap<&str, Vec<UnitShown>> =
            hosts.iter().map(|host| (*host, case.outcome.began.get(*host).cloned().unwrap_or_default())).collect();
        let before = mixed(&live);
        for (at, moment) in case.outcome.history.moments.iter().enumerate() {
            // Nor is what runs where undoing itself was made to fail, until it is taken up.
            if moment.undoes && moment.fault.is_some() {
                live.remove(moment.host.as_str());
                continue;
            }
            let (Some(units), true) = (&moment.units, hosts.contains(&moment.host.as_str())) else { continue };
            live.insert(hosts.iter().find(|host| **host == moment.host.as_str()).copied().unwrap_or_default(), units.to_vec());
            if !before && mixed(&live) {
                breaches.push(Breach {
                    judge: Judge::Mixes,
                    what: format!("two versions of {} are live at the same time, and it tolerates no mix", component.name),
                    host: Some(moment.host.to_string()),
                    site: case.moment_site(at).or(Some(site)),
                    at: Some(at),
                    help: "stop and disable it everywhere before the first host is started on the new version; or make it tolerate a mix",
                });
                break;
            }
        }
    }
}

/// Whether one unit runs in several versions.
fn mixed(live: &BTreeMap<&str, Vec<UnitShown>>) -> bool {
    let mut versions: BTreeMap<&str, &Vec<String>> = BTreeMap::new();
    live.values().flatten().filter(|unit| unit.is_up() && !unit.versions.is_empty()).any(|unit| {
        let known = versions.entry(unit.unit.as_str()).or_insert(&unit.versions);
        **known != unit.versions
    })
}
