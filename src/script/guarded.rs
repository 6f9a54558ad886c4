//! `h.guarded(#{ confirm_within }, || ..)`: a block whose changes the host takes back by itself, unless they are confirmed over a
//! new connection. Around its block stand two steps: one that starts the host's timer, one that ends it.

use super::calls::{bodies, root_variable};
use super::constructs::is_terminated;
use super::failure::step_error;
use super::options::{read, wrong};
use super::resolver::Unit;
use super::runtime::{Raised, Tag, raise, tag};
use super::values::ScriptHost;
use crate::effect::Login;
use crate::id::SaveId;
use crate::op::{AnyOperation, BadArguments, GuardArm, GuardConfirm, Operation, Span};
use crate::step::{Command, ErrorKind, StepError};
use rhai::{AST, ASTNode, Dynamic, Engine, Expr, FnPtr, FuncRegistration, Map, Module, NativeCallContext};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeSet;

pub(super) const KNOWN: &[&str] = &["confirm_within"];

/// The least that a new connection may take, and the most that a host is left without anybody who looks after it.
const BOUNDS: std::ops::RangeInclusive<u64> = 5_000..=3_600_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GuardedOptions {
    #[serde(default = "a_minute")]
    confirm_within: Span,
}

fn a_minute() -> Span {
    Span::from_seconds(60)
}

impl GuardedOptions {
    pub(super) fn judge(&self) -> Result<(), BadArguments> {
        if BOUNDS.contains(&self.confirm_within.millis()) {
            return Ok(());
        }
        let message = format!("`confirm_within` is from 5s to 1h, not {}", self.confirm_within);
        Err(BadArguments { path: "confirm_within".to_owned(), message, known: Vec::new() })
    }
}

pub(super) fn register(module: &mut Module) {
    let method = |params: &[&str]| {
        FuncRegistration::new("guarded").with_params_info(params).with_volatility(true).with_purity(true).in_global_namespace()
    };
    method(&["host: Host", "options: map", "body: closure", "any"])
        .set_into_module(module, |ctx: NativeCallContext<'_>, host: &mut ScriptHost, options: Map, body: FnPtr| {
            guarded(&ctx, host, options, &body)
        });
    method(&["host: Host", "body: closure", "any"])
        .set_into_module(module, |ctx: NativeCallContext<'_>, host: &mut ScriptHost, body: FnPtr| {
            guarded(&ctx, host, Map::new(), &body)
        });
}

/// A closure that uses a variable shares it, and Rhai locks what is shared while a method runs on it: the block of
/// `h.guarded(.., || h.write(..))` could not use its host. Hosts never change, so where one is guarded, who asks for the variable is
/// given a copy.
pub(super) fn share_hosts(engine: &mut Engine, units: &[Unit]) {
    let names: BTreeSet<String> = units.iter().flat_map(|unit| receivers(&unit.ast)).collect();
    if names.is_empty() {
        return;
    }
    #[expect(deprecated, reason = "Rhai calls it volatile; the version is pinned")]
    engine.on_var(move |name, _, ctx| {
        let shared = |name| ctx.scope().get(name).filter(|value| value.is_shared());
        let host = names
            .contains(name)
            .then(|| shared(name))
            .flatten()
            .and_then(|value| value.clone().flatten().try_cast::<ScriptHost>());
        Ok(host.map(Dynamic::from))
    });
}

/// The variables on which a block is guarded.
fn receivers(ast: &AST) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for body in bodies(ast) {
        body.walk(&mut |path| {
            if let Some(ASTNode::Expr(Expr::Dot(parts, ..))) = path.last()
                && guards(&parts.rhs)
            {
                names.extend(root_variable(&parts.lhs).map(ToOwned::to_owned));
            }
        });
    }
    names
}

fn guards(chain: &Expr) -> bool {
    match chain {
        Expr::MethodCall(call, _) => call.name == "guarded",
        Expr::Dot(parts, ..) | Expr::Index(parts, ..) => guards(&parts.lhs) || guards(&parts.rhs),
        _ => false,
    }
}

fn guarded(ctx: &NativeCallContext<'_>, host: &ScriptHost, options: Map, body: &FnPtr) -> Raised<Dynamic> {
    let options: GuardedOptions = read(ctx, "guarded", options, KNOWN)?;
    options.judge().map_err(|bad| wrong(ctx, "guarded", bad))?;
    let tag = tag(ctx)?;
    let stop = |error: StepError| raise(error, ctx.call_position());
    let (at, within) = (host.login(), options.confirm_within);
    let conductor = tag.conductor().map_err(stop)?;
    conductor.guard(&at).map_err(stop)?;
    let guard = step(ctx, &tag, &at, GuardArm::NAME, &GuardArm { confirm_within: within });
    let result = guard.map_err(stop).and_then(|guard| {
        let result = body.call_within_context::<Dynamic>(ctx, ());
        match &result {
            // A run that stops here leaves the rest to the host.
            Err(raised) if is_terminated(raised) => {}
            // Also where the block failed: whether a new connection can be made decides who undoes it.
            ended => confirm(ctx, &tag, &at, &guard, within).map_err(|error| stop(with_cause(error, ended, &tag)))?,
        }
        result
    });
    conductor.unguard(&at);
    result
}

/// What the block failed of before, if it did.
fn with_cause(mut error: StepError, ended: &Raised<Dynamic>, tag: &Tag) -> StepError {
    if let Err(raised) = ended {
        let cause = format!("the block itself had failed: {}", step_error(raised, &tag.runtime).message);
        error.help = Some(error.help.map_or_else(|| cause.clone(), |help| format!("{help}\n{cause}")));
    }
    error
}

fn confirm(ctx: &NativeCallContext<'_>, tag: &Tag, at: &Login, guard: &Value, within: Span) -> Result<(), StepError> {
    let guard: SaveId = serde_json::from_value(guard.clone())
        .map_err(|error| StepError::new(ErrorKind::Internal, format!("a guard without a name: {error}")))?;
    step(ctx, tag, at, GuardConfirm::NAME, &GuardConfirm { guard, confirm_within: within }).map(drop)
}

fn step(ctx: &NativeCallContext<'_>, tag: &Tag, at: &Login, op: &str, operation: &dyn AnyOperation) -> Result<Value, StepError> {
    let (host, user) = (at.host.clone(), at.user.clone());
    let command = Command { op: op.to_owned(), host, user, args: operation.args(), site: tag.site(ctx) };
    tag.conductor()?.step(&tag.task, command, operation)
}
