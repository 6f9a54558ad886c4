//! The conductor: it hands steps their effects, keeps the journal ahead of the world, runs tasks on threads, and undoes
//! what an unfinished run changed. It knows no script: that room calls it through [`crate::script::Conductor`].

mod anchors;
mod basis;
mod bracket;
mod capacity;
mod capture;
mod conductor;
mod drift;
mod finish;
mod fork;
mod held;
mod known;
mod overwrite;
mod plan;
mod port;
mod predict;
mod relay;
mod runner;
mod scout;
mod sweep;
mod take_up;
mod unwind;
mod writer;

pub use anchors::{Kept, anchors};
pub use basis::{Basis, BasisHost};
pub use conductor::Mode;
pub use drift::{Drift, Drifted};
pub use finish::{Finish, Left, NotUndone};
pub use held::{differences, held_to, stale};
pub use known::{Known, Played, play_known};
pub use plan::{
    Made, Plan, PlanCounts, PlannedFork, PlannedQuestion, PlannedStep, Predicted, Prediction, VERSION as PLAN_VERSION,
};
pub use predict::{dry_run_layers, plan_layers, project_layer};
pub use relay::Relay;
pub use runner::{Outset, Programs, Runner, StackBuilder, live_stack, live_stack_with};
pub use sweep::is_owed;
pub use take_up::{DecideError, Job, MendedScript, OnDrift, TakeUp};
pub use writer::{Crash, Writer};
