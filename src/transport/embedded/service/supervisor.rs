//! All services of a host: finds and loads units, starts the enabled ones, and stops all at the end.

use super::state::{Active, Context, Loaded, Scope, Shared, Source, UnitKey};
use super::unit::{Handle, Job};
use super::unit_file::UnitFile;
use super::words::Specifiers;
use super::{enable, journal, systemctl};
use crate::transport::embedded::init::HostSpec;
use crate::transport::embedded::reaper::Reaper;
use crate::transport::embedded::wire::StandInOutput;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::task::JoinSet;

/// The service manager of one host.
#[derive(Debug)]
pub(crate) struct Supervisor {
    pub(super) context: Arc<Context>,
    units: Mutex<BTreeMap<UnitKey, Handle>>,
}

impl Supervisor {
    pub(crate) fn new(spec: Arc<HostSpec>, reaper: Reaper) -> Arc<Self> {
        Arc::new(Self { context: Arc::new(Context { spec, reaper }), units: Mutex::default() })
    }

    /// Starts what is enabled, as a machine does when it comes up.
    pub(crate) async fn start_enabled(&self) {
        let mut starting = JoinSet::new();
        for key in enable::enabled(&self.context) {
            if let Some(unit) = self.unit(&key) {
                starting.spawn(async move { unit.tell(Job::Start).await });
            }
        }
        while starting.join_next().await.is_some() {}
    }

    /// Stops all services, all at the same time.
    pub(crate) async fn stop_all(&self) {
        let units: Vec<Handle> = self.known().into_iter().map(|(_, unit)| unit).collect();
        let mut stopping: JoinSet<_> = units.into_iter().map(|unit| async move { unit.tell(Job::Stop).await }).collect();
        while stopping.join_next().await.is_some() {}
    }

    /// Does what the program named by the first word would.
    pub(crate) async fn stand_in(&self, argv: &[String]) -> StandInOutput {
        let (program, args) = argv.split_first().map_or(("", argv), |(first, rest)| (first.as_str(), rest));
        match Path::new(program).file_name().and_then(std::ffi::OsStr::to_str) {
            Some("journalctl") => journal::journalctl(&self.context, args),
            _ => systemctl::systemctl(self, args).await,
        }
    }

    /// The unit, if there is such a file, or it still runs though its file is gone. A unit at rest is read anew, as
    /// systemd forgets it; any other stays what it was until `reload_all`.
    pub(super) fn unit(&self, key: &UnitKey) -> Option<Handle> {
        let source = self.context.source(key);
        let mut units = self.units.lock().unwrap_or_else(PoisonError::into_inner);
        match (units.get(key), source) {
            (Some(unit), source) => {
                let mut state = unit.state.lock();
                match source {
                    None if state.active == Active::Inactive => return None,
                    Some(source) if state.active == Active::Inactive && source != state.loaded.source => {
                        state.loaded = self.load(key, source);
                    }
                    _ => {}
                }
                drop(state);
                Some(unit.clone())
            }
            (None, None) => None,
            (None, Some(source)) => {
                let unit = Handle::spawn(Arc::clone(&self.context), key.clone(), Shared::new(self.load(key, source)));
                units.insert(key.clone(), unit.clone());
                Some(unit)
            }
        }
    }

    /// Units that were asked for at some time.
    pub(super) fn known(&self) -> Vec<(UnitKey, Handle)> {
        let units = self.units.lock().unwrap_or_else(PoisonError::into_inner);
        units.iter().map(|(key, unit)| (key.clone(), unit.clone())).collect()
    }

    /// Reads all unit files of a scope again.
    pub(super) fn reload_all(&self, scope: Scope) {
        for (key, unit) in self.known().into_iter().filter(|(key, _)| key.scope == scope) {
            if let Some(source) = self.context.source(&key) {
                unit.state.lock().loaded = self.load(&key, source);
            }
        }
    }

    fn load(&self, key: &UnitKey, source: Source) -> Loaded {
        let home = self.context.spec.home.to_string_lossy();
        let specifiers = Specifiers { unit: &key.name, home: &home, host: &self.context.spec.name };
        let file = UnitFile::parse(&source.text, &specifiers).map(Arc::new);
        Loaded { source, file }
    }
}
