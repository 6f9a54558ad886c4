//! Which ledgers have runs that use a store: what it may forget is decided by all of them. `ledgers/NAME` holds where one is.

use super::{ArtifactError, DirectoryStore};
use crate::private;
use std::io::Write as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

const LEDGERS: &str = "ledgers";

impl DirectoryStore {
    /// Leaves word that a ledger of this name, which lies there, has runs that use the store.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn register(&self, name: &str, ledger: &Path) -> Result<(), ArtifactError> {
        let (directory, place) = (self.root().join(LEDGERS), self.root().join(LEDGERS).join(name));
        if std::fs::read(&place).is_ok_and(|known| known == ledger.as_os_str().as_bytes()) {
            return Ok(());
        }
        private::directory(&directory).map_err(|error| ArtifactError::io(&directory, "made", error))?;
        // Whole or not at all: who reads half a path would take the ledger for gone.
        let new = directory.join(format!(".{name}-{}", std::process::id()));
        let unwritten = |error| ArtifactError::io(&new, "written", error);
        let mut file = private::options().write(true).create(true).truncate(true).open(&new).map_err(unwritten)?;
        file.write_all(ledger.as_os_str().as_bytes()).and_then(|()| file.sync_all()).map_err(unwritten)?;
        std::fs::rename(&new, &place).map_err(|error| ArtifactError::io(&place, "written", error))
    }

    /// The files that say so, and the ledgers that they name.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn registered(&self) -> Result<Vec<(PathBuf, PathBuf)>, ArtifactError> {
        let directory = self.root().join(LEDGERS);
        let unread = |error| ArtifactError::io(&directory, "read", error);
        let entries = match std::fs::read_dir(&directory) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(unread)?,
        };
        let mut found = Vec::new();
        for entry in entries {
            let place = entry.map_err(unread)?.path();
            if place.file_name().is_some_and(|name| name.as_bytes().starts_with(b".")) {
                continue;
            }
            let text = std::fs::read(&place).map_err(|error| ArtifactError::io(&place, "read", error))?;
            found.push((place, PathBuf::from(std::ffi::OsString::from_vec(text))));
        }
        found.sort();
        Ok(found)
    }
}
