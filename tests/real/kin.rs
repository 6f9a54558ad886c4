//! What systemd stops or starts along with the service that a step names, and tasks that work on one service or file of a shared host.

use super::host::Host;
use super::lab::lab;
use super::project::Project;
use std::fmt::Write as _;

/// Units of a case, each with what its file has; those that run, in the order in which they are started; and the script, before it fails.
struct Case {
    units: &'static [(&'static str, &'static str)],
    run: &'static str,
    script: &'static str,
}

const CASES: [Case; 13] = [
    // Its restart fails, and what requires it goes down with it.
    Case {
        units: &[
            (
                "test-a.service",
                "[Service]\nType=notify\nNotifyAccess=all\nExecStart=/bin/sh -c 'grep -q 2 /srv/kin && exit 1; systemd-notify --ready; exec sleep 999'",
            ),
            ("test-b.service", "[Unit]\nRequires=test-a.service\nAfter=test-a.service\n[Service]\nExecStart=/bin/sleep 999"),
            ("test-c.service", "[Unit]\nBindsTo=test-b.service\nAfter=test-b.service\n[Service]\nExecStart=/bin/sleep 999"),
        ],
        run: "test-a test-b test-c",
        script: r#"h.write("/srv/kin", "2\n"); h.service("test-a").restart();"#,
    },
    Case {
        units: &[
            ("test-a.service", "[Service]\nExecStart=/bin/sleep 999"),
            ("test-b.service", "[Unit]\nRequires=test-a.service\n[Service]\nExecStart=/bin/sleep 999"),
        ],
        run: "test-a test-b",
        script: r#"h.service("test-a").stop();"#,
    },
    Case {
        units: &[
            ("test-a.service", "[Unit]\nBindsTo=test-b.service\nAfter=test-b.service\n[Service]\nExecStart=/bin/sleep 999"),
            ("test-b.service", "[Service]\nExecStart=/bin/sleep 999"),
            ("test-t@.service", "[Unit]\nPartOf=test-b.service\n[Service]\nExecStart=/bin/sleep 999"),
        ],
        run: "test-b test-a test-t@1",
        script: r#"h.service("test-b").restart(); h.service("test-b").stop();"#,
    },
    Case {
        units: &[
            ("test-a.service", "[Service]\nExecStart=/bin/sleep 999"),
            ("test-b.service", "[Unit]\nConflicts=test-a.service\n[Service]\nExecStart=/bin/sleep 999"),
        ],
        run: "test-a",
        script: r#"h.service("test-b").start();"#,
    },
    // Of what a target wants, one ran already.
    Case {
        units: &[
            ("test-x.target", "[Unit]\nWants=test-a.service test-b.service"),
            ("test-a.service", "[Unit]\nPartOf=test-x.target\n[Service]\nExecStart=/bin/sleep 999"),
            ("test-b.service", "[Unit]\nPartOf=test-x.target\n[Service]\nExecStart=/bin/sleep 999"),
        ],
        run: "test-b",
        script: r#"h.service("test-x.target").start();"#,
    },
    // What a person had stopped is started along.
    Case {
        units: &[
            ("test-x.target", "[Unit]\nWants=test-t@1.service test-t@2.service"),
            ("test-t@.service", "[Unit]\nPartOf=test-x.target\n[Service]\nExecStart=/bin/sleep 999"),
        ],
        run: "test-x.target; systemctl stop test-t@2",
        script: r#"h.service("test-x.target").restart();"#,
    },
    Case {
        units: &[
            ("test-a.service", "[Service]\nExecStart=/bin/sleep 999"),
            ("test-b.service", "[Unit]\nRequires=test-a.service\nWants=test-b.socket\n[Service]\nExecStart=/bin/sleep 999"),
            ("test-b.socket", "[Socket]\nListenStream=/run/test-b.sock"),
        ],
        run: "",
        script: r#"h.service("test-b").start();"#,
    },
    // As is advised where a service has its socket.
    Case {
        units: &[
            ("test-a.service", "[Service]\nExecStart=/bin/sleep 999"),
            ("test-a.socket", "[Socket]\nListenStream=/run/test-a.sock"),
        ],
        run: "test-a.socket test-a.service",
        script: r#"h.unit("test-a.socket", "[Socket]\nListenStream=/run/test-a2.sock\n"); h.service("test-a").stop();
            h.service("test-a.socket").restart(); h.service("test-a").start();"#,
    },
    // What goes along is named as well: stopped, changed and started, in the usual order.
    Case {
        units: &[
            ("test-a.service", "[Service]\nExecStart=/bin/sleep 999"),
            ("test-b.service", "[Unit]\nRequires=test-a.service\nAfter=test-a.service\n[Service]\nExecStart=/bin/sleep 999"),
        ],
        run: "test-a test-b",
        script: r#"h.service("test-a").stop(); h.write("/srv/kin", "2\n"); h.service("test-a").start(); h.service("test-b").start();"#,
    },
    Case {
        units: &[
            ("test-a.service", "[Unit]\nWants=test-b.service\n[Service]\nExecStart=/bin/sleep 999"),
            ("test-b.service", "[Service]\nExecStart=/bin/sleep 999"),
        ],
        run: "",
        script: r#"h.service("test-a").start(); h.service("test-b").restart();"#,
    },
    // It was named in an `attempt`, which is undone.
    Case {
        units: &[
            ("test-a.service", "[Service]\nExecStart=/bin/sleep 999"),
            ("test-b.service", "[Unit]\nRequires=test-a.service\n[Service]\nExecStart=/bin/sleep 999\nExecStop=/bin/sleep 1"),
        ],
        run: "test-a test-b",
        script: r#"attempt(|| { h.service("test-b").restart(); fail("no") }); h.service("test-a").stop();"#,
    },
    // A socket goes along, and its service has it.
    Case {
        units: &[
            ("test-a.service", "[Service]\nExecStart=/bin/sleep 999"),
            ("test-b.service", "[Service]\nExecStart=/bin/sleep 999"),
            ("test-b.socket", "[Unit]\nPartOf=test-a.service\n[Socket]\nListenStream=/run/test-b.sock"),
        ],
        run: "test-a test-b.socket test-b.service",
        script: r#"h.service("test-a").stop();"#,
    },
    // One that its manager starts again and again is mended, and is as it was then.
    Case {
        units: &[(
            "test-a.service",
            "[Unit]\nStartLimitIntervalSec=0\n[Service]\nExecStart=/bin/false\nRestart=always\nRestartSec=2",
        )],
        run: "test-a; sleep 0.5",
        script: r#"h.unit("test-a", "[Service]\nExecStart=/bin/sleep 999\n"); h.service("test-a").restart();"#,
    },
];

