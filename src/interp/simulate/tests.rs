//! What the cases of the primitives cannot show of a simulated host, since they need systemd or more than one run.

use super::{Answered, Fleet, Simulate};
use crate::artifact::{DirectoryStore, KeptSources};
use crate::effect::{
    Account, Attributes, Content, Contract, Effect, EffectError, Effects, Foretold, GroupAccount, HttpRequest, Invocation, Login,
    PackageSet, PackageState, Presence, Reply, ServiceUnit, UnitScope, UserAccount, Verb, Via, Words,
};
use crate::fleet::{Environment, Operator, Project, World};
use crate::id::{HostName, RemotePath, RunId, SaveId, StepKey, TaskPath};
use crate::interp::{Controller, within};
use crate::stop::Stop;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

struct Ground {
    temp: tempfile::TempDir,
    fleet: Arc<Fleet>,
    effects: Simulate,
}

/// Two hosts: `web1`, where root logs in, and `web2`, where `deploy` does.
fn ground(world: serde_json::Value) -> Ground {
    let temp = tempfile::tempdir().unwrap();
    std::fs::write(temp.path().join("windlass.toml"), "name = \"x\"\n").unwrap();
    let hosts = json!({ "class": "lab", "hosts": {
        "web1": { "address": "10.0.0.1", "user": "root" }, "web2": { "address": "10.0.0.2", "user": "deploy" } } });
    let home = temp.path().to_owned();
    let operator = Operator { ssh_config: home.join("none"), home, user: "op".to_owned(), ..Operator::default() };
    let project = Project::load(temp.path()).unwrap();
    let environment = Environment::from_value(&project, "lab", hosts, "lab.rhai", &operator).unwrap();
    let world: World = serde_json::from_value(world).unwrap();
    let fleet = Arc::new(Fleet::new(&environment, &world).unwrap());
    let effects = simulate(&fleet, temp.path());
    Ground { temp, fleet, effects }
}

fn simulate(fleet: &Arc<Fleet>, root: &Path) -> Simulate {
    let run = RunId::new("20260101-0000", "test");
    let kept = KeptSources::new(&root.join("store"), run.clone(), None);
    let controller = Controller::new(root, Arc::new(DirectoryStore::new(root.join("store"))), kept);
    Simulate::new(fleet.clone(), run, controller, Stop::default())
}

impl Ground {
    fn on(&self, host: &str, effect: &Effect) -> Result<Reply, EffectError> {
        self.effects.perform(&Login::plain(&HostName::parse(host).unwrap()), effect)
    }

    fn does(&self, effect: &Effect) -> Reply {
        self.on("web1", effect).unwrap_or_else(|error| panic!("{effect:?}: {error}"))
    }

    fn state(&self, name: &str) -> (String, String, bool) {
        match self.does(&Effect::ServiceStatus { unit: unit(name) }) {
            Reply::Service { state, .. } => (state.active, state.enabled, state.main_pid > 0),
            other => panic!("{other:?}"),
        }
    }

    fn act(&self, n: u32, verb: Verb) -> Result<bool, String> {
        match self.on("web1", &Effect::Service { unit: unit("web"), verb, save: save(n) }) {
            Ok(Reply::Service { changed, .. }) => Ok(changed),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error.to_string()),
        }
    }
}

fn unit(name: &str) -> ServiceUnit {
    ServiceUnit { name: name.to_owned(), scope: UnitScope::System }
}

fn save(n: u32) -> SaveId {
    StepKey { task: TaskPath::main(), n }.save(1)
}

fn path(text: &str) -> RemotePath {
    RemotePath::parse(text).unwrap()
}

fn write(n: u32, at: &str, text: &str) -> Effect {
    let attributes = Attributes::default();
    Effect::Write { path: path(at), content: Content::new(text), attributes, validate: None, save: save(n), basis: None }
}

fn command(text: &str) -> Invocation {
    let (words, environment) = (Words::Shell(text.to_owned()), BTreeMap::new());
    Invocation { words, directory: None, environment, stdin: None, timeout_seconds: None }
}

fn exec(n: u32, text: &str, contract: Contract) -> Effect {
    let contract = Box::new(contract);
    Effect::Exec { command: command(text), receipt: save(n), after: None, keeps: Vec::new(), contract }
}

const UNIT: &str =
    "[Service]\nExecStart=/srv/web/current/bin/web --port 8080\nExecReload=/bin/true\n[Install]\nWantedBy=multi-user.target\n";

