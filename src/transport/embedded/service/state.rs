//! What a service is at this moment, in systemd's words, and which unit it is. Data only.

use super::unit_file::UnitFile;
use crate::transport::embedded::init::HostSpec;
use crate::transport::embedded::reaper::Reaper;
use crate::transport::embedded::wire::Ending;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Whose services: the machine's, or with `--user` those of the one who logs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Scope {
    System,
    User,
}

/// A unit: `web.service` of a scope.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct UnitKey {
    pub(super) scope: Scope,
    pub(super) name: String,
}

impl UnitKey {
    /// Takes a name as users give it.
    pub(super) fn new(scope: Scope, name: &str) -> Self {
        let known = [".service", ".target", ".socket", ".timer", ".path", ".mount", ".slice", ".scope"];
        let full = known.iter().any(|suffix| name.ends_with(suffix));
        Self { scope, name: if full { name.to_owned() } else { format!("{name}.service") } }
    }

    /// The file names that can define it: its own, and for `web@blue` that of the template `web@`.
    fn files(&self) -> Vec<String> {
        let template = self.name.split_once('@').map(|(stem, _)| format!("{stem}@.service"));
        [self.name.clone()].into_iter().chain(template).collect()
    }
}

/// What all services of a host share.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) spec: Arc<HostSpec>,
    pub(super) reaper: Reaper,
}

/// A unit file and its drop-ins, as read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) path: PathBuf,
    pub(super) text: String,
}

impl Context {
    /// Where the unit files of a scope are; links of enabled ones are made in the first.
    pub(super) fn unit_dirs(&self, scope: Scope) -> Vec<PathBuf> {
        match scope {
            Scope::System => self.spec.unit_dirs.clone(),
            Scope::User => vec![self.spec.home.join(".config/systemd/user")],
        }
    }

    /// Reads a unit from the disk, or none when it is not there.
    pub(super) fn source(&self, key: &UnitKey) -> Option<Source> {
        let dirs = self.unit_dirs(key.scope);
        let files = key.files();
        let mut candidates = files.iter().flat_map(|file| dirs.iter().map(move |dir| dir.join(file)));
        let (path, mut text) = candidates.find_map(|path| Some((path.clone(), fs::read_to_string(path).ok()?)))?;
        for drop_in in files.iter().flat_map(|file| dirs.iter().flat_map(move |dir| drop_ins(&dir.join(format!("{file}.d"))))) {
            text.push('\n');
            text.push_str(&fs::read_to_string(drop_in).unwrap_or_default());
        }
        Some(Source { path, text })
    }

    /// Where the output of a unit is kept.
    pub(super) fn log(&self, key: &UnitKey) -> PathBuf {
        let prefix = if key.scope == Scope::User { "user-" } else { "" };
        self.spec.log.join(format!("{prefix}{}.log", key.name.replace('/', "-")))
    }
}

fn drop_ins(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> =
        entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == "conf")).collect();
    files.sort();
    files
}

/// The state in systemd's words, which is `activating` and `deactivating` on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Active {
    Inactive,
    Activating,
    /// `active`.
    Up,
    Deactivating,
    Failed,
}

impl Active {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Inactive => "inactive",
            Self::Activating => "activating",
            Self::Up => "active",
            Self::Deactivating => "deactivating",
            Self::Failed => "failed",
        }
    }

    /// Whether there is nothing to stop.
    pub(super) fn rests(self) -> bool {
        matches!(self, Self::Inactive | Self::Failed)
    }
}

/// A unit that was read.
#[derive(Debug, Clone)]
pub(super) struct Loaded {
    pub(super) source: Source,
    /// What it says, or why it can't be used.
    pub(super) file: Result<Arc<UnitFile>, String>,
}

/// All there is to know about a service now.
#[derive(Debug, Clone)]
pub(super) struct State {
    pub(super) active: Active,
    pub(super) sub: &'static str,
    pub(super) result: &'static str,
    pub(super) main_pid: i32,
    pub(super) restarts: u32,
    pub(super) last_end: Option<Ending>,
    /// How often it was started, by whoever: each start has a name of its own.
    pub(super) starts: u64,
    /// When it became active, in microseconds of the monotonic clock.
    pub(super) active_since: u64,
    pub(super) loaded: Loaded,
}

/// The state of a unit, written by its task and read by whoever asks.
#[derive(Debug, Clone)]
pub(super) struct Shared(Arc<Mutex<State>>);

impl Shared {
    pub(super) fn new(loaded: Loaded) -> Self {
        Self(Arc::new(Mutex::new(State {
            active: Active::Inactive,
            sub: "dead",
            result: "success",
            main_pid: 0,
            restarts: 0,
            last_end: None,
            starts: 0,
            active_since: 0,
            loaded,
        })))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn enter(&self, active: Active, sub: &'static str) {
        let mut state = self.lock();
        if active == Active::Up && state.active != Active::Up {
            let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
            state.active_since = now.tv_sec.unsigned_abs() * 1_000_000 + now.tv_nsec.unsigned_abs() / 1000;
        }
        (state.active, state.sub) = (active, sub);
    }
}
