//! Logging in with keys, in the order of `ssh`: certificates, the agent's keys that a file names, the agent's others, and
//! the keys in files. An encrypted one is offered first, and its passphrase asked for once the host would take it.

use super::Endpoint;
use super::agent::{Bridge, Held, held};
use super::algorithms::Accepted;
use super::identity::{Identity, Private, public, with_ending};
use super::session::{Session, SessionError};
use super::wire::{is_certificate, kind_of, public_half};
use crate::fleet::Agent;
use crate::transport::credentials::Credentials;
use crate::transport::shell::Failure;
use std::path::{Path, PathBuf};
use std::time::Instant;

pub(super) fn log_in(
    endpoint: &Endpoint,
    session: &Session,
    credentials: &Credentials,
    deadline: Instant,
) -> Result<(), Failure> {
    let keys = Keys::gather(endpoint, credentials);
    let mut attempt = Attempt { endpoint, session, credentials, deadline, tried: Vec::new(), locked: Vec::new(), offered: 0 };
    attempt.run(&keys)
}

/// All keys that there are.
struct Keys {
    socket: Option<PathBuf>,
    agent: Vec<Held>,
    identities: Vec<Identity>,
    certificates: Vec<Certificate>,
    /// What could not be used, and why.
    notes: Vec<String>,
}

struct Certificate {
    file: PathBuf,
    blob: Vec<u8>,
    line: String,
}

impl Keys {
    fn gather(endpoint: &Endpoint, credentials: &Credentials) -> Self {
        let mut notes = Vec::new();
        let socket = match &endpoint.options.agent {
            Agent::Usual => credentials.agent.clone(),
            Agent::Nobody => None,
            Agent::At(socket) => Some(socket.clone()),
        };
        let (socket, agent) = match socket.map(|socket| (held(&socket), socket)) {
            Some((Ok(held), socket)) => (Some(socket), held),
            Some((Err(error), socket)) => {
                notes.push(format!("no agent ({}: {error})", socket.display()));
                (None, Vec::new())
            }
            None => {
                notes.push("no agent".to_owned());
                (None, Vec::new())
            }
        };
        let mut identities = Vec::new();
        for file in &endpoint.identity_files {
            match Identity::read(file) {
                Some(identity) => identities.push(identity),
                // Hardly anybody has these, and they are looked for unasked.
                None if file.ends_with(".ssh/id_ed25519_sk") || file.ends_with(".ssh/id_ecdsa_sk") => {}
                None if file.exists() => notes.push(format!("{} (cannot be read)", file.display())),
                None => notes.push(format!("{} (not there)", file.display())),
            }
        }
        let mut certificates = Vec::new();
        let beside = endpoint.identity_files.iter().map(|file| with_ending(file, "-cert.pub")).filter(|file| file.exists());
        let said = &endpoint.options.certificates;
        for file in if said.is_empty() { beside.collect() } else { said.clone() } {
            match public(&file).filter(|(blob, _)| is_certificate(blob)) {
                Some((blob, line)) => certificates.push(Certificate { file, blob, line }),
                None => notes.push(format!("{} (no certificate)", file.display())),
            }
        }
        Self { socket, agent, identities, certificates, notes }
    }

    /// The certificates of files whose keys the agent holds.
    fn certificates_of_agent(&self) -> Vec<Vec<u8>> {
        let holds = |blob: &[u8]| self.agent.iter().any(|held| held.blob == blob);
        let signs = |one: &&Certificate| !holds(&one.blob) && public_half(&one.blob).is_some_and(|key| holds(&key));
        self.certificates.iter().filter(signs).map(|one| one.blob.clone()).collect()
    }

    /// What is asked of the agent, in this order.
    fn of_agent(&self, only_named: bool) -> Vec<Vec<u8>> {
        let of_files = self.certificates.iter().filter(|one| self.agent.iter().any(|held| held.blob == one.blob));
        let mut order: Vec<Vec<u8>> = of_files.map(|one| one.blob.clone()).chain(self.certificates_of_agent()).collect();
        let named = |held: &&Held| {
            let key = public_half(&held.blob);
            self.identities.iter().any(|identity| identity.public.is_some() && identity.public == key)
        };
        let (first, rest): (Vec<&Held>, Vec<&Held>) = self.agent.iter().partition(named);
        let rest = rest.into_iter().filter(|_| !only_named);
        for held in first.into_iter().chain(rest) {
            if !order.contains(&held.blob) {
                order.push(held.blob.clone());
            }
        }
        order
    }
}

