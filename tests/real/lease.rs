//! A controller is stopped, its lock is taken over, another one brings its run to an end; then it comes back, too late.

use super::host::{assert_same, states};
use super::lab::lab;
use super::project::{Ended, Project, Running};
use rustix::process::Signal;

/// Stops it where it stands, and takes the lock over.
fn take_over(project: &Project, running: &Running, run: &str) {
    running.signal(Signal::STOP);
    let take_over = "windlass unlock -e real --take-over --reason TEXT";
    project.windlass(&["unwind", run]).expect(6).says(&["real is being changed by run", run, "tester@", take_over]);
    project.windlass(&["unlock", "-e", "real"]).expect(6).says(&[run, take_over]);
    project.windlass(&["unlock", "-e", "real", "--take-over"]).expect(2);
    let said = project.windlass(&["unlock", "-e", "real", "--take-over", "--reason", "it hangs"]).expect(0);
    said.says(&[run, &format!("windlass resume {run}"), &format!("windlass unwind {run}")]);
}

/// Lets it go on, and gives how it ended.
fn comes_back(running: Running) -> Ended {
    running.signal(Signal::CONT);
    let ended = running.wait().expect(6);
    ended.says(&["the lock of real was taken over by tester@", "it hangs"]);
    assert!(!ended.err.contains("panicked"), "{ended}");
    ended
}

#[test]
fn a_controller_that_comes_back_after_its_run_was_unwound_changes_nothing() {
    let lease = lab().lease(3);
    let hosts = &lease.hosts;
    let project = Project::new(hosts, |_| "");
    project.deploy("1.0").expect_run(0, "succeeded");
    let before = states(hosts);
    let running = project.start_paused("1.1", &hosts[2], "text");
    let run = project.last_run();
    take_over(&project, &running, &run);
    project.windlass(&["unwind", "--format", "json", &run]).expect_run(3, "unwound");
    assert_same(&before, hosts);
    let records = project.status()["last"]["records"].clone();
    // What it waits for is there when it wakes up: it would go on.
    hosts[2].touch("/run/test.go");
    let ended = comes_back(running);
    ended.says(&["has lost its lock and stopped", "windlass status"]);
    assert_same(&before, hosts);
    hosts.iter().for_each(|host| host.assert_nothing_left("/root"));
    assert_eq!(project.status()["last"]["records"], records);
    project.windlass(&["show", &run, "--verify"]).expect(0).says(&["intact", "3 anchors agree"]);
}

#[test]
fn a_controller_that_comes_back_after_its_run_was_resumed_changes_nothing() {
    let lease = lab().lease(3);
    let hosts = &lease.hosts;
    let project = Project::new(hosts, |_| "");
    project.deploy("1.0").expect_run(0, "succeeded");
    let running = project.start_paused("1.1", &hosts[0], "json");
    let run = project.last_run();
    take_over(&project, &running, &run);
    hosts[0].touch("/run/test.go");
    project.windlass(&["resume", "--format", "json", &run]).expect_run(0, "succeeded");
    let after = states(hosts);
    comes_back(running).expect_run(6, "interrupted");
    assert_same(&after, hosts);
    hosts.iter().for_each(|host| host.assert_serves("1.1"));
    assert_eq!(hosts[0].read("/run/test.ran"), "ran\n");
    hosts.iter().for_each(|host| host.assert_nothing_left("/root"));
    // And the next one begins as ever.
    project.deploy("1.0").expect_run(0, "succeeded");
}

#[test]
fn locks_and_freezes_keep_runs_away_and_are_told() {
    let lease = lab().lease(1);
    let project = Project::new(&lease.hosts, |_| "");
    let before = states(&lease.hosts);
    project.windlass(&["lock", "-e", "rael", "--reason", "x"]).expect(1).says(&["real"]);
    project.windlass(&["lock", "-e", "real", "--reason", "  "]).expect(2);
    project.windlass(&["lock", "-e", "real", "--reason", "disks are swapped"]).expect(0);
    let told = ["real is locked by tester@", "disks are swapped", "windlass unlock -e real"];
    project.deploy("1.0").expect(6).says(&told);
    project.windlass(&["status"]).expect(0).says(&told);
    assert_eq!(project.status()["lock"][0]["set"]["reason"], "disks are swapped");
    project.windlass(&["unlock", "-e", "real"]).expect(0);
    project.windlass(&["freeze", "--reason", "holidays", "--until", "2d"]).expect(0);
    let told = ["every environment is frozen by tester@", "until 20", "holidays", "windlass thaw"];
    project.deploy("1.0").expect(6).says(&told);
    project.windlass(&["status"]).expect(0).says(&told);
    project.windlass(&["freeze", "--reason", "x", "--until", "1999-01-01"]).expect(2).says(&["is over"]);
    project.windlass(&["thaw", "-e", "real"]).expect(0).says(&["real is not frozen", "windlass thaw"]);
    project.windlass(&["thaw"]).expect(0);
    assert_same(&before, &lease.hosts);
    project.deploy("1.0").expect_run(0, "succeeded");
    // What is unfinished may be brought to its end while all is frozen.
    let running = project.start_paused("1.1", &lease.hosts[0], "json");
    project.windlass(&["freeze", "-e", "real", "--reason", "enough"]).expect(0);
    running.signal(Signal::KILL);
    running.wait();
    project.windlass(&["unwind", "--format", "json", &project.last_run()]).expect_run(3, "unwound");
    project.deploy("1.1").expect(6).says(&["real is frozen by tester@", "enough", "windlass thaw -e real"]);
}
