//! A project, a home and a directory of their own for each run; and runs of scripts in them, with this machine as every host.

use crate::ledger::MemoryLedger;
use crate::memory::Memory;
use crate::{server, store};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tempfile::TempDir;
use windlass::artifact::{DirectoryStore, KeptSources};
use windlass::effect::{Effects, Fence};
use windlass::event::{Event, Watcher};
use windlass::fleet::{Environment, Operator, Project};
use windlass::id::{Epoch, LockName, RunId};
use windlass::interp::{Controller, Grounds, Marks, Observe, Overlay, ReadOnly, Seen, apply_stack};
use windlass::journal::{Entry, Record, RunState};
use windlass::ledger::{Ledger, StoredRun};
use windlass::op::{Operation, Registry, StepContext, Subject};
use windlass::run::{Finish, Job, Outset, Runner, StackBuilder};
use windlass::script::{Facts, Load, Program, ProjectSources, STANDARD, Severity};
use windlass::step::{Outcome, StepError};
use windlass::stop::Stop;
use windlass::transport::{Pool, PoolOptions};

/// Puts a layer over the effects of a run.
pub(crate) type Layer = Arc<dyn Fn(Arc<dyn Effects>) -> Arc<dyn Effects> + Send + Sync>;

/// No layer.
pub(crate) fn bare() -> Layer {
    Arc::new(|inner| inner)
}

/// Where runs happen: nothing outside of it is touched.
pub(crate) struct World {
    temp: TempDir,
    /// The directory that scripts know as `D`.
    pub(crate) dir: PathBuf,
    hosts: u32,
    /// The simulated fleet that stands for this machine, where one does.
    memory: Option<Memory>,
}

/// One run, and all that is known of it.
pub(crate) struct Ran {
    pub(crate) id: RunId,
    pub(crate) finish: Finish,
    pub(crate) records: Vec<Record>,
    pub(crate) ledger: Arc<MemoryLedger>,
}

impl World {
    /// One host, called `local`.
    pub(crate) fn new() -> Self {
        Self::with_hosts(0)
    }

    /// Hosts `h1`, `h2`, ...
    pub(crate) fn with_hosts(hosts: u32) -> Self {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().join("project");
        for directory in ["project/files", "project/templates", "home", "d"] {
            std::fs::create_dir_all(temp.path().join(directory)).unwrap();
        }
        std::fs::write(root.join("windlass.toml"), "name = \"laws\"\n").unwrap();
        std::fs::write(root.join("files/hello.txt"), "hello\n").unwrap();
        std::fs::write(root.join("templates/app.conf"), "port = {{ port }}\n").unwrap();
        let world = Self { dir: temp.path().join("d"), temp, hosts, memory: None };
        world.shell("mkdir bin && echo 1.0 >VERSION && printf '#!/bin/sh\\necho app\\n' >bin/app && chmod 755 bin/app");
        world.shell("tar -czf ../project/files/app.tar.gz bin VERSION && rm -r bin VERSION");
        world
    }

    /// The same with a simulated host: what is on disk is taken into memory before each run, and put on disk after it.
    pub(crate) fn in_memory() -> Self {
        let world = Self::new();
        let memory = Memory::new(&world.environment(), &world.home(), &world.dir);
        Self { memory: Some(memory), ..world }
    }

    /// Runs a text of `sh` in `D`; it must succeed.
    pub(crate) fn shell(&self, text: &str) {
        let (succeeded, said) = self.try_shell(text);
        assert!(succeeded, "`{text}` fails: {said}");
    }

