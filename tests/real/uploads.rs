//! Uploads that are cut off: what has arrived is not sent again, and what is not wanted any more is not left.

use super::host::Host;
use super::lab::lab;
use super::project::{Project, Running};
use super::wait::eventually;
use rustix::process::Signal;
use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
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
