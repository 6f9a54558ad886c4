//! Sequences of effects, made by chance from a seed: a simulated host and a host of the lab give the same replies to each, have
//! the same files at the end, and the same files again once all is undone.
//!
//! `WINDLASS_SEQUENCES` asks for more of them.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::sync::Arc;
use tempfile::TempDir;
use windlass::artifact::{DirectoryStore, KeptSources};
use windlass::effect::{
    Attributes, Content, Effect, EffectError, Effects, FileKind, Invocation, Login, Reply, ServiceUnit, SourceInfo, SourceName,
    UnitScope, Verb, Words,
};
use windlass::event::{Event, Watcher};
use windlass::fleet::{Environment, Operator, Project, World};
use windlass::id::{HostName, RemotePath, RunId, SaveId, StepKey, TaskPath};
use windlass::interp::{Controller, Fleet, Simulate, apply_stack};
use windlass::stop::Stop;
use windlass::transport::embedded::{self, LabMode, LabOptions, SharedRoot};
use windlass::transport::{Pool, PoolOptions};

const EXE: &str = env!("CARGO_BIN_EXE_windlass");

/// A host of the lab, and one in memory.
struct Pair {
    real: Arc<dyn Effects>,
    memory: Arc<dyn Effects>,
    login: Login,
    dir: std::path::PathBuf,
    _temp: TempDir,
}

impl Drop for Pair {
    fn drop(&mut self) {
        let _ = embedded::down(&self.dir);
    }
}

struct Nobody;

impl Watcher for Nobody {
    fn see(&self, _: &Event) {}
}

impl Pair {
    fn up() -> Self {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("lab");
        let options = |mode| LabOptions { mode: Some(mode), shared_root: SharedRoot::Allow, ..LabOptions::new(EXE, &dir, 1) };
        let start = embedded::start_detached(&options(LabMode::Namespaces));
        let start = start.or_else(|_| embedded::start_detached(&options(LabMode::Directories))).unwrap();
        let lab = start.lab();
        let project = temp.path().join("project");
        std::fs::create_dir(&project).unwrap();
        std::fs::write(project.join("windlass.toml"), "name = \"laws\"\n").unwrap();
        let made = std::process::Command::new("sh").args(["-euc", SOURCES]).current_dir(&project).status().unwrap();
        assert!(made.success());
        let host = &lab.hosts[0];
        let value = serde_json::json!({
            "class": "lab",
            "hosts": { "h1": { "address": host.address.to_string(), "port": host.port, "user": host.user, "identity_file": lab.key } },
        });
        let home = temp.path().to_owned();
        let operator = Operator { ssh_config: home.join("none"), home, user: "laws".to_owned(), ..Operator::default() };
        let mut environment =
            Environment::from_value(&Project::load(&project).unwrap(), "lab", value, "lab.rhai", &operator).unwrap();
        let mut hosts = environment.hosts.hosts().to_vec();
        for known in &mut hosts {
            known.known_hosts_files = vec![lab.known_hosts.clone()];
            known.known_hosts_name = format!("[{}]:{}", host.address, host.port);
        }
        environment.hosts = windlass::fleet::Inventory::new(hosts).unwrap();
        let run = RunId::new("20260101-0000", "diff");
        let store = temp.path().join("store");
        let kept = || KeptSources::new(&store, run.clone(), None);
        let controller = || Controller::new(&project, Arc::new(DirectoryStore::new(&store)), kept());
        let pool = Arc::new(Pool::new(&environment.hosts, PoolOptions::new(run.clone())));
        let real = apply_stack(pool, controller(), Stop::default(), Arc::new(Nobody));
        let fleet = Arc::new(Fleet::new(&environment, &World::default()).unwrap());
        let memory = Arc::new(Simulate::new(fleet, run.clone(), controller(), Stop::default()));
        let login = Login::plain(&HostName::parse("h1").unwrap());
        Self { real, memory, login, dir: dir.clone(), _temp: temp }
    }

