//! One host, looked at past the tool under test: its files, byte for byte, its service, and what its port answers.

use super::lab::{lab, lab_command, lab_sh};
use super::wait::eventually;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// What a deploy may touch.
const TREES: [&str; 3] = ["srv", "etc/systemd/system", "root"];

pub(crate) struct Host {
    pub(crate) name: String,
    number: usize,
}

/// All that a test compares of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HostState {
    files: BTreeMap<String, String>,
    /// `LoadState ActiveState UnitFileState NeedDaemonReload`, and the directory that the process runs in.
    pub(crate) service: String,
    /// The body of what the port answers; empty when nothing does.
    pub(crate) answer: String,
}

impl HostState {
    /// Without what runs keep until their host has forgotten them.
    pub(crate) fn apart_from_kept(mut self) -> Self {
        self.files.retain(|path, _| !path.contains("/.wl-") && !path.contains("/.windlass"));
        self
    }

    /// The files in whose names this stands.
    pub(crate) fn files_of(&self, name: &str) -> BTreeMap<&String, &String> {
        self.files.iter().filter(|(path, _)| path.contains(name)).collect()
    }
}

impl Host {
    pub(crate) fn new(number: usize) -> Self {
        Self { name: format!("h{number:02}"), number }
    }

    /// A file of the host, as seen from here.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.init().join("root").join(path.trim_start_matches('/'))
    }

    /// Its first process, in /proc of this machine.
    fn init(&self) -> PathBuf {
        let init = std::fs::read_to_string(lab().dir.join("hosts").join(&self.name).join("init.pid")).unwrap();
        assert!(!init.trim().is_empty(), "{} is off", self.name);
        Path::new("/proc").join(init.trim())
    }

    /// The main process of a service, as this machine numbers it.
    pub(crate) fn outer_pid(&self, service: &str) -> u32 {
        let inner = self.say(&format!("systemctl show -p MainPID --value {service}"));
        let space = std::fs::read_link(self.init().join("ns/pid")).unwrap();
        let pids = std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
        let is_it = |pid: &u32| {
            let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap_or_default();
            numbers.split_whitespace().last() == Some(&inner)
                && std::fs::read_link(format!("/proc/{pid}/ns/pid")).is_ok_and(|other| other == space)
        };
        let mut found = pids.filter(is_it);
        found.next().unwrap_or_else(|| panic!("{} runs no {service}", self.name))
    }

    /// Where the other hosts and the tool find it.
    pub(crate) fn address(&self) -> String {
        lab_address(self.number)
    }

    /// How many connections its SSH server has.
    pub(crate) fn ssh_connections(&self) -> usize {
        let table = std::fs::read_to_string(self.init().join("net/tcp")).unwrap();
        let here = |line: &&str| line.split_whitespace().nth(1).is_some_and(|address| address.ends_with(":0016"));
        let established = |line: &&str| line.split_whitespace().nth(3) == Some("01");
        table.lines().filter(here).filter(established).count()
    }

    /// How many bytes its network card has received.
    pub(crate) fn received(&self) -> u64 {
        let table = std::fs::read_to_string(self.init().join("net/dev")).unwrap();
        let line = table.lines().find_map(|line| line.trim().strip_prefix("eth0:")).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    }

    pub(crate) fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.path(path)).unwrap()
    }

    pub(crate) fn touch(&self, path: &str) {
        std::fs::write(self.path(path), "").unwrap();
    }

    /// What a script in the host says.
    pub(crate) fn say(&self, script: &str) -> String {
        String::from_utf8(lab_sh(&["in", &self.name, "sh", "-c", script]).stdout).unwrap().trim().to_owned()
    }

    pub(crate) fn fault(&self, fault: &str) {
        lab_sh(&[fault, &self.name]);
    }

    pub(crate) fn state(&self) -> HostState {
        let mut files = BTreeMap::new();
        for tree in TREES {
            list(&self.path(tree), tree, &mut files);
        }
        let service = self.say(
            "for p in LoadState ActiveState UnitFileState NeedDaemonReload; do printf '%s ' \"$(systemctl show -p $p --value hello)\"; done
             pid=$(systemctl show -p MainPID --value hello); [ \"$pid\" = 0 ] || readlink /proc/$pid/cwd",
        );
        HostState { files, service, answer: self.answer() }
    }

    fn answer(&self) -> String {
        self.answer_at(8080)
    }

    /// The body of what a port answers; empty when nothing does.
    pub(crate) fn answer_at(&self, port: u16) -> String {
        let get = format!(
            "exec 3<>/dev/tcp/{}/{port} && printf 'GET /healthz HTTP/1.0\\r\\n\\r\\n' >&3 && cat <&3",
            lab_address(self.number)
        );
        let output = lab_command(&["exec", "timeout", "5", "bash", "-c", &get]).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.split_once("\r\n\r\n").map(|(_, body)| body.trim().to_owned()).unwrap_or_default()
    }

    /// Whether it serves this version, from its own release.
    pub(crate) fn assert_serves(&self, version: &str) {
        let state = self.state();
        assert_eq!(state.service, format!("loaded active enabled no /srv/hello/releases/{version}"), "{}", self.name);
        assert_eq!(state.answer, format!("hello {version} is well"), "{}", self.name);
    }

    /// Fails when a run left more in the home of its login user than is declared.
    #[track_caller]
    pub(crate) fn assert_nothing_left(&self, home: &str) {
        let left = self.left(home);
        assert!(left.is_empty(), "{}: {left:?}", self.name);
    }

    /// What runs left in the home of their login user beyond what is declared.
    pub(crate) fn left(&self, home: &str) -> Vec<String> {
        let mut files = BTreeMap::new();
        list(&self.path(home), "home", &mut files);
        files.into_keys().filter(|name| name.starts_with("home/.windlass")).collect()
    }

    pub(crate) fn wait_until_up(&self) {
        let output = lab_command(&["in", &self.name, "systemctl", "is-system-running", "--wait"]).output().unwrap();
        let state = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        if state != "running" {
            let failed = "systemctl --failed --no-legend --plain; journalctl -p warning -n 20 --no-pager -o cat";
            let said = lab_command(&["in", &self.name, "sh", "-c", failed]).output().unwrap();
            panic!("{} is {state}: {}", self.name, String::from_utf8_lossy(&said.stdout));
        }
    }

    /// Takes back what tests do to it.
    pub(crate) fn renew(&self) {
        // A test that failed is not to fail here once more: the next user of the host looks.
        let _ = lab_command(&["heal", &self.name]).output();
        let _ = lab_command(&["boot", &self.name]).output();
        let script = "systemctl disable --now hello; rm -rf /srv/* /etc/systemd/system/hello.service /root/.windlass /run/test.*; systemctl daemon-reload; systemctl reset-failed";
        let _ = lab_command(&["in", &self.name, "sh", "-c", script]).output();
    }
}

