//! One scenario from its beginning to its end: the run, and whoever takes it up.

use super::fragile::Fragile;
use super::judge::speaks_of;
use super::scenario::{Scenario, Then};
use crate::artifact::{DirectoryStore, KeptSources};
use crate::effect::{Effects, Fence};
use crate::event::Watcher;
use crate::id::{Epoch, LockName, RunId, StepKey};
use crate::interp::fault::{Fault, Faulty, History, Injector, Memory};
use crate::interp::simulate::{Answered, Snapshot, UnitShown};
use crate::interp::{Controller, Fleet, Retry, Simulate, turns};
use crate::journal::{Decision, Record, RunPhase, RunState, StepState};
use crate::ledger::{KnownGood, Ledger, LedgerError, MemoryLedger, StoredRun, known_good};
use crate::op::Registry;
use crate::run::{Finish, Job, Outset, Programs, Runner, StackBuilder};
use crate::saga::{self, Before};
use crate::script::Diagnostic;
use crate::step::ErrorKind;
use crate::stop::Stop;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// How often a cut connection is tried again.
const TRIES: u32 = 2;
/// How often a run is taken up.
const MOST_LEGS: usize = 6;

/// What a fleet is at the beginning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// Nothing is deployed.
    Fresh,
    /// Something is live, in words.
    Live(String),
}

impl Start {
    /// The word for it on the command line.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Live(_) => "live",
        }
    }
}

impl fmt::Display for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fresh => f.write_str("hosts on which nothing is deployed"),
            Self::Live(what) => write!(f, "hosts on which {what} is live"),
        }
    }
}

impl Serialize for Start {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

/// What is tested: a run, and the fleet that it begins on.
pub struct Subject {
    /// What it is made of.
    pub stored: StoredRun,
    /// The fleet at its beginning; scenarios work on copies.
    pub fleet: Arc<Fleet>,
    /// What the runs that made it so held of its services.
    pub before: Arc<[Before]>,
    /// What the fleet is at its beginning.
    pub start: Start,
    /// A directory for what is read of the project; each scenario at a time has one of its own in it.
    pub scratch: PathBuf,
    /// What was read of the project.
    pub memory: Memory,
    /// What the primitives are.
    pub registry: Arc<Registry>,
    /// What ends it.
    pub stop: Stop,
    /// How everything was at the beginning; taken down when it is first asked for.
    pub at_first: OnceLock<Arc<Snapshot>>,
}

/// A fleet as a run left it that nothing went wrong with.
pub struct Deployed {
    /// It.
    pub fleet: Fleet,
    /// What is known-good there.
    pub good: Vec<KnownGood>,
    /// What the run held of its services.
    pub before: Vec<Before>,
}

/// Somebody who plays scenarios, one at a time: with programs that were read once, and a directory that it may use.
#[derive(Default)]
pub struct Worker {
    name: usize,
    programs: Arc<Programs>,
}

impl Worker {
    /// The one of this number.
    #[must_use]
    pub fn new(name: usize) -> Self {
        Self { name, programs: Arc::default() }
    }
}

/// A process of a run: the one that began it, or one that took it up.
#[derive(Debug, Clone, Serialize)]
pub struct Leg {
    /// `run`, `resume`, `unwind`, `settle`.
    pub what: String,
    /// How it left the run; nothing when it was killed.
    pub state: Option<RunPhase>,
    /// Its exit code.
    pub exit: Option<u8>,
    /// What it failed of.
    pub error: Option<String>,
}

/// What came of a scenario.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// It.
    pub scenario: Scenario,
    /// Every moment.
    pub history: History,
    /// The processes.
    pub legs: Vec<Leg>,
    /// How the last one ended.
    pub last: Option<Finish>,
    /// What the journal says.
    pub state: RunState,
    /// The journal.
    pub records: Vec<Record>,
    /// The world before.
    pub start: Arc<Snapshot>,
    /// The same where hosts that booted meanwhile had booted before.
    pub booted: Option<Snapshot>,
    /// The world after.
    pub end: Snapshot,
    /// The services of each host before.
    pub began: BTreeMap<String, Vec<UnitShown>>,
    /// Services that run from files that are not what they were, by host.
    pub stale: Vec<(String, UnitShown, String)>,
    /// Services that were made to be sick, or to end, and are not well.
    pub sick: Vec<(String, String)>,
    /// What runs keep on hosts.
    pub kept: Vec<String>,
    /// Commands that were taken to have gone well.
    pub assumed: std::collections::BTreeSet<String>,
    /// Files that ran before and are gone.
    pub removed: Vec<(String, String)>,
    /// The same deploy once more, where the scenario has it and this one came to an end that owes nothing.
    pub next: Option<Box<Self>>,
}

