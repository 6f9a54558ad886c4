//! The conductor: it hands steps their effects, keeps the journal ahead of the world, runs tasks on threads, and undoes
//! what an unfinished run changed. It knows no script: that room calls it through [`crate::script::Conductor`].

mod anchors;
mod capacity;
mod conductor;
mod fork;
mod port;
mod runner;
mod unwind;
mod writer;

pub use anchors::{Kept, anchors};
pub use conductor::Mode;
pub use runner::{Finish, Job, Outset, Runner, StackBuilder, live_stack, live_stack_with};
pub use writer::{Crash, Writer};
