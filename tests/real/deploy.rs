//! Deploys to hosts that do what they should, and to such where the new version does not.

use super::host::{assert_same, heal, states};
use super::lab::{lab, lab_sh};
use super::project::Project;

#[test]
fn a_first_deploy_that_fails_leaves_nothing() {
    let lease = lab().lease(3);
    let hosts = &lease.hosts;
    let before = states(hosts);
    let project = Project::new(hosts, |host| if host.name == hosts[2].name { "1.0" } else { "" });
    let end = project.deploy("1.0").expect_run(3, "unwound");
    assert_eq!(end["error"]["host"], hosts[2].name.as_str(), "{end}");
    assert_same(&before, hosts);
    assert_eq!(before[0].service, "not-found inactive  no");
    assert_eq!(project.status()["last"]["state"], "unwound");
}

#[test]
fn versions_come_and_an_ill_one_goes() {
    let lease = lab().lease(6);
    let hosts = &lease.hosts;
    let project = Project::new(hosts, |host| if host.name == hosts[2].name { "1.2" } else { "" });
    let end = project.deploy("1.0").expect_run(0, "succeeded");
    assert_eq!(end["counts"]["changed"], 6 * 8, "{end}");
    hosts.iter().for_each(|host| host.assert_serves("1.0"));

    let before = states(hosts);
    let end = project.deploy("1.0").expect_run(0, "succeeded");
    assert_eq!(end["counts"]["changed"], 0, "{end}");
    assert_same(&before, hosts);

    project.deploy("1.1").expect_run(0, "succeeded");
    hosts.iter().for_each(|host| host.assert_serves("1.1"));

    let before = states(hosts);
    let end = project.deploy("1.2").expect_run(3, "unwound");
    assert_eq!((&end["error"]["host"], &end["error"]["op"]), (&hosts[2].name.as_str().into(), &"expect_http".into()), "{end}");
    assert_same(&before, hosts);
    hosts.iter().for_each(|host| host.assert_serves("1.1"));
}

#[test]
fn a_service_that_does_not_start_is_told_with_its_log() {
    let lease = lab().lease(1);
    let project = Project::new(&lease.hosts, |_| "1.1 start");
    project.deploy("1.0").expect_run(0, "succeeded");
    let before = states(&lease.hosts);
    let ended = project.windlass(&["run", "--set", "version=1.1"]).expect(3);
    ended.says(&["hello 1.1 refuses to start", "what was there is restored"]);
    assert_same(&before, &lease.hosts);
}

#[test]
fn a_full_disk_is_told_and_unwound() {
    let lease = lab().lease(2);
    let hosts = &lease.hosts;
    let project = Project::new(hosts, |_| "");
    project.deploy("1.0").expect_run(0, "succeeded");
    let before = states(hosts);
    // A little room is used up by what is first written: which that is differs.
    for left in ["8", "0", "4", "12"] {
        lab_sh(&["full", &hosts[1].name, left]);
        let ended = project.windlass(&["run", "--set", "version=1.1"]).expect(3);
        ended.says(&["No space left on device", "what was there is restored"]);
        heal(&hosts[1]);
        assert_same(&before, hosts);
    }
    project.deploy("1.1").expect_run(0, "succeeded");
    hosts.iter().for_each(|host| host.assert_serves("1.1"));
}

#[test]
fn a_slow_network_makes_it_slow_and_nothing_else() {
    let lease = lab().lease(2);
    let hosts = &lease.hosts;
    lab_sh(&["delay", &hosts[0].name, "80"]);
    lab_sh(&["delay", &hosts[1].name, "80"]);
    let project = Project::new(hosts, |_| "");
    project.deploy("1.0").expect_run(0, "succeeded");
    hosts.iter().for_each(|host| host.assert_serves("1.0"));
}
