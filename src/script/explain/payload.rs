//! Values that primitives and scripts raise: failed steps, bad options, imports, and whatever `throw` was given.

use super::{Finding, Place};
use crate::id::HostName;
use crate::script::resolver::ImportError;
use crate::script::symbols::{Symbols, nearest};
use crate::step::StepError;
use rhai::{Dynamic, Map, Position};

/// How many lines of a host's standard error are worth showing.
const STDERR_LINES: usize = 12;

/// An option that a primitive does not take, or not like this. Raised by the bindings, found by the lints.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct OptionError {
    /// The primitive's name.
    pub primitive: String,
    /// Which option, as in `check.status` or `hosts[1]`.
    pub path: String,
    /// What is wrong with it.
    pub message: String,
    /// What the primitive takes there; empty when the name is right.
    pub known: Vec<String>,
    /// The call; its literal map is searched for the key.
    pub position: Position,
}

impl OptionError {
    /// A key that the primitive does not know.
    #[must_use]
    pub(crate) fn unknown(primitive: &str, path: &str, known: Vec<String>, position: Position) -> Self {
        let message = format!("`{primitive}` has no option `{path}`");
        Self { primitive: primitive.to_owned(), path: path.to_owned(), message, known, position }
    }

    /// The last part of the path.
    fn key(&self) -> &str {
        self.path.rsplit('.').next().unwrap_or(&self.path)
    }

    /// What to try: the key that was meant, and all that there are.
    #[must_use]
    pub(crate) fn help(&self) -> String {
        if self.known.is_empty() {
            return String::new();
        }
        let near = nearest(self.key(), self.known.iter().map(String::as_str));
        let near = near.map_or_else(String::new, |near| format!("did you mean `{near}`? "));
        format!("{near}options: {}", self.known.join(", "))
    }

    /// Where the key stands in the call's literal map; the longest part of the path that is written there.
    #[must_use]
    pub(crate) fn key_position(&self, symbols: &Symbols) -> Option<Position> {
        let site = symbols.calls.get(&self.position)?;
        let mut path = self.path.as_str();
        loop {
            if let Some((_, position)) = site.keys.iter().find(|(key, _)| key == path) {
                return Some(*position);
            }
            path = path.get(..path.rfind(['.', '['])?)?;
        }
    }
}

pub(super) fn explain(symbols: &Symbols, thrown: &Dynamic, position: Position) -> Finding {
    if let Some(error) = thrown.read_lock::<StepError>() {
        return step(&error);
    }
    if let Some(error) = thrown.read_lock::<OptionError>() {
        return option(symbols, &error, position);
    }
    if let Some(error) = thrown.read_lock::<ImportError>() {
        return Finding::new(&error.message, "here").help(&error.help);
    }
    let label = if symbols.calls.contains_key(&position) { "failed here" } else { "thrown here" };
    if let Some(map) = thrown.read_lock::<Map>() {
        return thrown_map(&map, label);
    }
    let message = thrown.to_string();
    Finding::new(if message.is_empty() { "the script failed without saying why" } else { &message }, label)
}

fn step(error: &StepError) -> Finding {
    let host = error.host.as_ref().filter(|host| !host.is_controller()).map(HostName::as_str);
    let host = host.filter(|host| !error.message.contains(host));
    let message = host.map_or_else(|| error.message.clone(), |host| format!("{} on {host}", error.message));
    let place = if error.site.line > 0 { Place::Site(error.site.clone()) } else { Place::Here };
    let said: Vec<String> = error.stderr.trim_end().lines().map(|line| format!("  {line}")).collect();
    let tail = said.get(said.len().saturating_sub(STDERR_LINES)..).unwrap_or_default();
    let mut help: Vec<String> = error.help.iter().cloned().collect();
    if !tail.is_empty() {
        let who = error.host.as_ref().filter(|host| !host.is_controller()).map_or("the command", HostName::as_str);
        help.push(format!("{who} said:\n{}", tail.join("\n")));
    }
    Finding { place, ..Finding::new(message, "failed here").help(help.join("\n")) }
}

/// Rhai moves a position outwards on its way; the one in the error is better when the call is known.
fn option(symbols: &Symbols, error: &OptionError, position: Position) -> Finding {
    let error = if error.position.is_none() { &OptionError { position, ..error.clone() } } else { error };
    let label = if error.known.is_empty() { "this option" } else { "unknown option" };
    Finding::new(&error.message, label).help(error.help()).place(error.key_position(symbols).or(Some(error.position)))
}

/// A thrown map speaks through its `message`; its other keys go to the help.
fn thrown_map(map: &Map, label: &str) -> Finding {
    let Some(message) = map.get("message") else { return Finding::new(format!("the script threw {map:?}"), label) };
    // What Rhai adds when a script catches one of its own errors and throws it on.
    let own = ["message", "error", "line", "position", "source"];
    let rest: Vec<String> =
        map.iter().filter(|(key, _)| !own.contains(&key.as_str())).map(|(key, value)| format!("{key}: {value}")).collect();
    Finding::new(message.to_string(), label).help(rest.join("\n"))
}
