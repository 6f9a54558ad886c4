//! Fetching a file of a host: in pieces, so that a large one is never whole in memory, into a temporary file of the project.

use super::Controller;
use super::apply::explain;
use super::controller::hash;
use crate::effect::{EffectError, Login, Reply};
use crate::id::{Digest, RemotePath};
use crate::transport::{Call, Failure, Pool, remote};
use sha2::{Digest as _, Sha256};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// MiB asked for at a time.
const PIECE: u64 = 4;

/// Keeps a file of the host as `to`, a path of the project.
pub(super) fn fetch(
    pool: &Pool,
    controller: &Controller,
    at: &Login,
    (path, limit): (&RemotePath, u64),
    to: &str,
) -> Result<Reply, EffectError> {
    let target = controller.fetched(to)?;
    let (size, digest) = measure(pool, at, path)?;
    within(path, size, limit)?;
    let cannot = |error: std::io::Error| EffectError::failed(format!("{to} cannot be written: {error}"));
    if File::open(&target).and_then(|mut file| hash(&mut file)).is_ok_and(|found| found == digest) {
        controller.changed(to)?;
        return Ok(Reply::Fetched { digest, size, changed: false });
    }
    let directory = target.parent().unwrap_or(&target);
    fs::create_dir_all(directory).map_err(cannot)?;
    let real = directory.canonicalize().map_err(cannot)?;
    controller.stays_inside(&target, to)?;
    if target.is_dir() {
        return Err(EffectError::failed(format!("{to} is a directory; name the file in it")));
    }
    let part = Part::new(&real, cannot)?;
    let found = receive(pool, at, path, size, &part.path).map_err(|error| match error {
        Piece::Host(error) => error,
        Piece::Here(error) => cannot(error),
    })?;
    if found != digest {
        let message = format!("{path} changed while it was fetched: its sha256 was {digest}, what arrived has {found}");
        return Err(EffectError::failed(message));
    }
    part.keep_as(&target).map_err(cannot)?;
    controller.changed(to)?;
    Ok(Reply::Fetched { digest, size, changed: true })
}

/// Refuses what is larger than it may be, before any of it is asked for.
pub(super) fn within(path: &RemotePath, size: u64, limit: u64) -> Result<(), EffectError> {
    if size <= limit {
        return Ok(());
    }
    Err(EffectError::failed(format!("{path} has {size} bytes; at most {limit} are fetched: give a `limit` for more")))
}

fn measure(pool: &Pool, at: &Login, path: &RemotePath) -> Result<(u64, Digest), EffectError> {
    let said = call(pool, at, remote::measure(path))?;
    let text = String::from_utf8_lossy(&said).into_owned();
    let (size, digest) = text.trim_end().split_once(' ').unwrap_or_default();
    match (size.parse(), Digest::parse(digest)) {
        (Ok(size), Ok(digest)) => Ok((size, digest)),
        _ => Err(EffectError::failed(format!("{} gave an answer that makes no sense: {text:?}", at.host))),
    }
}

fn call(pool: &Pool, at: &Login, call: Call) -> Result<Vec<u8>, EffectError> {
    let failed = |failure: Failure| explain(&at.host, failure);
    let said = pool.shell(&at.host).and_then(|shell| shell.call(&call.as_user(at.user.clone()), &mut || {})).map_err(failed)?;
    if said.code == 0 { Ok(said.stdout) } else { Err(remote::refusal(&said)) }
}

/// Where a piece was lost.
enum Piece {
    Host(EffectError),
    Here(std::io::Error),
}

/// Writes the whole file, and tells the digest of what was written.
fn receive(pool: &Pool, at: &Login, path: &RemotePath, size: u64, part: &Path) -> Result<Digest, Piece> {
    let mut file = OpenOptions::new().append(true).open(part).map_err(Piece::Here)?;
    let (mut hasher, mut from, mut left) = (Sha256::new(), 0, size);
    while left > 0 {
        let bytes = call(pool, at, remote::piece(path, from, PIECE)).map_err(Piece::Host)?;
        let piece = bytes.get(..bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX))).unwrap_or_default();
        if piece.is_empty() {
            // It became shorter; the digest tells.
            break;
        }
        file.write_all(piece).map_err(Piece::Here)?;
        hasher.update(piece);
        left -= piece.len() as u64;
        from += PIECE;
    }
    file.sync_all().map_err(Piece::Here)?;
    Ok(Digest::from_hash(&hasher.finalize()))
}

/// A file that is not yet what it is to be; it goes away unless it is kept.
struct Part {
    path: PathBuf,
}

impl Part {
    fn new(directory: &Path, cannot: impl Fn(std::io::Error) -> EffectError) -> Result<Self, EffectError> {
        let path = directory.join(format!(".wl-fetch-{:016x}", rand::random::<u64>()));
        // What a host keeps to itself stays with who fetched it.
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(cannot)?;
        Ok(Self { path })
    }

    fn keep_as(&self, target: &Path) -> std::io::Result<()> {
        fs::rename(&self.path, target)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // Nothing is there once it was kept.
        let _ = fs::remove_file(&self.path);
    }
}
