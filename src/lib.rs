//! Windlass
pub mod cli;
pub mod effect;
pub mod event;
pub mod fleet;
pub mod id;
pub mod interp;
pub mod journal;
pub mod ledger;
pub mod op;
pub mod report;
pub mod run;
pub mod saga;
pub mod script;
pub mod step;
pub mod stop;
pub mod transport;
