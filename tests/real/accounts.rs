//! Sequences of changes to users and groups, made by chance from a seed, on a host with Debian's own tools and on one in memory:
//! the same answers, the same lists of users and groups, and the same again once all is undone.
//!
//! `WINDLASS_SEQUENCES` asks for more of them.

use super::host::Host;
use super::lab::{asked, lab};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::sync::Arc;
use windlass::artifact::{DirectoryStore, KeptSources};
use windlass::effect::{Account, Effect, EffectError, Effects, GroupAccount, Login, Presence, Reply, UserAccount};
use windlass::event::{Event, Watcher};
use windlass::fleet::{Environment, Operator, Project, World};
use windlass::id::{HostName, RemotePath, RunId, SaveId, StepKey, TaskPath};
use windlass::interp::{Controller, Fleet, Simulate, apply_stack};
use windlass::stop::Stop;
use windlass::transport::{Pool, PoolOptions};

struct Nobody;

impl Watcher for Nobody {
    fn see(&self, _: &Event) {}
}

/// A host of the lab, and one in memory.
struct Pair {
    real: Arc<dyn Effects>,
    memory: Arc<dyn Effects>,
    login: Login,
    _temp: tempfile::TempDir,
}

impl Pair {
    fn new(host: &Host) -> Self {
        let temp = tempfile::tempdir().unwrap();
        let home = temp.path().to_owned();
        std::fs::write(home.join("windlass.toml"), "name = \"pair\"\n").unwrap();
        // Only the control namespace reaches the lab's network; a jump through a program of this machine does, too.
        let ssh_config = home.join("config");
        let lab_config = std::fs::read_to_string(lab().dir.join("ssh_config")).unwrap();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/lab/lab.sh");
        let proxy = format!("  ProxyCommand {script} exec bash -c 'exec 3<>/dev/tcp/%h/%p; cat <&3 & cat >&3'\n");
        std::fs::write(&ssh_config, format!("Host h*\n{proxy}{lab_config}")).unwrap();
        let operator = Operator { ssh_config, home: home.clone(), user: "tester".to_owned(), ..Operator::default() };
        let name = host.name.as_str();
        let value = serde_json::json!({ "class": "lab", "hosts": { name: {} } });
        let environment = Environment::from_value(&Project::load(&home).unwrap(), "lab", value, "lab.toml", &operator).unwrap();
        let run = RunId::new("20260101-0000", "acct");
        let controller = || {
            let kept = KeptSources::new(&home, run.clone(), None);
            Controller::new(&home, Arc::new(DirectoryStore::new(&home)), kept)
        };
        let pool = Arc::new(Pool::new(&environment.hosts, PoolOptions::new(run.clone())));
        let real = apply_stack(pool, controller(), Stop::default(), Arc::new(Nobody));
        let fleet = Arc::new(Fleet::new(&environment, &World::default()).unwrap());
        let memory = Arc::new(Simulate::new(fleet, run.clone(), controller(), Stop::default()));
        Self { real, memory, login: Login::plain(&HostName::parse(name).unwrap()), _temp: temp }
    }

    /// Has both do it; they must answer alike, and have the same users and groups.
    fn both(&self, effect: &Effect, log: &str) {
        let answer = |effects: &dyn Effects| match effects.perform(&self.login, effect) {
            // Whose words they are differs; that it is refused must not.
            Err(EffectError::Failed { .. }) => "refused".to_owned(),
            other => format!("{other:?}"),
        };
        assert_eq!(answer(&*self.real), answer(&*self.memory), "\nthe first is the lab's, to {effect:?} after\n{log}");
        assert_eq!(self.lists(&*self.real), self.lists(&*self.memory), "\nthe first is the lab's, after\n{log}{effect:?}");
    }

    /// The users and groups of the test as the host's files list them, their members in order; and which homes there are.
    fn lists(&self, effects: &dyn Effects) -> Vec<String> {
        let lines = |file: &str| {
            let path = RemotePath::parse(file).unwrap();
            let Reply::Content(content) = effects.perform(&self.login, &Effect::Read { path, limit: 1 << 20 }).unwrap() else {
                panic!("{file} is no text")
            };
            String::from_utf8(content.bytes().to_vec()).unwrap()
        };
        let mut found: Vec<String> = Vec::new();
        let groups = lines("/etc/group");
        let name_of = |gid: &str| {
            let line = groups.lines().find(|line| line.split(':').nth(2) == Some(gid));
            line.map_or(gid, |line| line.split(':').next().unwrap()).to_owned()
        };
        for line in lines("/etc/passwd").lines().filter(|line| line.starts_with("wl-")) {
            let part: Vec<&str> = line.split(':').collect();
            // Which number was the next is the host's own; those that are asked for are above.
            let uid = if part[2].parse::<u32>().unwrap() >= 4000 { part[2] } else { "next" };
            found.push(format!("user {} {uid} of {} `{}` {} {}", part[0], name_of(part[3]), part[4], part[5], part[6]));
        }
        for line in groups.lines().filter(|line| line.starts_with("wl-")) {
            let part: Vec<&str> = line.split(':').collect();
            let gid = if part[2].parse::<u32>().unwrap() >= 4000 { part[2] } else { "next" };
            let mut members: Vec<&str> = part[3].split(',').collect();
            members.sort_unstable();
            found.push(format!("group {} {gid} of {members:?}", part[0]));
        }
        found.sort();
        for home in HOMES {
            let path = RemotePath::parse(home).unwrap();
            let stat = effects.perform(&self.login, &Effect::Stat { path }).unwrap();
            if let Reply::Stat(Some(stat)) = stat {
                found.push(format!("{home} {:?} {}", stat.kind, stat.mode));
            }
        }
        found
    }
}

