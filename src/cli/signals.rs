//! The signals that stop a command: the first one asks, the next one ends everything that waits, and the process does not
//! outlive that by long, whatever it hangs on.

use crate::stop::Stop;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// How long steps under way may take to end once a person has asked to stop.
const GRACE: Duration = Duration::from_secs(10);

/// How long what waits may take to give up once it was told to.
const LAST: Duration = Duration::from_secs(5);

/// The exit code of a run that is left unfinished.
const INTERRUPTED: u8 = 7;

/// The words that signals give.
#[derive(Clone, Default)]
pub(super) struct Words {
    /// No new step begins.
    pub(super) interrupt: Stop,
    /// Everything that waits gives up.
    pub(super) stop: Stop,
    /// Nobody waits for who reads the output.
    pub(super) hurry: Stop,
    /// The work is done: nothing is left to be asked to stop.
    over: Stop,
    exit: Arc<AtomicU8>,
}

/// Listens while it lives.
pub(super) struct Signals(Option<Runtime>);

impl Words {
    /// The work has ended, and this is the command's exit code.
    pub(super) fn is_over(&self, exit: u8) {
        self.exit.store(exit, Ordering::SeqCst);
        self.over.stop();
    }
}

impl Signals {
    /// Listens from now on. Where that cannot be had, signals do what they do to every process.
    pub(super) fn listen(words: &Words) -> Self {
        words.exit.store(INTERRUPTED, Ordering::SeqCst);
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().ok();
        if let Some(runtime) = &runtime {
            // Registered before anything begins.
            let _context = runtime.enter();
            if let Some(listened) = Listened::new() {
                runtime.spawn(obey(listened, words.clone()));
            }
        }
        Self(runtime)
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

async fn obey(mut signals: Listened, words: Words) {
    signals.next().await;
    if !words.over.is_stopped() {
        words.interrupt.stop();
        tell("stopping once the steps under way have ended; again to stop at once");
        let stop = words.stop.clone();
        // Steps under way may end; after the grace period they are left to their receipts.
        tokio::spawn(async move {
            tokio::time::sleep(GRACE).await;
            stop.stop();
        });
        signals.next().await;
    }
    words.stop.stop();
    words.hurry.stop();
    tokio::select! {
        () = signals.next() => {}
        () = tokio::time::sleep(LAST) => tell("something does not stop; the process ends now"),
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    end(words.exit.load(Ordering::SeqCst));
}

#[expect(clippy::exit, reason = "whatever hangs holds up the end of the process otherwise; the journal is legal at any instant")]
fn end(code: u8) {
    std::process::exit(i32::from(code));
}

/// Says something without waiting for who reads it.
pub(super) fn tell(text: &str) {
    let text = text.to_owned();
    // A terminal that went away, or that takes nothing, is told nothing.
    std::thread::spawn(move || drop(writeln!(std::io::stderr(), "{text}")));
}

struct Listened {
    interrupt: Signal,
    terminate: Signal,
    hangup: Option<Signal>,
}

impl Listened {
    fn new() -> Option<Self> {
        // Under `nohup` a terminal that goes away is no reason to stop.
        let hangup = if ignores_hangup() { None } else { signal(SignalKind::hangup()).ok() };
        Some(Self { interrupt: signal(SignalKind::interrupt()).ok()?, terminate: signal(SignalKind::terminate()).ok()?, hangup })
    }

    async fn next(&mut self) {
        let Self { interrupt, terminate, hangup } = self;
        let hung_up = async {
            match hangup {
                Some(hangup) => drop(hangup.recv().await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            () = hung_up => {}
        }
    }
}

/// Whether this process was started with SIGHUP ignored.
fn ignores_hangup() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("SigIgn:")?.trim(), 16).ok());
    ignored.is_some_and(|mask| mask & 1 == 1)
}
