//! What a dry run does to hosts: nothing. Whole hosts are listed before and after it, with every file's content and every unit's
//! state; and the kernel is watched for what the dry run asks it to change.
//!
//! `WINDLASS_HOSTS` asks for another number of hosts than 3.

use super::host::Host;
use super::lab::{asked, lab, lab_sh};
use super::project::Project;
use super::wait::eventually;
use rustix::process::Signal;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// What logging in changes, and nothing else: where the session is kept, the message of the day, what the log says of it. The first
/// part of the test holds that this is so.
const LOGIN: [&str; 11] = [
    "/run",
    "/run/log/journal/",
    "/run/motd.dynamic",
    "/run/systemd/inhibit",
    "/run/systemd/journal/streams",
    "/run/systemd/sessions",
    "/run/systemd/transient",
    "/run/systemd/units",
    "/run/systemd/users",
    "/run/user",
    "/run/utmp",
];

/// Units that are there for who is logged in.
const OF_LOGIN: [&str; 5] = ["session-", "user-0.slice", "user@0.service", "user-runtime-dir@0.service", "run-user-0.mount"];

/// Everything of a host: files with kind, mode, owner, times of content and of attributes, size, target and sha256; units with state, process and restarts.
const LIST: &str = r#"
here() { find / \( -path /proc -o -path /sys -o -path /dev \) -prune -o "$@"; }
here -printf 'f %p\t%y %m %U:%G %T@ %C@ %s %l\n'
here -type f -exec sha256sum -- {} + 2>/dev/null | sed 's/^\([^ ]*\)  \(.*\)/c \2\t\1/'
systemctl show --all '*' -p Id -p ActiveState -p SubState -p MainPID -p NRestarts |
    awk 'BEGIN { RS = ""; FS = "\n" } { id = rest = ""; for (i = 1; i <= NF; i++) if ($i ~ /^Id=/) id = substr($i, 4); else rest = rest " " $i; print "u " id "\t" rest }'
"#;

type Listed = BTreeMap<String, String>;

fn listed(host: &Host) -> Listed {
    let text = host.say(LIST);
    // A unit that is inactive is as one that is not there: systemd forgets such when it likes.
    let is_unit_at_rest = |line: &str| line.starts_with("u ") && line.contains("ActiveState=inactive SubState=dead");
    let lines: Listed = text
        .lines()
        .filter(|line| !is_unit_at_rest(line))
        .filter_map(|line| line.split_once('\t'))
        .map(|(name, what)| (name.to_owned(), what.to_owned()))
        .collect();
    let count = |kind: &str| lines.keys().filter(|name| name.starts_with(kind)).count();
    assert!(count("f /") > 1000 && count("c /") > 1000 && count("u ") > 20, "{text}");
    lines
}

/// The same of many hosts, a few at a time.
fn all_listed(hosts: &[Host]) -> Vec<Listed> {
    let each = hosts.len().div_ceil(4);
    std::thread::scope(|scope| {
        let parts: Vec<_> =
            hosts.chunks(each).map(|part| scope.spawn(move || part.iter().map(listed).collect::<Vec<_>>())).collect();
        parts.into_iter().flat_map(|part| part.join().unwrap()).collect()
    })
}

/// What is not the same, but for what is of logging in.
fn changed(before: &Listed, after: &Listed) -> Vec<String> {
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let of_login = |name: &str| match name.split_at(2) {
        ("u ", unit) => OF_LOGIN.iter().any(|of| unit.starts_with(of)),
        // Of the directory itself only that something is made in it.
        (_, "/run") => true,
        (_, path) => LOGIN.iter().any(|of| path.starts_with(of) && *of != "/run"),
    };
    let differs = names.into_iter().filter(|name| before.get(*name) != after.get(*name) && !of_login(name));
    differs.map(|name| format!("{name}: was {:?}, is {:?}", before.get(name), after.get(name))).collect()
}

#[track_caller]
fn assert_unchanged(hosts: &[Host], before: &[Listed], after: &[Listed], why: &str) {
    for ((host, before), after) in hosts.iter().zip(before).zip(after) {
        assert_eq!(changed(before, after), Vec::<String>::new(), "{why} changed {}", host.name);
    }
}

