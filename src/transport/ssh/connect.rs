//! From an address to an authenticated session: TCP, handshake, host key, login. Every wait has the same deadline.

use super::auth::log_in;
use super::known_hosts::{KnownHosts, Verdict};
use super::session::{Session, SessionError, Socket};
use super::{Endpoint, SshShell};
use crate::transport::shell::{Failure, Shell};
use ssh2::MethodType;
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::time::Instant;

pub(super) fn connect(endpoint: &Endpoint, via: Option<&SshShell>) -> Result<Session, Failure> {
    let deadline = Instant::now() + endpoint.connect_timeout;
    let socket = match via {
        None => Socket::Tcp(dial(endpoint, deadline)?),
        Some(via) => Socket::Tunnel(dial_through(endpoint, via)?),
    };
    let known = KnownHosts::read(&endpoint.known_hosts_files).map_err(|reason| Failure::Unreachable { reason, help: None })?;
    let session = shake_hands(endpoint, socket, &known, deadline)?;
    check_host_key(endpoint, &session, &known)?;
    log_in(endpoint, &session, deadline)?;
    session.ssh.set_keepalive(true, 5);
    Ok(session)
}

fn dial(endpoint: &Endpoint, deadline: Instant) -> Result<TcpStream, Failure> {
    let (address, port) = (endpoint.address.as_str(), endpoint.port);
    let unreachable = |reason: String| Failure::Unreachable { reason, help: None };
    let mut addresses = (address, port).to_socket_addrs().map_err(|error| {
        let help = Some(format!(
            "`{address}` is no address and no name that resolves; set `address` for this host, or HostName in ~/.ssh/config"
        ));
        Failure::Unreachable { reason: format!("the name {address} cannot be resolved: {error}"), help }
    })?;
    let mut last = unreachable(format!("{address} has no address"));
    for socket_address in addresses.by_ref() {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        match TcpStream::connect_timeout(&socket_address, left) {
            Ok(socket) => {
                let prepared = socket.set_nodelay(true).and_then(|()| socket.set_nonblocking(true));
                return prepared.map(|()| socket).map_err(|error| unreachable(format!("its socket cannot be set up: {error}")));
            }
            Err(error) => last = unreachable(format!("connection to {socket_address} failed: {error}")),
        }
    }
    Err(last)
}

/// Has the last host on the way connect.
fn dial_through(endpoint: &Endpoint, via: &SshShell) -> Result<UnixStream, Failure> {
    let unreachable = |reason: String| Failure::Unreachable {
        reason,
        help: Some("the host on the way (ProxyJump) was reached, and could not connect further".to_owned()),
    };
    let stream = via.connect(&endpoint.address, endpoint.port).map_err(|failure| unreachable(failure.to_string()))?;
    stream.set_nonblocking(true).map_err(|error| unreachable(error.to_string()))?;
    Ok(stream)
}

fn shake_hands(endpoint: &Endpoint, socket: Socket, known: &KnownHosts, deadline: Instant) -> Result<Session, Failure> {
    let broken =
        |error: &dyn std::fmt::Display| Failure::Unreachable { reason: format!("SSH cannot be set up: {error}"), help: None };
    let ssh = ssh2::Session::new().map_err(|error| broken(&error))?;
    if let Some(preferred) = known.algorithms(&endpoint.address, endpoint.port) {
        // OpenSSH does the same: asking for another type of key than the known one would look like a changed key.
        ssh.method_pref(MethodType::HostKey, &preferred).map_err(|error| broken(&error))?;
    }
    let copy = socket.try_clone().map_err(|error| broken(&error))?;
    let mut session = Session { ssh, socket };
    session.ssh.set_tcp_stream(copy);
    session.ssh.set_blocking(false);
    let mut ssh = session.ssh.clone();
    session.until(deadline, |_| ssh.handshake()).map_err(|error| hint(error.unreachable("the SSH handshake failed"), &error))?;
    Ok(session)
}

fn hint(failure: Failure, error: &SessionError) -> Failure {
    let Failure::Unreachable { reason, .. } = failure else { return failure };
    let help = match error {
        SessionError::Timeout => {
            "something accepts the connection but does not speak SSH; is the host hung, or the port another service's?"
        }
        SessionError::Ssh(_) => "does an SSH server listen at this address and port?",
    };
    Failure::Unreachable { reason, help: Some(help.to_owned()) }
}

fn check_host_key(endpoint: &Endpoint, session: &Session, known: &KnownHosts) -> Result<(), Failure> {
    let (name, port) = (&endpoint.address, endpoint.port);
    let Some((key, _)) = session.ssh.host_key() else {
        return Err(Failure::Denied { reason: "the host showed no key".to_owned(), help: None });
    };
    let fingerprint = super::known_hosts::fingerprint(key);
    let files: Vec<String> = endpoint.known_hosts_files.iter().map(|file| file.display().to_string()).collect();
    let shown = if port == 22 { name.clone() } else { format!("[{name}]:{port}") };
    let (reason, help) = match known.check(name, port, key) {
        Verdict::Known => return Ok(()),
        Verdict::Unknown => (
            format!("its host key {fingerprint} is not known"),
            format!(
                "compare the fingerprint at the host (`ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub`), then add it: ssh-keyscan -p {port} {name} >> {}",
                files.first().map_or("~/.ssh/known_hosts", String::as_str)
            ),
        ),
        Verdict::Changed { file, line } => (
            format!("its host key {fingerprint} is not the one that {file}:{line} has for {shown}"),
            format!(
                "either the host was reinstalled or someone is in between; ask before you remove the line (ssh-keygen -R '{shown}')"
            ),
        ),
        Verdict::Revoked { file, line } => {
            (format!("its host key {fingerprint} is revoked by {file}:{line}"), "do not connect; ask who revoked it".to_owned())
        }
    };
    Err(Failure::Denied { reason, help: Some(help) })
}