    /// Runs a text of `sh` in `D`, and tells whether it succeeds, and what it says.
    pub(crate) fn try_shell(&self, text: &str) -> (bool, String) {
        let mut command = Command::new("/bin/sh");
        command.args(["-euc", text]).current_dir(&self.dir).env("D", &self.dir).env("HOME", self.home());
        // Archives that two worlds make are the same, whatever second it is.
        command.env("TAR_OPTIONS", "--mtime=@1767225600");
        let output = command.stdin(Stdio::null()).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&said).into_owned())
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.temp.path().join("project")
    }

    /// The home of the hosts' login user.
    pub(crate) fn home(&self) -> PathBuf {
        self.temp.path().join("home")
    }

    /// Runs a script to its end.
    pub(crate) fn run(&self, script: &str, layer: &Layer) -> Result<Ran, String> {
        self.run_in(&Arc::new(MemoryLedger::default()), script, layer)
    }

    /// The same, with a ledger of the caller's.
    pub(crate) fn run_in(&self, ledger: &Arc<MemoryLedger>, script: &str, layer: &Layer) -> Result<Ran, String> {
        let stored = self.stored(script)?;
        let id = fresh_id();
        let outset = Outset { id: id.clone(), stored, by: "laws@here".to_owned() };
        self.enter();
        let finish = self.runner(ledger, layer, Stop::default()).start(&outset).map_err(|error| error.to_string())?;
        self.leave();
        Ok(Ran::new(id, finish, ledger))
    }

    fn enter(&self) {
        self.memory.iter().for_each(Memory::take_in);
    }

    fn leave(&self) {
        self.memory.iter().for_each(Memory::put_out);
    }

    /// Runs a script to its end, pinned to this version of `app`.
    pub(crate) fn run_pinned(&self, script: &str, version: &str) -> Result<Ran, String> {
        let ledger = Arc::new(MemoryLedger::default());
        let stored = StoredRun { artifacts: store::pins_with(version), ..self.stored(script)? };
        let id = fresh_id();
        let outset = Outset { id: id.clone(), stored, by: "laws@here".to_owned() };
        let finish = self.runner(&ledger, &bare(), Stop::default()).start(&outset).map_err(|error| error.to_string())?;
        Ok(Ran::new(id, finish, &ledger))
    }

    /// Takes a run up from what a ledger holds of it.
    pub(crate) fn take_up(&self, ledger: &Arc<MemoryLedger>, id: &RunId, job: Job, layer: &Layer) -> Ran {
        self.enter();
        let finish = self.runner(ledger, layer, Stop::default()).take_up(id, job).unwrap();
        self.leave();
        Ran::new(id.clone(), finish, ledger)
    }

    /// What runs scripts here.
    pub(crate) fn runner(&self, ledger: &Arc<MemoryLedger>, layer: &Layer, interrupt: Stop) -> Runner {
        self.runner_on(ledger.clone(), layer, interrupt)
    }

    /// The same on any ledger.
    pub(crate) fn runner_on(&self, ledger: Arc<dyn Ledger>, layer: &Layer, interrupt: Stop) -> Runner {
        Runner {
            ledger,
            registry: registry(),
            stack: self.stack(layer),
            watcher: Arc::new(Nobody),
            interrupt,
            stop: Stop::default(),
            crash: None,
            programs: None,
        }
    }

    fn stack(&self, layer: &Layer) -> StackBuilder {
        self.stack_as(layer, fence())
    }

    /// What stands behind the effects of a run as this holder of a lock.
    pub(crate) fn stack_as(&self, layer: &Layer, fence: Fence) -> StackBuilder {
        let (home, layer, kept) = (self.home(), layer.clone(), self.temp.path().join("store"));
        if let Some(memory) = &self.memory {
            return memory.stack(&layer);
        }
        Arc::new(move |stored, id, stop, watcher| {
            let options =
                PoolOptions { local_home: Some(home.clone()), fence: Some(fence.clone()), ..PoolOptions::new(id.clone()) };
            let pool = Arc::new(Pool::new(&stored.environment.hosts, options));
            let store = Arc::new(DirectoryStore::new(&stored.store));
            let kept = KeptSources::new(&kept, id.clone(), stored.goes_back_to.clone());
            layer(apply_stack(pool, Controller::new(Path::new(&stored.root), store, kept), stop, watcher))
        })
    }

    /// Layers that predict a run over what stands behind it here, and what the prediction rests on.
    pub(crate) fn predicting(&self) -> (Layer, Arc<Marks>) {
        let (layer, grounds) = self.foreseeing();
        (layer, grounds.marks)
    }

    /// The same, with what was looked at.
    pub(crate) fn foreseeing(&self) -> (Layer, Grounds) {
        let (environment, root, grounds) = (self.environment(), self.root(), Grounds::default());
        let kept = self.temp.path().join("store");
        let theirs = grounds.clone();
        let layer: Layer = Arc::new(move |inner| {
            let id = RunId::new("20260101-0000", "over");
            let kept = KeptSources::new(&kept, id.clone(), None);
            let controller = Controller::new(&root, Arc::new(DirectoryStore::new(store::directory())), kept);
            let seen = Observe::new(ReadOnly::new(inner), theirs.looks.clone(), Seen::All);
            Arc::new(Overlay::new(seen, &environment, id, controller, theirs.marks.clone(), 1_767_268_800_000))
        });
        (layer, grounds)
    }

    /// What a run of this script is given. It may have no errors that are found without running it.
    pub(crate) fn stored(&self, script: &str) -> Result<StoredRun, String> {
        std::fs::write(self.root().join("deploy.rhai"), script).unwrap();
        let environment = self.environment();
        let facts = Facts {
            environment: Some(environment.clone()),
            params: Map::new(),
            limit: None,
            artifacts: store::pins(),
            known_good: Vec::new(),
            run: "laws".to_owned(),
            mode: "run",
        };
        let sources = Arc::new(ProjectSources::new(self.root(), STANDARD));
        let load = Load { sources, script: "deploy.rhai".to_owned(), registry: registry(), facts, stop: Stop::default() };
        let program = Program::load(load).map_err(|diagnostic| diagnostic.message)?;
        let wrong = program.lint().into_iter().find(|finding| finding.severity == Severity::Error);
        if let Some(finding) = wrong {
            return Err(format!("{} {}", finding.message, finding.help.unwrap_or_default()));
        }
        Ok(StoredRun {
            version: 1,
            windlass: "laws".to_owned(),
            script: "deploy.rhai".to_owned(),
            bundle: program.bundle(),
            environment,
            params: Map::new(),
            limit: None,
            root: self.root().display().to_string(),
            artifacts: store::pins(),
            store: store::directory().display().to_string(),
            goes_back_to: None,
            known_good: Vec::new(),
            held: None,
        })
    }

    fn environment(&self) -> Environment {
        let names: Vec<String> = match self.hosts {
            0 => vec!["local".to_owned()],
            hosts => (1..=hosts).map(|n| format!("h{n}")).collect(),
        };
        let host = |name: String| (name, json!({ "transport": "local", "roles": ["web"] }));
        let hosts: Map<String, Value> = names.into_iter().map(host).collect();
        let port = server::port();
        let url = format!("http://127.0.0.1:{port}/health");
        let mut externals = json!({
            "payments": { "check": { "http": url } },
            "picky": { "check": { "http": url, "status": 204 } },
            "queue": { "check": { "tcp": format!("127.0.0.1:{port}") } },
            "gone": { "check": { "tcp": "127.0.0.1:1" } },
        });
        if self.hosts == 0 {
            externals["inner"] = json!({ "check": { "http": url, "status": 200 }, "from": "local" });
        }
        let value = json!({ "class": "single-box", "hosts": hosts, "externals": externals });
        let operator =
            Operator { home: self.home(), user: "root".to_owned(), ssh_config: self.home().join("none"), ..Operator::default() };
        let project = Project::load(&self.root()).unwrap();
        Environment::from_value(&project, "box", value, "box.rhai", &operator).unwrap()
    }

    /// The beginning of every script: the host `h`, the directory `D`, and the `PORT` of a server.
    pub(crate) fn head(&self) -> String {
        format!("let h = host(\"local\"); let D = \"{}\"; let PORT = {};\n", self.dir.display(), server::port())
    }
}

