//! Captured variables: written where branches run at once, or captured from a loop by a closure that outlives its round.

use super::{Findings, View};
use crate::script::calls::{Body, call_at, closure_literal, root_variable};
use rhai::{ASTNode, Expr, Position, Stmt};
use std::collections::BTreeSet;

/// Methods of lists, maps and texts that change them.
const CHANGING: [&str; 21] = [
    "push",
    "pop",
    "shift",
    "insert",
    "remove",
    "append",
    "clear",
    "truncate",
    "retain",
    "drain",
    "reverse",
    "sort",
    "splice",
    "pad",
    "fill_with",
    "mixin",
    "dedup",
    "trim",
    "replace",
    "make_upper",
    "make_lower",
];
/// Methods that keep a closure for later.
const STORING: [&str; 5] = ["push", "insert", "append", "set", "unshift"];

pub(super) fn check(view: &View<'_>, findings: &mut Findings<'_>) {
    for body in &view.bodies {
        body.walk(&mut |path| {
            check_parallel(view, path, findings);
            check_loop(path, findings);
        });
    }
}

fn check_parallel(view: &View<'_>, path: &[ASTNode<'_>], findings: &mut Findings<'_>) {
    let Some((call, ..)) = path.last().and_then(call_at) else { return };
    if !view.linter.parallel.contains(&call.name.as_str()) {
        return;
    }
    for closure in call.args.iter().filter_map(closure_literal) {
        if let Some(body) = view.body(&closure.name) {
            check_writes(view, body, &closure.captures.into_iter().collect(), &call.name, findings);
        }
    }
}

/// Finds writes to captured variables, in the closures within the closure too.
fn check_writes(view: &View<'_>, body: &Body, captured: &BTreeSet<String>, construct: &str, findings: &mut Findings<'_>) {
    let locals = locals_of(body);
    let shared: BTreeSet<String> = captured.difference(&locals).cloned().collect();
    body.walk(&mut |path| {
        let Some(node) = path.last() else { return };
        if let Some((name, position)) = written(view, node).filter(|(name, _)| shared.contains(*name)) {
            let message = format!("`{name}` is changed in a closure that `{construct}` runs for several hosts at once");
            let help = "return a value from the closure, and use the list of results";
            findings.error(position, message, "changed here", help);
        }
        let ASTNode::Expr(expr) = node else { return };
        let Some(closure) = closure_literal(expr) else { return };
        let inner: BTreeSet<String> = closure.captures.into_iter().filter(|name| shared.contains(name)).collect();
        if let Some(body) = view.body(&closure.name).filter(|_| !inner.is_empty()) {
            check_writes(view, body, &inner, construct, findings);
        }
    });
}

fn locals_of(body: &Body) -> BTreeSet<String> {
    let mut locals = BTreeSet::new();
    body.walk(&mut |path| match path.last() {
        Some(ASTNode::Stmt(Stmt::Var(variable, ..))) => locals.extend([variable.0.name.to_string()]),
        Some(ASTNode::Stmt(Stmt::For(parts, _))) => locals.extend([parts.0.name.to_string()]),
        _ => {}
    });
    locals
}

/// The variable that a node writes to, by an assignment or by a method that changes it.
fn written<'a>(view: &View<'_>, node: &ASTNode<'a>) -> Option<(&'a str, Position)> {
    match *node {
        ASTNode::Stmt(Stmt::Assignment(assignment)) => {
            let target = &assignment.1.lhs;
            root_variable(target).map(|name| (name, target.start_position()))
        }
        ASTNode::Expr(Expr::Dot(parts, ..)) => {
            let method =
                called_in_place(&parts.rhs).filter(|name| CHANGING.contains(name) && !view.linter.symbols.is_host_method(name));
            method.and_then(|_| root_variable(&parts.lhs)).map(|name| (name, parts.lhs.start_position()))
        }
        _ => None,
    }
}

/// The method at the end of a chain of properties; what other methods return is no longer the variable.
fn called_in_place(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::MethodCall(call, _) => Some(&call.name),
        Expr::Dot(parts, ..) | Expr::Index(parts, ..) if matches!(parts.lhs, Expr::Property(..)) => called_in_place(&parts.rhs),
        _ => None,
    }
}

/// A closure shares the variable of its loop with the closures of all other rounds: stored, they all see the last value.
fn check_loop(path: &[ASTNode<'_>], findings: &mut Findings<'_>) {
    let Some(ASTNode::Expr(expr)) = path.last() else { return };
    let Some(closure) = closure_literal(expr).filter(|closure| !closure.captures.is_empty()) else { return };
    let around = path.iter().rev().skip(1);
    let Some(variable) =
        around.clone().find_map(loop_variable).filter(|name| closure.captures.iter().any(|captured| captured == name))
    else {
        return;
    };
    if is_stored(around) {
        let message = format!("the stored closure captures the loop variable `{variable}`: later it sees only the last value");
        let help = format!("pass the value on: .curry({variable}), or run the closure in its own round");
        findings.warning(expr.start_position(), message, "stored for later", help);
    }
}

fn loop_variable<'a>(node: &ASTNode<'a>) -> Option<&'a str> {
    let ASTNode::Stmt(Stmt::For(parts, _)) = *node else { return None };
    Some(&parts.0.name)
}

/// Whether the nearest call or assignment round a closure keeps it.
fn is_stored<'a>(around: impl Iterator<Item = &'a ASTNode<'a>>) -> bool {
    for node in around {
        if let Some((call, _, method)) = call_at(node) {
            return method && STORING.contains(&call.name.as_str());
        }
        match node {
            ASTNode::Stmt(Stmt::Assignment(_)) => return true,
            ASTNode::Stmt(Stmt::For(..)) => return false,
            _ => {}
        }
    }
    false
}
