//! Processes that are unmistakable: a pid together with the time of its start. Read from /proc, never looked up by name.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};
use std::io;
use std::time::Duration;

/// A process and the moment it started, so that a pid used again is not taken for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessId {
    /// Its pid.
    pub pid: i32,
    /// Its start in clock ticks since the machine's start, as /proc/PID/stat has it.
    pub start_time: u64,
}

/// What /proc/PID/stat says that is of interest here.
struct Stat {
    state: char,
    parent: i32,
    start_time: u64,
}

impl ProcessId {
    /// The process that has this pid now.
    pub(crate) fn of(pid: i32) -> io::Result<Self> {
        Ok(Self { pid, start_time: stat(pid)?.start_time })
    }

    /// Whether it still runs. One that has ended and was not waited for does not.
    #[must_use]
    pub fn runs(&self) -> bool {
        stat(self.pid).is_ok_and(|stat| stat.start_time == self.start_time && stat.state != 'Z')
    }

    /// Sends it a signal. False when it is gone.
    pub(crate) fn signal(&self, signal: Signal) -> bool {
        // The descriptor is taken before the check, so what passes the check is what gets the signal.
        let Some(handle) = Pid::from_raw(self.pid).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok()) else {
            return false;
        };
        self.runs() && pidfd_send_signal(handle, signal).is_ok()
    }

    /// Waits until it is gone. False when it is still there after this time.
    pub(crate) fn wait_gone(&self, limit: Duration) -> bool {
        let Some(handle) = Pid::from_raw(self.pid).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok()) else {
            return true;
        };
        if self.runs() {
            let _ = poll(&mut [PollFd::new(&handle, PollFlags::IN)], Some(&timespec(limit)));
        }
        !self.runs()
    }
}

/// Waits, where a thread may: in the commands that look after a lab from outside.
pub(crate) fn pause(time: Duration) {
    let _ = poll(&mut [], Some(&timespec(time)));
}

/// The children of a process.
pub(crate) fn children(parent: i32) -> Vec<i32> {
    all().into_iter().filter(|(_, stat)| stat.parent == parent).map(|(pid, _)| pid).collect()
}

/// All processes that come from this one, and have not been taken over by another.
pub(crate) fn descendants(ancestor: i32) -> Vec<i32> {
    let all = all();
    let mut found = vec![ancestor];
    let mut next = 0;
    while let Some(&parent) = found.get(next) {
        found.extend(all.iter().filter(|(_, stat)| stat.parent == parent).map(|(pid, _)| *pid));
        next += 1;
    }
    found.split_off(1)
}

fn all() -> Vec<(i32, Stat)> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid| Some((pid, stat(pid).ok()?))).collect()
}

fn stat(pid: i32) -> io::Result<Stat> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    parse(&text).ok_or_else(|| io::Error::other(format!("/proc/{pid}/stat is not understood")))
}

/// The name in the second field may hold spaces and parentheses, so fields are counted after the last one.
fn parse(text: &str) -> Option<Stat> {
    let mut fields = text.rsplit_once(')')?.1.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    let parent = fields.next()?.parse().ok()?;
    let start_time = fields.nth(17)?.parse().ok()?;
    Some(Stat { state, parent, start_time })
}

fn timespec(time: Duration) -> Timespec {
    Timespec { tv_sec: time.as_secs().try_into().unwrap_or(i64::MAX), tv_nsec: time.subsec_nanos().into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let stat = parse("7 (a) b) R 3 7 7 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 4242 0 0").unwrap();
        assert_eq!((stat.state, stat.parent, stat.start_time), ('R', 3, 4242));
    }

    #[test]
    fn this_process_runs_and_a_namesake_does_not() {
        let own = ProcessId::of(std::process::id().try_into().unwrap()).unwrap();
        assert!(own.runs());
        assert!(!ProcessId { start_time: own.start_time + 1, ..own }.runs());
    }
}