impl Outcome {
    /// Whether a bracket is around a host that could not be reached to be undone.
    #[must_use]
    pub fn is_open_for_one_away(&self, key: &StepKey) -> bool {
        saga::waits_for(&self.state, key, |host| self.is_gone(host.as_str()))
    }

    /// Whether something of a host is otherwise since a bracket is open for one that is away: what its steps made, or, where a
    /// command opened it, what no other step of the run speaks of.
    #[must_use]
    pub fn is_held_open(&self, host: &str, thing: &str) -> bool {
        let open = self.last.iter().flat_map(|finish| &finish.open);
        let open: Vec<String> =
            open.filter(|(key, _)| self.is_open_for_one_away(key)).map(|(key, _)| format!("{}/{}.", key.task, key.n)).collect();
        let opens = |key: &StepKey| open.iter().any(|within| key.task.as_str().starts_with(within));
        let steps = self.state.steps.iter().filter(|(_, step)| step.command.host.as_str() == host);
        let (own, other): (Vec<_>, Vec<_>) = steps.partition(|(key, _)| opens(key));
        let speaks = |(_, step): &(&StepKey, &StepState)| speaks_of(step, thing);
        own.iter().any(speaks) || own.iter().any(|(_, step)| step.command.op == "run") && !other.iter().any(speaks)
    }

    /// How the run ended, also where its process was killed before it could say so; nothing when it did not.
    #[must_use]
    pub fn phase(&self) -> Option<RunPhase> {
        let on_record = || self.state.phase.filter(|phase| phase.is_ended());
        self.last.as_ref().map(|finish| finish.state).or_else(on_record)
    }

    /// Whether a process of the run was there to undo it, by its number.
    #[must_use]
    pub fn is_undoing(&self, leg: u8) -> bool {
        let leg = self.legs.get(usize::from(leg).saturating_sub(1));
        leg.is_some_and(|leg| matches!(leg.what.as_str(), "unwind" | "settle"))
    }

    /// Whether another run may begin: nothing is owed, nothing is open, and every host is there.
    fn is_over(&self) -> bool {
        let owes = self.last.as_ref().is_some_and(|finish| !finish.debts.is_empty() || !finish.open.is_empty());
        let ended = matches!(self.phase(), Some(RunPhase::Succeeded | RunPhase::Unwound));
        ended && !owes && self.history.gone.is_empty()
    }

    /// Whether a host is gone for good, or could not be reached when it was to be undone.
    #[must_use]
    pub fn is_gone(&self, host: &str) -> bool {
        self.history.gone.iter().any(|gone| gone.as_str() == host)
            || self.last.as_ref().is_some_and(|finish| finish.debts.iter().any(|debt| debt.as_str() == host))
    }
}

impl Subject {
    /// The fleet as the run leaves it when nothing goes wrong, with what is known of it then.
    ///
    /// # Errors
    /// Why it does not succeed.
    pub fn deployed(&self) -> Result<Deployed, Box<Diagnostic>> {
        let broken = |error: LedgerError| Box::new(Diagnostic::error(error.to_string()));
        let fleet = Arc::new(self.fleet.copy());
        let lock = LockName::new("test", &self.stored.environment.name);
        let injector = Arc::new(Injector::new(fleet.clone(), Vec::new(), lock.clone(), self.memory.clone()));
        let ledger = Arc::new(MemoryLedger::default());
        let runner = Runner {
            ledger: ledger.clone(),
            registry: self.registry.clone(),
            stack: self.stack(&injector, lock, &self.scratch.join("before")),
            watcher: injector.clone(),
            interrupt: self.stop.clone(),
            stop: self.stop.clone(),
            crash: None,
            programs: None,
        };
        let outset = Outset { id: RunId::new("20260101-1100", "live"), stored: self.stored.clone(), by: "test".to_owned() };
        let finish = turns::in_turns(|| runner.start(&outset)).map_err(broken)?;
        if finish.state != RunPhase::Succeeded {
            let said = finish.diagnostic.unwrap_or_else(|| Diagnostic::error("the run did not succeed"));
            return Err(Box::new(said));
        }
        let good = known_good(&ledger.releases(None).map_err(broken)?);
        let state = RunState::read(&ledger.records(&outset.id).map_err(broken)?);
        let before = state.map(|state| saga::held(&state, 0)).unwrap_or_default();
        Ok(Deployed { fleet: fleet.copy(), good, before })
    }

