//! Maps of options from a script, read into typed values with the path to what is wrong.

use super::brackets::{self, BracketOptions, MaintenanceOptions, MutedOptions};
use super::explain::OptionError;
use super::forks::{self, ParallelOptions, RollingOptions};
use super::guarded::{self, GuardedOptions};
use super::lint::OptionCheck;
use super::preflight;
use super::runtime::Raised;
use super::values::{ScriptHost, ServiceOptions};
use crate::op::{BadArguments, Entry, Registry, Subject};
use crate::words;
use rhai::{Array, Dynamic, EvalAltResult, Map, NativeCallContext, Position};
use serde::de::DeserializeOwned;
use serde_json::{Map as JsonMap, Value, json};

/// Reads the options of a construct.
pub(super) fn read<T: DeserializeOwned>(ctx: &NativeCallContext<'_>, primitive: &str, options: Map, known: &[&str]) -> Raised<T> {
    let value = json(&Dynamic::from_map(options))
        .map_err(|message| wrong(ctx, primitive, BadArguments { path: String::new(), message, known: Vec::new() }))?;
    serde_path_to_error::deserialize(&value).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.inner().to_string();
        let key = inner.strip_prefix("unknown field `").and_then(|rest| rest.split('`').next());
        let bad = match key {
            Some(key) => BadArguments {
                path: key.to_owned(),
                message: format!("unknown option `{key}`"),
                known: known.iter().map(ToString::to_string).collect(),
            },
            None => BadArguments { message: about(&path, &inner, &value), path, known: Vec::new() },
        };
        wrong(ctx, primitive, bad)
    })
}

/// Raises what is wrong with arguments, at the place of the call.
pub(super) fn wrong(ctx: &NativeCallContext<'_>, primitive: &str, bad: BadArguments) -> Box<EvalAltResult> {
    let position = ctx.call_position();
    let error = OptionError { primitive: primitive.to_owned(), path: bad.path, message: bad.message, known: bad.known, position };
    EvalAltResult::ErrorRuntime(Dynamic::from(error), position).into()
}

/// A script's value as JSON.
pub(super) fn json(value: &Dynamic) -> Result<Value, String> {
    if let Some(artifact) = value.read_lock::<super::artifacts::ScriptArtifact>() {
        return Ok(artifact.json());
    }
    if let Some(unknown) = value.read_lock::<super::unknown::Unknown>() {
        return json(&unknown.value());
    }
    serde_json::to_value(value).map_err(|_| {
        let kind = super::symbols::kind_name(value.type_name());
        format!("holds a value that cannot be given to a primitive ({kind}); give its name or a plain value")
    })
}

/// The same for the value of an option, where a host, or a list of hosts, stands for its name.
pub(super) fn json_of_option(value: &Dynamic) -> Result<Value, String> {
    let name = |value: &Dynamic| value.read_lock::<ScriptHost>().map(|host| Value::from(host.name().as_str()));
    let names = value.read_lock::<Array>().and_then(|list| list.iter().map(name).collect::<Option<Vec<Value>>>());
    match name(value).or_else(|| names.filter(|names| !names.is_empty()).map(Value::from)) {
        Some(names) => Ok(names),
        None => json(value),
    }
}

/// What the primitives and constructs take, for the check before a run.
pub(super) struct KnownOptions<'a>(pub(super) &'a Registry);

/// Options that are closures.
const CLOSURES: [&str; 3] = ["health", "enter", "leave"];

type Judge = fn(Value) -> Result<(), BadArguments>;

/// A construct that takes options: its name, their names, the argument that they are, and what judges them.
struct Construct {
    name: &'static str,
    known: &'static [&'static str],
    at: &'static [usize],
    judge: Judge,
}

const CONSTRUCTS: &[Construct] = &[
    Construct { name: "rolling", known: forks::ROLLING, at: &[1], judge: |given| typed::<RollingOptions>(given)?.judge() },
    Construct { name: "parallel", known: forks::PARALLEL, at: &[1], judge: |given| typed::<ParallelOptions>(given).map(drop) },
    Construct { name: "bracket", known: brackets::BRACKET, at: &[1], judge: |given| typed::<BracketOptions>(given).map(drop) },
    Construct {
        name: "maintenance",
        known: brackets::MAINTENANCE,
        at: &[1],
        judge: |given| typed::<MaintenanceOptions>(given).map(drop),
    },
    Construct { name: "muted", known: brackets::MUTED, at: &[1], judge: |given| typed::<MutedOptions>(given)?.judge() },
    // The method takes its options as the first argument, the function as the second.
    Construct { name: "preflight", known: preflight::KNOWN, at: &[0, 1], judge: preflight_options },
    Construct { name: "guarded", known: guarded::KNOWN, at: &[0], judge: |given| typed::<GuardedOptions>(given)?.judge() },
    Construct { name: "service", known: &["scope"], at: &[1], judge: |given| typed::<ServiceOptions>(given).map(drop) },
];

