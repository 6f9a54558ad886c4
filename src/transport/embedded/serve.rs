//! Serves a lab: finds addresses, starts the hosts, listens, and takes everything down when told to.

use super::body::{Body, Plan, why_no_namespaces};
use super::error::LabError;
use super::faults::Faults;
use super::host::Host;
use super::keys;
use super::process::ProcessId;
use super::record::{
    LAB_PORT, LAB_VERSION, LabDir, LabHost, LabMode, LabOptions, LabReady, LabSession, MOST_HOSTS, SharedRoot, write_private,
};
use super::server::{self, Door};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;

/// Serves the lab until SIGTERM or SIGINT comes, and ends its processes then. `ready` is called once all hosts listen.
/// What the hosts have on disk stays, for the next time.
///
/// # Errors
/// When another lab is served in the directory, no addresses are free, the mode is not possible, or a host does not start.
pub fn serve(options: &LabOptions, ready: impl FnOnce(&LabReady)) -> Result<(), LabError> {
    if options.session == LabSession::Detached {
        // Fails where this process leads a group already: then it was detached by who started it.
        let _ = rustix::process::setsid();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.map_err(LabError::system("start the lab's runtime"))?.block_on(serve_until_told(options, ready))
}

async fn serve_until_told(options: &LabOptions, ready: impl FnOnce(&LabReady)) -> Result<(), LabError> {
    if options.count == 0 || options.count > MOST_HOSTS {
        return Err(LabError::Count { count: options.count });
    }
    let mut end = End::listen()?;
    let dir = LabDir::make(&options.dir)?;
    let _lock = lock(&dir)?;
    let (mode, mode_reason) = choose_mode(options, &dir).await?;
    let listeners = listen(&dir, options.count).await?;
    let key = keys::load_or_make(&dir.key())?;
    let key = keys::public_line(&key, &dir.key())?;
    let mut bodies = Bodies::default();
    let up = tokio::select! {
        result = bodies.start(options, &dir, mode, &listeners) => result.map(|()| true),
        () = end.told() => Ok(false),
    };
    if matches!(up, Ok(true)) {
        let record = announce(&dir, mode, mode_reason, &bodies)?;
        open_doors(&dir, listeners, &key)?;
        dir.write_record(&record)?;
        ready(&record);
        end.told().await;
        let path = dir.record();
        std::fs::remove_file(&path).map_err(LabError::file("remove", &path))?;
    }
    bodies.stop().await;
    up.map(drop)
}

/// The signals that end a lab.
struct End(Signal, Signal);

impl End {
    fn listen() -> Result<Self, LabError> {
        let on = |kind| signal(kind).map_err(LabError::system("listen for signals"));
        Ok(Self(on(SignalKind::terminate())?, on(SignalKind::interrupt())?))
    }

    async fn told(&mut self) {
        tokio::select! { _ = self.0.recv() => {}, _ = self.1.recv() => {} }
    }
}

/// Holds the directory for this process, as long as the file is open.
fn lock(dir: &LabDir) -> Result<std::fs::File, LabError> {
    let path = dir.lock();
    let file = std::fs::File::create(&path).map_err(LabError::file("make", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(LabError::Busy { dir: dir.0.clone() }),
        Err(std::fs::TryLockError::Error(source)) => Err(LabError::File { what: "lock", path, source }),
    }
}

/// The mode, and why it is not the better one.
async fn choose_mode(options: &LabOptions, dir: &LabDir) -> Result<(LabMode, Option<String>), LabError> {
    let refusal = match options.mode {
        Some(LabMode::Directories) => Some("it was asked for".to_owned()),
        _ => why_no_namespaces(&dir.0).await,
    };
    let Some(why) = refusal else {
        return Ok((LabMode::Namespaces, None));
    };
    if options.mode == Some(LabMode::Namespaces) {
        return Err(LabError::NoNamespaces { why });
    }
    if rustix::process::geteuid().is_root() && options.shared_root == SharedRoot::Refuse {
        return Err(LabError::SharedAsRoot { why });
    }
    Ok((LabMode::Directories, Some(why)))
}

/// Takes addresses: those of the last time, or the first block of which all are free.
async fn listen(dir: &LabDir, count: u16) -> Result<Vec<(Ipv4Addr, TcpListener)>, LabError> {
    let last = std::fs::read_to_string(dir.subnet()).ok().and_then(|text| text.trim().parse::<u8>().ok());
    for subnet in last.into_iter().chain(0..=u8::MAX) {
        if let Some(listeners) = listen_in(subnet, count).await {
            write_private(&dir.subnet(), &format!("{subnet}\n"))?;
            return Ok(listeners);
        }
    }
    Err(LabError::NoAddresses)
}

async fn listen_in(subnet: u8, count: u16) -> Option<Vec<(Ipv4Addr, TcpListener)>> {
    let mut listeners = Vec::new();
    for number in 1..=count {
        let address = Ipv4Addr::new(127, 77, subnet, u8::try_from(10 + number).ok()?);
        listeners.push((address, TcpListener::bind((address, LAB_PORT)).await.ok()?));
    }
    Some(listeners)
}

/// The hosts that run.
#[derive(Default)]
struct Bodies(Vec<(LabHost, Body)>);

impl Bodies {
    /// Starts all hosts at the same time.
    async fn start(
        &mut self,
        options: &LabOptions,
        dir: &LabDir,
        mode: LabMode,
        listeners: &[(Ipv4Addr, TcpListener)],
    ) -> Result<(), LabError> {
        let exe = std::fs::canonicalize(&options.exe).map_err(LabError::file("find the executable", &options.exe))?;
        let mut starting = JoinSet::new();
        for (number, (address, _)) in (1..).zip(listeners) {
            starting.spawn(start_host(exe.clone(), dir.clone(), mode, number, *address));
        }
        let mut failed = None;
        while let Some(started) = starting.join_next().await {
            match started {
                Ok(Ok(host)) => self.0.push(host),
                Ok(Err(error)) => failed = Some(error),
                Err(_) => {}
            }
        }
        self.0.sort_by_key(|(host, _)| host.address);
        failed.map_or(Ok(()), Err)
    }

    async fn stop(self) {
        let mut stopping: JoinSet<()> = self.0.into_iter().map(|(_, body)| body.stop()).collect();
        while stopping.join_next().await.is_some() {}
    }
}

async fn start_host(
    exe: PathBuf,
    dir: LabDir,
    mode: LabMode,
    number: u16,
    address: Ipv4Addr,
) -> Result<(LabHost, Body), LabError> {
    let name = format!("h{number}");
    let user = user(mode);
    let plan = Plan { exe: &exe, name: &name, address, dir: dir.host(&name), mode, user: &user };
    let body = Body::start(&plan).await?;
    let (key, host_dir) = (dir.key(), dir.host(&name));
    Ok((LabHost { name, address, port: LAB_PORT, user, key, dir: host_dir, init: body.init }, body))
}

/// Whom to log in as.
fn user(mode: LabMode) -> String {
    let own = rustix::process::geteuid().as_raw().to_string();
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let of_own = passwd.lines().find(|line| line.split(':').nth(2) == Some(&own)).and_then(|line| line.split(':').next());
    match (mode, of_own) {
        (LabMode::Directories, Some(name)) => name.to_owned(),
        _ => "root".to_owned(),
    }
}

fn announce(dir: &LabDir, mode: LabMode, mode_reason: Option<String>, bodies: &Bodies) -> Result<LabReady, LabError> {
    let own = i32::try_from(std::process::id()).unwrap_or_default();
    Ok(LabReady {
        version: LAB_VERSION,
        process: ProcessId::of(own).map_err(LabError::system("read /proc/self/stat"))?,
        mode,
        mode_reason,
        key: dir.key(),
        known_hosts: dir.known_hosts(),
        hosts: bodies.0.iter().map(|(host, _)| host.clone()).collect(),
    })
}

/// Lets clients in, and writes down how to know the hosts.
fn open_doors(dir: &LabDir, listeners: Vec<(Ipv4Addr, TcpListener)>, key: &str) -> Result<(), LabError> {
    let mut known_hosts = String::new();
    for (number, (address, listener)) in (1..).zip(listeners) {
        let name = format!("h{number}");
        let host_dir = dir.host(&name);
        let (host_key, line) = host_key(&host_dir)?;
        known_hosts.push_str(&format!("[{address}]:{LAB_PORT} {line}\n"));
        let host = Host { name, run: host_dir.join("run") };
        let faults = Faults::new(&host_dir.join("faults"));
        let door = Door { host, faults, key: key.to_owned(), config: server::config(host_key) };
        tokio::spawn(Arc::new(door).open(listener));
    }
    write_private(&dir.known_hosts(), &known_hosts)
}

fn host_key(host_dir: &Path) -> Result<(russh::keys::PrivateKey, String), LabError> {
    let path = host_dir.join("host_key");
    let key = keys::load_or_make(&path)?;
    let line = keys::public_line(&key, &path)?;
    Ok((key, line))
}