/// A release of this version, and `current` pointing to it.
fn release(ground: &Ground, n: u32, version: &str) {
    let directory = format!("/srv/web/releases/{version}-0123456789ab");
    let mkdir = Effect::Mkdir { path: path(&format!("{directory}/bin")), attributes: Attributes::default(), save: save(n) };
    ground.does(&mkdir);
    ground.does(&write(n + 1, &format!("{directory}/bin/web"), version));
    let target = format!("releases/{version}-0123456789ab");
    ground.does(&Effect::Link { path: path("/srv/web/current"), target, save: save(n + 2) });
}

fn asked(ground: &Ground, host: &str, url: &str) -> Result<(u16, String), String> {
    let request = HttpRequest {
        url: url.to_owned(),
        method: "GET".to_owned(),
        headers: BTreeMap::new(),
        timeout_millis: 1000,
        hoped: None,
    };
    match ground.on(host, &Effect::Http { request, via: Via::Tunnel }) {
        Ok(Reply::Http(reply)) => Ok((reply.status, reply.body)),
        Ok(other) => panic!("{other:?}"),
        Err(error) => Err(error.to_string()),
    }
}

#[test]
fn a_service_runs_on_what_it_was_started_from() {
    let ground = ground(json!({}));
    assert_eq!(ground.act(1, Verb::Start), Err("there is no service web.service on this host".to_owned()));
    ground.does(&write(2, "/etc/systemd/system/web.service", UNIT));
    // Its program is not there.
    assert_eq!(ground.act(3, Verb::Start), Err("web.service is failed after its start (exit-code)".to_owned()));
    assert_eq!(ground.state("web"), ("failed".to_owned(), "disabled".to_owned(), false));
    release(&ground, 10, "1.0");
    assert_eq!(ground.act(4, Verb::Start), Ok(true));
    assert_eq!((ground.act(4, Verb::Start), ground.act(5, Verb::Start)), (Ok(true), Ok(false)));
    for host in ["web1", "web2"] {
        assert_eq!(asked(&ground, host, "http://10.0.0.1:8080/health"), Ok((200, "web 1.0\n".to_owned())));
    }
    let refused = "nothing answers at 10.0.0.2:8080: Connection refused (os error 111)";
    assert_eq!(asked(&ground, "web1", "http://10.0.0.2:8080/"), Err(refused.to_owned()));
}

#[test]
fn a_link_that_is_switched_counts_from_the_next_start() {
    let ground = ground(json!({}));
    ground.does(&write(2, "/etc/systemd/system/web.service", UNIT));
    release(&ground, 10, "1.0");
    assert_eq!(ground.act(4, Verb::Start), Ok(true));
    release(&ground, 20, "1.1");
    assert_eq!(asked(&ground, "web1", "http://127.0.0.1:8080/"), Ok((200, "web 1.0\n".to_owned())));
    assert_eq!((ground.act(6, Verb::Reload), ground.act(7, Verb::Restart)), (Ok(true), Ok(true)));
    assert_eq!(asked(&ground, "web1", "http://127.0.0.1:8080/"), Ok((200, "web 1.1\n".to_owned())));
    // Undone: the link is back, and nothing of it runs.
    let back =
        |n: u32| ground.does(&Effect::Restore { save: save(n), surely: true, overwrite: crate::effect::Overwrite::Nothing });
    assert_eq!((back(22), back(21)), (Reply::done(true), Reply::done(true)));
    assert_eq!(
        ground.does(&Effect::Resume { save: save(7), units: Vec::new(), run_millis: 0 }),
        Reply::done(false),
        "the run began when it did not run"
    );
    assert_eq!((back(7), back(4)), (Reply::done(false), Reply::done(true)));
    assert_eq!(ground.state("web").0, "inactive");
}

#[test]
fn what_ran_before_the_run_is_restarted_once() {
    let ground = ground(json!({}));
    ground.does(&write(2, "/etc/systemd/system/web.service", UNIT));
    release(&ground, 10, "1.0");
    ground.act(3, Verb::Start).unwrap();
    ground.does(&Effect::Forget { anchor: None, of: None });
    release(&ground, 20, "1.1");
    assert_eq!((ground.act(4, Verb::Restart), ground.act(5, Verb::Restart)), (Ok(true), Ok(true)));
    ground.does(&Effect::Restore { save: save(22), surely: true, overwrite: crate::effect::Overwrite::Nothing });
    let resumed = |n| ground.does(&Effect::Resume { save: save(n), units: Vec::new(), run_millis: 0 });
    assert_eq!((resumed(4), resumed(5)), (Reply::done(true), Reply::done(false)));
    assert_eq!(asked(&ground, "web1", "http://127.0.0.1:8080/"), Ok((200, "web 1.0\n".to_owned())));
}

