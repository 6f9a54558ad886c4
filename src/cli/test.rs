//! `windlass test`: the script against everything that can go wrong, on a fleet in memory.

use super::args::{Common, Format, TestArgs, TestStart};
use super::error::{CliError, shown};
use super::predict::{Scratch, world};
use super::printer::Printer;
use super::run::{Desk, new_id, read_all};
use super::settings::{Labs, environment, environment_name, ledger, project, script, store};
use super::simulated::{empty_fleet, simulated_start};
use crate::artifact::Store;
use crate::fleet::{Environment, Project, World, selector};
use crate::interp::Fleet;
use crate::interp::fault::{Fault, FaultKind};
use crate::journal::RunState;
use crate::ledger::{Ledger, StoredRun, known_good};
use crate::op::Registry;
use crate::private;
use crate::prove::{Choice, FaultTest, Outcome, Scenario, Start, Subject, Verdict, Worker, legs_told, timeline};
use crate::report::html::fault_test_page;
use crate::report::{Tone, junit, plain, trace_lines, verdict_lines, verdict_summary};
use crate::run::Known;
use crate::saga::{self, Before as HeldBefore};
use crate::stop::Stop;
use serde_json::json;
use std::io::IsTerminal;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

pub(super) fn test(common: &Common, args: &TestArgs, printer: &Printer) -> Result<u8, CliError> {
    let project = project(common)?;
    let mut selection = args.selection.clone();
    let usual = &project.test;
    fill_in(&mut selection.set, usual.set.iter().map(|(name, value)| (name.clone(), value.clone())));
    fill_in(&mut selection.artifacts, usual.artifacts.iter().map(|(name, version)| (name.clone(), version.clone())));
    let name = environment_name(&project, selection.env.as_deref())?;
    let environment = environment(&project, &name, Labs::Leave)?;
    if let Some(limit) = &selection.limit {
        selector::select(&environment.hosts, limit)?;
    }
    let script = script(&project, &selection)?;
    let _in_use = store(&project)?.hold()?;
    let scratch = Scratch::new(&project)?;
    let mut new = read_all(&project, &script, &environment, (&selection, &args.answers), &new_id())?;
    new.known_good = known_good(&ledger(&project)?.releases(Some(&name))?);
    let mut world = world(&project, args.world.as_deref())?;
    world.answers.extend(args.answers.iter().map(|answer| (answer.name.clone(), answer.value.clone())));
    let desk = Desk::new(printer, &environment);
    let stop = desk.stops().0;
    let ground = Ground { project: &project, environment: &environment, world: &world, scratch: &scratch, stop: &stop };
    let mut subjects = Vec::new();
    if args.from != Some(TestStart::Live) {
        subjects.push(ground.fresh(new.clone())?);
    }
    if args.from != Some(TestStart::Fresh) {
        subjects.extend(ground.live(args, &selection, new, printer)?);
    }
    if subjects.is_empty() {
        let help = "say what is live before: --live-artifact NAME=VERSION or --live-set NAME=VALUE, or under [test.live] in windlass.toml; \
                    or deploy once, then the ledger knows";
        return Err(CliError::usage("--from live: nothing is known to be live before").with_help(help));
    }
    if let Some(name) = &args.scenario {
        return scenario(&subjects, name, printer);
    }
    let begun = Instant::now();
    let choice = choice(args)?;
    let try_all =
        || -> Result<Vec<Verdict>, CliError> { subjects.iter().map(|subject| try_it(subject, &choice, printer)).collect() };
    let verdicts = desk.watch_signals(try_all)?;
    let again = |start: &Start| again(common, args, start);
    // What was found is told first: a file that cannot be written takes nothing of it away.
    tell(&verdicts, &again, args.strict, begun, printer);
    if let Some(path) = &args.junit {
        save(path, &junit(&project.name, &verdicts))?;
    }
    if let Some(path) = &args.html {
        save(path, &fault_test_page(&project.name, &verdicts, &again))?;
    }
    Ok(verdicts.iter().map(|verdict| exit(verdict, args.strict)).max().unwrap_or(1))
}

/// 7 where it was stopped, 1 where something is to be said against the run, or nothing was tried.
fn exit(verdict: &Verdict, strict: bool) -> u8 {
    match verdict {
        verdict if verdict.stopped => 7,
        verdict => u8::from(!verdict.is_clean() || strict && !verdict.uncovered.is_empty()),
    }
}

/// What the command line does not say is taken from the project.
fn fill_in<K: PartialEq, V>(given: &mut Vec<(K, V)>, usual: impl Iterator<Item = (K, V)>) {
    for (name, value) in usual {
        if !given.iter().any(|(other, _)| *other == name) {
            given.push((name, value));
        }
    }
}

