//! What happened, for whoever watches: each durable record as it is written, and what passes in between. A report made
//! from a journal sees the same records again.

use crate::id::{HostName, RunId, SaveId, StepKey};
use crate::journal::Record;
use crate::step::Site;
use std::fmt;
use std::sync::Arc;

/// A whole world in memory, as somebody who may look at all of it sees it.
pub trait WorldView: Send + Sync {
    /// The names of its hosts.
    fn hosts(&self) -> Vec<String>;
    /// Whether a service runs on a host.
    fn runs(&self, host: &str, unit: &str) -> bool;
    /// What the files say that a service was started from which version it is; nothing when it does not run.
    fn versions(&self, host: &str, unit: &str) -> Vec<String>;
    /// Whether something is at a path of a host.
    fn exists(&self, host: &str, path: &str) -> bool;
    /// The text of a file of a host.
    fn text(&self, host: &str, path: &str) -> Option<String>;
}

/// What must hold at every moment, as a script says it.
#[derive(Clone)]
pub struct Holds {
    /// Its name.
    pub name: String,
    /// Where the script says so.
    pub site: Site,
    /// Looks at the world; gives why it does not hold, empty when there is no more to say.
    pub look: Arc<Look>,
}

/// A look at a world.
pub type Look = dyn Fn(&Arc<dyn WorldView>) -> Result<(), String> + Send + Sync;

impl fmt::Debug for Holds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Holds").field(&self.name).finish()
    }
}

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
    /// Something must hold from now on: for whoever can look at the whole world at once.
    Invariant(Holds),
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
    /// A host tells, before this run's first change there, that a run of another ledger is at work on it.
    Beside {
        /// Which host.
        host: HostName,
        /// The other run, as the host has it.
        run: String,
        /// Who runs it.
        by: String,
        /// Since when, in milliseconds since 1970-01-01 UTC.
        since: i64,
    },
    /// What a watcher was too slow for, and is not shown: told once it has all else.
    Missed {
        /// Records that are not in the ledger either.
        records: u64,
        /// Bytes that commands printed; their steps' ends have all of it.
        printed: u64,
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
