//! What a step under way has of the run: effects on its host, and records that are on disk before it goes on.

use crate::effect::{Compensation, Effect, EffectClass, EffectError, Effects, Login, Reply};
use crate::event::{Event, Watcher};
use crate::id::{HostName, StepKey};
use crate::journal::Entry;
use crate::op::StepPort;
use crate::run::writer::Writer;
use crate::step::{Command, ErrorKind, StepError};
use std::sync::atomic::{AtomicBool, Ordering};

pub(super) struct Port<'a> {
    pub(super) key: &'a StepKey,
    pub(super) command: &'a Command,
    pub(super) summary: &'a str,
    pub(super) effects: &'a dyn Effects,
    pub(super) writer: &'a Writer,
    pub(super) watcher: &'a dyn Watcher,
    /// Whether `started` is on record.
    pub(super) started: AtomicBool,
    /// Whether an earlier process began it.
    pub(super) begun: bool,
    /// Whether anything that changes the host may have reached it.
    pub(super) sent: AtomicBool,
    /// Whether records are kept: a check that unwinding makes has none of its own.
    pub(super) keeps: Keeps,
}

/// Whether a step's records are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keeps {
    Records,
    Nothing,
}

impl Port<'_> {
    /// The error of the whole step: a host that was reached earlier in it is no longer one where nothing happened.
    pub(super) fn judge(&self, mut error: StepError) -> StepError {
        if error.kind == ErrorKind::Unreachable && self.sent.load(Ordering::SeqCst) {
            error.kind = ErrorKind::Lost;
        }
        error
    }

    pub(super) fn start_entry(&self) -> Option<Entry> {
        let first = !self.started.swap(true, Ordering::SeqCst);
        let entry = || Entry::Started { key: self.key.clone(), command: self.command.clone(), summary: self.summary.to_owned() };
        first.then(entry)
    }
}

impl StepPort for Port<'_> {
    fn perform(&self, effect: &Effect) -> Result<Reply, StepError> {
        let at = if effect.class() == EffectClass::Controller { Login::controller() } else { self.command.login() };
        tracing::debug!(key = %self.key, %at, ?effect, "perform");
        let result = crate::interp::within(self.key, || self.effects.perform(&at, effect));
        let changes = matches!(effect.class(), EffectClass::Write | EffectClass::Opaque);
        if changes && !matches!(result, Err(EffectError::Unreachable { .. } | EffectError::Denied { .. })) {
            self.sent.store(true, Ordering::SeqCst);
        }
        result.map_err(|error| explain(&at.host, error))
    }

    fn record(&self, first: u32, compensations: &[Compensation]) -> Result<(), StepError> {
        if self.keeps == Keeps::Nothing {
            return Ok(());
        }
        let known = |n: u32| self.writer.state(|state| state.steps.get(self.key).is_some_and(|step| step.undos.contains_key(&n)));
        let mut entries: Vec<Entry> = self.start_entry().into_iter().collect();
        for (n, undo) in (first..).zip(compensations) {
            if !known(n) {
                entries.push(Entry::Compensation { key: self.key.clone(), n, undo: undo.clone() });
            }
        }
        if entries.is_empty() { Ok(()) } else { self.writer.commit(entries) }
    }

    fn was_begun(&self) -> bool {
        self.begun
    }

    fn progress(&self, text: &str) {
        let event = Event::Progress { key: self.key.clone(), host: self.command.host.clone(), text: text.to_owned() };
        self.watcher.see(&event);
    }
}

/// What an effect's error means for the step.
pub(super) fn explain(host: &HostName, error: EffectError) -> StepError {
    let message = error.to_string();
    let kind = match &error {
        EffectError::Unreachable { .. } | EffectError::Denied { .. } => ErrorKind::Unreachable,
        EffectError::Lost { .. } => ErrorKind::Lost,
        EffectError::InDoubt { .. } => ErrorKind::InDoubt,
        EffectError::Failed { .. } => ErrorKind::Failed,
        EffectError::Timeout { .. } => ErrorKind::Timeout,
        EffectError::Interrupted => ErrorKind::Interrupted,
        EffectError::Unsupported(_) => ErrorKind::Internal,
    };
    let mut step = StepError::new(kind, message);
    if !host.is_controller() {
        step.host = Some(host.clone());
    }
    match error {
        EffectError::Unreachable { help, .. } | EffectError::Denied { help, .. } => step.help = help,
        EffectError::Lost { .. } => step.help = Some("whether the step took effect there is not known".to_owned()),
        EffectError::Failed { stderr, code, .. } => (step.stderr, step.code) = (stderr, code),
        EffectError::Timeout { stderr, .. } => step.stderr = stderr,
        _ => {}
    }
    step
}
