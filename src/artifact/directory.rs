//! A store in a directory: `sha256/DIGEST` holds contents, `index/NAME/VERSION.json` what they are called. Each file appears
//! whole, by a rename or a link; a version's name is taken by the first who links it.

use super::kept::{Going, collect};
use super::pack::{Hashing, pack};
use super::{Added, Artifact, ArtifactError, ArtifactName, Damage, Dropped, Incoming, Store, Version};
use crate::id::{Digest, RunId};
use crate::private;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, Permissions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// A store in a directory. It is made when something is added.
#[derive(Debug, Clone)]
pub struct DirectoryStore {
    root: PathBuf,
}

/// Held while artifacts of a store are in use: nothing is removed from it meanwhile.
#[derive(Debug)]
pub struct InUse {
    _lock: File,
}

impl DirectoryStore {
    /// The store in this directory.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Where it is.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Keeps everything in it for as long as the value lives.
    ///
    /// # Errors
    /// When it cannot be locked.
    pub fn hold(&self) -> Result<InUse, ArtifactError> {
        // What a run reads is kept here, too: it is made before there is an artifact.
        self.make(&self.root)?;
        let lock = self.lock_file()?;
        lock.lock_shared().map_err(|error| ArtifactError::io(&self.root, "locked", error))?;
        Ok(InUse { _lock: lock })
    }

    /// Takes away the files of the project that were kept for runs, but for those of runs that must stay. Gives the bytes that are
    /// free then.
    ///
    /// # Errors
    /// [`ArtifactError::Busy`] while anybody works with the store; when it cannot be written.
    pub fn forget_sources(&self, stays: &dyn Fn(&RunId) -> bool) -> Result<u64, ArtifactError> {
        if !self.root.exists() {
            return Ok(0);
        }
        let _alone = self.alone()?;
        collect(&self.root, stays, Going::Taken)
    }

