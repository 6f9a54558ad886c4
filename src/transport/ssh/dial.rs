//! The connection below a session: TCP to one of a name's addresses, a tunnel of the last host on the way, or the standard
//! input and output of a command.

use super::proxy::Proxy;
use super::session::Socket;
use super::{Endpoint, SshShell};
use crate::fleet::AddressFamily;
use crate::transport::shell::{Failure, Shell};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::sockopt::socket_error;
use rustix::net::{AddressFamily as Family, SocketFlags, SocketType, bind, connect, socket_with};
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::time::Instant;

pub(super) fn dial(endpoint: &Endpoint, via: Option<&SshShell>, deadline: Instant) -> Result<(Socket, Option<Proxy>), Failure> {
    match (via, &endpoint.options.proxy_command) {
        (Some(via), _) => Ok((Socket::Tunnel(through(endpoint, via)?), None)),
        (None, Some(command)) => {
            let (proxy, stream) = Proxy::start(command).map_err(|error| Failure::Unreachable {
                reason: format!("its ProxyCommand `{}` cannot be started: {error}", command.command),
                help: None,
            })?;
            Ok((Socket::Tunnel(stream), Some(proxy)))
        }
        (None, None) => Ok((Socket::Tcp(tcp(endpoint, deadline)?), None)),
    }
}

fn tcp(endpoint: &Endpoint, deadline: Instant) -> Result<TcpStream, Failure> {
    let (address, port) = (endpoint.address.as_str(), endpoint.port);
    let unreachable = |reason: String| Failure::Unreachable { reason, help: None };
    let found = (address, port).to_socket_addrs().map_err(|error| {
        let help = Some(format!(
            "`{address}` is no address and no name that resolves; set `address` for this host, or HostName in ~/.ssh/config"
        ));
        Failure::Unreachable { reason: format!("the name {address} cannot be resolved: {error}"), help }
    })?;
    let wanted = |one: &SocketAddr| match endpoint.options.address_family {
        AddressFamily::Any => true,
        AddressFamily::Inet => one.is_ipv4(),
        AddressFamily::Inet6 => one.is_ipv6(),
    };
    let from = match &endpoint.options.bind_address {
        Some(text) => own_addresses(text)?,
        None => Vec::new(),
    };
    let mut last = unreachable(format!("{address} has no address of the kind that AddressFamily and BindAddress ask for"));
    for socket_address in found.filter(wanted) {
        if deadline.saturating_duration_since(Instant::now()).is_zero() {
            break;
        }
        let from = from.iter().find(|own| own.is_ipv4() == socket_address.is_ipv4());
        if endpoint.options.bind_address.is_some() && from.is_none() {
            continue;
        }
        match connect_from(from.copied(), socket_address, deadline) {
            Ok(socket) => {
                let prepared = socket.set_nodelay(true).and_then(|()| socket.set_nonblocking(true));
                return prepared.map(|()| socket).map_err(|error| unreachable(format!("its socket cannot be set up: {error}")));
            }
            Err(error) => last = unreachable(format!("connection to {socket_address} failed: {error}")),
        }
    }
    Err(last)
}

/// The addresses of this machine that `BindAddress` means.
fn own_addresses(text: &str) -> Result<Vec<IpAddr>, Failure> {
    let found = (text, 0).to_socket_addrs().map_err(|error| Failure::Denied {
        reason: format!("BindAddress {text} of the ssh_config cannot be resolved: {error}"),
        help: None,
    })?;
    Ok(found.map(|address| address.ip()).collect())
}

fn connect_from(from: Option<IpAddr>, to: SocketAddr, deadline: Instant) -> std::io::Result<TcpStream> {
    let left = deadline.saturating_duration_since(Instant::now());
    let Some(from) = from else { return TcpStream::connect_timeout(&to, left) };
    let family = if to.is_ipv4() { Family::INET } else { Family::INET6 };
    let socket = socket_with(family, SocketType::STREAM, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC, None)?;
    bind(&socket, &SocketAddr::new(from, 0))?;
    match connect(&socket, &to) {
        Err(Errno::INPROGRESS) => {
            let mut fds = [PollFd::new(&socket, PollFlags::OUT)];
            if poll(&mut fds, Some(&super::session::timespec(left)))? == 0 {
                return Err(std::io::ErrorKind::TimedOut.into());
            }
            socket_error(&socket)??;
        }
        result => result?,
    }
    Ok(TcpStream::from(socket))
}

/// Has the last host on the way connect.
fn through(endpoint: &Endpoint, via: &SshShell) -> Result<UnixStream, Failure> {
    let unreachable = |reason: String| Failure::Unreachable {
        reason,
        help: Some("the host on the way (ProxyJump) was reached, and could not connect further".to_owned()),
    };
    let stream = via.connect(&endpoint.address, endpoint.port).map_err(|failure| unreachable(failure.to_string()))?;
    stream.set_nonblocking(true).map_err(|error| unreachable(error.to_string()))?;
    Ok(stream)
}
