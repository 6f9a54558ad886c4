//! Where kept contents lie, and what each run has put down: files that appear whole, and lines that are only added.

use super::{Is, Kept, Line};
use crate::artifact::ArtifactError;
use crate::artifact::directory::{listed, sync_directory};
use crate::artifact::pack::{Hashing, pack_plain};
use crate::id::{Digest, RunId};
use crate::private;
use std::collections::BTreeSet;
use std::fs::{self, File, Permissions};
use std::io::{self, BufReader, Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes that are read at a time.
const PIECE: usize = 256 << 10;

/// Takes away what no run of these needs; runs that are not `known` are left alone. Gives the bytes that are free then.
pub(in crate::artifact) fn collect(store: &Path, stays: &dyn Fn(&RunId) -> bool, going: Going) -> Result<u64, ArtifactError> {
    let place = Place(store.join("kept"));
    let mut needed = BTreeSet::new();
    for path in listed(&place.runs())? {
        // What no run can be called is no run's.
        let Ok(run) = RunId::parse(&path.file_name().unwrap_or_default().to_string_lossy()) else { continue };
        if stays(&run) {
            needed.extend(place.lines(&run)?.iter().flat_map(|line| line.is.digests().into_iter().cloned()).collect::<Vec<_>>());
        } else if going == Going::Taken {
            fs::remove_file(&path).map_err(|error| ArtifactError::io(&path, "removed", error))?;
        }
    }
    let mut freed = 0;
    for path in listed(&place.contents())? {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if Digest::parse(name).is_ok_and(|digest| needed.contains(&digest)) {
            continue;
        }
        freed += path.metadata().map_or(0, |about| about.len());
        if going == Going::Taken {
            fs::remove_file(&path).map_err(|error| ArtifactError::io(&path, "removed", error))?;
        }
    }
    if going == Going::Taken {
        for path in listed(&place.temporaries())? {
            // Nobody works with the store: what is here was left by a process that was killed.
            fs::remove_file(&path).map_err(|error| ArtifactError::io(&path, "removed", error))?;
        }
    }
    Ok(freed)
}

/// Whether it goes, or would go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::artifact) enum Going {
    Taken,
    Counted,
}

/// The directory of all kept contents.
pub(super) struct Place(pub(super) PathBuf);

impl Place {
    fn contents(&self) -> PathBuf {
        self.0.join("sha256")
    }

    fn runs(&self) -> PathBuf {
        self.0.join("runs")
    }

    fn temporaries(&self) -> PathBuf {
        self.0.join("tmp")
    }

    pub(super) fn content(&self, digest: &Digest) -> PathBuf {
        self.contents().join(digest.as_str())
    }

