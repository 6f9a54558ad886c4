//! What may be agreed on with a host: the lists of the ssh_config, of what libssh2 knows.

use super::wire::kind_of;
use crate::fleet::{AlgorithmKind, Algorithms, SshOptions};
use crate::transport::shell::Failure;
use ssh2::MethodType;

const HOST_KEYS: [&str; 7] = [
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
    "ssh-rsa",
];
const RSA: [&str; 3] = ["rsa-sha2-512", "rsa-sha2-256", "ssh-rsa"];

/// Says what is preferred, before the handshake. `known`: the host key algorithms of the keys that are known for it.
pub(super) fn prefer(ssh: &ssh2::Session, options: &SshOptions, known: Option<&str>) -> Result<(), Failure> {
    use MethodType::{CryptCs, CryptSc, HostKey, Kex, MacCs, MacSc};
    let of = |kind| options.algorithms.iter().find(|one| one.kind == kind);
    for (kind, methods) in [
        (AlgorithmKind::Kex, [Kex].as_slice()),
        (AlgorithmKind::Cipher, &[CryptCs, CryptSc]),
        (AlgorithmKind::Mac, &[MacCs, MacSc]),
    ] {
        let Some(wanted) = of(kind) else { continue };
        for method in methods {
            let usual = ssh.supported_algs(*method).map_err(|error| broken(&error))?;
            let usual: Vec<&str> = usual.into_iter().filter(|name| is_real(name)).collect();
            let list = chosen(wanted, &usual)?;
            ssh.method_pref(*method, &list.join(",")).map_err(|error| broken(&error))?;
        }
    }
    // libssh2 would take certificates of hosts as well, and nothing here can check them.
    let wanted = of(AlgorithmKind::HostKey);
    let mut list = wanted.map_or_else(|| Ok(HOST_KEYS.map(str::to_owned).to_vec()), |wanted| chosen(wanted, &HOST_KEYS))?;
    // Those of the known keys go first, as in ssh: another type of key than the known one would look like a changed key.
    if let Some(known) = known.filter(|_| wanted.is_none_or(|wanted| wanted.list.starts_with(['+', '-']))) {
        let place = |name: &String| known.split(',').position(|one| one == name).unwrap_or(usize::MAX);
        list.sort_by_key(place);
    }
    ssh.method_pref(HostKey, &list.join(",")).map_err(|error| broken(&error))
}

/// Not one of the words that only say what a client can do.
fn is_real(name: &str) -> bool {
    name != "ext-info-c" && !name.starts_with("kex-strict-") && name != "none"
}

/// The list that the words make of the usual one.
fn chosen(wanted: &Algorithms, usual: &[&str]) -> Result<Vec<String>, Failure> {
    let matches = |patterns: &str, name: &str| patterns.split(',').any(|one| wildcard(one.trim(), name));
    let named = |patterns: &str| -> Vec<&str> {
        let each = patterns.split(',').flat_map(|one| usual.iter().copied().filter(move |name| wildcard(one.trim(), name)));
        each.fold(Vec::new(), |mut list, name| {
            if !list.contains(&name) {
                list.push(name);
            }
            list
        })
    };
    let list: Vec<&str> = match (wanted.list.split_at_checked(1), wanted.list.as_str()) {
        // All that libssh2 knows is in the usual list.
        (Some(("+", _)), _) => usual.to_vec(),
        (Some(("-", rest)), _) => usual.iter().copied().filter(|name| !matches(rest, name)).collect(),
        (Some(("^", rest)), _) => {
            let first = named(rest);
            let others = usual.iter().copied().filter(|name| !first.contains(name));
            first.iter().copied().chain(others).collect()
        }
        (_, all) => named(all),
    };
    if list.is_empty() {
        let place = format!("{}:{}", wanted.file.display(), wanted.line);
        return Err(Failure::Denied {
            reason: format!("{place} allows only {} `{}`, none of which Windlass can do", what(wanted.kind), wanted.list),
            help: Some(format!("it can do: {}", usual.join(", "))),
        });
    }
    Ok(list.into_iter().map(str::to_owned).collect())
}

fn what(kind: AlgorithmKind) -> &'static str {
    match kind {
        AlgorithmKind::Kex => "KexAlgorithms",
        AlgorithmKind::HostKey => "HostKeyAlgorithms",
        AlgorithmKind::Cipher => "Ciphers",
        AlgorithmKind::Mac => "MACs",
        AlgorithmKind::Login => "PubkeyAcceptedAlgorithms",
    }
}

fn broken(error: &ssh2::Error) -> Failure {
    Failure::Unreachable { reason: format!("SSH cannot be set up: {error}"), help: None }
}

/// `*` and `?`.
fn wildcard(pattern: &str, name: &str) -> bool {
    super::known_hosts::wildcard(pattern.as_bytes(), name.as_bytes())
}

/// The keys that may be offered.
pub(super) struct Accepted(Option<Vec<String>>);

const LOGIN: [&str; 9] = [
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "rsa-sha2-512",
    "rsa-sha2-256",
    "ssh-rsa",
];

impl Accepted {
    /// As `PubkeyAcceptedAlgorithms` says it; the digests for RSA keys are told to libssh2.
    pub(super) fn of(options: &SshOptions, ssh: &ssh2::Session) -> Result<Self, Failure> {
        let Some(wanted) = options.algorithms.iter().find(|one| one.kind == AlgorithmKind::Login) else { return Ok(Self(None)) };
        let certificates = LOGIN.map(|name| match name.split_once('@') {
            Some((name, domain)) => format!("{name}-cert-v01@{domain}"),
            None => format!("{name}-cert-v01@openssh.com"),
        });
        let usual: Vec<&str> = LOGIN.into_iter().chain(certificates.iter().map(String::as_str)).collect();
        let list = chosen(wanted, &usual)?;
        let rsa: Vec<&str> = RSA.into_iter().filter(|name| list.iter().any(|one| one.starts_with(name))).collect();
        if !rsa.is_empty() {
            ssh.method_pref(MethodType::SignAlgo, &rsa.join(",")).map_err(|error| broken(&error))?;
        }
        Ok(Self(Some(list)))
    }

    /// Whether this key or certificate is among them.
    pub(super) fn takes(&self, blob: &[u8]) -> bool {
        let (Some(list), Some(kind)) = (&self.0, kind_of(blob)) else { return true };
        match kind.strip_prefix("ssh-rsa") {
            Some(rest) => RSA.iter().any(|name| list.iter().any(|one| *one == format!("{name}{rest}"))),
            None => list.iter().any(|one| one == kind),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_make_what_they_say_of_the_usual_one() {
        let made = |list: &str| {
            let list = list.to_owned();
            let wanted = Algorithms { kind: AlgorithmKind::Cipher, list, file: "config".into(), line: 3 };
            match chosen(&wanted, &["a1", "a2", "b"]) {
                Ok(list) => list.join(","),
                Err(failure) => failure.to_string(),
            }
        };
        for (list, wanted) in [
            ("b,x,a1", "b,a1"),
            ("a*", "a1,a2"),
            ("+x", "a1,a2,b"),
            ("-a*", "b"),
            ("-x", "a1,a2,b"),
            ("^b,x", "b,a1,a2"),
            ("x,y", "config:3 allows only Ciphers `x,y`, none of which Windlass can do"),
            ("-*", "config:3 allows only Ciphers `-*`, none of which Windlass can do"),
        ] {
            assert_eq!(made(list), wanted, "{list}");
        }
    }
}