struct Attempt<'a> {
    endpoint: &'a Endpoint,
    session: &'a Session,
    credentials: &'a Credentials,
    deadline: Instant,
    tried: Vec<String>,
    /// Encrypted keys that the host would have taken.
    locked: Vec<PathBuf>,
    offered: usize,
}

impl Attempt<'_> {
    fn run(&mut self, keys: &Keys) -> Result<(), Failure> {
        let accepted = Accepted::of(&self.endpoint.options, &self.session.ssh)?;
        if self.with_agent(keys, &accepted)? || self.with_files(keys, &accepted)? {
            return Ok(());
        }
        self.tried.extend(keys.notes.iter().cloned());
        let reason = format!("it lets no key in for the user {}; tried: {}", self.endpoint.user, self.tried.join(", "));
        let help = match self.locked.first() {
            Some(file) => format!("add the key to the agent (ssh-add {}), or run from a terminal to be asked for its passphrase", file.display()),
            None => "name the key with `identity_file` or IdentityFile in ~/.ssh/config, add it to the agent (ssh-add), or put its public half into the user's ~/.ssh/authorized_keys".to_owned(),
        };
        Err(Failure::Denied { reason, help: Some(help) })
    }

    fn with_agent(&mut self, keys: &Keys, accepted: &Accepted) -> Result<bool, Failure> {
        let Some(socket) = &keys.socket else { return Ok(false) };
        let order = keys.of_agent(self.endpoint.options.identities_only);
        let order: Vec<Vec<u8>> = order.into_iter().filter(|blob| accepted.takes(blob)).collect();
        let certificates = keys.certificates_of_agent();
        let bridged =
            |blob: &Vec<u8>| kind_of(blob).is_some_and(|kind| kind.starts_with("sk-") || kind.starts_with("ssh-rsa-cert"));
        let bridge = if !certificates.is_empty() || order.iter().any(bridged) {
            Some(Bridge::new(socket, certificates).map_err(|error| unusable(&error))?)
        } else {
            None
        };
        let mut agent = self.session.ssh.agent().map_err(|error| unusable(&error))?;
        let socket = bridge.as_ref().map_or_else(|| socket.clone(), Bridge::socket);
        agent.set_identity_path(&socket).map_err(|error| unusable(&error))?;
        if agent.connect().is_err() || agent.list_identities().is_err() {
            self.tried.push("no agent".to_owned());
            return Ok(false);
        }
        let held = agent.identities().unwrap_or_default();
        let mut refused = Vec::new();
        for blob in order {
            let Some(identity) = held.iter().find(|identity| identity.blob() == blob) else { continue };
            self.offered += 1;
            match self.session.until(self.deadline, |_| agent.userauth(&self.endpoint.user, identity)) {
                Ok(()) => return Ok(true),
                Err(error) => self.give_up_on_loss(&error)?,
            }
            // A host that answers is there; the person at the agent may have taken their time.
            self.deadline = Instant::now() + self.endpoint.connect_timeout;
            refused.push(kind_of(&blob).unwrap_or("key").to_owned());
        }
        self.tried.push(match refused.as_slice() {
            [] => "no key of the agent".to_owned(),
            list => format!("{} key(s) of the agent ({})", list.len(), list.join(", ")),
        });
        Ok(false)
    }

    fn with_files(&mut self, keys: &Keys, accepted: &Accepted) -> Result<bool, Failure> {
        for identity in &keys.identities {
            let shown = identity.file.display().to_string();
            let in_agent = identity.public.as_ref().is_some_and(|key| keys.agent.iter().any(|held| held.blob == *key));
            match identity.private {
                _ if in_agent => continue,
                Private::Away => {
                    let what = identity.public.as_deref().and_then(kind_of).unwrap_or("key");
                    self.tried
                        .push(format!("{shown} ({what}: its private half is not in the file; add it to the agent with ssh-add)"));
                    continue;
                }
                Private::LockedElsewhere => {
                    let how = format!("ssh-add {shown}, or ssh-keygen -p -f {shown} for the format of OpenSSH");
                    self.tried.push(format!("{shown} (encrypted in another format than OpenSSH's: {how})"));
                    continue;
                }
                Private::Open | Private::Locked => {}
            }
            let of_key = |one: &&Certificate| identity.public.is_some() && public_half(&one.blob) == identity.public;
            for certificate in keys.certificates.iter().filter(of_key) {
                if accepted.takes(&certificate.blob) && self.offer(identity, Some(certificate))? {
                    return Ok(true);
                }
            }
            if identity.public.as_ref().is_none_or(|key| accepted.takes(key)) && self.offer(identity, None)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Offers one key, and tells whether the host let it in.
    fn offer(&mut self, identity: &Identity, certificate: Option<&Certificate>) -> Result<bool, Failure> {
        self.offered += 1;
        let user = &self.endpoint.user;
        let shown = certificate.map_or(&identity.file, |certificate| &certificate.file).display().to_string();
        let result = if identity.private == Private::Locked {
            let Some(line) = certificate.map(|one| one.line.clone()).or_else(|| identity.line()) else { return Ok(false) };
            if !self.would_be_taken(&line)? {
                self.tried.push(format!("{shown} (encrypted)"));
                return Ok(false);
            }
            let opened = self.credentials.passphrases.open(&identity.file);
            // A person takes longer than a network may.
            self.deadline = Instant::now() + self.endpoint.connect_timeout;
            let key = match opened {
                Ok(key) => key,
                Err(why) => {
                    self.tried.push(format!("{}, which {why}", identity.file.display()));
                    self.locked.push(identity.file.clone());
                    return Ok(false);
                }
            };
            self.session.until(self.deadline, |ssh| ssh.userauth_pubkey_memory(user, Some(&line), key.as_ref(), None))
        } else {
            let public: Option<&Path> = certificate.map(|one| one.file.as_path());
            self.session.until(self.deadline, |ssh| ssh.userauth_pubkey_file(user, public, &identity.file, None))
        };
        match result {
            Ok(()) => Ok(true),
            Err(error) => {
                self.give_up_on_loss(&error)?;
                self.tried.push(match error {
                    SessionError::Ssh(ssh) => format!("{shown} ({})", ssh.message()),
                    SessionError::Timeout => format!("{shown} (no answer)"),
                });
                Ok(false)
            }
        }
    }

    /// Whether the host would take a key: offered with a private half that is none, so that only the signature fails.
    fn would_be_taken(&self, line: &str) -> Result<bool, Failure> {
        let user = &self.endpoint.user;
        match self.session.until(self.deadline, |ssh| ssh.userauth_pubkey_memory(user, Some(line), "no key", None)) {
            Ok(()) => Ok(true),
            Err(SessionError::Ssh(error)) if error.message() == "Callback returned error" => Ok(true),
            Err(error) => self.give_up_on_loss(&error).map(|()| false),
        }
    }

    /// A refused key is no reason to stop trying; a lost connection is.
    fn give_up_on_loss(&self, error: &SessionError) -> Result<(), Failure> {
        const SOCKET_ERRORS: [i32; 4] = [-43, -7, -13, -9];
        let lost = match error {
            SessionError::Timeout => true,
            SessionError::Ssh(ssh) => match ssh.code() {
                ssh2::ErrorCode::Session(code) => SOCKET_ERRORS.contains(&code) || ssh.message().starts_with("Waiting for"),
                ssh2::ErrorCode::SFTP(_) => false,
            },
        };
        if !lost || self.session.ssh.authenticated() {
            return Ok(());
        }
        if self.offered > 1 && !matches!(error, SessionError::Timeout) {
            let reason =
                format!("it ended the connection after {} keys were offered for the user {}", self.offered, self.endpoint.user);
            let help = "a server allows few tries (MaxAuthTries): name the key with IdentityFile, and set `IdentitiesOnly yes`";
            return Err(Failure::Denied { reason, help: Some(help.to_owned()) });
        }
        Err(error.unreachable("logging in"))
    }
}

fn unusable(error: &dyn std::fmt::Display) -> Failure {
    Failure::Unreachable { reason: format!("the agent cannot be used: {error}"), help: None }
}
