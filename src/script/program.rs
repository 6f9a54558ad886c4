//! A script with all that it imports: loaded, checked, run.

use super::calls::{bodies, call_at};
use super::conductor::Conductor;
use super::diagnostic::Diagnostic;
use super::engine::engine;
use super::failure::ScriptFailure;
use super::lint::{Linter, ProjectFiles};
use super::memory::{Meter, Watch};
use super::options::KnownOptions;
use super::resolver::{Resolver, Unit};
use super::runtime::{Facts, Runtime, Tag, raise};
use super::source_map::SourceMap;
use super::sources::SourceProvider;
use super::symbols::Symbols;
use crate::op::Registry;
use crate::step::{ErrorKind, StepError};
use crate::stop::Stop;
use rhai::{Engine, Expr, Position};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// What a program is loaded from.
pub struct Load {
    /// Where its texts are.
    pub sources: Arc<dyn SourceProvider>,
    /// The name of the script.
    pub script: String,
    /// The primitives.
    pub registry: Arc<Registry>,
    /// What it may know.
    pub facts: Facts,
    /// Ends it at once.
    pub stop: Stop,
}

/// A script that has been read with everything it can import.
pub struct Program {
    engine: Arc<Engine>,
    runtime: Arc<Runtime>,
    units: Vec<Unit>,
    _meter: Option<Meter>,
}

impl Program {
    /// Reads the script and its modules.
    ///
    /// # Errors
    /// The first thing that cannot be read or parsed.
    pub fn load(load: Load) -> Result<Self, Box<Diagnostic>> {
        let sources = SourceMap::new();
        let runtime = Arc::new(Runtime {
            conductor: Mutex::default(),
            engine: OnceLock::new(),
            symbols: OnceLock::new(),
            sources: sources.clone(),
            registry: load.registry.clone(),
            facts: load.facts,
            watch: Watch::new(),
            once: Mutex::default(),
        });
        let resolver = Resolver::new(load.sources, sources);
        let mut engine = engine(&runtime, &load.registry, resolver.clone());
        let meter = runtime.watch.start(load.stop);
        let units = resolver.load_graph(&engine, &load.script)?;
        super::guarded::share_hosts(&mut engine, &units);
        let engine = Arc::new(engine);
        let mut symbols = Symbols::of_engine(&engine);
        for unit in &units {
            symbols.add_tree(&unit.ast);
        }
        // Both were made empty a moment ago.
        let _ = runtime.symbols.set(symbols);
        let _ = runtime.engine.set(Arc::downgrade(&engine));
        Ok(Self { engine, runtime, units, _meter: meter })
    }

    /// What can be said against it without running it.
    #[must_use]
    pub fn lint(&self) -> Vec<Diagnostic> {
        self.lint_with(None)
    }

    /// The same with the files of its project, as a new run would read them.
    #[must_use]
    pub fn lint_with(&self, files: Option<&dyn ProjectFiles>) -> Vec<Diagnostic> {
        let Some(symbols) = self.runtime.symbols.get() else { return Vec::new() };
        let options = KnownOptions(&self.runtime.registry);
        let linter = Linter {
            sources: &self.runtime.sources,
            symbols,
            options: &options,
            parallel: &["parallel", "rolling"],
            units: &self.units,
            environment: self.runtime.facts.environment.as_ref(),
            files,
        };
        linter.check()
    }

    /// The parameters that the script asks for; nothing when it computes a name.
    #[must_use]
    pub fn params(&self) -> Option<BTreeSet<String>> {
        let mut names = BTreeSet::new();
        let mut computed = false;
        for body in self.units.iter().flat_map(|unit| bodies(&unit.ast)) {
            body.walk(&mut |path| {
                let call = path.last().and_then(call_at).filter(|(call, ..)| call.name == "param");
                match call.and_then(|(call, ..)| call.args.first()) {
                    Some(Expr::StringConstant(name, _)) => drop(names.insert(name.to_string())),
                    Some(_) => computed = true,
                    None => {}
                }
            });
        }
        (!computed).then_some(names)
    }

