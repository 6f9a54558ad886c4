//! A small engine with a few primitives, for the tests of this room.

use super::snapshot::{call_frozen, snapshot_closure};
use crate::script::explain::OptionError;
use crate::step::{ErrorKind, StepError};
use rhai::plugin::*;
use rhai::{
    Array, CustomType, Dynamic, Engine, EvalAltResult, EvalContext, Expression, FnPtr, Map, NativeCallContext, OptimizationLevel,
    TypeBuilder,
};

type Raised<T> = Result<T, Box<EvalAltResult>>;

#[derive(Clone, Debug, CustomType)]
#[rhai_type(name = "Host", extra = Self::more)]
pub(super) struct Host {
    /// The name in the inventory.
    #[rhai_type(readonly)]
    pub name: String,
}

impl Host {
    fn more(builder: &mut TypeBuilder<Self>) {
        builder.on_print(|host| host.name.clone());
    }
}

#[export_module]
#[expect(unreachable_pub, reason = "what is exported to scripts has to be public")]
mod deploy {
    /// Look a host up in the inventory.
    pub fn host(name: &str) -> Host {
        Host { name: name.into() }
    }
    /// All hosts of a role.
    pub fn hosts(role: &str) -> Array {
        (1..=3).map(|n| Dynamic::from(Host { name: format!("{role}{n}") })).collect()
    }
    /// Run a command on the host.
    #[rhai_fn(pure, global, return_raw)]
    pub fn run(ctx: NativeCallContext, host: &mut Host, command: &str) -> Raised<String> {
        if command != "fail" {
            return Ok(format!("{}: {command}", host.name));
        }
        let mut error = StepError::new(ErrorKind::Failed, "`fail` exited with status 1").with_stderr("line one\nline two");
        error.host = crate::id::HostName::parse(&host.name).ok();
        error.help = Some("look at the log".to_owned());
        let position = ctx.call_position();
        Err(EvalAltResult::ErrorRuntime(Dynamic::from(error), position).into())
    }
    /// Copy an artifact to a path.
    #[rhai_fn(pure, global)]
    pub fn upload(host: &mut Host, artifact: &str, path: &str) {
        let _ = (host, artifact, path);
    }
    /// Remove a path.
    #[rhai_fn(pure, global)]
    pub fn remove(host: &mut Host, path: &str) {
        let _ = (host, path);
    }
    /// Wait until an URL answers with the status.
    pub fn check_http(url: &str, status: i64) -> bool {
        !url.is_empty() && status > 0
    }
    /// Say something.
    pub fn log(value: Dynamic) {
        let _ = value;
    }
    /// Run `body` on the hosts, one batch after the other.
    #[rhai_fn(return_raw)]
    pub fn rolling(ctx: NativeCallContext, hosts: Array, options: Map, body: FnPtr) -> Raised<Array> {
        if options.contains_key("retires") {
            let known = ["batch", "retries", "check"].map(str::to_owned).to_vec();
            let error = OptionError::unknown("rolling", "retires", known, ctx.call_position());
            return Err(EvalAltResult::ErrorRuntime(Dynamic::from(error), ctx.call_position()).into());
        }
        parallel(ctx, hosts, body)
    }
    /// Run `body` on all hosts at once.
    #[rhai_fn(return_raw)]
    pub fn parallel(ctx: NativeCallContext, hosts: Array, body: FnPtr) -> Raised<Array> {
        let body = snapshot_closure(body);
        hosts.into_iter().map(|host| call_frozen(&ctx, &body, vec![host])).collect()
    }
    /// Run `body` with its captures frozen.
    #[rhai_fn(return_raw)]
    pub fn frozen(ctx: NativeCallContext, body: FnPtr, value: Dynamic) -> Raised<Dynamic> {
        call_frozen(&ctx, &snapshot_closure(body), vec![value])
    }
    /// Stop the run.
    #[rhai_fn(return_raw)]
    pub fn stop(ctx: NativeCallContext) -> Raised<()> {
        let mut error = StepError::new(ErrorKind::Interrupted, "a person asked the run to stop");
        error.site = crate::step::Site { source: "deploy.rhai".to_owned(), line: 2, column: 3 };
        Err(EvalAltResult::ErrorTerminated(Dynamic::from(error), ctx.call_position()).into())
    }
}

pub(super) fn engine() -> Engine {
    let mut engine = Engine::new();
    engine.set_optimization_level(OptimizationLevel::None).set_strict_variables(true).set_fail_on_invalid_map_property(true);
    engine
        .set_max_expr_depths(0, 0)
        .set_max_operations(200_000)
        .set_max_call_levels(40)
        .set_max_strings_interned(0)
        .disable_symbol("eval");
    engine.build_type::<Host>().register_global_module(rhai::exported_module!(deploy).into());
    let mut env = rhai::Module::new();
    env.set_var("name", "lab");
    engine.register_static_module("env", env.into());
    engine.register_custom_syntax_with_state_raw("step", next_symbol, false, run_step);
    engine
}

#[expect(clippy::unnecessary_wraps, reason = "the shape that Rhai wants")]
fn next_symbol(
    symbols: &[rhai::ImmutableString],
    look: &str,
    _: &mut Dynamic,
) -> Result<Option<rhai::ImmutableString>, rhai::ParseError> {
    Ok(match symbols.len() {
        1 => Some("$string$".into()),
        2 | 4 => Some("$func$".into()),
        3 if look == "undo" => Some("undo".into()),
        _ => None,
    })
}

fn run_step(ctx: &mut EvalContext<'_, '_, '_, '_, '_, '_>, inputs: &[Expression<'_>], _: &Dynamic) -> Raised<Dynamic> {
    let body = ctx.eval_expression_tree(&inputs[1])?.cast::<FnPtr>();
    let global = ctx.global_runtime_state().clone();
    let native = NativeCallContext::new_with_all_fields(ctx.engine(), "step", None, &global, inputs[0].position());
    body.call_within_context(&native, ())
}
