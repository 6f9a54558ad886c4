//! What a fault test knows of a run under way: what is to go wrong, what has, and every moment so far.

use super::kind::{EffectId, Fault, FaultKind, Point};
use super::moment::{Ended, Moment, act, ended, words};
use crate::effect::{Attributes, Effect, EffectClass, EffectError, Login, Reply};
use crate::event::{Event, Holds, Watcher, WorldView};
use crate::id::{Epoch, HostName, LockName, StepKey};
use crate::interp::simulate::{Fleet, UnitShown};
use crate::journal::{Entry, Record};
use crate::step::Site;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What was read of the project, for all runs of a test.
pub type Memory = Arc<Mutex<BTreeMap<String, Reply>>>;

/// Everything that happened.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// Effects on hosts, in their order.
    pub moments: Vec<Moment>,
    /// Records of the journal, each with how many moments were before it.
    pub records: Vec<(usize, Record)>,
    /// Texts that nobody but their files' owners may read.
    pub private: BTreeSet<String>,
    /// What did not hold, and at which moment.
    pub broken: Vec<Broken>,
    /// Faults that came to pass.
    pub came: Vec<Fault>,
    /// Hosts that are gone for good.
    pub gone: BTreeSet<HostName>,
    /// Steps that asked for something of a host while it was gone.
    pub unreached: BTreeSet<(StepKey, HostName)>,
    /// Hosts that were gone for a while, or are.
    pub were_gone: BTreeSet<HostName>,
    /// Hosts that were started anew before they were back.
    pub booted: BTreeSet<HostName>,
    /// Groups of hosts that were worked on.
    pub forks: Vec<Forked>,
}

/// What a script says must hold, and did not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The number of the moment.
    pub at: usize,
    /// The name of the invariant.
    pub name: String,
    /// Where the script states it.
    pub site: Site,
    /// Why it does not hold; empty when there is no more to say.
    pub why: String,
}

/// A group of hosts that is worked on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forked {
    /// Its hosts.
    pub hosts: Vec<HostName>,
    /// How many of them must serve at every moment, where that is said.
    pub keeps: Option<usize>,
}

/// Makes things go wrong in one run.
pub struct Injector {
    fleet: Arc<Fleet>,
    faults: Vec<Fault>,
    lock: LockName,
    memory: Memory,
    /// The services of each host when the run began.
    began: BTreeMap<String, Vec<UnitShown>>,
    state: Mutex<State>,
    dead: AtomicBool,
    lost: AtomicBool,
    /// The epoch of its first process.
    epoch: u64,
}

#[derive(Default)]
struct State {
    leg: u8,
    counts: BTreeMap<StepKey, u32>,
    ops: BTreeMap<StepKey, String>,
    undoing: BTreeSet<StepKey>,
    /// Hosts that are gone, and how they come back.
    gone: BTreeMap<HostName, Returns>,
    full: BTreeSet<HostName>,
    /// What is not well.
    sick: Vec<Sick>,
    /// What was made to end by itself.
    ended: BTreeSet<(String, String)>,
    /// What is not well at its next look.
    flaps: BTreeSet<(String, String)>,
    doubtful: BTreeSet<String>,
    units: BTreeMap<HostName, Arc<[UnitShown]>>,
    history: History,
    /// What must hold.
    holds: Vec<Holds>,
}

/// A unit that does not get well.
struct Sick {
    /// On one host, or on all.
    host: Option<HostName>,
    unit: String,
    /// Processes of other hosts that ran then, by host: what is well stays so.
    spared: BTreeSet<(String, i64)>,
}

impl Sick {
    fn is(&self, host: &str, unit: &str) -> bool {
        self.unit == unit && self.host.as_ref().is_none_or(|name| name.as_str() == host)
    }
}

/// How a host that is gone comes back once the run has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Returns {
    Never,
    AsItWas,
    /// It was started anew.
    Booted,
}

/// The effect at hand.
pub(super) struct Now {
    pub(super) id: Option<EffectId>,
    pub(super) leg: u8,
    pub(super) op: String,
    pub(super) fault: Option<FaultKind>,
    pub(super) undoes: bool,
}

impl Injector {
    /// These faults, for a run on this fleet under this lock.
    #[must_use]
    pub fn new(fleet: Arc<Fleet>, faults: Vec<Fault>, lock: LockName, memory: Memory) -> Self {
        let began = fleet.names().into_iter().map(|name| (name.clone(), fleet.units(&name))).collect();
        let state = Mutex::new(State { leg: 1, ..State::default() });
        let (dead, lost) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { fleet, faults, lock, memory, began, state, dead, lost, epoch: 1 }
    }