    /// The world before, with the hosts that booted meanwhile as they would be, and their services: what does not come up at its host's
    /// boot is gone whatever the run did.
    fn booted(&self, history: &History) -> Option<(Snapshot, BTreeMap<String, Vec<UnitShown>>)> {
        if history.booted.is_empty() {
            return None;
        }
        let fleet = self.fleet.copy();
        for host in &history.booted {
            // What cannot start does not run then.
            let _ = fleet.reboot(host.as_str());
        }
        let units = history.booted.iter().map(|host| (host.to_string(), fleet.units(host.as_str()))).collect();
        Some((fleet.snapshot(), units))
    }

    /// Plays a scenario, by one of those that play them.
    ///
    /// # Errors
    /// When the run cannot even begin.
    pub fn play(&self, scenario: &Scenario, worker: &Worker) -> Result<Outcome, LedgerError> {
        let deploys = self.deploys(scenario, worker, 1 + usize::from(scenario.again.is_some()), &|_| true)?;
        // Each with the one behind it.
        let joined = deploys.into_iter().rev().reduce(|next, first| Outcome { next: Some(Box::new(next)), ..first });
        joined.ok_or_else(|| LedgerError::Read("no run was played".to_owned()))
    }

    /// The run without faults. Where each deploy of the same leads elsewhere than the one before it, and every other one to the same
    /// end, the second one comes with it: deploys take turns then, as those of two colours do.
    ///
    /// # Errors
    /// When the run cannot even begin.
    pub fn calm(&self, worker: &Worker) -> Result<Outcome, LedgerError> {
        let leads_elsewhere = |deploys: &[Outcome]| match deploys {
            [.., before, last] => last.phase() == Some(RunPhase::Succeeded) && last.end != before.end,
            _ => true,
        };
        let mut deploys = self.deploys(&Scenario::calm(), worker, 4, &leads_elsewhere)?;
        let take_turns = matches!(&deploys[..], [_, second, _, fourth] if second.end == fourth.end);
        let second = (deploys.len() > 1).then(|| deploys.swap_remove(1));
        let first = deploys.into_iter().next().ok_or_else(|| LedgerError::Read("no run was played".to_owned()))?;
        Ok(Outcome { next: second.filter(|_| take_turns).map(Box::new), ..first })
    }

    /// Plays the run of a scenario up to so many times, one behind the other, as long as each is over, and this says that another is
    /// wanted.
    fn deploys(
        &self,
        scenario: &Scenario,
        worker: &Worker,
        most: usize,
        wanted: &dyn Fn(&[Outcome]) -> bool,
    ) -> Result<Vec<Outcome>, LedgerError> {
        let kept = Arc::new(MemoryLedger::default());
        let fleet = Arc::new(self.fleet.copy());
        let mut deploys: Vec<Outcome> = Vec::new();
        let mut behind: Option<Self> = None;
        for (n, hour) in (1..).zip(12..).take(most) {
            let id = RunId::new(&format!("20260101-{hour}00"), "test");
            let faults = if n == 1 { &scenario.faults } else { scenario.again.as_deref().unwrap_or_default() };
            let one = One { id, faults: faults.to_vec(), n };
            let subject = behind.as_ref().unwrap_or(self);
            let start = subject.at_first.get_or_init(|| Arc::new(subject.fleet.snapshot())).clone();
            let outcome = subject.one(scenario, worker, &one, (&fleet, &kept, start))?;
            let is_over = outcome.is_over();
            behind = is_over.then(|| subject.next(&outcome, &fleet, &kept)).transpose()?;
            deploys.push(outcome);
            if !is_over || !wanted(&deploys) {
                break;
            }
        }
        Ok(deploys)
    }

    /// The same once more, on the fleet as it was left, with what is known of it then.
    fn next(&self, first: &Outcome, fleet: &Fleet, kept: &MemoryLedger) -> Result<Self, LedgerError> {
        let mut before = self.before.to_vec();
        let mut stored = self.stored.clone();
        if first.phase() == Some(RunPhase::Succeeded) {
            before.iter_mut().for_each(|before| before.age += 1);
            before.splice(..0, saga::held(&first.state, 0));
            let made = known_good(&kept.releases(None)?);
            stored
                .known_good
                .retain(|known| !made.iter().any(|made| made.host == known.host && made.component == known.component));
            stored.known_good.extend(made);
        }
        Ok(Self {
            stored,
            fleet: Arc::new(fleet.copy()),
            before: before.into(),
            start: self.start.clone(),
            scratch: self.scratch.clone(),
            memory: self.memory.clone(),
            registry: self.registry.clone(),
            stop: self.stop.clone(),
            at_first: OnceLock::new(),
        })
    }

