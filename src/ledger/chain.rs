//! The hash chain of a journal, computed anew from what is stored, and held against what hosts kept of it. Pure.

use crate::effect::Anchor;
use crate::id::{Digest, RunId};

/// A record as it is stored, with the hash that stands beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Its number.
    pub seq: u64,
    /// Its text.
    pub body: String,
    /// The hash of its text and of all before.
    pub hash: String,
}

/// A chain that holds from its first record to its last.
#[derive(Debug, Clone)]
pub struct Chain {
    /// The run's name, then the hash at each record.
    hashes: Vec<Digest>,
}

/// The first record that is not as it was written: its text, its hash or its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Altered {
    /// The number that it has, or should have.
    pub record: u64,
}

/// What an anchor says of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Against {
    /// It ends where the anchor says.
    Same,
    /// It goes on for so many records behind the anchor, as after a run that was taken up again.
    Longer(u64),
    /// It is shorter: the end was cut off.
    Truncated,
    /// It holds, and is another one at the anchor's record: it was written anew.
    Rewritten,
}

/// What the chain of a run begins with.
pub(super) fn origin(run: &RunId) -> Digest {
    Digest::of(run.as_str().as_bytes())
}

/// The hash at a record.
pub(super) fn link(before: &Digest, body: &str) -> Digest {
    Digest::of(format!("{before}\n{body}").as_bytes())
}

impl Chain {
    /// Computes it anew.
    ///
    /// # Errors
    /// At the first record that is not as it was written.
    pub fn verify(run: &RunId, links: &[Link]) -> Result<Self, Altered> {
        let mut hashes = vec![origin(run)];
        let mut head = origin(run);
        for (record, stored) in (1..).zip(links) {
            head = link(&head, &stored.body);
            if stored.seq != record || stored.hash != head.as_str() {
                return Err(Altered { record });
            }
            hashes.push(head.clone());
        }
        Ok(Self { hashes })
    }

    /// How many records it has.
    #[must_use]
    pub fn records(&self) -> u64 {
        (self.hashes.len() as u64).saturating_sub(1)
    }

    /// Its head.
    #[must_use]
    pub fn head(&self) -> Option<&Digest> {
        self.hashes.last()
    }

    /// Holds it against what a host kept.
    #[must_use]
    pub fn against(&self, anchor: &Anchor) -> Against {
        match self.hashes.get(usize::try_from(anchor.records).unwrap_or(usize::MAX)) {
            None => Against::Truncated,
            Some(hash) if *hash != anchor.head => Against::Rewritten,
            Some(_) if anchor.records == self.records() => Against::Same,
            Some(_) => Against::Longer(self.records() - anchor.records),
        }
    }
}
