//! The lab as a user has it: real `ssh` against hosts that a separate process serves.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail like tests")]

mod fences;

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use windlass::transport::embedded::{self, LabMode, LabOptions, LabReady, LabStart, LabStatus, SharedRoot};

const EXE: &str = env!("CARGO_BIN_EXE_windlass");

/// A lab that ends with the test.
struct Lab {
    ready: LabReady,
    dir: PathBuf,
    _temp: tempfile::TempDir,
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _ = embedded::down(&self.dir);
    }
}

impl Lab {
    /// The lab in the mode that is asked for, or none where this machine has no namespaces for it.
    fn up(mode: LabMode, count: u16) -> Option<Self> {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("lab");
        let options = options(&dir, mode, count);
        match embedded::start_detached(&options) {
            Ok(start) => Some(Self { ready: start.lab().clone(), dir, _temp: temp }),
            Err(error) if mode == LabMode::Namespaces && error.to_string().contains("namespaces of its own") => None,
            Err(error) => panic!("{error}"),
        }
    }

    fn ssh(&self, host: usize) -> Command {
        let host = &self.ready.hosts[host];
        let mut command = Command::new("ssh");
        command.args(["-F", "none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o", "IdentitiesOnly=yes"]);
        command.args(["-o", "ConnectTimeout=5", "-o", &format!("UserKnownHostsFile={}", self.ready.known_hosts.display())]);
        command.arg("-i").arg(&host.key).args(["-p", &host.port.to_string(), "-l", &host.user, &host.address.to_string()]);
        command
    }

    fn run(&self, host: usize, command: &str) -> Output {
        self.ssh(host).arg(command).stdin(Stdio::null()).output().unwrap()
    }

    /// What a command says, when it must succeed.
    fn say(&self, host: usize, command: &str) -> String {
        let output = self.run(host, command);
        assert!(output.status.success(), "{command}: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn switch(&self, host: usize, fault: &str) -> PathBuf {
        let path = self.ready.hosts[host].dir.join("faults").join(fault);
        std::fs::write(&path, "").unwrap();
        path
    }
}

fn options(dir: &Path, mode: LabMode, count: u16) -> LabOptions {
    LabOptions { mode: Some(mode), shared_root: SharedRoot::Allow, ..LabOptions::new(EXE, dir, count) }
}

/// Asks until it is so, for at most five seconds.
fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(5), "never: {what}");
        std::thread::yield_now();
    }
}

/// A script for a host that waits until something is so.
fn until(condition: &str) -> String {
    format!("i=0; until {condition}; do i=$((i+1)); [ $i -lt 500 ] || exit 99; sleep 0.01; done")
}

fn finish(mut child: Child) -> Output {
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    child.stdout.take().map(|mut out| out.read_to_end(&mut stdout));
    child.stderr.take().map(|mut err| err.read_to_end(&mut stderr));
    Output { status: child.wait().unwrap(), stdout, stderr }
}

fn commands_work(lab: &Lab) {
    let output = lab.run(0, "echo out; echo err >&2; exit 7");
    assert_eq!(output.status.code(), Some(7));
    assert_eq!((output.stdout.as_slice(), output.stderr.as_slice()), (&b"out\n"[..], &b"err\n"[..]));
    assert_eq!(lab.say(0, "echo $LABHOST $HOSTNAME"), "h1 h1");
    assert_eq!(lab.run(0, "kill -TERM $$").status.code(), Some(255), "ssh has 255 for an exit signal");
    let mut shell = lab.ssh(0).arg("-T").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    shell.stdin.take().unwrap().write_all(b"echo from a shell; exit 3\n").unwrap();
    let output = finish(shell);
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(3), &b"from a shell\n"[..]));
}

