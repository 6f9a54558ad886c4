//! The thread that owns a session: calls and connections come in as messages, their results go out.

use super::Endpoint;
use super::connect::connect;
use super::session::{Session, timespec, would_block};
use super::slot::{Answer, Job, Moved, Opening, Slot};
use super::tunnel::Tunnel;
use crate::stop::Stop;
use crate::transport::credentials::Credentials;
use crate::transport::remote::{Errand, Password};
use crate::transport::shell::{Call, CallReply, Failure, Shell, Tick};
use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use ssh2::BlockDirections;
use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

/// Shells of one session that may run at once. A stock sshd allows ten channels.
const MOST_SHELLS: usize = 8;

type Connected = SyncSender<Result<UnixStream, Failure>>;

enum Request {
    Call(Call, Answer),
    Connect(String, u16, Connected),
}

/// A connection to a host over SSH.
pub(in crate::transport) struct SshShell {
    requests: Sender<Request>,
    wake: Arc<OwnedFd>,
    usable: Arc<AtomicBool>,
    stop: Stop,
    /// The connection that this one goes through lives as long.
    _via: Option<Arc<Self>>,
}

impl SshShell {
    /// Connects and logs in.
    pub(in crate::transport) fn connect(
        endpoint: Endpoint,
        via: Option<Arc<Self>>,
        errand: Errand,
        stop: Stop,
        credentials: Credentials,
    ) -> Result<Self, Failure> {
        let unreachable = |error: std::io::Error| Failure::Unreachable { reason: error.to_string(), help: None };
        let wake = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC).map_err(|error| unreachable(error.into()))?;
        let (wake, usable) = (Arc::new(wake), Arc::new(AtomicBool::new(true)));
        let keep = via.clone();
        let (requests, inbox) = channel();
        let (ready, connected) = sync_channel(1);
        let (their_wake, their_usable) = (wake.clone(), usable.clone());
        thread::Builder::new()
            .name(format!("ssh {}", endpoint.name))
            .stack_size(256 << 10)
            .spawn(move || {
                let result = connect(&endpoint, &credentials, via.as_deref())
                    .map(|session| Worker::new(session, inbox, their_wake, errand, credentials.password));
                match result {
                    Ok(mut worker) => {
                        let _ = ready.send(Ok(()));
                        worker.work();
                        their_usable.store(false, Ordering::SeqCst);
                        worker.end();
                    }
                    Err(failure) => drop(ready.send(Err(failure))),
                }
            })
            .map_err(unreachable)?;
        // A thread that is left finds its inbox closed once it is connected, or gives up by its deadline.
        match stop.or_answer(&connected, &mut || {}).ok_or(Failure::Stopped)? {
            Ok(Ok(())) => Ok(Self { requests, wake, usable, stop, _via: keep }),
            Ok(Err(failure)) => Err(failure),
            Err(_) => Err(Failure::Unreachable { reason: "the connection's thread ended".to_owned(), help: None }),
        }
    }

    fn ask<T>(&self, request: Request, answer: &Receiver<Result<T, Failure>>, tick: Tick<'_>) -> Result<T, Failure> {
        let ended = || Failure::Unreachable { reason: "the connection has ended".to_owned(), help: None };
        self.requests.send(request).map_err(|_| ended())?;
        // A full counter wakes the worker as well.
        let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
        // A command goes on without us; its receipt is found again.
        let result = self.stop.or_answer(answer, tick).ok_or(Failure::Left)?;
        result.unwrap_or_else(|_| Err(Failure::Lost("the connection's thread ended".to_owned())))
    }
}

impl Drop for SshShell {
    fn drop(&mut self) {
        self.usable.store(false, Ordering::SeqCst);
        // Its inbox is closed with this value; the worker has to look.
        let (closed, _) = channel();
        self.requests = closed;
        let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
    }
}

impl Shell for SshShell {
    fn call(&self, call: &Call, tick: Tick<'_>) -> Result<CallReply, Failure> {
        let (answer, result) = sync_channel(1);
        self.ask(Request::Call(call.clone(), answer), &result, tick)
    }

