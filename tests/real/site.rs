//! A host with an SSH server of its own beside the usual one, set up as a test needs it, and a project for it.

use super::host::Host;
use super::lab::{Lease, lab, lab_command};
use super::project::{Ended, Project, Running};
use super::wait::eventually;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the server keeps its files, in the host.
const PLACE: &str = "/run/test.sshd";
pub(crate) const PORT: u16 = 2222;

/// Leaves a directory with a file, a release and what a command made; fails at the end when it is asked to.
const SCRIPT: &str = r#"
let fail = param("fail", "");
rolling(hosts("all"), |h| {
    h.mkdir("~/box");
    h.write("~/box/it's a $(file)", "it's \"text\"\n");
    h.upload("files/box.tar", "~/box/box.tar");
    h.unpack("~/box/box.tar", "~/box/release");
    let ran = h.run("echo ran >>~/box/ran; echo 'out of it'; echo to the side >&2", #{ undo: "rm -f ~/box/ran" });
    if ran.lines != ["out of it"] { throw "other output: " + ran.stdout; }
    if fail != "" { throw "as it was asked to"; }
});
"#;

pub(crate) struct Site {
    pub(crate) project: Project,
    pub(crate) address: String,
    lease: Lease,
}

impl Site {
    /// A server with these lines in its configuration, and an ssh_config that knows its key and logs in as root.
    pub(crate) fn new(server: &str) -> Self {
        let site = Self::without_server();
        site.start_server(server);
        site
    }

    /// A host and a project, but nothing at the port yet.
    pub(crate) fn without_server() -> Self {
        let lease = lab().lease(1);
        let address = lease.hosts[0].address();
        let project = Project::bare(SCRIPT, "class = \"lab\"\n[hosts.box]\nroles = [\"web\"]\n");
        let site = Self { project, address, lease };
        site.keygen(&site.key("id"), "ed25519", "");
        site.host().say(&format!(
            "mkdir -p {PLACE} && chmod 755 {PLACE} && ssh-keygen -q -t ed25519 -N '' -f {PLACE}/host && : >{PLACE}/authorized"
        ));
        site.authorize(&site.read(&site.key("id.pub")));
        site.write(&site.project.known_hosts(), &format!("[{}]:{PORT} {}\n", site.address, site.host_key()));
        site.ssh_config("");
        let tar = site.project.dir().join("files");
        std::fs::create_dir_all(tar.join("release")).unwrap();
        site.write(&tar.join("release/hello"), "hello\n");
        let packed = Command::new("tar").args(["-C"]).arg(&tar).args(["-cf"]).arg(tar.join("box.tar")).arg("release").status();
        assert!(packed.unwrap().success());
        site
    }

    pub(crate) fn start_server(&self, lines: &str) {
        let config = format!(
            "Port {PORT}\nHostKey {PLACE}/host\nAuthorizedKeysFile {PLACE}/authorized\nPidFile {PLACE}/pid\nStrictModes no\nUsePAM no\nPermitRootLogin yes\nPasswordAuthentication no\nLogLevel VERBOSE\n{lines}\n"
        );
        std::fs::write(self.host().path(&format!("{PLACE}/config")), config).unwrap();
        // As a unit it is a part of the host, and is frozen with it.
        self.host().say(&format!(
            "mkdir -p /run/sshd && systemd-run -q --collect --unit=test-sshd /usr/sbin/sshd -D -E {PLACE}/log -f {PLACE}/config"
        ));
        eventually("the server listens", || self.host().path(&format!("{PLACE}/pid")).exists());
    }

    pub(crate) fn host(&self) -> &Host {
        &self.lease.hosts[0]
    }

    /// What the server has written.
    pub(crate) fn log(&self) -> String {
        self.host().read(&format!("{PLACE}/log"))
    }

    /// A file beside the operator's keys.
    pub(crate) fn key(&self, name: &str) -> PathBuf {
        self.project.home().join(".ssh").join(name)
    }

    pub(crate) fn read(&self, file: &Path) -> String {
        std::fs::read_to_string(file).unwrap()
    }

    pub(crate) fn write(&self, file: &Path, text: &str) {
        std::fs::write(file, text).unwrap();
    }

    /// The host's key, as its type and itself.
    pub(crate) fn host_key(&self) -> String {
        let text = self.host().read(&format!("{PLACE}/host.pub"));
        text.split(' ').take(2).collect::<Vec<_>>().join(" ")
    }

    /// Lets a line's key in, for every user.
    pub(crate) fn authorize(&self, line: &str) {
        let file = self.host().path(&format!("{PLACE}/authorized"));
        self.write(&file, &format!("{}{}\n", self.read(&file), line.trim()));
    }

    /// Lets nobody in any more but this.
    pub(crate) fn authorize_only(&self, line: &str) {
        self.write(&self.host().path(&format!("{PLACE}/authorized")), "");
        self.authorize(line);
    }

    /// A new key for the operator.
    pub(crate) fn keygen(&self, file: &Path, kind: &str, passphrase: &str) {
        let mut command = Command::new("ssh-keygen");
        command.args(["-q", "-C", "", "-t", kind, "-N", passphrase, "-f"]).arg(file);
        // As few rounds as there may be: a test has nothing to hide.
        assert!(command.args(["-a", "1"]).status().unwrap().success());
    }

    /// The operator's ssh_config, these lines first.
    pub(crate) fn ssh_config(&self, lines: &str) {
        let text = format!(
            "Host box\n{lines}\n  HostName {}\n  Port {PORT}\n  User root\n  IdentityFile {}\n  ConnectTimeout 5\n",
            self.address,
            self.key("id").display()
        );
        self.write(&self.key("config"), &text);
    }

    /// An account that logs in to this program, and has done so once: some shells make directories then.
    pub(crate) fn account(&self, name: &str, shell: &str) {
        self.host().say(&format!("useradd -m -p '*' -s {shell} {name}; su - {name} -c true >/dev/null; true"));
    }

    pub(crate) fn run(&self) -> Ended {
        self.project.windlass(&["run"])
    }

    pub(crate) fn run_with(&self, variables: &[(&str, &str)]) -> Ended {
        self.project.start_with(variables, &["run"]).wait()
    }

    /// The tool with a terminal, at which this is typed.
    pub(crate) fn run_at_terminal(&self, typed: &str) -> Running {
        self.project.start_at_terminal(typed, &["run"])
    }

    /// Every file below a directory of the host.
    pub(crate) fn tree(&self, path: &str) -> BTreeMap<String, String> {
        let mut files = BTreeMap::new();
        super::host::list(&self.host().path(path), path, &mut files);
        files
    }

    /// Runs to its end as it should, and then, on an empty home, to a failure that leaves nothing.
    #[track_caller]
    pub(crate) fn assert_deploys(&self, home: &str) {
        let before = self.tree(home);
        self.project
            .windlass(&["run", "--set", "fail=yes"])
            .expect(3)
            .says(&["as it was asked to", "what was there is restored"]);
        assert_eq!(self.tree(home), before, "unwinding restores");
        self.run().expect(0);
        assert_eq!(self.host().read(&format!("{home}/box/it's a $(file)")), "it's \"text\"\n");
        assert_eq!(self.host().read(&format!("{home}/box/release/release/hello")), "hello\n");
        assert_eq!(self.host().read(&format!("{home}/box/ran")), "ran\n");
        self.host().assert_nothing_left(home);
    }

    /// Fails to connect, having changed nothing.
    #[track_caller]
    pub(crate) fn assert_refused(&self, texts: &[&str]) {
        let ended = self.run().expect(1);
        ended.says(&["failed before it changed anything"]).says(texts);
        assert!(!self.host().path("/root/box").exists());
        self.host().assert_nothing_left("/root");
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let script = format!("systemctl stop test-sshd; for u in $(ls /home); do userdel -rf $u; done; rm -rf /root/box {PLACE}");
        // The next user of the host looks.
        let _ = lab_command(&["in", &self.host().name, "sh", "-c", &script]).output();
    }
}
