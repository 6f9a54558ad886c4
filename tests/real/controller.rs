//! The controller is killed, interrupted, started twice, or cannot write its ledger.

use super::host::{Host, HostState, assert_same, states};
use super::lab::{Lease, lab};
use super::project::{Ended, Project};
use super::wait::eventually;
use rustix::process::Signal;
use std::path::PathBuf;
use std::process::Command;

/// Three hosts with 1.0, and a run to 1.1 that was killed on the last of them.
fn killed() -> (Lease, Project, Vec<HostState>, String) {
    let lease = lab().lease(3);
    let project = Project::new(&lease.hosts, |_| "");
    project.deploy("1.0").expect_run(0, "succeeded");
    let before = states(&lease.hosts);
    let running = project.start_paused("1.1", &lease.hosts[2], "text");
    running.signal(Signal::KILL);
    assert_eq!(running.wait().code, None);
    let run = project.last_run();
    let (resume, unwind) = (format!("windlass resume {run}"), format!("windlass unwind {run}"));
    let open = "its process has ended without bringing it to an end";
    project.windlass(&["status"]).expect(0).says(&[&run, open, &resume, &unwind]);
    // Nothing new begins before it is brought to an end.
    project.windlass(&["run", "--set", "version=1.0"]).expect(6).says(&[&run, &resume, &unwind]);
    (lease, project, before, run)
}

fn assert_command_ran_once(host: &Host) {
    assert_eq!(host.read("/run/test.ran"), "ran\n", "{}", host.name);
}

#[test]
fn a_killed_run_is_unwound() {
    let (lease, project, before, run) = killed();
    lease.hosts[2].touch("/run/test.go");
    project.windlass(&["unwind", "--format", "json", &run]).expect_run(3, "unwound");
    assert_same(&before, &lease.hosts);
    assert_command_ran_once(&lease.hosts[2]);
    project.windlass(&["unwind", &run]).expect(1).says(&["has ended"]);
}

#[test]
fn a_killed_run_is_resumed() {
    let (lease, project, _, run) = killed();
    lease.hosts[2].touch("/run/test.go");
    project.windlass(&["resume", "--format", "json", &run]).expect_run(0, "succeeded");
    lease.hosts.iter().for_each(|host| host.assert_serves("1.1"));
    lease.hosts.iter().for_each(|host| host.assert_nothing_left("/root"));
    assert_command_ran_once(&lease.hosts[2]);
}

/// Runs to this version, killed once this record is on disk; nothing when the run ended before.
fn run_killed_at(project: &Project, version: &str, record: u32) -> Option<String> {
    let version = format!("version={version}");
    let ended = project.windlass(&["run", "--set", &version, "--crash-at", &record.to_string()]);
    let last = project.status()["last"].clone();
    if last["state"] == "succeeded" {
        assert!(record > 20, "so few records: {ended}");
        return None;
    }
    assert_eq!(ended.code, None, "{ended}");
    last["id"].as_str().map(ToOwned::to_owned)
}

#[test]
fn killed_at_any_record_a_run_is_unwound() {
    let lease = lab().lease(1);
    let project = Project::new(&lease.hosts, |_| "");
    project.deploy("1.0").expect_run(0, "succeeded");
    let before = states(&lease.hosts);
    for record in 1.. {
        let Some(run) = run_killed_at(&project, "1.1", record) else { break };
        let ended = project.windlass(&["unwind", &run]);
        assert!(matches!(ended.code, Some(1 | 3)), "killed at record {record}: {ended}");
        assert!(!ended.err.contains('?'), "what is undone is named: {ended}");
        assert_same(&before, &lease.hosts);
    }
}

#[test]
fn killed_at_any_record_a_run_is_resumed() {
    let lease = lab().lease(1);
    let project = Project::new(&lease.hosts, |_| "");
    project.deploy("1.0").expect_run(0, "succeeded");
    for record in 1.. {
        let version = if record % 2 == 0 { "1.0" } else { "1.1" };
        let Some(run) = run_killed_at(&project, version, record) else { break };
        project.windlass(&["resume", "--format", "json", &run]).expect_run(0, "succeeded");
        lease.hosts[0].assert_serves(version);
    }
}

#[test]
fn a_command_that_goes_on_is_attached_to_again() {
    let lease = lab().lease(1);
    let host = &lease.hosts[0];
    let project = Project::new(&lease.hosts, |_| "");
    let running = project.start_paused("1.0", host, "json");
    running.signal(Signal::KILL);
    running.wait();
    let run = project.last_run();
    eventually("the connection of the killed one is gone", || host.ssh_connections() == 0);
    let resumed = project.start(&["resume", "--format", "json", &run]);
    eventually("the resumed one is connected", || host.ssh_connections() == 1);
    host.touch("/run/test.go");
    resumed.wait().expect_run(0, "succeeded");
    host.assert_serves("1.0");
    assert_command_ran_once(host);
}

