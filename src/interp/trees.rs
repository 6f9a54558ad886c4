//! Directories of the project, each packed once in a process: every host gets the same, whatever is edited meanwhile.

use crate::artifact::pack_plain;
use crate::effect::{Content, EffectError, TreeInfo};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

type Cell = Arc<Mutex<Option<TreeInfo>>>;

/// The directories that were packed so far; their archives go away with the value.
pub(super) struct Trees {
    directory: PathBuf,
    packed: Mutex<BTreeMap<PathBuf, Cell>>,
}

impl Trees {
    /// Archives are kept below the project.
    pub(super) fn new(root: &Path) -> Self {
        Self { directory: root.join(".windlass/tmp"), packed: Mutex::default() }
    }

    /// The directory as it was when it was first asked for.
    pub(super) fn get(&self, full: &Path, shown: &str) -> Result<TreeInfo, EffectError> {
        let cell = self.packed.lock().unwrap_or_else(PoisonError::into_inner).entry(full.to_owned()).or_default().clone();
        // Held while packing: twenty tasks that send one directory pack it once.
        let mut tree = cell.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tree) = tree.as_ref() {
            return Ok(tree.clone());
        }
        let packed = self.pack(full, shown)?;
        Ok(tree.insert(packed).clone())
    }

    fn pack(&self, full: &Path, shown: &str) -> Result<TreeInfo, EffectError> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let path = self.directory.join(format!("{}-{}.tar", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)));
        let unwritten = |error: std::io::Error| EffectError::failed(format!("{} cannot be written: {error}", path.display()));
        fs::create_dir_all(&self.directory).map_err(unwritten)?;
        let mut file = File::create_new(&path).map_err(unwritten)?;
        let packed = pack_plain(full, &mut file).map_err(|error| {
            // Half an archive is of no use.
            let _ = fs::remove_file(&path);
            let help = error.help().map(|help| format!("; {help}")).unwrap_or_default();
            EffectError::failed(format!("the directory {shown} cannot be sent: {error}{help}"))
        })?;
        let (archive, listing) = (path.display().to_string(), Content::new(packed.listing));
        Ok(TreeInfo { archive, digest: packed.digest, archive_size: packed.size, listing, size: packed.content })
    }
}

impl Drop for Trees {
    fn drop(&mut self) {
        let packed = std::mem::take(self.packed.get_mut().unwrap_or_else(PoisonError::into_inner));
        for cell in packed.into_values() {
            if let Some(tree) = cell.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
                // Whoever finds it later finds a file in a directory for such.
                let _ = fs::remove_file(&tree.archive);
            }
        }
    }
}
