//! Gives a host its body: namespaces with a file system of its own, or a directory; in it, an init that runs everything.
//! The body lives as long as the pipe that leads to its standard input: when the lab dies, so does the host.

use super::error::LabError;
use super::init::HostSpec;
use super::process::{ProcessId, children};
use super::record::LabMode;
use rustix::process::Signal;
use std::fs::File;
use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

const SCRIPT: &str = include_str!("body.sh");
/// Tries what the real script does that a machine may refuse.
const TRIAL: &str = "mkdir -p \"$1/trial\"; mount -t tmpfs trial \"$1/trial\"; cd \"$1/trial\"; mkdir proc usr; mount -t proc proc proc
mount --rbind /usr usr; mount -o remount,bind,ro usr; : >null; mount --bind /dev/null null; command -v pivot_root >/dev/null; echo ready";
/// Waits for the lab to say who is who in the new user namespace, and becomes its superuser by starting anew.
const AWAIT_IDS: &str = "echo unshared; read -r go; exec /bin/sh -eu -c \"$0\" body \"$@\"";
const UNSHARE: [&str; 7] = ["--user", "--mount", "--net", "--pid", "--uts", "--ipc", "--fork"];
const SYSTEM_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const START_LIMIT: Duration = Duration::from_secs(20);
/// Longer than an init gives its services to end.
const STOP_LIMIT: Duration = Duration::from_secs(8);

/// A host's processes, all of them below one.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) init: ProcessId,
    lifeline: ChildStdin,
    child: Child,
}

/// What a body is made of.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    pub(crate) exe: &'a Path,
    pub(crate) name: &'a str,
    pub(crate) address: Ipv4Addr,
    pub(crate) dir: PathBuf,
    pub(crate) mode: LabMode,
    /// Whom commands run as, by name.
    pub(crate) user: &'a str,
}

/// Says why this machine does not give namespaces, or nothing when it does.
pub(crate) async fn why_no_namespaces(dir: &Path) -> Option<String> {
    let trial = async {
        let mut spawned = Spawned::unshared(dir, TRIAL, &[dir.as_os_str()])?;
        spawned.map_ids().await?;
        spawned.expect_line("ready").await?;
        spawned.child.wait().await
    };
    let outcome = trial.await;
    let _ = std::fs::remove_dir(dir.join("trial"));
    outcome.err().map(|error| with_log(dir, &error))
}

impl Body {
    /// Starts a host and waits until its init listens.
    pub(crate) async fn start(plan: &Plan<'_>) -> Result<Self, LabError> {
        let started = tokio::time::timeout(START_LIMIT, Self::try_start(plan)).await;
        let result = started.unwrap_or_else(|_| Err(io::Error::other("it is not ready after 20 seconds")));
        result.map_err(|error| LabError::Host { host: plan.name.to_owned(), why: with_log(&plan.dir, &error) })
    }

    async fn try_start(plan: &Plan<'_>) -> io::Result<Self> {
        for part in ["run", "faults", "log"] {
            std::fs::create_dir_all(plan.dir.join(part))?;
        }
        let spec = serde_json::to_string(&HostSpec::of(plan))?;
        let mut spawned = match plan.mode {
            LabMode::Namespaces => {
                std::fs::create_dir_all(plan.dir.join("fs"))?;
                let address = plan.address.to_string();
                let words = [plan.dir.as_os_str(), plan.name.as_ref(), address.as_ref(), plan.exe.as_os_str(), spec.as_ref()];
                let mut spawned = Spawned::unshared(&plan.dir, SCRIPT, &words)?;
                spawned.map_ids().await?;
                spawned
            }
            LabMode::Directories => {
                furnish(plan)?;
                let mut command = Command::new(plan.exe);
                command.args(["lab", "init", &spec]);
                Spawned::new(&plan.dir, command)?
            }
        };
        spawned.expect_line("ready").await?;
        spawned.into_body(plan.mode)
    }

