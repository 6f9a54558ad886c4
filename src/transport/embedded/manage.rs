//! Looks after a lab from outside its process: is it there, start it in the background, end it and remove it.

use super::error::LabError;
use super::process::{ProcessId, pause};
use super::record::{LabDir, LabMode, LabOptions, LabReady, LabStatus, SharedRoot};
use rustix::process::Signal;
use std::fs;
use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const LOOK_EVERY: Duration = Duration::from_millis(10);
const START_LOOKS: u32 = 2000;
const STOP_LIMIT: Duration = Duration::from_secs(15);
const KILL_LIMIT: Duration = Duration::from_secs(5);

/// What `start_detached` found or did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LabStart {
    /// It was started now.
    Started(LabReady),
    /// It ran already, with enough hosts.
    AlreadyUp(LabReady),
    /// It ran with fewer hosts; it was ended and started again, and the hosts kept their state.
    Grown(LabReady),
}

impl LabStart {
    /// The lab, however it came up.
    #[must_use]
    pub fn lab(&self) -> &LabReady {
        match self {
            Self::Started(lab) | Self::AlreadyUp(lab) | Self::Grown(lab) => lab,
        }
    }
}

/// Tells whether a lab runs in this directory.
///
/// # Errors
/// When its `lab.json` can't be read.
pub fn status(dir: &Path) -> Result<LabStatus, LabError> {
    Ok(match LabDir(dir.to_owned()).read_record()? {
        None => LabStatus::Down,
        Some(lab) if lab.process.runs() => LabStatus::Up(lab),
        Some(lab) => LabStatus::Stale(lab),
    })
}

/// Starts a lab in the background: runs `EXE lab serve` with these options and waits until all hosts listen.
/// `shared_root` and `mode` are passed on; the session is always detached.
///
/// # Errors
/// When it ends or is not ready within 20 seconds; the error has the last lines of its `lab.log`.
pub fn start_detached(options: &LabOptions) -> Result<LabStart, LabError> {
    let grown = match status(&options.dir)? {
        LabStatus::Up(lab) if lab.hosts.len() >= usize::from(options.count) => return Ok(LabStart::AlreadyUp(lab)),
        LabStatus::Up(lab) => {
            end(&lab)?;
            true
        }
        LabStatus::Stale(lab) => {
            end(&lab)?;
            false
        }
        LabStatus::Down => false,
    };
    let dir = LabDir::make(&options.dir)?;
    let mut child = spawn(options, &dir)?;
    let lab = wait_ready(&mut child, &dir)?;
    Ok(if grown { LabStart::Grown(lab) } else { LabStart::Started(lab) })
}

/// Ends the lab, if it runs, and removes its hosts and keys. False when there was nothing.
///
/// # Errors
/// When its process does not end, or a file can't be removed.
pub fn down(dir: &Path) -> Result<bool, LabError> {
    if !dir.exists() {
        return Ok(false);
    }
    match status(dir)? {
        LabStatus::Up(lab) | LabStatus::Stale(lab) => end(&lab)?,
        LabStatus::Down => {}
    }
    remove(&LabDir(dir.to_owned()))
}

/// Ends the lab's process and the hosts that it may have left.
fn end(lab: &LabReady) -> Result<(), LabError> {
    lab.process.signal(Signal::TERM);
    stop(lab.process, STOP_LIMIT)?;
    // The hosts notice the end of the lab by themselves. This is for one that hangs.
    lab.hosts.iter().try_for_each(|host| stop(host.init, KILL_LIMIT))
}

fn stop(process: ProcessId, limit: Duration) -> Result<(), LabError> {
    if process.wait_gone(limit) {
        return Ok(());
    }
    process.signal(Signal::KILL);
    if process.wait_gone(KILL_LIMIT) { Ok(()) } else { Err(LabError::Stuck { pid: process.pid }) }
}

fn spawn(options: &LabOptions, dir: &LabDir) -> Result<Child, LabError> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let log = dir.log();
    let file = fs::OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&log);
    let file = file.map_err(LabError::file("write", &log))?;
    let second = file.try_clone().map_err(LabError::file("write", &log))?;
    let mut command = Command::new(&options.exe);
    command.args(["lab", "serve", "--detached", "--count", &options.count.to_string(), "--dir"]).arg(&dir.0);
    match options.mode {
        None => {}
        Some(LabMode::Namespaces) => drop(command.args(["--mode", "namespaces"])),
        Some(LabMode::Directories) => drop(command.args(["--mode", "directories"])),
    }
    if options.shared_root == SharedRoot::Allow {
        command.arg("--allow-root");
    }
    command.stdin(Stdio::null()).stdout(file).stderr(second).current_dir("/");
    command.spawn().map_err(LabError::file("run", &options.exe))
}

fn wait_ready(child: &mut Child, dir: &LabDir) -> Result<LabReady, LabError> {
    let not_ready = |why: String| LabError::NotReady { why, tail: tail(&dir.log()) };
    for _ in 0..START_LOOKS {
        if let Some(lab) = dir.read_record()?
            && u32::try_from(lab.process.pid) == Ok(child.id())
        {
            return Ok(lab);
        }
        if let Some(status) = child.try_wait().map_err(LabError::system("wait for the lab"))? {
            return Err(not_ready(format!("it ended with {status}")));
        }
        pause(LOOK_EVERY);
    }
    if let Some(process) = i32::try_from(child.id()).ok().and_then(|pid| ProcessId::of(pid).ok()) {
        process.signal(Signal::TERM);
    }
    Err(not_ready("it is not ready after 20 seconds".to_owned()))
}

fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines.split_at(lines.len().saturating_sub(20)).1.join("\n")
}

/// Removes what a lab made, and nothing else that someone may have put there.
fn remove(dir: &LabDir) -> Result<bool, LabError> {
    let own = |name: &str| {
        matches!(name, "id_ed25519" | "known_hosts" | "lab.json" | "lab.json.new" | "lab.log" | "lock" | "subnet" | "body.log")
    };
    let host = |name: &str| name.strip_prefix('h').is_some_and(|number| number.parse::<u16>().is_ok());
    let mut found = false;
    for entry in fs::read_dir(&dir.0).map_err(LabError::file("read", &dir.0))?.flatten() {
        let (name, path) = (entry.file_name().to_string_lossy().into_owned(), entry.path());
        let removed = match name.as_str() {
            name if own(name) => fs::remove_file(&path),
            name if host(name) && path.join("body.log").exists() || name == "trial" => remove_tree(&path),
            _ => continue,
        };
        removed.map_err(LabError::file("remove", &path))?;
        found = true;
    }
    // Stays when there is something else in it.
    let _ = fs::remove_dir(&dir.0);
    Ok(found)
}

/// Removes a directory, also where a script on the host took away its owner's right to do so.
fn remove_tree(path: &Path) -> io::Result<()> {
    if fs::remove_dir_all(path).is_ok() {
        return Ok(());
    }
    open_up(path)?;
    fs::remove_dir_all(path)
}

fn open_up(dir: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(dir, fs::Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(dir)?.flatten() {
        if entry.file_type()?.is_dir() {
            open_up(&entry.path())?;
        }
    }
    Ok(())
}
