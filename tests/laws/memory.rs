//! A simulated host that stands for this machine: what is below `D` and in the home is taken into memory before a run, and put on
//! disk after it, so that the same shell texts make the start state and look at the end. Commands are run for real, on files that
//! are put on disk for them and taken in again.

use crate::server;
use crate::world::Layer;
use serde_json::json;
use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, lchown, symlink};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use windlass::artifact::{DirectoryStore, KeptSources};
use windlass::effect::{CommandResult, Content, EffectError, Invocation, Words};
use windlass::fleet::{Environment, World};
use windlass::id::RunId;
use windlass::interp::simulate::{Programs, Shell, ShellItem, ShellKind};
use windlass::interp::{Controller, Fleet, Simulate};
use windlass::run::StackBuilder;

/// One simulated host, called `local`, and the directories of this machine that it shares.
#[derive(Clone)]
pub(crate) struct Memory {
    fleet: Arc<Fleet>,
    home: PathBuf,
    shared: Vec<PathBuf>,
}

impl Memory {
    pub(crate) fn new(environment: &Environment, home: &Path, dir: &Path) -> Self {
        let port = server::port();
        let world = json!({
            "hosts": { "local": { "home": home, "servers": { "hello": { "ports": [port], "body": "hello 1.0\n" } } } },
            "externals": { "gone": { "down": true }, "picky": { "status": 200 }, "inner": { "body": "hello 1.0\n" } },
        });
        let world: World = serde_json::from_value(world).unwrap();
        let fleet = Arc::new(Fleet::new(environment, &world).unwrap());
        Self { fleet, home: home.to_owned(), shared: vec![home.to_owned(), dir.to_owned()] }
    }

    /// A run's layers: the simulated host instead of this machine.
    pub(crate) fn stack(&self, layer: &Layer) -> StackBuilder {
        let (memory, layer) = (self.clone(), layer.clone());
        Arc::new(move |stored, id: &RunId, stop, _| {
            let store = Arc::new(DirectoryStore::new(&stored.store));
            let kept = KeptSources::new(&memory.home.with_file_name("store"), id.clone(), None);
            let controller = Controller::new(Path::new(&stored.root), store, kept);
            let simulate = Simulate::new(memory.fleet.clone(), id.clone(), controller, stop);
            layer(Arc::new(simulate.with_programs(Arc::new(memory.clone()))))
        })
    }

    /// Takes in what is on disk.
    pub(crate) fn take_in(&self) {
        let work = |host: &mut Shell<'_>| {
            self.take_all(host);
            Ok(())
        };
        self.fleet.on("local", work).unwrap();
    }

    /// Puts on disk what is in memory.
    pub(crate) fn put_out(&self) {
        let work = |host: &mut Shell<'_>| {
            self.put_all(host);
            Ok(())
        };
        self.fleet.on("local", work).unwrap();
    }

    fn take_all(&self, host: &mut Shell<'_>) {
        for root in &self.shared {
            host.remove(root.to_str().unwrap()).unwrap();
            take(root, host, &mut BTreeMap::new());
        }
    }

    fn put_all(&self, host: &mut Shell<'_>) {
        for root in &self.shared {
            fs::read_dir(root).unwrap().for_each(|entry| delete(&entry.unwrap().path()));
            let mut files = BTreeMap::new();
            let entries = host.list(root.to_str().unwrap()).unwrap();
            for entry in &entries {
                put(&root.join(&entry.path), &entry.item, &mut files);
            }
            // The children's making has changed them.
            for entry in entries.iter().rev().filter(|entry| entry.item.kind == ShellKind::Directory) {
                dress(&root.join(&entry.path), &entry.item);
            }
        }
    }

    fn execute(&self, command: &Invocation, host: &Shell<'_>) -> Result<CommandResult, EffectError> {
        let temp = tempfile::tempdir().unwrap();
        let at = |name: &str| temp.path().join(name);
        let mut words = Command::new(if command.timeout_seconds.is_some() { "timeout" } else { "sh" });
        if let Some(seconds) = command.timeout_seconds {
            words.args(["-k", "1", &seconds.to_string(), "sh"]);
        }
        match &command.words {
            Words::Shell(text) => {
                fs::write(at("body"), text).unwrap();
                words.arg(at("body"));
            }
            Words::List(list) => {
                words.args(["-c", "exec \"$@\"", "sh"]).args(list);
            }
        }
        let directory = command.directory.as_ref().map_or_else(|| self.home.clone(), |path| host.expand(path.as_str()).into());
        fs::write(at("in"), command.stdin.as_ref().map_or(&[][..], Content::bytes)).unwrap();
        words.current_dir(directory).env("HOME", &self.home).envs(&command.environment).process_group(0);
        words.stdin(File::open(at("in")).unwrap());
        words.stdout(File::create(at("out")).unwrap()).stderr(File::create(at("err")).unwrap());
        let status = words.spawn().unwrap().wait().unwrap();
        let stderr = fs::read(at("err")).unwrap();
        if command.timeout_seconds.is_some() && (matches!(status.code(), Some(124 | 137)) || status.signal() == Some(9)) {
            let message = "it did not end in time; it and its process group were ended".to_owned();
            return Err(EffectError::Timeout { message, stderr: String::from_utf8_lossy(&stderr).into_owned() });
        }
        let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap());
        let stdout = fs::read(at("out")).unwrap();
        let most = 1 << 20;
        let truncated = stdout.len() > most || stderr.len() > most;
        let kept = |bytes: Vec<u8>| Content::new(&bytes[..bytes.len().min(most)]);
        Ok(CommandResult { code, stdout: kept(stdout), stderr: kept(stderr), truncated, unknown: false })
    }
}

