//! The interpreters of effects: what stands behind a mode. `stack` names every mode's layers.

mod apply;
mod controller;
pub mod fault;
mod fetch;
mod follow;
mod guard;
mod marks;
mod observe;
mod one_by_one;
mod outbox;
mod overlay;
mod people;
mod read_only;
mod reboot;
mod retry;
pub mod simulate;
mod stack;
pub mod turns;
mod vantage;
mod whose;

pub use apply::Apply;
pub use controller::Controller;
pub use marks::{Certainty, Marks};
pub use observe::{Look, Looks, Observe, Seen};
pub use one_by_one::OneByOne;
pub use outbox::{Mailbox, Origin, Outbox, Unsent};
pub use overlay::Overlay;
pub use people::{Answers, NoAnswer, People};
pub use read_only::ReadOnly;
pub use retry::Retry;
pub use simulate::{Fleet, Simulate};
pub use stack::{DryRun, Grounds, apply as apply_stack, dry_run as dry_run_stack, plan as plan_stack};
pub use whose::within;