#[test]
fn enabling_makes_the_links_of_a_manager_and_undoing_takes_them_away() {
    let ground = ground(json!({}));
    ground.does(&write(1, "/etc/systemd/system/web.service", UNIT));
    let before = ground.fleet.snapshot();
    assert_eq!(ground.act(2, Verb::Enable), Ok(true));
    assert_eq!(ground.state("web").1, "enabled");
    let made = ground.fleet.snapshot();
    let lines = before.diff(&made);
    assert!(
        lines.iter().any(|line| line
            == "web1 + /etc/systemd/system/multi-user.target.wants/web.service: link to /etc/systemd/system/web.service"),
        "{lines:#?}"
    );
    assert_eq!(ground.act(3, Verb::Enable), Ok(false));
    ground.does(&Effect::Restore { save: save(2), surely: true, overwrite: crate::effect::Overwrite::Nothing });
    assert_eq!(before.diff(&ground.fleet.snapshot()), Vec::<String>::new());
}

#[test]
fn a_restart_of_the_host_starts_what_is_enabled() {
    let ground = ground(json!({}));
    ground.does(&write(1, "/etc/systemd/system/web.service", UNIT));
    release(&ground, 10, "1.0");
    assert_eq!((ground.act(2, Verb::Start), ground.act(3, Verb::Enable)), (Ok(true), Ok(true)));
    let boot = || match ground.does(&Effect::Facts) {
        Reply::Facts(facts) => facts["boot_id"].clone(),
        other => panic!("{other:?}"),
    };
    let reboot = |n: u32| Effect::Reboot { within_millis: 1000, message: None, begun: false, save: save(n), after: None };
    let first = boot();
    assert_eq!((ground.does(&reboot(4)), ground.state("web").0), (Reply::done(true), "active".to_owned()));
    let second = boot();
    assert_ne!(first, second);
    assert_eq!((ground.does(&reboot(4)), boot()), (Reply::done(true), second), "once for a save");
    ground.act(5, Verb::Disable).unwrap();
    ground.does(&reboot(6));
    assert_eq!(ground.state("web").0, "inactive");
    // Where it ran before a restart that is undone by another one, it runs again.
    ground.act(8, Verb::Start).unwrap();
    ground.does(&reboot(9));
    assert_eq!(ground.state("web").0, "inactive");
    let again = Effect::Reboot { within_millis: 1000, message: None, begun: false, save: save(30), after: Some(save(9)) };
    assert_eq!((ground.does(&again), ground.state("web").0), (Reply::done(true), "active".to_owned()));
    assert!(ground.on("web2", &reboot(7)).unwrap_err().to_string().contains("only root restarts a host"));
}

#[test]
fn what_a_user_may_not_do_is_refused() {
    let ground = ground(json!({}));
    let refused = ground.on("web2", &write(1, "/etc/x", "x")).unwrap_err();
    assert_eq!(refused.to_string(), "no new file can be made in /etc (no permission, or no space)");
    assert_eq!(ground.on("web2", &write(2, "~/x", "x")), Ok(Reply::Done { changed: true, before: Some(Content::new("")) }));
    let root = Login { host: HostName::parse("web2").unwrap(), user: Some("root".to_owned()) };
    assert!(ground.effects.perform(&root, &write(3, "/etc/x", "x")).is_ok());
    let kept = ground
        .on("web2", &Effect::Restore { save: save(3), surely: true, overwrite: crate::effect::Overwrite::Nothing })
        .unwrap_err();
    assert!(kept.to_string().starts_with("what the step kept of before is gone from /home/deploy/.windlass/runs/"), "{kept}");
}

