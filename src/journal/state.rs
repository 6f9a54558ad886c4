//! What a journal says so far, and which record may come next. One pure function decides; the writer, the cursor and the
//! tests all use it.

use super::obligation::{Obligation, ObligationStatus};
use super::record::{Decision, Entry, Group, Part, Record, RunPhase, StartInfo};
use crate::effect::{Compensation, Login, Postcondition, ServiceUnit};
use crate::id::{HostName, StepKey, TaskPath};
use crate::step::{Command, ErrorKind, Outcome, StepError};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What stands for a closure of the script's own: nobody is spoken to when it is given.
const ON_UNDO: &str = "on_undo";

/// A record that may not stand where it stands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("record {seq} is not legal here: {why}")]
pub struct Illegal {
    /// Its number.
    pub seq: u64,
    /// What is wrong.
    pub why: String,
}

/// All that the records of one run say.
#[derive(Debug, Clone, Default)]
pub struct RunState {
    /// What the run was given.
    pub info: Option<StartInfo>,
    /// When it started, in milliseconds since 1970-01-01 UTC.
    pub began_at: i64,
    /// Its phase; nothing before it started.
    pub phase: Option<RunPhase>,
    /// Why it is in this phase.
    pub why: String,
    /// The exit code that it ended with.
    pub exit: Option<u8>,
    /// As what it ended, once it did; kept while its debts are paid.
    pub ended: Option<RunPhase>,
    /// What it failed of.
    pub error: Option<StepError>,
    /// Every step by its key.
    pub steps: BTreeMap<StepKey, StepState>,
    /// Every group by its key, and whether it was left.
    pub groups: BTreeMap<StepKey, (Group, bool)>,
    /// The groups that were left by a failure, and not to be taken up again.
    pub failed_groups: BTreeSet<StepKey>,
    /// Of each group with one task a host, the hosts whose task failed or was not begun.
    pub missed: BTreeMap<StepKey, Vec<HostName>>,
    /// Hosts that could not be reached when they were last spoken to.
    pub away: BTreeSet<HostName>,
    /// What brackets opened, by the key of their group.
    pub obligations: BTreeMap<StepKey, Obligation>,
    /// What a person decided about steps, in order.
    pub decided: BTreeMap<StepKey, Vec<Decision>>,
    /// The steps of which it was not known, when the run last stopped, whether they took effect.
    pub doubts: Vec<StepKey>,
    /// Steps whose undoing a person has given up, and why.
    pub settled: BTreeMap<StepKey, String>,
    /// The steps and groups of each task in the order in which they began.
    pub tasks: BTreeMap<TaskPath, Vec<Item>>,
    /// The record with which each task began.
    pub began: BTreeMap<TaskPath, u64>,
    /// The number of the last record.
    pub seq: u64,
    /// The time of the first and the last record.
    pub span: Option<(i64, i64)>,
}

/// Something that began in a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// A step.
    Step(StepKey),
    /// A group was entered.
    Enter(StepKey),
    /// A group was left.
    Leave(StepKey),
}

/// One step.
#[derive(Debug, Clone, PartialEq)]
pub struct StepState {
    /// What was asked.
    pub command: Command,
    /// What a line says of it.
    pub summary: String,
    /// How far it is.
    pub status: StepStatus,
    /// When its end was written down, in milliseconds since 1970-01-01 UTC.
    pub ended: Option<i64>,
    /// Its undos, by their number.
    pub undos: BTreeMap<u32, UndoState>,
}

/// How far a step is.
#[derive(Debug, Clone, PartialEq)]
pub enum StepStatus {
    /// It began; whether it took effect is not known from here.
    Started,
    /// It ended well.
    Succeeded {
        /// What the script was given.
        output: Value,
        /// What became of the host.
        outcome: Outcome,
    },
    /// It failed.
    Failed(StepError),
}

/// One compensation.
#[derive(Debug, Clone, PartialEq)]
pub struct UndoState {
    /// What it is.
    pub undo: Compensation,
    /// What holds once the change is made that it undoes.
    pub makes: Vec<Postcondition>,
    /// The number of its record.
    pub seq: u64,
    /// How far each part is.
    pub parts: BTreeMap<Part, UndoStatus>,
    /// How often it ended in a failure: the next attempt is a new one. Where it is not known whether it ended, it is not
    /// counted.
    pub failures: u32,
}

