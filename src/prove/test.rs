//! The whole test: every scenario, what the judges say, and what it comes to.

use super::judge::{self, AGAIN, Breach, Judge};
use super::list::{self, Choice};
use super::play::{Leg, Outcome, Start, Subject, Worker};
use super::scenario::Scenario;
use super::trace::{TraceLine, story, trace};
use crate::effect::EffectClass;
use crate::id::StepKey;
use crate::interp::fault::{Act, Fault, FaultKind, Point};
use crate::interp::turns;
use crate::journal::RunPhase;
use crate::ledger::LedgerError;
use crate::script::Diagnostic;
use crate::step::Site;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// A test of a run on a simulated fleet.
pub struct FaultTest<'a> {
    /// What is tested.
    pub subject: &'a Subject,
    /// Which scenarios.
    pub choice: &'a Choice,
    /// Told how many scenarios are done, and of how many that are known so far.
    pub progress: &'a (dyn Fn(usize, usize) + Sync),
}

/// How much was tried.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Coverage {
    /// Effects on hosts in the run without faults.
    pub effects: usize,
    /// Hosts that it speaks to.
    pub hosts: usize,
    /// Scenarios that were played.
    pub scenarios: usize,
    /// By the kind of the first fault.
    pub kinds: BTreeMap<FaultKind, usize>,
    /// Those with a second fault, in undoing or going on.
    pub undoing: usize,
    /// Those with the same deploy once more afterwards.
    pub again: usize,
    /// Pairs that were drawn.
    pub pairs: usize,
    /// Those whose fault did not come to pass.
    pub missed: usize,
    /// Scenarios that were left out, for their host does the same as others.
    pub folded: usize,
}

/// Something that no model covers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Uncovered {
    /// The command.
    pub command: String,
    /// Where the script calls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
}

/// Breaches that have one cause.
#[derive(Debug, Clone, Serialize)]
pub struct Cause {
    /// Who says so.
    pub judge: Judge,
    /// What is not as it must be.
    pub what: String,
    /// The line of the script that it comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub site: Option<Site>,
    /// How the script comes to that line, innermost first: `in \`stage\`, called at deploy.rhai:9:13`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub way: Vec<String>,
    /// On which hosts.
    pub hosts: BTreeSet<String>,
    /// In how many scenarios.
    pub count: usize,
    /// The one that shows it best, by its name.
    pub scenario: String,
    /// What goes wrong in it, in words.
    pub faults: Vec<String>,
    /// What happened, as short as it can be told.
    pub trace: Vec<TraceLine>,
    /// What happened, with every change on every host.
    #[serde(skip)]
    pub story: Vec<TraceLine>,
    /// How it can be mended.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub help: &'static str,
}

/// What a test comes to.
#[derive(Debug, Clone, Serialize)]
pub struct Verdict {
    /// What the fleet was at the beginning.
    pub start: Start,
    /// How much was tried.
    pub coverage: Coverage,
    /// What no model covers.
    pub uncovered: Vec<Uncovered>,
    /// What is not as it must be.
    pub causes: Vec<Cause>,
    /// Why the run does not even succeed without faults.
    #[serde(skip)]
    pub fails: Option<Diagnostic>,
    /// Whether it was stopped before all was tried.
    pub stopped: bool,
}

