//! A libssh2 session in non-blocking use: what libssh2 would wait for inside, we wait for here, with deadlines, and with
//! pending acknowledgements sent at once (else sshd's Nagle and our delayed ACK stall each new channel for 40 ms).

use super::proxy::Proxy;
use crate::fleet::SshOptions;
use crate::transport::shell::Failure;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::sockopt::set_tcp_quickack;
use ssh2::{BlockDirections, ErrorCode};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

const EAGAIN: i32 = -37;

pub(super) struct Session {
    pub(super) ssh: ssh2::Session,
    pub(super) socket: Socket,
    /// What makes the connection, when that is a command.
    pub(super) proxy: Option<Proxy>,
    pub(super) alive: Alive,
}

/// How a host that has gone is noticed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Alive {
    /// A keepalive is sent this often while something is awaited.
    pub(super) every: Duration,
    /// A host that has sent nothing for so long, though asked, is lost.
    pub(super) lost_after: Duration,
}

impl Alive {
    /// As `ServerAliveInterval` and `ServerAliveCountMax` say; a run that could wait for ever for a dead host helps nobody.
    pub(super) fn of(options: &SshOptions) -> Self {
        let every = options.alive_interval.unwrap_or(Duration::from_secs(5)).max(Duration::from_secs(1));
        Self { every, lost_after: every.saturating_mul(options.alive_count.unwrap_or(3).max(1)) }
    }
}

/// What a session speaks through: a connection of our own, or one that a host on the way has made.
pub(super) enum Socket {
    Tcp(TcpStream),
    Tunnel(UnixStream),
}

impl Socket {
    pub(super) fn try_clone(&self) -> std::io::Result<Self> {
        match self {
            Self::Tcp(socket) => socket.try_clone().map(Self::Tcp),
            Self::Tunnel(socket) => socket.try_clone().map(Self::Tunnel),
        }
    }

    /// Has what was received acknowledged at once. Failing to ask for it costs time, nothing else.
    pub(super) fn acknowledge(&self) {
        if let Self::Tcp(socket) = self {
            let _ = set_tcp_quickack(socket, true);
        }
    }

    pub(super) fn shut_down(&self) {
        let _ = match self {
            Self::Tcp(socket) => socket.shutdown(Shutdown::Both),
            Self::Tunnel(socket) => socket.shutdown(Shutdown::Both),
        };
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(socket) => socket.as_fd(),
            Self::Tunnel(socket) => socket.as_fd(),
        }
    }
}

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl Session {
    /// Repeats what would block until it is done or the deadline is over. What an agent takes, which may ask a person to
    /// touch a key, is not counted.
    pub(super) fn until<T>(
        &self,
        mut deadline: Instant,
        mut attempt: impl FnMut(&ssh2::Session) -> Result<T, ssh2::Error>,
    ) -> Result<T, SessionError> {
        loop {
            let begun = Instant::now();
            match attempt(&self.ssh) {
                Err(error) if would_block(&error) => {}
                Err(error) => return Err(SessionError::Ssh(error)),
                Ok(value) => return Ok(value),
            }
            deadline += begun.elapsed();
            if Instant::now() >= deadline {
                return Err(SessionError::Timeout);
            }
            self.wait(deadline);
        }
    }

    /// Waits until the socket is as libssh2 needs it.
    fn wait(&self, deadline: Instant) {
        self.socket.acknowledge();
        let left = deadline.saturating_duration_since(Instant::now()).min(Duration::from_millis(500));
        let mut fds = [PollFd::new(&self.socket, self.events())];
        // An interrupted wait is a short wait.
        let _ = poll(&mut fds, Some(&timespec(left)));
    }

    /// What to wait for on the socket.
    pub(super) fn events(&self) -> PollFlags {
        match self.ssh.block_directions() {
            BlockDirections::Outbound => PollFlags::OUT,
            BlockDirections::Both => PollFlags::IN | PollFlags::OUT,
            BlockDirections::Inbound | BlockDirections::None => PollFlags::IN,
        }
    }
}

/// Why a session could not do something.
#[derive(Debug)]
pub(super) enum SessionError {
    Timeout,
    Ssh(ssh2::Error),
}

impl SessionError {
    pub(super) fn unreachable(&self, what: &str) -> Failure {
        let reason = match self {
            Self::Timeout => format!("{what}: no answer in time"),
            Self::Ssh(error) => format!("{what}: {}", error.message()),
        };
        Failure::Unreachable { reason, help: None }
    }
}

pub(super) fn would_block(error: &ssh2::Error) -> bool {
    error.code() == ErrorCode::Session(EAGAIN)
}

pub(super) fn timespec(duration: Duration) -> Timespec {
    Timespec { tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX), tv_nsec: i64::from(duration.subsec_nanos()) }
}
