//! The engine with its strict settings. Every setting has been paid for; ARCHITECTURE.md says with what.

use super::explain::OptionError;
use super::memory::Watch;
use super::runtime::{Runtime, Tag};
use super::{
    artifacts, bind, brackets, constructs, forks, guarded, invariant, known_good, preflight, resolver::Resolver, unknown, values,
    wait,
};
use crate::id::TaskPath;
use crate::op::Registry;
use crate::script::conductor::Task;
use crate::step::StepError;
use rhai::packages::{
    ArithmeticPackage, BasicArrayPackage, BasicIteratorPackage, BasicMapPackage, BasicMathPackage, BasicStringPackage,
    LanguageCorePackage, LogicPackage, MoreStringPackage, Package,
};
use rhai::{Dynamic, Engine, EvalAltResult, ImmutableString, Module, OptimizationLevel, Position};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Steps of evaluation after which a script is taken to be caught in a loop.
const MOST_OPERATIONS: u64 = 200_000_000;

pub(super) fn engine(runtime: &Arc<Runtime>, registry: &Registry, resolver: Resolver) -> Engine {
    // Names of closures must be the same in every process.
    let _ = rhai::config::hashing::set_hashing_seed(Some([11, 13, 17, 19]));
    let mut engine = Engine::new_raw();
    // The optimizer panics on a write to a member of a constant, and would drop code that the lints must see.
    engine.set_optimization_level(OptimizationLevel::None);
    add_packages(&mut engine);
    engine.set_strict_variables(true).set_fail_on_invalid_map_property(true).disable_symbol("eval");
    // Limits on sizes would make every call on an array walk the whole of it.
    engine.set_max_expr_depths(0, 0).set_max_operations(MOST_OPERATIONS).set_max_call_levels(120).set_max_strings_interned(0);
    let watch = runtime.watch.clone();
    engine.on_progress(move |_| watch.halt.is_stopped().then(|| Dynamic::from(why(&watch))));
    let mut module = Module::new();
    values::register(&mut engine, &mut module);
    unknown::register(&mut engine, &mut module);
    artifacts::register(&mut engine, &mut module);
    constructs::register(&mut engine, &mut module);
    forks::register(&mut module);
    brackets::register(&mut module);
    preflight::register(&mut module);
    known_good::register(&mut module);
    guarded::register(&mut module);
    invariant::register(&mut engine, &mut module);
    wait::register(&mut module);
    bind::register(&mut module, registry);
    engine.register_global_module(module.into());
    shadow(&mut engine);
    constants(&mut engine, runtime);
    engine.set_module_resolver(resolver);
    engine.set_default_tag(Dynamic::from(Tag { task: Task::new(TaskPath::main(), None), runtime: runtime.clone() }));
    engine
}

/// Why the script is to end.
fn why(watch: &Watch) -> StepError {
    if !watch.full.is_stopped() {
        return StepError::new(crate::step::ErrorKind::Interrupted, "the run was stopped");
    }
    let bytes = watch.most.load(Ordering::Relaxed);
    let help = "something grows without end: a text, a list or a map in a loop; large contents are for h.upload and h.fetch, which hold none of it in memory";
    StepError::bad_input(format!("the script takes more than {} MiB of memory", bytes >> 20)).with_help(help)
}

fn add_packages(engine: &mut Engine) {
    LanguageCorePackage::new().register_into_engine(engine);
    ArithmeticPackage::new().register_into_engine(engine);
    BasicStringPackage::new().register_into_engine(engine);
    BasicIteratorPackage::new().register_into_engine(engine);
    LogicPackage::new().register_into_engine(engine);
    BasicMathPackage::new().register_into_engine(engine);
    BasicArrayPackage::new().register_into_engine(engine);
    BasicMapPackage::new().register_into_engine(engine);
    MoreStringPackage::new().register_into_engine(engine);
}

