//! An operator's project in a directory of its own, with a home of its own, and the tool run in it.

use super::host::Host;
use super::lab::{lab, lab_command};
use super::wait::{PATIENCE, eventually, pause};
use serde_json::Value;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Instant;

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/real/project");

pub(crate) struct Project {
    temp: tempfile::TempDir,
}

impl Project {
    /// A project for these hosts, in this order. `breaks` names, for a host, the version that is ill there.
    pub(crate) fn new(hosts: &[Host], breaks: impl Fn(&Host) -> &'static str) -> Self {
        let project = Self { temp: tempfile::tempdir().unwrap() };
        let script = "mkdir \"$1/home\" \"$1/home/.ssh\" && cp -R \"$0\" \"$1/project\" && sh \"$1/project/build.sh\"";
        let copied = Command::new("sh").args(["-c", script, SOURCE]).arg(project.temp.path()).status().unwrap();
        assert!(copied.success());
        let mut environment = "class = \"lab\"\n".to_owned();
        for host in hosts {
            let name = &host.name;
            write!(environment, "[hosts.{name}]\nroles = [\"web\"]\nvars = {{ breaks = \"{}\" }}\n", breaks(host)).unwrap();
        }
        std::fs::create_dir(project.dir().join("environments")).unwrap();
        std::fs::write(project.dir().join("environments/real.toml"), environment).unwrap();
        project.write_ssh_config();
        project
    }

    /// A project of this script and environment, and no ssh_config yet.
    pub(crate) fn bare(script: &str, environment: &str) -> Self {
        let project = Self { temp: tempfile::tempdir().unwrap() };
        for dir in [project.home().join(".ssh"), project.dir().join("environments"), project.dir().join("files")] {
            std::fs::create_dir_all(dir).unwrap();
        }
        let toml = "name = \"box\"\n\n[defaults]\nenvironment = \"real\"\n";
        for (file, text) in [("windlass.toml", toml), ("deploy.rhai", script), ("environments/real.toml", environment)] {
            std::fs::write(project.dir().join(file), text).unwrap();
        }
        project
    }

    /// The lab's settings, with host keys of our own to spoil.
    fn write_ssh_config(&self) {
        let config = std::fs::read_to_string(lab().dir.join("ssh_config")).unwrap();
        let known = lab().dir.join("known_hosts");
        let config = config.replace(&known.display().to_string(), &self.known_hosts().display().to_string());
        std::fs::write(self.home().join(".ssh/config"), config).unwrap();
        std::fs::copy(known, self.known_hosts()).unwrap();
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.temp.path().join("project")
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.temp.path().join("home")
    }

    pub(crate) fn known_hosts(&self) -> PathBuf {
        self.home().join(".ssh/known_hosts")
    }

    /// Starts the tool; its process is the child itself, so that a signal reaches it.
    pub(crate) fn start(&self, words: &[&str]) -> Running {
        self.start_with(&[], words)
    }

    /// Starts it with more variables.
    pub(crate) fn start_with(&self, variables: &[(&str, &str)], words: &[&str]) -> Running {
        let command = self.command(variables);
        self.begin(command, words)
    }

    /// Starts it on a terminal of its own, at which this is typed.
    pub(crate) fn start_at_terminal(&self, typed: &str, words: &[&str]) -> Running {
        let mut command = self.command(&[]);
        let line = format!("{} {}", env!("CARGO_BIN_EXE_windlass"), words.join(" "));
        command.args(["script", "-q", "-e", "-c", &line, "/dev/null"]);
        let mut typing = tempfile::tempfile().unwrap();
        typing.write_all(typed.as_bytes()).unwrap();
        typing.rewind().unwrap();
        command.stdin(typing);
        self.spawn(command, words)
    }

    fn command(&self, variables: &[(&str, &str)]) -> Command {
        let home = format!("HOME={}", self.home().display());
        let mut command = lab_command(&["exec", "env", "-i", &home, "USER=tester", "PATH=/usr/bin:/bin", "TERM=dumb"]);
        command.args(variables.iter().map(|(name, value)| format!("{name}={value}")));
        command
    }

