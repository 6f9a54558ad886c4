//! What a bracket opened and must close again: a drained server, a muted alert, a page that tells of maintenance.

use super::record::{BracketSide, Entry, Group, RunPhase, WhenHalted};
use super::state::RunState;
use crate::id::{StepKey, TaskPath};
use crate::step::{ErrorKind, StepError};

/// What one bracket opened.
#[derive(Debug, Clone, PartialEq)]
pub struct Obligation {
    /// What is open meanwhile.
    pub name: String,
    /// What becomes of it when the run halts.
    pub when_halted: WhenHalted,
    /// How far it is.
    pub status: ObligationStatus,
    /// How often it was opened.
    pub rounds: u32,
    /// How often opening it has ended.
    enters: u32,
    /// How often closing it has ended.
    leaves: u32,
}

/// How far a bracket is.
#[derive(Debug, Clone, PartialEq)]
pub enum ObligationStatus {
    /// Its opening began.
    Opening,
    /// It is open.
    Held,
    /// It is closed.
    Discharged,
    /// Opening or closing it failed.
    Failed(BracketSide, StepError),
}

impl Obligation {
    /// Whether something of it may be open.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.status != ObligationStatus::Discharged
    }

    /// The task of its next opening or closing: one that was cut off goes on where it was, one that has ended is over.
    #[must_use]
    pub fn task(&self, key: &StepKey, side: BracketSide) -> TaskPath {
        let ended = if side == BracketSide::Enter { self.enters } else { self.leaves };
        task(key, side, ended + 1)
    }

    fn ended(&mut self, side: BracketSide) {
        match side {
            BracketSide::Enter => self.enters += 1,
            BracketSide::Leave => self.leaves += 1,
        }
    }
}

/// The task in which a bracket is opened, or closed, for the `n`th time.
pub(super) fn task(key: &StepKey, side: BracketSide, n: u32) -> TaskPath {
    key.task.child(key.n, side.word(), &n.to_string())
}

impl RunState {
    /// Brackets that may be open, and that nobody has given up.
    pub fn open_obligations(&self) -> impl Iterator<Item = (&StepKey, &Obligation)> {
        self.obligations.iter().filter(|(key, obligation)| obligation.is_open() && !self.settled.contains_key(*key))
    }

    pub(super) fn take_obligation(&mut self, entry: &Entry) -> Result<(), String> {
        match entry {
            Entry::ObligationOpened { key, name, when_halted } => self.open_obligation(key, name, *when_halted),
            Entry::ObligationHeld { key } => {
                let obligation = self.obligation(key)?;
                if !matches!(obligation.status, ObligationStatus::Opening) {
                    return Err(format!("bracket {key} is not being opened"));
                }
                obligation.ended(BracketSide::Enter);
                obligation.status = ObligationStatus::Held;
                Ok(())
            }
            Entry::ObligationDischarged { key } => {
                let obligation = self.obligation(key)?;
                if !obligation.is_open() {
                    return Err(format!("bracket {key} is closed already"));
                }
                obligation.ended(BracketSide::Leave);
                obligation.status = ObligationStatus::Discharged;
                Ok(())
            }
            Entry::ObligationFailed { key, side, error } => {
                let unwinding = self.phase == Some(RunPhase::Unwinding);
                let obligation = self.obligation(key)?;
                if !obligation.is_open() {
                    return Err(format!("bracket {key} is closed already"));
                }
                // What was cut off goes on in the same task; what has surely ended begins anew. So does what is in doubt while unwinding:
                // both closures may be done again, and nobody is asked any more.
                let anew = match error.kind {
                    ErrorKind::InDoubt => unwinding,
                    ErrorKind::Interrupted | ErrorKind::Ledger | ErrorKind::Fenced => false,
                    _ => true,
                };
                if anew {
                    obligation.ended(*side);
                }
                obligation.status = ObligationStatus::Failed(*side, error.clone());
                Ok(())
            }
            _ => Err("it says nothing of a bracket".to_owned()),
        }
    }

    fn open_obligation(&mut self, key: &StepKey, name: &str, when_halted: WhenHalted) -> Result<(), String> {
        self.alive()?;
        if !matches!(self.groups.get(key), Some((Group::Bracket { .. }, _))) {
            return Err(format!("there is no bracket {key}"));
        }
        let ended = self.ended.is_some();
        match self.obligations.get_mut(key) {
            None => {
                let status = ObligationStatus::Opening;
                let obligation = Obligation { name: name.to_owned(), when_halted, status, rounds: 1, enters: 0, leaves: 0 };
                self.obligations.insert(key.clone(), obligation);
            }
            // What stayed open when the run ended is opened once more before what is owed in it is done.
            Some(obligation)
                if ended
                    || matches!(
                        obligation.status,
                        ObligationStatus::Discharged | ObligationStatus::Failed(BracketSide::Enter, _)
                    ) =>
            {
                obligation.rounds += 1;
                obligation.status = ObligationStatus::Opening;
            }
            Some(_) => return Err(format!("bracket {key} is open already")),
        }
        Ok(())
    }

    fn obligation(&mut self, key: &StepKey) -> Result<&mut Obligation, String> {
        self.obligations.get_mut(key).ok_or_else(|| format!("bracket {key} was never opened"))
    }
}
