//! `h.guarded` where a change really cuts the connection: the host can be reached again, and is as it was.

use super::host::{assert_same, states};
use super::lab::lab;
use super::project::{Ended, Project};

/// sshd listens elsewhere from now on; what is connected stays connected.
const MOVES: &str = r#"
    h.write("/etc/ssh/sshd_config.d/moved.conf", "Port 2\n");
    h.service("ssh").restart();
"#;

fn run_script(project: &Project, block: &str) -> Ended {
    let script = format!(
        "let h = hosts(\"web\")[0];\nh.write(\"/srv/before\", \"x\");\nh.guarded(#{{ confirm_within: \"8s\" }}, || {{{block}}});\nh.write(\"/srv/after\", \"x\");\n"
    );
    std::fs::write(project.dir().join("guarded.rhai"), script).unwrap();
    project.windlass(&["run", "guarded.rhai"])
}

#[test]
fn an_sshd_that_nobody_reaches_any_more_comes_back() {
    let lease = lab().lease(1);
    let host = &lease.hosts[0];
    let project = Project::new(&lease.hosts, |_| "");
    let before = states(&lease.hosts);
    let settings = || host.say("ls /etc/ssh/sshd_config.d; systemctl is-active ssh");
    let was = settings();
    let stopped = "h.run(\"systemctl stop ssh\", #{ undo: \"systemctl start ssh\" });";
    let gone = "h.service(\"ssh\").stop();";
    for block in [MOVES, stopped, gone] {
        let ended = run_script(&project, block).expect(3);
        ended.says(&["has restored itself", "what was there is restored"]);
        assert_same(&before, &lease.hosts);
        assert_eq!(settings(), was, "{block}");
        host.assert_nothing_left("/root");
        assert!(super::lab::lab_command(&["ssh", &host.name, "true"]).status().unwrap().success());
    }
}

#[test]
fn what_a_new_connection_confirms_stays() {
    let lease = lab().lease(1);
    let host = &lease.hosts[0];
    let project = Project::new(&lease.hosts, |_| "");
    let block = "h.write(\"/etc/ssh/sshd_config.d/also.conf\", \"Port 22\\nPort 2\\n\"); h.service(\"ssh\").restart();";
    run_script(&project, block).expect(0);
    assert_eq!(host.read("/srv/after"), "x");
    assert_eq!(host.read("/etc/ssh/sshd_config.d/also.conf"), "Port 22\nPort 2\n");
    assert_eq!(host.say("pgrep -f [w]indlass/runs || true; true"), "");
    host.assert_nothing_left("/root");
    host.say("rm /etc/ssh/sshd_config.d/also.conf; systemctl restart ssh");
}
