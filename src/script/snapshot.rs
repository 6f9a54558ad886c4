//! Closures that leave the thread or the moment they were made in. Rhai shares captured variables behind locks: a snapshot
//! takes their values instead, and a frozen call makes them constants, so that a branch cannot write what others read.
//! Leans on parts of Rhai that its author calls volatile; nothing outside of this file does.

use super::calls::root_variable;
use rhai::{
    AST, ASTNode, Array, Caches, Dynamic, EncapsulatedEnviron, EvalAltResult, EvalContext, Expr, Expression, FnPtr,
    GlobalRuntimeState, ImmutableString, Map, Module, NativeCallContext, Position, RhaiFunc, Scope, ScriptFuncDef, Shared, Stmt,
    StmtBlock,
};
use std::mem::take;

type Evaluated = Result<Dynamic, Box<EvalAltResult>>;

/// The value without any sharing: what it holds now, in arrays, maps and closures too.
pub(super) fn snapshot(value: Dynamic) -> Dynamic {
    let mut value = value.flatten();
    if let Some(mut array) = value.write_lock::<Array>() {
        array.iter_mut().for_each(snapshot_in_place);
    } else if let Some(mut map) = value.write_lock::<Map>() {
        map.values_mut().for_each(snapshot_in_place);
    } else if let Some(mut closure) = value.write_lock::<FnPtr>() {
        closure.iter_curry_mut().for_each(snapshot_in_place);
    }
    value
}

/// The closure with the values that its captured variables have now.
#[must_use]
pub(super) fn snapshot_closure(mut closure: FnPtr) -> FnPtr {
    closure.iter_curry_mut().for_each(snapshot_in_place);
    closure
}

fn snapshot_in_place(value: &mut Dynamic) {
    *value = snapshot(take(value));
}

/// Calls a closure with its captured variables as constants: a write to one fails at the place of the write. Works for
/// closures of modules; a pointer to a native function is simply called.
///
/// # Errors
/// Whatever the closure raises, within a frame that names the closure and the call.
pub(super) fn call_frozen(ctx: &NativeCallContext, closure: &FnPtr, args: Vec<Dynamic>) -> Evaluated {
    let Some(found) = find(ctx, closure, args.len()) else { return snapshot_closure(closure.clone()).call_raw(ctx, None, args) };
    let mut global = ctx.global_runtime_state().clone();
    enter(&mut global, &found);
    if global.level > ctx.engine().max_call_levels() {
        return Err(EvalAltResult::ErrorStackOverflow(ctx.call_position()).into());
    }
    let mut scope = frozen_scope(&found.definition, closure, args);
    let body = body_of(&found.definition);
    let result = match written_part(&body, &scope) {
        Some(error) => Err(error.into()),
        None => evaluate(ctx, &mut global, &mut scope, &Expr::Stmt(Box::new(body))),
    };
    result.or_else(|error| in_frame(ctx, &found, *error))
}

/// The statements of a function. A walk is the only way in: the type that holds them has no public name.
#[must_use]
pub(super) fn body_of(definition: &Shared<ScriptFuncDef>) -> StmtBlock {
    let mut alone = Module::new();
    alone.set_script_fn(definition.clone());
    let mut statements = Vec::new();
    AST::new_from_module(alone).walk(&mut |path: &[ASTNode]| {
        if let [ASTNode::Stmt(statement)] = path {
            statements.push((*statement).clone());
        }
        true
    });
    StmtBlock::new(statements, Position::NONE, Position::NONE)
}

/// A closure's code, and what the code of its file can see when that is another file than the running one.
struct Found {
    definition: Shared<ScriptFuncDef>,
    environment: Option<(Shared<EncapsulatedEnviron>, Option<ImmutableString>)>,
}

fn find(ctx: &NativeCallContext, closure: &FnPtr, given: usize) -> Option<Found> {
    let (name, count) = (closure.fn_name(), closure.curry().len() + given);
    let local = ctx.namespaces().iter().find_map(|module| module.get_script_fn(name, count));
    if let Some(definition) = local {
        return Some(Found { definition: definition.clone(), environment: None });
    }
    let global = ctx.global_runtime_state();
    let definition = global.iter_imports().find_map(|(_, module)| definition_in(module, name, count))?;
    let hash = Module::new().set_script_fn(definition);
    let (function, source) = global.get_qualified_fn(hash, true)?;
    match function.into_owned() {
        RhaiFunc::Script { fn_def, env } => {
            Some(Found { definition: fn_def, environment: env.map(|env| (env, source.cloned())) })
        }
        _ => None,
    }
}

