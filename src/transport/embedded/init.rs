//! The first process of a host: it takes requests over the host's socket, starts commands and services, takes in every
//! orphan, and ends everything when the lab lets go of its standard input.

use super::body::Plan;
use super::error::LabError;
use super::process::descendants;
use super::reaper::Reaper;
use super::record::LabMode;
use super::service::Supervisor;
use super::wire::{Follow, Reply, Request, SOCKET, Wire, short_path};
use super::{network, signals};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe;
use tokio::net::{TcpStream, UnixListener, UnixStream};
use tokio::signal::unix::{SignalKind, signal};

/// How long services have to end when their host goes down.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(5);

/// What a host's init has to know; given to `lab init` as JSON.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct HostSpec {
    pub(crate) name: String,
    pub(crate) mode: LabMode,
    /// The home of whoever logs in.
    pub(crate) home: PathBuf,
    /// Where the socket is.
    pub(crate) run: PathBuf,
    /// Where the output of services is kept.
    pub(crate) log: PathBuf,
    /// Where unit files are looked for; enabling makes its links in the first.
    pub(crate) unit_dirs: Vec<PathBuf>,
    /// The environment of commands and services.
    pub(crate) env: BTreeMap<String, String>,
}

impl HostSpec {
    pub(crate) fn of(plan: &Plan<'_>) -> Self {
        match plan.mode {
            LabMode::Namespaces => Self::own_root(plan),
            LabMode::Directories => Self::shared_root(plan),
        }
    }

    fn own_root(plan: &Plan<'_>) -> Self {
        let run = Path::new("/run/windlass-lab");
        let unit_dirs = vec!["/etc/systemd/system".into()];
        Self::new(plan, "/root".into(), run.to_owned(), "/var/log/windlass-lab".into(), unit_dirs)
            .with("XDG_RUNTIME_DIR", "/run/user/0")
            .with_path(&run.join("bin"))
    }

    fn shared_root(plan: &Plan<'_>) -> Self {
        let at = |part: &str| plan.dir.join(part);
        let unit_dirs = vec![at("etc/systemd/system"), "/etc/systemd/system".into()];
        Self::new(plan, at("root"), at("run"), at("log"), unit_dirs)
            .with("TMPDIR", &at("tmp").to_string_lossy())
            .with("XDG_RUNTIME_DIR", &at("run").to_string_lossy())
            .with_path(&at("bin"))
    }

    fn new(plan: &Plan<'_>, home: PathBuf, run: PathBuf, log: PathBuf, unit_dirs: Vec<PathBuf>) -> Self {
        let (name, mode) = (plan.name.to_owned(), plan.mode);
        let mut spec = Self { name, mode, home, run, log, unit_dirs, env: BTreeMap::new() };
        for (key, value) in [
            ("SHELL", "/bin/sh"),
            ("LABHOST", plan.name),
            ("HOSTNAME", plan.name),
            ("LANG", "C.UTF-8"),
            ("USER", plan.user),
            ("LOGNAME", plan.user),
        ] {
            spec = spec.with(key, value);
        }
        let (home, run) = (spec.home.to_string_lossy().into_owned(), spec.run.to_string_lossy().into_owned());
        spec.with("HOME", &home).with("LAB_RUN", &run).with("LABADDRESS", &plan.address.to_string())
    }

    fn with(mut self, key: &str, value: &str) -> Self {
        self.env.insert(key.to_owned(), value.to_owned());
        self
    }

    fn with_path(self, first: &Path) -> Self {
        let rest = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        self.with("PATH", &format!("{}:{rest}", first.display()))
    }
}

/// Runs a host's init: the hidden command `lab init SPEC`. Returns when the host is down.
///
/// # Errors
/// When the specification is not understood or the host can't be set up.
pub fn init(spec: &str) -> Result<(), LabError> {
    let spec = serde_json::from_str(spec).map_err(|source| LabError::Record { path: "lab init".into(), source })?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let run = async {
        signals::take_notice();
        Init::set_up(spec)?.run().await
    };
    runtime.and_then(|runtime| runtime.block_on(run)).map_err(LabError::system("run the host's init"))
}

struct Init {
    spec: Arc<HostSpec>,
    reaper: Reaper,
    supervisor: Arc<Supervisor>,
    listener: UnixListener,
}

impl Init {
    fn set_up(spec: HostSpec) -> io::Result<Self> {
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
        match spec.mode {
            LabMode::Namespaces => {
                rustix::system::sethostname(spec.name.as_bytes())?;
                network::loopback_up()?;
            }
            LabMode::Directories => rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?,
        }
        std::fs::create_dir_all(&spec.log)?;
        let _ = std::fs::remove_file(spec.run.join(SOCKET));
        let (path, _dir) = short_path(&spec.run)?;
        let listener = UnixListener::bind(path)?;
        let (spec, reaper) = (Arc::new(spec), Reaper::default());
        let supervisor = Supervisor::new(Arc::clone(&spec), reaper.clone());
        Ok(Self { spec, reaper, supervisor, listener })
    }

