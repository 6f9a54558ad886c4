//! Hosts whose sshd forbids forwarding: what is looked at by a program on the host instead, and what a preflight says of it.

use super::host::Host;
use super::lab::lab;
use super::project::Project;

const SETTINGS: &str = "/etc/ssh/sshd_config.d/no-forwarding.conf";

/// Takes effect for connections that are made from now on.
fn forbid(host: &Host) {
    host.say(&format!("echo 'AllowTcpForwarding no' >{SETTINGS} && systemctl reload ssh"));
}

/// A host of a test is not made anew.
struct Allowed<'a>(&'a Host);

impl Drop for Allowed<'_> {
    fn drop(&mut self) {
        self.0.say(&format!("rm -f {SETTINGS}; systemctl reload ssh"));
    }
}

#[test]
fn a_program_on_the_host_looks_where_forwarding_is_forbidden() {
    let lease = lab().lease(2);
    let [closed, open] = &lease.hosts[..] else { panic!("two hosts were leased") };
    let project = Project::new(&lease.hosts, |_| "");
    project.deploy("1.0").expect_run(0, "succeeded");
    let _allowed = Allowed(closed);
    forbid(closed);

    // The deploy checks by HTTP: it goes on without a tunnel.
    project.deploy("1.1").expect_run(0, "succeeded");
    closed.assert_serves("1.1");

    let looks = "rolling(hosts(\"web\"), |h| {\n\
        let url = `http://${h.address}:8080/healthz`;\n\
        let held = h.expect_http(url, #{ within: \"5s\", body: \"1.1\" }).found;\n\
        log(h.name + \" http \" + held);\n\
        log(h.name + \" tcp \" + h.expect_tcp(8080, #{ address: h.address, within: \"5s\" }).found);\n\
        log(h.name + \" direct \" + h.expect_http(url, #{ via: \"controller\", within: \"5s\" }).found);\n\
    });\n";
    std::fs::write(project.dir().join("looks.rhai"), looks).unwrap();
    let (closed, open) = (&closed.name, &open.name);
    project.windlass(&["run", "looks.rhai"]).expect(0).says(&[
        &format!("{closed} http status 200 (asked on {closed} by "),
        &format!("{closed} tcp connected (on {closed} by "),
        &format!("{open} http status 200 (asked from {open})"),
        &format!("{open} tcp connected (from {open})"),
        &format!("{closed} direct status 200 (asked from the controller)"),
    ]);

    let fails = "host(param(\"name\")).expect_http(\"http://127.0.0.1:1/\", #{ within: \"1s\" });\n";
    std::fs::write(project.dir().join("fails.rhai"), fails).unwrap();
    let told = format!("(asked on {closed} by ");
    project
        .windlass(&["run", "fails.rhai", "--set", &format!("name={closed}")])
        .expect(1)
        .says(&[&told, "its sshd lets no connection through"]);
}

#[test]
fn a_preflight_tells_of_all_that_all_hosts_lack() {
    let lease = lab().lease(3);
    let [closed, gone, well] = &lease.hosts[..] else { panic!("three hosts were leased") };
    let project = Project::new(&lease.hosts, |_| "");
    let _allowed = Allowed(closed);
    forbid(closed);
    gone.fault("kill");
    let script = "preflight(hosts(\"web\"), #{ forwarding: true, sudo: true, commands: [\"tar\", \"no-such\"], disk_free: #{ \"/srv/x\": \"1KB\" }, ports_free: [22], writable: [\"/srv\"] });\n\
        hosts(\"web\")[0].write(\"/srv/late\", \"x\");\n";
    std::fs::write(project.dir().join("preflight.rhai"), script).unwrap();
    let (c, g, w) = (&closed.name, &gone.name, &well.name);
    let ended = project.windlass(&["run", "preflight.rhai"]).expect(1);
    gone.fault("boot");
    gone.wait_until_up();
    ended.says(&[
        "3 of 3 hosts are not ready:",
        &format!("{c}  ports_free  something listens on 22"),
        &format!("{c}  commands    not there: no-such"),
        &format!("{c}  forwarding  its sshd forbids it"),
        &format!("{g}  reach       {g} cannot be reached"),
        &format!("{w}  ports_free  something listens on 22"),
        "failed before it changed anything",
    ]);
    // Who logs in as root needs no sudo for it.
    assert!(!ended.err.contains(" sudo "), "{}", ended.err);
    assert!(!closed.path("/srv/late").exists());
}