#[test]
fn users_groups_and_packages_come_and_go_as_they_were() {
    let ground = ground(
        json!({ "hosts": { "web1": { "packages": { "nginx": "1.22" }, "available": { "nginx": ["1.22", "1.24"], "jq": ["1.6"] } } } }),
    );
    let before = ground.fleet.snapshot();
    let group = GroupAccount { name: "shop".to_owned(), presence: Presence::Present, gid: None, system: true };
    let user = UserAccount {
        name: "shop".to_owned(),
        presence: Presence::Present,
        uid: None,
        group: Some("shop".to_owned()),
        groups: Some(vec!["www-data".to_owned()]),
        groups_only: false,
        shell: None,
        home: Some("/srv/shop".to_owned()),
        create_home: true,
        comment: None,
        system: true,
    };
    let effects = [
        Effect::Account { account: Account::Group(group), save: save(1) },
        Effect::Account { account: Account::User(user.clone()), save: save(2) },
        packages(3, &["nginx", "jq"], PackageState::Latest),
        packages(4, &["nginx"], PackageState::Absent),
    ];
    for effect in &effects {
        let (first, second) = (ground.does(effect), ground.does(effect));
        assert_eq!(first, second, "{effect:?}");
    }
    let made = ground.fleet.snapshot();
    let lines = before.diff(&made);
    for line in ["web1 - package nginx: 1.22", "web1 + package jq: 1.6", "web1 + /srv/shop: directory 0755 shop:shop"] {
        assert!(lines.iter().any(|other| other == line), "{line}: {lines:#?}");
    }
    let none = ground.on("web1", &packages(5, &["nothing-of-the-kind"], PackageState::Present)).unwrap_err();
    assert!(none.to_string().contains("Unable to locate package nothing-of-the-kind"), "{none}");
    for n in (1..=4).rev() {
        ground.does(&Effect::Restore { save: save(n), surely: true, overwrite: crate::effect::Overwrite::Nothing });
    }
    assert_eq!(before.diff(&ground.fleet.snapshot()), Vec::<String>::new());
}

fn packages(n: u32, names: &[&str], state: PackageState) -> Effect {
    let names = names.iter().map(ToString::to_string).collect();
    let packages = PackageSet { names, state, update: false, recommends: None, allow_removals: false, lock_seconds: 1 };
    Effect::Packages { packages, save: save(n) }
}

#[test]
fn commands_answer_by_description_contract_or_not_at_all() {
    let ground = ground(json!({ "hosts": { "web1": { "commands": [
        { "begins": "rake db:migrate", "stdout": "migrated", "writes": { "/srv/schema": "2" } }] } } }));
    let said = |effect: &Effect| match ground.does(effect) {
        Reply::Command(result) => (result.code, String::from_utf8_lossy(result.stdout.bytes()).into_owned()),
        other => panic!("{other:?}"),
    };
    let foretold = Foretold { code: 3, stdout: "no".to_owned(), stderr: String::new() };
    let creates = Contract { creates: Some(path("/srv/data/db")), answer: None };
    let answers = [
        (exec(1, "rake db:migrate --all", Contract::default()), (0, "migrated"), Some(Answered::Told)),
        (exec(2, "check", Contract { creates: None, answer: Some(foretold) }), (3, "no"), Some(Answered::Contract)),
        (exec(3, "initdb", creates), (0, ""), Some(Answered::Assumed)),
        (Effect::Probe { command: command("test -e /srv/schema") }, (0, ""), None),
        (Effect::Probe { command: command("test -d /srv/nothing") }, (1, ""), None),
    ];
    for (effect, (code, stdout), answered) in answers {
        let before = ground.fleet.opaque("web1").len();
        assert_eq!(said(&effect), (code, stdout.to_owned()), "{effect:?}");
        assert_eq!(ground.fleet.opaque("web1").get(before).map(|opaque| opaque.answered), answered);
    }
    assert!(matches!(ground.does(&Effect::Stat { path: path("/srv/data/db") }), Reply::Stat(Some(_))));
    // A receipt answers again, and what never began is not undone.
    let first = ground.fleet.opaque("web1").len();
    ground.does(&exec(1, "rake db:migrate --all", Contract::default()));
    let after = Effect::Exec {
        command: command("undo it"),
        receipt: save(8),
        after: Some(save(9)),
        keeps: Vec::new(),
        contract: Box::default(),
    };
    ground.does(&after);
    assert_eq!(ground.fleet.opaque("web1").len(), first);
}

