//! What hosts are told of the lock under which a run works, and what they keep of a run that has ended.

use crate::id::{Digest, Epoch, LockName, RunId};
use serde::{Deserialize, Serialize};

/// Which lock a run holds, and as which of its holders: a host that was shown a later one refuses what changes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fence {
    /// The lock.
    pub lock: LockName,
    /// The holder.
    pub epoch: Epoch,
    /// Since when it has it, in milliseconds since 1970-01-01 UTC.
    pub since: i64,
    /// Who that is, as `user@machine`.
    pub by: String,
    /// Runs under other locks whose changes it may touch.
    pub beside: Vec<RunId>,
}

impl Fence {
    /// That of a holder of whom nothing more is known.
    #[must_use]
    pub fn new(lock: LockName, epoch: Epoch) -> Self {
        Self { lock, epoch, since: 0, by: "somebody".to_owned(), beside: Vec::new() }
    }
}

/// How far a run's journal went when it ended: kept on its hosts, so that a journal that was cut or rewritten later shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anchor {
    /// How many records it had.
    pub records: u64,
    /// The head of its hash chain.
    pub head: Digest,
}

impl Anchor {
    /// That of a run, among the lines `RUN RECORDS HEAD` that a host keeps.
    #[must_use]
    pub fn find(kept: &str, run: &RunId) -> Option<Self> {
        kept.lines().rev().find_map(|line| {
            let mut words = line.split(' ');
            let (name, records, head) = (words.next()?, words.next()?, words.next()?);
            (name == run.as_str()).then_some(Self { records: records.parse().ok()?, head: Digest::parse(head).ok()? })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_of_a_run_counts() {
        let (old, new) = (Digest::of(b"old"), Digest::of(b"new"));
        let kept = format!("r-1 9 {old}\nr-10 3 {old}\nr-1 12 {new}\nr-1 x {new}\n");
        assert_eq!(Anchor::find(&kept, &RunId::parse("r-1").unwrap()), Some(Anchor { records: 12, head: new }));
        assert_eq!(Anchor::find(&kept, &RunId::parse("r-2").unwrap()), None);
    }
}
