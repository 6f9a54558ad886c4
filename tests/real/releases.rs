//! `std/release` on hosts with systemd, one of which is cut off in the middle of a batch.

use super::host::{Host, assert_same, heal, states};
use super::lab::{await_file, lab};
use super::project::Project;

/// How many hosts the deploy goes to; the first is a batch of its own, the others come three at a time.
const HOSTS: usize = 7;

fn deploy(project: &Project, version: &str) -> serde_json::Value {
    let pin = format!("hello={version}");
    project.windlass(&["run", "release.rhai", "--format", "json", "--artifact", &pin]).expect_run(0, "succeeded")
}

/// The versions of the releases that are on a host, without what is kept until the run ends.
fn versions(host: &Host) -> Vec<String> {
    let entries = std::fs::read_dir(host.path("/srv/hello/releases")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    let releases = names.filter(|name| !name.starts_with('.'));
    let mut versions: Vec<String> =
        releases.filter_map(|name| name.split_once('-').map(|(version, _)| version.to_owned())).collect();
    versions.sort();
    versions
}

fn serve(hosts: &[Host], version: &str) {
    for host in hosts {
        assert_eq!(host.state().answer, format!("hello {version} is well"), "{}", host.name);
    }
}

#[test]
fn a_host_that_is_cut_off_in_the_middle_of_a_batch_takes_all_back() {
    let lease = lab().lease(HOSTS);
    let hosts = &lease.hosts;
    let project = Project::new(hosts, |_| "");
    for version in ["1.0", "1.1", "1.2"] {
        let archive = format!("files/hello-{version}.tar.gz");
        project.windlass(&["artifact", "add", "hello", version, &archive]).expect(0);
    }
    deploy(&project, "1.0");
    let again = deploy(&project, "1.0");
    assert_eq!(again["counts"]["changed"], 0, "{again}");
    deploy(&project, "1.1");
    serve(hosts, "1.1");
    assert_eq!(versions(&hosts[0]), ["1.0", "1.1"]);
    let before = states(hosts);

    // In the middle of the second batch: its release is current there, and the old one pruned.
    let gone = &hosts[2];
    let pause = format!("pause={}", gone.name);
    let running = project.start(&["run", "release.rhai", "--format", "json", "--artifact", "hello=1.2", "--set", &pause]);
    await_file(gone, "/run/test.reached");
    assert_eq!(versions(gone), ["1.1", "1.2"]);
    gone.fault("cut");
    gone.touch("/run/test.go");
    let end = running.wait().expect_run(4, "unwound");
    assert_eq!((&end["debts"], &end["error"]["host"]), (&serde_json::json!([gone.name]), &gone.name.as_str().into()), "{end}");
    for (n, host) in hosts.iter().enumerate().filter(|(n, _)| *n != 2) {
        assert_same(&before[n..=n], std::slice::from_ref(host));
    }

    heal(gone);
    project.windlass(&["settle"]).expect(0);
    assert_same(&before, hosts);
    serve(hosts, "1.1");
    // The version that failed can be deployed all the same, now that the host is there.
    deploy(&project, "1.2");
    serve(hosts, "1.2");
    assert_eq!(versions(gone), ["1.1", "1.2"]);
    // What is live stays in the store.
    project.windlass(&["artifact", "gc", "--keep", "0"]).expect(0).says(&["dropped hello 1.0", "dropped hello 1.1"]);
    project.windlass(&["artifact", "list"]).expect(0).says(&["1.2"]);
}

#[test]
fn a_host_that_is_off_between_link_and_restart_runs_what_was_there_once_it_is_settled() {
    let lease = lab().lease(2);
    let hosts = &lease.hosts;
    let project = Project::new(hosts, |_| "");
    for version in ["1.0", "1.1"] {
        project.windlass(&["artifact", "add", "hello", version, &format!("files/hello-{version}.tar.gz")]).expect(0);
    }
    deploy(&project, "1.0");
    let before = states(hosts);
    let gone = &hosts[1];
    let pause = format!("pause={}", gone.name);
    let running = project.start(&["run", "release.rhai", "--format", "json", "--artifact", "hello=1.1", "--set", &pause]);
    await_file(gone, "/run/test.reached");
    gone.fault("kill");
    let end = running.wait().expect_run(4, "unwound");
    assert_eq!(end["debts"], serde_json::json!([gone.name]), "{end}");
    // Its own boot starts what the link says.
    gone.fault("boot");
    gone.wait_until_up();
    assert_eq!(gone.state().answer, "hello 1.1 is well");
    project.windlass(&["settle"]).expect(0);
    assert_same(&before, hosts);
    serve(hosts, "1.0");
}