impl Ran {
    fn new(id: RunId, finish: Finish, ledger: &Arc<MemoryLedger>) -> Self {
        let records = ledger.records(&id).unwrap();
        Self { id, finish, records, ledger: ledger.clone() }
    }

    /// What its journal says.
    pub(crate) fn state(&self) -> RunState {
        RunState::read(&self.records).unwrap()
    }

    /// The last step of the script itself that ended: its outcome, what it gave, and its error.
    pub(crate) fn last_step(&self) -> Option<(&Outcome, &Value)> {
        let steps = self.records.iter().rev().filter_map(|record| match &record.entry {
            Entry::Succeeded { key, output, outcome, .. } if key.task.as_str() == "main" => Some((key, output, outcome)),
            _ => None,
        });
        let state = self.state();
        let mut own = steps.filter(|(key, ..)| state.steps.get(*key).is_some_and(|step| step.command.op != Gave::NAME));
        own.next().map(|(_, output, outcome)| (outcome, output))
    }

    /// What the script handed to `gave`.
    pub(crate) fn gave(&self) -> Option<Value> {
        self.state().steps.into_values().find(|step| step.command.op == Gave::NAME).map(|step| step.command.args["value"].clone())
    }

    /// How it failed, in all words that there are.
    pub(crate) fn error(&self) -> String {
        let stuck = self.finish.stuck.iter().map(|error| format!("{error} {}", error.stderr));
        let error = self
            .finish
            .error
            .iter()
            .map(|error| format!("{} {} {}", error.message, error.stderr, error.help.clone().unwrap_or_default()));
        error.chain(stuck).collect::<Vec<_>>().join("; ")
    }
}

/// A primitive of this test: takes any value into the journal, so that it can be looked at, and compared when replayed.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Gave {
    value: Value,
}

impl Operation for Gave {
    const NAME: &'static str = "gave";
    const SUBJECT: Subject = Subject::Controller;
    const POSITIONAL: &'static [&'static str] = &["value"];
    const PAGE: &'static str = "# gave\n\nKeeps a value.\n";
    type Output = ();

    fn run(&self, _: &mut StepContext<'_>) -> Result<(), StepError> {
        Ok(())
    }

    fn summary(&self) -> String {
        self.value.to_string()
    }
}

/// The lock under which every run of these tests works.
pub(crate) fn fence() -> Fence {
    Fence::new(LockName::new("laws", "box"), Epoch(1))
}

fn registry() -> Arc<Registry> {
    let mut registry = Registry::standard();
    registry.add::<Gave>();
    Arc::new(registry)
}

pub(crate) struct Nobody;

impl Watcher for Nobody {
    fn see(&self, _: &Event) {}
}

pub(crate) fn fresh_id() -> RunId {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    RunId::new("20260101-0000", &format!("{:04}", NEXT.fetch_add(1, Ordering::SeqCst)))
}
