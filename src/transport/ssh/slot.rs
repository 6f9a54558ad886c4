//! One persistent `sh` on a channel, and the call that it is busy with.

use super::session::would_block;
use crate::transport::frame::{BEFORE, Frame, NO_SHELL, Progress, push, talks_too_much};
use crate::transport::remote::{Become, Errand, Known, Password, SHELL, library, line};
use crate::transport::shell::{Call, CallReply, Failure};
use crate::transport::stream::PayloadReader;
use std::io::{ErrorKind, Read, Write};
use std::mem::take;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

pub(super) type Answer = SyncSender<Result<CallReply, Failure>>;

/// A call that waits for a shell, or is being answered by one.
pub(super) struct Job {
    pub(super) call: Call,
    pub(super) answer: Answer,
    pub(super) deadline: Option<(Instant, u64)>,
}

impl Job {
    pub(super) fn new(call: Call, answer: Answer) -> Self {
        Self { call, answer, deadline: None }
    }

    /// Gives the result to whoever waits for it; that nobody waits any more is no failure.
    pub(super) fn end(self, result: Result<CallReply, Failure>) {
        let _ = self.answer.send(result);
    }
}

pub(super) struct Slot {
    channel: ssh2::Channel,
    user: Option<String>,
    becoming: Option<Becoming>,
    key: String,
    known: Known,
    calls: u64,
    busy: Option<(Job, Frame)>,
    out: Vec<u8>,
    sent: usize,
    payload: Option<PayloadReader>,
    pub(super) dead: bool,
    born: Instant,
    /// What it said on both streams before it was called for the first time.
    early: [Vec<u8>; 2],
}

/// How long a shell may take to answer for the first time.
const GREETING: Duration = Duration::from_secs(30);

/// A shell that sudo has not yet made another user's.
struct Becoming {
    change: Become,
    held: Vec<u8>,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    /// Whether it said more than is taken.
    over: bool,
}

/// Whether anything moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moved {
    Yes,
    No,
}

impl Slot {
    /// A shell that has just been asked for; its functions go out with the first call.
    pub(super) fn new(channel: ssh2::Channel, key: &str, errand: &Errand, change: Option<(String, Become)>) -> Self {
        let mut known = Known::default();
        let head = errand.start(key, &mut known);
        let (user, change) = change.unzip();
        let (head, becoming) = match change {
            None => (head.into_bytes(), None),
            Some(change) => {
                let first = change.first();
                let held = format!("{}{head}", change.second()).into_bytes();
                (first, Some(Becoming { change, held, stdout: Vec::new(), stderr: Vec::new(), over: false }))
            }
        };
        Self {
            user,
            becoming,
            channel,
            key: key.to_owned(),
            known,
            calls: 0,
            busy: None,
            out: head,
            sent: 0,
            payload: None,
            dead: false,
            born: Instant::now(),
            early: [Vec::new(), Vec::new()],
        }
    }

    /// Whether it can take calls for this user now.
    pub(super) fn serves(&self, user: Option<&str>) -> bool {
        self.is_idle() && self.user.as_deref() == user
    }

    pub(super) fn is_idle(&self) -> bool {
        self.busy.is_none() && !self.dead
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.busy.as_ref().and_then(|(job, _)| job.deadline).map(|(at, _)| at)
    }

    pub(super) fn start(&mut self, mut job: Job) {
        // Not before: the time that a call waits for a shell is not its own.
        job.deadline = job.call.deadline_seconds.map(|seconds| (Instant::now() + Duration::from_secs(seconds), seconds));
        self.calls += 1;
        let limit = job.call.limit;
        let mut frame =
            if self.calls == 1 { Frame::first(&self.key, self.calls, limit) } else { Frame::new(&self.key, self.calls, limit) };
        if self.calls == 1 {
            // It may have waited for a call, and have greeted long ago.
            self.born = Instant::now();
            let [out, err] = take(&mut self.early);
            frame.push_stdout(&out);
            frame.push_stderr(&err);
        }
        let mut text = library().before(job.call.function, &mut self.known).into_bytes();
        text.extend(line(&job.call, self.calls));
        match &mut self.becoming {
            Some(becoming) => becoming.held.extend(text),
            None => self.out.extend(text),
        }
        self.busy = Some((job, frame));
    }

