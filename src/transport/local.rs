//! This machine as a host: the same functions in an `sh` that is a child process.

use super::frame::{BEFORE, Beginning, Frame, Progress, push, talks_too_much};
use super::pool::PoolOptions;
use super::remote::{Become, Errand, Known, Password, library, line};
use super::shell::{Call, CallReply, Failure, Shell, Tick};
use super::stream::PayloadReader;
use crate::stop::Stop;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Shells on this machine, one for each call that runs at once.
pub(super) struct LocalShell {
    errand: Errand,
    home: Option<PathBuf>,
    idle: Mutex<Vec<Process>>,
    stop: Stop,
    password: Password,
}

impl LocalShell {
    pub(super) fn new(options: &PoolOptions, errand: Errand) -> Self {
        let (stop, password) = (options.stop.clone(), options.credentials.password.clone());
        let home = options.local_home.clone();
        Self { errand, home, idle: Mutex::new(Vec::new()), stop, password }
    }

    fn take(&self, user: Option<&str>) -> Result<Process, Failure> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let found = idle.iter().position(|process| process.user.as_deref() == user).map(|at| idle.swap_remove(at));
        drop(idle);
        found.map_or_else(|| Process::spawn(self, user), Ok)
    }
}

impl Shell for LocalShell {
    fn call(&self, call: &Call, tick: Tick<'_>) -> Result<CallReply, Failure> {
        let mut process = self.take(call.user.as_deref())?;
        let reply = process.call(call, &self.stop, tick)?;
        if reply.code != 74
            && let Ok(mut idle) = self.idle.lock()
        {
            idle.push(process);
        }
        Ok(reply)
    }

    fn connect(&self, address: &str, port: u16) -> Result<UnixStream, Failure> {
        let refused = |error: std::io::Error| Failure::Refused(format!("no connection to {address}:{port}: {error}"));
        let place = address.to_owned();
        let made = self.stop.or_done(move || super::direct::connect(&place, port)).ok_or(Failure::Stopped)?;
        let server = made.map_err(Failure::Refused)?;
        let (ours, theirs) = UnixStream::pair().map_err(refused)?;
        let (mut from_server, mut to_server) = (server.try_clone().map_err(refused)?, server);
        let (mut from_client, mut to_client) = (ours.try_clone().map_err(refused)?, ours);
        thread::spawn(move || {
            let _ = std::io::copy(&mut from_client, &mut to_server);
            let _ = to_server.shutdown(Shutdown::Write);
        });
        thread::spawn(move || {
            let _ = std::io::copy(&mut from_server, &mut to_client);
            let _ = to_client.shutdown(Shutdown::Write);
        });
        Ok(theirs)
    }

    fn is_usable(&self) -> bool {
        true
    }
}

struct Process {
    child: Child,
    stdin: ChildStdin,
    stdout: ChildStdout,
    stderr: ChildStderr,
    user: Option<String>,
    key: String,
    known: Known,
    calls: u64,
}

impl Process {
    fn spawn(place: &LocalShell, user: Option<&str>) -> Result<Self, Failure> {
        let unreachable = |reason: String| Failure::Unreachable { reason, help: None };
        let LocalShell { errand, home, stop, password, .. } = place;
        let change = user.map(|user| Become::new(user, password));
        let mut command = Command::new("/bin/sh");
        if let Some(change) = &change {
            command.args(["-c", &change.command()]);
        }
        // A group of its own: what a signal to ours ends is not its work, and whoever comes after us can end it whole.
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        if let Some(home) = home.as_deref().filter(|_| user.is_none()) {
            command.env("HOME", home);
        }
        let mut child = command.spawn().map_err(|error| unreachable(format!("/bin/sh cannot be started: {error}")))?;
        let (Some(stdin), Some(stdout), Some(stderr)) = (child.stdin.take(), child.stdout.take(), child.stderr.take()) else {
            return Err(unreachable("/bin/sh has no streams".to_owned()));
        };
        let key = format!("wl-{:032x}", rand::random::<u128>());
        let (user, known) = (user.map(ToOwned::to_owned), Known::default());
        let mut process = Self { child, stdin, stdout, stderr, user, key, known, calls: 0 };
        if let Some(change) = &change {
            process.become_user(change, stop)?;
        }
        let head = errand.start_at_home(&process.key, &mut process.known);
        process.stdin.write_all(head.as_bytes()).map_err(|error| unreachable(error.to_string()))?;
        Ok(process)
    }

