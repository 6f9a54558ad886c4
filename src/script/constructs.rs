//! The shape of a deployment: `step`, `on_undo`, `rolling`, `parallel`, `param`. They take closures, so they are bound by
//! hand; what they mean is the conductor's business.

use super::conductor::{BatchSize, ForkSpec, OnFailure, Task, UndoClosure};
use super::failure::step_error;
use super::options::read;
use super::runtime::{Raised, Tag, raise, tag};
use super::snapshot::{call_frozen, snapshot, snapshot_closure};
use super::values::ScriptHost;
use crate::id::HostName;
use crate::op::{BadArguments, Span};
use crate::step::{ErrorKind, StepError};
use rhai::{
    Array, Dynamic, Engine, EvalAltResult, EvalContext, Expression, FnPtr, FuncRegistration, ImmutableString, Map, Module,
    NativeCallContext, ParseError,
};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};

pub(super) fn register(engine: &mut Engine, module: &mut Module) {
    let function = |name: &str, params: &[&str]| FuncRegistration::new(name).with_params_info(params).with_volatility(true);
    function("param", &["name: string", "any"])
        .set_into_module(module, |ctx: NativeCallContext<'_>, name: &str| param(&ctx, name, None));
    function("param", &["name: string", "default: any", "any"])
        .set_into_module(module, |ctx: NativeCallContext<'_>, name: &str, default: Dynamic| param(&ctx, name, Some(default)));
    function("on_undo", &["undo: closure", "()"])
        .set_into_module(module, |ctx: NativeCallContext<'_>, undo: FnPtr| on_undo(&ctx, "on_undo", undo));
    function("on_undo", &["name: string", "undo: closure", "()"])
        .set_into_module(module, |ctx: NativeCallContext<'_>, name: &str, undo: FnPtr| on_undo(&ctx, name, undo));
    function("parallel", &["hosts: Array", "body: closure", "Array"])
        .set_into_module(module, |ctx: NativeCallContext<'_>, hosts: Array, body: FnPtr| parallel(&ctx, hosts, Map::new(), body));
    function("parallel", &["hosts: Array", "options: map", "body: closure", "Array"])
        .set_into_module(module, |ctx: NativeCallContext<'_>, hosts: Array, options: Map, body: FnPtr| {
            parallel(&ctx, hosts, options, body)
        });
    function("rolling", &["hosts: Array", "body: closure", "Array"])
        .set_into_module(module, |ctx: NativeCallContext<'_>, hosts: Array, body: FnPtr| rolling(&ctx, hosts, Map::new(), body));
    function("rolling", &["hosts: Array", "options: map", "body: closure", "Array"])
        .set_into_module(module, |ctx: NativeCallContext<'_>, hosts: Array, options: Map, body: FnPtr| {
            rolling(&ctx, hosts, options, body)
        });
    function("attempt", &["body: closure", "map"])
        .set_into_module(module, |ctx: NativeCallContext<'_>, body: FnPtr| attempt(&ctx, &body));
    function("once", &["name: string", "body: closure", "any"])
        .set_into_module(module, |ctx: NativeCallContext<'_>, name: &str, body: FnPtr| once(&ctx, name, &body));
    engine.register_custom_syntax_with_state_raw("step", next_symbol, false, step);
}

#[expect(clippy::unnecessary_wraps, reason = "the shape that Rhai wants")]
fn next_symbol(symbols: &[ImmutableString], look: &str, _: &mut Dynamic) -> Result<Option<ImmutableString>, ParseError> {
    Ok(match symbols.len() {
        1 => Some("$string$".into()),
        2 | 4 => Some("$func$".into()),
        3 if look == "undo" => Some("undo".into()),
        _ => None,
    })
}

/// `step "name" { .. } undo { .. }`: the undo is on record before the body starts.
fn step(ctx: &mut EvalContext<'_, '_, '_, '_, '_, '_>, inputs: &[Expression<'_>], _: &Dynamic) -> Raised<Dynamic> {
    let position = inputs[0].position();
    let name = inputs[0].get_string_value().unwrap_or_default().to_owned();
    let body = ctx.eval_expression_tree(&inputs[1])?.cast::<FnPtr>();
    let undo = inputs.get(3).or_else(|| inputs.get(2)).map(|undo| ctx.eval_expression_tree(undo)).transpose()?;
    let global = ctx.global_runtime_state().clone();
    let native = NativeCallContext::new_with_all_fields(ctx.engine(), "step", None, &global, position);
    let tag = tag(&native)?;
    let stop = |error: StepError| raise(error, position);
    let conductor = tag.conductor().map_err(stop)?;
    let key = conductor.enter_step(&tag.task, &name).map_err(stop)?;
    let undone = match undo.and_then(Dynamic::try_cast::<FnPtr>) {
        Some(undo) => on_undo(&native, &name, undo),
        None => Ok(()),
    };
    let result = undone.and_then(|()| body.call_within_context::<Dynamic>(&native, ()));
    conductor.leave(&key, result.is_err()).map_err(stop)?;
    result
}

fn on_undo(ctx: &NativeCallContext<'_>, name: &str, undo: FnPtr) -> Raised<()> {
    let tag = tag(ctx)?;
    let site = tag.site(ctx);
    let closure = undo_closure(ctx, &tag, snapshot_closure(undo));
    let result = tag.conductor().and_then(|conductor| conductor.on_undo(&tag.task, name, site, closure));
    result.map_err(|error| raise(error, ctx.call_position()))
}

/// Keeps a closure with all that it needs to run once the script has ended.
fn undo_closure(ctx: &NativeCallContext<'_>, tag: &Tag, undo: FnPtr) -> UndoClosure {
    #[expect(
        deprecated,
        reason = "Rhai calls it volatile; it is the one way to keep a closure's surroundings, and the version is pinned"
    )]
    let store = ctx.store_data();
    let runtime = tag.runtime.clone();
    std::sync::Arc::new(move |task: &Task| {
        let gone = || StepError::new(ErrorKind::Internal, "the script's engine is gone");
        let engine = runtime.engine.get().and_then(std::sync::Weak::upgrade).ok_or_else(gone)?;
        #[expect(deprecated, reason = "see above")]
        let context = store.create_context(&engine);
        let tag = Tag { task: task.clone(), runtime: runtime.clone() };
        let mut global = context.global_runtime_state().clone();
        global.tag = Dynamic::from(tag);
        let context = NativeCallContext::new_with_all_fields(&engine, "on_undo", None, &global, context.call_position());
        match undo.call_within_context::<Dynamic>(&context, ()) {
            Ok(_) => Ok(()),
            Err(error) => Err(step_error(&error, &runtime)),
        }
    })
}

/// Runs the body; a failure in it is undone to its start and given back: `.ok`, `.value`, `.error`.
fn attempt(ctx: &NativeCallContext<'_>, body: &FnPtr) -> Raised<Map> {
    let tag = tag(ctx)?;
    let stop = |error: StepError| raise(error, ctx.call_position());
    let conductor = tag.conductor().map_err(stop)?;
    let key = conductor.enter_attempt(&tag.task).map_err(stop)?;
    let result = body.call_within_context::<Dynamic>(ctx, ());
    let result = match result {
        Err(raised) if !matches!(*raised, EvalAltResult::ErrorTerminated(..)) && !is_terminated(&raised) => {
            let error = step_error(&raised, &tag.runtime);
            conductor.undo_attempt(&key).map_err(stop)?;
            Ok(Err(error))
        }
        Err(raised) => Err(raised),
        Ok(value) => Ok(Ok(value)),
    };
    conductor.leave(&key, !matches!(result, Ok(Ok(_)))).map_err(stop)?;
    result.map(|end| {
        let (ok, value, error) = match end {
            Ok(value) => (true, value, Dynamic::UNIT),
            Err(error) => (false, Dynamic::UNIT, Dynamic::from(error)),
        };
        Map::from_iter([("ok".into(), ok.into()), ("value".into(), value), ("error".into(), error)])
    })
}

fn is_terminated(raised: &EvalAltResult) -> bool {
    match raised {
        EvalAltResult::ErrorTerminated(..) => true,
        EvalAltResult::ErrorInFunctionCall(_, _, inner, _) | EvalAltResult::ErrorInModule(_, inner, _) => is_terminated(inner),
        _ => false,
    }
}

/// Runs the body once in the run; every task that asks gets its value.
fn once(ctx: &NativeCallContext<'_>, name: &str, body: &FnPtr) -> Raised<Dynamic> {
    let tag = tag(ctx)?;
    let stop = |error: StepError| raise(error, ctx.call_position());
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) {
        return Err(stop(StepError::bad_input(format!(
            "`{name}` is no name for what runs once; use letters, digits, `-`, `_` and `.`"
        ))));
    }
    let own = crate::id::TaskPath::once(name);
    if tag.task.path == own || tag.task.path.as_str().starts_with(&format!("{own}/")) {
        return Err(stop(StepError::bad_input(format!("`once(\"{name}\", ..)` within itself would wait for its own end"))));
    }
    let body = snapshot_closure(body.clone());
    let run = |task: &Task| {
        let mut global = ctx.global_runtime_state().clone();
        global.tag = Dynamic::from(Tag { task: task.clone(), runtime: tag.runtime.clone() });
        let context = NativeCallContext::new_with_all_fields(ctx.engine(), "once", ctx.fn_source(), &global, ctx.call_position());
        let value = call_frozen(&context, &body, Vec::new()).map_err(|error| step_error(&error, &tag.runtime))?;
        tag.runtime.once.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), snapshot(value));
        Ok(())
    };
    tag.conductor().and_then(|conductor| conductor.once(name, &run)).map_err(stop)?;
    Ok(tag.runtime.once.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned().unwrap_or(Dynamic::UNIT))
}

/// What `--set` gave, in the type of the default.
fn param(ctx: &NativeCallContext<'_>, name: &str, default: Option<Dynamic>) -> Raised<Dynamic> {
    let tag = tag(ctx)?;
    let bad = |message: String, help: String| {
        let mut error = StepError::bad_input(message).with_help(help);
        (error.site, error.op) = (tag.site(ctx), "param".to_owned());
        raise(error, ctx.call_position())
    };
    let given =
        tag.runtime.facts.params.get(name).map(|value| value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned));
    let Some(text) = given else {
        return default.ok_or_else(|| {
            bad(format!("the parameter `{name}` is not set"), format!("give it on the command line: --set {name}=VALUE"))
        });
    };
    let typed = match &default {
        Some(default) if default.is_int() => text.parse::<i64>().ok().map(Dynamic::from),
        Some(default) if default.is_float() => text.parse::<f64>().ok().map(Dynamic::from),
        Some(default) if default.is_bool() => text.parse::<bool>().ok().map(Dynamic::from),
        _ => Some(Dynamic::from(ImmutableString::from(&text))),
    };
    typed.ok_or_else(|| {
        let kind = default.as_ref().map_or("text", |default| if default.is_bool() { "true or false" } else { "a number" });
        bad(
            format!("--set {name}={text} is not {kind}"),
            format!("the script's default is {}", default.clone().unwrap_or_default()),
        )
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ParallelOptions {
    #[serde(default)]
    limit: Option<BatchSize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RollingOptions {
    #[serde(default)]
    batch: Option<OneOrMany>,
    #[serde(default)]
    max_failures: u32,
    #[serde(default)]
    on_failure: OnFailure,
    #[serde(default)]
    bake: Option<Span>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "a size such as 2 or \"25%\", or a ramp such as [1, \"25%\"]")]
enum OneOrMany {
    One(BatchSize),
    Many(Vec<BatchSize>),
}

fn parallel(ctx: &NativeCallContext<'_>, hosts: Array, options: Map, body: FnPtr) -> Raised<Array> {
    let options: ParallelOptions = read(ctx, "parallel", options, &["limit"])?;
    let spec = spec(ctx, "parallel", &hosts)?;
    fork(ctx, &hosts, ForkSpec { batches: options.limit.into_iter().collect(), ..spec }, body)
}

fn rolling(ctx: &NativeCallContext<'_>, hosts: Array, options: Map, body: FnPtr) -> Raised<Array> {
    let known = ["batch", "max_failures", "on_failure", "bake"];
    let options: RollingOptions = read(ctx, "rolling", options, &known)?;
    let batches = match options.batch {
        None => vec![BatchSize::Hosts(1)],
        Some(OneOrMany::One(size)) => vec![size],
        Some(OneOrMany::Many(sizes)) => sizes,
    };
    let refuse = |path: &str, message: &str| {
        let bad = BadArguments { path: path.to_owned(), message: message.to_owned(), known: Vec::new() };
        Err(super::options::wrong(ctx, "rolling", bad))
    };
    if batches.is_empty() {
        return refuse("batch", "`batch` says no size; give at least one, as in [1, \"25%\"]");
    }
    if options.on_failure == OnFailure::Continue && options.max_failures == 0 {
        return refuse("on_failure", "`continue` goes on within `max_failures`, and that is 0; say how many hosts may fail");
    }
    let spec = spec(ctx, "rolling", &hosts)?;
    let spec =
        ForkSpec { batches, max_failures: options.max_failures, on_failure: options.on_failure, bake: options.bake, ..spec };
    fork(ctx, &hosts, spec, body)
}

fn spec(ctx: &NativeCallContext<'_>, word: &'static str, hosts: &Array) -> Raised<ForkSpec> {
    let tag = tag(ctx)?;
    let bad = |message: String, help: &str| {
        let mut error = StepError::bad_input(message).with_help(help);
        (error.site, error.op) = (tag.site(ctx), word.to_owned());
        raise(error, ctx.call_position())
    };
    let mut names: Vec<HostName> = Vec::new();
    for host in hosts {
        let Some(host) = host.read_lock::<ScriptHost>() else {
            return Err(bad(
                format!("`{word}` takes hosts, not {}", super::symbols::kind_name(host.type_name())),
                "hosts(\"role\") gives them",
            ));
        };
        if names.contains(host.name()) {
            return Err(bad(format!("{} is listed twice", host.name()), "each host has one task; name it once"));
        }
        names.push(host.name().clone());
    }
    // Batches and results follow the inventory, however the script came by its list.
    let order = |name: &HostName| {
        tag.runtime
            .facts
            .environment
            .as_ref()
            .and_then(|environment| environment.hosts.hosts().iter().position(|host| host.name == *name))
    };
    names.sort_by_key(order);
    if names.is_empty() {
        return Err(bad(format!("`{word}` over no host"), "a deploy to no host is a mistake; check the selector"));
    }
    Ok(ForkSpec {
        word,
        hosts: names,
        batches: Vec::new(),
        max_failures: 0,
        on_failure: OnFailure::Unwind,
        bake: None,
        site: tag.site(ctx),
    })
}

/// What each block gave, or raised.
type Ends = Mutex<BTreeMap<HostName, Raised<Dynamic>>>;

fn fork(ctx: &NativeCallContext<'_>, hosts: &Array, spec: ForkSpec, body: FnPtr) -> Raised<Array> {
    let tag = tag(ctx)?;
    let body = snapshot_closure(body);
    let named = |host: &Dynamic| host.read_lock::<ScriptHost>().map(|host| host.name().clone());
    let values: BTreeMap<HostName, Dynamic> =
        hosts.iter().filter_map(|host| Some((named(host)?, snapshot(host.clone())))).collect();
    let ends: Ends = Mutex::new(BTreeMap::new());
    let branch = |task: &Task, host: &HostName| {
        let value = values.get(host).cloned().unwrap_or(Dynamic::UNIT);
        let result = block(ctx, &tag, task, &body, value);
        let plain = result.as_ref().map(drop).map_err(|error| step_error(error, &tag.runtime));
        ends.lock().unwrap_or_else(PoisonError::into_inner).insert(host.clone(), result);
        plain
    };
    let result = tag.conductor().and_then(|conductor| conductor.fork(&tag.task, &spec, &branch));
    let ends = ends.into_inner().unwrap_or_else(PoisonError::into_inner);
    match result {
        Ok(failures) => Ok(results(&spec, ends, &failures)),
        Err(error) => Err(original(ends, &error, &tag).unwrap_or_else(|| raise(error, ctx.call_position()))),
    }
}

/// The block of one host, on its own thread, as its own task, with what it captured frozen.
fn block(ctx: &NativeCallContext<'_>, tag: &Tag, task: &Task, body: &FnPtr, host: Dynamic) -> Raised<Dynamic> {
    let mut global = ctx.global_runtime_state().clone();
    global.tag = Dynamic::from(Tag { task: task.clone(), runtime: tag.runtime.clone() });
    let context =
        NativeCallContext::new_with_all_fields(ctx.engine(), ctx.fn_name(), ctx.fn_source(), &global, ctx.call_position());
    let called = catch_unwind(AssertUnwindSafe(|| call_frozen(&context, body, vec![host])));
    let panicked =
        || raise(StepError::new(ErrorKind::Internal, "the script's engine panicked; this is a defect"), ctx.call_position());
    called.unwrap_or_else(|_| Err(panicked())).map(snapshot)
}

/// The error as its block raised it: it knows the chain of calls.
fn original(ends: BTreeMap<HostName, Raised<Dynamic>>, error: &StepError, tag: &Tag) -> Option<Box<EvalAltResult>> {
    let errors = ends.into_values().filter_map(Result::err);
    errors.into_iter().find(|raised| step_error(raised, &tag.runtime) == *error)
}

/// In inventory order: what each block gave; of a failed host, the error.
fn results(spec: &ForkSpec, mut ends: BTreeMap<HostName, Raised<Dynamic>>, failures: &[(HostName, StepError)]) -> Array {
    let value = |host: &HostName| match failures.iter().find(|(failed, _)| failed == host) {
        Some((_, error)) => Dynamic::from(error.clone()),
        None => ends.remove(host).and_then(Result::ok).unwrap_or(Dynamic::UNIT),
    };
    spec.hosts.iter().map(value).collect()
}
