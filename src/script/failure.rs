//! A script's failure, for the conductor (as a step's error) and for people (as a diagnostic).

use super::diagnostic::Diagnostic;
use super::explain::{Explainer, OptionError};
use super::runtime::Runtime;
use crate::step::{ErrorKind, StepError};
use rhai::{Dynamic, EvalAltResult};

/// Why a script ended early.
#[derive(Debug, Clone)]
pub struct ScriptFailure {
    /// In the runtime's terms: it decides on the state of the run.
    pub error: StepError,
    /// For the person who reads it.
    pub diagnostic: Diagnostic,
}

impl ScriptFailure {
    pub(super) fn of(error: &EvalAltResult, runtime: &Runtime) -> Self {
        Self { error: step_error(error, runtime), diagnostic: diagnostic(error, runtime) }
    }
}

fn diagnostic(error: &EvalAltResult, runtime: &Runtime) -> Diagnostic {
    match runtime.symbols.get() {
        Some(symbols) => Explainer::new(&runtime.sources, symbols).error(error),
        None => Diagnostic::error(error.to_string()),
    }
}

/// The step's error inside of what was raised; or what was raised, put as one.
pub(super) fn step_error(error: &EvalAltResult, runtime: &Runtime) -> StepError {
    let payload = match innermost(error) {
        EvalAltResult::ErrorRuntime(payload, _) | EvalAltResult::ErrorTerminated(payload, _) => Some(payload),
        _ => None,
    };
    if let Some(error) = payload.and_then(taken::<StepError>) {
        return error;
    }
    let diagnostic = diagnostic(error, runtime);
    let mut plain = StepError::new(ErrorKind::BadInput, diagnostic.message.clone());
    plain.site = diagnostic.site.unwrap_or_default();
    plain.help = diagnostic.help;
    plain.op = payload.and_then(taken::<OptionError>).map(|error| error.primitive).unwrap_or_default();
    plain
}

fn innermost(error: &EvalAltResult) -> &EvalAltResult {
    match error {
        EvalAltResult::ErrorInFunctionCall(_, _, inner, _) | EvalAltResult::ErrorInModule(_, inner, _) => innermost(inner),
        other => other,
    }
}

fn taken<T: Clone + Send + Sync + 'static>(payload: &Dynamic) -> Option<T> {
    payload.read_lock::<T>().map(|value| value.clone())
}
