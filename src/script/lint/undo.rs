//! Commands that change something, and of which the script does not say how they are undone.

use super::{Findings, View};
use crate::script::calls::{call_at, closure_literal};
use rhai::{Expr, FnCallExpr};
use std::collections::BTreeSet;

/// Each of these says what becomes of the command when the run is unwound, or that it changes nothing that is not declared.
const SAYS: [&str; 6] = ["undo", "again", "irreversible", "creates", "unless", "writes"];

pub(super) fn check(view: &View<'_>, findings: &mut Findings<'_>) {
    if !view.linter.options.takes_options("run", 1) {
        return;
    }
    let undoing = undoing(view);
    for body in view.bodies.iter().filter(|body| !body.name.as_ref().is_some_and(|name| undoing.contains(name))) {
        body.walk(&mut |path| {
            let Some((call, position, method)) = path.last().and_then(call_at) else { return };
            if method && call.name == "run" && !is_declared(call) {
                let message = "`run` does not say how the command is undone";
                let help = "add `undo: \"COMMAND\"`, `writes: [\"/PATH\"]` (put back as they were), `again: \"safe\"` (repeated once the files are back) or `irreversible: \"why\"`; a command that only looks is a `probe`";
                findings.warning(position, message, "stays when the run is unwound", help);
            }
        });
    }
}

/// The closures that undo something, or open and close a bracket: what they do is not undone in turn.
fn undoing(view: &View<'_>) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut take = |expr: &Expr| names.extend(closure_literal(expr).map(|closure| closure.name));
    for body in &view.bodies {
        body.walk(&mut |path| {
            let Some((call, ..)) = path.last().and_then(call_at) else { return };
            match call.name.as_str() {
                "on_undo" => call.args.iter().for_each(&mut take),
                "bracket" => {
                    let maps = call.args.iter().filter_map(|arg| if let Expr::Map(map, _) = arg { Some(map) } else { None });
                    let sides = maps.flat_map(|map| &map.0).filter(|(key, _)| matches!(key.name.as_str(), "enter" | "leave"));
                    sides.for_each(|(_, value)| take(value));
                }
                _ => {}
            }
        });
    }
    names
}

/// Whether its options say so, or cannot be read from here.
fn is_declared(call: &FnCallExpr) -> bool {
    match call.args.get(1) {
        None => false,
        Some(Expr::Map(map, _)) => map.0.iter().any(|(key, _)| SAYS.contains(&key.name.as_str())),
        Some(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use crate::script::lint::tests::findings;

    #[test]
    fn a_command_without_undo_is_a_warning() {
        assert_eq!(findings("let h = host(\"a\"); h.run(\"rm x\");"), ["`run` does not say how the command is undone"]);
        for says in ["undo: \"touch x\"", "irreversible: \"gone\"", "creates: \"/x\"", "writes: [\"/x\"]"] {
            assert!(findings(&format!("let h = host(\"a\"); h.run(\"rm x\", #{{ {says} }});")).is_empty(), "{says}");
        }
        assert_eq!(findings("let h = host(\"a\"); h.run(\"rm x\", #{ cwd: \"/x\" });").len(), 1);
    }
}
