//! Windlass deploys services to plain Linux servers over SSH: one script in Rhai, run by a runtime that can always finish
//! or go back.
//!
//! A script asks for steps ([`step::Command`]). The [`script`] room binds every primitive of the [`op::Registry`] in the same
//! way and hands each call to a [`script::Conductor`]. Behind that stands [`run`]: it gives back what the [`journal`] has of a
//! step, or lets its [`op::Operation`] look, put its undo on record, and change, by [`effect::Effect`]s. What performs them is
//! a stack of layers ([`interp`]) over the [`transport`]; an operation cannot know which. When a run fails, [`saga`] says from
//! the journal alone what to undo in which order. The [`ledger`] keeps runs, [`fleet`] says which hosts there are, [`report`]
//! turns records into text and JSON, and [`cli`] is the command line around it all.
//!
//! An embedder adds a primitive of their own with [`op::Registry::add`], layers of their own with [`run::Runner`]'s `stack`, and
//! sees what happens as an [`event::Watcher`].
//!
//! ```
//! use windlass::op::Registry;
//!
//! let registry = Registry::standard();
//! assert!(registry.get("write").is_some());
//! assert!(registry.iter().all(|entry| entry.page.starts_with("# ")));
//! ```

pub mod artifact;
pub mod cli;
pub mod effect;
pub mod event;
pub mod fleet;
pub mod id;
pub mod interp;
pub mod journal;
pub mod ledger;
pub mod op;
pub mod private;
pub mod prove;
pub mod report;
pub mod run;
pub mod saga;
pub mod script;
pub mod step;
pub mod stop;
pub mod transport;
pub mod words;
