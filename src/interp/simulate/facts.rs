//! What a simulated host says of itself.

use super::at::{Answer, At};
use crate::effect::Reply;
use serde_json::{Value, json};
use std::collections::BTreeMap;

impl At<'_> {
    /// `wl_facts`.
    pub(super) fn facts(&mut self) -> Answer {
        let host = &self.host;
        let number = |address: &&String| address.parse::<std::net::Ipv4Addr>().is_ok();
        let ipv4 = host.addresses.iter().find(number).cloned();
        let machine = crate::id::Digest::of(host.name.as_bytes());
        let machine = machine.as_str().get(..32).unwrap_or_default().to_owned();
        let addresses: Vec<String> = host.addresses.iter().filter(number).cloned().collect();
        let facts = json!({
            "os": "debian", "os_name": "Debian GNU/Linux 12 (bookworm)", "os_version": "12", "os_codename": "bookworm", "os_like": [],
            "kernel": "6.1.0-simulated", "arch": "x86_64", "hostname": host.name, "fqdn": host.name,
            "cpus": 4, "memory_bytes": 8_u64 << 30, "swap_bytes": 0, "init": "systemd", "package_manager": "apt",
            "virtualization": null, "selinux": "disabled", "machine_id": machine, "boot_id": host.boot(),
            "user": self.who.name, "uid": self.who.uid, "home": self.who.home,
            "ipv4": ipv4, "ipv6": null, "interface": "eth0", "addresses": addresses,
        });
        let mut facts: BTreeMap<String, Value> = facts.as_object().cloned().unwrap_or_default().into_iter().collect();
        facts.extend(host.facts.clone());
        Ok(Reply::Facts(facts))
    }
}