#[test]
fn an_interrupted_run_is_resumed() {
    let lease = lab().lease(3);
    let hosts = &lease.hosts;
    let project = Project::new(hosts, |_| "");
    project.deploy("1.0").expect_run(0, "succeeded");
    let running = project.start_paused("1.1", &hosts[2], "text");
    running.signal(Signal::INT);
    running.await_line("stopping once the steps under way have ended");
    // The step under way ends; the next one does not begin.
    hosts[2].touch("/run/test.go");
    let ended = running.wait().expect(7);
    let run = project.last_run();
    ended.says(&["interrupted", &format!("windlass resume {run}"), &format!("windlass unwind {run}")]);
    assert_eq!(project.status()["last"]["state"], "interrupted");
    assert_eq!(hosts[2].state().answer, "hello 1.0 is well");
    project.windlass(&["resume", "--format", "json", &run]).expect_run(0, "succeeded");
    hosts.iter().for_each(|host| host.assert_serves("1.1"));
    assert_command_ran_once(&hosts[2]);
}

#[test]
fn a_terminated_run_is_unwound() {
    let lease = lab().lease(2);
    let hosts = &lease.hosts;
    let before = states(hosts);
    let project = Project::new(hosts, |_| "");
    let running = project.start_paused("1.0", &hosts[1], "json");
    running.signal(Signal::TERM);
    running.await_line("stopping once the steps under way have ended");
    hosts[1].touch("/run/test.go");
    running.wait().expect_run(7, "interrupted");
    project.windlass(&["unwind", "--format", "json", &project.last_run()]).expect_run(3, "unwound");
    assert_same(&before, hosts);
}

#[test]
fn one_run_at_a_time() {
    let lease = lab().lease(1);
    let host = &lease.hosts[0];
    let project = Project::new(&lease.hosts, |_| "");
    let first = project.start_paused("1.0", host, "json");
    let second = project.windlass(&["run", "--set", "version=1.1"]).expect(6);
    let run = project.last_run();
    second.says(&["real is being changed by", &run]);
    project.windlass(&["resume", &run]).expect(6);
    project.windlass(&["status"]).expect(0).says(&["under way", &run]);
    host.touch("/run/test.go");
    first.wait().expect_run(0, "succeeded");
    host.assert_serves("1.0");
}

/// A small disk for a project's ledger.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(project: &Project) -> Self {
        let disk = Self(project.dir().join(".windlass"));
        std::fs::create_dir_all(&disk.0).unwrap();
        disk.run("mount", &["-t", "tmpfs", "-o", "size=4m", "windlass-test"]);
        disk
    }

    fn run(&self, program: &str, words: &[&str]) {
        assert!(Command::new(program).args(words).arg(&self.0).status().unwrap().success(), "{program} {words:?}");
    }

    fn fill(&self) {
        // It is full when this fails.
        let filled = std::fs::write(self.0.join("ballast"), vec![1_u8; 8 << 20]);
        assert!(filled.is_err());
    }

    fn make_room(&self) {
        std::fs::remove_file(self.0.join("ballast")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // The mount goes with the directory at the latest.
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[test]
fn a_full_ledger_stops_the_run() {
    let lease = lab().lease(3);
    let hosts = &lease.hosts;
    let project = Project::new(hosts, |_| "");
    let disk = SmallDisk::mount(&project);
    project.deploy("1.0").expect_run(0, "succeeded");
    let before = states(hosts);
    let running = project.start_paused("1.1", &hosts[2], "text");
    disk.fill();
    hosts[2].touch("/run/test.go");
    let ended: Ended = running.wait().expect(7);
    ended.says(&["the journal cannot be written, so nothing further is done", "windlass unwind"]);
    disk.make_room();
    project.windlass(&["unwind", "--format", "json", &project.last_run()]).expect_run(3, "unwound");
    assert_same(&before, hosts);
}

#[test]
fn a_ledger_that_cannot_be_written_starts_nothing() {
    let lease = lab().lease(1);
    let before = states(&lease.hosts);
    let project = Project::new(&lease.hosts, |_| "");
    let disk = SmallDisk::mount(&project);
    disk.fill();
    project.windlass(&["run", "--set", "version=1.0"]).expect(1).says(&["is the disk full"]);
    disk.make_room();
    disk.run("mount", &["-o", "remount,ro"]);
    project.windlass(&["run", "--set", "version=1.0"]).expect(1).says(&["the directory not writable"]);
    assert_same(&before, &lease.hosts);
}
