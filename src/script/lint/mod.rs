//! Mistakes that can be found before a host is touched, by reading the tree. A finding that a correct script could cause is
//! worse than one missed: receivers of methods have no types here, so that only what no type has is called unknown.

mod calls;
mod captures;
mod closures;
mod flow;
mod grounds;
mod names;
mod options;
mod texts;
mod traps;
mod undo;

pub use grounds::{ProjectFiles, ProjectPath};

use super::calls::{Body, bodies};
use super::diagnostic::Diagnostic;
use super::explain::OptionError;
use super::resolver::Unit;
use super::source_map::SourceMap;
use super::symbols::Symbols;
use crate::fleet::Environment;
use rhai::{FnAccess, Position};
use std::collections::BTreeMap;

/// Knows which options the primitives take.
pub(super) trait OptionCheck {
    /// What is wrong with literal options, if anything. The keys in `unknown` (as in `check.status`) are there, but their values
    /// are only known when the script runs: they are null in `options`, and their types are not to be judged.
    fn check(&self, primitive: &str, options: &serde_json::Value, unknown: &[String]) -> Option<OptionError>;

    /// What is wrong with an argument that is given by position (from 0, without the receiver), if anything. Only those that
    /// are literals are given.
    fn check_positional(&self, primitive: &str, literals: &[Option<serde_json::Value>]) -> Option<(usize, String)>;

    /// Whether a map as this argument (from 0, without the receiver) of this primitive is its options.
    fn takes_options(&self, primitive: &str, argument: usize) -> bool;
}

/// Checks the scripts and modules of a run.
#[derive(Clone, Copy)]
pub(super) struct Linter<'a> {
    /// Where the texts are.
    pub sources: &'a SourceMap,
    /// The names of the engine and of all units.
    pub symbols: &'a Symbols,
    /// The options of the primitives.
    pub options: &'a dyn OptionCheck,
    /// The functions that run a closure for several hosts at once.
    pub parallel: &'a [&'a str],
    /// The whole graph: the script and its modules.
    pub units: &'a [Unit],
    /// The hosts, where an environment was chosen.
    pub environment: Option<&'a Environment>,
    /// The files of the project, where they are what a run would read.
    pub files: Option<&'a dyn ProjectFiles>,
}

impl Linter<'_> {
    /// All findings, in the order of the text; errors and warnings.
    #[must_use]
    pub(super) fn check(&self) -> Vec<Diagnostic> {
        let mut findings = Findings { sources: self.sources, all: Vec::new() };
        for unit in self.units {
            let view = View { linter: self, unit, bodies: bodies(&unit.ast) };
            calls::check(&view, &mut findings);
            options::check(&view, &mut findings);
            undo::check(&view, &mut findings);
            names::check(&view, &mut findings);
            flow::check(&view, &mut findings);
            captures::check(&view, &mut findings);
            closures::check(&view, &mut findings);
            grounds::check(&view, &mut findings);
            texts::check(&view, &mut findings);
            traps::check(&view, &mut findings);
        }
        findings.sorted()
    }

    /// The functions that a unit offers, with the numbers of parameters of each form.
    fn offered(&self, unit_name: &str) -> Option<BTreeMap<&str, Vec<Vec<&str>>>> {
        let unit = self.units.iter().find(|unit| unit.name == unit_name)?;
        let mut offered: BTreeMap<&str, Vec<Vec<&str>>> = BTreeMap::new();
        for function in unit.ast.iter_functions().filter(|function| function.access == FnAccess::Public) {
            offered.entry(function.name).or_default().push(function.params);
        }
        Some(offered)
    }
}

/// One unit with all its bodies.
struct View<'a> {
    linter: &'a Linter<'a>,
    unit: &'a Unit,
    bodies: Vec<Body>,
}

impl View<'_> {
    fn body(&self, name: &str) -> Option<&Body> {
        self.bodies.iter().find(|body| body.name.as_deref() == Some(name))
    }
}

/// What was found so far.
struct Findings<'a> {
    sources: &'a SourceMap,
    all: Vec<(Position, Diagnostic)>,
}

impl Findings<'_> {
    fn error(&mut self, position: Position, message: impl Into<String>, label: &str, help: impl Into<String>) {
        self.push(position, label, Diagnostic::error(message).with_help(help));
    }

    fn warning(&mut self, position: Position, message: impl Into<String>, label: &str, help: impl Into<String>) {
        self.push(position, label, Diagnostic::warning(message).with_help(help));
    }

    fn push(&mut self, position: Position, label: &str, diagnostic: Diagnostic) {
        self.all.push((position, diagnostic.at(self.sources, position, label)));
    }

    fn sorted(mut self) -> Vec<Diagnostic> {
        self.all.sort_by_key(|(position, _)| *position);
        self.all.dedup_by(|one, other| one.0 == other.0 && one.1.message == other.1.message);
        self.all.into_iter().map(|(_, diagnostic)| diagnostic).collect()
    }
}

#[cfg(test)]
mod tests;