    /// Ends all processes of the host.
    pub(crate) async fn stop(mut self) {
        drop(self.lifeline);
        if tokio::time::timeout(STOP_LIMIT, self.child.wait()).await.is_err() {
            self.init.signal(Signal::KILL);
            let _ = self.child.kill().await;
        }
    }
}

/// A body that is being started.
struct Spawned {
    child: Child,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Spawned {
    fn unshared(dir: &Path, script: &str, words: &[&std::ffi::OsStr]) -> io::Result<Self> {
        let mut command = Command::new("unshare");
        command.args(UNSHARE).args(["--kill-child=KILL", "--", "/bin/sh", "-eu", "-c", AWAIT_IDS, script]).args(words);
        Self::new(dir, command)
    }

    fn new(dir: &Path, mut command: Command) -> io::Result<Self> {
        let log = File::create(dir.join("body.log"))?;
        command.env_clear().env("PATH", SYSTEM_PATH).current_dir("/").process_group(0).kill_on_drop(true);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log).spawn()?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::Error::other("the host's first process has no pipes"));
        };
        Ok(Self { child, stdin, lines: BufReader::new(stdout).lines() })
    }

    /// Gives the host's numbers of users a meaning: as root all of them their own, else its superuser is the lab's user.
    async fn map_ids(&mut self) -> io::Result<()> {
        self.expect_line("unshared").await?;
        let pid = self.child.id().ok_or_else(|| io::Error::other("it ended at once"))?;
        let (user, group) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        let write = |file: &str, text: &str| std::fs::write(format!("/proc/{pid}/{file}"), text);
        let all = "0 0 65536\n";
        if user != 0 || write("uid_map", all).and_then(|()| write("gid_map", all)).is_err() {
            write("uid_map", &format!("0 {user} 1\n"))?;
            write("setgroups", "deny")?;
            write("gid_map", &format!("0 {group} 1\n"))?;
        }
        self.stdin.write_all(b"go\n").await
    }

    async fn expect_line(&mut self, wanted: &str) -> io::Result<()> {
        match self.lines.next_line().await? {
            Some(line) if line == wanted => Ok(()),
            Some(line) => Err(io::Error::other(format!("it said `{line}` instead of `{wanted}`"))),
            None => Err(io::Error::other("it ended")),
        }
    }

    fn into_body(self, mode: LabMode) -> io::Result<Body> {
        let gone = || io::Error::other("it ended");
        let pid = self.child.id().and_then(|pid| i32::try_from(pid).ok()).ok_or_else(gone)?;
        let init = match mode {
            LabMode::Directories => pid,
            LabMode::Namespaces => children(pid).first().copied().ok_or_else(gone)?,
        };
        Ok(Body { init: ProcessId::of(init)?, lifeline: self.stdin, child: self.child })
    }
}

/// What a host without namespaces finds in its directory.
fn furnish(plan: &Plan<'_>) -> io::Result<()> {
    for part in ["root", "tmp", "bin", "etc/systemd/system"] {
        std::fs::create_dir_all(plan.dir.join(part))?;
    }
    for name in ["systemctl", "journalctl"] {
        let link = plan.dir.join("bin").join(name);
        let _ = std::fs::remove_file(&link);
        std::os::unix::fs::symlink(plan.exe, link)?;
    }
    let profile = plan.dir.join("root/.profile");
    if !profile.exists() {
        // A login shell sets its own path.
        std::fs::write(profile, "PATH=\"$LAB_RUN/../bin:$PATH\"\n")?;
    }
    Ok(())
}

fn with_log(dir: &Path, error: &io::Error) -> String {
    let log = std::fs::read_to_string(dir.join("body.log")).unwrap_or_default();
    match log.trim() {
        "" => error.to_string(),
        log => format!("{error}: {}", log.lines().collect::<Vec<_>>().join("; ")),
    }
}
