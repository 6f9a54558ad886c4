//! Uploads that are cut off: what has arrived is not sent again, and what is not wanted any more is not left.

use super::host::{Host, assert_same};
use super::lab::{await_file, lab};
use super::project::{Ended, Project, Running};
use super::wait::eventually;
use rustix::process::Signal;
use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use windlass::id::Digest;

const SIZE: u64 = 96 << 20;

/// A project with a large file and a script that sends it. Its bytes look like no others, so that a piece at a wrong place would show.
fn project(host: &[Host]) -> Project {
    let project = Project::new(host, |_| "");
    let mut file = File::create(project.dir().join("files/large")).unwrap();
    let mut piece = vec![0_u8; 1 << 20];
    for n in 0..SIZE >> 20 {
        for (at, byte) in piece.iter_mut().enumerate() {
            *byte = u8::try_from((at as u64 * 31 + n * 131 + (at as u64 >> 8)) % 251).unwrap();
        }
        file.write_all(&piece).unwrap();
    }
    let script = "hosts(\"web\")[0].upload(\"files/large\", \"/srv/large\");\n";
    std::fs::write(project.dir().join("upload.rhai"), script).unwrap();
    project
}

/// The bytes of what has arrived and is not yet in its place.
fn arrived(host: &Host) -> u64 {
    let entries = std::fs::read_dir(host.path("/srv")).unwrap().flatten();
    let unfinished = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(".wl-"));
    unfinished.filter_map(|entry| entry.metadata().ok()).map(|about| about.size()).sum()
}

/// Starts the upload, and gives it back when a third has arrived.
fn start(project: &Project, host: &Host) -> Running {
    let running = project.start(&["run", "upload.rhai", "--format", "json"]);
    eventually("a third of it is there", || arrived(host) >= SIZE / 3);
    running
}

/// It is there as it is here, was not sent twice, and nothing else is left.
fn assert_there(project: &Project, host: &Host, sent: u64) {
    let digest = |path: &Path| Digest::of(&std::fs::read(path).unwrap());
    assert_eq!(digest(&host.path("/srv/large")), digest(&project.dir().join("files/large")));
    // Sent anew it would be all of it, and a third at least.
    assert!(sent > SIZE && sent < SIZE + SIZE / 5, "{sent} bytes were sent for {SIZE}");
    assert_nothing_left(host);
}

fn assert_nothing_left(host: &Host) {
    assert_eq!(arrived(host), 0);
    assert_eq!(host.say("find /root/.windlass/runs -mindepth 1 2>/dev/null || true"), "");
}

#[test]
fn a_large_upload_goes_on_where_the_connection_was_cut() {
    let lease = lab().lease(1);
    let host = &lease.hosts[0];
    let project = project(&lease.hosts);
    let before = host.received();
    let running = start(&project, host);
    host.fault("sshd-kill");
    running.wait().expect_run(0, "succeeded");
    assert_there(&project, host, host.received() - before);
}

#[test]
fn a_large_upload_goes_on_where_the_program_was_killed_or_is_undone() {
    let lease = lab().lease(1);
    let host = &lease.hosts[0];
    let project = project(&lease.hosts);
    let before = host.received();
    let running = start(&project, host);
    running.signal(Signal::KILL);
    running.wait();
    project.windlass(&["resume", &project.last_run()]).expect(0);
    assert_there(&project, host, host.received() - before);

    std::fs::remove_file(host.path("/srv/large")).unwrap();
    let running = start(&project, host);
    running.signal(Signal::KILL);
    running.wait();
    project.windlass(&["unwind", &project.last_run()]).expect(1);
    assert!(!host.path("/srv/large").exists());
    assert_nothing_left(host);
}

