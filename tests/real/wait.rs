//! Waiting for an event, with an end.

use std::time::{Duration, Instant};

/// Long enough for a lost connection to be noticed and given up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// Asks until it is so.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "never: {what}");
        pause();
    }
}

/// The time between two looks.
pub(crate) fn pause() {
    std::thread::park_timeout(Duration::from_millis(10));
}