/// What is live before the run that is tested.
struct Before {
    selection: super::args::Selection,
    told: String,
}

/// The run before: what the command line, or the project, says; else another version of an artifact in the store.
fn before(
    args: &TestArgs,
    project: &Project,
    selection: &super::args::Selection,
    new: &StoredRun,
) -> Result<Option<Before>, CliError> {
    let mut before = selection.clone();
    let (mut set, mut artifacts) = (args.live_set.clone(), args.live_artifacts.clone());
    let live = &project.test.live;
    fill_in(&mut set, live.set.iter().map(|(name, value)| (name.clone(), value.clone())));
    fill_in(&mut artifacts, live.artifacts.iter().map(|(name, version)| (name.clone(), version.clone())));
    if set.is_empty() && artifacts.is_empty() {
        let all = store(project)?.list()?;
        for pin in &new.artifacts {
            let other = all.iter().rev().find(|artifact| artifact.name == pin.name && artifact.version != pin.version);
            artifacts.extend(other.map(|artifact| (artifact.name.clone(), artifact.version.clone())));
        }
    }
    if set.is_empty() && artifacts.is_empty() {
        return Ok(None);
    }
    let told: Vec<String> = (artifacts.iter().map(|(name, version)| format!("{name} {version}")))
        .chain(set.iter().map(|(name, value)| format!("{name}={value}")))
        .collect();
    before.set.retain(|(name, _)| !set.iter().any(|(other, _)| other == name));
    before.artifacts.retain(|(name, _)| !artifacts.iter().any(|(other, _)| other == name));
    before.set.extend(set);
    before.artifacts.extend(artifacts);
    Ok(Some(Before { selection: before, told: told.join(", ") }))
}

/// What fleets are made of.
struct Ground<'a> {
    project: &'a Project,
    environment: &'a Environment,
    world: &'a World,
    scratch: &'a Scratch,
    stop: &'a Stop,
}

impl Ground<'_> {
    /// Hosts as the environment and the description of the world want them.
    fn fresh(&self, stored: StoredRun) -> Result<Subject, CliError> {
        let fleet = empty_fleet(self.environment, self.world)?;
        Ok(self.subject(stored, fleet, Start::Fresh))
    }

    /// The same, with what another run leaves.
    fn deployed(&self, old: StoredRun, mut new: StoredRun, told: &str) -> Result<Subject, CliError> {
        let first = self.fresh(old)?;
        let deployed = first.deployed().map_err(|mut why| {
            let which = format!("this is the run that is to be live before, with {told}; `--from fresh` does without");
            why.help = Some(why.help.map_or(which.clone(), |help| format!("{help}\n{which}")));
            why
        })?;
        new.known_good = deployed.good;
        let subject = self.subject(new, Arc::new(deployed.fleet), Start::Live(told.to_owned()));
        Ok(Subject { before: deployed.before.into(), ..subject })
    }

    /// What is live before: as the command line says, else as the ledger knows, else as the project says or its store has it.
    fn live(
        &self,
        args: &TestArgs,
        selection: &super::args::Selection,
        new: StoredRun,
        printer: &Printer,
    ) -> Result<Option<Subject>, CliError> {
        let asked = !args.live_set.is_empty() || !args.live_artifacts.is_empty();
        if let Some(known) = (!asked).then(|| self.known(new.clone(), printer)).transpose()?.flatten() {
            return Ok(Some(known));
        }
        let Some(before) = before(args, self.project, selection, &new)? else { return Ok(None) };
        let old = read_all(self.project, &new.script, self.environment, (&before.selection, &args.answers), &new_id())?;
        self.deployed(old, new, &before.told).map(Some)
    }

    /// The same, with what the ledger knows to be live; nothing when it knows nothing.
    fn known(&self, stored: StoredRun, printer: &Printer) -> Result<Option<Subject>, CliError> {
        let (fleet, known) = simulated_start(self.project, &stored, self.world)?;
        for note in &known.notes {
            printer.note(&plain(note));
        }
        if known.played.is_empty() {
            return Ok(None);
        }
        let made: Vec<String> = known.played.iter().map(|played| format!("{} of run {}", played.what(), played.run)).collect();
        let before = held(ledger(self.project)?.as_ref(), &known)?;
        let subject = self.subject(stored, fleet, Start::Live(made.join(", then ")));
        Ok(Some(Subject { before: before.into(), ..subject }))
    }

    fn subject(&self, stored: StoredRun, fleet: Arc<Fleet>, start: Start) -> Subject {
        Subject {
            stored,
            fleet,
            before: Arc::default(),
            start,
            scratch: self.scratch.0.clone(),
            memory: Arc::default(),
            registry: Arc::new(Registry::standard()),
            stop: self.stop.clone(),
            at_first: OnceLock::new(),
        }
    }
}