fn definition_in(module: &Module, name: &str, count: usize) -> Option<Shared<ScriptFuncDef>> {
    let own = module.get_script_fn(name, count).cloned();
    own.or_else(|| module.iter_sub_modules().find_map(|(_, module)| definition_in(module, name, count)))
}

/// What Rhai does itself on a call of a function of another file.
fn enter(global: &mut GlobalRuntimeState, found: &Found) {
    global.level += 1;
    let Some((environment, source)) = &found.environment else { return };
    for (name, module) in &environment.imports {
        global.push_import(name.clone(), module.clone());
    }
    global.lib.extend(environment.lib.iter().cloned());
    global.constants.clone_from(&environment.constants);
    global.source.clone_from(source);
}

/// Captured and curried values come first in a closure's parameters.
fn frozen_scope(definition: &ScriptFuncDef, closure: &FnPtr, args: Vec<Dynamic>) -> Scope<'static> {
    let mut scope = Scope::new();
    let captured = closure.curry().len();
    for (name, value) in definition.params.iter().zip(closure.curry()) {
        scope.push_constant_dynamic(name.as_str(), snapshot(value.clone()));
    }
    for (name, value) in definition.params.iter().skip(captured).zip(args) {
        scope.push_dynamic(name.as_str(), value);
    }
    scope
}

/// A write to a part of a constant, as in `m.key = 1`. Rhai lets a constant map take new keys, so that it is looked for before
/// anything runs; a local variable of the same name makes it unclear what is meant, and is left alone.
fn written_part(body: &StmtBlock, scope: &Scope) -> Option<EvalAltResult> {
    let (mut written, mut locals) = (Vec::new(), Vec::new());
    let walk = &mut |path: &[ASTNode]| {
        match path.last() {
            Some(ASTNode::Stmt(Stmt::Var(variable, ..))) => locals.push(variable.0.name.to_string()),
            Some(ASTNode::Stmt(Stmt::For(parts, _))) => locals.push(parts.0.name.to_string()),
            Some(ASTNode::Stmt(Stmt::Assignment(assignment))) if matches!(assignment.1.lhs, Expr::Dot(..) | Expr::Index(..)) => {
                let target = &assignment.1.lhs;
                written.extend(root_variable(target).map(|name| (name.to_owned(), target.start_position())));
            }
            _ => {}
        }
        true
    };
    body.iter().for_each(|statement| {
        statement.walk(&mut Vec::new(), walk);
    });
    let frozen = |name: &str| scope.is_constant(name) == Some(true) && !locals.iter().any(|local| local == name);
    let (name, position) = written.into_iter().find(|(name, _)| frozen(name))?;
    Some(EvalAltResult::ErrorAssignmentToConstant(name, position))
}

fn evaluate(ctx: &NativeCallContext, global: &mut GlobalRuntimeState, scope: &mut Scope, body: &Expr) -> Evaluated {
    let mut caches = Caches::new();
    let mut context = EvalContext::new(ctx.engine(), global, &mut caches, scope, None);
    context.eval_expression_tree(&Expression::from(body))
}

/// A `return` ends the closure; errors get the frame that Rhai gives them; what cannot be caught keeps its own place.
fn in_frame(ctx: &NativeCallContext, found: &Found, error: EvalAltResult) -> Evaluated {
    match error {
        EvalAltResult::Return(value, _) => Ok(value),
        EvalAltResult::Exit(..) => Err(error.into()),
        _ if error.is_system_exception() => Err(error.into()),
        _ => {
            let source = ctx.call_source().unwrap_or_default().to_owned();
            let name = found.definition.name.to_string();
            Err(EvalAltResult::ErrorInFunctionCall(name, source, error.into(), ctx.call_position()).into())
        }
    }
}

#[cfg(test)]
#[path = "snapshot_tests.rs"]
mod tests;
