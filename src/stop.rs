//! The word to stop, shared by everything that waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvError, RecvTimeoutError, sync_channel};
use std::time::Duration;

/// Says that a run is to stop at once: calls that wait give up.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// From now on, everything that waits gives up.
    pub fn stop(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether to give up.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    /// Waits for an answer, and gives it, or that there will be none; nothing once it is time to give up. `tick` is called some
    /// ten times a second meanwhile.
    pub(crate) fn or_answer<T>(&self, answer: &Receiver<T>, tick: &mut dyn FnMut()) -> Option<Result<T, RecvError>> {
        loop {
            match answer.recv_timeout(Duration::from_millis(100)) {
                Ok(result) => return Some(Ok(result)),
                Err(RecvTimeoutError::Disconnected) => return Some(Err(RecvError)),
                Err(RecvTimeoutError::Timeout) if self.is_stopped() => return None,
                Err(RecvTimeoutError::Timeout) => tick(),
            }
        }
    }

    /// Does on a thread of its own what cannot be asked to give up: looking up a name, connecting. Nothing when it is left.
    pub(crate) fn or_done<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let (tell, told) = sync_channel(1);
        // Nobody waits for what was left.
        std::thread::spawn(move || drop(tell.send(work())));
        self.or_answer(&told, &mut || {})?.ok()
    }
}
