//! Logging in: the agent's keys, then the identity files, as `ssh` does.

use super::Endpoint;
use super::session::{Session, SessionError};
use crate::transport::shell::Failure;
use std::path::Path;
use std::time::Instant;

pub(super) fn log_in(endpoint: &Endpoint, session: &Session, deadline: Instant) -> Result<(), Failure> {
    let mut tried = Vec::new();
    if with_agent(endpoint, session, deadline, &mut tried)? || with_files(endpoint, session, deadline, &mut tried)? {
        return Ok(());
    }
    let reason = format!("it lets no key in for the user {}; tried: {}", endpoint.user, tried.join(", "));
    let help = "name the key with `identity_file` or IdentityFile in ~/.ssh/config, add it to the agent (ssh-add), or put its public half into the user's ~/.ssh/authorized_keys";
    Err(Failure::Denied { reason, help: Some(help.to_owned()) })
}

fn with_agent(endpoint: &Endpoint, session: &Session, deadline: Instant, tried: &mut Vec<String>) -> Result<bool, Failure> {
    let Ok(mut agent) = session.ssh.agent() else { return Ok(false) };
    if agent.connect().is_err() || agent.list_identities().is_err() {
        tried.push("no agent".to_owned());
        return Ok(false);
    }
    let identities = agent.identities().unwrap_or_default();
    for identity in &identities {
        match session.until(deadline, |_| agent.userauth(&endpoint.user, identity)) {
            Ok(()) => return Ok(true),
            Err(error) => give_up_on_loss(&error, session)?,
        }
    }
    tried.push(format!("{} key(s) of the agent", identities.len()));
    Ok(false)
}

fn with_files(endpoint: &Endpoint, session: &Session, deadline: Instant, tried: &mut Vec<String>) -> Result<bool, Failure> {
    for file in &endpoint.identity_files {
        let shown = file.display();
        if !file.is_file() {
            tried.push(format!("{shown} (not there)"));
            continue;
        }
        match session.until(deadline, |ssh| ssh.userauth_pubkey_file(&endpoint.user, None, file, None)) {
            Ok(()) => return Ok(true),
            Err(error) => {
                give_up_on_loss(&error, session)?;
                tried.push(why(file, &error));
            }
        }
    }
    Ok(false)
}

/// A refused key is no reason to stop trying; a lost connection is.
fn give_up_on_loss(error: &SessionError, session: &Session) -> Result<(), Failure> {
    const SOCKET_ERRORS: [i32; 4] = [-43, -7, -13, -9];
    match error {
        SessionError::Timeout => Err(error.unreachable("logging in")),
        SessionError::Ssh(ssh) => match ssh.code() {
            ssh2::ErrorCode::Session(code) if SOCKET_ERRORS.contains(&code) && !session.ssh.authenticated() => {
                Err(error.unreachable("logging in"))
            }
            _ => Ok(()),
        },
    }
}

fn why(file: &Path, error: &SessionError) -> String {
    let shown = file.display();
    match error {
        // What libssh2 says of an encrypted key for which it has no passphrase.
        SessionError::Ssh(ssh) if ssh.code() == ssh2::ErrorCode::Session(-16) => {
            format!("{shown} (cannot be read: encrypted? then add it to the agent with ssh-add)")
        }
        SessionError::Ssh(ssh) => format!("{shown} ({})", ssh.message()),
        SessionError::Timeout => format!("{shown} (no answer)"),
    }
}
