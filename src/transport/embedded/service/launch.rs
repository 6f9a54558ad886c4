//! Turns a command of a unit file into a process with the right environment, directory and output.

use super::state::{Context, Scope, UnitKey};
use super::unit_file::{Line, UnitFile, environment_lines};
use super::words::substitute;
use crate::transport::embedded::wire::Ending;
use rustix::process::Pid;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tokio::sync::oneshot;

/// The exit status that systemd gives a service whose directory is not there.
const CHDIR: i32 = 200;
/// The exit status that systemd gives a service whose program can't be run.
const EXEC: i32 = 203;

/// A process of a service. It leads a process group of its own.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) pid: Pid,
    pub(super) ended: oneshot::Receiver<Ending>,
}

/// Why a process of a service could not be started.
#[derive(Debug)]
pub(super) struct Unstartable {
    /// What systemd would show as its exit status.
    pub(super) status: i32,
    pub(super) why: String,
}

impl Context {
    /// Starts one command of a unit.
    pub(super) fn launch(&self, key: &UnitKey, unit: &UnitFile, line: &Line, main_pid: i32) -> Result<Process, Unstartable> {
        let env = self.environment(unit, main_pid)?;
        let words = substitute(&line.words, &env);
        let dir = self.directory(key, unit)?;
        let Some((program, mut args)) = words.split_first() else {
            return Err(Unstartable { status: EXEC, why: "the command is empty".to_owned() });
        };
        let mut command = Command::new(program);
        if let (true, Some((name, rest))) = (line.renamed, args.split_first()) {
            command.arg0(name);
            args = rest;
        }
        let failed = |error: io::Error| Unstartable { status: EXEC, why: format!("Failed to execute {program}: {error}") };
        let log = self.open_log(key).map_err(failed)?;
        let second = log.try_clone().map_err(failed)?;
        command.args(args).env_clear().envs(&env).current_dir(dir).process_group(0);
        command.stdin(Stdio::null()).stdout(log).stderr(second);
        let (pid, ended) = self.reaper.spawn(&mut command).map_err(failed)?;
        Ok(Process { pid, ended })
    }

    /// Adds a line of the supervisor itself to what the service wrote.
    pub(super) fn note(&self, key: &UnitKey, text: &str) {
        if let Ok(mut log) = self.open_log(key) {
            let _ = writeln!(log, "{text}");
        }
    }

    fn open_log(&self, key: &UnitKey) -> io::Result<File> {
        fs::create_dir_all(&self.spec.log)?;
        fs::OpenOptions::new().create(true).append(true).open(self.log(key))
    }

    fn environment(&self, unit: &UnitFile, main_pid: i32) -> Result<BTreeMap<String, String>, Unstartable> {
        let mut env = self.spec.env.clone();
        env.extend(unit.environment.iter().cloned());
        for file in &unit.environment_files {
            match fs::read_to_string(&file.path) {
                Ok(text) => env.extend(environment_lines(&text)),
                Err(_) if file.optional => {}
                Err(error) => {
                    let why = format!("Failed to load environment file {}: {error}", file.path);
                    return Err(Unstartable { status: EXEC, why });
                }
            }
        }
        if main_pid != 0 {
            env.insert("MAINPID".to_owned(), main_pid.to_string());
        }
        Ok(env)
    }

    fn directory(&self, key: &UnitKey, unit: &UnitFile) -> Result<PathBuf, Unstartable> {
        let wanted = unit.working_directory.as_deref();
        let optional = wanted.is_some_and(|dir| dir.starts_with('-'));
        let home = self.spec.home.as_path();
        let dir = match wanted.map(|dir| dir.trim_start_matches('-')) {
            Some("~") => home,
            Some(dir) => Path::new(dir),
            None if key.scope == Scope::User => home,
            None => Path::new("/"),
        };
        match (dir.is_dir(), optional) {
            (true, _) => Ok(dir.to_owned()),
            (false, true) => Ok("/".into()),
            (false, false) => Err(Unstartable {
                status: CHDIR,
                why: format!("Changing to the requested working directory failed: {}", dir.display()),
            }),
        }
    }
}