impl FaultTest<'_> {
    /// Tries everything.
    ///
    /// # Errors
    /// When a run cannot even begin, or its ledger in memory fails it: nothing is said of a scenario that was not played.
    pub fn run(&self) -> Result<Verdict, LedgerError> {
        let calm = self.subject.calm(&Worker::new(0))?;
        let mut found = Found::default();
        let mut verdict = Verdict {
            start: self.subject.start.clone(),
            coverage: coverage(&calm),
            uncovered: uncovered(&calm),
            causes: Vec::new(),
            fails: None,
            stopped: false,
        };
        if calm.phase() != Some(RunPhase::Succeeded) {
            let said = calm.last.as_ref().and_then(|finish| finish.diagnostic.clone());
            verdict.fails = Some(said.unwrap_or_else(|| Diagnostic::error("the run does not succeed without faults")));
            return Ok(verdict);
        }
        found.take(&calm, judge::judge(&calm, None));
        let singles = list::singles(&calm, self.choice);
        self.try_all(&singles, &calm, &mut verdict.coverage, &mut found)?;
        let firsts = if self.choice.undoing { list::firsts(&singles, &calm) } else { Vec::new() };
        let all = Mutex::new(BTreeMap::new());
        self.play_all(&firsts, &|at, outcome| {
            let behind = (list::seconds(&outcome, self.choice), list::agains(&outcome, self.choice));
            all.lock().unwrap_or_else(PoisonError::into_inner).insert(at, behind);
        })?;
        let all = all.into_inner().unwrap_or_else(PoisonError::into_inner);
        let (seconds, mut agains): (Vec<_>, Vec<_>) = all.into_values().unzip();
        let mut seconds = seconds.concat();
        seconds.dedup();
        verdict.coverage.undoing = seconds.len();
        self.try_all(&seconds, &calm, &mut verdict.coverage, &mut found)?;
        if self.choice.undoing {
            agains.insert(0, list::agains(&calm, self.choice));
            self.try_again(&agains.concat(), &calm, &mut verdict.coverage, &mut found)?;
        }
        let pairs = pairs(&singles, self.choice);
        verdict.coverage.pairs = pairs.len();
        self.try_all(&pairs, &calm, &mut verdict.coverage, &mut found)?;
        let all = list::singles(&calm, &Choice { all_hosts: true, ..self.choice.clone() }).len();
        verdict.coverage.folded = all - singles.len();
        verdict.causes = found.causes();
        for cause in &mut verdict.causes {
            cause.way = self.way(&calm, cause.site.as_ref())?;
        }
        verdict.stopped = self.subject.stop.is_stopped();
        Ok(verdict)
    }

    /// How the script comes to a line: as a failure of the first effect there tells.
    fn way(&self, calm: &Outcome, site: Option<&Site>) -> Result<Vec<String>, LedgerError> {
        let of_line = |key: &StepKey| calm.state.steps.get(key).is_some_and(|step| Some(&step.command.site) == site);
        let mut first = calm.history.moments.iter().filter(|moment| moment.leg == 1 && !moment.undoes);
        let Some(id) = first.find(|moment| moment.key().is_some_and(of_line)).and_then(|moment| moment.id.clone()) else {
            return Ok(Vec::new());
        };
        let failing = Scenario::one(Fault { at: Point::Effect(id), kind: FaultKind::Fails });
        let outcome = self.subject.play(&failing, &Worker::new(0))?;
        let said = outcome.last.and_then(|finish| finish.diagnostic).filter(|said| said.site.as_ref() == site);
        Ok(said.map(|said| said.way()).unwrap_or_default())
    }

    /// Plays deploys once more behind what came before, then again with faults in them.
    fn try_again(
        &self,
        agains: &[Scenario],
        calm: &Outcome,
        coverage: &mut Coverage,
        found: &mut Found,
    ) -> Result<(), LedgerError> {
        self.try_all(agains, calm, coverage, found)?;
        let failing = Mutex::new(BTreeMap::new());
        self.play_all(agains, &|at, outcome| {
            let list = list::failing_agains(&outcome, self.choice);
            failing.lock().unwrap_or_else(PoisonError::into_inner).insert(at, list);
        })?;
        let failing = failing.into_inner().unwrap_or_else(PoisonError::into_inner);
        let failing: Vec<Scenario> = failing.into_values().flatten().collect();
        coverage.again = agains.len() + failing.len();
        self.try_all(&failing, calm, coverage, found)
    }

    /// Plays scenarios side by side, and judges each.
    fn try_all(
        &self,
        scenarios: &[Scenario],
        calm: &Outcome,
        coverage: &mut Coverage,
        found: &mut Found,
    ) -> Result<(), LedgerError> {
        let (before, done) = (coverage.scenarios, AtomicUsize::new(0));
        let shared = Mutex::new((coverage, found));
        self.play_all(scenarios, &|_, outcome| {
            (self.progress)(before + done.fetch_add(1, Ordering::Relaxed) + 1, before + scenarios.len());
            let breaches = judge::judge(&outcome, Some(calm));
            let next = outcome.next.as_deref().map(|next| (next, judge::judge_again(next, calm)));
            let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
            let (coverage, found) = &mut *shared;
            coverage.count(&outcome);
            found.take(&outcome, breaches);
            if let Some((next, breaches)) = next {
                found.take_again(&outcome, next, breaches);
            }
        })
    }

    /// Plays scenarios side by side, a worker on each processor; each outcome is handed on with the number of its scenario.
    fn play_all(&self, scenarios: &[Scenario], take: &(dyn Fn(usize, Outcome) + Sync)) -> Result<(), LedgerError> {
        let next = AtomicUsize::new(0);
        let workers = std::thread::available_parallelism().map_or(2, usize::from).min(scenarios.len().max(1));
        let failed = Mutex::new(None);
        std::thread::scope(|scope| {
            for worker in 0..workers {
                let (next, failed) = (&next, &failed);
                scope.spawn(move || {
                    turns::on_one_processor(worker);
                    let worker = Worker::new(worker);
                    loop {
                        let at = next.fetch_add(1, Ordering::Relaxed);
                        let Some(scenario) = scenarios.get(at).filter(|_| !self.subject.stop.is_stopped()) else { return };
                        let outcome = match self.subject.play(scenario, &worker) {
                            Ok(outcome) => outcome,
                            Err(error) => {
                                failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                                return;
                            }
                        };
                        // What was stopped halfway says nothing of the script.
                        if self.subject.stop.is_stopped() {
                            return;
                        }
                        take(at, outcome);
                    }
                });
            }
        });
        failed.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
    }
}