    /// What a run has put down; the last line of a name counts.
    pub(super) fn lines(&self, run: &RunId) -> Result<Vec<Line>, ArtifactError> {
        let path = self.runs().join(run.as_str());
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            text => text.map_err(|error| ArtifactError::io(&path, "read", error))?,
        };
        let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        Ok(whole.filter_map(|line| serde_json::from_str(line).ok()).collect())
    }

    /// Puts down a line; it is on disk when this returns.
    pub(super) fn append(&self, run: &RunId, line: &Line) -> Result<(), ArtifactError> {
        let directory = self.runs();
        let path = directory.join(run.as_str());
        let unwritten = |error: io::Error| ArtifactError::io(&path, "written", error);
        private::directory(&directory).map_err(unwritten)?;
        let mut file = private::options().create(true).append(true).read(true).open(&path).map_err(unwritten)?;
        let length = file.metadata().map_err(unwritten)?.len();
        // What half a line left does not spoil this one.
        let torn = length > 0 && !ends_with_line(&mut file, length).map_err(unwritten)?;
        let text = serde_json::to_string(line).map_err(|error| unwritten(error.into()))?;
        let text = format!("{}{text}\n", if torn { "\n" } else { "" });
        file.write_all(text.as_bytes()).and_then(|()| file.sync_data()).map_err(unwritten)?;
        if length == 0 { sync_directory(&directory) } else { Ok(()) }
    }

    /// Keeps what is at a path now.
    pub(super) fn keep(&self, full: &Path) -> Result<Is, ArtifactError> {
        for directory in [self.contents(), self.temporaries()] {
            private::directory(&directory).map_err(|error| ArtifactError::io(&directory, "made", error))?;
        }
        let unread = |error| ArtifactError::io(full, "read", error);
        let about = fs::metadata(full).map_err(unread)?;
        if about.is_dir() {
            return self.keep_tree(full);
        }
        if !about.is_file() {
            return Err(ArtifactError::Special { path: full.to_owned(), what: "no file and no directory" });
        }
        let mut file = File::open(full).map_err(unread)?;
        // One that may be here is read before it is written; one that cannot be is written while it is read.
        if self.has_size(about.len())? {
            let mut hashing = Hashing::new(io::sink());
            io::copy(&mut BufReader::with_capacity(PIECE, &mut file), &mut hashing).map_err(unread)?;
            let (sha256, size) = hashing.end();
            if self.content(&sha256).is_file() {
                return Ok(Is::File { sha256, size, mode: about.mode() & 0o7777 });
            }
            file.rewind().map_err(unread)?;
        }
        let mut incoming = Incoming::new(self)?;
        let mut hashing = Hashing::new(&mut incoming.file);
        io::copy(&mut BufReader::with_capacity(PIECE, &mut file), &mut hashing)
            .map_err(|error| ArtifactError::io(full, "kept", error))?;
        let (sha256, size) = hashing.end();
        incoming.become_content(self, &sha256)?;
        Ok(Is::File { sha256, size, mode: about.mode() & 0o7777 })
    }

    fn keep_tree(&self, full: &Path) -> Result<Is, ArtifactError> {
        let mut incoming = Incoming::new(self)?;
        let packed = pack_plain(full, &mut incoming.file)?;
        incoming.become_content(self, &packed.digest)?;
        let listing = Digest::of(packed.listing.as_bytes());
        let mut incoming = Incoming::new(self)?;
        incoming.file.write_all(packed.listing.as_bytes()).map_err(|error| ArtifactError::io(full, "kept", error))?;
        incoming.become_content(self, &listing)?;
        Ok(Is::Tree { sha256: packed.digest, archive_size: packed.size, listing, size: packed.content })
    }

    fn has_size(&self, size: u64) -> Result<bool, ArtifactError> {
        let sizes = listed(&self.contents())?;
        Ok(sizes.iter().any(|path| path.metadata().is_ok_and(|about| about.len() == size)))
    }

    /// What is kept under these digests; nothing when a part of it is gone.
    pub(super) fn open(&self, is: &Is) -> Option<Kept> {
        match is {
            Is::File { sha256, size, mode } => {
                let path = self.content(sha256);
                let whole = path.metadata().is_ok_and(|about| about.len() == *size);
                whole.then(|| Kept::File { path, digest: sha256.clone(), size: *size, mode: *mode })
            }
            Is::Tree { sha256, archive_size, listing, size } => {
                let archive = self.content(sha256);
                let whole = archive.metadata().is_ok_and(|about| about.len() == *archive_size);
                let text = fs::read_to_string(self.content(listing)).ok().filter(|text| Digest::of(text.as_bytes()) == *listing);
                let listing = text.filter(|_| whole)?;
                Some(Kept::Tree { archive, digest: sha256.clone(), archive_size: *archive_size, listing, size: *size })
            }
            Is::Anew => None,
        }
    }
}

/// A content that is not whole yet; it goes away unless it becomes one.
struct Incoming {
    path: PathBuf,
    file: File,
}

impl Incoming {
    fn new(place: &Place) -> Result<Self, ArtifactError> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let (process, n) = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = place.temporaries().join(format!("{process}-{n}"));
        let file = private::options().write(true).create(true).truncate(true).open(&path);
        let file = file.map_err(|error| ArtifactError::io(&path, "written", error))?;
        Ok(Self { path, file })
    }

    fn become_content(&self, place: &Place, digest: &Digest) -> Result<(), ArtifactError> {
        let unwritten = |error| ArtifactError::io(&self.path, "written", error);
        // A file of the project may be for its owner's eyes only; and nobody writes here.
        self.file.set_permissions(Permissions::from_mode(0o400)).and_then(|()| self.file.sync_all()).map_err(unwritten)?;
        fs::rename(&self.path, place.content(digest)).map_err(unwritten)?;
        sync_directory(&place.contents())
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        // It was renamed, mostly.
        let _ = fs::remove_file(&self.path);
    }
}

fn ends_with_line(file: &mut File, length: u64) -> io::Result<bool> {
    let mut last = [0];
    file.seek(io::SeekFrom::Start(length - 1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}
