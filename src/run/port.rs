//! What a step under way has of the run: effects on its host, and records that are on disk before it goes on.

use crate::effect::{Compensation, Effect, EffectClass, EffectError, Effects, GuardAct, Login, Postcondition, Reply};
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
    /// Whether a command was left at work: it ends without us.
    pub(super) left: AtomicBool,
    /// How often a person had it begun anew.
    pub(super) repeats: u32,
    /// Whether records are kept: a check that unwinding makes has none of its own.
    pub(super) keeps: Keeps,
    /// As whom the host would take back by itself what is changed there.
    pub(super) guard: Option<Login>,
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

    /// What another user changes, a host that is to restore itself could not put back.
    fn may_change(&self, at: &Login) -> Result<(), StepError> {
        match self.guard.as_ref().filter(|guard| *guard != at && !at.host.is_controller()) {
            None => Ok(()),
            Some(guard) => {
                let who = |at: &Login| at.user.clone().unwrap_or_else(|| "the user that logs in".to_owned());
                let message = format!(
                    "a change as {} stands in a guarded block of {}, which restores what it does as {}",
                    who(at),
                    at.host,
                    who(guard)
                );
                Err(StepError::bad_input(message).with_help("guard it as the same user, as in h.sudo().guarded(.., || ..)"))
            }
        }
    }

    /// A host that is to restore itself is told how a command is undone.
    fn tell_undos(&self, compensations: &[Compensation]) -> Result<(), StepError> {
        for undo in compensations.iter().filter(|_| self.guard.is_some()) {
            let act = match undo.clone() {
                Compensation::Command { command, of: Some(receipt) } => GuardAct::Undo { receipt, command },
                Compensation::Again { command, of: Some(receipt) } => GuardAct::Again { receipt, command },
                _ => continue,
            };
            self.perform(&Effect::Guard { act })?;
        }
        Ok(())
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
        if matches!(effect.class(), EffectClass::Write | EffectClass::Opaque) {
            self.may_change(&at)?;
        }
        let result = crate::interp::within(self.key, || self.effects.perform(&at, effect));
        let changes = matches!(effect.class(), EffectClass::Write | EffectClass::Opaque);
        if changes
            && !matches!(result, Err(EffectError::Unreachable { .. } | EffectError::Denied { .. } | EffectError::Fenced { .. }))
        {
            self.sent.store(true, Ordering::SeqCst);
        }
        if effect.class() == EffectClass::Opaque && matches!(result, Err(EffectError::Left { .. })) {
            self.left.store(true, Ordering::SeqCst);
        }
        result.map_err(|error| explain(&at.host, error))
    }

    fn record(&self, first: u32, compensations: &[Compensation], makes: &[Postcondition]) -> Result<(), StepError> {
        if self.keeps == Keeps::Nothing {
            return Ok(());
        }
        if compensations.iter().any(|undo| !matches!(undo, Compensation::Check { .. })) {
            self.may_change(&self.command.login())?;
        }
        let known = |n: u32| self.writer.state(|state| state.steps.get(self.key).is_some_and(|step| step.undos.contains_key(&n)));
        let mut entries: Vec<Entry> = self.start_entry().into_iter().collect();
        for (n, undo) in (first..).zip(compensations) {
            if !known(n) {
                let makes = if n == first { makes.to_vec() } else { Vec::new() };
                entries.push(Entry::Compensation { key: self.key.clone(), n, undo: undo.clone(), makes });
            }
        }
        if !entries.is_empty() {
            self.writer.commit(entries)?;
        }
        self.tell_undos(compensations)
    }

    fn was_begun(&self) -> bool {
        self.begun
    }

    fn repeats(&self) -> u32 {
        self.repeats
    }

    fn progress(&self, text: &str) {
        let event = Event::Progress { key: self.key.clone(), host: self.command.host.clone(), text: text.to_owned() };
        self.watcher.see(&event);
    }
}

/// What an effect's error means for the step.
/// What to do about another run's claim.
fn claimed(run: &str, lock: &str) -> String {
    let environment = lock.split_once('.').map_or(lock, |(_, environment)| environment);
    format!(
        "it is of the environment {environment} in another ledger: wait until it has ended, or bring it to its end from there \
         (windlass resume {run}, or unwind); where nobody can any more: --beside {run}"
    )
}

pub(super) fn explain(host: &HostName, error: EffectError) -> StepError {
    let message = shortened(&crate::words::of_system(&error.to_string()));
    let kind = match &error {
        EffectError::Unreachable { .. } | EffectError::Denied { .. } => ErrorKind::Unreachable,
        EffectError::Lost { .. } => ErrorKind::Lost,
        EffectError::InDoubt { .. } => ErrorKind::InDoubt,
        EffectError::Failed { .. } => ErrorKind::Failed,
        EffectError::Timeout { .. } => ErrorKind::Timeout,
        EffectError::Fenced { .. } => ErrorKind::Fenced,
        EffectError::Claimed { .. } => ErrorKind::Refused,
        EffectError::Drifted { .. } => ErrorKind::Failed,
        EffectError::Interrupted | EffectError::Left { .. } => ErrorKind::Interrupted,
        EffectError::Unsupported(_) => ErrorKind::Internal,
    };
    let mut step = StepError::new(kind, message);
    // Also the controller: what is wrong with its files is wrong whatever the step's host.
    step.host = Some(host.clone());
    match error {
        EffectError::Unreachable { help, .. } | EffectError::Denied { help, .. } => step.help = help,
        EffectError::Lost { .. } => step.help = Some("whether the step took effect there is not known".to_owned()),
        EffectError::Failed { stderr, code, .. } => (step.stderr, step.code) = (shortened(&stderr), code),
        EffectError::Timeout { stderr, .. } => step.stderr = shortened(&stderr),
        EffectError::Claimed { run, lock, .. } => step.help = Some(claimed(&run, &lock)),
        EffectError::Drifted { .. } => {
            step.help = Some("look at both; `windlass unwind --accept-drift` puts back what was there all the same".to_owned());
        }
        _ => {}
    }
    step
}

/// What a host says of a failure, as far as anybody reads it: its beginning and its end.
fn shortened(text: &str) -> String {
    const FIRST: usize = 1 << 10;
    const LAST: usize = 7 << 10;
    if text.len() <= FIRST + LAST {
        return text.to_owned();
    }
    let (first, last) = (text.floor_char_boundary(FIRST), text.ceil_char_boundary(text.len() - LAST));
    format!("{}\n… ({} bytes left out) …\n{}", &text[..first], last - first, &text[last..])
}