    /// Plays one run to its end.
    fn one(
        &self,
        scenario: &Scenario,
        worker: &Worker,
        one: &One,
        (fleet, kept, start): (&Arc<Fleet>, &Arc<MemoryLedger>, Arc<Snapshot>),
    ) -> Result<Outcome, LedgerError> {
        let mut began: BTreeMap<_, _> = fleet.names().into_iter().map(|name| (name.clone(), fleet.units(&name))).collect();
        let lock = LockName::new("test", &self.stored.environment.name);
        let injector =
            Arc::new(Injector::new(fleet.clone(), one.faults.clone(), lock.clone(), self.memory.clone()).of_run(one.n));
        let ledger = Arc::new(Fragile {
            inner: kept.clone(),
            injector: injector.clone(),
            environment: self.stored.environment.name.clone(),
            before: self.before.clone(),
        });
        let runner = Arc::new(Runner {
            ledger: ledger.clone(),
            registry: self.registry.clone(),
            stack: self.stack(&injector, lock, &self.scratch.join(worker.name.to_string())),
            watcher: injector.clone(),
            interrupt: self.stop.clone(),
            stop: self.stop.clone(),
            crash: None,
            programs: Some(worker.programs.clone()),
        });
        let play = Play { injector: &injector, runner: &runner, id: &one.id, then: scenario.then };
        let (legs, last) = turns::in_turns(|| play.legs(&self.stored))?;
        let records = ledger.records(&one.id)?;
        let state = RunState::read(&records).map_err(|illegal| LedgerError::Read(illegal.to_string()))?;
        let history = injector.take_history();
        let (booted, units) = self.booted(&history).unzip();
        began.extend(units.into_iter().flatten());
        let mut outcome = Outcome {
            scenario: scenario.clone(),
            history,
            legs,
            last,
            state,
            records,
            start,
            booted,
            end: fleet.snapshot(),
            began,
            stale: Vec::new(),
            sick: Vec::new(),
            kept: fleet.kept(),
            assumed: std::collections::BTreeSet::new(),
            removed: Vec::new(),
            next: None,
        };
        outcome.look(fleet, &injector);
        Ok(outcome)
    }

    fn stack(&self, injector: &Arc<Injector>, lock: LockName, scratch: &Path) -> StackBuilder {
        let (injector, scratch, stop) = (injector.clone(), scratch.to_owned(), self.stop.clone());
        Arc::new(move |stored: &StoredRun, id: &RunId, _: Stop, _: Arc<dyn Watcher>| {
            let store = Arc::new(DirectoryStore::new(stored.store_directory()));
            let kept = KeptSources::new(&scratch, id.clone(), stored.goes_back_to.clone());
            let controller = Controller::new(Path::new(&stored.root), store, kept);
            let epoch = Epoch(injector.epoch());
            let fence = Fence::new(lock.clone(), epoch);
            let world = Simulate::new(injector.fleet().clone(), id.clone(), controller, stop.clone()).with_fence(fence);
            let retry = Retry::new(Faulty::new(world, injector.clone()), stop.clone()).at_once(TRIES);
            Arc::new(retry) as Arc<dyn Effects>
        })
    }
}

impl Outcome {
    /// What of the world only its end tells.
    fn look(&mut self, fleet: &Fleet, injector: &Injector) {
        let succeeded = self.phase() == Some(RunPhase::Succeeded);
        for host in fleet.names() {
            let stale = if succeeded { fleet.stale(&host) } else { Vec::new() };
            let assumed = fleet.opaque(&host).into_iter().filter(|opaque| opaque.answered == Answered::Assumed);
            self.assumed.extend(assumed.map(|opaque| opaque.command));
            let ill = |unit: &UnitShown| injector.is_sick(&host, &unit.unit) || injector.is_ended(&host, &unit.unit);
            let sick = fleet.units(&host).into_iter().filter(ill);
            self.sick.extend(sick.map(|unit| (host.clone(), unit.unit)));
            self.stale.extend(stale.into_iter().map(|(unit, file)| (host.clone(), unit, file)));
            let ran = self.began.get(&host).into_iter().flatten().filter(|unit| unit.is_up());
            let there = |path: &str| self.end.hosts.get(&host).is_some_and(|things| things.contains_key(path));
            let gone: Vec<String> =
                ran.flat_map(|unit| unit.from.iter().map(|(path, _)| path.clone())).filter(|path| !there(path)).collect();
            self.removed.extend(gone.into_iter().map(|path| (host.clone(), path)));
        }
    }
}

