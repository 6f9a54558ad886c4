//! What an operation has of the world: its host, effects, and a place to record undos.

use crate::effect::{Compensation, Contract, Effect, EffectClass, Invocation, Postcondition, Reply};
use crate::id::{HostName, RemotePath, SaveId, StepKey};
use crate::step::{ErrorKind, Outcome, StepError};

/// What the conductor gives a step: effects that are observed, and records that are durable when the call returns.
pub trait StepPort {
    /// Performs an effect on the step's host, or on the controller.
    ///
    /// # Errors
    /// What went wrong, with what is known of the host.
    fn perform(&self, effect: &Effect) -> Result<Reply, StepError>;

    /// Puts the step's start and these compensations on record, with what holds once the change is made; they are on disk
    /// when this returns.
    ///
    /// # Errors
    /// When the ledger cannot be written: nothing may be changed then.
    fn record(&self, first: u32, compensations: &[Compensation], makes: &[Postcondition]) -> Result<(), StepError>;

    /// Whether an earlier process began this step, and did not see its end.
    fn was_begun(&self) -> bool;

    /// How often a person had the step begun anew, since it was in doubt: its command gets a receipt of its own each time.
    fn repeats(&self) -> u32 {
        0
    }

    /// Shows a line of a person's interest: progress, a reason to wait.
    fn progress(&self, text: &str);
}

/// One step under way.
pub struct StepContext<'a> {
    host: &'a HostName,
    key: &'a StepKey,
    port: &'a dyn StepPort,
    recorded: u32,
    outcome: Outcome,
    diff: Option<Diff>,
}

/// A text file before and after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diff {
    /// Its path.
    pub path: String,
    /// Before; empty when it was not there.
    pub before: String,
    /// After.
    pub after: String,
}

impl<'a> StepContext<'a> {
    /// A step of this key on this host.
    #[must_use]
    pub fn new(host: &'a HostName, key: &'a StepKey, port: &'a dyn StepPort) -> Self {
        Self { host, key, port, recorded: 0, outcome: Outcome::Unchanged, diff: None }
    }

    /// The host that the step speaks to.
    #[must_use]
    pub fn host(&self) -> &HostName {
        self.host
    }

    /// How the step ended so far.
    #[must_use]
    pub fn outcome(&self) -> &Outcome {
        &self.outcome
    }

    /// The difference in text that the step made, if it made one.
    #[must_use]
    pub fn diff(&self) -> Option<&Diff> {
        self.diff.as_ref()
    }

    /// Performs an effect that changes nothing on a host.
    ///
    /// # Errors
    /// What went wrong; an internal error when the effect would change something.
    pub fn look(&mut self, effect: &Effect) -> Result<Reply, StepError> {
        match effect.class() {
            EffectClass::Read | EffectClass::Controller => self.port.perform(effect),
            EffectClass::Write | EffectClass::Opaque => {
                Err(StepError::new(ErrorKind::Internal, format!("a step looked with an effect that changes: {effect:?}")))
            }
        }
    }

    /// Performs an effect that keeps, under the name it is given, what it changes. That name is on record as the undo
    /// before anything happens.
    ///
    /// # Errors
    /// What went wrong. The record stands all the same.
    pub fn change(&mut self, effect: impl FnOnce(SaveId) -> Effect) -> Result<Reply, StepError> {
        self.recorded += 1;
        let n = self.recorded;
        let save = self.key.save(n);
        let effect = effect(save.clone());
        let undo = match &effect {
            Effect::Service { .. } => Compensation::RestoreService { save },
            Effect::Reboot { within_millis, message, .. } => {
                Compensation::Reboot { of: save, within_millis: *within_millis, message: message.clone() }
            }
            _ => Compensation::Restore { save },
        };
        self.port.record(n, &[undo], &effect.postconditions())?;
        let reply = self.port.perform(&effect)?;
        if let Reply::Done { changed: true, .. } | Reply::Service { changed: true, .. } | Reply::Packages { changed: true, .. } =
            reply
        {
            self.outcome = Outcome::Changed;
        }
        Ok(reply)
    }

    /// Performs an effect that was made from what was looked at; where that was changed meanwhile, it is made anew.
    ///
    /// # Errors
    /// What went wrong, and when others change it each time. The record stands all the same.
    pub fn change_until(
        &mut self,
        mut effect: impl FnMut(&mut Self, SaveId) -> Result<Effect, StepError>,
    ) -> Result<Reply, StepError> {
        const TRIES: u32 = 50;
        self.recorded += 1;
        let n = self.recorded;
        let save = self.key.save(n);
        let mut made = effect(self, save.clone())?;
        self.port.record(n, &[Compensation::Restore { save: save.clone() }], &made.postconditions())?;
        for _ in 0..TRIES {
            match self.port.perform(&made)? {
                Reply::Overtaken => made = effect(self, save.clone())?,
                reply => {
                    if matches!(reply, Reply::Done { changed: true, .. }) {
                        self.outcome = Outcome::Changed;
                    }
                    return Ok(reply);
                }
            }
        }
        Err(StepError::failed(format!("it was changed by others {TRIES} times before this step could change it")))
    }