    /// The same for the run of this number under its lock, the first being 1: each holds it later than all processes of those before.
    #[must_use]
    pub fn of_run(self, n: u64) -> Self {
        Self { epoch: 1 + (n - 1) * 100, ..self }
    }

    /// Under which epoch the process that is at work holds the lock.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch + u64::from(self.leg()) - 1
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The fleet.
    #[must_use]
    pub fn fleet(&self) -> &Arc<Fleet> {
        &self.fleet
    }

    /// Another process takes the run up.
    pub fn next_leg(&self) {
        let mut state = self.state();
        state.leg += 1;
        state.counts.clear();
        state.undoing.clear();
        self.dead.store(false, Ordering::SeqCst);
        self.lost.store(false, Ordering::SeqCst);
    }

    /// Which process of the run is at work: 1 is the first.
    #[must_use]
    pub fn leg(&self) -> u8 {
        self.state().leg
    }

    /// Hosts that went away for a while are back. Gives whether there were any.
    pub fn back(&self) -> bool {
        let mut state = self.state();
        let before = state.gone.len();
        let booted = state.gone.iter().filter(|(_, returns)| **returns == Returns::Booted);
        let booted: Vec<HostName> = booted.map(|(host, _)| host.clone()).collect();
        state.gone.retain(|_, returns| *returns == Returns::Never);
        for host in booted {
            // What does not start at its boot is not up.
            let _ = self.fleet.reboot(host.as_str());
            state.history.booted.insert(host);
        }
        before > state.gone.len()
    }

    /// The process is killed: nothing that it does reaches anything any more.
    pub fn die(&self) {
        self.dead.store(true, Ordering::SeqCst);
    }