    /// Has both do it; they must answer alike.
    fn both(&self, effect: &Effect, log: &str) {
        let (real, memory) = (self.real.perform(&self.login, effect), self.memory.perform(&self.login, effect));
        let raw = format!("{real:?}");
        let (real, memory) = (plain(real), plain(memory));
        assert_eq!(real, memory, "\nthe first is the lab's, {raw}, to {effect:?} after\n{log}\n{}", self.difference());
    }

    /// What a path of the project is.
    fn source(&self, name: &str) -> Reply {
        self.memory.perform(&self.login, &Effect::Source { source: SourceName::Project(name.to_owned()) }).unwrap()
    }

    fn shell(&self, text: &str) -> String {
        let words = Words::Shell(text.to_owned());
        let environment = std::collections::BTreeMap::new();
        let command = Invocation { words, directory: None, environment, stdin: None, timeout_seconds: None };
        match self.real.perform(&self.login, &Effect::Probe { command }).unwrap() {
            Reply::Command(result) if result.code == 0 => String::from_utf8_lossy(result.stdout.bytes()).into_owned(),
            other => panic!("{other:?}"),
        }
    }

    /// What is below a directory, asked of one of the two by effects alone.
    fn tree(effects: &dyn Effects, login: &Login, path: &str) -> Vec<String> {
        let remote = RemotePath::parse(path).unwrap();
        let Ok(Reply::Stat(Some(stat))) = effects.perform(login, &Effect::Stat { path: remote.clone() }) else {
            return Vec::new();
        };
        let mut lines = Vec::new();
        let content = match stat.kind {
            FileKind::File => plain(effects.perform(login, &Effect::Read { path: remote, limit: 1 << 20 })),
            _ => stat.target.clone().unwrap_or_default(),
        };
        let mode = if stat.kind == FileKind::Link { String::new() } else { stat.mode };
        lines.push(format!("{path} {:?} {mode} {content}", stat.kind));
        if stat.kind == FileKind::Directory {
            for pattern in ["*", ".[!.]*"] {
                let Ok(Reply::List(below)) = effects.perform(login, &Effect::List { pattern: format!("{path}/{pattern}") })
                else {
                    continue;
                };
                below
                    .iter()
                    .filter(|path| !path.ends_with("/.windlass"))
                    .for_each(|path| lines.extend(Self::tree(effects, login, path)));
            }
        }
        lines
    }

    fn difference(&self) -> String {
        let (real, memory) =
            (Self::tree(self.real.as_ref(), &self.login, ROOT), Self::tree(self.memory.as_ref(), &self.login, ROOT));
        crate::tree::differs(&(real.join("\n") + "\n"), &(memory.join("\n") + "\n")).unwrap_or_default()
    }
}

/// Where all of it happens: in the home, which every kind of lab has of its own.
const ROOT: &str = "~/t";

/// An answer without what may be another on each host.
fn plain(reply: Result<Reply, EffectError>) -> String {
    match reply {
        Ok(Reply::Stat(Some(mut stat))) => {
            stat.modified = 0;
            stat.size = if stat.kind == FileKind::Directory { 0 } else { stat.size };
            format!("{stat:?}")
        }
        Ok(Reply::Service { changed, mut state }) => {
            state.main_pid = i64::from(state.main_pid > 0);
            state.invocation = if state.invocation.is_empty() { "none" } else { "one" }.to_owned();
            // The fleet in memory has services that run or do not; how they do is the manager's.
            (state.substate, state.kind) = (String::new(), String::new());
            format!("{changed} {state:?}")
        }
        Ok(Reply::Content(content)) => String::from_utf8_lossy(content.bytes()).into_owned(),
        Ok(Reply::List(paths)) => format!("{:?}", paths.iter().map(|path| path.rsplit("/t/").next()).collect::<Vec<_>>()),
        Ok(reply) => format!("{reply:?}"),
        // Whose words they are differs; that it is refused must not.
        Err(EffectError::Failed { .. }) => "refused".to_owned(),
        Err(error) => format!("{error:?}"),
    }
}

