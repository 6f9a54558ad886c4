//! Variables and imports that nothing uses.

use super::{Findings, View};
use crate::script::calls::{Body, call_at};
use rhai::{ASTFlags, ASTNode, Expr, Namespace, Position, Stmt};
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn check(view: &View<'_>, findings: &mut Findings<'_>) {
    let namespaces = namespaces(view);
    for body in &view.bodies {
        let mut used = used_in(body);
        if body.name.is_none() {
            used.extend(namespaces.globals.iter().cloned());
        }
        for (name, position) in declared_in(body).into_iter().filter(|(name, _)| !used.contains(name) && !name.starts_with('_')) {
            findings.warning(position, format!("`{name}` is never used"), "not used", format!("remove it, or name it _{name}"));
        }
    }
    let unused = view.unit.imports.iter().filter(|import| !import.alias.is_empty() && !namespaces.roots.contains(&import.alias));
    for import in unused {
        findings.warning(import.position, format!("the import `{}` is never used", import.alias), "not used", "remove it");
    }
}

/// The names that a body declares with `let` or `const` and does not export.
fn declared_in(body: &Body) -> BTreeMap<String, Position> {
    let mut declared = BTreeMap::new();
    body.walk(&mut |path| {
        if let Some(ASTNode::Stmt(Stmt::Var(variable, flags, position))) = path.last() {
            let place = if variable.0.pos.is_none() { *position } else { variable.0.pos };
            if !flags.intersects(ASTFlags::EXPORTED) {
                declared.entry(variable.0.name.to_string()).or_insert(place);
            }
        }
    });
    declared
}

fn used_in(body: &Body) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    body.walk(&mut |path| {
        // A variable that is called like a function is a mistake already.
        used.extend(path.last().and_then(call_at).map(|(call, ..)| call.name.to_string()));
        used.extend(used_by(path));
    });
    used
}

fn used_by(path: &[ASTNode<'_>]) -> Vec<String> {
    match path.last() {
        Some(ASTNode::Stmt(Stmt::Share(captured))) => captured.iter().map(|(variable, _)| variable.name.to_string()).collect(),
        Some(ASTNode::Stmt(Stmt::Export(names, _))) => vec![names.0.name.to_string()],
        Some(ASTNode::Expr(Expr::Variable(variable, ..))) if variable.2.is_empty() && !is_target(path) => {
            vec![variable.1.to_string()]
        }
        _ => Vec::new(),
    }
}

/// Whether the last node is what a plain assignment writes to: that is no use.
fn is_target(path: &[ASTNode<'_>]) -> bool {
    let [.., ASTNode::Stmt(Stmt::Assignment(assignment)), ASTNode::Expr(expr)] = path else { return false };
    !assignment.0.is_op_assignment() && std::ptr::eq(&raw const assignment.1.lhs, *expr)
}

#[derive(Default)]
struct Namespaces {
    /// Names that are used as `global::NAME`.
    globals: BTreeSet<String>,
    /// First parts of all paths, as `release` in `release::stage`.
    roots: BTreeSet<String>,
}

impl Namespaces {
    fn add(&mut self, namespace: &Namespace, name: &str) {
        let Some(root) = namespace.path.first() else { return };
        self.roots.insert(root.name.to_string());
        if root.name == "global" {
            self.globals.insert(name.to_owned());
        }
    }
}

fn namespaces(view: &View<'_>) -> Namespaces {
    let mut found = Namespaces::default();
    for body in &view.bodies {
        body.walk(&mut |path| {
            if let Some(ASTNode::Expr(Expr::Variable(variable, ..))) = path.last() {
                found.add(&variable.2, &variable.1);
            }
            if let Some((call, ..)) = path.last().and_then(call_at) {
                found.add(&call.namespace, &call.name);
            }
        });
    }
    found
}