    fn connect(&self, address: &str, port: u16) -> Result<UnixStream, Failure> {
        let (answer, result) = sync_channel(1);
        self.ask(Request::Connect(address.to_owned(), port, answer), &result, &mut || {})
    }

    fn is_usable(&self) -> bool {
        self.usable.load(Ordering::SeqCst)
    }
}

/// What is being opened; libssh2 opens one channel at a time.
enum Pending {
    Shell(Opening),
    Tunnel { address: String, port: u16, answer: Connected },
}

struct Worker {
    session: Session,
    inbox: Receiver<Request>,
    closed: bool,
    wake: Arc<OwnedFd>,
    errand: Errand,
    password: Password,
    waiting: VecDeque<Job>,
    connecting: VecDeque<(String, u16, Connected)>,
    opening: Option<Pending>,
    slots: Vec<Slot>,
    most: usize,
    tunnels: Vec<Tunnel>,
    /// When an idle shell last gave up its place: the server may count it a moment longer.
    freed: Option<Instant>,
    heard: Instant,
    asked: Instant,
}

impl Worker {
    fn new(session: Session, inbox: Receiver<Request>, wake: Arc<OwnedFd>, errand: Errand, password: Password) -> Self {
        let now = Instant::now();
        Self {
            session,
            inbox,
            closed: false,
            wake,
            errand,
            password,
            waiting: VecDeque::new(),
            connecting: VecDeque::new(),
            opening: None,
            slots: Vec::new(),
            most: MOST_SHELLS,
            tunnels: Vec::new(),
            freed: None,
            heard: now,
            asked: now,
        }
    }

    /// Works until nobody holds the connection any more, or it breaks.
    fn work(&mut self) {
        let mut still = 0;
        let reason = loop {
            self.take_requests();
            if self.closed && self.is_quiet() {
                return;
            }
            match self.advance() {
                Err(reason) => break reason,
                Ok(Moved::Yes) => {
                    self.heard = Instant::now();
                    still = 0;
                }
                Ok(Moved::No) => {
                    if let Err(reason) = self.keep_alive() {
                        break reason;
                    }
                    still += 1;
                    self.wait(still);
                }
            }
        };
        self.fail_all(&Failure::Lost(reason));
    }

    fn is_quiet(&self) -> bool {
        self.waiting.is_empty()
            && self.connecting.is_empty()
            && self.opening.is_none()
            && self.slots.iter().all(|slot| slot.is_idle() || slot.dead)
    }

    fn take_requests(&mut self) {
        let mut drained = [0_u8; 8];
        let _ = rustix::io::read(&self.wake, &mut drained);
        loop {
            match self.inbox.try_recv() {
                Ok(Request::Call(call, answer)) => self.waiting.push_back(Job::new(call, answer)),
                Ok(Request::Connect(address, port, answer)) => self.connecting.push_back((address, port, answer)),
                Err(std::sync::mpsc::TryRecvError::Empty) => return,
                Err(std::sync::mpsc::TryRecvError::Disconnected) => {
                    self.closed = true;
                    return;
                }
            }
        }
    }

    fn advance(&mut self) -> Result<Moved, String> {
        let mut moved = Moved::No;
        self.hand_out();
        for slot in &mut self.slots {
            if slot.advance()? == Moved::Yes {
                moved = Moved::Yes;
            }
        }
        for tunnel in &mut self.tunnels {
            if tunnel.advance() {
                moved = Moved::Yes;
            }
        }
        self.bury();
        // Last: its answer may be among the packets that the others have taken off the socket.
        if self.open()? == Moved::Yes {
            moved = Moved::Yes;
        }
        Ok(moved)
    }

    /// Gives waiting calls to idle shells of their users.
    fn hand_out(&mut self) {
        let mut left = VecDeque::new();
        for job in self.waiting.drain(..) {
            match self.slots.iter_mut().find(|slot| slot.serves(job.call.user.as_deref())) {
                Some(slot) => slot.start(job),
                None => left.push_back(job),
            }
        }
        self.waiting = left;
    }

