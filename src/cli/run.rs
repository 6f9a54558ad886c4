//! `windlass run`: the real thing.

use super::args::{Answer, Common, Format, PerformArgs, RunArgs, Selection};
use super::check::{refuse_errors, refuse_unknown_answers, refuse_unknown_channels, refuse_unknown_params};
use super::confirm::ask_password;
use super::ending::{differences, headline, next_commands, summary};
use super::error::CliError;
use super::held::HeldPlan;
use super::lease::{Held, hold};
use super::people::{Aside, people};
use super::pins::{self, Purpose};
use super::predict::{Scratch, show_before};
use super::printer::Printer;
use super::reader::{A_MOMENT, is_read};
use super::settings::{
    Labs, agent, environment, environment_name, executable, params, project, registered_ledger, script, store, who,
};
use super::signals::{Signals, Words, tell};
use crate::effect::Fence;
use crate::event::Watcher;
use crate::fleet::{Channels, Class, Environment, Project, selector};
use crate::id::RunId;
use crate::interp::{Grounds, Look, Origin, People, Unsent};
use crate::journal::{Record, RunPhase};
use crate::ledger::{Intent, Ledger, LedgerError, RunRow, StoredRun, known_good};
use crate::op::Registry;
use crate::report::{Counts, JsonReport, LiveReport, TextReport, Tone, Where, clock, millis, plain};
use crate::run::{Crash, Finish, NotUndone, Outset, Relay, Runner, StackBuilder, dry_run_layers, live_stack_with};
use crate::script::{Facts, Load, Program, ProjectSources, STANDARD};
use crate::stop::Stop;
use crate::transport::{Credentials, Passphrases, Password};
use rand::RngExt;
use std::io::IsTerminal;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

pub(super) fn run(common: &Common, args: &RunArgs, printer: &Printer) -> Result<u8, CliError> {
    let (plan, args) = (args.plan.as_deref().map(HeldPlan::load).transpose()?, &mut args.clone());
    plan.iter().for_each(|plan| plan.complete(args));
    let project = project(common)?;
    let name = environment_name(&project, args.selection.env.as_deref())?;
    let script = script(&project, &args.selection)?;
    let environment = environment(&project, &name, Labs::Start)?;
    if let Some(limit) = &args.selection.limit {
        selector::select(&environment.hosts, limit)?;
    }
    refuse_policy(&environment)?;
    let _in_use = store(&project)?.hold()?;
    let mut stored = read_all(&project, &script, &environment, (&args.selection, &args.perform.answers), &new_id())?;
    if let Some(plan) = &plan {
        plan.hold(&project, &mut stored, &Scratch::new(&project)?.0)?;
        plan.told().iter().for_each(|told| printer.say(told));
    }
    let ledger = registered_ledger(&project)?;
    let id = plan.as_ref().map_or_else(|| unused_id(ledger.as_ref()), |plan| plan.id(ledger.as_ref()))?;
    let held = hold(&project, &ledger, &name, &id, Intent::Begin)?;
    refuse_while_unfinished(&name, ledger.as_ref())?;
    stored.known_good = known_good(&ledger.releases(Some(&name))?);
    let password = ask_password(args.perform.ask_sudo_password)?;
    if environment.class == Class::Production && !args.yes && plan.is_none() {
        if std::io::stdin().is_terminal() && printer.format == Format::Text {
            show_before(&project, &stored, (&args.perform.answers, password.clone()), printer)?;
        }
        confirm(&environment, printer)?;
    }
    let looks = plan.as_ref().map(HeldPlan::looks).unwrap_or_default();
    let given = Given { perform: &args.perform, password, looks: &looks };
    begin(&project, held, Outset { id, stored, by: who() }, &given, printer)
}

/// What the command line gives a new run, beside what it is made of.
pub(super) struct Given<'a> {
    pub(super) perform: &'a PerformArgs,
    pub(super) password: Password,
    /// What must be as a plan saw it.
    pub(super) looks: &'a [Look],
}