fn preflight_options(given: Value) -> Result<(), BadArguments> {
    let Value::Object(mut given) = given else { return Ok(()) };
    match given.remove("sudo") {
        None | Some(Value::Bool(_)) => typed::<crate::op::Preflight>(Value::Object(given)).map(drop),
        Some(_) => {
            let message = "`sudo` is true or false".to_owned();
            Err(BadArguments { path: "sudo".to_owned(), message, known: Vec::new() })
        }
    }
}

/// The options of a construct in its own type.
fn typed<T: DeserializeOwned>(value: Value) -> Result<T, BadArguments> {
    serde_path_to_error::deserialize(&value).map_err(|error| {
        let path = error.path().to_string();
        BadArguments { message: about(&path, &error.inner().to_string(), &value), path, known: Vec::new() }
    })
}

/// What is wrong with the option at a path.
fn about(path: &str, message: &str, options: &Value) -> String {
    let told = words::explain(message, words::at(options, path).filter(|_| path != "."));
    if path == "." { told } else { format!("`{path}`: {told}") }
}

/// Values for the arguments that are given by position, of kinds that they may have.
fn stand_ins(entry: &Entry) -> Vec<(String, Value)> {
    let kinds = [
        json!("/x"),
        json!("x"),
        json!("http://localhost/"),
        json!(1),
        json!(true),
        json!(["x"]),
        json!({ "name": "x", "scope": "system" }),
        json!({}),
    ];
    let subject = match entry.subject {
        Subject::Service => Some("unit"),
        Subject::External => Some("external"),
        _ => None,
    };
    let names: Vec<&str> = entry.positional.iter().copied().chain(subject).collect();
    let takes = |name: &str, kind: &Value| {
        let alone = Value::Object([(name.to_owned(), kind.clone())].into_iter().collect());
        // Another one that is missing is not its fault.
        let other =
            |bad: &BadArguments| bad.path != name && names.contains(&bad.path.as_str()) && bad.message.ends_with("is missing");
        entry.parse(alone).err().is_none_or(|bad| other(&bad))
    };
    names.iter().filter_map(|name| Some(((*name).to_owned(), kinds.iter().find(|kind| takes(name, kind))?.clone()))).collect()
}