/// How all units of cases are; what is started again and again is on its way up, or has just failed.
fn states(host: &Host) -> String {
    let units = "test-a test-b test-c test-t@1 test-t@2 test-x.target test-a.socket test-b.socket";
    let each = format!("for u in {units}; do echo $u $(systemctl is-active $u); done");
    host.say(&each).replace(" failed", " activating")
}

fn clear(host: &Host) {
    host.say(
        "cd /etc/systemd/system; systemctl stop 'test-*' test-a.socket test-b.socket 2>/dev/null; rm -rf test-* /srv/kin /srv/f; systemctl daemon-reload
         systemctl reset-failed; true",
    );
}

#[test]
fn what_systemd_stops_or_starts_along_with_a_service_is_as_before() {
    let lease = lab().lease(1);
    let host = &lease.hosts[0];
    let project = Project::new(&lease.hosts, |_| "");
    for case in &CASES {
        clear(host);
        let mut setup = "echo 1 >/srv/kin\n".to_owned();
        for (name, text) in case.units {
            write!(setup, "cat >/etc/systemd/system/{name} <<'END'\n{text}\nEND\n").unwrap();
        }
        writeln!(setup, "systemctl daemon-reload").unwrap();
        if !case.run.is_empty() {
            writeln!(setup, "systemctl start {}", case.run).unwrap();
        }
        host.say(&setup);
        let before = states(host);
        let script = format!("let h = host(\"{}\"); {} fail(\"enough\");", host.name, case.script);
        std::fs::write(project.dir().join("kin.rhai"), script).unwrap();
        let ended = project.windlass(&["run", "kin.rhai"]).expect(3);
        assert_eq!(states(host), before, "{}\n{ended}", case.script);
    }
    clear(host);
}