/// Starts a run that nothing stands before, and brings it to its end. Gives the exit code.
pub(super) fn begin(project: &Project, held: Held, outset: Outset, given: &Given<'_>, printer: &Printer) -> Result<u8, CliError> {
    let (id, StoredRun { script, environment, limit, artifacts, goes_back_to, .. }) = (&outset.id, &outset.stored);
    let hosts = match limit {
        Some(limit) => selector::select(&environment.hosts, limit)?.len(),
        None => environment.hosts.hosts().len(),
    };
    let (name, pinned, s) = (&environment.name, pins::listed(artifacts), if hosts == 1 { "" } else { "s" });
    let back = goes_back_to.as_ref().map(|run| format!(", back to what run {run} made")).unwrap_or_default();
    printer.say(&format!("run {id}: {script} on {name} ({hosts} host{s}){pinned}{back}"));
    let origin = Origin { run: id.to_string(), environment: name.clone(), project: project.name.clone() };
    let desk = Desk::new(printer, environment).with_people(&given.perform.answers, &environment.notify, origin);
    let runner = desk.runner(&held, given.perform.crash_at, given.password.clone(), &given.perform.beside);
    let finish = desk.watch_signals(|| runner.start_seeing(&outset, given.looks))?;
    // Nobody else waits for who reads the output.
    drop((runner, held));
    Ok(desk.conclude(printer, &finish))
}

/// Reads the script and everything it can import, and refuses what is wrong before anything begins.
pub(super) fn read_all(
    project: &Project,
    script: &str,
    environment: &Environment,
    (selection, answers): (&Selection, &[Answer]),
    id: &RunId,
) -> Result<StoredRun, CliError> {
    let params = params(selection);
    let limit = selection.limit.clone();
    let facts = Facts {
        environment: Some(environment.clone()),
        params: params.clone(),
        limit: limit.clone(),
        artifacts: Vec::new(),
        known_good: Vec::new(),
        run: id.to_string(),
        mode: "run",
    };
    let sources = Arc::new(ProjectSources::new(&project.root, STANDARD));
    let registry = Arc::new(Registry::standard());
    let program = Program::load(Load { sources, script: script.to_owned(), registry, facts, stop: Stop::default() })?;
    refuse_errors(&program, Some(&project.root))?;
    refuse_unknown_params(&program, &params)?;
    refuse_unknown_answers(&program, answers)?;
    refuse_unknown_channels(&program, environment)?;
    let store = store(project)?;
    let (artifacts, wrong) = pins::pins(Purpose::Run, &program, selection, project, &environment.artifacts, &store)?;
    if !wrong.is_empty() {
        return Err(CliError { diagnostics: wrong, ..CliError::input("") });
    }
    let root = std::path::absolute(&project.root).unwrap_or_else(|_| project.root.clone());
    Ok(StoredRun {
        version: 1,
        windlass: env!("CARGO_PKG_VERSION").to_owned(),
        script: script.to_owned(),
        bundle: program.bundle(),
        environment: environment.clone(),
        params,
        limit,
        root: root.display().to_string(),
        artifacts,
        store: store.root().display().to_string(),
        goes_back_to: None,
        known_good: Vec::new(),
        held: None,
    })
}

/// A run that was left unfinished is brought to an end before the next one begins.
pub(super) fn refuse_while_unfinished(environment: &str, ledger: &dyn Ledger) -> Result<(), CliError> {
    for row in ledger.runs(Some(environment), 200)? {
        if super::take_up::owes(ledger, &row)? {
            // Undoing it after a newer run would put back what is older than both.
            let message = format!("run {} left changes on hosts of {environment} that could not be reached", row.id);
            let help = format!(
                "undo them first: windlass settle {id}\nor, if somebody has seen to it: windlass settle {id} --drop REASON",
                id = row.id
            );
            return Err(CliError::new(6, message).with_help(help));
        }
    }
    let Some(row) = unfinished(environment, ledger)? else { return Ok(()) };
    let help = match row.state {
        RunPhase::Unwinding | RunPhase::Stuck => format!("go on undoing it: windlass unwind {}", row.id),
        _ => format!("go on: windlass resume {id}\ngo back: windlass unwind {id}", id = row.id),
    };
    let how = if row.state == RunPhase::Running {
        "its process has ended without bringing it to an end".to_owned()
    } else {
        format!("it is {}", row.state.word())
    };
    Err(CliError::new(6, format!("run {} of {environment} is not finished: {how}", row.id)).with_help(help))
}

pub(super) fn unfinished(environment: &str, ledger: &dyn Ledger) -> Result<Option<RunRow>, CliError> {
    Ok(ledger.runs(Some(environment), 50)?.into_iter().find(|row| !row.state.is_ended()))
}

/// What an environment's policy asks for and this version does not hold to is not passed over.
pub(super) fn refuse_policy(environment: &Environment) -> Result<(), CliError> {
    let policy = &environment.policy;
    let asked = [
        ("max_blast", policy.max_blast.is_some()),
        ("requires", !policy.requires.is_empty()),
        ("approvals", policy.approvals.is_some()),
        ("windows", !policy.windows.is_empty()),
    ];
    let asked: Vec<&str> = asked.iter().filter(|(_, asked)| *asked).map(|(name, _)| *name).collect();
    if asked.is_empty() {
        return Ok(());
    }
    let message = format!(
        "the policy of {} asks for {}, which this version of Windlass cannot enforce yet",
        environment.name,
        asked.join(", ")
    );
    Err(CliError::new(6, message).with_help("nothing was changed; take it out of the environment's [policy] to run without it"))
}

