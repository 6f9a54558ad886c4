//! Who may change a host of the lab, and what it keeps of runs.

use super::{Lab, eventually, until};
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use windlass::artifact::{DirectoryStore, KeptSources};
use windlass::effect::{Effect, EffectClass, EffectError, Effects, Fence, Login, Reply};
use windlass::event::{Event, Watcher};
use windlass::fleet::{Host, Inventory, SshOptions, Transport};
use windlass::id::{Digest, Epoch, HostName, LockName, RunId};
use windlass::interp::{Controller, apply_stack};
use windlass::stop::Stop;
use windlass::transport::embedded::LabMode;
use windlass::transport::{Pool, PoolOptions};

struct Nobody;

impl Watcher for Nobody {
    fn see(&self, _: &Event) {}
}

/// The effects of a controller on the first host: of a run of this name, as this holder of the lock of an environment.
fn controller(lab: &Lab, run: &str, environment: &str, epoch: u64) -> (Arc<dyn Effects>, Login) {
    let there = &lab.ready.hosts[0];
    let host = Host {
        name: HostName::parse(&there.name).unwrap(),
        address: there.address.to_string(),
        port: there.port,
        user: there.user.clone(),
        identity_files: vec![there.key.clone()],
        known_hosts_files: vec![lab.ready.known_hosts.clone()],
        known_hosts_name: format!("[{}]:{}", there.address, there.port),
        connect_timeout: Duration::from_secs(10),
        roles: BTreeSet::new(),
        vars: serde_json::Map::new(),
        ssh: SshOptions::default(),
        jumps: Vec::new(),
        transport: Transport::Ssh,
        sudo: None,
        unsupported: Vec::new(),
    };
    let fence = Some(Fence::new(LockName::new("lab", environment), Epoch(epoch)));
    let options = PoolOptions { fence, ..PoolOptions::new(RunId::parse(run).unwrap()) };
    let at = Login::plain(&host.name);
    let pool = Arc::new(Pool::new(&Inventory::new(vec![host]).unwrap(), options));
    let kept = KeptSources::new(&lab.dir.join("store"), RunId::parse(run).unwrap(), None);
    let own = Controller::new(&lab.dir, Arc::new(DirectoryStore::new(lab.dir.join("store"))), kept);
    (apply_stack(pool, own, Stop::default(), Arc::new(Nobody)), at)
}

/// One of each kind of effect that changes a host.
fn changes() -> Vec<Effect> {
    let digest = Digest::of(b"x");
    let unit = json!({ "name": "web", "scope": "user" });
    let command = json!({ "words": "echo ran >>~/ran" });
    let tree = json!({ "archive": "/dev/null", "digest": digest, "archive_size": 1, "listing": "f 644 ./x\n", "size": 1 });
    let packages = json!({ "names": ["x"], "state": "present", "update": false, "recommends": null, "allow_removals": false, "lock_seconds": 1 });
    let all = json!([
        { "effect": "write", "path": "~/f", "content": "late", "attributes": {}, "validate": null, "save": "w-1" },
        { "effect": "upload", "path": "~/f", "source": "/dev/null", "digest": digest, "size": 1, "attributes": {}, "save": "w-2" },
        { "effect": "copy", "from": "~/f", "to": "~/g", "attributes": {}, "save": "w-3" },
        { "effect": "unit", "unit": unit, "path": "~/u", "content": "late", "attributes": {}, "validate": null, "save": "w-4" },
        { "effect": "account", "account": { "kind": "group", "name": "x", "presence": "present", "gid": null, "system": false }, "save": "w-5" },
        { "effect": "packages", "packages": packages, "save": "w-6" },
        { "effect": "reboot", "within_millis": 60000, "message": null, "begun": true, "save": "w-7", "after": null },
        { "effect": "upload_tree", "path": "~/t", "tree": tree, "owner": null, "group": null, "delete": true, "save": "w-8" },
        { "effect": "unpack", "archive": "~/f", "directory": "~/d", "strip": 0, "digest": null, "save": "w-9" },
        { "effect": "mkdir", "path": "~/d", "attributes": {}, "save": "w-10" },
        { "effect": "link", "path": "~/l", "target": "f", "save": "w-11" },
        { "effect": "rename", "from": "~/f", "to": "~/g", "save": "w-12" },
        { "effect": "remove", "path": "~/f", "save": "w-13" },
        { "effect": "set_attributes", "path": "~/f", "attributes": { "mode": 0o600 }, "save": "w-14" },
        { "effect": "service", "unit": unit, "verb": "start", "save": "w-15" },
        { "effect": "exec", "command": command, "receipt": "w-16", "after": null },
        { "effect": "exec", "command": command, "receipt": "w-17", "after": null, "keeps": [["w-18", "~/f"]] },
        { "effect": "restore", "save": "mine-1", "surely": false },
        { "effect": "end", "receipt": "mine-2" },
        { "effect": "resume", "save": "mine-1" },
        { "effect": "forget", "anchor": { "records": 9, "head": digest } },
        { "effect": "fence" },
    ]);
    serde_json::from_value(all).unwrap()
}

