//! A command of the operator's whose standard input and output are the connection: `ProxyCommand`.

use crate::fleet::ProxyCommand;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use std::io::{Error, Read};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// What is kept of what it says.
const MOST: usize = 2048;

/// The command at work; it ends with this value.
pub(super) struct Proxy {
    child: Child,
    said: Arc<Mutex<Vec<u8>>>,
    /// Who reads what it says; ended when nothing more can come.
    listener: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Starts it, and gives the other end of its input and output.
    pub(super) fn start(wanted: &ProxyCommand) -> Result<(Self, UnixStream), Error> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let mut command = Command::new(&wanted.shell);
        command.args(["-c", &wanted.command]).stdin(OwnedFd::from(theirs.try_clone()?)).stdout(OwnedFd::from(theirs));
        // In a group of its own: a person who interrupts a run must not cut the connections that it needs to come to an end.
        command.stderr(Stdio::piped()).process_group(0);
        let mut child = command.spawn()?;
        let said = Arc::new(Mutex::new(Vec::new()));
        let mut listener = None;
        if let Some(mut errors) = child.stderr.take() {
            let said = said.clone();
            let listen = move || {
                let mut buffer = [0_u8; 512];
                while let Ok(n @ 1..) = errors.read(&mut buffer) {
                    let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
                    said.extend_from_slice(&buffer[..n]);
                    let over = said.len().saturating_sub(MOST);
                    said.drain(..over);
                }
            };
            listener = Some(thread::Builder::new().name("proxy".to_owned()).stack_size(64 << 10).spawn(listen)?);
        }
        Ok((Self { child, said, listener }, ours))
    }

    /// What it has said on standard error. Of one that has just ended, its last words may still be on their way.
    pub(super) fn said(&self) -> String {
        for _ in 0..50 {
            if self.listener.as_ref().is_none_or(JoinHandle::is_finished) {
                break;
            }
            thread::park_timeout(Duration::from_millis(10));
        }
        String::from_utf8_lossy(&self.said.lock().unwrap_or_else(PoisonError::into_inner)).trim().to_owned()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let group = Pid::from_child(&self.child);
        // One that has ended is in no group any more.
        let _ = kill_process_group(group, Signal::HUP);
        if let Ok(pidfd) = pidfd_open(group, PidfdFlags::empty()) {
            let mut fds = [PollFd::new(&pidfd, PollFlags::IN)];
            if !matches!(poll(&mut fds, Some(&Timespec { tv_sec: 1, tv_nsec: 0 })), Ok(1..)) {
                let _ = kill_process_group(group, Signal::KILL);
            }
        }
        let _ = self.child.wait();
    }
}