fn much_passes_both_ways(lab: &Lab) {
    let sent: Vec<u8> = (0..5 * 1024 * 1024_u32).map(|n| u8::try_from(n * 7 % 251).unwrap()).collect();
    let mut cat =
        lab.ssh(0).arg("cat; echo end >&2").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (mut stdin, copy) = (cat.stdin.take().unwrap(), sent.clone());
    let writer = std::thread::spawn(move || stdin.write_all(&copy).unwrap());
    let output = finish(cat);
    writer.join().unwrap();
    assert!(output.stdout == sent, "{} bytes came back of {}", output.stdout.len(), sent.len());
    assert_eq!(output.stderr, b"end\n");
    // A command that reads nothing does not hang anybody.
    let mut deaf = lab.ssh(0).arg("exit 4").stdin(Stdio::piped()).spawn().unwrap();
    let _ = deaf.stdin.take().unwrap().write_all(&sent);
    assert_eq!(deaf.wait().unwrap().code(), Some(4));
}

fn a_command_outlives_its_connection(lab: &Lab) {
    let file = lab.say(0, "echo $HOME/survivor");
    let command = format!("cat >/dev/null; {}; echo survived >{file}", until(&format!("[ -e {file}.go ]")));
    let mut ssh = lab.ssh(0).arg(format!("echo there; {command}")).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut word = [0; 6];
    ssh.stdout.as_mut().unwrap().read_exact(&mut word).unwrap();
    ssh.kill().unwrap();
    ssh.wait().unwrap();
    lab.say(0, &format!("touch {file}.go; {}", until(&format!("grep -q survived {file}"))));
}

fn only_the_key_opens(lab: &Lab) {
    let mut command = lab.ssh(0);
    command.args(["-o", "PubkeyAuthentication=no", "true"]);
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(255), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("Permission denied"));
}

/// Opens a tunnel to a port as seen from the host, as `ssh -W` does, and sends a line through it.
fn through_tunnel(lab: &Lab, host: usize, to: &str) -> Output {
    let command = lab.ssh(host);
    // `-W` takes the place of a command, so it goes before the address.
    let words: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
    let mut command = Command::new("ssh");
    command.args(["-W", to]).args(words);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"hello\n").unwrap();
    finish(child)
}