    /// Whose shell is to be opened next: there are more calls for that user than idle shells.
    fn wanted_shell(&mut self) -> Option<Option<String>> {
        let user = self.waiting.front()?.call.user.clone();
        if self.slots.len() < self.most {
            return Some(user);
        }
        // All places are taken: an idle shell of somebody else gives up its own.
        let other = self.slots.iter_mut().find(|slot| slot.is_idle() && !slot.serves(user.as_deref()))?;
        other.dead = true;
        self.freed = Some(Instant::now());
        self.bury();
        Some(user)
    }

    /// Closes what has ended.
    fn bury(&mut self) {
        self.slots.iter_mut().filter(|slot| slot.dead).for_each(Slot::close);
        self.slots.retain(|slot| !slot.dead);
        self.tunnels.iter_mut().filter(|tunnel| tunnel.is_over()).for_each(Tunnel::close);
        self.tunnels.retain(|tunnel| !tunnel.is_over());
    }

    fn open(&mut self) -> Result<Moved, String> {
        if self.opening.is_none() {
            if let Some((address, port, answer)) = self.connecting.pop_front() {
                self.opening = Some(Pending::Tunnel { address, port, answer });
            } else if let Some(user) = self.wanted_shell() {
                self.opening = Some(Pending::Shell(Opening::new(user.as_deref(), &self.password)));
            }
        }
        match self.opening.take() {
            None => Ok(Moved::No),
            Some(Pending::Shell(opening)) => self.open_shell(opening),
            Some(Pending::Tunnel { address, port, answer }) => self.open_tunnel(address, port, answer),
        }
    }

    fn open_shell(&mut self, mut opening: Opening) -> Result<Moved, String> {
        match opening.advance(&self.session.ssh) {
            Ok(None) => {
                self.opening = Some(Pending::Shell(opening));
                Ok(Moved::No)
            }
            Ok(Some(channel)) => {
                self.slots.push(Slot::new(channel, &secret(), &self.errand, opening.into_change()));
                self.hand_out();
                Ok(Moved::Yes)
            }
            // The server allows no more of them: the ones that there are must do.
            Err(error) if !self.slots.is_empty() && is_refusal(&error) => {
                self.most = self.slots.len();
                Ok(Moved::Yes)
            }
            Err(error) if is_refusal(&error) && self.is_freeing() => {
                let user = self.waiting.front().and_then(|job| job.call.user.clone());
                self.opening = Some(Pending::Shell(Opening::new(user.as_deref(), &self.password)));
                Ok(Moved::No)
            }
            Err(error) => {
                let Some(job) = self.waiting.pop_front() else { return Err(error.message().to_owned()) };
                job.end(Err(Failure::Refused(format!("it gives no shell: {}", error.message()))));
                if is_refusal(&error) { Ok(Moved::Yes) } else { Err(error.message().to_owned()) }
            }
        }
    }

    /// Whether a place was given up so lately that the server may not know it yet.
    fn is_freeing(&self) -> bool {
        self.freed.is_some_and(|at| at.elapsed() < Duration::from_secs(3))
    }

    fn open_tunnel(&mut self, address: String, port: u16, answer: Connected) -> Result<Moved, String> {
        match self.session.ssh.channel_direct_tcpip(&address, port, None) {
            Err(error) if would_block(&error) => {
                self.opening = Some(Pending::Tunnel { address, port, answer });
                Ok(Moved::No)
            }
            Err(error) if is_refusal(&error) => {
                let prohibited = error.message().contains("prohibited");
                let _ = answer.send(Err(if prohibited {
                    Failure::Forbidden(
                        "its sshd forbids forwarding (AllowTcpForwarding, PermitOpen or a restricted key)".to_owned(),
                    )
                } else {
                    Failure::Refused(format!("nothing answers at {address}:{port} there"))
                }));
                Ok(Moved::Yes)
            }
            Err(error) => {
                let _ = answer.send(Err(Failure::Lost(error.message().to_owned())));
                Err(error.message().to_owned())
            }
            Ok(channel) => {
                match pair() {
                    Ok((ours, theirs)) => {
                        self.tunnels.push(Tunnel::new(channel, ours));
                        let _ = answer.send(Ok(theirs));
                    }
                    Err(error) => drop(answer.send(Err(Failure::Refused(error.to_string())))),
                }
                Ok(Moved::Yes)
            }
        }
    }