fn effect(value: serde_json::Value) -> Effect {
    serde_json::from_value(value).unwrap()
}

#[test]
fn a_host_refuses_whoever_held_the_lock_before() {
    let lab = Lab::up(LabMode::Directories, 1).unwrap();
    let (old, at) = controller(&lab, "r-1", "box", 1);
    let write = |text: &str| {
        effect(json!({ "effect": "write", "path": "~/f", "content": text, "attributes": {}, "validate": null, "save": "mine-1" }))
    };
    assert!(matches!(old.perform(&at, &write("one")), Ok(Reply::Done { changed: true, .. })));
    // Another one takes the same run up, and shows itself before anything else.
    let (new, _) = controller(&lab, "r-1", "box", 2);
    new.perform(&at, &Effect::Fence).unwrap();
    let before = lab.say(0, "cd; find . ! -path './.config*' ! -path '*/r-1-*/l/*' | sort; cat f");
    let refused = |controller: &Arc<dyn Effects>, effect: &Effect| {
        assert!(matches!(effect.class(), EffectClass::Write | EffectClass::Opaque));
        let result = controller.perform(&at, effect);
        assert!(matches!(&result, Err(EffectError::Fenced { shown, .. }) if shown == "2"), "{effect:?}: {result:?}");
    };
    changes().iter().for_each(|effect| refused(&old, effect));
    // One that begins anew as the earlier holder is refused as well, and ends nobody's shells.
    let slow =
        effect(json!({ "effect": "exec", "command": { "words": until("[ -e ~/go ]") }, "receipt": "slow", "after": null }));
    let running = {
        let (new, at) = (new.clone(), at.clone());
        std::thread::spawn(move || new.perform(&at, &slow))
    };
    eventually("it runs", || lab.run(0, "ls ~/.windlass/runs/r-1-*/x/slow.pid").status.success());
    let (again, _) = controller(&lab, "r-1", "box", 1);
    changes().iter().for_each(|effect| refused(&again, effect));
    // It may look.
    let stat = effect(json!({ "effect": "stat", "path": "~/f" }));
    assert!(matches!(again.perform(&at, &stat), Ok(Reply::Stat(Some(_)))));
    assert!(matches!(old.perform(&at, &stat), Ok(Reply::Stat(Some(_)))));
    lab.say(0, "touch ~/go");
    assert!(matches!(running.join().unwrap(), Ok(Reply::Command(result)) if result.code == 0));
    lab.say(0, "rm ~/go ~/.windlass/runs/r-1-*/x/slow.*");
    let after = lab.say(0, "cd; find . ! -path './.config*' ! -path '*/r-1-*/l/*' | sort; cat f");
    assert_eq!(before, after);
    // Other environments have locks of their own.
    let (other, _) = controller(&lab, "r-2", "another", 1);
    other.perform(&at, &effect(json!({ "effect": "mkdir", "path": "~/theirs", "attributes": {}, "save": "o-1" }))).unwrap();
    other.perform(&at, &Effect::Forget { anchor: None, of: None }).unwrap();
    // The later one goes on, and what it leaves is what is declared.
    assert!(matches!(
        new.perform(&at, &effect(json!({ "effect": "restore", "save": "mine-1", "surely": true }))),
        Ok(Reply::Done { changed: true, .. })
    ));
    new.perform(&at, &effect(json!({ "effect": "forget", "anchor": { "records": 7, "head": Digest::of(b"h") } }))).unwrap();
    assert_eq!(
        lab.say(0, "cd ~/.windlass; find . -type f | sort"),
        "./ledgers/lab.another/1\n./ledgers/lab.box/2\n./ledgers/lab.box/anchors"
    );
    assert_eq!(lab.say(0, "cat ~/.windlass/ledgers/lab.box/anchors"), format!("r-1 7 {}", Digest::of(b"h")));
    refused(&old, &write("late"));
}

#[test]
fn a_host_keeps_the_anchors_of_so_many_runs() {
    let lab = Lab::up(LabMode::Directories, 1).unwrap();
    let anchor = |records: u64| effect(json!({ "effect": "forget", "anchor": { "records": records, "head": Digest::of(b"h") } }));
    for n in 1..=53 {
        let (controller, at) = controller(&lab, &format!("r-{n}"), "box", n);
        controller.perform(&at, &Effect::Fence).unwrap();
        controller.perform(&at, &anchor(n)).unwrap();
    }
    let (controller, at) = controller(&lab, "r-30", "box", 54);
    controller.perform(&at, &anchor(99)).unwrap();
    let Ok(Reply::Content(kept)) = controller.perform(&at, &Effect::Anchors { lock: LockName::new("lab", "box") }) else {
        panic!()
    };
    let lines: Vec<&str> = kept.text().unwrap().lines().collect();
    assert_eq!(lines.len(), 50);
    assert!(lines[0].starts_with("r-4 4 ") && lines[49].starts_with("r-30 99 "), "{lines:?}");
    assert_eq!(lines.iter().filter(|line| line.starts_with("r-30 ")).count(), 1);
    assert_eq!(lab.say(0, "ls ~/.windlass/ledgers/lab.box"), "54\nanchors");
}
