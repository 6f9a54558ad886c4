//! A command of the operator's on this machine, as a `Match exec` of the ssh_config asks for one.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// Longer than a look at the network should take, and short enough to be waited for.
const SECONDS: u16 = 10;

/// Whether it succeeds, run by this shell, with nothing to read.
///
/// # Errors
/// When it cannot be started, or does not end.
pub(super) fn succeeds(shell: &Path, command: &str) -> Result<bool, String> {
    let cannot = |error: std::io::Error| format!("cannot be asked: {}: {error}", shell.display());
    let mut child = Command::new(shell);
    child.args(["-c", command]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // With all that it starts, in a group that can be ended as one.
    child.process_group(0);
    let mut child = child.spawn().map_err(cannot)?;
    let ended = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).and_then(|pidfd| {
        let mut fds = [PollFd::new(&pidfd, PollFlags::IN)];
        poll(&mut fds, Some(&Timespec { tv_sec: i64::from(SECONDS), tv_nsec: 0 }))
    });
    if !matches!(ended, Ok(1..)) {
        // It may have ended meanwhile.
        let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
    }
    let status = child.wait().map_err(cannot)?;
    match ended {
        Ok(0) => Err(format!("cannot be told: its command does not end within {SECONDS} s")),
        Ok(_) => Ok(status.success()),
        Err(error) => Err(cannot(error.into())),
    }
}
