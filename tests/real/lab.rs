//! The lab of all tests of this process: brought up by the first one, leased in disjoint groups of hosts, and taken down
//! by a keeper that waits for this process to end, however it ends.

use super::host::Host;
use super::wait::eventually;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Condvar, Mutex, OnceLock, PoisonError};

/// How many hosts there are; as many as `WINDLASS_HOSTS` says when that is more.
const HOSTS: usize = 12;
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/lab/lab.sh");
/// Programs that the lab needs, with the Debian package of each.
const NEEDS: [(&str, &str); 13] = [
    ("bash", "bash"),
    ("flock", "util-linux"),
    ("ip", "iproute2"),
    ("mmdebstrap", "mmdebstrap"),
    ("nsenter", "util-linux"),
    ("script", "bsdutils"),
    ("setpriv", "util-linux"),
    ("ssh", "openssh-client"),
    ("ssh-agent", "openssh-client"),
    ("ssh-keygen", "openssh-client"),
    ("strace", "strace"),
    ("tar", "tar"),
    ("unshare", "util-linux"),
];

pub(crate) struct Lab {
    pub(crate) dir: PathBuf,
    free: Mutex<Vec<usize>>,
    freed: Condvar,
    /// Its standard input is a pipe from this process: when this process is gone, it takes the lab down.
    _keeper: Child,
}

pub(crate) fn lab() -> &'static Lab {
    static LAB: OnceLock<Result<Lab, String>> = OnceLock::new();
    match LAB.get_or_init(Lab::up) {
        Ok(lab) => lab,
        Err(reason) => panic!("{reason}"),
    }
}

/// `lab.sh` with these words.
pub(crate) fn lab_command(words: &[&str]) -> Command {
    let mut command = Command::new(SCRIPT);
    command.args(words).stdin(Stdio::null());
    command
}

/// `lab.sh` with these words, to its end.
pub(crate) fn lab_sh(words: &[&str]) -> Output {
    let output = lab_command(words).output().unwrap();
    assert!(output.status.success(), "lab.sh {words:?}: {output:?}");
    output
}

/// What a variable says, for who wants a test to last longer.
#[expect(clippy::disallowed_methods, reason = "who runs the test says how long it is to last")]
pub(crate) fn asked<T: std::str::FromStr>(variable: &str, usual: T) -> T {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

impl Lab {
    fn up() -> Result<Self, String> {
        check_needs()?;
        let count = asked("WINDLASS_HOSTS", HOSTS).max(HOSTS);
        let mut command = Command::new("setsid");
        command.args([SCRIPT, "hold", &count.to_string()]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut keeper = command.spawn().map_err(|error| format!("the lab cannot be started: {error}"))?;
        let mut line = String::new();
        let told = keeper.stdout.take().map(|out| BufReader::new(out).read_line(&mut line));
        match (told, line.trim().strip_prefix("up ")) {
            (Some(Ok(_)), Some(dir)) => {
                let lab = Self {
                    dir: dir.into(),
                    free: Mutex::new((1..=count).rev().collect()),
                    freed: Condvar::new(),
                    _keeper: keeper,
                };
                Ok(lab)
            }
            _ => Err(format!("the lab did not come up; try `tests/lab/lab.sh up {count}` to see why, and `down` after it")),
        }
    }

    /// So many hosts as they were when they were new; waits until others give theirs back.
    pub(crate) fn lease(&'static self, count: usize) -> Lease {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        while free.len() < count {
            free = self.freed.wait(free).unwrap_or_else(PoisonError::into_inner);
        }
        let at = free.len() - count;
        let mut numbers = free.split_off(at);
        numbers.sort_unstable();
        drop(free);
        let hosts: Vec<Host> = numbers.iter().map(|n| Host::new(*n)).collect();
        hosts.iter().for_each(Host::wait_until_up);
        Lease { hosts, numbers }
    }
}

/// Hosts that nobody else uses; they are made new again at its end.
pub(crate) struct Lease {
    pub(crate) hosts: Vec<Host>,
    numbers: Vec<usize>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.hosts.iter().for_each(Host::renew);
        lab().free.lock().unwrap_or_else(PoisonError::into_inner).append(&mut self.numbers);
        lab().freed.notify_all();
    }
}

fn check_needs() -> Result<(), String> {
    if !rustix::process::geteuid().is_root() {
        return Err("these tests run real hosts in namespaces: run them as root (`make test` does, by sudo)".to_owned());
    }
    let is_there = |name: &str| ["/usr/sbin", "/usr/bin", "/sbin", "/bin"].iter().any(|dir| Path::new(dir).join(name).exists());
    let missing: Vec<&(&str, &str)> = NEEDS.iter().filter(|(name, _)| !is_there(name)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = missing.iter().map(|(name, _)| *name).collect();
    let packages: Vec<&str> = missing.iter().map(|(_, package)| *package).collect();
    Err(format!("these tests need {}: apt-get install {}", names.join(", "), packages.join(" ")))
}

/// A file of a host, once it is there.
pub(crate) fn await_file(host: &Host, path: &str) {
    eventually(&format!("{path} on {}", host.name), || host.path(path).exists());
}
