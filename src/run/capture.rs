//! What a recorded step puts on its host, found by asking it again: for the difference to what is there now. Nothing is
//! changed by that.

use super::conductor::Run;
use crate::effect::{Compensation, Content, Effect, EffectClass, Effects, Login, Postcondition, Reply};
use crate::id::{RemotePath, StepKey};
use crate::op::{AnyOperation, StepContext, StepPort};
use crate::step::{Command, ErrorKind, StepError};
use std::sync::{Mutex, PoisonError};

/// Keeps what the step would write, when that is wanted.
pub(super) fn capture(run: &Run, key: &StepKey, command: &Command, operation: &dyn AnyOperation) {
    if !run.scouted().wanted.contains(key) {
        return;
    }
    let port = Collector { effects: run.effects.as_ref(), at: command.login(), found: Mutex::default() };
    // How it ends without an effect of its own does not matter.
    let _ = operation.run(&mut StepContext::new(&command.host, key, &port));
    let found = port.found.into_inner().unwrap_or_else(PoisonError::into_inner);
    run.scouted().contents.extend(found.into_iter().map(|(path, content)| ((key.clone(), path), content)));
}

/// Answers looks, and takes what would be written.
struct Collector<'a> {
    effects: &'a dyn Effects,
    at: Login,
    found: Mutex<Vec<(RemotePath, Content)>>,
}

impl StepPort for Collector<'_> {
    fn perform(&self, effect: &Effect) -> Result<Reply, StepError> {
        let not_wanted = || StepError::new(ErrorKind::Interrupted, "only what the step writes was wanted");
        match (effect, effect.class()) {
            (Effect::Write { path, content, .. } | Effect::Unit { path, content, .. }, _) => {
                self.found.lock().unwrap_or_else(PoisonError::into_inner).push((path.clone(), content.clone()));
                Ok(Reply::done(false))
            }
            (Effect::Template { .. } | Effect::Source { .. }, _) => {
                self.effects.perform(&Login::controller(), effect).map_err(|_| not_wanted())
            }
            (_, EffectClass::Read) => self.effects.perform(&self.at, effect).map_err(|_| not_wanted()),
            _ => Err(not_wanted()),
        }
    }

    fn record(&self, _: u32, _: &[Compensation], _: &[Postcondition]) -> Result<(), StepError> {
        Ok(())
    }

    fn was_begun(&self) -> bool {
        false
    }

    fn progress(&self, _: &str) {}
}