/// How far a part of a compensation is.
#[derive(Debug, Clone, PartialEq)]
pub enum UndoStatus {
    /// It began.
    Started,
    /// It is done; whether there was anything to do.
    Done {
        /// Whether the host was changed by it.
        changed: bool,
    },
    /// It failed.
    Failed(StepError),
}

/// What the journal says once this record is in it.
///
/// # Errors
/// When the record may not follow what is there.
pub fn next(mut state: RunState, record: &Record) -> Result<RunState, Illegal> {
    state.advance(record).map(|()| state)
}

/// What is said of a host that is there, and is not restored.
pub(crate) const LEFT_AS_IT_IS: &str = "is left as it is:";

impl RunState {
    /// The same in place. What may not follow changes nothing.
    ///
    /// # Errors
    /// When the record may not follow what is there.
    pub fn advance(&mut self, record: &Record) -> Result<(), Illegal> {
        self.take(record).map_err(|why| Illegal { seq: record.seq, why })?;
        self.seq = record.seq;
        self.span = Some((self.span.map_or(record.at, |(first, _)| first), record.at));
        Ok(())
    }

    /// Reads a whole journal.
    ///
    /// # Errors
    /// At the first record that may not stand where it stands.
    pub fn read(records: &[Record]) -> Result<Self, Illegal> {
        records.iter().try_fold(Self::default(), next)
    }

    /// Hosts on which something may be left to undo because they could not be reached.
    #[must_use]
    pub fn debts(&self) -> BTreeSet<HostName> {
        let away = |step: &StepState, part: &UndoStatus| match part {
            UndoStatus::Failed(error) if matches!(error.kind, ErrorKind::Unreachable | ErrorKind::Lost) => {
                // What a closure failed of may be another host than its own.
                Some(error.away().unwrap_or(&step.command.host).clone())
            }
            _ => None,
        };
        let open = self.steps.iter().filter(|(key, _)| !self.settled.contains_key(*key)).map(|(_, step)| step);
        let parts =
            open.flat_map(|step| step.undos.values().flat_map(move |undo| undo.parts.values().map(move |part| (step, part))));
        parts.filter_map(|(step, part)| away(step, part)).collect()
    }

    /// Why hosts that are there are owed, a sentence each.
    #[must_use]
    pub fn left_as_they_are(&self) -> BTreeSet<&str> {
        let parts = self.steps.values().flat_map(|step| step.undos.values()).flat_map(|undo| undo.parts.values());
        let why = parts.filter_map(|part| match part {
            UndoStatus::Failed(error) if error.kind == ErrorKind::Unreachable => Some(error.message.as_str()),
            _ => None,
        });
        why.filter(|why| why.contains(LEFT_AS_IT_IS)).collect()
    }

    /// The steps whose undoing failed or is owed.
    #[must_use]
    pub fn not_yet_undone(&self) -> Vec<StepKey> {
        let failed = |step: &StepState| {
            step.undos.values().any(|undo| undo.parts.values().any(|part| matches!(part, UndoStatus::Failed(_))))
        };
        let open = self.steps.iter().filter(|(key, step)| !self.settled.contains_key(*key) && failed(step));
        let brackets = self.open_obligations().filter(|(_, owed)| matches!(owed.status, ObligationStatus::Failed(..)));
        open.map(|(key, _)| key.clone()).chain(brackets.map(|(key, _)| key.clone())).collect()
    }