    /// The same, for effects that are answered by whether anything had to be changed.
    ///
    /// # Errors
    /// What went wrong. The record stands all the same.
    pub fn apply(&mut self, effect: impl FnOnce(SaveId) -> Effect) -> Result<bool, StepError> {
        match self.change(effect)? {
            Reply::Done { changed, .. } => Ok(changed),
            other => Err(unexpected(&other)),
        }
    }

    /// Performs a command that may change anything, after putting what undoes it on record.
    ///
    /// # Errors
    /// What went wrong. The record stands all the same.
    pub fn command(&mut self, command: Invocation, undo: impl FnOnce(&SaveId) -> Vec<Compensation>) -> Result<Reply, StepError> {
        self.command_keeping(command, &[], Contract::default(), undo)
    }

    /// The same, and the host keeps a copy of what is at these paths before it begins; they are put back last. The contract
    /// says what is known of the command where it is not run.
    ///
    /// # Errors
    /// What went wrong. The record stands all the same.
    pub fn command_keeping(
        &mut self,
        command: Invocation,
        paths: &[RemotePath],
        contract: Contract,
        undo: impl FnOnce(&SaveId) -> Vec<Compensation>,
    ) -> Result<Reply, StepError> {
        let first = self.recorded + 1;
        let repeats = self.port.repeats();
        if repeats > 0 {
            return self.command_again(command, first, repeats);
        }
        let receipt = self.key.save(first);
        let keeps: Vec<(SaveId, RemotePath)> = (first..).zip(paths).map(|(n, path)| (self.key.save(n), path.clone())).collect();
        let restores = keeps.iter().map(|(save, _)| Compensation::Restore { save: save.clone() });
        let undo: Vec<Compensation> = restores.chain(undo(&receipt)).collect();
        self.recorded += u32::try_from(undo.len()).unwrap_or(u32::MAX).max(1);
        self.port.record(first, &undo, &[])?;
        self.outcome = Outcome::Changed;
        self.port.perform(&Effect::Exec { command, receipt, after: None, keeps, contract: Box::new(contract) })
    }

    /// The command once more, under another receipt: what undoes it is on record since its first time.
    fn command_again(&mut self, command: Invocation, first: u32, repeats: u32) -> Result<Reply, StepError> {
        let receipt = self.key.save(first + 20_000 * repeats);
        self.port.record(first + 100 * repeats, &[Compensation::End { receipt: receipt.clone() }], &[])?;
        self.outcome = Outcome::Changed;
        self.port.perform(&Effect::Exec { command, receipt, after: None, keeps: Vec::new(), contract: Box::default() })
    }

    /// Ends what an earlier step has begun, and what that step is undone by.
    ///
    /// # Errors
    /// What went wrong.
    pub fn confirm(&mut self, effect: &Effect) -> Result<Reply, StepError> {
        self.port.perform(effect)
    }

    /// Puts the step's start on record.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn begin(&mut self) -> Result<(), StepError> {
        self.port.record(self.recorded + 1, &[], &[])
    }

    /// Puts on record what must hold again when the step's group is unwound.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn record(&mut self, compensation: Compensation) -> Result<(), StepError> {
        self.recorded += 1;
        self.port.record(self.recorded, &[compensation], &[])
    }

    /// Puts a health check on record: it is held again when its group is unwound, for what ran before.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn record_check<O: super::Operation>(&mut self, check: &O) -> Result<(), StepError> {
        let Some(again) = check.when_unwound() else { return Ok(()) };
        let args = serde_json::to_value(again).unwrap_or_default();
        self.record(Compensation::Check { op: O::NAME.to_owned(), args })
    }

    /// Whether an earlier process began this step, and did not see its end: what it would ask first is decided.
    #[must_use]
    pub fn was_begun(&self) -> bool {
        self.port.was_begun()
    }

    /// The step did not run, for this reason.
    pub fn skipped(&mut self, why: impl Into<String>) {
        self.outcome = Outcome::Skipped(why.into());
    }

    /// The step made this difference.
    pub fn show_diff(&mut self, diff: Diff) {
        self.diff = Some(diff);
    }

    /// Shows what the step is waiting for.
    pub fn progress(&self, text: &str) {
        self.port.progress(text);
    }

    /// The time, in milliseconds since 1970-01-01 UTC.
    ///
    /// # Errors
    /// When the run is interrupted.
    pub fn now(&mut self) -> Result<i64, StepError> {
        match self.look(&Effect::Now)? {
            Reply::Time(millis) => Ok(millis),
            other => Err(unexpected(&other)),
        }
    }
}

/// A reply of another kind than the effect's: a defect.
#[must_use]
pub(super) fn unexpected(reply: &Reply) -> StepError {
    StepError::new(ErrorKind::Internal, format!("an effect was answered by a reply of another kind: {reply:?}"))
}