    /// How many bytes [`DirectoryStore::forget_sources`] would free.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn forgettable(&self, stays: &dyn Fn(&RunId) -> bool) -> Result<u64, ArtifactError> {
        collect(&self.root, stays, Going::Counted)
    }

    /// Holds the store while nobody else works with it.
    fn alone(&self) -> Result<File, ArtifactError> {
        let lock = self.lock_file()?;
        match lock.try_lock() {
            Ok(()) => Ok(lock),
            Err(TryLockError::WouldBlock) => Err(ArtifactError::Busy { path: self.root.clone() }),
            Err(TryLockError::Error(error)) => Err(ArtifactError::io(&self.root, "locked", error)),
        }
    }

    fn lock_file(&self) -> Result<File, ArtifactError> {
        let path = self.root.join("lock");
        private::options().create(true).append(true).open(&path).map_err(|error| ArtifactError::io(&path, "opened", error))
    }

    fn content(&self, digest: &Digest) -> PathBuf {
        self.root.join("sha256").join(digest.as_str())
    }

    fn entry(&self, name: &ArtifactName, version: &Version) -> PathBuf {
        self.root.join("index").join(name.as_str()).join(format!("{version}.json"))
    }

    /// A name that no other thread or process uses.
    fn temporary(&self) -> PathBuf {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let (process, n) = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        self.root.join("tmp").join(format!("{process}-{n}"))
    }

    fn make(&self, directory: &Path) -> Result<(), ArtifactError> {
        private::directory(directory).map_err(|error| ArtifactError::io(directory, "made", error))
    }

    /// Packs into a temporary file and moves it to its digest.
    fn keep_content(&self, incoming: &Incoming<'_>) -> Result<super::Packed, ArtifactError> {
        let temporary = Temporary::new(self.temporary());
        let unwritten = |error| ArtifactError::io(&temporary.path, "written", error);
        let mut file = private::options().write(true).create_new(true).open(&temporary.path).map_err(unwritten)?;
        let packed = pack(incoming.path, &mut file)?;
        file.set_permissions(Permissions::from_mode(0o400)).and_then(|()| file.sync_all()).map_err(unwritten)?;
        let place = self.content(&packed.digest);
        // One that is there and damaged is replaced: adding the same build again mends the store.
        if !self.is_sound(&packed.digest) {
            fs::rename(&temporary.path, &place).map_err(unwritten)?;
            sync_directory(&self.root.join("sha256"))?;
        }
        Ok(packed)
    }

    fn is_sound(&self, digest: &Digest) -> bool {
        hash(&self.content(digest)).is_ok_and(|found| found == *digest)
    }

    /// Links the entry to its name; whoever comes second is told what is there.
    fn keep_entry(&self, artifact: &Artifact) -> Result<Added, ArtifactError> {
        let place = self.entry(&artifact.name, &artifact.version);
        let directory = self.root.join("index").join(artifact.name.as_str());
        self.make(&directory)?;
        let temporary = Temporary::new(self.temporary());
        let unwritten = |error| ArtifactError::io(&temporary.path, "written", error);
        let text = serde_json::to_string_pretty(&Stored { format: 1, artifact: artifact.clone() })
            .map_err(|error| unwritten(error.into()))?;
        let mut file = private::options().write(true).create_new(true).open(&temporary.path).map_err(unwritten)?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(unwritten)?;
        match fs::hard_link(&temporary.path, &place) {
            Ok(()) => sync_directory(&directory).map(|()| Added::New(artifact.clone())),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let there = read_entry(&place)?;
                if there.plain != artifact.plain || there.form != artifact.form {
                    let (kept, given) = (there.digest, artifact.digest.clone());
                    return Err(ArtifactError::Different { name: there.name, version: there.version, kept, given });
                }
                Ok(Added::There(there))
            }
            Err(error) => Err(ArtifactError::io(&place, "written", error)),
        }
    }

    /// The digests of the contents that are kept, with their bytes.
    fn contents(&self) -> Result<BTreeMap<Digest, u64>, ArtifactError> {
        let directory = self.root.join("sha256");
        let mut contents = BTreeMap::new();
        for path in listed(&directory)? {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if let (Ok(digest), Ok(about)) = (Digest::parse(name), path.metadata()) {
                contents.insert(digest, about.len());
            }
        }
        Ok(contents)
    }
}

/// An entry as it is on disk.
#[derive(serde::Serialize, serde::Deserialize)]
struct Stored {
    format: u32,
    artifact: Artifact,
}

impl Store for DirectoryStore {
    fn add(&self, incoming: &Incoming<'_>) -> Result<Added, ArtifactError> {
        for directory in ["sha256", "index", "tmp"] {
            self.make(&self.root.join(directory))?;
        }
        let _in_use = self.hold()?;
        let packed = self.keep_content(incoming)?;
        let artifact = Artifact {
            name: incoming.name.clone(),
            version: incoming.version.clone(),
            digest: packed.digest,
            size: packed.size,
            form: packed.form,
            plain: packed.plain,
            added: incoming.at,
            by: incoming.by.clone(),
        };
        self.keep_entry(&artifact)
    }

    fn list(&self) -> Result<Vec<Artifact>, ArtifactError> {
        let mut all = Vec::new();
        for directory in listed(&self.root.join("index"))? {
            let mut versions = Vec::new();
            for path in listed(&directory)? {
                versions.push(read_entry(&path)?);
            }
            versions.sort_by(|a, b| b.added.cmp(&a.added).then_with(|| b.version.cmp(&a.version)));
            all.extend(versions);
        }
        Ok(all)
    }

    fn fetch(&self, name: &ArtifactName, version: &Version, digest: &Digest) -> Result<PathBuf, ArtifactError> {
        let path = self.content(digest);
        let gone = || ArtifactError::Gone { name: name.clone(), version: version.clone(), digest: digest.clone() };
        if path.is_file() { Ok(path) } else { Err(gone()) }
    }

