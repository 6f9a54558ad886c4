//! The environment for a run that makes again what an earlier run made.

use super::Environment;
use super::inventory::{Host, Inventory};

impl Environment {
    /// Where hosts are, what they are for and which gates stand before them is as it is `now`; what a script is told (variables, and
    /// those of hosts) is as it was: the settings of a release belong to it, an address that has gone does not. Externals that are
    /// not there any more are looked at where they were.
    #[must_use]
    pub fn as_of(earlier: &Self, now: &Self) -> Self {
        let host = |host: &Host| {
            let mut host = host.clone();
            if let Some(before) = earlier.hosts.get(host.name.as_str()) {
                host.vars.extend(before.vars.clone());
            }
            host
        };
        let hosts = now.hosts.hosts().iter().map(host).collect();
        let mut environment = now.clone();
        // The names are those of an inventory.
        environment.hosts = Inventory::new(hosts).unwrap_or_else(|_| now.hosts.clone());
        environment.vars.clone_from(&earlier.vars);
        for (name, external) in &earlier.externals {
            environment.externals.entry(name.clone()).or_insert_with(|| external.clone());
        }
        environment
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{Operator, Project};
    use serde_json::json;

    #[test]
    fn places_are_of_today_and_settings_of_then() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("windlass.toml"), "name = \"t\"\n").unwrap();
        let project = Project::load(directory.path()).unwrap();
        let operator = Operator { ssh_config: directory.path().join("none"), ..Operator::default() };
        let read = |value| Environment::from_value(&project, "lab", value, "lab.rhai", &operator).unwrap();
        let check = |port: u16| json!({ "check": { "tcp": format!("127.0.0.1:{port}") } });
        let earlier = read(json!({
            "class": "lab", "vars": { "port": 80, "old": true }, "externals": { "queue": check(1), "gone": check(2) },
            "hosts": {
                "h1": { "address": "10.0.0.1", "roles": ["web"], "vars": { "weight": 1 } },
                "h2": { "address": "10.0.0.2", "roles": ["web"] },
            },
        }));
        let now = read(json!({
            "class": "production", "vars": { "port": 81 }, "externals": { "queue": check(3) },
            "hosts": {
                "h1": { "address": "10.0.0.9", "roles": ["api"], "vars": { "weight": 2, "new": 1 } },
                "h3": { "address": "10.0.0.3", "roles": ["web"] },
            },
        }));
        let merged = Environment::as_of(&earlier, &now);
        let h1 = merged.hosts.get("h1").unwrap();
        assert_eq!((h1.address.as_str(), h1.roles.contains("api"), h1.roles.contains("web")), ("10.0.0.9", true, false));
        assert_eq!((&h1.vars["weight"], &h1.vars["new"]), (&json!(1), &json!(1)));
        assert_eq!((merged.hosts.get("h2"), merged.hosts.hosts().len(), merged.class), (None, 2, now.class));
        assert_eq!(merged.vars, earlier.vars);
        assert_eq!(
            (&merged.externals["queue"], &merged.externals["gone"]),
            (&now.externals["queue"], &earlier.externals["gone"])
        );
    }
}
