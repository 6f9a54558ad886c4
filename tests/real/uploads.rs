//! Uploads that are cut off: what has arrived is not sent again.

use super::lab::lab;
use super::project::Project;
use super::wait::eventually;
use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;

const SIZE: u64 = 96 << 20;

/// Bytes that look like no others, so that a piece at a wrong place would show.
fn fill(project: &Project) {
    let mut file = File::create(project.dir().join("files/large")).unwrap();
    let mut piece = vec![0_u8; 1 << 20];
    for n in 0..SIZE >> 20 {
        for (at, byte) in piece.iter_mut().enumerate() {
            *byte = u8::try_from((at as u64 * 31 + n * 131 + (at as u64 >> 8)) % 251).unwrap();
        }
        file.write_all(&piece).unwrap();
    }
}

#[test]
fn a_large_upload_goes_on_where_it_was_cut() {
    let lease = lab().lease(1);
    let host = &lease.hosts[0];
    let project = Project::new(&lease.hosts, |_| "");
    fill(&project);
    std::fs::write(project.dir().join("upload.rhai"), "hosts(\"web\")[0].upload(\"files/large\", \"/srv/large\");\n").unwrap();
    let before = host.received();
    let running = project.start(&["run", "upload.rhai", "--format", "json"]);
    // A third has arrived: the server is killed, and every connection with it.
    let temporary = || {
        let entries = std::fs::read_dir(host.path("/srv")).unwrap().flatten();
        entries
            .filter(|entry| entry.file_name().to_string_lossy().starts_with(".wl-"))
            .filter_map(|entry| entry.metadata().ok())
            .map(|about| about.size())
            .sum::<u64>()
    };
    eventually("a third of it is there", || temporary() >= SIZE / 3);
    host.fault("sshd-kill");
    let had = temporary();
    assert!(had < SIZE, "it was through before it was cut");
    running.wait().expect_run(0, "succeeded");
    let sent = host.received() - before;
    let digest = |path: &std::path::Path| windlass::id::Digest::of(&std::fs::read(path).unwrap());
    assert_eq!(digest(&host.path("/srv/large")), digest(&project.dir().join("files/large")));
    // Sent anew it would be all of it, and at least a third.
    assert!(sent > SIZE && sent < SIZE + SIZE / 5, "{sent} bytes for {SIZE}; {had} were there when it was cut");
    assert_eq!(temporary(), 0, "nothing of it is left");
    assert!(!host.path("/root/.windlass/runs").exists());
}
