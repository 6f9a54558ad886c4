//! Who reads what a command writes: waited for while it reads, and for a while when it does not.

use crate::stop::Stop;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// How long it may take nothing.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often it is looked at.
pub(super) const A_MOMENT: Duration = Duration::from_millis(50);

/// Does this on a thread of its own; gives whether it came to its end before patience did. `taken` grows while it gets on.
pub(super) fn is_read(taken: impl Fn() -> u64, hurry: &Stop, work: impl FnOnce() + Send + 'static) -> bool {
    let (tell, told) = channel();
    std::thread::spawn(move || {
        work();
        // Nobody waits any more where patience has ended.
        let _ = tell.send(());
    });
    let (mut last, mut since) = (taken(), Instant::now());
    while told.recv_timeout(A_MOMENT).is_err_and(|error| error == RecvTimeoutError::Timeout) {
        let now = taken();
        if now != last {
            (last, since) = (now, Instant::now());
        }
        if hurry.is_stopped() || since.elapsed() > PATIENCE {
            return false;
        }
    }
    true
}
