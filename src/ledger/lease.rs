//! Who may change an environment: leases with epochs, locks that people set, freezes. What is decided is decided by one pure function.

use super::{Ledger, LedgerError};
use crate::id::{Digest, Epoch, RunId};
use crate::journal::Record;
use serde::Serialize;
use std::fmt;

/// A hold on an environment's lock. There is one for each epoch; the last one counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Lease {
    /// Which holder it is.
    pub epoch: Epoch,
    /// The run that holds it; none when a person took it from one.
    pub run: Option<RunId>,
    /// Who, as `user@machine`.
    pub holder: String,
    /// On which machine, since it was started the last time.
    #[serde(skip)]
    pub machine: String,
    /// Since when, in milliseconds since 1970-01-01 UTC.
    pub since: i64,
    /// Until when, unless it is renewed; 0 once it was given back.
    pub until: i64,
    /// Why a person took it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// What a person has set over one environment, or over all of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hold {
    /// What it keeps from happening.
    pub kind: HoldKind,
    /// The environment; every one otherwise.
    pub environment: Option<String>,
    /// Who, as `user@machine`.
    pub by: String,
    /// Why.
    pub reason: String,
    /// Since when, in milliseconds since 1970-01-01 UTC.
    pub since: i64,
    /// Until when, if it ends by itself.
    pub until: Option<i64>,
}

/// What a hold keeps from happening.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldKind {
    /// Nothing is done there at all.
    Lock,
    /// Nothing new begins there; what is unfinished may be brought to its end.
    Freeze,
}

/// What a lock is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intent {
    /// Something new.
    Begin,
    /// What is there is brought to its end.
    End,
}

/// Someone who wants the lock of an environment.
#[derive(Debug, Clone)]
pub struct Claim<'a> {
    /// The environment.
    pub environment: &'a str,
    /// The run that would hold it.
    pub run: &'a RunId,
    /// Who, as `user@machine`.
    pub holder: &'a str,
    /// On which machine, since it was started the last time.
    pub machine: &'a str,
    /// What for.
    pub intent: Intent,
    /// The holder whose process is known to be gone, on this very machine.
    pub dead: Option<Epoch>,
    /// When, in milliseconds since 1970-01-01 UTC.
    pub at: i64,
    /// For how long, unless it is renewed, in milliseconds.
    pub ttl: i64,
}

/// Why a lock is not given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Somebody has it.
    Held(Lease),
    /// A person has set something over it.
    Set(Hold),
}

/// A ledger that gives out the locks of environments. Any number of processes may share one.
pub trait Locks: Ledger {
    /// The ledger's own random name, for hosts to tell ledgers apart.
    ///
    /// # Errors
    /// When it cannot be read.
    fn name(&self) -> Result<String, LedgerError>;

    /// The last hold on an environment's lock.
    ///
    /// # Errors
    /// When it cannot be read.
    fn lease(&self, environment: &str) -> Result<Option<Lease>, LedgerError>;

    /// Gives the lock to who asks, or says why not: [`judge`] decides.
    ///
    /// # Errors
    /// When it cannot be written.
    fn claim(&self, claim: &Claim<'_>) -> Result<Result<Lease, Refusal>, LedgerError>;

    /// Holds it longer.
    ///
    /// # Errors
    /// [`LedgerError::Fenced`] when it is somebody else's by now; others when it cannot be written.
    fn renew(&self, environment: &str, epoch: Epoch, until: i64) -> Result<(), LedgerError>;

    /// Gives it back; nothing when it is somebody else's by now.
    ///
    /// # Errors
    /// When it cannot be written.
    fn give_back(&self, environment: &str, epoch: Epoch) -> Result<(), LedgerError>;

    /// Takes it from whoever has it, in a person's name. Gives the hold that ends by it.
    ///
    /// # Errors
    /// When it cannot be written.
    fn take_over(&self, environment: &str, holder: &str, reason: &str, at: i64) -> Result<Option<Lease>, LedgerError>;

    /// Appends records, as [`Ledger::append`] does, if the lock is still this holder's.
    ///
    /// # Errors
    /// [`LedgerError::Fenced`] when it is somebody else's by now; others when they cannot be written. Then none of them is.
    fn append_as(&self, environment: &str, epoch: Epoch, id: &RunId, records: &[Record]) -> Result<Digest, LedgerError>;

    /// What people have set over an environment, or over all of them.
    ///
    /// # Errors
    /// When it cannot be read.
    fn holds(&self, environment: &str) -> Result<Vec<Hold>, LedgerError>;

    /// Sets something, instead of what was set of its kind.
    ///
    /// # Errors
    /// When it cannot be written.
    fn set(&self, hold: &Hold) -> Result<(), LedgerError>;

    /// Takes it away again; tells whether it was there.
    ///
    /// # Errors
    /// When it cannot be written.
    fn lift(&self, kind: HoldKind, environment: Option<&str>) -> Result<bool, LedgerError>;
}

impl Lease {
    /// Whether it is held at this time.
    #[must_use]
    pub fn is_held(&self, at: i64) -> bool {
        self.until > at
    }
}

impl Hold {
    /// Whether it holds at this time.
    #[must_use]
    pub fn is_on(&self, at: i64) -> bool {
        self.until.is_none_or(|until| until > at)
    }
}

/// Whether a claim is granted, and as which holder, when this is the last lease and these are the holds.
///
/// # Errors
/// Says who or what stands against it.
pub fn judge(last: Option<&Lease>, holds: &[Hold], claim: &Claim<'_>) -> Result<Epoch, Refusal> {
    let stands = |hold: &&Hold| hold.is_on(claim.at) && (hold.kind == HoldKind::Lock || claim.intent == Intent::Begin);
    if let Some(hold) = holds.iter().find(stands) {
        return Err(Refusal::Set(hold.clone()));
    }
    let Some(last) = last else { return Ok(Epoch::default().next()) };
    let gone = last.machine == claim.machine && claim.dead == Some(last.epoch);
    if last.is_held(claim.at) && !gone {
        return Err(Refusal::Held(last.clone()));
    }
    Ok(last.epoch.next())
}

impl fmt::Display for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.run {
            Some(run) => write!(f, "run {run} of {}", self.holder)?,
            None => f.write_str(&self.holder)?,
        }
        if self.reason.is_empty() { Ok(()) } else { write!(f, " ({})", self.reason) }
    }
}