#[test]
fn a_world_is_written_down_and_read_back_with_what_runs_keep() {
    let ground = ground(json!({}));
    ground.does(&write(1, "/srv/a", "one"));
    ground.does(&write(2, "/srv/a", "two"));
    let read = Arc::new(Fleet::read(&ground.fleet.write().unwrap()).unwrap());
    assert_eq!(read.snapshot(), ground.fleet.snapshot());
    let effects = simulate(&read, ground.temp.path());
    let login = Login::plain(&HostName::parse("web1").unwrap());
    for n in [2, 1] {
        effects
            .perform(&login, &Effect::Restore { save: save(n), surely: true, overwrite: crate::effect::Overwrite::Nothing })
            .unwrap();
    }
    let gone = ground.fleet.snapshot().diff(&read.snapshot());
    assert!(matches!(gone.as_slice(), [line] if line.starts_with("web1 - /srv/a: file")), "{gone:#?}");
    assert_eq!(read.kept().len(), 1);
    effects.perform(&login, &Effect::Forget { anchor: None, of: None }).unwrap();
    assert_eq!(read.kept().len(), 0);
}

#[test]
fn time_passes_by_task() {
    let ground = ground(json!({}));
    let key = |task: &TaskPath| StepKey { task: task.clone(), n: 1 };
    let now = |task: &TaskPath| match within(&key(task), || ground.on("web1", &Effect::Now)) {
        Ok(Reply::Time(millis)) => millis,
        other => panic!("{other:?}"),
    };
    let main = TaskPath::main();
    let (one, other) = (main.child(1, "parallel", "web1"), main.child(1, "parallel", "web2"));
    let start = now(&main);
    for (task, millis) in [(&one, 5000), (&other, 700)] {
        within(&key(task), || ground.on("web1", &Effect::Sleep { millis })).unwrap();
    }
    assert_eq!([now(&one), now(&other), now(&main)].map(|time| time - start), [5000, 700, 5000]);
}

#[test]
fn a_host_takes_back_what_was_not_confirmed_in_time() {
    use crate::effect::GuardAct;
    let ground = ground(json!({}));
    let arm = |n: u32| Effect::Guard { act: GuardAct::Arm { save: save(n), seconds: 60 } };
    let confirm = |n: u32| Effect::Guard { act: GuardAct::Confirm { save: save(n), seconds: 60 } };
    let sleep = |millis: u64| ground.does(&Effect::Sleep { millis });
    ground.does(&write(1, "/srv/before", "1"));
    assert_eq!((ground.does(&arm(2)), ground.does(&arm(2))), (Reply::done(false), Reply::done(false)));
    assert_eq!(ground.on("web1", &arm(3)).unwrap_err().to_string(), "this host is in a guarded block already");
    ground.does(&write(4, "/srv/within", "1"));
    sleep(59_000);
    assert_eq!((ground.does(&confirm(2)), ground.does(&arm(5))), (Reply::done(false), Reply::done(false)));
    ground.does(&write(6, "/srv/late", "1"));
    sleep(60_000);
    let told = ground.on("web1", &confirm(5)).unwrap_err();
    assert_eq!(told.to_string(), "web1 has restored itself: the block was not confirmed over a new connection in time");
    let refused = ground.on("web1", &write(7, "/srv/later", "1")).unwrap_err();
    assert!(refused.to_string().starts_with("this host has restored itself: "), "{refused}");
    let there = |at: &str| ground.does(&Effect::Stat { path: path(at) }) != Reply::Stat(None);
    assert_eq!(["/srv/before", "/srv/within", "/srv/late", "/srv/later"].map(there), [true, true, false, false]);
}

#[test]
fn who_has_lost_the_lock_changes_nothing_any_more() {
    use crate::effect::{Anchor, Fence};
    use crate::id::{Epoch, LockName};
    let ground = ground(json!({}));
    let lock = LockName::new("x", "lab");
    let holder = |epoch: u64| simulate(&ground.fleet, ground.temp.path()).with_fence(Fence::new(lock.clone(), Epoch(epoch)));
    let login = Login::plain(&HostName::parse("web1").unwrap());
    let (first, second) = (holder(1), holder(2));
    assert!(first.perform(&login, &write(1, "/srv/a", "1")).is_ok());
    assert_eq!(second.perform(&login, &Effect::Fence), Ok(Reply::done(false)));
    let refused = first.perform(&login, &write(2, "/srv/b", "1")).unwrap_err();
    assert!(matches!(&refused, EffectError::Fenced { shown, .. } if shown == "2"), "{refused}");
    assert!(first.perform(&login, &Effect::Stat { path: path("/srv/a") }).is_ok());
    let anchor = Anchor { records: 7, head: crate::id::Digest::of(b"x") };
    second.perform(&login, &Effect::Forget { anchor: Some(anchor.clone()), of: None }).unwrap();
    let Ok(Reply::Content(kept)) = second.perform(&login, &Effect::Anchors { lock: lock.clone() }) else { panic!() };
    assert_eq!(Anchor::find(kept.text().unwrap(), &RunId::new("20260101-0000", "test")), Some(anchor));
}