impl Programs for Memory {
    fn run(&self, command: &Invocation, host: &mut Shell<'_>) -> Option<Result<CommandResult, EffectError>> {
        self.put_all(host);
        let result = self.execute(command, host);
        self.take_all(host);
        Some(result)
    }
}

fn take(path: &Path, host: &mut Shell<'_>, known: &mut BTreeMap<u64, String>) {
    let about = fs::symlink_metadata(path).unwrap();
    let name = path.to_str().unwrap();
    let kind = if about.is_dir() {
        ShellKind::Directory
    } else if about.is_symlink() {
        ShellKind::Link(fs::read_link(path).unwrap().to_str().unwrap().to_owned())
    } else if about.is_file() {
        if let Some(first) = known.get(&about.ino()) {
            return host.same(first, name).unwrap();
        }
        known.insert(about.ino(), name.to_owned());
        ShellKind::File(Content::new(fs::read(path).unwrap()))
    } else {
        ShellKind::Other
    };
    let (mode, uid, gid, modified) = (about.mode() & 0o7777, about.uid(), about.gid(), about.mtime());
    host.make(name, ShellItem { kind, mode, uid, gid, modified, file: about.ino() }).unwrap();
    if about.is_dir() {
        fs::read_dir(path).unwrap().for_each(|entry| take(&entry.unwrap().path(), host, known));
        let item = ShellItem { kind: ShellKind::Directory, mode, uid, gid, modified, file: about.ino() };
        host.make(name, item).unwrap();
    }
}

fn put(path: &Path, item: &ShellItem, known: &mut BTreeMap<u64, PathBuf>) {
    match &item.kind {
        ShellKind::Directory => {
            let _ = fs::create_dir(path);
            return;
        }
        ShellKind::Link(target) => {
            symlink(target, path).unwrap();
            lchown(path, Some(item.uid), Some(item.gid)).unwrap();
            return;
        }
        ShellKind::File(_) if known.contains_key(&item.file) => {
            fs::hard_link(&known[&item.file], path).unwrap();
            return;
        }
        ShellKind::File(content) => {
            known.insert(item.file, path.to_owned());
            fs::write(path, content.bytes()).unwrap();
        }
        ShellKind::Other => assert!(Command::new("mkfifo").arg(path).status().unwrap().success()),
    }
    dress(path, item);
}

fn dress(path: &Path, item: &ShellItem) {
    chown(path, Some(item.uid), Some(item.gid)).unwrap();
    fs::set_permissions(path, Permissions::from_mode(item.mode)).unwrap();
    let status = Command::new("touch").arg("-d").arg(format!("@{}", item.modified)).arg(path).stdin(Stdio::null()).status();
    assert!(status.unwrap().success());
}

fn delete(path: &Path) {
    if fs::symlink_metadata(path).unwrap().is_dir() {
        fs::remove_dir_all(path).unwrap();
    } else {
        fs::remove_file(path).unwrap();
    }
}
