//! What happened, for whoever watches: each durable record as it is written, and what passes in between. A report made
//! from a journal sees the same records again.

use crate::id::{HostName, RunId, SaveId, StepKey};
use crate::journal::Record;

/// Something to show.
#[derive(Debug, Clone)]
pub enum Event {
    /// A record of the journal.
    Recorded {
        /// Whose.
        run: RunId,
        /// What.
        record: Record,
    },
    /// A step is under way. Not on record: what it does first is to look.
    Began {
        /// Which.
        key: StepKey,
        /// Where.
        host: HostName,
        /// The primitive.
        op: String,
        /// What a line says of it.
        summary: String,
    },
    /// A group of hosts begins to be worked on.
    Forked {
        /// Its hosts.
        hosts: Vec<HostName>,
        /// How many of them must serve at every moment, where that is said.
        keeps: Option<usize>,
    },
    /// A step waits, and for what.
    Progress {
        /// Which.
        key: StepKey,
        /// Where.
        host: HostName,
        /// For what.
        text: String,
    },
    /// What began and has no record of its own has ended: a pause.
    Ended {
        /// Which.
        key: StepKey,
    },
    /// A command that runs printed something. Not on record: its step's end has the whole output.
    Printed {
        /// Where.
        host: HostName,
        /// Under which of its step's saves the command runs.
        receipt: SaveId,
        /// Whether on standard error.
        is_error: bool,
        /// What; pieces end anywhere.
        text: String,
        /// When, in milliseconds since 1970-01-01 UTC.
        at: i64,
    },
    /// An upload got on.
    Sent {
        /// Where to.
        host: HostName,
        /// Under which of its step's saves.
        save: SaveId,
        /// Bytes that were sent.
        sent: u64,
        /// Bytes in all.
        size: u64,
    },
}

/// Sees events in the order in which they happen; called from many threads, one at a time.
pub trait Watcher: Send + Sync {
    /// Takes one event. It must not wait.
    fn see(&self, event: &Event);
}