    fn verify(&self) -> Result<Vec<Damage>, ArtifactError> {
        let mut names: BTreeMap<Digest, Vec<String>> = self.contents()?.into_keys().map(|digest| (digest, Vec::new())).collect();
        for artifact in self.list()? {
            names.entry(artifact.digest).or_default().push(format!("{} {}", artifact.name, artifact.version));
        }
        let found = names.into_iter().map(|(digest, of)| (hash(&self.content(&digest)).ok(), digest, of));
        let damaged = found.filter(|(found, digest, _)| found.as_ref() != Some(digest));
        Ok(damaged.map(|(found, digest, of)| Damage { digest, found, of }).collect())
    }

    fn remove(&self, artifacts: &[Artifact]) -> Result<(Vec<Dropped>, u64), ArtifactError> {
        if !self.root.exists() {
            return Ok((Vec::new(), 0));
        }
        let _alone = self.alone()?;
        for artifact in artifacts {
            let path = self.entry(&artifact.name, &artifact.version);
            fs::remove_file(&path).map_err(|error| ArtifactError::io(&path, "removed", error))?;
            // Other versions keep it.
            let _ = fs::remove_dir(self.root.join("index").join(artifact.name.as_str()));
        }
        let named: BTreeSet<Digest> = self.list()?.into_iter().map(|artifact| artifact.digest).collect();
        let mut freed = BTreeMap::new();
        for (digest, size) in self.contents()?.into_iter().filter(|(digest, _)| !named.contains(digest)) {
            let path = self.content(&digest);
            fs::remove_file(&path).map_err(|error| ArtifactError::io(&path, "removed", error))?;
            freed.insert(digest, size);
        }
        for path in listed(&self.root.join("tmp"))? {
            // Nobody works with the store: what is here was left by a process that was killed.
            fs::remove_file(&path).map_err(|error| ArtifactError::io(&path, "removed", error))?;
        }
        let dropped = artifacts
            .iter()
            .map(|artifact| Dropped { artifact: artifact.clone(), freed: freed.remove(&artifact.digest).unwrap_or(0) })
            .collect();
        Ok((dropped, freed.into_values().sum()))
    }
}

fn read_entry(path: &Path) -> Result<Artifact, ArtifactError> {
    let text = fs::read_to_string(path).map_err(|error| ArtifactError::io(path, "read", error))?;
    let bad = |why: String| ArtifactError::Index { path: path.to_owned(), why };
    let value: serde_json::Value = serde_json::from_str(&text).map_err(|error| bad(error.to_string()))?;
    match value["format"].as_u64() {
        Some(1) => serde_json::from_value::<Stored>(value).map(|stored| stored.artifact).map_err(|error| bad(error.to_string())),
        format => Err(bad(format!("it has the format {format:?}, and this Windlass reads 1"))),
    }
}

/// The paths in a directory, sorted; none when it is not there.
pub(super) fn listed(directory: &Path) -> Result<Vec<PathBuf>, ArtifactError> {
    let unread = |error| ArtifactError::io(directory, "read", error);
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(unread)?,
    };
    let mut paths = Vec::new();
    for entry in entries {
        paths.push(entry.map_err(unread)?.path());
    }
    paths.sort();
    Ok(paths)
}

fn hash(path: &Path) -> io::Result<Digest> {
    let mut hashing = Hashing::new(io::sink());
    io::copy(&mut File::open(path)?, &mut hashing)?;
    Ok(hashing.end().0)
}

/// What was renamed or linked is there after a power cut, too.
pub(super) fn sync_directory(directory: &Path) -> Result<(), ArtifactError> {
    File::open(directory).and_then(|file| file.sync_all()).map_err(|error| ArtifactError::io(directory, "written", error))
}

/// A file that goes away with the value.
struct Temporary {
    path: PathBuf,
}

impl Temporary {
    fn new(path: PathBuf) -> Self {
        Self { path }
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // It was renamed, mostly.
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
#[path = "directory_tests.rs"]
mod tests;