/// Puts a program of this name before the host's own. At its call of that number it waits until the test says so; before and
/// after it, and for the test itself, it is as usual.
fn hold_at(host: &Host, program: &str, call: u32) {
    let script = format!(
        "#!/bin/sh\necho >>/run/test.calls\nif [ \"$(wc -l </run/test.calls)\" = {call} ]; then\n  \
         echo $PPID >/run/test.held; until [ -e /run/test.go ]; do sleep 0.02; done\nfi\nexec /usr/bin/{program} \"$@\"\n"
    );
    let path = host.path(&format!("/usr/local/bin/{program}"));
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// Kills the tool while the shell that it left on the host is at that call, takes the run up at once with these words, and
/// only then lets that shell go on, if it still can.
fn killed_while_held(project: &Project, host: &Host, program: &str, running: Running, job: &str) -> Ended {
    await_file(host, "/run/test.held");
    running.signal(Signal::KILL);
    running.wait();
    let ended = project.windlass(&[job, "--format", "json", &project.last_run()]);
    let shell = host.read("/run/test.held");
    host.touch("/run/test.go");
    eventually("the shell that was left has ended", || !host.path(&format!("/proc/{}", shell.trim())).exists());
    std::fs::remove_file(host.path(&format!("/usr/local/bin/{program}"))).unwrap();
    host.say("rm -f /run/test.*");
    ended
}

#[test]
fn a_shell_that_is_ended_while_it_hashes_leaves_nothing() {
    let lease = lab().lease(1);
    let host = &lease.hosts[0];
    let project = project(&lease.hosts);
    let before = host.state();
    // All has arrived, and is compared: the sender is gone, and this shell is ended by whoever undoes the run.
    hold_at(host, "sha256sum", 1);
    let running = project.start(&["run", "upload.rhai"]);
    killed_while_held(&project, host, "sha256sum", running, "unwind").expect(1);
    assert_eq!(host.state(), before);
    assert_nothing_left(host);
}

/// Each of these changes what is there, and is killed in the middle.
const WORKS: [(&str, &str, u32); 3] = [
    // Hundreds of files, those of a directory renamed into place at once: half of them are there.
    ("hosts(\"web\")[0].upload(\"files/many\", \"/srv/many\", #{ delete: true });\n", "mv", 10),
    ("hosts(\"web\")[0].copy(\"/srv/source\", \"/srv/copy\");\n", "mv", 1),
    ("hosts(\"web\")[0].copy(\"/srv/source\", \"/srv/copy\");\n", "cat", 1),
];

#[test]
fn who_takes_a_run_up_works_alone() {
    let lease = lab().lease(1);
    let host = &lease.hosts[0];
    let project = Project::new(&lease.hosts, |_| "");
    let many = project.dir().join("files/many");
    for n in 0..400 {
        std::fs::create_dir_all(many.join(format!("d{}", n % 20))).unwrap();
        std::fs::write(many.join(format!("d{}/f{n}", n % 20)), format!("new {n}\n")).unwrap();
    }
    let old = "rm -rf /srv/*; mkdir /srv/many /srv/many/d1; for n in $(seq 1 20 300); do echo old $n >/srv/many/d1/f$n; done; echo mine >/srv/many/mine; seq 100000 >/srv/source; echo old >/srv/copy";
    for (script, program, call) in WORKS {
        std::fs::write(project.dir().join("work.rhai"), script).unwrap();
        for (job, code, state) in [("unwind", 3, "unwound"), ("resume", 0, "succeeded")] {
            host.say(old);
            let before = host.state();
            hold_at(host, program, call);
            let running = project.start(&["run", "work.rhai"]);
            let ended = killed_while_held(&project, host, program, running, job);
            if script.contains("copy") && job == "unwind" {
                // Nothing had been changed yet.
                ended.expect_run(1, "unwound");
            } else {
                ended.expect_run(code, state);
            }
            if job == "unwind" {
                assert_same(std::slice::from_ref(&before), &lease.hosts);
            } else if script.contains("copy") {
                assert_eq!(host.read("/srv/copy"), host.read("/srv/source"));
            } else {
                let same = "cd /srv/many && test $(find . -type f | wc -l) = 400 && ! grep -rLx 'new [0-9]*' . | grep -q .";
                host.say(same);
                (0..400).for_each(|n| assert_eq!(host.read(&format!("/srv/many/d{}/f{n}", n % 20)), format!("new {n}\n")));
            }
            assert_nothing_left(host);
        }
    }
}