/// The core package sleeps, exits and prints; here these say what to use instead.
fn shadow(engine: &mut Engine) {
    fn refuse(what: &str, instead: &str) -> Box<EvalAltResult> {
        let error = StepError::bad_input(format!("`{what}` is not part of the language: {instead}"));
        EvalAltResult::ErrorRuntime(Dynamic::from(error), Position::NONE).into()
    }
    type Refused = Result<(), Box<EvalAltResult>>;
    let wait = "wait for a condition with h.expect_http, h.expect_tcp, h.expect_exec or h.expect_unit";
    engine.register_fn("sleep", move |_: i64| -> Refused { Err(refuse("sleep", wait)) });
    engine.register_fn("sleep", move |_: f64| -> Refused { Err(refuse("sleep", wait)) });
    engine.register_fn("exit", || -> Refused { Err(refuse("exit", "end with `return`, or give up with fail(\"why\")")) });
    engine
        .register_fn("exit", |_: Dynamic| -> Refused { Err(refuse("exit", "end with `return`, or give up with fail(\"why\")")) });
    engine.register_fn("timestamp", || -> Refused {
        Err(refuse("timestamp", "now() gives the time, and a resumed run the same one again"))
    });
    let log = "log(\"text\") writes a line into the report";
    engine.register_fn("print", move |_: Dynamic| -> Refused { Err(refuse("print", log)) });
    engine.register_fn("debug", move |_: Dynamic| -> Refused { Err(refuse("debug", log)) });
    // Rhai has no `join`, and everybody looks for it.
    engine.register_fn("join", |list: &mut rhai::Array, between: &str| -> ImmutableString {
        list.iter().map(ToString::to_string).collect::<Vec<_>>().join(between).into()
    });
    register_errors(engine);
}

/// What `catch (e)` can ask of a step's error.
fn register_errors(engine: &mut Engine) {
    fn text(text: &str) -> ImmutableString {
        text.into()
    }
    engine
        .register_type_with_name::<StepError>("Error")
        .register_get("message", |error: &mut StepError| text(&error.message))
        .register_get("op", |error: &mut StepError| text(&error.op))
        .register_get("stderr", |error: &mut StepError| text(&error.stderr))
        .register_get("host", |error: &mut StepError| {
            text(error.host.as_ref().filter(|host| !host.is_controller()).map_or("", |host| host.as_str()))
        })
        .register_get("code", |error: &mut StepError| error.code.map_or(Dynamic::UNIT, |code| Dynamic::from(i64::from(code))))
        .register_fn("to_string", |error: &mut StepError| text(&error.message))
        .register_type_with_name::<OptionError>("Error")
        .register_get("message", |error: &mut OptionError| text(&error.message))
        .register_get("op", |error: &mut OptionError| text(&error.primitive))
        .register_fn("to_string", |error: &mut OptionError| text(&error.message));
}

/// `env::`, `vars::` and `run::`.
fn constants(engine: &mut Engine, runtime: &Runtime) {
    let facts = &runtime.facts;
    let (mut env, mut vars, mut run) = (Module::new(), Module::new(), Module::new());
    let class = facts.environment.as_ref().and_then(|environment| serde_json::to_value(environment.class).ok());
    let class = class.as_ref().and_then(|class| class.as_str()).unwrap_or_default().to_owned();
    env.set_var("name", facts.environment.as_ref().map(|environment| environment.name.to_string()).unwrap_or_default());
    env.set_var("class", class);
    run.set_var("id", facts.run.clone());
    run.set_var("mode", facts.mode.to_owned());
    for (name, value) in facts.environment.iter().flat_map(|environment| &environment.vars) {
        vars.set_var(name.as_str(), rhai::serde::to_dynamic(value).unwrap_or(Dynamic::UNIT));
    }
    engine
        .register_static_module("env", env.into())
        .register_static_module("vars", vars.into())
        .register_static_module("run", run.into());
}
