//! Whether the key that a host showed is its own, and what is done about one that is not known.

use super::Endpoint;
use super::known_hosts::{self, KnownHosts, Verdict};
use super::session::Session;
use crate::fleet::HostKeyPolicy;
use crate::transport::shell::Failure;

pub(super) fn check(endpoint: &Endpoint, session: &Session, known: &KnownHosts) -> Result<(), Failure> {
    let Some((key, _)) = session.ssh.host_key() else {
        return Err(Failure::Denied { reason: "the host showed no key".to_owned(), help: None });
    };
    let name = endpoint.key_name();
    let policy = endpoint.options.host_key_policy;
    let fingerprint = known_hosts::fingerprint(key);
    match known.check_as(&name, key) {
        Verdict::Known => Ok(()),
        // As ssh does: a key that is known for the host whatever the port.
        Verdict::Unknown if name.starts_with('[') && known.check_as(&endpoint.address, key) == Verdict::Known => Ok(()),
        Verdict::Unknown if policy == HostKeyPolicy::Known => Err(unknown(endpoint, known, &name, &fingerprint)),
        Verdict::Unknown => {
            record(endpoint, &name, key);
            Ok(())
        }
        Verdict::Changed { file, line } if policy == HostKeyPolicy::AcceptAny => {
            tracing::warn!(host = %endpoint.name, %fingerprint, "the host key is not that of {file}:{line}; StrictHostKeyChecking lets it pass");
            Ok(())
        }
        Verdict::Changed { file, line } => Err(Failure::Denied {
            reason: format!("its host key {fingerprint} is not the one that {file}:{line} has for {name}"),
            help: Some(format!(
                "either the host was reinstalled or someone is in between; ask before you remove the line (ssh-keygen -R '{name}')"
            )),
        }),
        Verdict::Revoked { file, line } => Err(Failure::Denied {
            reason: format!("its host key {fingerprint} is revoked by {file}:{line}"),
            help: Some("do not connect; ask who revoked it".to_owned()),
        }),
    }
}

fn unknown(endpoint: &Endpoint, known: &KnownHosts, name: &str, fingerprint: &str) -> Failure {
    let file =
        endpoint.known_hosts_files.first().map_or_else(|| "~/.ssh/known_hosts".to_owned(), |file| file.display().to_string());
    let mut help = format!(
        "compare the fingerprint at the host (`ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub`), then add it: ssh-keyscan -p {} {} >> {file}",
        endpoint.port, endpoint.address
    );
    if let Some((file, line)) = known.authority(name) {
        help = format!("{file}:{line} trusts an authority for it, but Windlass cannot check certificates of hosts; {help}");
    }
    Failure::Denied { reason: format!("its host key {fingerprint} is not known"), help: Some(help) }
}

/// Adds the key to the operator's own file. That it cannot be is no reason to stop, as in ssh: the policy is to trust it.
fn record(endpoint: &Endpoint, name: &str, key: &[u8]) {
    let Some(file) = &endpoint.options.record_in else { return };
    match known_hosts::record(file, name, key, endpoint.options.hash_names) {
        Ok(()) => tracing::info!(host = %endpoint.name, file = %file.display(), "recorded the host key"),
        Err(error) => tracing::warn!(host = %endpoint.name, "the host key cannot be recorded in {}: {error}", file.display()),
    }
}
