//! One scenario from its beginning to its end: the run, and whoever takes it up.

use super::scenario::{Scenario, Then};
use crate::artifact::{DirectoryStore, KeptSources};
use crate::effect::{Effects, Fence, PostconditionSubject};
use crate::event::Watcher;
use crate::id::{Digest, Epoch, LockName, RunId, StepKey};
use crate::interp::fault::{Faulty, History, Injector, Memory};
use crate::interp::simulate::{Answered, Snapshot, UnitShown};
use crate::interp::{Controller, Fleet, Retry, Simulate, turns};
use crate::journal::{Decision, Record, RunPhase, RunState, StepState};
use crate::ledger::{KnownGood, Lease, Ledger, LedgerError, Link, MemoryLedger, Release, RunRow, StoredRun, known_good};
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
        let speaks = |(_, step): &(&StepKey, &StepState)| {
            step.undos.values().flat_map(|undo| &undo.makes).any(|made| match made.subject() {
                PostconditionSubject::Path(path) | PostconditionSubject::Mode(path) => {
                    thing.strip_prefix(path.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
                }
                PostconditionSubject::Active(unit) | PostconditionSubject::Enabled(unit) => {
                    thing.strip_prefix("service ").is_some_and(|name| name.contains(unit.as_str()))
                }
            })
        };
        own.iter().any(speaks) || own.iter().any(|(_, step)| step.command.op == "run") && !other.iter().any(speaks)
    }

    /// How the run ended; nothing when it did not.
    #[must_use]
    pub fn phase(&self) -> Option<RunPhase> {
        self.last.as_ref().map(|finish| finish.state)
    }

    /// Whether a host is gone for good, or could not be reached when it was to be undone.
    #[must_use]
    pub fn is_gone(&self, host: &str) -> bool {
        self.history.gone.iter().any(|gone| gone.as_str() == host)
            || self.last.as_ref().is_some_and(|finish| finish.debts.iter().any(|debt| debt.as_str() == host))
    }
}

/// A ledger whose process may be killed, or lose its lock.
struct Fragile {
    inner: MemoryLedger,
    injector: Arc<Injector>,
    environment: String,
    before: Arc<[Before]>,
}

impl Fragile {
    fn alive(&self) -> Result<(), LedgerError> {
        if self.injector.is_dead() {
            return Err(LedgerError::Write("the process was killed".to_owned()));
        }
        if !self.injector.is_lost() {
            return Ok(());
        }
        let by = Lease {
            epoch: Epoch(2),
            run: None,
            holder: "somebody else".to_owned(),
            machine: String::new(),
            since: 0,
            until: 0,
            reason: String::new(),
        };
        Err(LedgerError::Fenced { environment: self.environment.clone(), by: Box::new(by) })
    }
}

impl Ledger for Fragile {
    fn begin(&self, id: &RunId, run: &StoredRun, by: &str, at: i64) -> Result<(), LedgerError> {
        self.inner.begin(id, run, by, at)
    }

    fn append(&self, id: &RunId, records: &[Record]) -> Result<Digest, LedgerError> {
        self.alive()?;
        for record in records {
            self.inner.append(id, std::slice::from_ref(record))?;
            if self.injector.kills_at(record.seq) {
                self.injector.killed_at(record.seq);
                self.alive()?;
            }
        }
        Ok(self.inner.head(id)?.unwrap_or_else(|| Digest::of(b"")))
    }

    fn takes_no_time(&self) -> bool {
        true
    }

    fn check(&self) -> Result<(), LedgerError> {
        self.alive()
    }

    fn links(&self, id: &RunId) -> Result<Vec<Link>, LedgerError> {
        self.inner.links(id)
    }

    fn head(&self, id: &RunId) -> Result<Option<Digest>, LedgerError> {
        self.inner.head(id)
    }

    fn records(&self, id: &RunId) -> Result<Vec<Record>, LedgerError> {
        self.inner.records(id)
    }

    fn stored(&self, id: &RunId) -> Result<StoredRun, LedgerError> {
        self.inner.stored(id)
    }

    fn releases(&self, environment: Option<&str>) -> Result<Vec<Release>, LedgerError> {
        self.inner.releases(environment)
    }

    fn before(&self, _: &RunId, _: &RunState) -> Result<Vec<Before>, LedgerError> {
        Ok(self.before.to_vec())
    }

    fn replace_script(&self, id: &RunId, run: &StoredRun) -> Result<(), LedgerError> {
        self.inner.replace_script(id, run)
    }

    fn runs(&self, environment: Option<&str>, most: usize) -> Result<Vec<RunRow>, LedgerError> {
        self.inner.runs(environment, most)
    }

    fn find(&self, text: &str) -> Result<RunRow, LedgerError> {
        self.inner.find(text)
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
        let fleet = Arc::new(self.fleet.copy());
        let mut began: BTreeMap<_, _> = fleet.names().into_iter().map(|name| (name.clone(), fleet.units(&name))).collect();
        let lock = LockName::new("test", &self.stored.environment.name);
        let injector = Arc::new(Injector::new(fleet.clone(), scenario.faults.clone(), lock.clone(), self.memory.clone()));
        let ledger = Arc::new(Fragile {
            inner: MemoryLedger::default(),
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
        let id = RunId::new("20260101-1200", "test");
        let play = Play { injector: &injector, runner: &runner, id: &id, scenario };
        let (legs, last) = turns::in_turns(|| play.legs(&self.stored))?;
        let records = ledger.records(&id)?;
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
            start: self.at_first.get_or_init(|| Arc::new(self.fleet.snapshot())).clone(),
            booted,
            end: fleet.snapshot(),
            began,
            stale: Vec::new(),
            sick: Vec::new(),
            kept: fleet.kept(),
            assumed: std::collections::BTreeSet::new(),
            removed: Vec::new(),
        };
        outcome.look(&fleet, &injector);
        Ok(outcome)
    }

    fn stack(&self, injector: &Arc<Injector>, lock: LockName, scratch: &Path) -> StackBuilder {
        let (injector, scratch, stop) = (injector.clone(), scratch.to_owned(), self.stop.clone());
        Arc::new(move |stored: &StoredRun, id: &RunId, _: Stop, _: Arc<dyn Watcher>| {
            let store = Arc::new(DirectoryStore::new(stored.store_directory()));
            let kept = KeptSources::new(&scratch, id.clone(), stored.goes_back_to.clone());
            let controller = Controller::new(Path::new(&stored.root), store, kept);
            let epoch = Epoch(u64::from(injector.leg()));
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

/// A scenario under way.
struct Play<'a> {
    injector: &'a Arc<Injector>,
    runner: &'a Runner,
    id: &'a RunId,
    scenario: &'a Scenario,
}

impl Play<'_> {
    fn legs(&self, stored: &StoredRun) -> Result<(Vec<Leg>, Option<Finish>), LedgerError> {
        let mut legs = Vec::new();
        let outset = Outset { id: self.id.clone(), stored: stored.clone(), by: "test".to_owned() };
        let mut finish = self.runner.start(&outset);
        let mut what = "run".to_owned();
        let mut then = self.scenario.then;
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
        let Some(finish) = ended else { return Some(wanted) };
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
