//! Calls that cannot work: unknown names, wrong numbers of arguments, literals of a kind that no form takes, functions named
//! by a text.

use super::{Findings, View};
use crate::script::calls::{call_at, closure_literal};
use crate::script::symbols::{did_you_mean, nearest};
use rhai::{Expr, FnCallExpr, Position};
use std::collections::BTreeSet;

/// Words that Rhai answers itself.
const OWN: [&str; 9] = ["call", "curry", "type_of", "is_def_var", "is_def_fn", "is_shared", "print", "debug", "eval"];
/// Methods of lists that take a closure, or the name of a function.
const TAKES_CLOSURE: [&str; 12] =
    ["map", "filter", "reduce", "reduce_rev", "some", "all", "find", "find_map", "for_each", "retain", "drain", "dedup"];

/// One call that is looked at.
struct Call<'a> {
    expr: &'a FnCallExpr,
    position: Position,
    method: bool,
}

pub(super) fn check(view: &View<'_>, findings: &mut Findings<'_>) {
    for body in &view.bodies {
        body.walk(&mut |path| {
            let Some((expr, position, method)) = path.last().and_then(call_at) else { return };
            if !expr.is_operator_call() {
                check_call(view, &Call { expr, position, method }, findings);
            }
        });
    }
}

fn check_call(view: &View<'_>, call: &Call<'_>, findings: &mut Findings<'_>) {
    let name = call.expr.name.as_str();
    if name == "Fn" {
        let help = "write a closure: |x| f(x)";
        return findings.error(call.position, "a function cannot be named by a text", "not allowed", help);
    }
    if !name.starts_with(|c: char| c.is_alphabetic() || c == '_') || OWN.contains(&name) {
        return;
    }
    if call.expr.is_qualified() {
        return check_qualified(view, call, findings);
    }
    check_callback(view, call, findings);
    let counts = counts(view, call);
    if counts.is_empty() {
        unknown(view, call, findings);
    } else if counts.contains(&call.expr.args.len()) {
        check_literals(view, call, findings);
    } else {
        let forms = view.linter.symbols.forms(name, call.method);
        let help = if forms.is_empty() { script_forms(view, name) } else { format!("{name} exists as:\n{forms}") };
        wrong_count(call, name, &counts, help, findings);
    }
}

/// The numbers of arguments that some function of this name takes, without the receiver.
fn counts(view: &View<'_>, call: &Call<'_>) -> BTreeSet<usize> {
    let name = call.expr.name.as_str();
    let forms = view.linter.symbols.signatures(name).iter().map(|form| form.params.len());
    let native = forms.filter_map(|count| count.checked_sub(usize::from(call.method)));
    // A function of the script that is called as a method has the receiver as `this`.
    let script = view.unit.ast.iter_functions().filter(|function| function.name == name).map(|function| function.params.len());
    native.chain(script).collect()
}

fn script_forms(view: &View<'_>, name: &str) -> String {
    let functions = view.unit.ast.iter_functions().filter(|function| function.name == name);
    functions.map(|function| format!("{name}({})", function.params.join(", "))).collect::<Vec<_>>().join("\n")
}

fn wrong_count(call: &Call<'_>, shown: &str, counts: &BTreeSet<usize>, help: String, findings: &mut Findings<'_>) {
    let takes: Vec<String> = counts.iter().map(ToString::to_string).collect();
    let plural = if takes == ["1"] { "" } else { "s" };
    let message = format!("`{shown}` takes {} argument{plural}, {} given", takes.join(" or "), call.expr.args.len());
    findings.error(call.position, message, "wrong number of arguments", help);
}

fn unknown(view: &View<'_>, call: &Call<'_>, findings: &mut Findings<'_>) {
    let (name, symbols) = (call.expr.name.as_str(), view.linter.symbols);
    if call.method {
        // A map that holds a closure is called like a method too.
        if !symbols.keys.contains(name) {
            let help = did_you_mean(name, symbols.functions.keys().map(String::as_str));
            findings.error(call.position, format!("no type has a method `{name}`"), "unknown method", help);
        }
        return;
    }
    if symbols.variables.contains(name) {
        let help = format!("if it holds a closure, call it with {name}.call(...)");
        return findings.error(call.position, format!("`{name}` is a variable, not a function"), "called like a function", help);
    }
    let own = view.unit.ast.iter_functions().map(|function| function.name);
    let help = match nearest(name, symbols.functions.keys().map(String::as_str).chain(own)) {
        Some(near) => format!("did you mean `{near}`?\n{}", symbols.forms(near, false)).trim_end().to_owned(),
        None => String::new(),
    };
    findings.error(call.position, format!("there is no function `{name}`"), "unknown function", help);
}

