//! The file `.windlass/locks/ENV`: a run on this machine keeps it locked while it lives, which the kernel ends with it, and has
//! written its epoch into it. So it is known at once when a holder of the lock is gone.

use crate::id::Epoch;
use crate::private;
use std::fs::{File, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// A lock file as it was found, with the epoch that was written into it last.
pub(super) enum Found {
    /// Nobody had it; it is locked now.
    Free(LockFile, Option<Epoch>),
    /// A process of this machine keeps it locked.
    Taken(Option<Epoch>),
}

/// A locked file.
pub(super) struct LockFile(File);

/// Locks the file, if nobody else does.
pub(super) fn take(path: &Path) -> io::Result<Found> {
    if let Some(directory) = path.parent() {
        private::directory(directory)?;
    }
    loop {
        let mut file = private::options().create(true).truncate(false).read(true).write(true).open(path)?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => return Ok(Found::Taken(epoch(&mut file))),
            Err(TryLockError::Error(error)) => return Err(error),
            // Another one may have been put in its place while it was opened.
            Ok(()) if std::fs::metadata(path).is_ok_and(|there| file.metadata().is_ok_and(|ours| there.ino() == ours.ino())) => {
                let epoch = epoch(&mut file);
                return Ok(Found::Free(LockFile(file), epoch));
            }
            Ok(()) => {}
        }
    }
}

/// The epoch of the holder on this machine whose process is gone, if that can be told.
pub(super) fn dead(path: &Path) -> Option<Epoch> {
    let mut file = File::open(path).ok()?;
    file.try_lock_shared().ok()?;
    epoch(&mut file)
}

/// Puts a locked file in the place of one that a process keeps locked whose time is over.
pub(super) fn replace(path: &Path) -> io::Result<LockFile> {
    let new = path.with_file_name(format!(".new-{}", std::process::id()));
    let file = private::options().create(true).truncate(true).write(true).read(true).open(&new)?;
    file.lock()?;
    std::fs::rename(&new, path)?;
    Ok(LockFile(file))
}

impl LockFile {
    /// Writes down who has it.
    pub(super) fn write(&mut self, epoch: Epoch) -> io::Result<()> {
        self.0.set_len(0)?;
        self.0.rewind()?;
        self.0.write_all(format!("{epoch}\n").as_bytes())
    }
}

fn epoch(file: &mut File) -> Option<Epoch> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    text.trim().parse().ok().map(Epoch)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_kept_locked_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("locks/box");
        let Found::Free(mut stopped, None) = take(&path).unwrap() else { panic!("it is new") };
        stopped.write(Epoch(3)).unwrap();
        assert!(matches!(take(&path).unwrap(), Found::Taken(Some(Epoch(3)))));
        assert_eq!(dead(&path), None);
        let mut next = replace(&path).unwrap();
        next.write(Epoch(4)).unwrap();
        assert!(matches!(take(&path).unwrap(), Found::Taken(Some(Epoch(4)))));
        drop(next);
        // The stopped one keeps what is no lock file any more.
        assert_eq!(dead(&path), Some(Epoch(4)));
        assert!(matches!(take(&path).unwrap(), Found::Free(_, Some(Epoch(4)))));
        drop(stopped);
    }
}
