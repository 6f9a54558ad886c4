//! Stands in for systemd on a lab host: unit files are read, services really started, watched, restarted and stopped,
//! and `systemctl` and `journalctl` answered as far as deploy scripts use them. Knows no targets, timers or ordering.

mod enable;
mod journal;
mod launch;
mod show;
mod state;
mod supervisor;
mod systemctl;
mod unit;
mod unit_file;
mod words;

pub(crate) use supervisor::Supervisor;