fn check_qualified(view: &View<'_>, call: &Call<'_>, findings: &mut Findings<'_>) {
    let (name, path) = (call.expr.name.as_str(), &call.expr.namespace.path);
    let [alias] = path.as_slice() else { return };
    let import = view.unit.imports.iter().find(|import| import.alias == *alias.name);
    let Some(offered) = import.and_then(|import| view.linter.offered(&import.target)) else { return };
    let shown = format!("{}::{name}", alias.name);
    let Some(forms) = offered.get(name) else {
        let help = did_you_mean(name, offered.keys().copied());
        return findings.error(call.position, format!("`{}` has no function `{name}`", alias.name), "unknown function", help);
    };
    let counts: BTreeSet<usize> = forms.iter().map(Vec::len).collect();
    if !counts.contains(&call.expr.args.len()) {
        let help: Vec<String> = forms.iter().map(|params| format!("{shown}({})", params.join(", "))).collect();
        wrong_count(call, &shown, &counts, help.join("\n"), findings);
    }
}

/// `list.map("f")` calls whatever has that name, past every other check.
fn check_callback(view: &View<'_>, call: &Call<'_>, findings: &mut Findings<'_>) {
    let name = call.expr.name.as_str();
    let Some(Expr::StringConstant(text, position)) = call.expr.args.first() else { return };
    if call.method && TAKES_CLOSURE.contains(&name) && !view.linter.symbols.is_host_method(name) {
        let help = format!("write a closure: .{name}(|x| {text}(x))");
        findings.error(*position, "a function cannot be named by a text", "not allowed", help);
    }
}

/// Literal arguments that no form with this number of parameters takes.
fn check_literals(view: &View<'_>, call: &Call<'_>, findings: &mut Findings<'_>) {
    let (name, hidden) = (call.expr.name.as_str(), usize::from(call.method));
    let count = call.expr.args.len() + hidden;
    let forms: Vec<_> = view.linter.symbols.signatures(name).iter().filter(|form| form.params.len() == count).collect();
    let script =
        view.unit.ast.iter_functions().any(|function| function.name == name && function.params.len() == call.expr.args.len());
    let Some(first) = forms.first().filter(|_| !script) else { return };
    for (n, argument) in call.expr.args.iter().enumerate() {
        let wanted = || forms.iter().filter_map(|form| form.params.get(n + hidden)).map(|param| param.kind.as_str());
        let (Some(kind), Some(param)) = (literal_kind(argument), first.params.get(n + hidden)) else { continue };
        if wanted().all(|want| want != kind && want != "any") {
            let kinds: BTreeSet<&str> = wanted().collect();
            let kinds = kinds.into_iter().collect::<Vec<_>>().join(" or ");
            let what = if param.name.is_empty() { format!("argument {}", n + 1) } else { format!("`{}`", param.name) };
            let message = format!("`{name}`: {what} must be {kinds}, not {kind}");
            let label = format!("this is {kind}, expected {kinds}");
            findings.error(argument.start_position(), message, &label, view.linter.symbols.forms(name, call.method).trim());
        }
    }
}

/// The kind of a value that is written out.
pub(super) fn literal_kind(expr: &Expr) -> Option<&'static str> {
    Some(match expr {
        Expr::IntegerConstant(..) => "int",
        Expr::FloatConstant(..) => "float",
        Expr::BoolConstant(..) => "bool",
        Expr::CharConstant(..) => "char",
        Expr::StringConstant(..) | Expr::InterpolatedString(..) => "string",
        Expr::Array(..) => "array",
        Expr::Map(..) => "map",
        Expr::Unit(..) => "()",
        other => return closure_literal(other).map(|_| "closure"),
    })
}
