//! Calls that no function answers: unknown names, wrong numbers and kinds of arguments, operators that do not apply.

use super::{Finding, counted};
use crate::script::calls::{CallSite, is_closure_name};
use crate::script::symbols::{Signature, Symbols, did_you_mean, kind_name, nearest};
use rhai::Position;
use std::collections::BTreeSet;

/// A call as Rhai's message tells it: `name (kind, kind)`.
struct Call<'a> {
    name: &'a str,
    kinds: Vec<String>,
    site: Option<&'a CallSite>,
}

impl Call<'_> {
    fn is_method(&self) -> bool {
        self.site.is_some_and(|site| site.method)
    }

    /// 1 where the first kind is the receiver's, else 0.
    fn hidden(&self) -> usize {
        usize::from(self.is_method()).min(self.kinds.len())
    }

    fn given(&self) -> usize {
        self.kinds.len() - self.hidden()
    }

    fn receiver(&self) -> Option<&str> {
        self.kinds.first().filter(|_| self.is_method()).map(String::as_str)
    }
}

pub(super) fn explain(symbols: &Symbols, signature: &str, position: Position) -> Finding {
    let (name, kinds) = signature.split_once(" (").unwrap_or((signature, ""));
    let kinds = kinds.trim_end_matches(')');
    let kinds = if kinds.is_empty() { Vec::new() } else { kinds.split(", ").map(kind_name).collect() };
    let call = Call { name: name.trim(), kinds, site: symbols.calls.get(&position) };
    if is_closure_name(call.name) {
        return closure_arity(symbols, &call);
    }
    if !call.name.starts_with(|c: char| c.is_alphabetic() || c == '_') {
        return operator(&call);
    }
    if let Some((module, function)) = call.name.rsplit_once("::") {
        return in_module(symbols, module, function, call.kinds.len());
    }
    wrong_argument(symbols, &call)
        .or_else(|| wrong_count(symbols, &call))
        .or_else(|| closure_variable(symbols, &call))
        .unwrap_or_else(|| unknown(symbols, &call))
}

fn closure_arity(symbols: &Symbols, call: &Call<'_>) -> Finding {
    let Some(shape) = symbols.closures.get(call.name) else {
        return Finding::new("a closure was called with the wrong number of arguments", "called here");
    };
    let given = call.kinds.len().saturating_sub(shape.captured);
    let takes = counted(shape.params.len(), "argument");
    let help = format!("the closure is written as |{}|", shape.params.join(", "));
    Finding::new(format!("the closure takes {takes}, {given} given"), "calls the closure").help(help)
}

fn operator(call: &Call<'_>) -> Finding {
    let has = |kind: &str| call.kinds.iter().any(|found| found == kind);
    let help = if has("()") {
        "one side is (): a value that was never set, or the result of something that returns nothing"
    } else if has("string") && (has("int") || has("float")) {
        "convert first: parse_int(text), or `${number}`"
    } else {
        ""
    };
    let message = match call.kinds.as_slice() {
        [left, right] => format!("`{}` does not apply to {left} and {right}", call.name),
        kinds => format!("`{}` does not apply to {}", call.name, kinds.join(", ")),
    };
    Finding::new(message, "no such operation").help(help)
}

fn in_module(symbols: &Symbols, module: &str, function: &str, given: usize) -> Finding {
    if symbols.script_functions.contains_key(function) {
        return script_count(symbols, &format!("{module}::{function}"), function, given);
    }
    let static_names = symbols.modules.get(module).into_iter().flatten();
    let names = symbols.script_functions.keys().chain(static_names).map(String::as_str);
    let help = did_you_mean(function, names);
    Finding::new(format!("`{module}` has no function `{function}`"), "unknown function").help(help)
}

/// The right number of arguments, but one of the wrong kind: points at it.
fn wrong_argument(symbols: &Symbols, call: &Call<'_>) -> Option<Finding> {
    let signature = closest_form(symbols.signatures(call.name), call)?;
    let fits = |(want, got): (&str, &String)| want == got || want == "any";
    let wants = signature.params.iter().map(|param| param.kind.as_str());
    let wrong = wants.zip(&call.kinds).position(|pair| !fits(pair))?;
    let got = call.kinds.get(wrong)?;
    if wrong == 0 && call.is_method() {
        return None;
    }
    let argument = wrong - call.hidden();
    let param = signature.params.get(wrong)?;
    let what = if param.name.is_empty() { format!("argument {}", argument + 1) } else { format!("`{}`", param.name) };
    let message = format!("`{}`: {what} must be {}, not {got}", call.name, param.kind);
    let place = call.site.and_then(|site| site.arguments.get(argument)).copied();
    let label = if got == "()" { "this is ()".to_owned() } else { format!("this is {got}, expected {}", param.kind) };
    Some(Finding::new(message, label).help(symbols.forms(call.name, call.is_method()).trim()).place(place))
}

