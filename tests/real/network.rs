//! Hosts that go away: before a run, and in the middle of it.

use super::host::{assert_same, heal, states};
use super::lab::{lab, lab_sh};
use super::project::Project;

#[test]
fn a_host_that_is_cut_off_is_a_debt_until_it_is_settled() {
    let lease = lab().lease(3);
    let hosts = &lease.hosts;
    let gone = &hosts[2];
    let project = Project::new(hosts, |_| "");
    project.deploy("1.0").expect_run(0, "succeeded");
    let before = states(hosts);

    let running = project.start_paused("1.1", gone, "json");
    gone.fault("cut");
    gone.touch("/run/test.go");
    let end = running.wait().expect_run(4, "unwound");
    assert_eq!(end["debts"], serde_json::json!([gone.name]), "{end}");
    assert_same(&before[..2], &hosts[..2]);
    assert_eq!(std::fs::read_link(gone.path("/srv/hello/current")).unwrap().to_str(), Some("releases/1.1"));

    let settle = format!("windlass settle {}", project.last_run());
    project.windlass(&["status"]).expect(0).says(&[&gone.name, &settle]);
    // It is still away: what is owed stays owed.
    project.windlass(&["settle"]).expect(4).says(&[&gone.name, &settle]);
    heal(gone);
    project.windlass(&["settle"]).expect(0);
    assert_same(&before, hosts);
    assert_eq!(gone.read("/run/test.ran"), "ran\n");
    assert_eq!(project.status()["debts"], serde_json::json!([]));
    project.windlass(&["settle"]).expect(0).says(&["no run owes anything"]);
}

#[test]
fn a_command_outlives_the_ssh_server_and_runs_once() {
    let lease = lab().lease(1);
    let host = &lease.hosts[0];
    let project = Project::new(&lease.hosts, |_| "");
    let running = project.start_paused("1.0", host, "json");
    host.fault("sshd-kill");
    host.touch("/run/test.go");
    running.wait().expect_run(0, "succeeded");
    host.assert_serves("1.0");
    assert_eq!(host.read("/run/test.ran"), "ran\n");
    host.assert_nothing_left("/root");
}

#[test]
fn what_a_command_prints_is_shown_once_and_whole_across_lost_connections() {
    let lease = lab().lease(4);
    let hosts = &lease.hosts;
    let project = Project::new(hosts, |_| "");
    let script = r#"parallel(hosts("all"), |h| {
        let said = h.run("echo ran >>/run/test.ran; for i in 1 2 3 4 5 6 7 8; do echo tick $i; sleep 1; done; printf end", #{ again: "safe" });
        log(`${h.name} said ${said.lines.len()} lines`);
    });"#;
    std::fs::write(project.dir().join("ticks.rhai"), script).unwrap();
    let running = project.start(&["run", "-v", "ticks.rhai"]);
    for host in hosts {
        running.await_line(&format!("{:<4}  | tick 2", host.name));
    }
    hosts[0].fault("cut");
    hosts[1].fault("sshd-kill");
    hosts[2].fault("cut");
    hosts[2].fault("sshd-kill");
    // The others go on meanwhile.
    running.await_line(&format!("{:<4}  | tick 7", hosts[3].name));
    heal(&hosts[0]);
    heal(&hosts[2]);
    let ended = running.wait().expect(0);
    for host in hosts {
        let begin = format!("{:<4}  | ", host.name);
        let shown: Vec<&str> = ended.err.lines().filter_map(|line| line.strip_prefix(&begin)).collect();
        assert_eq!(
            shown,
            ["tick 1", "tick 2", "tick 3", "tick 4", "tick 5", "tick 6", "tick 7", "tick 8", "end"],
            "{}",
            host.name
        );
        assert_eq!(host.read("/run/test.ran"), "ran\n");
        ended.says(&[&format!("{} said 9 lines", host.name)]);
    }
}

#[test]
fn a_host_that_is_down_stops_the_run() {
    let lease = lab().lease(2);
    let hosts = &lease.hosts;
    let before = states(hosts);
    let project = Project::new(hosts, |_| "");
    hosts[0].fault("kill");
    // The first host: nothing was changed anywhere.
    let ended = project.windlass(&["run", "--set", "version=1.0"]).expect(1);
    ended.says(&[&hosts[0].name, "cannot be reached", "failed before it changed anything"]);
    hosts[0].fault("boot");
    hosts[0].wait_until_up();
    assert_same(&before, hosts);
    // The second host: the first is restored.
    hosts[1].fault("kill");
    let ended = project.windlass(&["run", "--set", "version=1.0"]).expect(3);
    ended.says(&[&hosts[1].name, "cannot be reached", "what was there is restored"]);
    hosts[1].fault("boot");
    hosts[1].wait_until_up();
    assert_same(&before, hosts);
}

#[test]
fn a_host_that_hangs_is_given_up() {
    let lease = lab().lease(1);
    let project = Project::new(&lease.hosts, |_| "");
    lab_sh(&["hang", &lease.hosts[0].name]);
    let ended = project.windlass(&["run", "--set", "version=1.0"]).expect(1);
    ended.says(&[&lease.hosts[0].name, "no answer in time", "is the host hung"]);
}

#[test]
fn a_power_cut_in_the_middle_is_settled_after_the_boot() {
    let lease = lab().lease(2);
    let hosts = &lease.hosts;
    let project = Project::new(hosts, |_| "");
    project.deploy("1.0").expect_run(0, "succeeded");
    let before = states(hosts);
    let running = project.start_paused_at("1.1", &hosts[1], &format!("{} restarted", hosts[1].name), "json");
    hosts[1].fault("kill");
    let end = running.wait().expect_run(4, "unwound");
    assert_eq!(end["debts"], serde_json::json!([hosts[1].name]), "{end}");
    hosts[1].fault("boot");
    hosts[1].wait_until_up();
    project.windlass(&["settle"]).expect(0);
    assert_same(&before, hosts);
}