    /// Whether something that ran on a host was, or may have been, started again in the course of undoing: this service, or
    /// anything. It is asked for a look that follows this compensation of a step.
    #[must_use]
    pub fn was_resumed(&self, host: &HostName, unit: Option<&ServiceUnit>, (key, n): (&StepKey, u32)) -> bool {
        let resumed = |undo: &UndoState| {
            matches!(undo.parts.get(&Part::Follow), Some(UndoStatus::Started | UndoStatus::Done { changed: true }))
                && !matches!(undo.undo, Compensation::Check { .. })
        };
        let of_file = |undo: &UndoState| matches!(undo.undo, Compensation::Restore { .. });
        let here = || self.steps.values().filter(|step| step.command.host == *host);
        let meant = |step: &StepState| step.unit().as_ref() == unit;
        let its_own = |step: &&StepState| step.undos.values().any(|undo| !of_file(undo) && resumed(undo));
        // What follows a file is for services that the run did not come to; it may have found that none of them is to run.
        if let Some(undo) = self.steps.get(key).and_then(|step| step.undos.get(&n)).filter(|undo| of_file(undo)) {
            return resumed(undo) || unit.is_some() && here().filter(|step| meant(step)).any(|step| its_own(&step));
        }
        // With a file that came back, services are restarted that the run did not come to: of a step that was done, its own says more.
        let void = self.steps.get(key).is_none_or(StepState::is_void);
        let any = |undo: &UndoState| void && of_file(undo) && resumed(undo);
        here().any(|step| {
            let all = unit.is_none() || meant(step);
            step.undos.values().any(|undo| if all { resumed(undo) } else { any(undo) })
        })
    }

    /// Where steps took place, on hosts that did not go away.
    #[must_use]
    pub fn logins_within_reach(&self) -> BTreeSet<Login> {
        let owing = self.debts();
        let logins = self.steps.values().map(|step| step.command.login());
        logins.filter(|at| !at.host.is_controller() && !self.away.contains(&at.host) && !owing.contains(&at.host)).collect()
    }

    /// Hosts on which something that was changed, or may have been, is not known to be put back.
    #[must_use]
    pub fn changed_hosts(&self) -> BTreeSet<HostName> {
        let back = |undo: &UndoState| {
            let failed = undo.parts.values().any(|part| !matches!(part, UndoStatus::Done { .. }));
            !undo.parts.is_empty() && !failed
        };
        let stays = |step: &&StepState| step.may_have_changed() && !step.undos.values().all(back);
        let hosts = self.steps.values().filter(stays).map(|step| step.command.host.clone());
        hosts.filter(|host| !host.is_controller()).collect()
    }

    /// Where steps changed something, or may have.
    #[must_use]
    pub fn logins_changed(&self) -> BTreeSet<Login> {
        let changed = self.steps.values().filter(|step| !step.undos.is_empty() || step.may_have_changed());
        changed.map(|step| step.command.login()).filter(|at| !at.host.is_controller()).collect()
    }

    /// Commands that ran and for which the script gave no undo: what they did is still there after unwinding.
    #[must_use]
    pub fn commands_without_undo(&self) -> Vec<(&StepKey, &StepState)> {
        let undoes = |undo: &UndoState| {
            matches!(undo.undo, Compensation::Command { .. } | Compensation::Again { .. } | Compensation::Restore { .. })
        };
        let left = |step: &StepState| step.command.op == "run" && step.may_have_changed() && !step.undos.values().any(undoes);
        // What opens a bracket has what closes it; what undoes a step is not undone.
        let covered = self.covered();
        let own = |key: &StepKey| !key.task.is_of_bracket() && !key.task.is_of_undo() && !covered.contains(key);
        self.steps.iter().filter(|(key, step)| own(key) && left(step)).collect()
    }

    /// Steps within a `step` that has an undo of its own.
    fn covered(&self) -> BTreeSet<&StepKey> {
        let begins = |item: Option<&Item>| match item {
            Some(Item::Step(key)) => self.steps.get(key).is_some_and(|step| step.command.op == "on_undo"),
            _ => false,
        };
        let mut covered = BTreeSet::new();
        for items in self.tasks.values() {
            let mut within: Vec<(&StepKey, bool)> = Vec::new();
            for (at, item) in items.iter().enumerate() {
                let is_covered = within.last().is_some_and(|(_, covered)| *covered);
                match item {
                    Item::Enter(key) => {
                        let step = matches!(self.groups.get(key), Some((Group::Step { .. }, _)));
                        within.push((key, is_covered || step && begins(items.get(at + 1))));
                    }
                    Item::Leave(key) => within.truncate(within.iter().position(|(open, _)| *open == key).unwrap_or(within.len())),
                    Item::Step(key) if is_covered => drop(covered.insert(key)),
                    Item::Step(_) => {}
                }
            }
        }
        covered
    }

