//! What the fault test says of a script happens on real hosts, when the same goes wrong there.

use super::host::Host;
use super::lab::lab;
use super::project::Project;
use serde_json::Value;

/// The deploy of the tests without its check; `after` stands in its place, `before` at the beginning of each host.
fn script(word: &str, before: &str, after: &str) -> String {
    format!(
        "let version = param(\"version\");
let archive = `hello-${{version}}.tar.gz`;
{word} |h| {{
    let root = \"/srv/hello\";
{before}
    h.mkdir(`${{root}}/releases`);
    h.upload(`files/${{archive}}`, `${{root}}/${{archive}}`);
    h.unpack(`${{root}}/${{archive}}`, `${{root}}/releases/${{version}}`);
    h.template(\"hello.conf\", `${{root}}/hello.conf`, #{{ address: h.address, breaks: h.vars.breaks }});
    h.template(\"hello.service\", \"/etc/systemd/system/hello.service\", #{{}});
    h.symlink(`releases/${{version}}`, `${{root}}/current`);
    h.service(\"hello\").enable();
    h.service(\"hello\").restart();
{after}
}});
"
    )
}

const CHECK: &str = "    h.expect_http(`http://${h.address}:8080/healthz`, #{ version: version, within: \"3s\", hold: \"200ms\", unit: \"hello\" });";
const ONE_BY_ONE: &str = "rolling(hosts(\"web\"), #{ batch: 1 },";

/// The line of a script that holds a text, from 1.
fn line(script: &str, part: &str) -> u64 {
    u64::try_from(script.lines().position(|line| line.contains(part)).unwrap()).unwrap() + 1
}

/// What the fault test says of the project's script, when 1.1 comes after 1.0: judge, line and what.
fn breaches(project: &Project) -> Vec<(String, u64, String)> {
    let words = ["test", "--set", "version=1.1", "--live-set", "version=1.0", "--single", "--from", "live", "--format", "json"];
    let events = project.windlass(&words).expect(1).events();
    let text = |event: &Value, name: &str| event[name].as_str().unwrap_or_default().to_owned();
    let found = events.iter().filter(|event| event["event"] == "breach");
    found.map(|event| (text(event, "judge"), event["site"]["line"].as_u64().unwrap_or(0), text(event, "what"))).collect()
}

#[track_caller]
fn is_found(found: &[(String, u64, String)], judge: &str, line: u64, what: &str) {
    assert!(found.iter().any(|breach| breach.0 == judge && breach.1 == line && breach.2.contains(what)), "{found:?}");
}

fn project(hosts: &[Host], script: &str, breaks: impl Fn(&Host) -> &'static str) -> Project {
    let project = Project::new(hosts, breaks);
    std::fs::write(project.dir().join("deploy.rhai"), script).unwrap();
    project
}

#[test]
fn what_nothing_undoes_is_still_there_after_unwinding() {
    let script = script(ONE_BY_ONE, "    h.run(\"touch /etc/hello.registered\");", CHECK);
    let lease = lab().lease(2);
    let hosts = &lease.hosts;
    let project = project(hosts, &script, |host| if host.name == hosts[1].name { "1.1" } else { "" });
    let found = breaches(&project);
    is_found(&found, "end_state", line(&script, "touch"), "nothing undoes `touch /etc/hello.registered`");
    project.deploy("1.0").expect_run(0, "succeeded");
    hosts.iter().for_each(|host| drop(host.say("rm /etc/hello.registered")));
    // 1.1 does not get well on the second host: as in the scenarios `sick`.
    project.deploy("1.1").expect_run(3, "unwound");
    hosts.iter().for_each(|host| host.assert_serves("1.0"));
    hosts.iter().for_each(|host| assert_eq!(host.say("ls /etc/hello.registered"), "/etc/hello.registered"));
}

#[test]
fn a_version_that_nobody_looks_at_succeeds_though_it_is_ill() {
    let script = script(ONE_BY_ONE, "", "");
    let lease = lab().lease(2);
    let hosts = &lease.hosts;
    let project = project(hosts, &script, |_| "1.1");
    let found = breaches(&project);
    is_found(&found, "truth", line(&script, "restart()"), "hello.service is not well: nothing looks at it");
    project.deploy("1.0").expect_run(0, "succeeded");
    project.deploy("1.1").expect_run(0, "succeeded");
    hosts.iter().for_each(|host| assert_eq!(host.state().answer, "hello 1.1 is ill", "{}", host.name));
}

#[test]
fn hosts_that_are_restarted_at_once_are_down_at_once() {
    // It takes a while to start, as services do.
    let slow = "    h.mkdir(\"/etc/systemd/system/hello.service.d\");
    h.write(\"/etc/systemd/system/hello.service.d/slow.conf\", \"[Service]\\nExecStartPre=/bin/sleep 2\\n\");";
    let script = script("parallel(hosts(\"web\"),", slow, CHECK);
    let lease = lab().lease(2);
    let hosts = &lease.hosts;
    let project = project(hosts, &script.replace("within: \"3s\"", "within: \"30s\""), |_| "");
    let found = breaches(&project);
    is_found(&found, "capacity", line(&script, "restart()"), "0 of 2 hosts serve hello.service, and 1 must");
    project.deploy("1.0").expect_run(0, "succeeded");
    project.deploy("1.1").expect_run(0, "succeeded");
    // When it was down the last time, by the clock that the hosts share: from, to, in microseconds.
    let down = |host: &Host| {
        let stamp = |name: &str| -> u64 {
            host.say(&format!("systemctl show -p {name} --value hello"))
                .parse()
                .unwrap_or_else(|_| panic!("{name} of {}", host.name))
        };
        (stamp("ActiveExitTimestampMonotonic"), stamp("ActiveEnterTimestampMonotonic"))
    };
    let times: Vec<(u64, u64)> = hosts.iter().map(down).collect();
    let (from, to) = (times.iter().map(|time| time.0).max().unwrap(), times.iter().map(|time| time.1).min().unwrap());
    assert!(from < to, "no moment at which both were down: {times:?}");
}