impl Coverage {
    fn count(&mut self, outcome: &Outcome) {
        self.scenarios += 1;
        if let Some(first) = outcome.scenario.faults.first() {
            *self.kinds.entry(first.kind).or_default() += 1;
        }
        let second = outcome.scenario.again.as_ref().map_or(0, Vec::len);
        let came = outcome.next.as_ref().map_or(0, |next| next.history.came.len());
        if outcome.history.came.len() < outcome.scenario.faults.len() || came < second {
            self.missed += 1;
        }
    }
}

/// Breaches so far, by cause.
#[derive(Default)]
struct Found(BTreeMap<Name, (Cause, Rank)>);

/// Who says so, what, and the line.
type Name = (Judge, String, String);

/// How well a scenario shows it: how many faults, how many of them at no effect, how long its story is, and its name.
type Rank = (usize, usize, usize, String);

impl Found {
    fn take(&mut self, outcome: &Outcome, breaches: Vec<Breach>) {
        let faults: Vec<String> = outcome.scenario.faults.iter().map(|fault| told(outcome, fault)).collect();
        self.take_told(outcome, breaches, &faults);
    }

    /// What shows in the deploy that came behind another one.
    fn take_again(&mut self, first: &Outcome, next: &Outcome, breaches: Vec<Breach>) {
        let end = first.phase().map_or("has no end", RunPhase::word);
        let mut faults: Vec<String> = first.scenario.faults.iter().map(|fault| told(first, fault)).collect();
        faults.push(format!("the same is deployed once more; the run before is {end}"));
        faults.extend(first.scenario.again.iter().flatten().map(|fault| told(next, fault)));
        self.take_told(next, breaches, &faults);
    }

    fn take_told(&mut self, outcome: &Outcome, breaches: Vec<Breach>, faults: &[String]) {
        let mut told = BTreeSet::new();
        for breach in breaches {
            let site = breach.site.as_ref().map(ToString::to_string).unwrap_or_default();
            let key = (breach.judge, breach.what.clone(), site);
            let first = told.insert(key.clone());
            // The fewest faults, then the shortest story, then the first by name: the same in whatever order they come.
            let all = outcome.scenario.faults.iter().chain(outcome.scenario.again.iter().flatten());
            let nowhere = all.filter(|fault| fault.kind == FaultKind::Killed).count();
            let rank = (faults.len(), nowhere, outcome.history.moments.len(), outcome.scenario.to_string());
            let known = self.0.entry(key);
            let (cause, best) = known.or_insert_with(|| (cause(outcome, &breach, faults), rank.clone()));
            cause.count += usize::from(first);
            cause.hosts.extend(breach.host.clone());
            if rank < *best {
                let (count, hosts) = (cause.count, std::mem::take(&mut cause.hosts));
                *cause = Cause { count, hosts, ..self::cause(outcome, &breach, faults) };
                *best = rank;
            }
        }
    }

    fn causes(self) -> Vec<Cause> {
        let mut found = self.0;
        // What shows at a line in the first deploy as well has its cause there.
        let known: BTreeSet<(Judge, String)> =
            found.keys().filter(|(_, what, _)| !what.starts_with(AGAIN)).map(|(judge, _, site)| (*judge, site.clone())).collect();
        found.retain(|(judge, what, site), _| !what.starts_with(AGAIN) || !known.contains(&(*judge, site.clone())));
        let mut causes: Vec<Cause> = Vec::new();
        for (cause, _) in found.into_values() {
            // What is left behind is one thing, whichever line was the last to touch it.
            let same = causes.iter_mut().find(|other| cause.is_one_with(other));
            let Some(other) = same else {
                causes.push(cause);
                continue;
            };
            let (count, hosts) = (cause.count + other.count, cause.hosts.union(&other.hosts).cloned().collect());
            let better = if cause.count > other.count { cause } else { other.clone() };
            *other = Cause { count, hosts, ..better };
        }
        causes.sort_by_key(|cause| {
            let line = cause.site.as_ref().map_or((String::new(), 0), |site| (site.source.clone(), site.line));
            (cause.judge, line, cause.what.clone())
        });
        causes
    }
}