/// What happens in a sequence; paths are numbers.
#[derive(Debug, Clone)]
enum Deed {
    Stat(u8),
    Read(u8),
    List(u8),
    Write(u8, u8, Option<u16>),
    Mkdir(u8, Option<u16>),
    Link(u8, u8),
    Rename(u8, u8),
    Remove(u8),
    Chmod(u8, u16),
    Copy(u8, u8),
    /// The last change again, as when its answer was lost.
    Again,
    /// The last change is taken back.
    Back,
    Service(Verb),
    Status,
    Unit(u8),
    /// A file of the project.
    Upload(u8, u8),
    /// A directory of the project; what is not in it goes, or stays.
    Tree(u8, u8, bool),
    /// What lies at the one path is unpacked to the other.
    Unpack(u8, u8, u8),
}

fn deed() -> impl Strategy<Value = Deed> {
    let path = || 0..14_u8;
    let mode = || prop_oneof![Just(0o644_u16), Just(0o600), Just(0o755), Just(0o700), Just(0o2755), Just(0o4711)];
    let verb = prop_oneof![
        Just(Verb::Start),
        Just(Verb::Stop),
        Just(Verb::Restart),
        Just(Verb::Reload),
        Just(Verb::Enable),
        Just(Verb::Disable)
    ];
    prop_oneof![
        1 => path().prop_map(Deed::Stat),
        1 => path().prop_map(Deed::Read),
        1 => path().prop_map(Deed::List),
        5 => (path(), 0..3_u8, proptest::option::of(mode())).prop_map(|(path, text, mode)| Deed::Write(path, text, mode)),
        4 => (path(), proptest::option::of(mode())).prop_map(|(path, mode)| Deed::Mkdir(path, mode)),
        3 => (path(), 0..16_u8).prop_map(|(path, to)| Deed::Link(path, to)),
        3 => (path(), path()).prop_map(|(from, to)| Deed::Rename(from, to)),
        3 => path().prop_map(Deed::Remove),
        2 => (path(), mode()).prop_map(|(path, mode)| Deed::Chmod(path, mode)),
        2 => (path(), path()).prop_map(|(from, to)| Deed::Copy(from, to)),
        2 => Just(Deed::Again),
        2 => Just(Deed::Back),
        2 => verb.prop_map(Deed::Service),
        1 => Just(Deed::Status),
        1 => (0..3_u8).prop_map(Deed::Unit),
        3 => (path(), 0..4_u8).prop_map(|(path, file)| Deed::Upload(path, file)),
        3 => (path(), 0..3_u8, any::<bool>()).prop_map(|(path, tree, delete)| Deed::Tree(path, tree, delete)),
        4 => (path(), path(), 0..3_u8).prop_map(|(from, to, strip)| Deed::Unpack(from, to, strip)),
    ]
}

/// Few names, so that they meet: `a`, `b`, and what is below them.
fn path(n: u8) -> RemotePath {
    let names = ["a", "b", "a/a", "a/b", "b/a", "b/b", "a/a/a", "a/b/a", "c", "c/a", "d", "d/x y", "a/a/b/c", "b/it's"];
    RemotePath::parse(&format!("{ROOT}/{}", names[usize::from(n) % names.len()])).unwrap()
}

fn target(n: u8) -> String {
    ["a", "b", "nowhere", "../a", "a/a", "../b", "c", ".", "..", "../../t/b", "a/../b", "d", "/nowhere", "../c/a", "l", "b/a"]
        [usize::from(n) % 16]
        .to_owned()
}

fn service() -> ServiceUnit {
    ServiceUnit { name: "pair".to_owned(), scope: UnitScope::User }
}

fn unit_text(n: u8) -> &'static str {
    [
        "[Service]\nExecStart=/bin/sleep 1000\n[Install]\nWantedBy=default.target\n",
        "[Unit]\nDescription=other\n[Service]\nExecStart=/bin/sleep 2000\nExecReload=/bin/true\n[Install]\nWantedBy=default.target\n",
        "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n",
    ][usize::from(n) % 3]
}

/// What is sent: two archives, one of them with links, a file that is none, and directories that have names in common.
const SOURCES: &str =
    "mkdir -p t/x/y t/z two/x && echo x >t/x/f && echo y >t/x/y/g && ln -s ../x/f t/z/l && chmod 750 t/x/y && chmod 755 t/x/f
    echo two >two/x/f && mkdir two/a two/empty && echo a >two/a/a && mkdir flat && echo flat >flat/b
    tar -C t -czf one.tgz . && tar -C two -cf two.tar x a && echo none >none && echo plain >plain";

