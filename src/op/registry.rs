//! The open set of primitives, by name: how a call from a script, or a check from a journal, becomes an operation.

use super::{Operation, StepContext};
use crate::step::StepError;
use crate::words;
use serde_json::Value;
use std::collections::BTreeMap;

/// What a primitive is called on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// A host: `h.write(..)`.
    Host,
    /// A service of a host: `h.service("web").restart()`. Its fields `unit` come from there.
    Service,
    /// A service of others: `external("payments").healthy()`. Its field `external` comes from there.
    External,
    /// Nothing: `notify(..)`.
    Controller,
}

/// Arguments that do not fit a primitive.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct BadArguments {
    /// The field, as in `attributes.mode`; `.` when it is the whole.
    pub path: String,
    /// What is wrong with it.
    pub message: String,
    /// The names that exist, when one does not.
    pub known: Vec<String>,
}

/// An operation whose type is not known any more.
pub trait AnyOperation: Send + Sync {
    /// Runs it; its output is JSON.
    ///
    /// # Errors
    /// As [`Operation::run`].
    fn run(&self, cx: &mut StepContext<'_>) -> Result<Value, StepError>;
    /// Its arguments as the journal keeps them: no secret, no file content.
    fn args(&self) -> Value;
    /// What a line of the report says behind the name.
    fn summary(&self) -> String;
    /// The check to hold again after unwinding.
    fn when_unwound(&self) -> Option<Value>;
    /// What is given of a step in doubt that a person says is done.
    fn assumed(&self) -> Option<Value>;
    /// Whether it may be done once more when it is in doubt.
    fn may_repeat(&self) -> bool;
}

impl<O: Operation> AnyOperation for O {
    fn run(&self, cx: &mut StepContext<'_>) -> Result<Value, StepError> {
        let output = Operation::run(self, cx)?;
        serde_json::to_value(output).map_err(|error| internal(&error))
    }

    fn args(&self) -> Value {
        serde_json::to_value(self).unwrap_or(Value::Null)
    }

    fn summary(&self) -> String {
        Operation::summary(self)
    }

    fn when_unwound(&self) -> Option<Value> {
        Operation::when_unwound(self).and_then(|check| serde_json::to_value(check).ok())
    }

    fn assumed(&self) -> Option<Value> {
        Operation::assumed(self).and_then(|output| serde_json::to_value(output).ok())
    }

    fn may_repeat(&self) -> bool {
        Operation::may_repeat(self)
    }
}

fn internal(error: &serde_json::Error) -> StepError {
    StepError::new(crate::step::ErrorKind::Internal, format!("an output cannot be written down: {error}"))
}

type Parse = fn(Value) -> Result<Box<dyn AnyOperation>, BadArguments>;

/// One primitive of the set.
#[derive(Clone, Copy)]
pub struct Entry {
    /// Its name.
    pub name: &'static str,
    /// What it is called on.
    pub subject: Subject,
    /// The fields given by position.
    pub positional: &'static [&'static str],
    /// The names of its options, where its type cannot tell them.
    pub options: &'static [&'static str],
    /// Its page of the language reference.
    pub page: &'static str,
    parse: Parse,
}

impl Entry {
    /// Makes the operation from its arguments.
    ///
    /// # Errors
    /// Which field is wrong, and how.
    pub fn parse(&self, args: Value) -> Result<Box<dyn AnyOperation>, BadArguments> {
        (self.parse)(args)
    }
}

/// The primitives of one engine.
#[derive(Clone)]
pub struct Registry {
    entries: BTreeMap<&'static str, Entry>,
}

impl Registry {
    /// No primitive.
    #[must_use]
    pub fn empty() -> Self {
        Self { entries: BTreeMap::new() }
    }

    /// Adds a primitive; one of the same name is replaced.
    pub fn add<O: Operation>(&mut self) {
        let entry = Entry {
            name: O::NAME,
            subject: O::SUBJECT,
            positional: O::POSITIONAL,
            options: O::OPTIONS,
            page: O::PAGE,
            parse: parse::<O>,
        };
        self.entries.insert(O::NAME, entry);
    }

    /// The primitive of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Entry> {
        self.entries.get(name)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }
}

fn parse<O: Operation>(args: Value) -> Result<Box<dyn AnyOperation>, BadArguments> {
    match serde_path_to_error::deserialize::<_, O>(&args) {
        Ok(operation) => Ok(Box::new(operation)),
        Err(error) => {
            let (mut path, message) = (error.path().to_string(), error.inner().to_string());
            if path == "." && !message.contains("field `") {
                path = culprit::<O>(&args, &message).unwrap_or(path);
            }
            let given = words::at(&args, &path).filter(|_| path != ".");
            Err(bad_arguments(&path, &message, given, O::POSITIONAL, O::OPTIONS))
        }
    }
}

/// The argument without which it would be read: a flattened part of an operation is read as a whole, and says not which of its values
/// is meant.
fn culprit<O: Operation>(args: &Value, message: &str) -> Option<String> {
    let is_it = |key: &&String| {
        let mut rest = args.clone();
        rest.as_object_mut().and_then(|args| args.remove(key.as_str()));
        let missing = format!("missing field `{key}`");
        let other = |error: serde_json::Error| error.to_string() != message && !error.to_string().starts_with(&missing);
        serde_json::from_value::<O>(rest).map_or_else(other, |_| true)
    };
    args.as_object()?.keys().find(is_it).cloned()
}

/// Reads serde's sentence: ``unknown field `x`, expected one of `a`, `b` `` gives the names that exist.
fn bad_arguments(path: &str, message: &str, given: Option<&Value>, positional: &[&str], options: &[&str]) -> BadArguments {
    let names: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    if message.starts_with("unknown field") {
        let known = names
            .iter()
            .skip(1)
            .chain(options)
            .filter(|name| !positional.contains(name) && (!matches!(**name, "unit" | "external") || options.contains(name)))
            .map(ToString::to_string)
            .collect();
        let key = names.first().copied().unwrap_or(path);
        return BadArguments { path: key.to_owned(), message: format!("unknown option `{key}`"), known };
    }
    if message.starts_with("missing field") {
        let key = names.first().copied().unwrap_or(path);
        return BadArguments { path: key.to_owned(), message: format!("`{key}` is missing"), known: Vec::new() };
    }
    let message = words::explain(message, given);
    let shown = if path == "." { message } else { format!("`{path}`: {message}") };
    BadArguments { path: path.to_owned(), message: shown, known: Vec::new() }
}