/// A run of a scenario.
struct One {
    id: RunId,
    /// What goes wrong in it.
    faults: Vec<Fault>,
    /// Which one it is.
    n: u64,
}

/// A run under way.
struct Play<'a> {
    injector: &'a Arc<Injector>,
    runner: &'a Runner,
    id: &'a RunId,
    then: Then,
}

impl Play<'_> {
    fn legs(&self, stored: &StoredRun) -> Result<(Vec<Leg>, Option<Finish>), LedgerError> {
        let mut legs = Vec::new();
        let outset = Outset { id: self.id.clone(), stored: stored.clone(), by: "test".to_owned() };
        let mut finish = self.runner.start(&outset);
        let mut what = "run".to_owned();
        let mut then = self.then;
        while legs.len() < MOST_LEGS {
            let dead = self.injector.is_dead();
            let ended = match finish {
                // A process that is killed says nothing.
                Err(_) | Ok(_) if dead => None,
                Err(error) => return Err(error),
                Ok(finish) => Some(finish),
            };
            legs.push(leg(&what, ended.as_ref()));
            // Nobody undoes what was declared not to be undone.
            if self.is_past_return() {
                then = Then::Resume;
            }
            let Some(job) = self.next(ended.as_ref(), then) else { return Ok((legs, ended)) };
            // A run that could not go on is undone.
            if ended.as_ref().is_some_and(|finish| finish.exit == 6 && !self.injector.is_lost()) {
                then = Then::Unwind;
            }
            let job = if then == Then::Unwind && job == Job::Resume { Job::Unwind } else { job };
            let settles = ended.as_ref().is_some_and(|finish| finish.state.is_ended());
            self.injector.next_leg();
            if let Some(finish) = &ended {
                self.decide(finish, job);
            }
            what = match job {
                Job::Resume => "resume",
                Job::Unwind if settles => "settle",
                Job::Unwind => "unwind",
            }
            .to_owned();
            finish = self.runner.take_up(self.id, job);
        }
        let ended = finish.ok();
        legs.push(leg(&what, ended.as_ref()));
        Ok((legs, ended))
    }

    /// What is done next; nothing when nothing is left to do.
    fn next(&self, ended: Option<&Finish>, then: Then) -> Option<Job> {
        let wanted = match then {
            Then::Resume => Job::Resume,
            Then::Unwind => Job::Unwind,
        };
        let Some(finish) = ended else { return (!self.is_ended()).then_some(wanted) };
        match finish.state {
            RunPhase::Running | RunPhase::Suspended | RunPhase::Interrupted => Some(wanted),
            RunPhase::Unwinding | RunPhase::Stuck => Some(Job::Unwind),
            _ => {
                let owes = !finish.debts.is_empty() || !finish.open.is_empty();
                (self.injector.back() && owes).then_some(Job::Unwind)
            }
        }
    }

    fn is_past_return(&self) -> bool {
        let records = self.runner.ledger.records(self.id).unwrap_or_default();
        RunState::read(&records).is_ok_and(|state| state.is_past_return())
    }

    /// Whether the end is on record of a run whose process said nothing.
    fn is_ended(&self) -> bool {
        let records = self.runner.ledger.records(self.id).unwrap_or_default();
        RunState::read(&records).is_ok_and(|state| state.phase.is_some_and(RunPhase::is_ended))
    }

    /// A person has looked: what is in doubt took effect, and so did what was to undo it.
    fn decide(&self, finish: &Finish, job: Job) {
        let doubtful = finish.stuck.iter().any(|error| error.kind == ErrorKind::InDoubt);
        let said: Vec<(StepKey, Decision)> = match job {
            Job::Resume => finish.doubts.iter().map(|key| (key.clone(), Decision::AssumeDone)).collect(),
            Job::Unwind if doubtful => {
                let records = self.runner.ledger.records(self.id).unwrap_or_default();
                let open = RunState::read(&records).map(|state| state.not_yet_undone()).unwrap_or_default();
                open.into_iter().map(|key| (key, Decision::MarkDone)).collect()
            }
            Job::Unwind => Vec::new(),
        };
        if !said.is_empty() {
            // What cannot be decided stays in doubt, and the scenario ends so.
            let _ = self.runner.decide(self.id, &said, "looked", "test");
        }
    }
}

fn leg(what: &str, ended: Option<&Finish>) -> Leg {
    Leg {
        what: what.to_owned(),
        state: ended.map(|finish| finish.state),
        exit: ended.map(|finish| finish.exit),
        error: ended.and_then(|finish| finish.error.as_ref().map(ToString::to_string)),
    }
}