    /// Waits until sudo has become the user.
    fn become_user(&mut self, change: &Become, stop: &Stop) -> Result<(), Failure> {
        let unreachable = |error: std::io::Error| Failure::Unreachable { reason: error.to_string(), help: None };
        self.stdin.write_all(&change.first()).map_err(unreachable)?;
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut buffer = [0_u8; 4 << 10];
        while !change.is_ready(&out) {
            let (has_out, has_err) = self.await_streams();
            if has_err {
                let n = self.stderr.read(&mut buffer).map_err(unreachable)?;
                if !push(&mut err, &buffer[..n], BEFORE) {
                    return Err(talks_too_much());
                }
                // It would wait for another password.
                if let Some(reason) = change.refusal(&String::from_utf8_lossy(&err)) {
                    return Err(Failure::Denied { reason, help: None });
                }
            }
            if has_out {
                // Until it is told to go on, it says one line; what it says instead is on its other stream.
                let n = self.stdout.read(&mut buffer).map_err(unreachable)?;
                if n == 0 {
                    self.stderr.by_ref().take(BEFORE as u64).read_to_end(&mut err).map_err(unreachable)?;
                    let (reason, help) = change.failure(&String::from_utf8_lossy(&err));
                    return Err(Failure::Denied { reason, help });
                }
                if !push(&mut out, &buffer[..n], BEFORE) {
                    return Err(talks_too_much());
                }
            }
            if stop.is_stopped() {
                return Err(Failure::Stopped);
            }
        }
        self.stdin.write_all(change.second().as_bytes()).map_err(unreachable)
    }

    fn call(&mut self, call: &Call, stop: &Stop, tick: Tick<'_>) -> Result<CallReply, Failure> {
        self.calls += 1;
        let lost = |error: std::io::Error| Failure::Lost(error.to_string());
        let mut frame =
            if self.calls == 1 { Frame::first(&self.key, 1, call.limit) } else { Frame::new(&self.key, self.calls, call.limit) };
        let before = library().before(call.function, &mut self.known);
        let sent = self.stdin.write_all(before.as_bytes()).and_then(|()| self.stdin.write_all(&line(call, self.calls)));
        if !frame.awaits_greeting() {
            // One that ends before it greets says why.
            sent.map_err(lost)?;
        }
        let deadline = call.deadline_seconds.map(|seconds| (Instant::now() + Duration::from_secs(seconds), seconds));
        loop {
            match frame.progress()? {
                Progress::Ended(reply) => return Ok(reply),
                Progress::Wants(from) => self.send_payload(call, from.as_ref())?,
                Progress::WantsMore => {
                    let text = library().later(call.function, &mut self.known);
                    self.stdin.write_all(&text).map_err(lost)?;
                }
                Progress::More => self.read_more(&mut frame)?,
            }
            if let Some((_, seconds)) = deadline.filter(|(at, _)| Instant::now() >= *at) {
                return Err(Failure::Timeout(seconds));
            }
            if stop.is_stopped() {
                return Err(Failure::Left);
            }
            tick();
        }
    }

    fn send_payload(&mut self, call: &Call, from: Option<&Beginning>) -> Result<(), Failure> {
        let Some(payload) = &call.payload else {
            return Err(Failure::Refused("a function asked for bytes that its call does not have".to_owned()));
        };
        let refused = |error: std::io::Error| Failure::Refused(error.to_string());
        let mut reader = PayloadReader::open(payload, from).map_err(refused)?;
        let mut piece = Vec::new();
        while reader.fill(&mut piece).map_err(refused)? {
            // A function that gave up reads no more; what it says on its way out is the answer.
            if self.stdin.write_all(&piece).is_err() {
                return Ok(());
            }
            piece.clear();
        }
        Ok(())
    }

    /// Waits a moment for something to read on standard output, and on standard error.
    fn await_streams(&self) -> (bool, bool) {
        let mut fds = [PollFd::new(&self.stdout, PollFlags::IN), PollFd::new(&self.stderr, PollFlags::IN)];
        let moment = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };
        let _ = poll(&mut fds, Some(&moment));
        (!fds[0].revents().is_empty(), !fds[1].revents().is_empty())
    }

    fn read_more(&mut self, frame: &mut Frame) -> Result<(), Failure> {
        let lost = |error: std::io::Error| Failure::Lost(error.to_string());
        let (out, err) = self.await_streams();
        let mut buffer = [0_u8; 32 << 10];
        if err {
            let n = self.stderr.read(&mut buffer).map_err(lost)?;
            frame.push_stderr(&buffer[..n]);
        }
        if out {
            match self.stdout.read(&mut buffer).map_err(lost)? {
                0 => return Err(frame.ended()),
                n => frame.push_stdout(&buffer[..n]),
            }
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It ends by itself when its input does; a call that hangs would keep it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
