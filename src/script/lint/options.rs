//! Options that are written as a literal map: their keys, and the kinds of those values that are literals too.

use super::{Findings, OptionCheck, View};
use crate::script::calls::call_at;
use rhai::{Expr, FnCallExpr, Position};
use serde_json::{Map, Value};

pub(super) fn check(view: &View<'_>, findings: &mut Findings<'_>) {
    for body in &view.bodies {
        body.walk(&mut |path| {
            if let Some((call, position, method)) = path.last().and_then(call_at) {
                check_call(view, (call, method), position, findings);
                if method {
                    check_literals(view, call, findings);
                }
            }
        });
    }
}

fn check_call(view: &View<'_>, (call, method): (&FnCallExpr, bool), position: Position, findings: &mut Findings<'_>) {
    let symbols = view.linter.symbols;
    // A function or a closure of the script's own may be meant.
    if method && (symbols.script_functions.contains_key(call.name.as_str()) || symbols.keys.contains(call.name.as_str())) {
        return;
    }
    let options: &dyn OptionCheck = view.linter.options;
    for (n, argument) in call.args.iter().enumerate() {
        let is_options = matches!(argument, Expr::Map(..)) && !call.is_qualified() && options.takes_options(&call.name, n);
        if !is_options {
            continue;
        }
        let mut unknown = Vec::new();
        let value = literal(argument, "", &mut unknown);
        if let Some(mut error) = options.check(&call.name, &value, &unknown) {
            error.position = position;
            let place = error.key_position(symbols).unwrap_or_else(|| argument.start_position());
            let label = if error.known.is_empty() { "this option" } else { "unknown option" };
            findings.error(place, error.message.clone(), label, error.help());
        }
    }
}

/// Literals behind a host's method that it takes by position: a path that is relative, a name that is none.
fn check_literals(view: &View<'_>, call: &FnCallExpr, findings: &mut Findings<'_>) {
    let (name, symbols) = (call.name.as_str(), view.linter.symbols);
    // Only where no other type, function or map can be meant.
    let of_host = symbols.signatures(name).iter().all(|form| form.params.first().is_some_and(|first| first.kind == "Host"));
    if !of_host || symbols.script_functions.contains_key(name) || symbols.keys.contains(name) {
        return;
    }
    let value = |argument: &Expr| {
        let mut unknown = Vec::new();
        let value = literal(argument, "", &mut unknown);
        unknown.is_empty().then_some(value)
    };
    let literals: Vec<Option<Value>> = call.args.iter().map(value).collect();
    if let Some((n, message)) = view.linter.options.check_positional(name, &literals)
        && let Some(argument) = call.args.get(n)
    {
        findings.error(argument.start_position(), format!("`{name}`: {message}"), "this argument", "");
    }
}

/// The value of a literal; null for all else, with its path noted.
fn literal(expr: &Expr, path: &str, unknown: &mut Vec<String>) -> Value {
    match expr {
        Expr::IntegerConstant(number, _) => Value::from(*number),
        Expr::FloatConstant(number, _) => Value::from(**number),
        Expr::BoolConstant(value, _) => Value::from(*value),
        Expr::CharConstant(value, _) => Value::from(value.to_string()),
        Expr::StringConstant(text, _) => Value::from(text.as_str()),
        Expr::Unit(_) => Value::Null,
        Expr::Array(items, _) => {
            items.iter().enumerate().map(|(n, item)| literal(item, &format!("{path}[{n}]"), unknown)).collect()
        }
        Expr::Map(map, _) => {
            let dot = if path.is_empty() { "" } else { "." };
            let entry = |(key, value): &(rhai::Ident, Expr)| {
                (key.name.to_string(), literal(value, &format!("{path}{dot}{}", key.name), unknown))
            };
            Value::Object(map.0.iter().map(entry).collect::<Map<_, _>>())
        }
        _ => {
            unknown.push(path.to_owned());
            Value::Null
        }
    }
}
