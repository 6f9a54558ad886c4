//! What a script has of the runtime: plain calls, in terms of steps and groups. The run room stands behind it.

use crate::effect::Login;
use crate::event::Holds;
use crate::id::{HostName, StepKey, TaskPath};
use crate::journal::WhenHalted;
use crate::op::{AnyOperation, Span};
use crate::step::{Command, Site, StepError};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// One thread of a script: its path, and the number of its last step.
#[derive(Debug, Clone)]
pub struct Task {
    /// Its path.
    pub path: TaskPath,
    /// The host whose block it is.
    pub host: Option<HostName>,
    last: Arc<AtomicU32>,
}

impl Task {
    /// A task that has not begun.
    #[must_use]
    pub fn new(path: TaskPath, host: Option<HostName>) -> Self {
        Self { path, host, last: Arc::new(AtomicU32::new(0)) }
    }

    /// Its next step is its first again.
    pub(super) fn begin_anew(&self) {
        self.last.store(0, Ordering::SeqCst);
    }

    /// The key of the next step.
    #[must_use]
    pub fn next_key(&self) -> StepKey {
        StepKey { task: self.path.clone(), n: self.last.fetch_add(1, Ordering::SeqCst) + 1 }
    }

    /// The key of the last step; number 0 when there was none.
    #[must_use]
    pub fn last_key(&self) -> StepKey {
        StepKey { task: self.path.clone(), n: self.last.load(Ordering::SeqCst) }
    }
}

/// A prediction goes on by something that nobody knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Where the script does so.
    pub site: Site,
    /// What it goes by.
    pub message: String,
    /// How that would be known.
    pub help: String,
    /// The last step of its task before.
    pub after: StepKey,
}

/// A closure that undoes; it runs as a task of its own.
pub type UndoClosure = Arc<dyn Fn(&Task) -> Result<(), StepError> + Send + Sync>;

/// Something that is opened before a body, and closed behind it whatever happens.
pub struct Bracket {
    /// What is open meanwhile.
    pub name: String,
    /// What becomes of it when the run halts.
    pub when_halted: WhenHalted,
    /// Opens it; may be done again.
    pub enter: UndoClosure,
    /// Closes it; may be done again.
    pub leave: UndoClosure,
}

/// The block of one host.
pub type Branch<'a> = dyn Fn(&Task, &HostName) -> Result<(), StepError> + Sync + 'a;

/// How hosts are taken.
#[derive(Debug, Clone, PartialEq)]
pub struct ForkSpec {
    /// `rolling` or `parallel`.
    pub word: &'static str,
    /// The hosts, in inventory order: that of what their blocks give.
    pub hosts: Vec<HostName>,
    /// The same hosts in the order in which they are taken.
    pub queue: Vec<HostName>,
    /// Those that were not healthy before the first was taken: taking one takes nothing away.
    pub sick: BTreeSet<HostName>,
    /// How many healthy hosts stay outside of each batch that takes a healthy one.
    pub min_available: Option<BatchSize>,
    /// How many at a time, batch after batch; the last size goes on.
    pub batches: Vec<BatchSize>,
    /// How many hosts may fail.
    pub max_failures: u32,
    /// What happens then.
    pub on_failure: OnFailure,
    /// A pause between two batches.
    pub bake: Option<Span>,
    /// Where the script says so.
    pub site: Site,
}

/// A number of hosts, or a share of all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchSize {
    /// So many.
    Hosts(u32),
    /// So many of a hundred.
    Percent(u32),
}

impl BatchSize {
    /// How many of so many hosts, of which at least one is taken.
    #[must_use]
    pub fn at_most(self, total: usize) -> usize {
        match self {
            Self::Hosts(n) => n as usize,
            Self::Percent(percent) => (total * percent as usize / 100).max(1),
        }
    }

    /// How many of so many hosts, of which no part may be missing.
    #[must_use]
    pub fn at_least(self, total: usize) -> usize {
        match self {
            Self::Hosts(n) => n as usize,
            Self::Percent(percent) => (total * percent as usize).div_ceil(100),
        }
    }
}