/// What the runs that were played held, as the ledger knows it.
fn held(ledger: &dyn Ledger, known: &Known) -> Result<Vec<HeldBefore>, CliError> {
    let mut before = Vec::new();
    for (age, played) in known.played.iter().rev().enumerate() {
        let state = RunState::read(&ledger.records(&played.run)?).map_err(|illegal| CliError::input(illegal.to_string()))?;
        before.extend(saga::held(&state, age));
    }
    Ok(before)
}

fn choice(args: &TestArgs) -> Result<Choice, CliError> {
    let mut choice = Choice {
        all_hosts: args.all_hosts,
        undoing: !args.single,
        pairs: args.pairs as usize,
        seed: args.seed,
        ..Choice::default()
    };
    if !args.faults.is_empty() {
        let kind = |word: &String| {
            FaultKind::parse(word).ok_or_else(|| {
                let all: Vec<&str> = FaultKind::ALL.iter().map(|kind| kind.word()).collect();
                CliError::usage(format!("there is no fault `{word}`")).with_help(format!("there are: {}", all.join(", ")))
            })
        };
        choice.kinds = args.faults.iter().map(kind).collect::<Result<_, _>>()?;
    }
    Ok(choice)
}

fn try_it(subject: &Subject, choice: &Choice, printer: &Printer) -> Result<Verdict, CliError> {
    let shows = printer.format == Format::Text && std::io::stderr().is_terminal();
    let progress = |done: usize, all: usize| {
        if shows && (done.is_multiple_of(16) || done == all) {
            printer.passing(&format!("{done} of {all} scenarios, from {}", subject.start));
        }
    };
    let verdict = FaultTest { subject, choice, progress: &progress }.run()?;
    if shows {
        printer.passing("");
    }
    Ok(verdict)
}

fn tell(verdicts: &[Verdict], again: &dyn Fn(&Start) -> String, strict: bool, begun: Instant, printer: &Printer) {
    let clean = verdicts.iter().all(|verdict| exit(verdict, strict) == 0);
    if printer.format == Format::Json {
        for verdict in verdicts {
            for cause in &verdict.causes {
                let mut object = serde_json::to_value(cause).unwrap_or_default();
                (object["event"], object["start"]) = (json!("breach"), json!(verdict.start));
                printer.json(&object);
            }
            printer.json(&json!({
                "event": "test_ended", "start": verdict.start, "breaches": verdict.causes.len(), "coverage": verdict.coverage,
                "uncovered": verdict.uncovered, "fails": verdict.fails.as_ref().map(|diagnostic| diagnostic.message.clone()),
                "stopped": verdict.stopped, "exit": exit(verdict, strict),
            }));
        }
        return;
    }
    for verdict in verdicts {
        if let Some(diagnostic) = &verdict.fails {
            printer.note(&format!("from {}, the run does not succeed even without faults:", plain(&verdict.start.to_string())));
            printer.diagnostic(diagnostic);
            continue;
        }
        for line in verdict_lines(verdict, &again(&verdict.start), printer.out_paint) {
            printer.data(&line);
        }
    }
    let tone = if clean { Tone::Good } else { Tone::Bad };
    let seconds = begun.elapsed().as_secs_f64();
    let fails = verdicts.iter().filter(|verdict| verdict.fails.is_some()).count();
    let untried = verdicts.iter().filter(|verdict| verdict.fails.is_none() && verdict.coverage.scenarios == 0).count();
    let said = match fails {
        _ if verdicts.iter().any(|verdict| verdict.stopped) => {
            format!("stopped before all was tried: {}", verdict_summary(verdicts))
        }
        0 if untried > 0 => "nothing was tried: nothing that this run does can go wrong in these ways".to_owned(),
        0 => verdict_summary(verdicts),
        all if all == verdicts.len() => "the run does not succeed even without faults; no fault was tried".to_owned(),
        _ => format!("{}; from one start the run does not succeed even without faults", verdict_summary(verdicts)),
    };
    printer.say(&printer.paint.tone(tone, &format!("{said}, {seconds:.1} s")));
}

