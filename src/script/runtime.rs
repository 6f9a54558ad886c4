//! What bindings find behind a call: the conductor, the task, and the facts of the run.

use super::conductor::{Conductor, Task};
use super::memory::Watch;
use super::source_map::SourceMap;
use super::symbols::Symbols;
use super::values::ScriptHost;
use crate::artifact::Pin;
use crate::effect::Login;
use crate::fleet::Environment;
use crate::ledger::KnownGood;
use crate::op::Registry;
use crate::step::{Command, ErrorKind, Site, StepError};
use rhai::{Dynamic, Engine, EvalAltResult, NativeCallContext, Position};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

/// What a script may know of its run.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The environment; nothing when only the text is checked.
    pub environment: Option<Environment>,
    /// What `--set` gave.
    pub params: Map<String, Value>,
    /// A selector that every other one is cut down to.
    pub limit: Option<String>,
    /// The artifacts that it may ask for.
    pub artifacts: Vec<Pin>,
    /// What was known-good where when it began.
    pub known_good: Vec<KnownGood>,
    /// The run's name.
    pub run: String,
    /// The word for what is done: `run`, `check`, ...
    pub mode: &'static str,
}

/// Behind every call of one program.
pub(super) struct Runtime {
    /// Of the run that it was last run for.
    pub(super) conductor: Mutex<Option<Arc<dyn Conductor>>>,
    pub(super) engine: OnceLock<Weak<Engine>>,
    pub(super) symbols: OnceLock<Symbols>,
    pub(super) sources: SourceMap,
    pub(super) registry: Arc<Registry>,
    pub(super) facts: Facts,
    pub(super) watch: Watch,
    /// What bodies that run once have given.
    pub(super) once: Mutex<BTreeMap<String, Dynamic>>,
}

/// What Rhai carries along for each thread of a script.
#[derive(Clone)]
pub(super) struct Tag {
    pub(super) task: Task,
    pub(super) runtime: Arc<Runtime>,
}

pub(super) type Raised<T> = Result<T, Box<EvalAltResult>>;

/// The task that a call belongs to.
pub(super) fn tag(ctx: &NativeCallContext<'_>) -> Raised<Tag> {
    let found = ctx.tag().and_then(|tag| tag.read_lock::<Tag>().map(|tag| tag.clone()));
    found
        .ok_or_else(|| raise(StepError::new(ErrorKind::Internal, "a primitive was called outside of a run"), ctx.call_position()))
}

impl Tag {
    /// The word in the path of a task that may look at a world, and do nothing else.
    pub(super) const LOOKS: &'static str = "invariant";
    const LOOKS_IN_PATH: &'static str = "/0.invariant/";

    /// Performs a primitive as a step of a task.
    pub(super) fn perform(&self, task: &Task, at: &Login, op: &str, args: Value, site: &Site) -> Result<Value, StepError> {
        let none = || StepError::new(ErrorKind::Internal, format!("there is no primitive `{op}`"));
        let entry = self.runtime.registry.get(op).ok_or_else(none)?;
        let operation = entry.parse(args).map_err(|error| StepError::bad_input(error.message))?;
        let (host, user) = (at.host.clone(), at.user.clone());
        let command = Command { op: op.to_owned(), host, user, args: operation.args(), site: site.clone() };
        self.conductor()?.step(task, command, operation.as_ref())
    }

    pub(super) fn site(&self, ctx: &NativeCallContext<'_>) -> Site {
        self.runtime.sources.site(ctx.call_position())
    }

    pub(super) fn conductor(&self) -> Result<Arc<dyn Conductor>, StepError> {
        let none = || StepError::new(ErrorKind::Internal, "no run stands behind this script");
        if self.task.path.as_str().contains(Self::LOOKS_IN_PATH) {
            return Err(StepError::bad_input("an invariant looks at its world, and at nothing else: no step can be taken in it")
                .with_help("world.runs(HOST, SERVICE), world.versions(..), world.exists(HOST, PATH), world.read(..) look"));
        }
        self.runtime.conductor.lock().unwrap_or_else(PoisonError::into_inner).clone().ok_or_else(none)
    }
}

/// Whether a script has no say in what follows such an error.
pub(super) fn ends_the_run(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::Interrupted
            | ErrorKind::Ledger
            | ErrorKind::Fenced
            | ErrorKind::Divergence
            | ErrorKind::Internal
            | ErrorKind::Refused
            | ErrorKind::Halted
            | ErrorKind::InDoubt
    )
}

/// Raises a step's error in the script. What ends the run cannot be caught there.
pub(super) fn raise(error: StepError, position: Position) -> Box<EvalAltResult> {
    let ends = ends_the_run(error.kind);
    let payload = Dynamic::from(error);
    let raised =
        if ends { EvalAltResult::ErrorTerminated(payload, position) } else { EvalAltResult::ErrorRuntime(payload, position) };
    raised.into()
}

impl Runtime {
    /// A host of the environment, as scripts see it.
    pub(super) fn host(&self, name: &str) -> Result<ScriptHost, StepError> {
        let environment = self.facts.environment.as_ref().ok_or_else(|| StepError::bad_input("no environment was given"))?;
        let hosts = environment.hosts.hosts();
        match hosts.iter().find(|host| host.name.as_str() == name) {
            Some(host) => Ok(ScriptHost::new(host)),
            None => {
                let names: Vec<&str> = hosts.iter().map(|host| host.name.as_str()).collect();
                let error = StepError::bad_input(format!("there is no host `{name}` in the environment {}", environment.name));
                Err(error.with_help(super::symbols::near_and(name, &names, &listed(&names))))
            }
        }
    }
}

/// Some of these names, for a help line.
pub(super) fn listed(names: &[&str]) -> String {
    let shown: Vec<&str> = names.iter().take(12).copied().collect();
    let more = if names.len() > shown.len() { format!(", and {} more", names.len() - shown.len()) } else { String::new() };
    format!("it has: {}{more}", shown.join(", "))
}
