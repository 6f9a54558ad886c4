//! The shape of a deployment: `step`, `on_undo`, `attempt`, `once`, `param`. They take closures, so they are bound by hand;
//! what they mean is the conductor's business. `rolling` and `parallel` are in `forks.rs`.

use super::conductor::{Task, UndoClosure};
use super::failure::step_error;
use super::runtime::{Raised, Tag, raise, tag};
use super::snapshot::{call_frozen, snapshot, snapshot_closure};
use crate::step::{ErrorKind, StepError};
use rhai::{
    Dynamic, Engine, EvalAltResult, EvalContext, Expression, FnPtr, FuncRegistration, ImmutableString, Map, Module,
    NativeCallContext, ParseError,
};
use std::sync::PoisonError;

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
pub(super) fn undo_closure(ctx: &NativeCallContext<'_>, tag: &Tag, undo: FnPtr) -> UndoClosure {
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

pub(super) fn is_terminated(raised: &EvalAltResult) -> bool {
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