    /// Sends and receives what can be, without waiting. `Err` is the end of the session.
    pub(super) fn advance(&mut self) -> Result<Moved, String> {
        if self.dead {
            return Ok(Moved::No);
        }
        let sent = self.send()?;
        let received = self.receive()?;
        self.look()?;
        self.enforce_deadline();
        Ok(if sent || received { Moved::Yes } else { Moved::No })
    }

    /// Whether libssh2 already holds what this shell waits for: reading one channel takes the packets of all of them off
    /// the socket, which then tells nothing.
    pub(super) fn has_news(&self) -> bool {
        let unread = self.channel.read_window().available > 0 || (self.busy.is_some() && self.channel.eof());
        let unsent = self.sent < self.out.len() && self.channel.write_window().remaining > 0;
        !self.dead && (unread || unsent)
    }

    /// Ends the call under way, and the shell with it.
    pub(super) fn fail(&mut self, failure: Failure) {
        self.dead = true;
        if let Some((job, _)) = self.busy.take() {
            job.end(Err(failure));
        }
    }

    /// Gives the channel back to the server; what cannot be sent now is not needed.
    pub(super) fn close(&mut self) {
        let _ = self.channel.close();
    }

    fn send(&mut self) -> Result<bool, String> {
        let mut moved = false;
        loop {
            if self.sent == self.out.len() {
                self.out.clear();
                self.sent = 0;
                match self.refill() {
                    Ok(true) => {}
                    Ok(false) => return Ok(moved),
                    Err(reason) => {
                        self.fail(Failure::Refused(reason));
                        return Ok(true);
                    }
                }
            }
            match self.channel.write(&self.out[self.sent..]) {
                Ok(0) => return Ok(moved),
                Ok(n) => {
                    self.sent += n;
                    moved = true;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(moved),
                Err(error) => return self.broken(&error).map(|()| true),
            }
        }
    }

    fn refill(&mut self) -> Result<bool, String> {
        let Some(payload) = &mut self.payload else { return Ok(false) };
        let more = payload.fill(&mut self.out).map_err(|error| error.to_string())?;
        if !more {
            self.payload = None;
        }
        Ok(more)
    }

    fn receive(&mut self) -> Result<bool, String> {
        let mut buffer = [0_u8; 32 << 10];
        let mut moved = false;
        for stream in [0, 1] {
            loop {
                match self.channel.stream(stream).read(&mut buffer) {
                    Ok(0) => break,
                    Ok(n) => {
                        moved = true;
                        if let Some(becoming) = &mut self.becoming {
                            let said = if stream == 0 { &mut becoming.stdout } else { &mut becoming.stderr };
                            becoming.over |= !push(said, &buffer[..n], BEFORE);
                        } else if let Some((_, frame)) = &mut self.busy {
                            if stream == 0 { frame.push_stdout(&buffer[..n]) } else { frame.push_stderr(&buffer[..n]) }
                        } else if self.calls == 0
                            && let Some(early) = self.early.get_mut(usize::from(stream != 0))
                        {
                            // Another shell has taken the call for which it was opened: its greeting is for its first one.
                            push(early, &buffer[..n], BEFORE);
                        }
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => return self.broken(&error).map(|()| true),
                }
            }
        }
        Ok(moved)
    }

    /// Sees whether sudo has become the user, or will not.
    fn look_at_sudo(&mut self) {
        let Some(becoming) = &mut self.becoming else { return };
        if becoming.change.is_ready(&becoming.stdout) {
            self.out.append(&mut becoming.held);
            self.becoming = None;
            return;
        }
        let stderr = String::from_utf8_lossy(&becoming.stderr).into_owned();
        if let Some(reason) = becoming.change.refusal(&stderr) {
            self.fail(Failure::Denied { reason, help: None });
        } else if becoming.over {
            self.fail(talks_too_much());
        } else if self.channel.eof() {
            let (reason, help) = becoming.change.failure(&stderr);
            self.fail(Failure::Denied { reason, help });
        }
    }

    fn look(&mut self) -> Result<(), String> {
        if self.becoming.is_some() {
            self.look_at_sudo();
            return Ok(());
        }
        let Some((job, frame)) = &mut self.busy else { return Ok(()) };
        match frame.progress() {
            Ok(Progress::More) => {
                if self.channel.eof() {
                    let failure = frame.ended();
                    self.fail(failure);
                }
            }
            Ok(Progress::Wants(from)) => {
                match job.call.payload.as_ref().map(|payload| PayloadReader::open(payload, from.as_ref())) {
                    Some(Ok(reader)) => self.payload = Some(reader),
                    Some(Err(error)) => self.fail(Failure::Refused(error.to_string())),
                    None => self.fail(Failure::Refused("a function asked for bytes that its call does not have".to_owned())),
                }
            }
            Ok(Progress::WantsMore) => {
                self.payload = Some(PayloadReader::of(library().later(job.call.function, &mut self.known)));
            }
            Ok(Progress::Ended(reply)) => {
                self.payload = None;
                // After exit status 74 the shell is gone: what was still on the way was not read.
                self.dead = reply.code == 74;
                self.out.truncate(self.sent);
                if let Some((job, _)) = self.busy.take() {
                    job.end(Ok(reply));
                }
            }
            Err(failure) => self.fail(failure),
        }
        Ok(())
    }

    fn enforce_deadline(&mut self) {
        let silent = self.becoming.is_some() || self.busy.as_ref().is_some_and(|(_, frame)| frame.awaits_greeting());
        if silent && self.born.elapsed() > GREETING {
            let reason = format!("its shell gives no answer within {} s", GREETING.as_secs());
            self.fail(Failure::Denied { reason, help: Some(NO_SHELL.to_owned()) });
            return;
        }
        let over = self.busy.as_ref().and_then(|(job, _)| job.deadline).filter(|(at, _)| Instant::now() >= *at);
        if let Some((_, seconds)) = over {
            self.fail(Failure::Timeout(seconds));
        }
    }

    /// A channel that is closed ends its call; anything else ends the session.
    fn broken(&mut self, error: &std::io::Error) -> Result<(), String> {
        if self.channel.eof() {
            let failure =
                self.busy.as_ref().map_or_else(|| Failure::Lost("its shell ended".to_owned()), |(_, frame)| frame.ended());
            self.fail(failure);
            return Ok(());
        }
        Err(error.to_string())
    }
}

/// A shell that is being opened: a channel, then its program.
pub(super) struct Opening {
    channel: Option<ssh2::Channel>,
    change: Option<(String, Become)>,
}

impl Opening {
    pub(super) fn new(user: Option<&str>, password: &Password) -> Self {
        Self { channel: None, change: user.map(|user| (user.to_owned(), Become::new(user, password))) }
    }

    /// Who it will be, and how it becomes that.
    pub(super) fn into_change(self) -> Option<(String, Become)> {
        self.change
    }

    /// The channel once its shell runs; nothing while that is under way.
    pub(super) fn advance(&mut self, ssh: &ssh2::Session) -> Result<Option<ssh2::Channel>, ssh2::Error> {
        if self.channel.is_none() {
            match ssh.channel_session() {
                Ok(channel) => self.channel = Some(channel),
                Err(error) if would_block(&error) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        let Some(channel) = &mut self.channel else { return Ok(None) };
        let command = self.change.as_ref().map_or_else(|| SHELL.to_owned(), |(_, change)| change.command());
        match channel.exec(&command) {
            Ok(()) => Ok(self.channel.take()),
            Err(error) if would_block(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
