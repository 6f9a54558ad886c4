//! `windlass check`: mistakes that can be found without touching a host.

use super::args::{Answer, CheckArgs, Common, Format};
use super::error::CliError;
use super::pins::{self, Purpose};
use super::printer::Printer;
use super::settings::{Labs, environment, environment_name, params, project, script, store};
use crate::fleet::Environment;
use crate::op::Registry;
use crate::script::{Diagnostic, Facts, Load, Program, ProjectFiles, ProjectPath, ProjectSources, STANDARD, Severity};
use crate::stop::Stop;
use std::collections::BTreeSet;
use std::path::{Component, Path};
use std::sync::Arc;

pub(super) fn check(common: &Common, args: &CheckArgs, printer: &Printer) -> Result<u8, CliError> {
    let project = project(common)?;
    let script = script(&project, &args.selection)?;
    let named = args.selection.env.as_deref().or(project.defaults.environment.as_deref());
    let environment = match named {
        Some(_) => Some(environment(&project, &environment_name(&project, named)?, Labs::Leave)?),
        None => None,
    };
    let known = environment.clone();
    let wishes = environment.as_ref().map(|environment| environment.artifacts.clone()).unwrap_or_default();
    let facts = Facts {
        environment,
        params: params(&args.selection),
        limit: None,
        artifacts: Vec::new(),
        known_good: Vec::new(),
        run: String::new(),
        mode: "check",
    };
    let sources = Arc::new(ProjectSources::new(&project.root, STANDARD));
    let registry = Arc::new(Registry::standard());
    let program = Program::load(Load { sources, script: script.clone(), registry, facts, stop: Stop::default() })?;
    refuse_unknown_params(&program, &params(&args.selection))?;
    if let Some(environment) = &known {
        refuse_unknown_channels(&program, environment)?;
    }
    let (_, wrong) = pins::pins(Purpose::Check, &program, &args.selection, &project, &wishes, &store(&project)?)?;
    let files = Files::of(&project.root);
    let findings: Vec<Diagnostic> = program.lint_with(Some(&files)).into_iter().chain(wrong).collect();
    let errors = findings.iter().filter(|finding| finding.severity == Severity::Error).count();
    match printer.format {
        Format::Json => {
            findings.iter().filter_map(|finding| serde_json::to_value(finding).ok()).for_each(|finding| printer.json(&finding));
        }
        Format::Text => findings.iter().for_each(|finding| printer.diagnostic(finding)),
    }
    let units = program.bundle().len();
    let modules = if units > 1 { format!(" and {} module(s)", units - 1) } else { String::new() };
    match (errors, findings.len()) {
        (0, 0) => printer.say(&format!("{script}{modules}: no findings")),
        (errors, all) => printer.say(&format!("{script}{modules}: {errors} error(s), {} warning(s)", all - errors)),
    }
    Ok(u8::from(errors > 0))
}

/// Refuses a parameter that the script never asks for: it is a misspelt one.
pub(super) fn refuse_unknown_params(
    program: &Program,
    given: &serde_json::Map<String, serde_json::Value>,
) -> Result<(), CliError> {
    let Some(known) = program.params() else { return Ok(()) };
    let Some(name) = given.keys().find(|name| !known.contains(*name)) else { return Ok(()) };
    let help = near_or_all(name, &known, "the script has no parameters");
    Err(CliError::usage(format!("--set {name}: the script has no such parameter")).with_help(help))
}

/// Refuses an answer to a question that the script never asks: its name is misspelt.
pub(super) fn refuse_unknown_answers(program: &Program, given: &[Answer]) -> Result<(), CliError> {
    let Some(known) = program.questions() else { return Ok(()) };
    let Some(answer) = given.iter().find(|answer| !known.contains(&answer.name)) else { return Ok(()) };
    let help = near_or_all(&answer.name, &known, "the script asks nothing");
    Err(CliError::usage(format!("--answer {}: the script asks no question of this name", answer.name)).with_help(help))
}

/// The name that was meant, or those that there are.
fn near_or_all(name: &str, known: &BTreeSet<String>, none: &str) -> String {
    let listed: Vec<&str> = known.iter().map(String::as_str).collect();
    let near = listed.iter().find(|other| strsim::damerau_levenshtein(other, name) <= 2 || other.eq_ignore_ascii_case(name));
    match (near, listed.is_empty()) {
        (Some(near), _) => format!("did you mean `{near}`?"),
        (None, true) => none.to_owned(),
        (None, false) => format!("there are: {}", listed.join(", ")),
    }
}

/// Refuses a channel that nobody listens to: it is a misspelt one.
pub(super) fn refuse_unknown_channels(program: &Program, environment: &Environment) -> Result<(), CliError> {
    let channels = &environment.notify;
    let unknown = |name: &String| name != "log" && !channels.contains_key(name);
    let Some(name) = program.channels().into_iter().find(unknown) else { return Ok(()) };
    let known: Vec<&str> = channels.keys().map(String::as_str).chain(["log"]).collect();
    let near = known.iter().find(|other| strsim::damerau_levenshtein(other, &name) <= 2);
    let help = near.map_or_else(
        || {
            format!(
                "there are: {}; write [notify.{name}] with a webhook into windlass.toml or the environment's file",
                known.join(", ")
            )
        },
        |near| format!("did you mean `{near}`?"),
    );
    Err(CliError::input(format!("notify(.., #{{ to: \"{name}\" }}): there is no such channel in {}", environment.name))
        .with_help(help))
}

/// The errors that a script has, as an error of the command; of a new run with the files of its project, else without.
pub(super) fn refuse_errors(program: &Program, root: Option<&Path>) -> Result<(), CliError> {
    let files = root.map(Files::of);
    let found = program.lint_with(files.as_ref().map(|files| files as &dyn ProjectFiles));
    let errors: Vec<Diagnostic> = found.into_iter().filter(|finding| finding.severity == Severity::Error).collect();
    if errors.is_empty() { Ok(()) } else { Err(CliError { diagnostics: errors, ..CliError::input("") }) }
}

/// The files of a project.
struct Files<'a> {
    root: &'a Path,
}

impl<'a> Files<'a> {
    fn of(root: &'a Path) -> Self {
        Self { root }
    }
}

impl ProjectFiles for Files<'_> {
    fn look(&self, path: &str) -> ProjectPath {
        let inner = Path::new(path).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if !inner || path.is_empty() {
            return ProjectPath::Outside;
        }
        let full = self.root.join(path);
        if full.symlink_metadata().is_ok() {
            return ProjectPath::There;
        }
        let names = full.parent().and_then(|above| std::fs::read_dir(above).ok());
        let names = names.into_iter().flatten().filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()));
        let mut names: Vec<String> = names.collect();
        names.sort();
        ProjectPath::Missing(names)
    }

    fn text(&self, path: &str) -> Option<String> {
        std::fs::read_to_string(self.root.join(path)).ok()
    }
}