/// Among the forms with as many parameters, the one that most of the arguments fit; for a method it has to fit the receiver.
fn closest_form<'a>(forms: &'a [Signature], call: &Call<'_>) -> Option<&'a Signature> {
    let fitting = |form: &Signature| form.params.iter().zip(&call.kinds).filter(|(param, kind)| param.kind == **kind).count();
    let receiver_fits =
        |form: &&Signature| call.receiver().is_none_or(|kind| form.params.first().is_some_and(|first| first.kind == kind));
    forms.iter().filter(|form| form.params.len() == call.kinds.len()).filter(receiver_fits).max_by_key(|form| fitting(form))
}

fn wrong_count(symbols: &Symbols, call: &Call<'_>) -> Option<Finding> {
    if symbols.script_functions.contains_key(call.name) {
        return Some(script_count(symbols, call.name, call.name, call.given()));
    }
    let of_receiver =
        |form: &&Signature| call.receiver().is_none_or(|kind| form.params.first().is_some_and(|first| first.kind == kind));
    let forms = symbols.signatures(call.name).iter().filter(of_receiver);
    let counts: BTreeSet<usize> = forms.map(|form| form.params.len().saturating_sub(call.hidden())).collect();
    if counts.is_empty() || counts.contains(&call.given()) {
        return None;
    }
    let help = format!("{} exists as:\n{}", call.name, symbols.forms(call.name, call.is_method()));
    Some(Finding::new(count_message(call.name, &counts, call.given()), "wrong number of arguments").help(help))
}

fn script_count(symbols: &Symbols, shown: &str, name: &str, given: usize) -> Finding {
    let forms = symbols.script_functions.get(name);
    let counts: BTreeSet<usize> = forms.into_iter().flatten().map(Vec::len).collect();
    let shown_forms: Vec<String> = forms.into_iter().flatten().map(|params| format!("{shown}({})", params.join(", "))).collect();
    Finding::new(count_message(shown, &counts, given), "wrong number of arguments").help(shown_forms.join("\n"))
}

fn count_message(name: &str, counts: &BTreeSet<usize>, given: usize) -> String {
    let last = counts.last().copied().unwrap_or_default();
    let takes: Vec<String> = counts.iter().map(ToString::to_string).collect();
    let takes = if takes.len() == 1 { counted(last, "argument") } else { format!("{} arguments", takes.join(" or ")) };
    format!("`{name}` takes {takes}, {given} given")
}

fn closure_variable(symbols: &Symbols, call: &Call<'_>) -> Option<Finding> {
    let known = symbols.functions.contains_key(call.name);
    if known || call.is_method() || !symbols.variables.contains(call.name) {
        return None;
    }
    let help = format!("if it holds a closure, call it with {}.call(...)", call.name);
    Some(Finding::new(format!("`{}` is a variable, not a function", call.name), "called like a function").help(help))
}

fn unknown(symbols: &Symbols, call: &Call<'_>) -> Finding {
    let Some(receiver) = call.receiver() else {
        let near = nearest(call.name, symbols.function_names());
        return Finding::new(format!("there is no function `{}`", call.name), "unknown function")
            .help(near_forms(symbols, near, false));
    };
    if receiver == "()" {
        let help = "the value before the dot is (): a function that returns nothing, or a variable that was never set";
        return Finding::new(format!("`{}` is called on nothing", call.name), "called on ()").help(help);
    }
    let message = format!("{receiver} has no method `{}`", call.name);
    let help = near_forms(symbols, nearest(call.name, symbols.methods_of(receiver)), true);
    let property = symbols.properties.get(receiver).is_some_and(|known| known.contains_key(call.name));
    let help = if property { format!("`{0}` is a property: write .{0}", call.name) } else { help };
    Finding::new(message, "unknown method").help(help)
}

fn near_forms(symbols: &Symbols, near: Option<&str>, method: bool) -> String {
    let Some(near) = near else { return String::new() };
    let forms = symbols.forms(near, method);
    if forms.is_empty() { format!("did you mean `{near}`?") } else { format!("did you mean `{near}`?\n{forms}") }
}
