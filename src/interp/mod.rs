//! The interpreters of effects: what stands behind a mode. `stack` names every mode's layers.

mod apply;
mod controller;
mod fetch;
mod follow;
mod outbox;
mod people;
mod reboot;
mod retry;
pub mod simulate;
mod stack;
mod trees;
mod vantage;
mod whose;

pub use apply::Apply;
pub use controller::Controller;
pub use outbox::{Mailbox, Origin, Outbox, Unsent};
pub use people::{Answers, NoAnswer, People};
pub use retry::Retry;
pub use simulate::{Fleet, Simulate};
pub use stack::apply as apply_stack;
pub use whose::within;
