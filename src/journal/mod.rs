//! The journal of a run: its record kinds, which may follow which, and what a replay finds in it. Pure: where records
//! are kept is the ledger's business.

mod cursor;
mod obligation;
mod record;
mod state;

pub use cursor::{Cursor, Recorded, group_divergence, missing_step};
pub use obligation::{Obligation, ObligationStatus};
pub use record::{BracketSide, Decision, Entry, Group, Part, RECORD_VERSION, Record, RunPhase, StartInfo, WhenHalted};
pub(crate) use state::LEFT_AS_IT_IS;
pub use state::{Illegal, Item, RunState, StepState, StepStatus, UndoState, UndoStatus, next};
