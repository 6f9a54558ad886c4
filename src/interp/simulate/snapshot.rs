//! A simulated fleet as it is at one moment, in lines that can be compared: for judges, and for people.

use super::files::{Ino, Node, ROOT};
use super::fleet::Fleet;
use super::host::Host;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What there is on every host: no times, and nothing that a run keeps to itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// By host, and then by what it is: `/srv/app`, `service system web.service`, `package nginx`, `user app`, `group app`.
    pub hosts: BTreeMap<String, BTreeMap<String, String>>,
}

impl Snapshot {
    /// What differs, a line each: `web1 + /srv/app file ...` for what is new, `-` for what is gone, `~` for what is otherwise.
    #[must_use]
    pub fn diff(&self, after: &Self) -> Vec<String> {
        let mut lines = Vec::new();
        let names: std::collections::BTreeSet<&String> = self.hosts.keys().chain(after.hosts.keys()).collect();
        let nothing = BTreeMap::new();
        for name in names {
            let (old, new) = (self.hosts.get(name).unwrap_or(&nothing), after.hosts.get(name).unwrap_or(&nothing));
            let things: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
            for thing in things {
                lines.extend(match (old.get(thing), new.get(thing)) {
                    (Some(old), Some(new)) if old != new => Some(format!("{name} ~ {thing}: {old} -> {new}")),
                    (None, Some(new)) => Some(format!("{name} + {thing}: {new}")),
                    (Some(old), None) => Some(format!("{name} - {thing}: {old}")),
                    _ => None,
                });
            }
        }
        lines
    }
}

impl Fleet {
    /// How everything is now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let hosts = self.lock();
        Snapshot { hosts: hosts.iter().map(|(name, host)| (name.clone(), host.shown())).collect() }
    }
}

impl Host {
    /// Every thing of the host, in words.
    pub(super) fn shown(&self) -> BTreeMap<String, String> {
        let mut things = BTreeMap::new();
        self.show_files(ROOT, "", &mut things);
        // One that does not run is no different from one that never ran.
        for (key, service) in self.services.known.iter().filter(|(_, service)| service.active != "inactive") {
            let from: Vec<String> =
                service.started_from.iter().map(|(path, digest)| format!(" {path}@{}", digest.short())).collect();
            let from = if service.active == "active" { from.concat() } else { String::new() };
            things.insert(format!("service {key}"), format!("{}{from}", service.active));
        }
        for (name, version) in &self.packages.installed {
            things.insert(format!("package {name}"), version.clone());
        }
        things
    }

    fn show_files(&self, ino: Ino, path: &str, into: &mut BTreeMap<String, String>) {
        let inode = self.files.inode(ino);
        let accounts = &self.files.accounts;
        let owners = format!("{:04o} {}:{}", inode.mode, accounts.user_name(inode.uid), accounts.group_name(inode.gid));
        let what = match &inode.node {
            Node::Directory(directory) => {
                for (name, child) in &directory.entries {
                    self.show_files(*child, &format!("{path}/{name}"), into);
                }
                format!("directory {owners}")
            }
            // Which file it was unpacked from is told by its number there, too, which is no business of anybody else.
            Node::File(_) if path.ends_with(super::archives::MARK) => format!("file {owners}"),
            Node::File(blob) => {
                let digest = blob.digest().map(|digest| digest.short().to_owned()).unwrap_or_default();
                format!("file {owners} {} bytes, sha256 {digest}", blob.size())
            }
            Node::Link(target) => format!("link to {target}"),
            Node::Other => format!("other {owners}"),
        };
        into.insert(if path.is_empty() { "/".to_owned() } else { path.to_owned() }, what);
    }
}