    /// How often a person said that a step in doubt is to be done again.
    #[must_use]
    pub fn repeats(&self, key: &StepKey) -> u32 {
        let again = self.decided.get(key).map(|all| all.iter().filter(|decision| **decision == Decision::Again).count());
        again.and_then(|count| u32::try_from(count).ok()).unwrap_or(0)
    }

    /// Whether a person said that a step in doubt is done.
    #[must_use]
    pub fn is_assumed_done(&self, key: &StepKey) -> bool {
        self.decided.get(key).and_then(|all| all.last()) == Some(&Decision::AssumeDone)
    }

    /// Whether a point of no return is on record.
    #[must_use]
    pub fn is_past_return(&self) -> bool {
        self.steps.values().any(|step| step.command.op == crate::op::PointOfNoReturn::WORD)
    }

    /// Whether any step changed anything, or may have.
    #[must_use]
    pub fn changed_anything(&self) -> bool {
        self.steps.values().any(StepState::may_have_changed)
    }

    fn take(&mut self, record: &Record) -> Result<(), String> {
        if record.seq != self.seq + 1 {
            return Err(format!("it is numbered {}, after {}", record.seq, self.seq));
        }
        let started = matches!(record.entry, Entry::RunStarted { .. });
        match (self.phase, started) {
            (None, false) => return Err("nothing comes before the run's start".to_owned()),
            (Some(_), true) => return Err("a run starts once".to_owned()),
            _ => {}
        }
        match &record.entry {
            Entry::RunStarted { info } => {
                self.info = Some(info.clone());
                self.began_at = record.at;
                self.phase = Some(RunPhase::Running);
                Ok(())
            }
            Entry::Phase { phase, why, doubts } => {
                self.enter_phase(*phase, why)?;
                self.doubts.clone_from(doubts);
                Ok(())
            }
            Entry::RunEnded { state, exit, error } => self.end(*state, *exit, error.as_ref()),
            Entry::Started { key, command, summary } => self.start(key, command, summary),
            Entry::Compensation { key, n, undo, makes } => self.compensate(key, *n, undo, makes),
            Entry::Succeeded { key, output, outcome, .. } => {
                self.finish(key, StepStatus::Succeeded { output: output.clone(), outcome: outcome.clone() }, record.at)
            }
            Entry::Failed { key, error, .. } => self.finish(key, StepStatus::Failed(error.clone()), record.at),
            Entry::GroupEntered { key, group } => self.enter_group(key, group),
            Entry::GroupLeft { key, failed, missed } => {
                self.leave_group(key)?;
                if *failed {
                    self.failed_groups.insert(key.clone());
                }
                if !missed.is_empty() {
                    self.missed.insert(key.clone(), missed.clone());
                }
                Ok(())
            }
            Entry::UndoStarted { key, n, part } => self.undo(key, *n, *part, UndoStatus::Started),
            Entry::Undone { key, n, part, changed } => self.undo(key, *n, *part, UndoStatus::Done { changed: *changed }),
            Entry::UndoFailed { key, n, part, error } => self.undo(key, *n, *part, UndoStatus::Failed(error.clone())),
            Entry::Decided { key, decision, .. } => self.decide(key, *decision),
            Entry::ObligationOpened { .. }
            | Entry::ObligationHeld { .. }
            | Entry::ObligationDischarged { .. }
            | Entry::ObligationFailed { .. } => self.take_obligation(&record.entry),
            Entry::ScriptReplaced { .. } => self.alive(),
            Entry::Settled { key, how } => {
                if !self.obligations.contains_key(key) {
                    self.started(key)?;
                }
                self.settled.insert(key.clone(), how.clone());
                Ok(())
            }
        }
    }