fn lab_address(number: usize) -> String {
    let hosts = std::fs::read_to_string(lab().dir.join("etc-hosts")).unwrap();
    let line = hosts.lines().nth(number - 1).unwrap();
    line.split(' ').next().unwrap().to_owned()
}

/// Fails with what differs, and nothing else.
pub(crate) fn assert_same(before: &[HostState], hosts: &[Host]) {
    for (before, host) in before.iter().zip(hosts) {
        let after = host.state();
        let mut differs = String::new();
        for path in before.files.keys().chain(after.files.keys()) {
            let (was, is) = (before.files.get(path), after.files.get(path));
            if was != is && !differs.contains(path.as_str()) {
                writeln!(differs, "{path}: was {was:?}, is {is:?}").unwrap();
            }
        }
        assert!(differs.is_empty(), "{} is not as it was:\n{differs}", host.name);
        assert_eq!((&before.service, &before.answer), (&after.service, &after.answer), "{}", host.name);
    }
}

pub(crate) fn states(hosts: &[Host]) -> Vec<HostState> {
    hosts.iter().map(Host::state).collect()
}

/// Every file below a directory: kind, mode, owner, content, and of files the time of their last change.
pub(crate) fn list(dir: &Path, name: &str, files: &mut BTreeMap<String, String>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = format!("{name}/{}", path.file_name().unwrap().to_string_lossy());
        let about = path.symlink_metadata().unwrap();
        let owner = format!("{:o} {}:{}", about.mode() & 0o7777, about.uid(), about.gid());
        let what = if about.is_symlink() {
            format!("link to {}", std::fs::read_link(&path).unwrap().display())
        } else if about.is_dir() {
            list(&path, &name, files);
            format!("directory {owner}")
        } else {
            let hash = Sha256::digest(std::fs::read(&path).unwrap());
            format!("file {owner} of {} {hash:x?}", about.mtime())
        };
        if !is_declared(&name) {
            files.insert(name, what);
        }
    }
}

/// Whether it is of what a host keeps of the locks that it was shown: that stays when a run has ended, and nothing else does.
fn is_declared(name: &str) -> bool {
    let Some((_, rest)) = name.split_once(".windlass") else { return false };
    let parts: Vec<&str> = rest.split('/').collect();
    match parts[..] {
        [""] | ["", "ledgers"] | ["", "ledgers", _] | ["", "ledgers", _, "anchors"] => true,
        ["", "ledgers", _, epoch] => epoch.parse::<u64>().is_ok(),
        _ => false,
    }
}

/// A fault that is over.
pub(crate) fn heal(host: &Host) {
    lab_sh(&["heal", &host.name]);
    eventually(&format!("{} greets again", host.name), || {
        lab_command(&["ssh", &host.name, "true"]).output().unwrap().status.success()
    });
}
