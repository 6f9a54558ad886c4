//! What a syntax tree says about calls: where each call's arguments and the keys of its literal maps stand. Also the ways
//! into the tree that everything here shares: the body of each function, and what a closure captures.

use super::snapshot::body_of;
use rhai::{AST, ASTNode, Expr, FnCallExpr, FnPtr, Position, Stmt};
use std::collections::BTreeMap;

/// One call in the text of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CallSite {
    /// The name that is called.
    pub name: String,
    /// Whether it is written behind a dot.
    pub method: bool,
    /// Where each argument starts, without the receiver.
    pub arguments: Vec<Position>,
    /// The keys of literal maps among the arguments, nested ones as in `check.status` or `hosts[1].name`.
    pub keys: Vec<(String, Position)>,
}

/// All calls by the position of their name.
pub(super) type CallSites = BTreeMap<Position, CallSite>;

/// Adds the calls of a tree.
pub(super) fn index_calls(ast: &AST, sites: &mut CallSites) {
    ast.walk(&mut |path| {
        if let Some((call, position, method)) = path.last().and_then(call_at) {
            sites.insert(position, call_site(call, method));
        }
        true
    });
}

/// The call that a node is: its expression, the position of its name, and whether it is a method call.
#[must_use]
pub(super) fn call_at<'a>(node: &ASTNode<'a>) -> Option<(&'a FnCallExpr, Position, bool)> {
    match *node {
        ASTNode::Stmt(Stmt::FnCall(call, position)) | ASTNode::Expr(Expr::FnCall(call, position)) => {
            Some((call, *position, false))
        }
        ASTNode::Expr(Expr::MethodCall(call, position)) => Some((call, *position, true)),
        _ => None,
    }
}

fn call_site(call: &FnCallExpr, method: bool) -> CallSite {
    let mut keys = Vec::new();
    for argument in &call.args {
        literal_keys(argument, "", &mut keys);
    }
    let arguments = call.args.iter().map(Expr::start_position).collect();
    CallSite { name: call.name.to_string(), method, arguments, keys }
}

fn literal_keys(expr: &Expr, path: &str, keys: &mut Vec<(String, Position)>) {
    match expr {
        Expr::Map(map, _) => {
            for (key, value) in &map.0 {
                let dot = if path.is_empty() { "" } else { "." };
                let path = format!("{path}{dot}{}", key.name);
                keys.push((path.clone(), key.pos));
                literal_keys(value, &path, keys);
            }
        }
        Expr::Array(items, _) if !path.is_empty() => {
            for (n, item) in items.iter().enumerate() {
                let path = format!("{path}[{n}]");
                keys.push((path.clone(), item.start_position()));
                literal_keys(item, &path, keys);
            }
        }
        _ => {}
    }
}

/// The statements of one function, closure, or of a file's top level.
#[derive(Debug, Clone)]
pub(super) struct Body {
    /// The function's name; `anon$...` for a closure; none for the top level.
    pub name: Option<String>,
    /// Its statements.
    pub statements: Vec<Stmt>,
}

impl Body {
    /// Visits every node; the path leads from the statement of this body to the node.
    pub(super) fn walk(&self, visit: &mut dyn FnMut(&[ASTNode<'_>])) {
        for statement in &self.statements {
            let mut path = Vec::new();
            statement.walk(&mut path, &mut |nodes: &[ASTNode<'_>]| {
                visit(nodes);
                true
            });
        }
    }
}

/// All bodies of a tree, the top level first.
#[must_use]
pub(super) fn bodies(ast: &AST) -> Vec<Body> {
    let top = Body { name: None, statements: ast.statements().to_vec() };
    let functions = ast.iter_fn_def().map(|definition| Body {
        name: Some(definition.name.to_string()),
        statements: body_of(definition).statements().to_vec(),
    });
    std::iter::once(top).chain(functions).collect()
}

/// Whether a function has the name that Rhai gives to closures.
#[must_use]
pub(super) fn is_closure_name(name: &str) -> bool {
    name.starts_with("anon$")
}

/// A closure as it is written: the name of its body and the variables that it captures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ClosureLiteral {
    /// The name of its body.
    pub name: String,
    /// The names of the captured variables.
    pub captures: Vec<String>,
}

/// The closure that an expression writes out, if it is one. With captures Rhai makes a block of it: share, then curry.
#[must_use]
pub(super) fn closure_literal(expr: &Expr) -> Option<ClosureLiteral> {
    let Expr::Stmt(block) = expr else { return closure_constant(expr).map(|name| ClosureLiteral { name, captures: Vec::new() }) };
    let [Stmt::Share(shared), Stmt::Expr(curry)] = block.statements() else { return None };
    let Expr::FnCall(call, _) = &**curry else { return None };
    let name = call.args.first().and_then(closure_constant)?;
    Some(ClosureLiteral { name, captures: shared.iter().map(|(variable, _)| variable.name.to_string()).collect() })
}

fn closure_constant(expr: &Expr) -> Option<String> {
    let Expr::DynamicConstant(value, _) = expr else { return None };
    let pointer = value.read_lock::<FnPtr>()?;
    is_closure_name(pointer.fn_name()).then(|| pointer.fn_name().to_owned())
}

/// The variable that an expression like `a.b[1].c` starts from; none when it is of a module.
#[must_use]
pub(super) fn root_variable(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Variable(variable, ..) if variable.2.is_empty() => Some(&variable.1),
        Expr::Dot(parts, ..) | Expr::Index(parts, ..) => root_variable(&parts.lhs),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::test_engine::engine;

    #[test]
    fn keys_of_nested_literal_maps_are_found() {
        let ast = engine().compile("rolling([], #{ batch: 2, check: #{ status: 200 }, ramp: [1, #{ n: 2 }] }, |h| h);").unwrap();
        let mut sites = CallSites::new();
        index_calls(&ast, &mut sites);
        let site = &sites[&Position::new(1, 1)];
        let keys: Vec<&str> = site.keys.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(keys, ["batch", "check", "check.status", "ramp", "ramp[0]", "ramp[1]", "ramp[1].n"]);
        assert_eq!(site.keys[2].1, Position::new(1, 36));
        assert_eq!(site.arguments.len(), 3);
    }

    #[test]
    fn bodies_of_custom_syntax_are_found() {
        let ast = engine().compile("let v = 1;\nstep \"a\" { log(`${v}`); } undo { log(\"b\"); }\nfn f(x) { x }").unwrap();
        let bodies = bodies(&ast);
        assert_eq!(bodies.len(), 4);
        assert_eq!(bodies.iter().filter(|body| body.name.as_deref().is_some_and(is_closure_name)).count(), 2);
        assert!(bodies.iter().any(|body| body.name.as_deref() == Some("f")));
    }

    #[test]
    fn a_closure_tells_its_captures() {
        let ast = engine().compile("let a = 1; let b = 2; log(|x| x + a + b); log(|x| x);").unwrap();
        let mut found = Vec::new();
        bodies(&ast)[0].walk(&mut |path| {
            if let Some(ASTNode::Expr(expr)) = path.last() {
                found.extend(closure_literal(expr).map(|closure| closure.captures));
            }
        });
        assert!(found.contains(&vec!["a".to_owned(), "b".to_owned()]), "{found:?}");
        assert!(found.contains(&Vec::new()));
    }
}