    fn enter_phase(&mut self, phase: RunPhase, why: &str) -> Result<(), String> {
        let now = self.phase.unwrap_or(RunPhase::Running);
        if phase.is_ended() {
            return Err(format!("{} is written as the run's end", phase.word()));
        }
        // Debts of an ended run are paid by unwinding what was left.
        if now.is_ended() && phase != RunPhase::Unwinding {
            return Err(format!("a run that is {} does not become {}", now.word(), phase.word()));
        }
        if matches!(now, RunPhase::Unwinding | RunPhase::Stuck) && phase == RunPhase::Running {
            return Err("a run that unwinds does not run again".to_owned());
        }
        self.phase = Some(phase);
        why.clone_into(&mut self.why);
        Ok(())
    }

    fn end(&mut self, state: RunPhase, exit: u8, error: Option<&StepError>) -> Result<(), String> {
        if !state.is_ended() {
            return Err(format!("{} is no end", state.word()));
        }
        if self.phase.is_some_and(RunPhase::is_ended) {
            return Err("it has ended already".to_owned());
        }
        self.ended = Some(state);
        (self.phase, self.exit, self.error) = (Some(state), Some(exit), error.cloned().or_else(|| self.error.take()));
        Ok(())
    }

    pub(super) fn alive(&self) -> Result<(), String> {
        match self.phase {
            Some(phase) if phase.is_ended() => Err(format!("the run is {}", phase.word())),
            _ => Ok(()),
        }
    }

    fn start(&mut self, key: &StepKey, command: &Command, summary: &str) -> Result<(), String> {
        self.alive()?;
        self.fresh(key)?;
        let step = StepState {
            command: command.clone(),
            summary: summary.to_owned(),
            status: StepStatus::Started,
            ended: None,
            undos: BTreeMap::new(),
        };
        self.steps.insert(key.clone(), step);
        self.place(&key.task, Item::Step(key.clone()));
        Ok(())
    }

    fn place(&mut self, task: &TaskPath, item: Item) {
        self.began.entry(task.clone()).or_insert(self.seq + 1);
        self.tasks.entry(task.clone()).or_default().push(item);
    }

    fn fresh(&self, key: &StepKey) -> Result<(), String> {
        if self.steps.contains_key(key) || self.groups.contains_key(key) {
            Err(format!("{key} has begun already"))
        } else {
            Ok(())
        }
    }

    fn started(&mut self, key: &StepKey) -> Result<&mut StepState, String> {
        self.steps.get_mut(key).ok_or_else(|| format!("step {key} never started"))
    }

    /// What a person says of a step is looked at where it is used; here it must speak of one that can be in question.
    fn decide(&mut self, key: &StepKey, decision: Decision) -> Result<(), String> {
        let step = self.started(key)?;
        if decision != Decision::MarkDone && step.status != StepStatus::Started {
            return Err(format!("step {key} has ended: it is not in doubt"));
        }
        self.decided.entry(key.clone()).or_default().push(decision);
        Ok(())
    }

    fn compensate(&mut self, key: &StepKey, n: u32, undo: &Compensation, makes: &[Postcondition]) -> Result<(), String> {
        self.alive()?;
        let seq = self.seq + 1;
        let step = self.started(key)?;
        if step.status != StepStatus::Started {
            return Err(format!("step {key} has ended: its changes come after their compensation"));
        }
        if step.undos.contains_key(&n) {
            return Err(format!("compensation {n} of {key} is there already"));
        }
        let undo = UndoState { undo: undo.clone(), makes: makes.to_vec(), seq, parts: BTreeMap::new(), failures: 0 };
        step.undos.insert(n, undo);
        Ok(())
    }

    fn finish(&mut self, key: &StepKey, status: StepStatus, at: i64) -> Result<(), String> {
        let step = self.started(key)?;
        if step.status != StepStatus::Started {
            return Err(format!("step {key} has ended already"));
        }
        let error = if let StepStatus::Failed(error) = &status { Some(error.clone()) } else { None };
        (step.status, step.ended) = (status, Some(at));
        let (host, spoke) = (step.command.host.clone(), step.command.op != ON_UNDO);
        if spoke {
            self.spoke_to(&host, error.as_ref());
        }
        Ok(())
    }

