//! Statements that are in the wrong place or never reached, and comparisons that are always the same.

use super::calls::literal_kind;
use super::{Findings, View};
use crate::script::calls::{Body, call_at};
use rhai::{ASTNode, Expr, FnCallExpr, Position, Stmt};
use std::collections::BTreeSet;

pub(super) fn check(view: &View<'_>, findings: &mut Findings<'_>) {
    for body in &view.bodies {
        unreachable(&body.statements, findings);
        body.walk(&mut |path| {
            blocks(path.last()).into_iter().for_each(|block| unreachable(block, findings));
            if let Some(ASTNode::Stmt(Stmt::Import(parts, position))) = path.last() {
                check_import(body, path.len(), &parts.0, *position, findings);
            }
            if let Some((call, position, _)) = path.last().and_then(call_at) {
                check_comparison(view, call, position, findings);
            }
        });
    }
}

/// The lists of statements directly within a node.
fn blocks<'a>(node: Option<&ASTNode<'a>>) -> Vec<&'a [Stmt]> {
    match node {
        Some(ASTNode::Stmt(Stmt::Block(block))) => vec![block.statements()],
        Some(ASTNode::Expr(Expr::Stmt(block))) => vec![block.statements()],
        Some(ASTNode::Stmt(Stmt::For(parts, _))) => vec![parts.2.body.statements()],
        Some(ASTNode::Stmt(Stmt::If(flow, _) | Stmt::While(flow, _) | Stmt::Do(flow, ..) | Stmt::TryCatch(flow, _))) => {
            vec![flow.body.statements(), flow.branch.statements()]
        }
        _ => Vec::new(),
    }
}

fn unreachable(block: &[Stmt], findings: &mut Findings<'_>) {
    let Some(end) = block.iter().position(Stmt::is_control_flow_break) else { return };
    if let Some(dead) = block.iter().skip(end + 1).find(|statement| !statement.is_noop()) {
        let help = "a return, throw, break or continue comes before";
        findings.warning(dead.position(), "this is never reached", "never reached", help);
    }
}

fn check_import(body: &Body, depth: usize, path: &Expr, position: Position, findings: &mut Findings<'_>) {
    if body.name.is_some() || depth > 1 {
        findings.error(position, "`import` inside a block", "not at the top", "move it to the top of the file");
    }
    if !matches!(path, Expr::StringConstant(..)) {
        let help = "all modules are loaded before anything runs: write the path as \"lib/util\"";
        findings.error(path.start_position(), "the path of an import has to be written out", "only known when it runs", help);
    }
}

/// `==` of values of different kinds is false, and not an error.
fn check_comparison(view: &View<'_>, call: &FnCallExpr, position: Position, findings: &mut Findings<'_>) {
    let ([left, right], "==" | "!=") = (call.args.as_slice(), call.name.as_str()) else { return };
    let (Some(one), Some(other)) = (kind_of(view, left), kind_of(view, right)) else { return };
    let numbers = ["int", "float"];
    if one == other || [&one, &other].iter().any(|kind| *kind == "()") || (numbers.contains(&&*one) && numbers.contains(&&*other))
    {
        return;
    }
    let outcome = if call.name == "==" { "false" } else { "true" };
    let message = format!("this compares {one} with {other}: always {outcome}");
    findings.warning(position, message, &format!("always {outcome}"), "convert one of them, or write the other kind of literal");
}

/// The kind of a literal, or of a property that is of one kind wherever it exists.
fn kind_of(view: &View<'_>, expr: &Expr) -> Option<String> {
    let name = match expr {
        Expr::Dot(parts, ..) => last_property(&parts.rhs)?,
        other => return literal_kind(other).map(str::to_owned),
    };
    let symbols = view.linter.symbols;
    let kinds: BTreeSet<&String> = symbols.properties.values().filter_map(|properties| properties.get(name)).collect();
    let kind = kinds.first().filter(|kind| kinds.len() == 1 && **kind != "any" && !symbols.keys.contains(name));
    kind.map(|kind| (*kind).clone())
}

fn last_property(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Property(property, _) => Some(&property.2),
        Expr::Dot(parts, ..) => last_property(&parts.rhs),
        _ => None,
    }
}
