//! Starts the processes of a host and waits for all of them, also for those that were left behind by others.
//! The only place in an init that may wait for a process: two would take each other's.

use super::wire::Ending;
use rustix::process::{Pid, WaitOptions, wait};
use std::collections::HashMap;
use std::io;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::oneshot;

/// Who wants to know about the end of which process.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reaper(Arc<Mutex<HashMap<i32, oneshot::Sender<Ending>>>>);

impl Reaper {
    /// Starts a process. Its end comes over the channel; nobody has to listen.
    pub(crate) fn spawn(&self, command: &mut Command) -> io::Result<(Pid, oneshot::Receiver<Ending>)> {
        // Held while it starts, so that its end is not taken in before its pid is known here.
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let child = command.spawn()?;
        let pid = Pid::from_child(&child);
        let (sender, receiver) = oneshot::channel();
        waiting.insert(pid.as_raw_nonzero().get(), sender);
        Ok((pid, receiver))
    }

    /// Takes in every process that has ended.
    pub(crate) fn reap(&self) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            if let Some(sender) = waiting.remove(&pid.as_raw_nonzero().get()) {
                let _ = sender.send(Ending::of(status));
            }
        }
    }
}
