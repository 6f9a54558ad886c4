//! The controller's part of the world: files of the project, the time, waiting.

use super::{NoAnswer, People};
use crate::artifact::{ArtifactError, ArtifactName, Kept, KeptSources, Store, Version};
use crate::effect::{Content, Effect, EffectError, Question, Reply, SourceInfo, SourceName, TreeInfo};
use crate::id::Digest;
use crate::stop::Stop;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fs::{File, Metadata};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The operator's machine, as far as a script may see it.
pub struct Controller {
    root: PathBuf,
    store: Arc<dyn Store>,
    kept: KeptSources,
    digests: Mutex<BTreeMap<(u64, u64, i64, u64), Digest>>,
    people: People,
}

impl Controller {
    /// Scripts see the files of this project, as they are `kept` for the run, and the artifacts of this store.
    #[must_use]
    pub fn new(root: &Path, store: Arc<dyn Store>, kept: KeptSources) -> Self {
        Self { root: root.to_owned(), store, kept, digests: Mutex::new(BTreeMap::new()), people: People::default() }
    }

    /// With these people to ask and to tell.
    #[must_use]
    pub fn with_people(self, people: People) -> Self {
        Self { people, ..self }
    }

    /// Answers what is asked of the project, and waits for nothing.
    ///
    /// # Errors
    /// When it cannot be read, or is no look at the project.
    pub fn answer(&self, effect: &Effect) -> Result<Reply, EffectError> {
        match effect {
            Effect::Source { source } => self.source(source),
            Effect::Template { name } => self.template(name),
            other => Err(EffectError::Unsupported(format!("this is no look at the project: {other:?}"))),
        }
    }

    pub(super) fn perform(&self, effect: &Effect, stop: &Stop) -> Result<Reply, EffectError> {
        match effect {
            Effect::Now => Ok(Reply::Time(now())),
            Effect::Sleep { millis } => sleep(Duration::from_millis(*millis), stop),
            Effect::Entropy { bytes } => Ok(Reply::Content(entropy(*bytes))),
            Effect::Ask { question } => self.ask(question),
            Effect::Notify { text, to } => self.notify(text, to.as_deref()),
            Effect::Source { source } => self.source(source),
            Effect::Template { name } => self.template(name),
            other => Err(EffectError::Unsupported(format!("the controller does not do this: {other:?}"))),
        }
    }

    fn ask(&self, question: &Question) -> Result<Reply, EffectError> {
        let answer = match &self.people.answers {
            Some(answers) => answers.answer(question),
            None => question.default.clone().ok_or_else(|| NoAnswer::Nobody("nobody can be asked here".to_owned())),
        };
        match answer {
            Ok(answer) => Ok(Reply::Content(Content::new(answer))),
            Err(NoAnswer::Stopped) => Err(EffectError::Interrupted),
            Err(NoAnswer::Nobody(why)) => Err(EffectError::failed(format!("`{}` has no answer: {why}", question.text))),
        }
    }

    fn notify(&self, text: &str, to: Option<&str>) -> Result<Reply, EffectError> {
        match (&self.people.outbox, to) {
            (None, None | Some("log")) => Ok(Reply::done(false)),
            (None, Some(to)) => Err(EffectError::failed(format!("there is no channel `{to}`"))),
            (Some(outbox), to) => outbox.post(text, to).map(|()| Reply::done(false)).map_err(EffectError::failed),
        }
    }

    fn source(&self, source: &SourceName) -> Result<Reply, EffectError> {
        match source {
            SourceName::Project(path) => match self.kept(path)? {
                Kept::File { path, digest, size, mode } => {
                    Ok(Reply::Source(SourceInfo { path: path.display().to_string(), digest, size, mode }))
                }
                Kept::Tree { archive, digest, archive_size, listing, size } => {
                    let (archive, listing) = (archive.display().to_string(), Content::new(listing));
                    Ok(Reply::Tree(TreeInfo { archive, digest, archive_size, listing, size }))
                }
            },
            SourceName::Artifact { artifact, version, digest, .. } => self.artifact(artifact, version, digest).map(Reply::Source),
        }
    }

    /// A path of the project as this run read it first.
    fn kept(&self, path: &str) -> Result<Kept, EffectError> {
        let full = self.inside(path)?;
        self.kept.get(path, &full).map_err(|error| {
            let help = error.help().map(|help| format!("; {help}")).unwrap_or_default();
            EffectError::failed(match error {
                ArtifactError::Io { path: place, what, source } if place == full => format!("{path} cannot be {what}: {source}"),
                ArtifactError::Special { path: place, .. } if place == full => format!("{path} is not a file"),
                _ if full.is_dir() => format!("the directory {path} cannot be sent: {error}{help}"),
                _ => format!("{error}{help}"),
            })
        })
    }

    /// The run has put another content there itself.
    pub(super) fn changed(&self, path: &str) -> Result<(), EffectError> {
        self.kept.forget(path).map_err(|error| EffectError::failed(error.to_string()))
    }