#[test]
fn a_dry_run_leaves_whole_hosts_as_they_are() {
    let lease = lab().lease(asked("WINDLASS_HOSTS", 3));
    let hosts = &lease.hosts;
    let project = Project::new(hosts, |_| "");
    let log_in = || hosts.iter().for_each(|host| drop(lab_sh(&["ssh", &host.name, "true"])));
    log_in();
    let new = all_listed(hosts);
    log_in();
    let before = all_listed(hosts);
    assert_unchanged(hosts, &new, &before, "logging in");
    for version in ["1.0", "1.1"] {
        let before = all_listed(hosts);
        let dry = project.windlass(&["dry-run", "--format", "json", "--set", &format!("version={version}")]).expect(0);
        let end = dry.events().pop().unwrap();
        assert_eq!(end["hosts"].as_array().unwrap().len(), hosts.len(), "{end}");
        let would = end["counts"]["would"].as_u64().unwrap();
        assert!(would >= u64::try_from(hosts.len()).unwrap() * 4, "{end}");
        assert_unchanged(hosts, &before, &all_listed(hosts), "the dry run");
        project.deploy(version).expect_run(0, "succeeded");
    }
    // Were something changed, it would be seen: also when size and time are as before.
    let host = &hosts[0];
    let before = listed(host);
    host.say("cp -p /etc/hostname /tmp/h; printf X | dd of=/etc/hostname conv=notrunc 2>/dev/null; touch -r /tmp/h /etc/hostname; cp -p /tmp/h /root/h; rm /tmp/h");
    let seen = changed(&before, &listed(host));
    for name in ["f /etc/hostname", "c /etc/hostname", "f /root/h", "f /root", "f /tmp"] {
        assert!(seen.iter().any(|line| line.starts_with(&format!("{name}:"))), "{name}: {seen:?}");
    }
    host.say("systemctl restart hello; cp -p /root/h /etc/hostname; rm /root/h");
    assert!(changed(&before, &listed(host)).iter().any(|line| line.starts_with("u hello.service:")));
}

/// What the kernel is asked that changes files.
const CALLS: &str = "open,openat,openat2,creat,rename,renameat,renameat2,unlink,unlinkat,rmdir,mkdir,mkdirat,link,linkat,symlink,symlinkat,\
    chmod,fchmod,fchmodat,chown,fchown,lchown,fchownat,truncate,ftruncate,fallocate,utime,utimes,utimensat,futimesat,mknod,mknodat,\
    setxattr,lsetxattr,fsetxattr,removexattr,lremovexattr,fremovexattr,mount,umount2,copy_file_range";

/// strace on the SSH server of a host and on all that it begins.
struct Watched {
    strace: Child,
    file: tempfile::NamedTempFile,
}

impl Watched {
    fn new(host: &Host) -> Self {
        let (file, said) = (tempfile::NamedTempFile::new().unwrap(), tempfile::NamedTempFile::new().unwrap());
        let mut command = Command::new("strace");
        command.args(["-f", "-y", "-e", &format!("trace={CALLS}"), "-o"]).arg(file.path());
        command.arg("-p").arg(host.outer_pid("ssh").to_string()).stdin(Stdio::null()).stdout(Stdio::null());
        let strace = command.stderr(said.reopen().unwrap()).spawn().unwrap();
        eventually("strace is attached", || std::fs::read_to_string(said.path()).unwrap().contains("attached"));
        Self { strace, file }
    }

    /// The calls that change something, with their paths; numbers of processes are left out.
    fn changes(mut self) -> BTreeSet<String> {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.strace), Signal::TERM).unwrap();
        self.strace.wait().unwrap();
        changes(self.file.path())
    }
}

fn changes(file: &Path) -> BTreeSet<String> {
    let text = String::from_utf8_lossy(&std::fs::read(file).unwrap()).into_owned();
    let opens = |call: &str| call.starts_with("open");
    let writes = ["O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC", "O_APPEND"];
    let call = |line: &str| {
        let (name, args) = line.split_once(' ')?.1.trim_start().split_once('(')?;
        if name.starts_with('<') || opens(name) && !writes.iter().any(|flag| args.contains(flag)) {
            return None;
        }
        // The path that it names; that of the open file where it names none.
        let path = args.split('"').nth(1).or_else(|| args.split(['<', '>']).nth(1))?;
        Some(format!("{name} {}", path.replace(|c: char| c.is_ascii_digit(), "")))
    };
    text.lines().filter_map(call).collect()
}

#[test]
fn a_dry_run_asks_the_kernel_for_no_change() {
    let lease = lab().lease(1);
    let host = &lease.hosts[0];
    let project = Project::new(&lease.hosts, |_| "");
    let idle = Watched::new(host);
    lab_sh(&["ssh", &host.name, "true"]);
    let idle = idle.changes();
    assert!(
        !idle.is_empty()
            && idle.iter().all(|call| [" /run/", " /proc/", " /dev/", " /var/log/"].iter().any(|of| call.contains(of))),
        "{idle:?}"
    );
    for version in ["1.0", "1.1"] {
        let watched = Watched::new(host);
        project.windlass(&["dry-run", "--set", &format!("version={version}")]).expect(0);
        let more: Vec<String> = watched.changes().difference(&idle).cloned().collect();
        // Where what commands say is thrown away, and nothing else.
        assert!(more.iter().all(|call| call == "openat /dev/null"), "{more:?}");
        let watched = Watched::new(host);
        project.deploy(version).expect_run(0, "succeeded");
        let seen = watched.changes();
        assert!(seen.iter().any(|call| call.starts_with("mkdir") && call.contains(".windlass")), "{seen:?}");
    }
}