/// Plays one scenario, and shows every moment of it.
fn scenario(subjects: &[Subject], name: &str, printer: &Printer) -> Result<u8, CliError> {
    let scenario = Scenario::parse(name).map_err(CliError::usage)?;
    // The same name may be a scenario of both: the last one has more to tell.
    let Some(subject) = subjects.last() else { return Err(CliError::usage("there is no such start")) };
    let worker = Worker::default();
    let calm = subject.calm(&worker)?;
    let outcome = subject.play(&scenario, &worker)?;
    let next = outcome.next.as_deref();
    let came = |fault: &&Fault| outcome.history.came.contains(fault);
    let came_again = |fault: &&Fault| next.is_some_and(|next| next.history.came.contains(fault));
    let missing = scenario.faults.iter().filter(|fault| !came(fault));
    let missing = missing.chain(scenario.again.iter().flatten().filter(|fault| !came_again(fault)));
    let missing: Vec<String> = missing.map(ToString::to_string).collect();
    if !missing.is_empty() {
        let message = format!("the run never comes to {}", missing.join(", "));
        return Err(CliError::usage(message)
            .with_help("the name is of another script, other hosts or another start; `--from fresh` and `--from live` choose"));
    }
    let compared = !scenario.faults.is_empty() || scenario.again.is_some();
    let mut breaches = crate::prove::judge(&outcome, compared.then_some(&calm));
    breaches.extend(next.iter().flat_map(|next| crate::prove::judge_again(next, &calm)));
    let mut lines = timeline(&outcome);
    lines.extend(next.iter().flat_map(|next| timeline(next)));
    if printer.format == Format::Json {
        for line in lines {
            let mut object = serde_json::to_value(line).unwrap_or_default();
            object["event"] = json!("moment");
            printer.json(&object);
        }
        let told: Vec<_> = breaches
            .iter()
            .map(|breach| json!({ "judge": breach.judge, "what": breach.what, "host": breach.host, "site": breach.site }))
            .collect();
        let legs: Vec<_> = outcome.legs.iter().chain(next.iter().flat_map(|next| &next.legs)).collect();
        printer
            .json(&json!({ "event": "scenario_ended", "legs": legs, "breaches": told, "exit": u8::from(!breaches.is_empty()) }));
        return Ok(u8::from(!breaches.is_empty()));
    }
    for line in trace_lines(&lines, printer.out_paint) {
        printer.data(&line);
    }
    tell_end(&outcome, printer);
    if let Some(next) = next {
        printer.say("deployed once more:");
        tell_end(next, printer);
    }
    for breach in &breaches {
        let site = breach.site.as_ref().map(|site| format!("  {site}")).unwrap_or_default();
        let host = breach.host.as_ref().map(|host| format!(" (on {host})")).unwrap_or_default();
        printer.say(
            &printer.paint.tone(Tone::Bad, &format!("breach of {}{site}: {}{host}", breach.judge.word(), plain(&breach.what))),
        );
    }
    if breaches.is_empty() {
        printer.say(&printer.paint.tone(Tone::Good, "no breach"));
    }
    Ok(u8::from(!breaches.is_empty()))
}

fn tell_end(outcome: &Outcome, printer: &Printer) {
    printer.say(&legs_told(&outcome.legs));
    for leg in &outcome.legs {
        if let Some(error) = &leg.error {
            printer.note(&format!("  {}: {}", leg.what, plain(error)));
        }
    }
    let differs = outcome.start.diff(&outcome.end);
    printer.note(&format!("{} things are otherwise than before", differs.len()));
    for line in differs.iter().take(40) {
        printer.note(&format!("  {}", plain(line)));
    }
}

/// The command that plays one scenario again, but for its name: from the same start, with the same words.
fn again(common: &Common, args: &TestArgs, start: &Start) -> String {
    let mut words = vec!["windlass test".to_owned()];
    let mut word = |option: &str, value: &str| words.push(format!("{option}{}", quoted(value)));
    if let Some(project) = &common.project {
        word("-C ", &project.display().to_string());
    }
    if let Some(script) = &args.selection.script {
        word("", &script.display().to_string());
    }
    let options = [("-e ", &args.selection.env), ("--limit ", &args.selection.limit)];
    options.iter().for_each(|(option, value)| value.iter().for_each(|value| word(option, value)));
    args.selection.set.iter().for_each(|(name, value)| word("--set ", &format!("{name}={value}")));
    args.selection.artifacts.iter().for_each(|(name, version)| word("--artifact ", &format!("{name}={version}")));
    args.answers.iter().for_each(|answer| word("--answer ", &format!("{}={}", answer.name, answer.value)));
    if let Some(world) = &args.world {
        word("--world ", &world.display().to_string());
    }
    args.live_set.iter().for_each(|(name, value)| word("--live-set ", &format!("{name}={value}")));
    args.live_artifacts.iter().for_each(|(name, version)| word("--live-artifact ", &format!("{name}={version}")));
    word("--from ", start.word());
    words.join(" ")
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@%+~".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', "'\\''")) }
}

fn save(path: &Path, text: &str) -> Result<(), CliError> {
    private::write(path, text).map_err(|error| CliError::input(format!("{} cannot be written: {error}", shown(path))))
}