    /// Whether it was killed.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        self.dead.load(Ordering::SeqCst)
    }

    /// Whether the lock is somebody else's.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.lost.load(Ordering::SeqCst)
    }

    /// What is to go wrong at this record, if it does in the first process.
    #[must_use]
    pub fn kills_at(&self, record: u64) -> bool {
        self.faults.iter().any(|fault| fault.at == Point::Record(record) && fault.kind.kills()) && self.leg() == 1
    }

    /// The record at which it was killed is on disk.
    pub fn killed_at(&self, record: u64) {
        let came = self.faults.iter().find(|fault| fault.at == Point::Record(record)).cloned();
        self.state().history.came.extend(came);
        self.die();
    }

    /// What happened; nothing is known of it here any more.
    #[must_use]
    pub fn take_history(&self) -> History {
        let mut state = self.state();
        let gone = state.gone.keys().cloned().collect();
        History { gone, ..std::mem::take(&mut state.history) }
    }

    pub(super) fn now(&self, key: Option<StepKey>, effect: &Effect) -> Now {
        let mut state = self.state();
        let leg = state.leg;
        let Some(key) = key else { return Now { id: None, leg, op: String::new(), fault: None, undoes: false } };
        let nth = {
            let count = state.counts.entry(key.clone()).or_default();
            *count += 1;
            *count
        };
        let op = state.ops.get(&key).cloned().unwrap_or_default();
        let closure = key.task.as_str().contains(".undo/");
        let undoes = closure || state.undoing.contains(&key) || matches!(act(effect), super::Act::Undo);
        let id = EffectId { leg, key, nth };
        let fault = self.faults.iter().find(|fault| matches!(&fault.at, Point::Effect(at) if *at == id)).cloned();
        let kind = fault.as_ref().map(|fault| fault.kind);
        state.history.came.extend(fault);
        Now { id: Some(id), leg, op, fault: kind, undoes }
    }

    /// Whether a host is gone, of which this step asks for something.
    pub(super) fn is_gone(&self, host: &HostName, step: Option<&StepKey>) -> bool {
        let mut state = self.state();
        let gone = state.gone.contains_key(host);
        state.history.unreached.extend(step.filter(|_| gone).map(|step| (step.clone(), host.clone())));
        gone
    }

    pub(super) fn gone(&self, host: &HostName, returns: Returns) {
        let mut state = self.state();
        state.gone.insert(host.clone(), returns);
        state.history.were_gone.insert(host.clone());
    }

    pub(super) fn full(&self, host: &HostName) {
        self.state().full.insert(host.clone());
    }

    pub(super) fn is_full(&self, host: &HostName) -> bool {
        self.state().full.contains(host)
    }

    pub(super) fn doubt(&self, receipt: &str) {
        self.state().doubtful.insert(receipt.to_owned());
    }

    pub(super) fn is_doubtful(&self, receipt: &str) -> bool {
        self.state().doubtful.contains(receipt)
    }

    pub(super) fn taken(&self) {
        self.lost.store(true, Ordering::SeqCst);
        self.fleet.taken(&self.lock, Epoch(self.epoch() + 1));
    }

    /// A service that was told something is not well from here on.
    pub(super) fn ails(&self, kind: FaultKind, host: &HostName, unit: &str) {
        let sick = |host: Option<HostName>, spared| Sick { host, unit: unit.to_owned(), spared };
        match kind {
            FaultKind::Sick => self.state().sick.push(sick(Some(host.clone()), BTreeSet::new())),
            FaultKind::SickRelease => {
                let others = self.fleet.names().into_iter().filter(|name| name != host.as_str());
                let pids = others.flat_map(|name| {
                    let units = self.fleet.units(&name).into_iter().filter(|shown| shown.unit == unit && shown.is_up());
                    units.map(|shown| (name.clone(), shown.pid)).collect::<Vec<_>>()
                });
                let spared = pids.collect();
                self.state().sick.push(sick(None, spared));
            }
            FaultKind::Flaps => drop(self.state().flaps.insert((host.to_string(), unit.to_owned()))),
            FaultKind::Dies => {
                self.fleet.crash(host.as_str(), unit);
                self.state().ended.insert((host.to_string(), unit.to_owned()));
            }
            _ => {}
        }
    }

    /// Whether a service that runs is not well: it was made to be sick, and runs from other files than when the run began.
    pub(super) fn is_ill(&self, host: &str, unit: &str) -> bool {
        if self.state().flaps.remove(&(host.to_owned(), unit.to_owned())) {
            return true;
        }
        self.is_sick(host, unit)
    }

    /// The same, without counting as a look.
    #[must_use]
    pub fn is_sick(&self, host: &str, unit: &str) -> bool {
        if !self.state().sick.iter().any(|sick| sick.is(host, unit)) {
            return false;
        }
        let up = |units: &[UnitShown]| units.iter().find(|shown| shown.unit == unit && shown.is_up()).cloned();
        let before = self.began.get(host).and_then(|units| up(units)).map(|unit| unit.from);
        let Some(now) = up(&self.fleet.units(host)) else { return false };
        let spared = |sick: &Sick| sick.is(host, unit) && !sick.spared.contains(&(host.to_owned(), now.pid));
        self.state().sick.iter().any(spared) && Some(&now.from) != before.as_ref()
    }

    /// Whether a service was made to end, and does not run again.
    #[must_use]
    pub fn is_ended(&self, host: &str, unit: &str) -> bool {
        self.state().ended.contains(&(host.to_owned(), unit.to_owned()))
            && !self.fleet.units(host).iter().any(|shown| shown.unit == unit && shown.is_up())
    }

    /// What is read of the project is read once.
    pub(super) fn remembered(
        &self,
        effect: &Effect,
        read: impl FnOnce() -> Result<Reply, EffectError>,
    ) -> Result<Reply, EffectError> {
        let name = format!("{effect:?}");
        let known = self.memory.lock().unwrap_or_else(PoisonError::into_inner).get(&name).cloned();
        if let Some(reply) = known {
            return Ok(reply);
        }
        let reply = read()?;
        self.memory.lock().unwrap_or_else(PoisonError::into_inner).insert(name, reply.clone());
        Ok(reply)
    }

    pub(super) fn write_down(
        &self,
        at: &Login,
        effect: &Effect,
        now: Now,
        time: i64,
        sick: Option<String>,
        result: &Result<Reply, EffectError>,
    ) {
        let class = effect.class();
        let changes = matches!(class, EffectClass::Write | EffectClass::Opaque);
        let unheard = matches!(now.fault, Some(FaultKind::Lost | FaultKind::GoneAfter | FaultKind::KilledAfter));
        let end = if unheard { Ended::Unheard } else { ended(result) };
        let shown = (changes || now.fault.is_some()).then(|| Arc::from(self.fleet.units(at.host.as_str())));
        let mut state = self.state();
        let units = shown.filter(|units| state.units.get(&at.host) != Some(units));
        if let Some(units) = &units {
            state.units.insert(at.host.clone(), units.clone());
        }
        state.history.private.extend(private(effect));
        let moment = Moment {
            id: now.id,
            leg: now.leg,
            at: time,
            host: at.host.clone(),
            what: words(effect),
            class,
            act: act(effect),
            undoes: now.undoes,
            end,
            fault: now.fault,
            units,
            sick,
        };
        // A command that a restart cut off has done something all the same.
        let cut_off = moment.fault == Some(FaultKind::Rebooted) && class == EffectClass::Opaque;
        let looks = changes && (moment.took_effect() || cut_off);
        state.history.moments.push(moment);
        let number = state.history.moments.len();
        let holds = if looks { state.holds.clone() } else { Vec::new() };
        drop(state);
        self.look(&holds, number - 1);
    }

    /// Looks whether what must hold does.
    fn look(&self, holds: &[Holds], at: usize) {
        if holds.is_empty() {
            return;
        }
        let gone = self.state().history.were_gone.iter().map(ToString::to_string).collect();
        let world: Arc<dyn WorldView> = Arc::new(Reached { fleet: self.fleet.clone(), gone });
        for holds in holds {
            if let Err(why) = (holds.look)(&world) {
                let (name, site) = (holds.name.clone(), holds.site.clone());
                self.state().history.broken.push(Broken { at, name, site, why });
            }
        }
    }
}

