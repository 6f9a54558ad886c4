//! The laws: what holds for every primitive and every script, asked of the real stack with this machine as its hosts.
//! A new primitive gets them through its case files; nothing here names it.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail like tests")]

mod artifacts;
mod brackets;
mod case;
mod cases;
mod chain;
mod closed;
mod crash;
mod differential;
mod effects;
mod faults;
mod fence;
mod forks;
mod guarded;
mod held;
mod interrupts;
mod journal;
mod known;
mod lease;
mod ledger;
mod leftovers;
mod many;
mod memory;
mod mistakes;
mod neighbours;
mod page;
mod pages;
mod people;
mod predictions;
mod program;
mod released;
mod releases;
mod resume;
mod rollback;
mod server;
mod shop;
mod simulated;
mod since;
mod standard;
mod store;
mod templates;
mod tree;
mod unknown;
mod watchers;
mod world;
