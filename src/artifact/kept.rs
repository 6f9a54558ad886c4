//! Files of a project as a run read them, so that whoever takes the run up, or goes back to what it made, sends the same bytes:
//! `kept/sha256/DIGEST` holds contents, each once; `kept/runs/RUN` says line by line what a name stood for when the run first read
//! it. A line is on disk before its content is used; half a line, of a machine that lost power, was never relied upon.

mod place;

pub(super) use place::{Going, collect};

use super::ArtifactError;
use crate::id::{Digest, RunId};
use place::Place;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What one run read.
pub struct KeptSources {
    place: Place,
    run: RunId,
    /// The run whose files it reads, when it makes live again what that one made.
    origin: Option<RunId>,
    /// Whether only what is on record is read, and nothing put down.
    ended: bool,
    names: Mutex<Option<BTreeMap<String, Cell>>>,
    /// One line at a time.
    writing: Mutex<()>,
}

/// What a name stands for, once that is known; held while it is read, so that twenty tasks read it once.
type Cell = Arc<Mutex<Option<Line>>>;

/// What was kept of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// A file.
    File {
        /// Where its content lies.
        path: PathBuf,
        /// Its sha256.
        digest: Digest,
        /// Its bytes.
        size: u64,
        /// Its permission bits.
        mode: u32,
    },
    /// A directory, as a tar archive.
    Tree {
        /// Where the archive lies.
        archive: PathBuf,
        /// The sha256 of the archive.
        digest: Digest,
        /// The bytes of the archive.
        archive_size: u64,
        /// One line for each thing in it.
        listing: String,
        /// The bytes of all files in it.
        size: u64,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Line {
    name: String,
    #[serde(flatten)]
    is: Is,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
enum Is {
    File {
        sha256: Digest,
        size: u64,
        mode: u32,
    },
    Tree {
        sha256: Digest,
        archive_size: u64,
        listing: Digest,
        size: u64,
    },
    /// The run itself made it anew: it is read when it is asked for again.
    Anew,
}

impl Is {
    fn digests(&self) -> Vec<&Digest> {
        match self {
            Self::File { sha256, .. } => vec![sha256],
            Self::Tree { sha256, listing, .. } => vec![sha256, listing],
            Self::Anew => Vec::new(),
        }
    }
}

impl KeptSources {
    /// What this run reads, kept in this store. A rollback reads what the `origin` read, and nothing else.
    #[must_use]
    pub fn new(store: &Path, run: RunId, origin: Option<RunId>) -> Self {
        let (names, writing) = (Mutex::default(), Mutex::default());
        Self { place: Place(store.join("kept")), run, origin, ended: false, names, writing }
    }

    /// What a run that has ended read, and nothing else; nothing is put down.
    #[must_use]
    pub fn of_ended(store: &Path, run: RunId, origin: Option<RunId>) -> Self {
        Self { ended: true, ..Self::new(store, run, origin) }
    }

    /// What a name of the project stands for in this run; `full` is where it is read when that is not known yet.
    ///
    /// # Errors
    /// When it cannot be read or kept; when it was kept and is gone; when a rollback asks for what was not kept.
    pub fn get(&self, name: &str, full: &Path) -> Result<Kept, ArtifactError> {
        let cell = self.cell(name)?;
        let mut line = lock(&cell);
        match line.as_ref().map(|line| &line.is) {
            Some(Is::Anew) if !self.ended => {}
            Some(is) if *is != Is::Anew => return self.again(name, is, full),
            _ if self.ended || self.origin.is_some() => {
                let origin = self.origin.clone().unwrap_or_else(|| self.run.clone());
                return Err(ArtifactError::NeverRead { name: name.to_owned(), run: origin });
            }
            _ => {}
        }
        let is = self.place.keep(full)?;
        let kept = self.place.open(&is).ok_or_else(|| self.gone(name, &is))?;
        *line = Some(self.write(name, is)?);
        Ok(kept)
    }

    /// The run itself has put another content under this name: it is not what it was, nor is a directory around it.
    ///
    /// # Errors
    /// When that cannot be put down.
    pub fn forget(&self, name: &str) -> Result<(), ArtifactError> {
        if self.ended {
            return Ok(());
        }
        let name = clean(name);
        let around = |other: &String| Path::new(&name).starts_with(other);
        let known: Vec<String> = self.names(|names| names.keys().filter(|other| around(other)).cloned().collect())?;
        for name in known.into_iter().chain(self.origin.is_some().then(|| name.clone())) {
            let cell = self.cell(&name)?;
            let mut line = lock(&cell);
            let anew = line.as_ref().is_some_and(|line| line.is == Is::Anew);
            if !anew && (line.is_some() || self.origin.is_some()) {
                *line = Some(self.write(&name, Is::Anew)?);
            }
        }
        Ok(())
    }

    /// The names that are missing of what the run read: each with the sha256 of its content.
    ///
    /// # Errors
    /// When its list cannot be read.
    pub fn missing(&self) -> Result<Vec<(String, Digest)>, ArtifactError> {
        let cells: Vec<Cell> = self.names(|names| names.values().cloned().collect())?;
        let lines = cells.iter().filter_map(|cell| lock(cell).clone());
        let gone = |line: &Line| line.is.digests().into_iter().find(|digest| !self.place.content(digest).is_file()).cloned();
        Ok(lines.filter_map(|line| gone(&line).map(|digest| (line.name, digest))).collect())
    }

    /// Whether the run read this name.
    ///
    /// # Errors
    /// When its list cannot be read.
    pub fn has(&self, name: &str) -> Result<bool, ArtifactError> {
        let name = clean(name);
        self.names(|names| names.get(&name).is_some_and(|cell| lock(cell).is_some()))
    }

    /// What was kept; when it is gone, and the project has the very same, that.
    fn again(&self, name: &str, is: &Is, full: &Path) -> Result<Kept, ArtifactError> {
        if let Some(kept) = self.place.open(is) {
            return Ok(kept);
        }
        if self.ended {
            return Err(self.gone(name, is));
        }
        let same = |found: &Is| found.digests() == is.digests();
        match self.place.keep(full).ok().filter(same).and_then(|_| self.place.open(is)) {
            Some(kept) => Ok(kept),
            None => Err(self.gone(name, is)),
        }
    }

    fn gone(&self, name: &str, is: &Is) -> ArtifactError {
        let digest = is.digests().first().map_or_else(|| Digest::of(&[]), |digest| (*digest).clone());
        ArtifactError::KeptGone { name: name.to_owned(), digest, place: self.place.0.clone() }
    }

    fn cell(&self, name: &str) -> Result<Cell, ArtifactError> {
        self.names(|names| names.entry(clean(name)).or_default().clone())
    }

    fn names<T>(&self, work: impl FnOnce(&mut BTreeMap<String, Cell>) -> T) -> Result<T, ArtifactError> {
        let mut names = lock(&self.names);
        if names.is_none() {
            let mut lines = BTreeMap::new();
            for run in self.origin.iter().chain([&self.run]) {
                lines.extend(self.place.lines(run)?.into_iter().map(|line| (line.name.clone(), line)));
            }
            *names = Some(lines.into_iter().map(|(name, line)| (name, Arc::new(Mutex::new(Some(line))))).collect());
        }
        Ok(work(names.get_or_insert_default()))
    }

    fn write(&self, name: &str, is: Is) -> Result<Line, ArtifactError> {
        let _one = lock(&self.writing);
        let line = Line { name: clean(name), is };
        self.place.append(&self.run, &line)?;
        Ok(line)
    }
}

/// The same name for the same path: `./files/a` is `files/a`.
fn clean(name: &str) -> String {
    name.split('/').filter(|part| !matches!(*part, "" | ".")).collect::<Vec<_>>().join("/")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[path = "kept_tests.rs"]
mod tests;