    fn begin(&self, mut command: Command, words: &[&str]) -> Running {
        command.arg(env!("CARGO_BIN_EXE_windlass")).args(words);
        self.spawn(command, words)
    }

    fn spawn(&self, mut command: Command, words: &[&str]) -> Running {
        let (out, err) = (tempfile::NamedTempFile::new().unwrap(), tempfile::NamedTempFile::new().unwrap());
        command.current_dir(self.dir());
        command.stdout(File::create(out.path()).unwrap()).stderr(File::create(err.path()).unwrap());
        Running { child: command.spawn().unwrap(), words: words.join(" "), out, err }
    }

    pub(crate) fn windlass(&self, words: &[&str]) -> Ended {
        self.start(words).wait()
    }

    /// `run` of this version, as JSON.
    pub(crate) fn deploy(&self, version: &str) -> Ended {
        self.windlass(&["run", "--format", "json", "--set", &format!("version={version}")])
    }

    /// `run` of this version, which stops on this host before the service is restarted.
    pub(crate) fn start_paused(&self, version: &str, host: &Host, format: &str) -> Running {
        self.start_paused_at(version, host, &host.name, format)
    }

    /// The same, stopped where the script says so.
    pub(crate) fn start_paused_at(&self, version: &str, host: &Host, place: &str, format: &str) -> Running {
        let (version, pause) = (format!("version={version}"), format!("pause={place}"));
        let running = self.start(&["run", "--format", format, "--set", &version, "--set", &pause]);
        super::lab::await_file(host, "/run/test.reached");
        running
    }

    /// What `status` knows of the environment.
    pub(crate) fn status(&self) -> Value {
        self.windlass(&["status", "--format", "json"]).expect(0).events().remove(0)
    }

    /// The name of the last run.
    pub(crate) fn last_run(&self) -> String {
        self.status()["last"]["id"].as_str().unwrap().to_owned()
    }
}

/// The tool at work.
pub(crate) struct Running {
    child: Child,
    words: String,
    out: tempfile::NamedTempFile,
    err: tempfile::NamedTempFile,
}

impl Running {
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Waits until it has said this among what is for people.
    pub(crate) fn await_line(&self, line: &str) {
        eventually(&format!("it says {line:?}"), || text(self.err.path()).contains(line));
    }

    pub(crate) fn wait(mut self) -> Ended {
        let start = Instant::now();
        let status = loop {
            match self.child.try_wait().unwrap() {
                Some(status) => break Some(status),
                None if start.elapsed() < PATIENCE => pause(),
                None => break None,
            }
        };
        let ended = Ended {
            code: status.and_then(|status| status.code()),
            out: text(self.out.path()),
            err: text(self.err.path()),
            words: self.words.clone(),
        };
        assert!(status.is_some(), "it does not end: {ended}");
        ended
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended, unless the test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn text(path: &Path) -> String {
    String::from_utf8(std::fs::read(path).unwrap()).unwrap()
}

/// The tool at its end.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
    words: String,
}

impl Ended {
    /// Fails unless it ended with this exit code.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self}");
        self
    }

    /// Fails unless it ended with this exit code and its last line says so too, with this state.
    #[track_caller]
    pub(crate) fn expect_run(self, code: i32, state: &str) -> Value {
        let last = self.events().pop().unwrap_or_default();
        let said = (self.code, &last["event"], last["exit"].as_i64(), &last["state"]);
        assert_eq!(said, (Some(code), &"run_ended".into(), Some(i64::from(code)), &state.into()), "{self}");
        last
    }

    /// Fails unless standard output or error hold each of these.
    #[track_caller]
    pub(crate) fn says(&self, texts: &[&str]) -> &Self {
        for text in texts {
            assert!(self.out.contains(text) || self.err.contains(text), "it does not say `{text}`: {self}");
        }
        self
    }

    /// Standard output as one object a line.
    pub(crate) fn events(&self) -> Vec<Value> {
        self.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "windlass {}: {:?}\n--- stdout\n{}--- stderr\n{}", self.words, self.code, self.out, self.err)
    }
}