/// The fleet without what runs on hosts that went away: it is nobody's doing, also when they are back.
struct Reached {
    fleet: Arc<Fleet>,
    gone: BTreeSet<String>,
}

impl WorldView for Reached {
    fn hosts(&self) -> Vec<String> {
        WorldView::hosts(&*self.fleet)
    }

    fn runs(&self, host: &str, unit: &str) -> bool {
        !self.gone.contains(host) && self.fleet.runs(host, unit)
    }

    fn versions(&self, host: &str, unit: &str) -> Vec<String> {
        if self.gone.contains(host) { Vec::new() } else { self.fleet.versions(host, unit) }
    }

    fn exists(&self, host: &str, path: &str) -> bool {
        self.fleet.exists(host, path)
    }

    fn text(&self, host: &str, path: &str) -> Option<String> {
        self.fleet.text(host, path)
    }
}

/// Texts of an effect that are nobody's business but their owner's: of files that only he may read, and what commands are told
/// on standard input.
fn private(effect: &Effect) -> Vec<String> {
    let closed = |attributes: &Attributes| attributes.mode.is_some_and(|mode| mode & 0o077 == 0);
    let content = match effect {
        Effect::Write { content, attributes, .. } if closed(attributes) => content,
        Effect::Exec { command, .. } => match &command.stdin {
            Some(content) => content,
            None => return Vec::new(),
        },
        _ => return Vec::new(),
    };
    let Some(text) = content.text() else { return Vec::new() };
    let whole = text.trim();
    let secret = |line: &str| {
        let (name, value) = line.split_once(['=', ':'])?;
        let name = name.to_ascii_lowercase();
        let tells = ["pass", "secret", "token", "key", "credential"].iter().any(|word| name.contains(word));
        tells.then(|| value.trim().trim_matches(['"', '\'', ',', ';']).to_owned())
    };
    let one = (!whole.contains(char::is_whitespace)).then(|| whole.to_owned());
    one.into_iter().chain(text.lines().filter_map(secret)).filter(|text| text.len() >= 6).collect()
}

impl Watcher for Injector {
    fn see(&self, event: &Event) {
        let mut state = self.state();
        match event {
            Event::Forked { hosts, keeps } => {
                let fork = Forked { hosts: hosts.clone(), keeps: *keeps };
                if !state.history.forks.contains(&fork) {
                    state.history.forks.push(fork);
                }
            }
            Event::Invariant(holds) => {
                state.holds.retain(|known| known.name != holds.name);
                state.holds.push(holds.clone());
            }
            Event::Began { key, op, .. } => drop(state.ops.insert(key.clone(), op.clone())),
            // What a process that was killed would have written.
            Event::Recorded { .. } if self.is_dead() => {}
            Event::Recorded { record, .. } => {
                match &record.entry {
                    Entry::UndoStarted { key, .. } => drop(state.undoing.insert(key.clone())),
                    Entry::Undone { key, .. } | Entry::UndoFailed { key, .. } => drop(state.undoing.remove(key)),
                    _ => {}
                }
                let before = state.history.moments.len();
                state.history.records.push((before, record.clone()));
            }
            _ => {}
        }
    }
}