    /// The content of an artifact, as long as it is what its name says.
    fn artifact(&self, name: &str, version: &str, digest: &Digest) -> Result<SourceInfo, EffectError> {
        let bad = |error: crate::id::BadName| EffectError::failed(error.to_string());
        let (known, build) = (ArtifactName::parse(name).map_err(bad)?, Version::parse(version).map_err(bad)?);
        let full = self.store.fetch(&known, &build, digest).map_err(|error| {
            let help = error.help().map(|help| format!("; {help}")).unwrap_or_default();
            EffectError::failed(format!("{error}{help}"))
        })?;
        let found = self.file(&full, &format!("{name} {version}"))?;
        if found.digest != *digest {
            return Err(EffectError::failed(format!(
                "{name} {version} is damaged in the store: its content has sha256 {}, expected {digest}; add the same build again: windlass artifact add {name} {version} PATH",
                found.digest
            )));
        }
        Ok(SourceInfo { mode: 0o644, ..found })
    }

    fn file(&self, full: &Path, path: &str) -> Result<SourceInfo, EffectError> {
        let cannot = |error: &dyn std::fmt::Display| EffectError::failed(format!("{path} cannot be read: {error}"));
        let mut file = File::open(full).map_err(|error| cannot(&error))?;
        let metadata = file.metadata().map_err(|error| cannot(&error))?;
        if !metadata.is_file() {
            return Err(EffectError::failed(format!("{path} is not a file")));
        }
        let key = (metadata.dev(), metadata.ino(), metadata.mtime_nsec() ^ (metadata.mtime() << 30), metadata.len());
        // Held while hashing: twenty tasks that send one file hash it once.
        let mut digests = self.digests.lock().unwrap_or_else(PoisonError::into_inner);
        let digest = match digests.get(&key) {
            Some(digest) => digest.clone(),
            None => {
                let digest = hash(&mut file).map_err(|error| cannot(&error))?;
                digests.insert(key, digest.clone());
                digest
            }
        };
        Ok(info(full, &metadata, digest))
    }

    fn template(&self, name: &str) -> Result<Reply, EffectError> {
        let path = format!("templates/{name}");
        let Kept::File { path: place, digest, .. } = self.kept(&path)? else {
            return Err(EffectError::failed(format!("{path} is a directory; a template is a file")));
        };
        let bytes = std::fs::read(&place).map_err(|error| EffectError::failed(format!("{path} cannot be read: {error}")))?;
        if Digest::of(&bytes) != digest {
            let message = format!("{path} as the run read it first is damaged: {} has another sha256", place.display());
            return Err(EffectError::failed(format!("{message}; remove that file, and put the same template back")));
        }
        if std::str::from_utf8(&bytes).is_err() {
            return Err(EffectError::failed(format!("{path} is not text (UTF-8)")));
        }
        Ok(Reply::Content(Content::new(bytes)))
    }

    /// The path of the project that a file of a host is kept at.
    pub(super) fn fetched(&self, to: &str) -> Result<PathBuf, EffectError> {
        let target = self.inside(to)?;
        if Path::new(to).components().next().is_some_and(|first| first.as_os_str() == ".windlass") {
            return Err(EffectError::failed(format!("`{to}` is where Windlass keeps its own files; nothing is fetched into it")));
        }
        Ok(target)
    }

    /// Refuses a path of which a part that is there is a link out of the project.
    pub(super) fn stays_inside(&self, target: &Path, to: &str) -> Result<(), EffectError> {
        let real = target.ancestors().skip(1).find_map(|above| above.canonicalize().ok()).unwrap_or_default();
        if self.root.canonicalize().is_ok_and(|root| real.starts_with(root)) {
            return Ok(());
        }
        Err(EffectError::failed(format!("{to} leads out of the project by a symbolic link, to {}", real.display())))
    }

    /// The digest of a file that is there.
    pub(super) fn digest_of(&self, path: &Path) -> Option<Digest> {
        File::open(path).and_then(|mut file| hash(&mut file)).ok()
    }

    /// A path of the project; nothing outside of it.
    pub(super) fn inside(&self, path: &str) -> Result<PathBuf, EffectError> {
        let inner = Path::new(path).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if inner && !path.is_empty() {
            return Ok(self.root.join(path));
        }
        Err(EffectError::failed(format!("`{path}` is not a path inside the project ({})", self.root.display())))
    }
}

fn info(full: &Path, metadata: &Metadata, digest: Digest) -> SourceInfo {
    SourceInfo { path: full.display().to_string(), digest, size: metadata.len(), mode: metadata.mode() & 0o7777 }
}

pub(super) fn hash(file: &mut File) -> std::io::Result<Digest> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0_u8; 256 << 10];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(Digest::from_hash(&hasher.finalize())),
            n => hasher.update(&buffer[..n]),
        }
    }
}

fn entropy(bytes: u32) -> Content {
    Content::new((0..bytes).map(|_| rand::random::<u8>()).collect::<Vec<_>>())
}

/// Milliseconds since 1970-01-01 UTC.
#[expect(clippy::disallowed_methods, reason = "this is the one clock of the interpreters")]
pub(super) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn sleep(time: Duration, stop: &Stop) -> Result<Reply, EffectError> {
    let end = Instant::now() + time;
    loop {
        if stop.is_stopped() {
            return Err(EffectError::Interrupted);
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(Reply::done(false));
        }
        std::thread::park_timeout(left.min(Duration::from_millis(50)));
    }
}