pub(super) fn confirm(environment: &Environment, printer: &Printer) -> Result<(), CliError> {
    let hosts: Vec<&str> = environment.hosts.hosts().iter().map(|host| host.name.as_str()).collect();
    printer.note(&format!("{} is a production environment: {} hosts ({})", environment.name, hosts.len(), hosts.join(", ")));
    super::confirm::confirm(&environment.name, "nothing was changed")
}

/// A name that no run of the ledger has: many runs may begin in one minute.
pub(super) fn unused_id(ledger: &dyn Ledger) -> Result<RunId, CliError> {
    unused(ledger, new_id)
}

fn unused(ledger: &dyn Ledger, mut next: impl FnMut() -> RunId) -> Result<RunId, CliError> {
    const TRIES: u32 = 100;
    for _ in 0..TRIES {
        let id = next();
        // Also a run that cannot be read has its name.
        if let Err(LedgerError::NoRun(_)) = ledger.stored(&id) {
            return Ok(id);
        }
    }
    Err(CliError::input("no free name for this run was found in the ledger")
        .with_help("nothing was changed; try again in a minute"))
}

#[expect(clippy::disallowed_methods, reason = "a run is named after the minute of its start")]
pub(super) fn new_id() -> RunId {
    let millis = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let text = clock(i64::try_from(millis).unwrap_or_default());
    let minute: String = text.chars().filter(char::is_ascii_digit).take(12).collect();
    let mut chance = rand::rng();
    // Consonants: no words come out, and none of the letters is taken for another.
    let letters: String = (0..4).filter_map(|_| "bcdfghjkmnpqrstvwxz".chars().nth(chance.random_range(0..19))).collect();
    RunId::new(&format!("{}-{}", &minute[..8], &minute[8..]), &letters)
}

/// How long messages under way may take once the run has ended.
const LAST_POST: Duration = Duration::from_secs(10);

/// How long a question waits for what is shown before it.
const PAUSE: Duration = Duration::from_secs(1);

/// What a run is shown on, and the signals that stop it.
#[derive(Clone)]
pub(super) struct Desk {
    report: Report,
    /// What stands between a run and the report of it.
    relay: Arc<OnceLock<Arc<Relay>>>,
    words: Words,
    signals: Arc<OnceLock<Signals>>,
    people: People,
    begun: Instant,
}

#[derive(Clone)]
enum Report {
    Live(Arc<LiveReport>),
    Json(Arc<JsonReport<std::io::Stdout>>),
}

impl Desk {
    pub(super) fn new(printer: &Printer, environment: &Environment) -> Self {
        let width = environment.hosts.hosts().iter().map(|host| host.name.as_str().len()).max().unwrap_or(4);
        let report = match printer.format {
            Format::Json => Report::Json(Arc::new(JsonReport::new(std::io::stdout()))),
            Format::Text => {
                let text = TextReport::new(printer.paint, printer.wordiness, width);
                let terminal = std::io::stderr().is_terminal();
                let place =
                    if terminal { Where::Terminal { most: moving_lines() } } else { Where::Stream(Box::new(std::io::stderr())) };
                Report::Live(Arc::new(LiveReport::new(text, place, printer.paint, width)))
            }
        };
        let (relay, signals) = Default::default();
        Self { report, relay, words: Words::default(), signals, people: People::default(), begun: Instant::now() }
    }

    /// With who answers its questions and hears of it.
    pub(super) fn with_people(self, answers: &[Answer], channels: &Channels, origin: Origin) -> Self {
        let desk = self.clone();
        let aside: Aside = Arc::new(move |work| desk.aside(work));
        let people = people(answers, channels, origin, self.words.interrupt.clone(), aside);
        Self { people, ..self }
    }

    /// A run that is taken up began before this process did.
    pub(super) fn know(&self, records: &[Record]) {
        match &self.report {
            Report::Live(report) => report.know(records),
            Report::Json(report) => report.know(records),
        }
    }