#[test]
fn a_new_socket_ends_with_its_file_and_is_not_opened_under_a_running_service() {
    let ground = ground(json!({}));
    let file = |n: u32, name: &str, text: &str| Effect::Unit {
        unit: unit(name),
        path: path(&format!("/etc/systemd/system/{name}")),
        content: Content::new(text),
        attributes: Attributes::default(),
        validate: None,
        save: save(n),
    };
    let act = |n: u32, name: &str, verb: Verb| ground.on("web1", &Effect::Service { unit: unit(name), verb, save: save(n) });
    ground.does(&file(1, "web.service", "[Service]\nExecStart=/bin/sleep 1000\n"));
    ground.does(&file(2, "web.socket", "[Socket]\nListenStream=80\n"));
    act(3, "web.socket", Verb::Start).unwrap();
    act(4, "web.service", Verb::Start).unwrap();
    let refused = act(5, "web.socket", Verb::Restart).unwrap_err().to_string();
    assert!(refused.starts_with("web.socket cannot be opened anew while web.service runs and has it"), "{refused}");
    assert_eq!(ground.state("web.socket").0, "active");
    let back =
        |n: u32| ground.does(&Effect::Restore { save: save(n), surely: false, overwrite: crate::effect::Overwrite::Nothing });
    back(2);
    assert_eq!((ground.state("web.socket").0.as_str(), ground.state("web").0.as_str()), ("inactive", "inactive"));
    act(6, "web.service", Verb::Start).unwrap();
    back(1);
    assert_eq!(ground.state("web").0, "inactive");
}

#[test]
fn enabling_makes_a_set_of_links_which_comes_back_as_it_was() {
    let ground = ground(json!({}));
    let etc = "/etc/systemd/system";
    ground.does(&write(1, &format!("{etc}/web.socket"), "[Socket]\nListenStream=80\n[Install]\nWantedBy=sockets.target\n"));
    ground.does(&write(2, &format!("{etc}/web.service"), &format!("{UNIT}Also=web.socket\nAlias=www.service\n")));
    ground.does(&write(3, &format!("{etc}/all.service"), "[Service]\nExecStart=/bin/true\n[Install]\nAlso=web.socket\n"));
    ground.does(&write(4, "/opt/far.service", UNIT));
    ground.does(&Effect::Link {
        path: path(&format!("{etc}/far.service")),
        target: "/opt/far.service".to_owned(),
        save: save(5),
    });
    let service =
        |n: u32, name: &str, verb: Verb| match ground.on("web1", &Effect::Service { unit: unit(name), verb, save: save(n) }) {
            Ok(Reply::Service { changed, state }) => (changed, state.enabled),
            other => panic!("{other:?}"),
        };
    let words = || ["web", "web.socket", "all", "far"].map(|name| ground.state(name).1);
    let before = ground.fleet.snapshot();
    assert_eq!(words(), ["disabled", "disabled", "indirect", "linked"]);
    assert_eq!(service(10, "web.socket", Verb::Enable), (true, "enabled".to_owned()));
    let socket = ground.fleet.snapshot();
    assert_eq!(service(11, "web", Verb::Enable), (true, "enabled".to_owned()));
    assert_eq!(service(12, "all", Verb::Enable), (false, "indirect".to_owned()));
    let both = ground.fleet.snapshot();
    assert_eq!(service(13, "web", Verb::Disable), (true, "disabled".to_owned()));
    assert_eq!(words(), ["disabled", "disabled", "indirect", "linked"]);
    let back =
        |n: u32| ground.does(&Effect::Restore { save: save(n), surely: true, overwrite: crate::effect::Overwrite::Nothing });
    let as_it_was = |was: &super::Snapshot| assert_eq!(was.diff(&ground.fleet.snapshot()), Vec::<String>::new());
    back(13);
    as_it_was(&both);
    back(11);
    as_it_was(&socket);
    back(10);
    as_it_was(&before);
    assert_eq!(service(14, "far", Verb::Enable), (true, "enabled".to_owned()));
    let far = ground.fleet.snapshot();
    assert_eq!(service(15, "far", Verb::Disable), (true, "linked".to_owned()));
    assert_eq!(service(16, "far", Verb::Disable), (false, "linked".to_owned()));
    back(15);
    as_it_was(&far);
    back(14);
    as_it_was(&before);
}
