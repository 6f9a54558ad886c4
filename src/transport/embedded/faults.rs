//! The faults of a host's transport that a test can switch: a file `refuse`, `cut` or `drop` in the host's directory
//! `faults/`. Nothing here is random.

use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

const LOOK_EVERY: Duration = Duration::from_millis(20);
const MANY_WAITING: usize = 256;

/// The switches of one host, as its connections see them.
#[derive(Debug)]
pub(crate) struct Faults {
    dir: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    cut: bool,
    /// How often all connections were dropped.
    drops: u64,
    waiting: Vec<Waker>,
}

impl Faults {
    pub(crate) fn new(dir: &Path) -> Arc<Self> {
        Arc::new(Self { dir: dir.to_owned(), state: Mutex::default() })
    }

    /// Looks at the switches until the lab ends.
    pub(crate) async fn watch(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        loop {
            ticks.tick().await;
            self.look();
        }
    }

    /// Whether new connections are closed at once. Also looks at the other switches, so that a switch set before a
    /// connection is made holds for it.
    pub(crate) fn refuses(&self) -> bool {
        self.look();
        self.has("refuse")
    }

    /// A connection under these switches.
    pub(crate) fn stream(self: &Arc<Self>, inner: TcpStream) -> FaultStream {
        let drops = self.lock().drops;
        FaultStream { inner, faults: Arc::clone(self), drops }
    }

    fn look(&self) {
        let cut = self.has("cut");
        let dropped = self.has("drop") && std::fs::remove_file(self.dir.join("drop")).is_ok();
        let mut state = self.lock();
        if dropped {
            state.drops += 1;
        }
        if dropped || (state.cut && !cut) {
            state.waiting.drain(..).for_each(Waker::wake);
        }
        state.cut = cut;
    }

    fn has(&self, switch: &str) -> bool {
        rustix::fs::access(self.dir.join(switch), rustix::fs::Access::EXISTS).is_ok()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that stalls while its host is cut off and breaks when its host drops it.
#[derive(Debug)]
pub(crate) struct FaultStream {
    inner: TcpStream,
    faults: Arc<Faults>,
    drops: u64,
}

impl FaultStream {
    /// Lets the operation pass, holds it, or breaks it. Every holder is woken by a drop, also one that waits for bytes.
    fn gate(&self, cx: &Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.faults.lock();
        if state.drops > self.drops {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        if state.waiting.len() > MANY_WAITING {
            // Most of them are of connections that ended.
            state.waiting.drain(..).for_each(Waker::wake);
        }
        if !state.waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
            state.waiting.push(cx.waker().clone());
        }
        if state.cut { Poll::Pending } else { Poll::Ready(Ok(())) }
    }
}

impl AsyncRead for FaultStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        std::task::ready!(self.gate(cx))?;
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl AsyncWrite for FaultStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        std::task::ready!(self.gate(cx))?;
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
