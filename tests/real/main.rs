//! The tool as a user has it: against hosts with real systemd, sshd, disks and network, and with their faults.
//!
//! The hosts come from `tests/lab/lab.sh`. Without root, or without what the lab needs, these tests fail and say what to
//! install: `make test` does it.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail like tests")]

mod accounts;
#[path = "../laws/case.rs"]
mod case;
mod chance;
mod controller;
mod deploy;
mod faults;
mod guarded;
mod host;
mod hostile_connection;
mod hostile_host;
mod keys;
mod kills;
mod kin;
mod lab;
mod lease;
mod login;
mod network;
mod operations;
#[path = "../laws/page.rs"]
mod page;
mod project;
mod releases;
mod security_key;
mod site;
mod storm;
mod units;
mod untouched;
mod uploads;
mod vantage;
mod wait;
