//! Which artifacts may go. Pure: what is in use is told.

use super::Artifact;
use crate::id::Digest;
use std::collections::BTreeSet;

/// What stays.
#[derive(Debug, Clone)]
pub struct Retention {
    /// So many of the newest versions of each name.
    pub keep: usize,
    /// Contents that something runs, or may have to run again.
    pub protected: BTreeSet<Digest>,
}

/// Those of a listing, newest first within each name, that need not stay.
#[must_use]
pub fn superfluous(all: &[Artifact], retention: &Retention) -> Vec<Artifact> {
    let newer = |n: usize, artifact: &Artifact| all[..n].iter().filter(|other| other.name == artifact.name).count();
    let old = all.iter().enumerate().filter(|(n, artifact)| newer(*n, artifact) >= retention.keep);
    old.filter(|(_, artifact)| !retention.protected.contains(&artifact.digest)).map(|(_, artifact)| artifact.clone()).collect()
}