fn file(n: u8) -> &'static str {
    ["one.tgz", "two.tar", "none", "plain"][usize::from(n) % 4]
}

fn effect(pair: &Pair, deed: &Deed, save: SaveId) -> Effect {
    let attributes = |mode: Option<u16>| Attributes { mode: mode.map(u32::from), ..Attributes::default() };
    match deed {
        Deed::Stat(at) => Effect::Stat { path: path(*at) },
        Deed::Read(at) => Effect::Read { path: path(*at), limit: 10 },
        Deed::List(at) => Effect::List { pattern: format!("{}/*", path(*at)) },
        Deed::Write(at, text, mode) => {
            let content = Content::new(["", "one\n", "another text that is longer\n"][usize::from(*text) % 3]);
            Effect::Write { path: path(*at), content, attributes: attributes(*mode), validate: None, save, basis: None }
        }
        Deed::Mkdir(at, mode) => Effect::Mkdir { path: path(*at), attributes: attributes(*mode), save },
        Deed::Link(at, to) => Effect::Link { path: path(*at), target: target(*to), save },
        Deed::Rename(from, to) => Effect::Rename { from: path(*from), to: path(*to), save },
        Deed::Remove(at) => Effect::Remove { path: path(*at), save },
        Deed::Chmod(at, mode) => Effect::SetAttributes { path: path(*at), attributes: attributes(Some(*mode)), save },
        Deed::Copy(from, to) => Effect::Copy { from: path(*from), to: path(*to), attributes: Attributes::default(), save },
        Deed::Service(verb) => Effect::Service { unit: service(), verb: *verb, save },
        Deed::Unit(text) => Effect::Unit {
            unit: service(),
            path: RemotePath::parse("~/.config/systemd/user/pair.service").unwrap(),
            content: Content::new(unit_text(*text)),
            attributes: attributes(Some(0o644)),
            validate: None,
            save,
        },
        Deed::Status => Effect::ServiceStatus { unit: service() },
        Deed::Upload(at, from) => {
            let Reply::Source(SourceInfo { path: source, digest, size, .. }) = pair.source(file(*from)) else {
                panic!("it is no such source")
            };
            Effect::Upload { path: path(*at), source, digest, size, attributes: attributes(Some(0o644)), save }
        }
        Deed::Tree(at, from, delete) => {
            let Reply::Tree(tree) = pair.source(["t", "two", "flat"][usize::from(*from) % 3]) else {
                panic!("it is no such source")
            };
            Effect::UploadTree { path: path(*at), tree, owner: None, group: None, delete: *delete, save }
        }
        Deed::Unpack(from, to, strip) => {
            Effect::Unpack { archive: path(*from), directory: path(*to), strip: u32::from(*strip), digest: None, save }
        }
        Deed::Again | Deed::Back => Effect::Now,
    }
}

/// Performs a sequence on both, and takes all of it back.
fn play(pair: &Pair, deeds: &[Deed]) {
    let mut done: Vec<(SaveId, Effect)> = Vec::new();
    let mut log = String::new();
    for (n, deed) in (1..).zip(deeds) {
        let save = StepKey { task: TaskPath::main(), n }.save(1);
        let effect = match (deed, done.last()) {
            (Deed::Again, Some((_, last))) => last.clone(),
            (Deed::Back, Some((save, _))) => {
                Effect::Restore { save: save.clone(), surely: false, overwrite: windlass::effect::Overwrite::Nothing }
            }
            (Deed::Again | Deed::Back, None) => continue,
            (deed, _) => effect(pair, deed, save.clone()),
        };
        pair.both(&effect, &log);
        log += &format!("{effect:?}\n");
        match deed {
            Deed::Back => drop(done.pop()),
            Deed::Again | Deed::Stat(_) | Deed::Read(_) | Deed::List(_) | Deed::Status => {}
            _ => done.push((save, effect)),
        }
    }
    assert_eq!(pair.difference(), "", "after\n{log}");
    for (save, effect) in done.iter().rev() {
        pair.both(&Effect::Restore { save: save.clone(), surely: false, overwrite: windlass::effect::Overwrite::Nothing }, &log);
        log += &format!("back: {effect:?}\n");
        if matches!(effect, Effect::Service { .. }) {
            pair.both(&Effect::Resume { save: save.clone(), units: Vec::new(), run_millis: 0 }, &log);
        }
    }
    pair.both(&Effect::ServiceStatus { unit: service() }, &log);
    assert_eq!(pair.difference(), "", "undone:\n{log}");
    pair.both(&Effect::Forget { anchor: None, of: None }, &log);
}

