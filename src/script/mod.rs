//! The language: an engine without a clock, files or chance, the primitives bound from their list, modules, and errors
//! that point at the line. It speaks to the runtime through [`Conductor`] alone.

mod artifacts;
mod bind;
mod brackets;
mod calls;
mod conductor;
mod constructs;
mod diagnostic;
mod engine;
mod explain;
mod failure;
mod forks;
mod guarded;
mod invariant;
mod known_good;
mod lint;
mod memory;
mod options;
mod preflight;
mod program;
mod resolver;
mod runtime;
mod snapshot;
mod source_map;
mod sources;
mod standard;
mod symbols;
#[cfg(test)]
mod test_engine;
mod unknown;
mod values;
mod wait;

pub use artifacts::AskedArtifacts;
pub use conductor::{BatchSize, Bracket, Branch, Conductor, Finding, ForkSpec, OnFailure, Order, Task, UndoClosure};
pub use diagnostic::{Diagnostic, Label, Severity};
pub use failure::ScriptFailure;
pub use lint::{ProjectFiles, ProjectPath};
pub use program::{Load, Program};
pub use runtime::Facts;
pub use sources::{ProjectSources, SourceProvider, StdTable, StoredSources};
pub use standard::STANDARD;
