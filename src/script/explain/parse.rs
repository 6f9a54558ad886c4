//! Texts that do not parse. The parser stops at the first mistake and knows no symbols of the text yet, so that the names
//! for a "did you mean" are read from the text itself.

use super::value::unknown_variable;
use super::{Explainer, Finding, uncapitalized};
use crate::script::symbols::{Symbols, did_you_mean};
use rhai::{LexError, ParseErrorType, Position};
use std::collections::BTreeSet;

pub(super) fn explain(explainer: &Explainer<'_>, kind: &ParseErrorType, position: Position) -> Finding {
    let text = explainer.sources.locate(position).map(|(file, ..)| file.text.to_string()).unwrap_or_default();
    match kind {
        ParseErrorType::VariableUndefined(name) => {
            let variables =
                explainer.symbols.variables.iter().cloned().chain(declared(&text, &["let", "const", "for"])).collect();
            let script_functions = declared(&text, &["fn"]).into_iter().map(|name| (name, BTreeSet::new())).collect();
            let functions = explainer.symbols.functions.clone();
            let finding = unknown_variable(&Symbols { variables, script_functions, functions, ..Symbols::default() }, name);
            if is_assigned(explainer, position) { without_let(finding, name) } else { finding }
        }
        ParseErrorType::ModuleUndefined(name) => unknown_module(explainer.symbols, &text, name),
        ParseErrorType::Reserved(word) => reserved(word),
        ParseErrorType::AssignmentToConstant(name) if !name.is_empty() => {
            Finding::new(format!("`{name}` is a constant"), "cannot be changed")
                .help(format!("declare it with `let {name}` to change it later"))
        }
        ParseErrorType::BadInput(error) => bad_input(error),
        other => syntax(other, &text),
    }
}

/// Whether a single `=` stands behind the name at a position.
fn is_assigned(explainer: &Explainer<'_>, position: Position) -> bool {
    let Some((file, offset, length)) = explainer.sources.span(position) else { return false };
    let rest = file.text.get(offset + length..).unwrap_or_default().trim_start();
    rest.starts_with('=') && !rest.starts_with("==")
}

fn without_let(finding: Finding, name: &str) -> Finding {
    let near = finding.help.starts_with("did you mean");
    let (start, it) = if near { (format!("{} ", finding.help), "a new one") } else { (String::new(), "it") };
    finding.help(format!("{start}to declare {it}, write let {name} = ..."))
}

/// The names behind some words, as the names of variables behind `let`.
fn declared(text: &str, words: &[&str]) -> BTreeSet<String> {
    let tokens: Vec<&str> = text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|token| !token.is_empty()).collect();
    tokens.windows(2).filter(|pair| words.contains(&pair[0])).map(|pair| pair[1].to_owned()).collect()
}

fn unknown_module(symbols: &Symbols, text: &str, name: &str) -> Finding {
    let mut names: BTreeSet<String> = declared(text, &["as"]);
    names.extend(symbols.modules.keys().cloned());
    names.extend(["env", "vars", "run"].map(str::to_owned));
    let near = did_you_mean(name, names.iter().map(String::as_str));
    let import = format!("import it at the top of the file: import \"lib/{name}\" as {name};");
    Finding::new(format!("there is no module `{name}` here"), "not imported").help(if near.is_empty() { import } else { near })
}

fn reserved(word: &str) -> Finding {
    let help = match word {
        "var" => "variables are declared with `let`".to_owned(),
        "match" | "case" => "the word for it is `switch`".to_owned(),
        "null" | "nil" => "nothing is written ()".to_owned(),
        "sync" | "async" | "await" | "spawn" | "go" | "thread" => {
            "for several hosts at once there are `parallel` and `rolling`".to_owned()
        }
        "===" | "!==" => "comparisons are written == and !=".to_owned(),
        "++" | "--" => "write += 1 or -= 1".to_owned(),
        "eval" => "a script cannot run text that it makes up".to_owned(),
        "#" => "comments start with //".to_owned(),
        _ => "choose another name".to_owned(),
    };
    let is_word = word.starts_with(|c: char| c.is_alphabetic());
    let what = if is_word { "a word kept for the language" } else { "no sign of the language" };
    Finding::new(format!("`{word}` is {what}"), "cannot be used here").help(help)
}

fn bad_input(error: &LexError) -> Finding {
    match error {
        LexError::UnterminatedString => Finding::new("the text is not closed", "starts here")
            .help("a text in \"...\" ends in its line; for several lines write `...`"),
        LexError::MalformedChar(_) => {
            Finding::new("'...' holds exactly one character", "here").help("texts are written in \"...\"")
        }
        LexError::ImproperSymbol(symbol, message) if message.is_empty() || message.ends_with("is disabled") => reserved(symbol),
        LexError::ImproperSymbol(symbol, _) if matches!(symbol.as_str(), "===" | "!==" | "++" | "--" | "#") => reserved(symbol),
        LexError::UnexpectedInput(symbol) if symbol.starts_with('#') => reserved("#"),
        other => Finding::new(uncapitalized(&other.to_string()), "here"),
    }
}

fn syntax(kind: &ParseErrorType, text: &str) -> Finding {
    let message = kind.to_string();
    let message = match kind {
        ParseErrorType::UnexpectedEOF => "the script ends too early".to_owned(),
        _ => message.strip_prefix("Expecting").map_or_else(|| uncapitalized(&message), |rest| format!("expected{rest}")),
    };
    let help = match kind {
        ParseErrorType::MissingToken(token, _) if token == ";" => "a `;` is missing before this".to_owned(),
        ParseErrorType::MissingToken(..) | ParseErrorType::UnexpectedEOF => unbalanced(text),
        ParseErrorType::DuplicatedProperty(key) => format!("remove one `{key}`"),
        ParseErrorType::WrongFnDefinition => "for a function within another one, use a closure: let f = |x| ...".to_owned(),
        _ => String::new(),
    };
    Finding::new(message, "here").help(help)
}

/// Which bracket is open at the end of the text. Counts brackets within texts and comments too, so that it only hints.
fn unbalanced(text: &str) -> String {
    let pairs = [('{', '}'), ('(', ')'), ('[', ']')];
    let open = pairs.iter().find(|(open, close)| text.matches(*open).count() > text.matches(*close).count());
    open.map_or_else(String::new, |(open, close)| format!("there are more `{open}` than `{close}` in this file"))
}