impl OptionCheck for KnownOptions<'_> {
    fn check(&self, primitive: &str, options: &Value, unknown: &[String]) -> Option<OptionError> {
        let Value::Object(options) = options else { return None };
        let error = |bad: BadArguments| OptionError {
            primitive: primitive.to_owned(),
            path: bad.path,
            message: bad.message,
            known: bad.known,
            position: Position::NONE,
        };
        let literal = |key: &&String| !unknown.iter().any(|path| path.split(['.', '[']).next() == Some(key.as_str()));
        if let Some(construct) = CONSTRUCTS.iter().find(|construct| construct.name == primitive) {
            if let Some(key) = options.keys().find(|key| !construct.known.contains(&key.as_str())) {
                let known = construct.known.iter().map(ToString::to_string).collect();
                return Some(OptionError::unknown(primitive, key, known, Position::NONE));
            }
            // Closures are not looked into here, nor what depends on a value that is known only later.
            let given = options.iter().filter(|(key, _)| literal(key) && !CLOSURES.contains(&key.as_str()));
            let given: JsonMap<String, Value> = given.map(|(key, value)| (key.clone(), value.clone())).collect();
            let whole = given.len() == options.keys().filter(|key| !CLOSURES.contains(&key.as_str())).count();
            return (construct.judge)(Value::Object(given))
                .err()
                .filter(|bad| whole || !matches!(bad.path.as_str(), "on_failure" | "."))
                .map(error);
        }
        let entry = self.entry(primitive)?;
        // Positional arguments are not known here, and must not be what is complained of; nor values known only later.
        let as_whom = |key: &str| entry.subject == Subject::Host && matches!(key, "sudo" | "user");
        let known = options.iter().filter(|(key, _)| !as_whom(key) && literal(key));
        let given: JsonMap<String, Value> = known.map(|(key, value)| (key.clone(), value.clone())).collect();
        let from_subject =
            |key: &str| matches!((key, entry.subject), ("unit", Subject::Service) | ("external", Subject::External));
        let stray = given.keys().find(|key| entry.positional.contains(&key.as_str()) || from_subject(key));
        if let Some(key) = stray {
            return Some(OptionError::unknown(primitive, key, Vec::new(), Position::NONE));
        }
        let stray = given.keys().find(|key| !entry.options.is_empty() && !entry.options.contains(&key.as_str()));
        if let Some(key) = stray {
            return Some(OptionError::unknown(
                primitive,
                key,
                entry.options.iter().map(ToString::to_string).collect(),
                Position::NONE,
            ));
        }
        // What is given and not known here is not missing.
        let given = given.into_iter().chain(stand_ins(entry)).collect();
        let bad = entry.parse(Value::Object(given)).err().filter(|bad| literal(&&bad.path))?;
        let of_positional = entry.positional.iter().any(|name| bad.path == *name) || from_subject(&bad.path) || bad.path == ".";
        (!of_positional).then(|| error(bad))
    }

    fn check_positional(&self, primitive: &str, literals: &[Option<Value>]) -> Option<(usize, String)> {
        let entry = self.0.get(primitive).filter(|entry| entry.subject == Subject::Host)?;
        let named = || entry.positional.iter().zip(literals).enumerate();
        let given = named().filter_map(|(_, (name, value))| Some(((*name).to_owned(), value.clone()?))).collect();
        let bad = entry.parse(Value::Object(given)).err()?;
        let part = |name: &str| bad.path.split(['.', '[']).next() == Some(name);
        let (n, _) = named().find(|(_, (name, value))| value.is_some() && part(name))?;
        Some((n, bad.message))
    }

    fn takes_options(&self, primitive: &str, argument: usize) -> bool {
        if let Some(construct) = CONSTRUCTS.iter().find(|construct| construct.name == primitive) {
            return construct.at.contains(&argument);
        }
        self.entry(primitive).is_some_and(|entry| argument == entry.positional.len())
    }
}

impl KnownOptions<'_> {
    /// The primitive that a call of this name means: also `restart` of a service, which is listed as `service.restart`.
    fn entry(&self, name: &str) -> Option<&Entry> {
        let of_subject = |entry: &&Entry| {
            matches!(entry.subject, Subject::Service | Subject::External) && entry.name.rsplit('.').next() == Some(name)
        };
        self.0.get(name).or_else(|| self.0.iter().find(of_subject))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_of_services_and_externals_are_known() {
        let registry = Registry::standard();
        let wrong = |primitive: &str, options: Value| {
            assert!(KnownOptions(&registry).takes_options(primitive, 0), "{primitive}");
            KnownOptions(&registry).check(primitive, &options, &[]).map(|error| error.message)
        };
        let json = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        assert_eq!(wrong("must_be_healthy", json(r#"{"within": "5s"}"#)), None);
        assert_eq!(wrong("restart", json("{}")), None);
        let message = wrong("must_be_healthy", json(r#"{"witin": "5s"}"#)).unwrap();
        assert!(message.contains("no option `witin`"), "{message}");
        let message = wrong("must_be_healthy", json(r#"{"within": 5}"#)).unwrap();
        assert!(message.contains("within"), "{message}");
        for (primitive, key) in [("restart", "force"), ("stop", "unit"), ("healthy", "external")] {
            let message = wrong(primitive, Value::Object([(key.to_owned(), Value::from("x"))].into_iter().collect()));
            assert!(message.is_some_and(|message| message.contains(key)), "{primitive} {key}");
        }
    }

    #[test]
    fn literals_by_position_are_judged_alone() {
        let registry = Registry::standard();
        let wrong = |primitive: &str, literals: &[Option<Value>]| KnownOptions(&registry).check_positional(primitive, literals);
        let text = |text: &str| Some(Value::from(text));
        let (n, message) = wrong("fact", &[text("distribution")]).unwrap();
        assert!(n == 0 && message.contains("there is no fact `distribution`"), "{message}");
        assert_eq!(wrong("fact", &[text("os")]), None);
        assert_eq!(wrong("fact", &[None]), None);
        let (n, message) = wrong("copy", &[None, text("etc/hosts")]).unwrap();
        assert!(n == 1 && message.contains("is relative"), "{message}");
        // What is missing beside them is not theirs to say.
        assert_eq!(wrong("cron", &[text("backup")]), None);
        assert_eq!(wrong("write", &[text("/etc/hosts")]), None);
        assert_eq!(wrong("no_such_primitive", &[text("a")]), None);
    }
}