impl<'de> Deserialize<'de> for BatchSize {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "a number of hosts such as 2, or a share such as \"25%\"")]
        enum Form {
            Hosts(u32),
            Share(String),
        }
        let wrong = |what: String| {
            serde::de::Error::custom(format!("{what} is no number of hosts such as 2, nor a share such as \"25%\""))
        };
        match Form::deserialize(from)? {
            Form::Hosts(0) => Err(wrong("0".to_owned())),
            Form::Hosts(n) => Ok(Self::Hosts(n)),
            Form::Share(text) => match text.strip_suffix('%').and_then(|number| number.parse().ok()) {
                Some(percent @ 1..=100) => Ok(Self::Percent(percent)),
                _ => Err(wrong(format!("`{text}`"))),
            },
        }
    }
}

/// What a failed host means for the others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// All hosts that were changed are restored.
    #[default]
    Unwind,
    /// The failed host is restored, the others keep what they have, and the run ends.
    Halt,
    /// The failed host is restored, and the others go on, up to `max_failures`.
    Continue,
}

/// The order in which `rolling` takes hosts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Those that are not healthy first, else as in the inventory.
    #[default]
    SickFirst,
    /// As in the inventory.
    Inventory,
    /// The inventory from its end.
    Reverse,
    /// By chance that depends on the run's name alone.
    Random,
}

/// The runtime behind a script.
pub trait Conductor: Send + Sync {
    /// Performs a step, or hands back what is recorded of it.
    ///
    /// # Errors
    /// The step's failure, or the reason why the run stops.
    fn step(&self, task: &Task, command: Command, operation: &dyn AnyOperation) -> Result<Value, StepError>;

    /// Opens a named group of steps.
    ///
    /// # Errors
    /// The reason why the run stops.
    fn enter_step(&self, task: &Task, name: &str) -> Result<StepKey, StepError>;

    /// Opens a group whose failure is undone to its start, and goes no further.
    ///
    /// # Errors
    /// The reason why the run stops.
    fn enter_attempt(&self, task: &Task) -> Result<StepKey, StepError>;

    /// Undoes what a group did so far.
    ///
    /// # Errors
    /// A compensation that failed, or the reason why the run stops.
    fn undo_attempt(&self, key: &StepKey) -> Result<(), StepError>;

    /// Opens a bracket; its closing is on record as owed before that begins.
    ///
    /// # Errors
    /// What opening it failed of, or the reason why the run stops.
    fn enter_bracket(&self, task: &Task, bracket: Bracket) -> Result<StepKey, StepError>;

    /// Closes a bracket behind its body. After a failure in the body it stays open until what was done in it is undone.
    ///
    /// # Errors
    /// What closing it failed of, or the reason why the run stops.
    fn leave_bracket(&self, task: &Task, key: &StepKey) -> Result<(), StepError>;

    /// Runs a body once in the run, whichever task comes first; the others wait for its end and share it.
    ///
    /// # Errors
    /// The body's failure, for every task that asks.
    fn once(&self, name: &str, body: &dyn Fn(&Task) -> Result<(), StepError>) -> Result<(), StepError>;

    /// Closes it.
    ///
    /// # Errors
    /// The reason why the run stops.
    fn leave(&self, key: &StepKey, failed: bool) -> Result<(), StepError>;

    /// Puts a closure on record that undoes what follows.
    ///
    /// # Errors
    /// The reason why the run stops.
    fn on_undo(&self, task: &Task, name: &str, site: Site, closure: UndoClosure) -> Result<(), StepError>;

    /// The script goes on by something that nobody knows. Only predictions are told.
    fn found(&self, finding: Finding);

    /// Something must hold from now on: for whoever sees the whole world.
    fn invariant(&self, holds: Holds);

    /// From now on a host takes back by itself what is changed there as this user, until [`Conductor::unguard`].
    ///
    /// # Errors
    /// When it does so already.
    fn guard(&self, at: &Login) -> Result<(), StepError>;

    /// Ends that.
    fn unguard(&self, at: &Login);

    /// Runs a block for each host. Gives the failures of hosts that may fail.
    ///
    /// # Errors
    /// The first failure of one that may not.
    fn fork(&self, task: &Task, spec: &ForkSpec, branch: &Branch<'_>) -> Result<Vec<(HostName, StepError)>, StepError>;
}