#[expect(clippy::disallowed_methods, reason = "who works on the simulation wants more of them")]
fn wanted() -> u32 {
    std::env::var("WINDLASS_SEQUENCES").ok().and_then(|n| n.parse().ok()).unwrap_or(50)
}

#[test]
fn sequences_of_effects_end_alike_in_memory_and_in_the_lab() {
    let pair = Pair::up();
    let mut runner = TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]));
    let sequence = vec(deed(), 1..14);
    for _ in 0..wanted() {
        let deeds = sequence.new_tree(&mut runner).unwrap().current();
        pair.shell("rm -rf ~/t ~/.config/systemd; mkdir -p ~/t ~/.config/systemd/user; systemctl --user daemon-reload");
        reset(&pair);
        play(&pair, &deeds);
    }
}

/// The host in memory begins anew, too.
fn reset(pair: &Pair) {
    let save = |n: u32| StepKey { task: TaskPath::main(), n: 100_000 + n }.save(1);
    let path = |text: &str| RemotePath::parse(text).unwrap();
    let perform = |effect: Effect| drop(pair.memory.perform(&pair.login, &effect).unwrap());
    perform(Effect::Remove { path: path(ROOT), save: save(1) });
    perform(Effect::Remove { path: path("~/.config/systemd"), save: save(2) });
    perform(Effect::Mkdir { path: path(ROOT), attributes: Attributes::default(), save: save(3) });
    perform(Effect::Mkdir { path: path("~/.config/systemd/user"), attributes: Attributes::default(), save: save(4) });
    perform(Effect::Forget { anchor: None, of: None });
    assert_eq!(pair.difference(), "");
    let command = Invocation {
        words: Words::Shell("true".to_owned()),
        directory: None,
        environment: std::collections::BTreeMap::new(),
        stdin: None,
        timeout_seconds: None,
    };
    let contract = Box::default();
    pair.both(&Effect::Exec { command, receipt: save(5), after: None, keeps: Vec::new(), contract }, "");
}

/// The answer to what has a service run as before may be lost: asked once more, a host says again that it was started for that, and
/// unwinding looks whether it is well. Another step of the same service has had nothing to do.
#[test]
fn a_service_that_runs_as_before_says_so_again() {
    let pair = Pair::up();
    pair.shell("mkdir -p ~/t ~/.config/systemd/user");
    reset(&pair);
    let save = |n: u32| StepKey { task: TaskPath::main(), n }.save(1);
    let did = |effect: Effect| {
        pair.both(&effect, "");
        pair.real.perform(&pair.login, &effect).unwrap()
    };
    did(effect(&pair, &Deed::Unit(0), save(1)));
    did(effect(&pair, &Deed::Service(Verb::Start), save(2)));
    did(Effect::Forget { anchor: None, of: None });
    // It runs when a run begins, which restarts it in two steps.
    did(effect(&pair, &Deed::Service(Verb::Restart), save(11)));
    did(effect(&pair, &Deed::Service(Verb::Restart), save(12)));
    for n in [12, 11] {
        did(Effect::Restore { save: save(n), surely: false, overwrite: windlass::effect::Overwrite::Nothing });
    }
    let resume = |n: u32| Effect::Resume { save: save(n), units: Vec::new(), run_millis: 0 };
    assert_eq!(did(resume(11)), Reply::done(true), "asked once more");
    assert_eq!(did(resume(11)), Reply::done(true), "and again");
    assert_eq!(did(resume(12)), Reply::done(false), "the other step");
}