#[test]
fn what_ran_without_being_enabled_runs_behind_a_restart_of_its_host_that_is_undone() {
    let lease = lab().lease(1);
    let host = &lease.hosts[0];
    let project = Project::new(&lease.hosts, |_| "");
    clear(host);
    for name in ["test-a", "test-b", "test-c"] {
        host.say(&format!("printf '[Service]\\nExecStart=/bin/sleep 999\\n' >/etc/systemd/system/{name}.service"));
    }
    host.say("systemctl daemon-reload; systemctl start test-a test-b");
    let before = states(host);
    // One of the two is known to the run by another step as well, and a third one runs since the run has started it.
    let script = format!(
        "let h = host(\"{}\"); h.write(\"/srv/f\", \"1\"); h.service(\"test-b\").restart(); h.service(\"test-c\").start(); h.reboot(); h.write(\"/srv/kin\", \"1\"); fail(\"enough\");",
        host.name
    );
    std::fs::write(project.dir().join("kin.rhai"), script).unwrap();
    let ended = project.windlass(&["run", "kin.rhai"]).expect(3);
    host.wait_until_up();
    assert_eq!(states(host), before, "{ended}");
    clear(host);
}

#[test]
fn tasks_that_restart_one_service_of_a_host_do_not_take_each_other_for_its_end() {
    let lease = lab().lease(3);
    let host = &lease.hosts[0];
    let project = Project::new(&lease.hosts, |_| "");
    clear(host);
    host.say(
        "echo orig >/srv/kin; printf '[Service]\\nExecStart=/bin/sh -c \"cat /srv/kin >/run/kin.served; exec sleep 999\"\\n' >/etc/systemd/system/test-a.service
         systemctl daemon-reload; systemctl start test-a",
    );
    let script = format!(
        "parallel(hosts(\"all\"), |h| {{ let lb = host(\"{}\"); lb.line(\"/srv/kin\", #{{ line: h.name }}); lb.service(\"test-a\").restart(); }}); fail(\"enough\");",
        host.name
    );
    std::fs::write(project.dir().join("kin.rhai"), script).unwrap();
    for _ in 0..4 {
        let ended = project.windlass(&["run", "kin.rhai"]).expect(3);
        assert!(!ended.out.contains("FAILED     service"), "{ended}");
        // It runs from the file as it is by now, whichever task put that back last.
        assert_eq!([host.read("/srv/kin"), host.read("/run/kin.served")], ["orig\n", "orig\n"], "{ended}");
        assert_eq!(host.say("systemctl is-active test-a").trim(), "active", "{ended}");
    }
    clear(host);
}

#[test]
fn tasks_that_write_one_file_of_a_host_at_the_same_time_leave_nothing_of_it() {
    let lease = lab().lease(3);
    let host = &lease.hosts[0];
    let project = Project::new(&lease.hosts, |_| "");
    clear(host);
    for content in ["h.name", "\"same\""] {
        let script =
            format!("parallel(hosts(\"all\"), |h| host(\"{}\").write(\"/srv/f\", {content})); fail(\"enough\");", host.name);
        std::fs::write(project.dir().join("kin.rhai"), script).unwrap();
        for _ in 0..5 {
            let ended = project.windlass(&["run", "kin.rhai"]).expect(3);
            assert_eq!(host.say("ls -A /srv").trim(), "", "{ended}");
        }
    }
    clear(host);
}