    /// What works under a lock that is held; everything that waits gives up when that is lost.
    pub(super) fn runner(&self, held: &Held, crash: Option<Crash>, password: Password, beside: &[RunId]) -> Runner {
        held.tenure.stops(self.words.stop.clone());
        let watcher: Arc<dyn Watcher> = match &self.report {
            Report::Live(report) => report.clone(),
            Report::Json(report) => report.clone(),
        };
        Runner {
            ledger: held.tenure.ledger(),
            registry: Arc::new(Registry::standard()),
            stack: live_stack_with(
                Credentials { password, passphrases: self.passphrases(), agent: agent() },
                self.people.clone(),
                Some(Fence { beside: beside.to_vec(), ..held.tenure.fence() }),
            ),
            watcher: self.relay.get_or_init(|| Arc::new(Relay::new(watcher, held.tenure.ledger()))).clone(),
            interrupt: self.words.interrupt.clone(),
            stop: self.words.stop.clone(),
            crash,
            programs: None,
        }
    }

    /// The layers of a prediction that looks at live hosts: with the same logins, and nobody who is told anything.
    pub(super) fn dry_run_layers(
        &self,
        password: Password,
        answers: &[Answer],
        grounds: Grounds,
        scratch: &Path,
    ) -> StackBuilder {
        let credentials = Credentials { password, passphrases: self.passphrases(), agent: agent() };
        let aside: Aside = Arc::new(|work| work());
        let people = people(answers, &Channels::default(), Origin::default(), self.words.interrupt.clone(), aside);
        dry_run_layers(credentials, people, grounds, scratch)
    }

    /// The words to stop.
    pub(super) fn stops(&self) -> (Stop, Stop) {
        (self.words.interrupt.clone(), self.words.stop.clone())
    }

    /// Asked on the terminal, where there is one, once the host has said that it would take the key.
    fn passphrases(&self) -> Passphrases {
        if !std::io::stdin().is_terminal() {
            return Passphrases::default();
        }
        let desk = self.clone();
        let ask = |question: &str| rpassword::prompt_password(question).ok().filter(|answer| !answer.is_empty());
        Passphrases::asked_by(move |question| desk.aside(|| ask(question)))
    }

    /// Does something on the terminal once it shows all that happened before, while nothing moves there.
    fn aside<T>(&self, work: impl FnOnce() -> T) -> T {
        // A terminal that takes nothing is not waited for: who asks finds out.
        let _ = self.relay.get().is_none_or(|relay| relay.catch_up(PAUSE));
        match &self.report {
            Report::Live(report) => report.aside(work),
            Report::Json(_) => work(),
        }
    }

    /// Works with the first signal asking to stop after the steps under way, and the second ending them.
    pub(super) fn watch_signals<T>(&self, work: impl FnOnce() -> T) -> T {
        self.signals.get_or_init(|| Signals::listen(&self.words));
        work()
    }

    fn counts(&self) -> Counts {
        match &self.report {
            Report::Live(report) => report.counts(),
            Report::Json(report) => report.counts(),
        }
    }

    /// Says how it ended, and what to type next. Who reads it is waited for a while; the exit code does not depend on that.
    pub(super) fn conclude(&self, printer: &Printer, finish: &Finish) -> u8 {
        self.words.is_over(finish.exit);
        let unsent = self.people.outbox.as_ref().map(|outbox| outbox.close(LAST_POST)).unwrap_or_default();
        let (desk, theirs, ended) = (self.clone(), printer.clone(), finish.clone());
        self.show_to_the_end(&finish.run, move || desk.close(&theirs, &ended, &unsent));
        finish.exit
    }

    /// Has the watcher take all that came, then does this, for as long as somebody reads; what is not read is told.
    pub(super) fn show_to_the_end(&self, run: &RunId, last: impl FnOnce() + Send + 'static) {
        let (relay, json) = (self.relay.get().cloned(), matches!(self.report, Report::Json(_)));
        let theirs = relay.clone();
        relay.iter().for_each(|relay| relay.close());
        let taken = || relay.as_ref().map_or(0, |relay| relay.taken());
        let read = is_read(taken, &self.words.hurry, move || {
            theirs.iter().for_each(|relay| relay.drain());
            last();
        });
        let cut = match &self.report {
            Report::Json(report) if read => report.cut(),
            _ => (!read).then(|| "nobody reads it".to_owned()),
        };
        if let Some(why) = cut {
            let format = if json { " --format json" } else { "" };
            tell(&format!("the output is cut short ({why}); `windlass show {run}{format}` has all of it"));
            // It is written beside this thread, which may be the last one.
            std::thread::park_timeout(A_MOMENT);
        }
    }

