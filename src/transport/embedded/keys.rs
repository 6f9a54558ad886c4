//! The keys of a lab: made once, kept in its directory.

use super::error::LabError;
use super::record::write_private;
use russh::keys::ssh_key::LineEnding;
use russh::keys::{Algorithm, PrivateKey};
use std::fmt::Display;
use std::path::Path;

/// Reads the key, or makes it.
pub(crate) fn load_or_make(path: &Path) -> Result<PrivateKey, LabError> {
    if path.exists() {
        let text = std::fs::read_to_string(path).map_err(LabError::file("read", path))?;
        return PrivateKey::from_openssh(text).map_err(bad(path));
    }
    let key = PrivateKey::random(&mut rand::rng(), Algorithm::Ed25519).map_err(bad(path))?;
    write_private(path, &key.to_openssh(LineEnding::LF).map_err(bad(path))?)?;
    Ok(key)
}

/// The public half as in `authorized_keys`, without a comment.
pub(crate) fn public_line(key: &PrivateKey, path: &Path) -> Result<String, LabError> {
    let line = key.public_key().to_openssh().map_err(bad(path))?;
    Ok(line.splitn(3, ' ').take(2).collect::<Vec<_>>().join(" "))
}

fn bad<E: Display>(path: &Path) -> impl Fn(E) -> LabError {
    let path = path.to_owned();
    move |error| LabError::Key { path: path.clone(), why: error.to_string() }
}