    /// The names of the questions that the script asks; nothing when it computes one.
    #[must_use]
    pub fn questions(&self) -> Option<BTreeSet<String>> {
        let mut names = BTreeSet::new();
        let mut computed = false;
        for body in self.units.iter().flat_map(|unit| bodies(&unit.ast)) {
            body.walk(&mut |path| {
                let Some((call, ..)) = path.last().and_then(call_at).filter(|(call, ..)| call.name == "ask") else { return };
                let given = match call.args.get(1) {
                    Some(Expr::Map(map, _)) => map.0.iter().find(|(key, _)| key.name == "name").map(|(_, name)| name),
                    Some(options) => Some(options),
                    None => None,
                };
                match given.or(call.args.first()) {
                    Some(Expr::StringConstant(name, _)) => drop(names.insert(name.to_string())),
                    _ => computed = true,
                }
            });
        }
        (!computed).then_some(names)
    }

    /// The channels that its calls of `notify` name in so many words.
    #[must_use]
    pub fn channels(&self) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        for body in self.units.iter().flat_map(|unit| bodies(&unit.ast)) {
            body.walk(&mut |path| {
                let call = path.last().and_then(call_at).filter(|(call, ..)| call.name == "notify");
                let Some(Expr::Map(map, _)) = call.and_then(|(call, ..)| call.args.get(1)) else { return };
                let to = map.0.iter().find(|(key, _)| key.name == "to");
                if let Some((_, Expr::StringConstant(name, _))) = to {
                    names.insert(name.to_string());
                }
            });
        }
        names
    }

    #[cfg(test)]
    pub(super) fn may_take(&self, bytes: u64) {
        self.runtime.watch.most.store(bytes, std::sync::atomic::Ordering::Relaxed);
    }

    pub(super) fn units(&self) -> &[Unit] {
        &self.units
    }

    pub(super) fn sources(&self) -> &SourceMap {
        &self.runtime.sources
    }

    /// Every text that it is made of, by name.
    #[must_use]
    pub fn bundle(&self) -> Vec<(String, String)> {
        self.runtime.sources.sources().into_iter().map(|file| (file.name.to_string(), file.text.to_string())).collect()
    }

    /// Runs it to its end, on this thread: for one run at a time. What it left to be done later, such as undoing, belongs to the run
    /// for which it was run last.
    ///
    /// # Errors
    /// Why it ended early.
    pub fn run(&self, conductor: Arc<dyn Conductor>) -> Result<(), ScriptFailure> {
        *self.runtime.conductor.lock().unwrap_or_else(PoisonError::into_inner) = Some(conductor);
        self.runtime.once.lock().unwrap_or_else(PoisonError::into_inner).clear();
        if let Some(tag) = self.engine.default_tag().read_lock::<Tag>() {
            tag.task.begin_anew();
        }
        let Some(main) = self.units.first() else { return Ok(()) };
        let result = catch_unwind(AssertUnwindSafe(|| self.engine.run_ast(&main.ast)));
        let panicked =
            || Err(raise(StepError::new(ErrorKind::Internal, "the script's engine panicked; this is a defect"), Position::NONE));
        result.unwrap_or_else(|_| panicked()).map_err(|error| ScriptFailure::of(&error, &self.runtime))
    }

    /// Evaluates it as an expression, for environments that are written as scripts: no primitive can be called.
    ///
    /// # Errors
    /// Why it has no value.
    pub fn value(&self) -> Result<serde_json::Value, ScriptFailure> {
        let Some(main) = self.units.first() else { return Ok(serde_json::Value::Null) };
        let evaluated = self.engine.eval_ast::<rhai::Dynamic>(&main.ast);
        let value = evaluated.and_then(|value| {
            super::options::json(&value)
                .map_err(|message| raise(StepError::bad_input(format!("the value {message}")), Position::NONE))
        });
        value.map_err(|error| ScriptFailure::of(&error, &self.runtime))
    }
}