    fn close(&self, printer: &Printer, finish: &Finish, unsent: &[Unsent]) {
        match &self.report {
            Report::Live(report) => {
                report.close();
                self.tell(printer, finish);
                for Unsent { to, text, why } in unsent {
                    printer.note(&format!("not sent to {to} ({}): {}", plain(why), plain(text).replace('\n', " ")));
                }
            }
            Report::Json(report) => report.write(&serde_json::json!({
                "event": "run_ended", "run": finish.run, "at": report.last(), "state": finish.state, "exit": finish.exit, "counts": report.counts(),
                "journal_head": finish.head, "error": finish.error, "debts": finish.debts, "not_undone": finish.not_undone, "stuck": finish.stuck, "unsent": unsent,
                "left": finish.left, "leftovers": finish.leftovers, "in_doubt": finish.doubts, "open": finish.open, "drift": finish.drift,
            })),
        }
    }

    /// What differs from what the run left, and what might.
    fn tell_drift(&self, printer: &Printer, finish: &Finish) {
        let Some(drift) = &finish.drift else { return };
        for line in drift.drifted.iter().flat_map(differences) {
            printer.note(&line);
        }
        for one in &drift.explained {
            let perhaps = one.perhaps.as_deref().unwrap_or_default();
            printer.note(&format!("{}: {}; perhaps by {}", one.host, plain(&one.what), plain(perhaps)));
        }
        for host in &drift.unseen {
            printer.note(&format!("{host} could not be looked at before the run went on"));
        }
    }

    fn tell(&self, printer: &Printer, finish: &Finish) {
        if let Some(mut diagnostic) = finish.diagnostic.clone() {
            if let Some(error) = finish.error.as_ref().filter(|error| !error.stderr.is_empty()) {
                // The report has shown what the host said, where the step failed.
                diagnostic.help.clone_from(&error.help);
            }
            printer.note("");
            printer.diagnostic(&diagnostic);
        }
        for stuck in &finish.stuck {
            printer.note(&printer.paint.tone(Tone::Bad, &plain(&stuck.message)));
            if !stuck.stderr.is_empty() {
                printer.note(&plain(&stuck.stderr));
            }
            if let Some(help) = &stuck.help {
                printer.note(&format!("  help: {}", plain(help)));
            }
        }
        super::left::tell(printer, &finish.left);
        super::left::tell_leftovers(printer, &finish.leftovers);
        self.tell_drift(printer, finish);
        for (_, name) in &finish.open {
            printer.note(&format!("{} {}", printer.paint.tone(Tone::Bad, "still open:"), plain(name)));
        }
        for NotUndone { host, command, irreversible } in finish.not_undone.iter().take(10) {
            let why = irreversible
                .as_ref()
                .map_or("not undone (no `undo` given)".to_owned(), |why| format!("not undone ({})", plain(why)));
            printer.note(&format!("{} {host}: {}", printer.paint.tone(Tone::Bad, &why), plain(command)));
        }
        let counts = self.counts();
        let took = millis(u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX));
        let tone = if finish.exit == 0 { Tone::Good } else { Tone::Bad };
        let headline = printer.paint.tone(tone, &headline(finish, counts));
        let line = format!("{headline} in {took}: {}", summary(counts));
        if finish.exit == 0 {
            printer.say(&line);
        } else {
            printer.note(&line);
        }
        if let Some(head) = &finish.head {
            printer.say(&format!("journal head {head}"));
        }
        printer.next(&next_commands(finish));
    }
}

/// Used by `init` to say what to type.
pub(super) fn program_name() -> String {
    executable()
        .ok()
        .and_then(|path| path.file_name().map(|name| name.to_string_lossy().into_owned()))
        .unwrap_or_else(|| "windlass".to_owned())
}

/// Lines of the terminal that may move: half of it, since the lines that stay are read as well.
fn moving_lines() -> usize {
    let size = rustix::termios::tcgetwinsize(std::io::stderr()).ok();
    size.map_or(12, |size| usize::from(size.ws_row) / 2).clamp(2, 32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::SqliteLedger;

    #[test]
    fn a_name_that_a_run_has_is_not_given_again() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("ledger.db");
        std::fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/ledger-v1.db"), &path).unwrap();
        let ledger = SqliteLedger::open(&path).unwrap();
        let (taken, free) = (ledger.runs(None, 1).unwrap().remove(0).id, RunId::new("20260101-0000", "free"));
        let mut names = [taken.clone(), taken.clone(), free.clone()].into_iter();
        assert_eq!(unused(&ledger, || names.next().unwrap()).unwrap(), free);
        assert_eq!(unused(&ledger, || taken.clone()).unwrap_err().code, 1);
    }
}
