//! Values that are not what the script takes them for: unknown variables and properties, missing keys, constants that are
//! written to, limits that are reached.

use super::{Finding, counted, uncapitalized};
use crate::script::symbols::{Symbols, did_you_mean, kind_name, nearest};
use rhai::EvalAltResult;

const READ_ONLY: &str = "constants, and what a closure captures when it runs for several hosts, cannot be changed; return a value from the \
                         closure and use the result";

pub(super) fn explain(symbols: &Symbols, error: &EvalAltResult) -> Finding {
    match error {
        EvalAltResult::ErrorVariableNotFound(name, _) => unknown_variable(symbols, name),
        EvalAltResult::ErrorDotExpr(text, _) => property(symbols, text),
        EvalAltResult::ErrorPropertyNotFound(key, _) => missing_key(symbols, key),
        EvalAltResult::ErrorAssignmentToConstant(name, _) => {
            Finding::new(format!("`{name}` cannot be changed here"), "changed here").help(READ_ONLY)
        }
        EvalAltResult::ErrorNonPureMethodCallOnConstant(name, _) => constant_method(name),
        EvalAltResult::ErrorMismatchOutputType(want, got, _) | EvalAltResult::ErrorMismatchDataType(want, got, _) => {
            mismatch(want, got)
        }
        EvalAltResult::ErrorModuleNotFound(name, _) => Finding::new(format!("there is no module `{name}`"), "not imported"),
        _ => bounds(error).or_else(|| limit(error)).unwrap_or_else(|| plain(error)),
    }
}

/// Also for the parser, which in strict mode is the first to see it.
pub(super) fn unknown_variable(symbols: &Symbols, name: &str) -> Finding {
    let finding = Finding::new(format!("there is no variable `{name}`"), "not defined");
    if symbols.variables.contains(name) {
        return finding.help(format!(
            "a `fn` does not see variables outside of it: pass `{name}` as a parameter, use a closure, or declare `const {name}` \
             and write global::{name}"
        ));
    }
    if symbols.functions.contains_key(name) || symbols.script_functions.contains_key(name) {
        return finding.help(format!("`{name}` is a function: write {name}(...)"));
    }
    finding.help(did_you_mean(name, symbols.variables.iter().map(String::as_str)))
}

/// Rhai's text: `Unknown property 'x' - a getter is not registered for type 'T'`, or `No writable property ...`.
fn property(symbols: &Symbols, text: &str) -> Finding {
    let mut quoted = text.split('\'').skip(1).step_by(2);
    let (Some(name), Some(kind)) = (quoted.next(), quoted.next().map(kind_name)) else { return Finding::new(text, "here") };
    let known = symbols.properties.get(&kind);
    let exists = known.is_some_and(|known| known.contains_key(name));
    if exists && (text.contains("setter") || text.starts_with("No writable")) {
        return Finding::new(format!("`{name}` of {kind} can only be read"), "cannot be assigned");
    }
    if kind == "()" {
        let help = "the value before the dot is (): a function that returns nothing, or a variable that was never set";
        return Finding::new(format!("`{name}` is asked of nothing"), "asked of ()").help(help);
    }
    let names: Vec<&str> = known.into_iter().flatten().map(|(name, _)| name.as_str()).collect();
    let help = if let Some(near) = nearest(name, names.iter().copied()) {
        format!("did you mean `{near}`?")
    } else if symbols.methods_of(&kind).any(|method| method == name) {
        format!("`{name}` is a method: write .{name}(...)")
    } else if names.is_empty() {
        String::new()
    } else {
        format!("{kind} has: {}", names.join(", "))
    };
    Finding::new(format!("{kind} has no property `{name}`"), "unknown property").help(help)
}

fn missing_key(symbols: &Symbols, key: &str) -> Finding {
    let near = did_you_mean(key, symbols.keys.iter().map(String::as_str));
    let gap = if near.is_empty() { "" } else { "\n" };
    let help = format!("{near}{gap}for a key that may be missing, write map.get(\"{key}\") ?? default");
    Finding::new(format!("the map has no key `{key}`"), "no such key").help(help)
}

fn constant_method(name: &str) -> Finding {
    let message = match name.strip_prefix("set$") {
        Some(property) => format!("`{property}` of a constant cannot be changed here"),
        None if name.starts_with("index$") => "an item of a constant cannot be changed here".to_owned(),
        None => format!("`{name}` would change a value that cannot be changed here"),
    };
    Finding::new(message, "changed here").help(READ_ONLY)
}

fn mismatch(want: &str, got: &str) -> Finding {
    let (want, got) = (kind_name(want), kind_name(got));
    let message = if got == "any" { format!("{want} is needed here") } else { format!("{want} is needed here, not {got}") };
    Finding::new(message, format!("expected {want}"))
}

fn bounds(error: &EvalAltResult) -> Option<Finding> {
    Some(match error {
        EvalAltResult::ErrorArrayBounds(length, index, _) => {
            Finding::new(format!("there is no item {index}: the list has {}", counted(*length, "item")), "out of bounds")
        }
        EvalAltResult::ErrorStringBounds(length, index, _) => {
            Finding::new(format!("there is no character {index}: the text has {length}"), "out of bounds")
        }
        EvalAltResult::ErrorIndexNotFound(key, _) => Finding::new(format!("there is nothing at `{key}`"), "no such key"),
        EvalAltResult::ErrorIndexingType(kind, _) => {
            let kind = kind_name(kind.split(" [").next().unwrap_or(kind));
            Finding::new(format!("{kind} cannot be indexed like this"), "not possible")
        }
        EvalAltResult::ErrorFor(_) => Finding::new("`for` needs a list, a range or a text", "cannot be gone through")
            .help("for a map, go through map.keys() or map.values()"),
        _ => return None,
    })
}

fn limit(error: &EvalAltResult) -> Option<Finding> {
    Some(match error {
        EvalAltResult::ErrorTooManyOperations(_) => {
            Finding::new("too many operations: a loop that does not end?", "stopped here")
                .help("waiting belongs to a primitive like wait_for, not to a loop")
        }
        EvalAltResult::ErrorStackOverflow(_) => {
            Finding::new("too many calls within each other: a function that calls itself without end?", "stopped here")
        }
        EvalAltResult::ErrorDataRace(name, _) => {
            let name = name.trim_matches('\'');
            let what = if name.is_empty() { "a variable".to_owned() } else { format!("`{name}`") };
            Finding::new(format!("{what} is in use by another closure right now"), "waited for in vain").help(
                "a variable that closures share is locked while a method runs on it: give each closure its own value, as a parameter, \
                 or copy it first with `let`",
            )
        }
        EvalAltResult::ErrorUnboundThis(_) => {
            Finding::new("`this` is only there in a function that is called as a method", "no `this` here")
        }
        _ => return None,
    })
}

/// Rhai's own words, without the position that it puts behind them.
fn plain(error: &EvalAltResult) -> Finding {
    let text = error.to_string();
    let place = format!(" ({})", error.position());
    Finding::new(uncapitalized(text.strip_suffix(&place).unwrap_or(&text)), "here")
}
