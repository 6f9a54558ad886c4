//! Passphrases of encrypted keys: each is asked for once in the life of the process, and not kept once its key is open.

use russh::keys::ssh_key::{LineEnding, PrivateKey};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// How often one may be mistyped.
const MOST: u32 = 3;

/// What asks a person for one, without showing it: a question, to which there may be no answer.
pub type Asker = dyn Fn(&str) -> Option<String> + Send + Sync;

/// The keys that were opened by a passphrase, for all hosts. Clones share them.
#[derive(Clone, Default)]
pub struct Passphrases {
    ask: Option<Arc<Asker>>,
    keys: Arc<Mutex<BTreeMap<PathBuf, Result<PrivateKey, String>>>>,
}

impl Passphrases {
    /// Asked of a person in this way; the default has nobody to ask.
    #[must_use]
    pub fn asked_by(ask: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        Self { ask: Some(Arc::new(ask)), keys: Arc::default() }
    }

    /// The key in this file, open, as text; whoever comes while a person is asked waits for the same answer.
    ///
    /// # Errors
    /// With the reason, as the end of a sentence about the file.
    pub(crate) fn open(&self, file: &Path) -> Result<impl AsRef<str> + use<>, String> {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let key = keys.entry(file.to_owned()).or_insert_with(|| self.ask_for(file)).as_ref().map_err(Clone::clone)?;
        let text = key.to_openssh(LineEnding::LF).map_err(|error| format!("cannot be used: {error}"))?;
        Ok(Opened(text))
    }

    fn ask_for(&self, file: &Path) -> Result<PrivateKey, String> {
        let locked = std::fs::read(file)
            .map_err(|error| error.to_string())
            .and_then(|text| PrivateKey::from_openssh(text).map_err(|error| error.to_string()));
        let locked = locked.map_err(|error| format!("cannot be read: {error}"))?;
        let Some(ask) = &self.ask else {
            return Err("is encrypted, and there is no terminal on which to ask for its passphrase".to_owned());
        };
        for attempt in 0..MOST {
            let again = if attempt == 0 { "" } else { "that is not it; " };
            let Some(answer) = ask(&format!("{again}passphrase of {}: ", file.display())) else {
                return Err("is encrypted, and no passphrase was given".to_owned());
            };
            if let Ok(key) = locked.decrypt(answer) {
                return Ok(key);
            }
        }
        Err(format!("is encrypted, and none of {MOST} passphrases was its own"))
    }
}

impl std::fmt::Debug for Passphrases {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("passphrases")
    }
}

/// A key as text that is wiped when it is no longer needed.
struct Opened<T>(T);

impl<T: std::ops::Deref<Target = String>> AsRef<str> for Opened<T> {
    fn as_ref(&self) -> &str {
        self.0.as_str()
    }
}