    /// A host was spoken to last, and answered, or was away.
    fn spoke_to(&mut self, host: &HostName, error: Option<&StepError>) {
        if error.is_some_and(|error| matches!(error.kind, ErrorKind::Unreachable | ErrorKind::Lost)) {
            self.away.insert(host.clone());
        } else {
            self.away.remove(host);
        }
    }

    fn enter_group(&mut self, key: &StepKey, group: &Group) -> Result<(), String> {
        self.alive()?;
        self.fresh(key)?;
        self.groups.insert(key.clone(), (group.clone(), false));
        self.place(&key.task, Item::Enter(key.clone()));
        Ok(())
    }

    fn leave_group(&mut self, key: &StepKey) -> Result<(), String> {
        match self.groups.get_mut(key) {
            None => Err(format!("group {key} was never entered")),
            Some((_, true)) => Err(format!("group {key} was left already")),
            Some((_, left)) => {
                *left = true;
                self.tasks.entry(key.task.clone()).or_default().push(Item::Leave(key.clone()));
                Ok(())
            }
        }
    }

    fn undo(&mut self, key: &StepKey, n: u32, part: Part, status: UndoStatus) -> Result<(), String> {
        let step = self.started(key)?;
        let undo = step.undos.get_mut(&n).ok_or_else(|| format!("{key} has no compensation {n}"))?;
        let now = undo.parts.get(&part);
        match (now, &status) {
            (Some(UndoStatus::Done { .. }), _) => Err(format!("compensation {n} of {key} is done already")),
            (None | Some(UndoStatus::Failed(_)), UndoStatus::Started) | (Some(UndoStatus::Started), _) => {
                undo.failures += u32::from(matches!(&status, UndoStatus::Failed(error) if has_ended(error)));
                undo.parts.insert(part, status.clone());
                let host = step.command.host.clone();
                match &status {
                    UndoStatus::Started => {}
                    UndoStatus::Done { .. } => self.spoke_to(&host, None),
                    UndoStatus::Failed(error) => self.spoke_to(&host, Some(error)),
                }
                Ok(())
            }
            _ => Err(format!("compensation {n} of {key} was not begun")),
        }
    }
}

impl UndoState {
    /// Whether undoing it found something to undo, or could not tell.
    fn found_a_change(&self) -> bool {
        self.parts.values().any(|status| matches!(status, UndoStatus::Done { changed: true } | UndoStatus::Failed(_)))
    }
}

/// Whether what failed so has surely ended.
fn has_ended(error: &StepError) -> bool {
    !matches!(
        error.kind,
        ErrorKind::Unreachable | ErrorKind::InDoubt | ErrorKind::Interrupted | ErrorKind::Ledger | ErrorKind::Fenced
    )
}

impl StepState {
    /// The service that it acts on, without the end of its name that may be left out.
    #[must_use]
    pub fn unit(&self) -> Option<ServiceUnit> {
        let unit = self.command.op.starts_with("service.").then(|| self.command.args["unit"].clone())?;
        serde_json::from_value(unit).ok().map(ServiceUnit::plain)
    }

    /// Whether its host was never reached for it: what it put on record as its undo has nothing to undo.
    #[must_use]
    pub fn is_void(&self) -> bool {
        matches!(&self.status, StepStatus::Failed(error) if error.kind == ErrorKind::Unreachable)
    }

    /// Whether the step changed anything, or may have.
    #[must_use]
    pub fn may_have_changed(&self) -> bool {
        match &self.status {
            _ if self.is_void() => false,
            StepStatus::Succeeded { outcome, .. } => *outcome == Outcome::Changed,
            StepStatus::Started => {
                // What undoes a command, its end at least, is on record before it begins.
                (self.command.op == "run" && !self.undos.is_empty())
                    || self.undos.values().any(|undo| undo.parts.is_empty() || undo.found_a_change())
            }
            StepStatus::Failed(error) => {
                let began = !matches!(error.kind, ErrorKind::BadInput | ErrorKind::Unreachable | ErrorKind::Refused);
                // A command that was begun has its end on record as something to undo.
                (began && self.command.op == "run" && !self.undos.is_empty())
                    || self.undos.values().any(UndoState::found_a_change)
            }
        }
    }
}