    async fn run(self) -> io::Result<()> {
        let mut ended = signal(SignalKind::child())?;
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let mut lifeline = pipe::Receiver::from_owned_fd(io::stdin().as_fd().try_clone_to_owned()?)?;
        let supervisor = Arc::clone(&self.supervisor);
        tokio::spawn(async move { supervisor.start_enabled().await });
        say_ready()?;
        let mut rest = [0; 16];
        loop {
            tokio::select! {
                _ = ended.recv() => self.reaper.reap(),
                accepted = self.listener.accept() => self.accept(accepted?.0),
                read = lifeline.read(&mut rest) => if !matches!(read, Ok(1..)) { break },
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
            }
        }
        self.shut_down(&mut ended).await;
        Ok(())
    }

    fn accept(&self, stream: UnixStream) {
        let (spec, reaper, supervisor) = (Arc::clone(&self.spec), self.reaper.clone(), Arc::clone(&self.supervisor));
        tokio::spawn(async move {
            if let Err(error) = answer(&spec, &reaper, &supervisor, Wire::new(stream)).await {
                tracing::debug!(%error, "a request to the lab host broke");
            }
        });
    }

    /// Ends services in order, and then whatever else there is.
    async fn shut_down(&self, ended: &mut tokio::signal::unix::Signal) {
        let stopping = async {
            let stop = tokio::time::timeout(SHUTDOWN_LIMIT, self.supervisor.stop_all());
            tokio::pin!(stop);
            loop {
                tokio::select! {
                    _ = &mut stop => return,
                    _ = ended.recv() => self.reaper.reap(),
                }
            }
        };
        stopping.await;
        let own = rustix::process::getpid().as_raw_nonzero().get();
        // A process may be forking while it is looked for, so look again.
        for _ in 0..100 {
            let left = descendants(own);
            if left.is_empty() {
                return;
            }
            left.into_iter().filter_map(Pid::from_raw).for_each(|pid| {
                let _ = kill_process(pid, Signal::KILL);
            });
            let _ = tokio::time::timeout(Duration::from_millis(10), ended.recv()).await;
            self.reaper.reap();
        }
    }
}

/// The lab waits for this line.
fn say_ready() -> io::Result<()> {
    let mut out = io::stdout();
    out.write_all(b"ready\n")?;
    out.flush()
}

async fn answer(spec: &HostSpec, reaper: &Reaper, supervisor: &Arc<Supervisor>, mut wire: Wire) -> io::Result<()> {
    match wire.next().await? {
        None => Ok(()),
        Some(Request::Exec { argv, env }) => exec(spec, reaper, wire, argv, env).await,
        Some(Request::StandIn { argv }) => wire.send(&Reply::Output(supervisor.stand_in(&argv).await), &[]).await,
        Some(Request::Connect { host, port }) => match TcpStream::connect((host.as_str(), port)).await {
            Ok(stream) => wire.send(&Reply::Connected, &[stream.as_fd()]).await,
            Err(error) => wire.send(&Reply::Failed { why: error.to_string() }, &[]).await,
        },
    }
}

async fn exec(spec: &HostSpec, reaper: &Reaper, mut wire: Wire, argv: Vec<String>, env: Vec<(String, String)>) -> io::Result<()> {
    let started = command(spec, &argv, env, wire.take_fds()).and_then(|mut command| reaper.spawn(&mut command));
    let (pid, mut ended) = match started {
        Ok(started) => started,
        Err(error) => return wire.send(&Reply::Failed { why: error.to_string() }, &[]).await,
    };
    wire.send(&Reply::Started, &[]).await?;
    loop {
        tokio::select! {
            ending = &mut ended => return match ending {
                Ok(ending) => wire.send(&Reply::Ended(ending), &[]).await,
                Err(_) => Err(io::Error::other("nobody waits for it any more")),
            },
            follow = wire.next() => match follow? {
                Some(Follow::Signal(number)) => {
                    let _ = signals::parse(&number.to_string()).map(|signal| kill_process_group(pid, signal));
                }
                // The client is gone. The command is not.
                None => return Ok(()),
            },
        }
    }
}

fn command(spec: &HostSpec, argv: &[String], env: Vec<(String, String)>, fds: Vec<OwnedFd>) -> io::Result<Command> {
    let fds: [OwnedFd; 3] = fds.try_into().map_err(|_| io::Error::other("a command needs three open files"))?;
    let [stdin, stdout, stderr] = fds.map(Stdio::from);
    let (program, words) = argv.split_first().ok_or_else(|| io::Error::other("a command needs words"))?;
    let mut command = Command::new(program);
    command.args(words).env_clear().envs(&spec.env).envs(env).current_dir(&spec.home);
    command.process_group(0).stdin(stdin).stdout(stdout).stderr(stderr);
    Ok(command)
}