fn cause(outcome: &Outcome, breach: &Breach, faults: &[String]) -> Cause {
    Cause {
        judge: breach.judge,
        what: breach.what.clone(),
        site: breach.site.clone(),
        way: Vec::new(),
        hosts: breach.host.iter().cloned().collect(),
        count: 0,
        scenario: outcome.scenario.to_string(),
        faults: faults.to_vec(),
        trace: trace(outcome, breach),
        story: story(outcome, breach),
        help: breach.help,
    }
}

impl Cause {
    /// Whether both say of the same thing on hosts that it is not as it must be.
    fn is_one_with(&self, other: &Self) -> bool {
        let of_a_thing = self.judge == Judge::EndState && !self.what.contains("nothing undoes");
        let own = |cause: &Self| cause.site.as_ref().is_some_and(|site| !site.source.starts_with("std/"));
        of_a_thing && self.what == other.what && !own(self) && !own(other)
    }
}

/// A fault in words: what was done where, and what went wrong.
fn told(outcome: &Outcome, fault: &Fault) -> String {
    match &fault.at {
        Point::Record(record) => format!("record {record}: {}", fault.kind.told()),
        Point::Effect(id) => {
            let moment = outcome.history.moments.iter().find(|moment| moment.id.as_ref() == Some(id));
            let what = moment.map_or_else(|| id.to_string(), |moment| format!("{} on {}", moment.what, moment.host));
            format!("{what}: {}", fault.kind.told())
        }
    }
}

fn coverage(calm: &Outcome) -> Coverage {
    let effects = calm.history.moments.iter().filter(|moment| moment.id.is_some());
    let hosts: BTreeSet<&str> = effects.clone().map(|moment| moment.host.as_str()).collect();
    Coverage { effects: effects.count(), hosts: hosts.len(), ..Coverage::default() }
}

/// Commands that nothing tells the work of.
fn uncovered(calm: &Outcome) -> Vec<Uncovered> {
    let sites: BTreeMap<_, _> = calm.state.steps.iter().map(|(key, step)| (key, &step.command.site)).collect();
    let mut list = BTreeSet::new();
    for moment in calm.history.moments.iter().filter(|moment| moment.class == EffectClass::Opaque) {
        let Act::Command { text, opaque: true, .. } = &moment.act else { continue };
        let assumed = calm.assumed.iter().any(|command| command.starts_with(text.trim_end_matches('…')));
        if assumed {
            let site = moment.key().and_then(|key| sites.get(key)).map(ToString::to_string);
            let hosts = calm.start.hosts.keys();
            let command = hosts.fold(text.clone(), |text, host| judge::without_host(&text, host));
            list.insert(Uncovered { command, site });
        }
    }
    list.into_iter().collect()
}

/// Two faults at once, drawn by chance.
fn pairs(singles: &[Scenario], choice: &Choice) -> Vec<Scenario> {
    let mut chance = StdRng::seed_from_u64(choice.seed);
    let mut list = BTreeSet::new();
    let mut tries = 0;
    while singles.len() > 1 && list.len() < choice.pairs && tries < choice.pairs.saturating_mul(20) {
        tries += 1;
        let mut draw = || singles.get(chance.random_range(0..singles.len()));
        let (Some(one), Some(other)) = (draw(), draw()) else { break };
        let kills = |scenario: &Scenario| scenario.kills();
        if one == other || (kills(one) && kills(other)) {
            continue;
        }
        let faults = one.faults.iter().chain(&other.faults).cloned().collect();
        let then = if kills(one) { one.then } else { other.then };
        list.insert(Scenario { faults, then, again: None });
    }
    list.into_iter().collect()
}

impl Verdict {
    /// Whether faults were tried, all that were wanted, and nothing is to be said against the run.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.causes.is_empty() && self.fails.is_none() && !self.stopped && self.coverage.scenarios > 0
    }
}

/// The legs of a run in one line.
#[must_use]
pub fn legs_told(legs: &[Leg]) -> String {
    let one = |leg: &Leg| {
        let state = leg.state.map_or("killed", RunPhase::word);
        let exit = leg.exit.map(|exit| format!(" ({exit})")).unwrap_or_default();
        format!("{}: {state}{exit}", leg.what)
    };
    legs.iter().map(one).collect::<Vec<_>>().join(", ")
}
