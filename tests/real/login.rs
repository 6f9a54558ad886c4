//! Host keys and login keys that are not right: nothing is changed, and the error says what to do.

use super::host::{assert_same, states};
use super::lab::lab;
use super::project::{Ended, Project};
use std::process::Command;

/// Runs once with what was spoiled, on a host that must not notice.
fn run_with(spoil: impl FnOnce(&Project, &str)) -> Ended {
    let lease = lab().lease(1);
    let before = states(&lease.hosts);
    let project = Project::new(&lease.hosts, |_| "");
    spoil(&project, &lease.hosts[0].name);
    let ended = project.windlass(&["run", "--set", "version=1.0"]).expect(1);
    assert_same(&before, &lease.hosts);
    ended.says(&[&lease.hosts[0].name, "failed before it changed anything"]);
    ended
}

/// Rewrites the line of a host in `known_hosts`, or drops it.
fn rewrite(project: &Project, host: &str, line: impl Fn(&str) -> Option<String>) {
    let known = std::fs::read_to_string(project.known_hosts()).unwrap();
    let of_host = format!("{host},");
    let lines = known.lines().filter_map(|text| if text.starts_with(&of_host) { line(text) } else { Some(text.to_owned()) });
    std::fs::write(project.known_hosts(), lines.map(|line| line + "\n").collect::<String>()).unwrap();
}

#[test]
fn an_unknown_host_key_is_refused() {
    let ended = run_with(|project, host| rewrite(project, host, |_| None));
    ended.says(&["is not known", "SHA256:", "ssh-keyscan"]);
}

#[test]
fn a_changed_host_key_is_refused() {
    let ended = run_with(|project, host| {
        let known = std::fs::read_to_string(project.known_hosts()).unwrap();
        let other = known.lines().find(|line| !line.starts_with(host)).and_then(|line| line.split(' ').nth(2)).unwrap();
        rewrite(project, host, |line| {
            let mut words: Vec<&str> = line.split(' ').collect();
            words[2] = other;
            Some(words.join(" "))
        });
    });
    ended.says(&["is not the one that", "known_hosts:", "ssh-keygen -R"]);
}

#[test]
fn a_wrong_login_key_is_named() {
    let ended = run_with(|project, _| {
        let key = project.home().join(".ssh/id_other");
        let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key).status().unwrap();
        assert!(made.success());
        let config = project.home().join(".ssh/config");
        let text = std::fs::read_to_string(&config).unwrap();
        std::fs::write(config, text.replace(&lab().dir.join("id_ed25519").display().to_string(), &key.display().to_string()))
            .unwrap();
    });
    ended.says(&["lets no key in for the user root", "id_other", "authorized_keys"]);
}
