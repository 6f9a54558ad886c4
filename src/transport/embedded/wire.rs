//! What the SSH server, the stand-ins for `systemctl` and a host's init say to each other: one JSON value a line over a
//! Unix socket, with open files passed along.

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use tokio::io::Interest;
use tokio::net::UnixStream;

/// The name of the socket in a host's run directory.
pub(crate) const SOCKET: &str = "socket";

/// What is asked of a host's init.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    /// Run a command on the three open files that come along.
    Exec { argv: Vec<String>, env: Vec<(String, String)> },
    /// Connect to an address inside the host and hand over the connection.
    Connect { host: String, port: u16 },
    /// Do what `systemctl` or `journalctl` would.
    StandIn { argv: Vec<String> },
}

/// What init answers.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Reply {
    /// The command runs; `Ended` follows.
    Started,
    /// The command ended.
    Ended(Ending),
    /// The connection comes along with this.
    Connected,
    /// It could not be done.
    Failed { why: String },
    /// What the stand-in shall print.
    Output(StandInOutput),
}

/// What is said after `Started`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Follow {
    /// Send this signal to the command and what it started.
    Signal(i32),
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Ending {
    /// By itself, with this status.
    Exited(i32),
    /// By this signal.
    Killed(i32),
}

/// What a stand-in prints, and the status with which it ends.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StandInOutput {
    /// For standard output.
    pub stdout: String,
    /// For standard error.
    pub stderr: String,
    /// The exit status.
    pub code: i32,
}

/// A connection that carries lines and open files.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: UnixStream,
    unread: Vec<u8>,
    fds: Vec<OwnedFd>,
}

impl Wire {
    pub(crate) fn new(stream: UnixStream) -> Self {
        Self { stream, unread: Vec::new(), fds: Vec::new() }
    }

    /// Connects to the init whose run directory this is.
    pub(crate) async fn connect(run: &Path) -> io::Result<Self> {
        let (path, _dir) = short_path(run)?;
        UnixStream::connect(path).await.map(Self::new)
    }

    /// Sends one message, and these files with its first byte.
    pub(crate) async fn send<T: Serialize>(&self, message: &T, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        let mut line = serde_json::to_vec(message)?;
        line.push(b'\n');
        let mut sent = self.stream.async_io(Interest::WRITABLE, || send_some(&self.stream, &line, fds)).await?;
        while let Some(rest) = line.get(sent..).filter(|rest| !rest.is_empty()) {
            sent += self.stream.async_io(Interest::WRITABLE, || send_some(&self.stream, rest, &[])).await?;
        }
        Ok(())
    }

    /// Takes the next message, or none at the end. May be dropped while it waits: nothing is lost.
    pub(crate) async fn next<T: DeserializeOwned>(&mut self) -> io::Result<Option<T>> {
        loop {
            if let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.unread.drain(..=end).collect();
                return Ok(Some(serde_json::from_slice(&line)?));
            }
            let (stream, unread, fds) = (&self.stream, &mut self.unread, &mut self.fds);
            if stream.async_io(Interest::READABLE, || receive_some(stream, unread, fds)).await? == 0 {
                return Ok(None);
            }
        }
    }

    /// The files that came along so far.
    pub(crate) fn take_fds(&mut self) -> Vec<OwnedFd> {
        std::mem::take(&mut self.fds)
    }
}

fn send_some(stream: &UnixStream, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(io::Error::other("more than three files for one message"));
    }
    Ok(sendmsg(stream, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL | SendFlags::DONTWAIT)?)
}

fn receive_some(stream: &UnixStream, unread: &mut Vec<u8>, fds: &mut Vec<OwnedFd>) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut bytes = [0; 16384];
    let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
    let count = recvmsg(stream, &mut [IoSliceMut::new(&mut bytes)], &mut control, flags)?.bytes;
    unread.extend(bytes.iter().take(count));
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = message {
            fds.extend(received);
        }
    }
    Ok(count)
}

/// The path of the socket in this directory in a form that fits the 107 bytes a socket's path may have; it holds as long
/// as the open directory that comes with it.
pub(crate) fn short_path(run: &Path) -> io::Result<(PathBuf, std::fs::File)> {
    use std::os::fd::AsRawFd as _;
    let dir = std::fs::File::open(run)?;
    Ok((PathBuf::from(format!("/proc/self/fd/{}/{SOCKET}", dir.as_raw_fd())), dir))
}
