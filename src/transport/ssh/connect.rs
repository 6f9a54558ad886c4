//! From an address to an authenticated session: a connection, handshake, host key, login. Every wait has the same deadline.

use super::algorithms::prefer;
use super::auth::log_in;
use super::dial::dial;
use super::known_hosts::KnownHosts;
use super::proxy::Proxy;
use super::session::{Alive, Session, SessionError, Socket};
use super::{Endpoint, SshShell, host_key};
use crate::transport::credentials::Credentials;
use crate::transport::shell::Failure;
use std::time::Instant;

pub(super) fn connect(endpoint: &Endpoint, credentials: &Credentials, via: Option<&SshShell>) -> Result<Session, Failure> {
    let deadline = Instant::now() + endpoint.connect_timeout;
    let known = KnownHosts::read(&endpoint.known_hosts_files).map_err(|reason| Failure::Unreachable { reason, help: None })?;
    let (socket, proxy) = dial(endpoint, via, deadline)?;
    let session = shake_hands(endpoint, (socket, proxy), &known, deadline)?;
    host_key::check(endpoint, &session, &known)?;
    log_in(endpoint, &session, credentials, deadline)?;
    session.ssh.set_keepalive(true, u32::try_from(session.alive.every.as_secs()).unwrap_or(u32::MAX));
    Ok(session)
}

fn shake_hands(
    endpoint: &Endpoint,
    (socket, proxy): (Socket, Option<Proxy>),
    known: &KnownHosts,
    deadline: Instant,
) -> Result<Session, Failure> {
    let broken =
        |error: &dyn std::fmt::Display| Failure::Unreachable { reason: format!("SSH cannot be set up: {error}"), help: None };
    let ssh = ssh2::Session::new().map_err(|error| broken(&error))?;
    ssh.set_compress(endpoint.options.compression);
    prefer(&ssh, &endpoint.options, known.algorithms(&endpoint.key_name()).as_deref())?;
    let copy = socket.try_clone().map_err(|error| broken(&error))?;
    let mut session = Session { ssh, socket, proxy, alive: Alive::of(&endpoint.options) };
    session.ssh.set_tcp_stream(copy);
    session.ssh.set_blocking(false);
    let mut ssh = session.ssh.clone();
    session.until(deadline, |_| ssh.handshake()).map_err(|error| hint(&session, &error))?;
    Ok(session)
}

fn hint(session: &Session, error: &SessionError) -> Failure {
    let mut reason = match error.unreachable("the SSH handshake failed") {
        Failure::Unreachable { reason, .. } => reason,
        other => return other,
    };
    let help = match (&session.proxy, error) {
        (Some(proxy), _) => {
            let said = proxy.said();
            if !said.is_empty() {
                reason = format!("{reason}; its ProxyCommand says: {said}");
            }
            "does the ProxyCommand of the ssh_config work by itself? It is given no terminal to ask on"
        }
        (None, SessionError::Timeout) => {
            "something accepts the connection but does not speak SSH; is the host hung, or the port another service's?"
        }
        (None, SessionError::Ssh(_)) => "does an SSH server listen at this address and port?",
    };
    Failure::Unreachable { reason, help: Some(help.to_owned()) }
}
