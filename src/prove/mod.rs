//! The fault test: a script is run on a simulated fleet, once without faults, then once for each thing that can go wrong at each
//! of its effects; whoever would take the run up does so, and judges look at what came of it. No breach is no proof: it holds
//! within what is modelled, and what is not is said.

mod fragile;
mod judge;
mod list;
mod play;
mod scenario;
mod test;
mod trace;

pub use judge::{Breach, Judge, judge, judge_again};
pub use list::Choice;
pub use play::{Deployed, Leg, Outcome, Start, Subject, Worker};
pub use scenario::{Scenario, Then};
pub use test::{Cause, Coverage, FaultTest, Uncovered, Verdict, legs_told};
pub use trace::{TraceLine, timeline};