fn tunnels_are_refused_or_work(lab: &Lab) {
    let refused = through_tunnel(lab, 0, "127.0.0.1:1");
    assert_eq!(refused.status.code(), Some(255));
    assert!(
        String::from_utf8_lossy(&refused.stderr).contains("Connection failed")
            || String::from_utf8_lossy(&refused.stderr).contains("connect failed"),
        "{refused:?}"
    );
    let address = lab.ready.hosts[0].address;
    let echo = "import socket,sys\ns=socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind((sys.argv[1], 8099)); s.listen()\nprint('up', flush=True)\nc,_=s.accept()\nwhile True:\n d=c.recv(99)\n if not d: break\n c.sendall(d.upper())\n";
    let mut server = lab
        .ssh(0)
        .arg(format!("exec /usr/bin/python3 - {address}"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    server.stdin.take().unwrap().write_all(echo.as_bytes()).unwrap();
    let mut up = [0; 2];
    if server.stdout.as_mut().unwrap().read_exact(&mut up).is_err() {
        server.wait().unwrap();
        return; // There is no Python on this machine to listen with.
    }
    let answered = through_tunnel(lab, 0, &format!("{address}:8099"));
    assert_eq!(answered.stdout, b"HELLO\n", "{answered:?}");
    assert!(server.wait().unwrap().success());
}

fn unit(exec: &str, more: &str) -> String {
    let mut text = String::new();
    write!(text, "[Unit]\nDescription=A test\n[Service]\nType=exec\nExecStart={exec}\nRestartSec=20ms\n{more}\n[Install]\nWantedBy=default.target\n").unwrap();
    text
}

/// Writes a unit for the user's manager, which both modes have, and reads it in.
fn install(lab: &Lab, name: &str, text: &str) {
    let mut command = lab.ssh(0);
    command.arg(format!(
        "mkdir -p ~/.config/systemd/user && cat >~/.config/systemd/user/{name}.service && systemctl --user daemon-reload"
    ));
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
}

fn shown(lab: &Lab, name: &str, property: &str) -> String {
    lab.say(0, &format!("systemctl --user show -p {property} --value {name}"))
}

fn services_live(lab: &Lab) {
    let unknown = lab.run(0, "systemctl --user start nope");
    assert_eq!(unknown.status.code(), Some(5));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("Unit nope.service not found."));
    install(
        lab,
        "web",
        &unit(
            "/bin/sh -c 'trap \"echo hup\" HUP; echo serving $WORD ${WORD}; while :; do sleep 0.02; done'",
            "Environment=WORD=now\nRestart=on-failure\nExecReload=/bin/kill -HUP $MAINPID\n",
        ),
    );
    assert_eq!(lab.run(0, "systemctl --user is-active web").status.code(), Some(3));
    lab.say(0, "systemctl --user enable --now web");
    assert_eq!(lab.say(0, "systemctl --user is-active web; systemctl --user is-enabled web.service"), "active\nenabled");
    let pid = shown(lab, "web", "MainPID");
    lab.say(0, &format!("kill -0 {pid}"));
    // Before it says so, nobody has set what the signal is to do.
    lab.say(0, &until("journalctl --user -u web -n 5 --no-pager -o cat | grep -q serving"));
    lab.say(
        0,
        &format!("systemctl --user reload web; {}", until("journalctl --user -u web -n 5 --no-pager -o cat | grep -q hup")),
    );
    assert!(lab.say(0, "journalctl --user -u web --no-pager -o cat").contains("serving now now"));
    // It crashes, and is started again.
    let restarted = until(&format!(
        "[ $(systemctl --user show -p MainPID --value web) -gt 0 ] && [ $(systemctl --user show -p MainPID --value web) != {pid} ]"
    ));
    lab.say(0, &format!("kill -9 {pid}; {restarted}"));
    assert_eq!(shown(lab, "web", "NRestarts"), "1");
    // It is restarted on demand, and stopped.
    let before = shown(lab, "web", "MainPID");
    lab.say(0, "systemctl --user restart web");
    assert_ne!(shown(lab, "web", "MainPID"), before);
    install_quietly(lab, "web");
    assert_eq!(
        lab.say(0, "systemctl --user show -p NeedDaemonReload,ActiveState web"),
        "ActiveState=active\nNeedDaemonReload=yes"
    );
    lab.say(0, "systemctl --user daemon-reload; systemctl --user stop web");
    assert_eq!(
        lab.say(0, "systemctl --user show -p ActiveState,SubState,NeedDaemonReload,UnitFileState web"),
        "ActiveState=inactive\nSubState=dead\nUnitFileState=enabled\nNeedDaemonReload=no"
    );
    assert_ne!(lab.run(0, &format!("kill -0 {before}")).status.code(), Some(0));
    lab.say(0, "systemctl --user disable web; ! systemctl --user is-enabled web");
    enabling_is_more_than_one_link(lab);
}

/// As on a host with systemd: a unit may name others, have other names, and be known by a link only.
fn enabling_is_more_than_one_link(lab: &Lab) {
    let far = "[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=default.target\nAlias=other.service\nAlso=far.socket\n";
    let socket = "[Socket]\nListenStream=80\n[Install]\nWantedBy=sockets.target\n";
    lab.say(
        0,
        &format!(
            "printf '{far}' >far.service; printf '{socket}' >~/.config/systemd/user/far.socket
            ln -s $PWD/far.service ~/.config/systemd/user/far.service; systemctl --user daemon-reload"
        ),
    );
    let is = || lab.say(0, "systemctl --user show -p UnitFileState,LoadState --value far.service | tr '\n' ' '");
    let links = || lab.say(0, "cd ~/.config/systemd/user; find . -type l -name '[fo]*' | sort | tr '\n' ' '");
    assert_eq!(is(), "loaded linked");
    lab.say(0, "systemctl --user enable far");
    assert_eq!(is(), "loaded enabled");
    assert_eq!(links(), "./default.target.wants/far.service ./far.service ./other.service ./sockets.target.wants/far.socket");
    lab.say(0, "systemctl --user disable far; rm ~/.config/systemd/user/far.socket");
    assert_eq!((is(), links()), ("not-found".to_owned(), String::new()));
}

/// Changes a unit file behind the manager's back.
fn install_quietly(lab: &Lab, name: &str) {
    lab.say(0, &format!("echo '# changed' >>~/.config/systemd/user/{name}.service"));
}

fn services_fail(lab: &Lab) {
    install(lab, "missing", &unit("/no/such/program", ""));
    assert_eq!(lab.run(0, "systemctl --user start missing").status.code(), Some(1));
    assert_eq!(
        lab.say(0, "systemctl --user show -p ActiveState,ExecMainStatus missing"),
        "ActiveState=failed\nExecMainStatus=203"
    );
    install(lab, "crashing", &unit("/bin/sh -c 'exit 9'", "Restart=always"));
    lab.run(0, "systemctl --user start crashing");
    lab.say(0, &until("[ $(systemctl --user show -P ActiveState crashing) = failed ]"));
    assert_eq!(shown(lab, "crashing", "Result"), "start-limit-hit");
    assert_eq!(lab.run(0, "systemctl --user status crashing").status.code(), Some(3));
    lab.say(0, "systemctl --user reset-failed crashing");
    assert_eq!(shown(lab, "crashing", "ActiveState"), "inactive");
    install(
        lab,
        "once",
        "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/sh -c 'echo one'\nExecStart=/bin/sh -c 'echo two'\n",
    );
    lab.say(0, "systemctl --user start once");
    assert_eq!(lab.say(0, "systemctl --user show -p ActiveState,SubState once"), "ActiveState=active\nSubState=exited");
    install(
        lab,
        "stubborn",
        &unit("/bin/sh -c 'trap \"\" TERM; echo ready; while :; do sleep 0.02; done'", "TimeoutStopSec=100ms"),
    );
    lab.say(
        0,
        &format!(
            "systemctl --user start stubborn; {}; systemctl --user stop stubborn",
            until("journalctl --user -u stubborn | grep -q ready")
        ),
    );
    assert_eq!(shown(lab, "stubborn", "Result"), "timeout");
}

fn faults_bite_and_heal(lab: &Lab) {
    let refuse = lab.switch(1, "refuse");
    assert_eq!(lab.run(1, "true").status.code(), Some(255));
    std::fs::remove_file(refuse).unwrap();
    lab.say(1, "true");

    let mut cat = lab.ssh(1).arg("echo there; cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdout = cat.stdout.take().unwrap();
    let mut word = [0; 6];
    stdout.read_exact(&mut word).unwrap();
    let cut = lab.switch(1, "cut");
    let mut newcomer = lab.ssh(1);
    newcomer.args(["-o", "ConnectTimeout=1"]).arg("true");
    assert_eq!(newcomer.stdin(Stdio::null()).output().unwrap().status.code(), Some(255), "a new connection hangs");
    cat.stdin.as_mut().unwrap().write_all(b"held\n").unwrap();
    std::fs::remove_file(cut).unwrap();
    let mut word = [0; 5];
    stdout.read_exact(&mut word).unwrap();
    assert_eq!(&word, b"held\n", "what was held is delivered");

    // Held open, so that the end that comes is not that of the input.
    let _stdin = cat.stdin.take();
    let drop = lab.switch(1, "drop");
    assert_eq!(cat.wait().unwrap().code(), Some(255));
    assert!(!drop.exists());
    lab.say(1, "true");
}

#[test]
fn hosts_with_namespaces_are_hosts() {
    let Some(lab) = Lab::up(LabMode::Namespaces, 2) else { return };
    commands_work(&lab);
    much_passes_both_ways(&lab);
    a_command_outlives_its_connection(&lab);
    only_the_key_opens(&lab);
    tunnels_are_refused_or_work(&lab);
    faults_bite_and_heal(&lab);
    lab.say(0, "echo mine >/etc/motd2; mkdir -p /srv/app; id -u | grep -qx 0; hostname | grep -qx h1; ! touch /usr/bin/x");
    assert_ne!(lab.run(1, "cat /etc/motd2").status.code(), Some(0), "each has files of its own");
    assert!(!Path::new("/etc/motd2").exists());
}

#[test]
fn hosts_with_namespaces_have_services() {
    let Some(lab) = Lab::up(LabMode::Namespaces, 1) else { return };
    services_live(&lab);
    services_fail(&lab);
    let text = "[Service]\\nExecStart=/bin/sleep 1000\\n[Install]\\nWantedBy=multi-user.target\\n";
    lab.say(0, &format!("printf '{text}' >/etc/systemd/system/db.service; systemctl daemon-reload; systemctl enable --now db"));
    assert_eq!(lab.say(0, "/usr/bin/env systemctl is-active db"), "active");
    // More hosts: the lab starts again, the files and the enabled service are there.
    let grown = embedded::start_detached(&options(&lab.dir, LabMode::Namespaces, 2)).unwrap();
    assert!(matches!(&grown, LabStart::Grown(_)), "{grown:?}");
    assert_eq!(grown.lab().hosts[0].address, lab.ready.hosts[0].address);
    assert_eq!(lab.say(0, &until("systemctl is-active -q db")), "");
}

#[test]
fn hosts_without_namespaces_work() {
    let lab = Lab::up(LabMode::Directories, 2).unwrap();
    commands_work(&lab);
    a_command_outlives_its_connection(&lab);
    tunnels_are_refused_or_work(&lab);
    services_live(&lab);
    services_fail(&lab);
    lab.say(0, "echo mine >motd");
    assert_ne!(lab.run(1, "cat motd").status.code(), Some(0));
}

#[test]
fn a_lab_ends_with_all_of_its_processes() {
    for mode in [LabMode::Namespaces, LabMode::Directories] {
        let Some(lab) = Lab::up(mode, 1) else { continue };
        // Seen from outside, its pid only counts in mode `Directories`.
        let pid = lab.say(0, "setsid sleep 1000 >/dev/null 2>&1 & echo $!");
        assert!(matches!(embedded::start_detached(&options(&lab.dir, mode, 1)).unwrap(), LabStart::AlreadyUp(_)));
        assert_eq!(embedded::status(&lab.dir).unwrap(), LabStatus::Up(lab.ready.clone()));
        // Even when the lab itself is killed, its hosts end.
        assert!(Command::new("kill").args(["-9", &lab.ready.process.pid.to_string()]).status().unwrap().success());
        eventually("the lab is gone", || matches!(embedded::status(&lab.dir).unwrap(), LabStatus::Stale(_)));
        eventually("its hosts are gone", || lab.ready.hosts.iter().all(|host| !host.init.runs()));
        if mode == LabMode::Directories {
            eventually("the stray is gone", || !Path::new(&format!("/proc/{pid}")).exists());
        }
        assert!(embedded::down(&lab.dir).unwrap());
        assert!(!lab.dir.exists());
        assert!(!embedded::down(&lab.dir).unwrap());
    }
}

#[test]
fn a_lab_that_cannot_start_says_why() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("lab");
    let error = embedded::start_detached(&LabOptions::new(EXE, &dir, 0)).unwrap_err().to_string();
    assert!(error.contains("between 1 and 240"), "{error}");
    if rustix::process::geteuid().is_root() {
        let options = LabOptions { mode: Some(LabMode::Directories), ..LabOptions::new(EXE, &dir, 1) };
        let error = embedded::start_detached(&options).unwrap_err().to_string();
        assert!(error.contains("as root"), "{error}");
    }
}

#[test]
fn a_lab_is_not_taken_from_a_run() {
    let temp = tempfile::tempdir().unwrap();
    let (home, project) = (temp.path().join("home"), temp.path().join("project"));
    std::fs::create_dir_all(project.join("environments")).unwrap();
    std::fs::create_dir(&home).unwrap();
    let (reached, go) = (temp.path().join("reached"), temp.path().join("go"));
    let script = "let h = hosts(\"all\")[0]; h.write(\"~/x\", \"x\"); log(ask(\"Go on?\"));\n";
    let files =
        [("windlass.toml", "name = \"x\"\n"), ("deploy.rhai", script), ("environments/lab.toml", "class = \"lab\"\nlab = 1\n")];
    files.iter().for_each(|(name, text)| std::fs::write(project.join(name), text).unwrap());
    let windlass = |words: &[&str]| {
        let mut command = Command::new(EXE);
        command.args(words).current_dir(&project).env("HOME", &home).stdin(Stdio::null());
        command
    };
    let run = format!("{EXE} run -e lab; echo $? >{}", go.display());
    let mut typed = Command::new("script")
        .args(["-q", "-f", "-c", &run, &reached.display().to_string()])
        .current_dir(&project)
        .env("HOME", &home)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    while !std::fs::read_to_string(&reached).is_ok_and(|text| text.contains("Go on?:")) {
        assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", std::fs::read_to_string(&reached));
        std::thread::yield_now();
    }
    let down = windlass(&["lab", "down"]).output().unwrap();
    let said = String::from_utf8_lossy(&down.stderr);
    assert!(down.status.code() == Some(6) && said.contains("lab is being changed by run"), "{said}");
    typed.stdin.take().unwrap().write_all(b"yes\n").unwrap();
    typed.wait().unwrap();
    assert_eq!(std::fs::read_to_string(&go).unwrap(), "0\n", "{:?}", std::fs::read_to_string(&reached));
    assert!(windlass(&["lab", "down"]).status().unwrap().success());
}

#[test]
fn what_hosts_run_ignores_no_signal_that_the_lab_was_told_to_ignore() {
    let temp = tempfile::tempdir().unwrap();
    let (home, project) = (temp.path().join("home"), temp.path().join("project"));
    std::fs::create_dir_all(project.join("environments")).unwrap();
    std::fs::create_dir(&home).unwrap();
    let script = r#"
let h = hosts("all")[0];
let user = #{ scope: "user" };
h.unit("told", "[Service]\nExecStart=/bin/sh -c 'grep SigIgn /proc/self/status >%h/ignored; exec sleep 1000'\n", user);
h.service("told", user).start();
h.wait_for(["test", "-s", "ignored"], #{ within: "10s" });
log("by a service: " + h.read("~/ignored"));
log("by a command: " + h.run("grep SigIgn /proc/self/status", #{ irreversible: "it only looks" }).stdout);
"#;
    let files =
        [("windlass.toml", "name = \"x\"\n"), ("deploy.rhai", script), ("environments/lab.toml", "class = \"lab\"\nlab = 1\n")];
    files.iter().for_each(|(name, text)| std::fs::write(project.join(name), text).unwrap());
    let windlass = |words: &str| {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("trap '' HUP; exec {EXE} {words}")]).current_dir(&project).env("HOME", &home);
        command.stdin(Stdio::null()).output().unwrap()
    };
    let run = windlass("run -e lab");
    let said = String::from_utf8_lossy(&[run.stdout, run.stderr].concat()).into_owned();
    assert!(windlass("lab down").status.success());
    let masks: Vec<u64> = said
        .lines()
        .filter_map(|line| line.split_once("SigIgn:").and_then(|(_, mask)| u64::from_str_radix(mask.trim(), 16).ok()))
        .collect();
    assert!(masks.len() == 2 && masks.iter().all(|mask| mask & 1 == 0), "{masks:?}\n{said}");
}