const NAMES: [&str; 4] = ["wl-a", "wl-b", "wl-c", "root"];
const HOMES: [&str; 4] = ["/home/wl-a", "/home/wl-b", "/home/wl-c", "/srv/wl-home"];

/// What happens in a sequence.
#[derive(Debug, Clone)]
enum Deed {
    Account(Account),
    /// The last change again, as when its answer was lost.
    Again,
    /// The last change is taken back.
    Back,
}

fn deed() -> impl Strategy<Value = Deed> {
    let name = || (0..3_usize).prop_map(|n| NAMES[n].to_owned());
    let number = || proptest::option::weighted(0.3, 4000..4003_u32);
    let some = |weight: f64, texts: &'static [&'static str]| {
        proptest::option::weighted(weight, (0..texts.len()).prop_map(move |n| texts[n].to_owned()))
    };
    let presence = || prop_oneof![4 => Just(Presence::Present), 1 => Just(Presence::Absent)];
    let groups = proptest::option::weighted(0.5, vec((0..4_usize).prop_map(|n| NAMES[n].to_owned()), 0..3));
    let form =
        (some(0.2, &NAMES), some(0.3, &["/bin/sh", "/bin/bash"]), some(0.2, &["/srv/wl-home"]), some(0.3, &["One", "Two"]));
    let flags = (any::<bool>(), any::<bool>(), any::<bool>());
    let user = (name(), presence(), number(), groups, form, flags).prop_map(|(name, presence, uid, groups, form, flags)| {
        let (group, shell, home, comment) = form;
        let (groups_only, create_home, system) = (flags.0 && groups.is_some(), flags.1, flags.2);
        let user = UserAccount { name, presence, uid, group, groups, groups_only, shell, home, create_home, comment, system };
        // An absent one has nothing but its name: the operation refuses more.
        let absent = |name| UserAccount {
            name,
            presence,
            uid: None,
            group: None,
            groups: None,
            groups_only: false,
            shell: None,
            home: None,
            create_home: false,
            comment: None,
            system: false,
        };
        let is_absent = presence == Presence::Absent;
        Deed::Account(Account::User(if is_absent { absent(user.name) } else { user }))
    });
    let group = (name(), presence(), number(), any::<bool>()).prop_map(|(name, presence, gid, system)| {
        let gid = gid.filter(|_| presence == Presence::Present);
        Deed::Account(Account::Group(GroupAccount { name, presence, gid, system }))
    });
    prop_oneof![6 => user, 4 => group, 1 => Just(Deed::Again), 2 => Just(Deed::Back)]
}

#[test]
fn sequences_of_accounts_end_alike_in_memory_and_on_a_host() {
    let lease = lab().lease(1);
    let pair = Pair::new(&lease.hosts[0]);
    let mut runner = TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]));
    let sequence = vec(deed(), 1..8);
    for turn in 0..asked("WINDLASS_SEQUENCES", 12_u32) {
        let deeds = sequence.new_tree(&mut runner).unwrap().current();
        play(&pair, turn, &deeds);
    }
}

/// Performs a sequence on both, and takes all of it back.
fn play(pair: &Pair, turn: u32, deeds: &[Deed]) {
    let before = pair.lists(&*pair.real);
    let mut done: Vec<(SaveId, Effect)> = Vec::new();
    let mut log = String::new();
    for (n, deed) in (1..).zip(deeds) {
        let save = StepKey { task: TaskPath::main(), n: turn * 100 + n }.save(1);
        let effect = match (deed, done.last()) {
            (Deed::Again, Some((_, last))) => last.clone(),
            (Deed::Back, Some((save, _))) => {
                Effect::Restore { save: save.clone(), surely: false, overwrite: windlass::effect::Overwrite::Nothing }
            }
            (Deed::Again | Deed::Back, None) => continue,
            (Deed::Account(account), _) => Effect::Account { account: account.clone(), save: save.clone() },
        };
        pair.both(&effect, &log);
        log += &format!("{effect:?}\n");
        match deed {
            Deed::Back => drop(done.pop()),
            Deed::Again => {}
            Deed::Account(_) => done.push((save, effect)),
        }
    }
    for (save, effect) in done.iter().rev() {
        pair.both(&Effect::Restore { save: save.clone(), surely: false, overwrite: windlass::effect::Overwrite::Nothing }, &log);
        log += &format!("back: {effect:?}\n");
    }
    assert_eq!(pair.lists(&*pair.real), before, "undone:\n{log}");
    pair.both(&Effect::Forget { anchor: None, of: None }, &log);
}