    /// Asks the host for a sign of life while something is awaited; gives it up when there is none.
    fn keep_alive(&mut self) -> Result<(), String> {
        let now = Instant::now();
        if self.is_quiet() && self.tunnels.is_empty() {
            self.heard = now;
        }
        let alive = self.session.alive;
        if now - self.heard > alive.lost_after {
            return Err(format!("no sign of life for {} s", alive.lost_after.as_secs()));
        }
        if now - self.asked >= alive.every {
            self.asked = now;
            match self.session.ssh.keepalive_send() {
                Err(error) if !would_block(&error) => return Err(error.message().to_owned()),
                _ => {}
            }
        }
        Ok(())
    }

    /// Waits for the socket, unless what it would tell is known already. (`still`: rounds in which nothing moved.)
    fn wait(&mut self, still: u32) {
        let news = self.slots.iter().any(Slot::has_news) || self.tunnels.iter().any(Tunnel::has_news);
        let blocked = matches!(self.session.ssh.block_directions(), BlockDirections::Outbound | BlockDirections::Both);
        if news && !blocked && still < 3 {
            return;
        }
        let now = Instant::now();
        let alive = self.session.alive;
        let next = self.slots.iter().filter_map(Slot::deadline).min().unwrap_or(now + alive.every).min(self.asked + alive.every);
        self.session.socket.acknowledge();
        let most = if news || (self.opening.is_some() && self.is_freeing()) { Duration::from_millis(10) } else { alive.every };
        let timeout = timespec(next.saturating_duration_since(now).clamp(Duration::from_millis(1), most));
        let mut fds = vec![PollFd::new(&self.session.socket, self.session.events()), PollFd::new(&*self.wake, PollFlags::IN)];
        fds.extend(self.tunnels.iter().map(|tunnel| PollFd::new(&tunnel.socket, tunnel.events())));
        // An interrupted wait is a short wait.
        let _ = poll(&mut fds, Some(&timeout));
        if fds[0].revents().contains(PollFlags::IN) {
            self.heard = Instant::now();
        }
    }

    fn fail_all(&mut self, failure: &Failure) {
        self.take_requests();
        for slot in &mut self.slots {
            slot.fail(failure.clone());
        }
        let never_sent = Failure::Unreachable { reason: failure.to_string(), help: None };
        for job in self.waiting.drain(..) {
            job.end(Err(never_sent.clone()));
        }
        let pending = self.opening.take().and_then(|pending| match pending {
            Pending::Tunnel { answer, .. } => Some(answer),
            Pending::Shell(_) => None,
        });
        for answer in self.connecting.drain(..).map(|(_, _, answer)| answer).chain(pending) {
            let _ = answer.send(Err(failure.clone()));
        }
    }

    /// Ends the connection; its channels must be freed on this thread.
    fn end(mut self) {
        self.fail_all(&Failure::Lost("the connection was ended".to_owned()));
        self.session.socket.shut_down();
    }
}

/// Whether the server refused a channel, while the session goes on.
fn is_refusal(error: &ssh2::Error) -> bool {
    const CHANNEL_FAILURE: i32 = -21;
    const REQUEST_DENIED: i32 = -22;
    matches!(error.code(), ssh2::ErrorCode::Session(CHANNEL_FAILURE | REQUEST_DENIED))
}

fn pair() -> std::io::Result<(UnixStream, UnixStream)> {
    let (ours, theirs) = UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    Ok((ours, theirs))
}

/// A mark that no output can know.
fn secret() -> String {
    format!("wl-{:032x}", rand::random::<u128>())
}
