//! Closures that are called with another number of values than they take.

use super::{Findings, View};
use crate::script::calls::{call_at, closure_literal};
use rhai::{Expr, FnCallExpr};

/// Constructs whose last argument is a closure, with what it is called with.
const BLOCKS: [(&str, &[&str]); 8] = [
    ("rolling", &["h"]),
    ("parallel", &["h"]),
    ("bracket", &[]),
    ("maintenance", &[]),
    ("muted", &[]),
    ("attempt", &[]),
    ("on_undo", &[]),
    ("once", &[]),
];
/// Options of them that are closures.
const OPTIONS: [(&str, &[&str]); 3] = [("enter", &[]), ("leave", &[]), ("health", &["h"])];

pub(super) fn check(view: &View<'_>, findings: &mut Findings<'_>) {
    for body in &view.bodies {
        body.walk(&mut |path| {
            let Some((call, _, false)) = path.last().and_then(call_at) else { return };
            let Some((_, given)) = BLOCKS.iter().find(|(name, _)| *name == call.name.as_str()) else { return };
            let own = view.unit.ast.iter_functions().any(|function| function.name == call.name.as_str());
            if call.is_qualified() || own {
                return;
            }
            check_block(view, call, given, findings);
        });
    }
}

fn check_block(view: &View<'_>, call: &FnCallExpr, given: &[&str], findings: &mut Findings<'_>) {
    if let Some(last) = call.args.last() {
        check_closure(view, last, &call.name, given, findings);
    }
    for (key, value) in call.args.iter().filter_map(|arg| if let Expr::Map(map, _) = arg { Some(&map.0) } else { None }).flatten()
    {
        if let Some((name, given)) = OPTIONS.iter().find(|(name, _)| *name == key.name.as_str()) {
            check_closure(view, value, name, given, findings);
        }
    }
}

fn check_closure(view: &View<'_>, expr: &Expr, of: &str, given: &[&str], findings: &mut Findings<'_>) {
    let Some(closure) = closure_literal(expr) else { return };
    let Some(shape) = view.linter.symbols.closures.get(&closure.name) else { return };
    let takes = shape.params.len();
    if takes == given.len() {
        return;
    }
    let wanted = if given.is_empty() { "|| { .. }".to_owned() } else { format!("|{}| {{ .. }}", given.join(", ")) };
    let (what, found) = match given {
        [] => ("no value", takes),
        _ => ("the host", takes),
    };
    let message = format!("`{of}` calls this closure with {what}, and it takes {found}");
    findings.error(expr.start_position(), message, "this closure", format!("write it as {wanted}"));
}
