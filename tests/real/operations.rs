//! What primitives promise beside their cases: a host is restarted once, packages are put back or it is said why not, services are
//! kept on hosts without systemd.

use super::case::all;
use super::host::Host;
use super::lab::{lab, lab_command};
use super::project::{Ended, Project};
use super::wait::eventually;
use rustix::process::Signal;

fn script(project: &Project, host: &Host, text: &str) {
    let head = format!("let h = host(\"{}\");\n", host.name);
    std::fs::write(project.dir().join("ops.rhai"), head + text).unwrap();
}

fn run(project: &Project, host: &Host, text: &str) -> Ended {
    script(project, host, text);
    project.windlass(&["run", "ops.rhai"])
}

/// Whether the host keeps something of a run.
fn keeps(host: &Host) -> bool {
    let list = "ls -d /root/.windlass/runs/*/s/*.done";
    lab_command(&["in", &host.name, "sh", "-c", list]).output().is_ok_and(|output| output.status.success())
}

/// Has a host write a line for each of its boots.
fn count_boots(host: &Host) {
    host.say(
        "printf '[Service]\\nType=oneshot\\nExecStart=/bin/sh -c \"echo boot $(ls /srv | grep -c file) >>/srv/boots\"\\n[Install]\\nWantedBy=multi-user.target\\n' >/etc/systemd/system/test-boots.service
         systemctl daemon-reload; systemctl -q enable test-boots",
    );
}

fn count_no_boots(host: &Host) {
    host.say("systemctl -q disable test-boots; rm -rf /etc/systemd/system/test-boots.service /etc/systemd/system/systemd-reboot.service.d; systemctl daemon-reload");
}

#[test]
fn a_host_is_restarted_once_when_the_controller_is_killed() {
    let lease = lab().lease(1);
    let host = &lease.hosts[0];
    let project = Project::new(&lease.hosts, |_| "");
    count_boots(host);
    script(&project, host, "h.reboot(#{ back_within: \"1m\" }); h.write(\"/srv/after\", h.fact(\"boot_id\"));");
    let running = project.start(&["run", "ops.rhai"]);
    eventually("the host keeps from which boot it was asked to leave", || keeps(host));
    running.signal(Signal::KILL);
    assert_eq!(running.wait().code, None);
    project.windlass(&["resume", &project.last_run()]).expect(0);
    host.wait_until_up();
    assert_eq!(host.read("/srv/boots").lines().count(), 1);
    assert_eq!(host.read("/srv/after"), host.say("cat /proc/sys/kernel/random/boot_id"));
    count_no_boots(host);
}

#[test]
fn a_host_is_restarted_again_once_its_files_are_back() {
    let lease = lab().lease(1);
    let host = &lease.hosts[0];
    let project = Project::new(&lease.hosts, |_| "");
    count_boots(host);
    let text = "h.write(\"/srv/file\", \"new\"); h.reboot(#{ back_within: \"1m\" }); fail(\"x\");";
    run(&project, host, text).expect(3);
    host.wait_until_up();
    assert_eq!(host.read("/srv/boots"), "boot 1\nboot 0\n");
    count_no_boots(host);
}

#[test]
fn a_host_that_does_not_come_back_is_a_debt() {
    let lease = lab().lease(1);
    let host = &lease.hosts[0];
    let project = Project::new(&lease.hosts, |_| "");
    count_boots(host);
    host.say("mkdir /etc/systemd/system/systemd-reboot.service.d; printf '[Unit]\\nSuccessAction=poweroff-force\\n' >/etc/systemd/system/systemd-reboot.service.d/off.conf; systemctl daemon-reload");
    let text = "h.write(\"/srv/file\", \"new\"); h.reboot(#{ back_within: \"3s\" });";
    run(&project, host, text).expect(4).says(&["was asked to restart and is not back within 3 s", &host.name]);
    host.fault("boot");
    host.wait_until_up();
    host.say("rm -r /etc/systemd/system/systemd-reboot.service.d; systemctl daemon-reload");
    project.windlass(&["settle"]).expect(0);
    host.wait_until_up();
    assert_eq!(host.read("/srv/boots"), "boot 1\nboot 0\n");
    count_no_boots(host);
}

/// A host with the repository of the cases, and a package whose installation waits for `/run/test.go`.
fn with_repository(host: &Host) {
    let cases = all();
    let case = cases.iter().find(|case| case.primitive() == "packages" && !case.before.is_empty()).unwrap();
    let (repository, _) = case.before.split_once("index; apt-get update").unwrap();
    let slow = "printf '#!/bin/sh\\ntouch /run/test.reached\\nwhile [ ! -e /run/test.go ]; do sleep 0.1; done\\n' >script; deb case-slow 1.0 'Depends: case-lib'";
    host.say(&format!("mkdir -p /srv/r; cd /srv/r; D=$PWD; set -e\n{repository}\n{slow}\nindex; apt-get update -qq"));
}

fn without_repository(host: &Host) {
    host.say(
        "rm -f /etc/apt/apt.conf.d/zz-case; dpkg --purge --force-all $(dpkg-query -W -f '${Package}\\n' 'case-*') 2>&1 || true",
    );
}

fn installed(host: &Host) -> String {
    host.say("dpkg-query -W -f '${db:Status-Abbrev}${Package} ${Version}\\n' 'case-*' 2>/dev/null | grep '^ii' | cut -c 4-")
}

#[test]
fn packages_are_installed_whatever_becomes_of_the_run() {
    let lease = lab().lease(1);
    let host = &lease.hosts[0];
    let project = Project::new(&lease.hosts, |_| "");
    with_repository(host);
    script(&project, host, "h.packages(\"case-slow\");");

    // The SSH server is killed in the middle.
    let running = project.start(&["run", "ops.rhai"]);
    super::lab::await_file(host, "/run/test.reached");
    host.fault("sshd-kill");
    host.touch("/run/test.go");
    running.wait().expect(0);
    assert_eq!(installed(host), "case-lib 1.0\ncase-slow 1.0");
    host.say("dpkg --purge case-slow case-lib; rm /run/test.*");

    // The controller is killed in the middle, and the run is taken back while apt-get still works.
    let running = project.start(&["run", "ops.rhai"]);
    super::lab::await_file(host, "/run/test.reached");
    running.signal(Signal::KILL);
    assert_eq!(running.wait().code, None);
    let unwinding = project.start(&["unwind", &project.last_run()]);
    host.touch("/run/test.go");
    unwinding.wait().expect(3);
    assert_eq!(installed(host), "");
    without_repository(host);
}

#[test]
fn what_keeps_packages_from_being_changed_is_said() {
    let lease = lab().lease(1);
    let host = &lease.hosts[0];
    let project = Project::new(&lease.hosts, |_| "");
    with_repository(host);

    host.say("ln -s /bin/true /usr/local/bin/apk");
    {
        let _away = Without::new(host, &["/usr/bin/apt-get"]);
        let other =
            run(&project, host, "if h.fact(\"package_manager\") != \"apk\" { throw \"apk\"; } h.packages(\"case-tool\");");
        other.expect(1).says(&["the packages of this host are managed by apk, which Windlass does not use yet"]);
    }
    host.say("rm /usr/local/bin/apk");

    host.say("systemd-run -q --unit=test-apt apt-get install -y case-slow");
    super::lab::await_file(host, "/run/test.reached");
    let held = run(&project, host, "h.packages(\"case-tool\", #{ lock_timeout: \"1s\" });").expect(1);
    held.says(&["another program uses the package manager and was not done within 1 s"]);
    script(&project, host, "h.packages(\"case-tool\");");
    let waiting = project.start(&["run", "ops.rhai"]);
    host.touch("/run/test.go");
    waiting.wait().expect(0);

    host.say("touch /var/lib/dpkg/updates/0001; dpkg --purge --no-triggers case-tool 2>/dev/null || true; : >/var/lib/dpkg/updates/0001");
    let broken = run(&project, host, "h.packages(\"case-other\", #{ allow_removals: true });");
    host.say("rm -f /var/lib/dpkg/updates/0001");
    broken.expect(1).says(&["an earlier dpkg was interrupted on this host", "dpkg --configure -a"]);

    // The version that was installed is in no source any more.
    host.say("dpkg --purge case-tool case-other 2>/dev/null; apt-get install -qq -y case-tool >/dev/null");
    host.say("cd /srv/r; sed -i '/^Package: case-tool$/,/^$/s/1\\.0/2.0/' repo/Packages; mkdir x; dpkg-deb -R repo/case-tool_1.0.deb x; sed -i 's/^Version: 1.0/Version: 2.0/' x/DEBIAN/control; rm repo/case-tool_1.0.deb; dpkg-deb -b x repo/case-tool_2.0.deb >/dev/null; rm -r x
        for f in repo/*.deb; do dpkg-deb -f $f; echo \"Filename: ./${f##*/}\"; echo \"Size: $(stat -c %s $f)\"; echo \"SHA256: $(sha256sum $f | cut -d ' ' -f 1)\"; echo; done >repo/Packages; apt-get update -qq");
    script(&project, host, "h.packages(\"case-tool\", #{ state: \"latest\" }); fail(\"x\");");
    let lost = project.windlass(&["run", "--format", "json", "ops.rhai"]);
    lost.says(&["case-tool 1.0 (no source has this version any more: it cannot be put back)"]);
    lost.expect(4).says(&["a version that was installed cannot be had back", "case-tool=1.0"]);
    without_repository(host);
}

/// Programs of a host that are put away, and come back whatever becomes of the test.
struct Without<'a>(&'a Host, &'a [&'a str]);

impl<'a> Without<'a> {
    fn new(host: &'a Host, programs: &'a [&'a str]) -> Self {
        for program in programs {
            std::fs::rename(host.path(program), host.path(&format!("{program}.away"))).unwrap();
        }
        Self(host, programs)
    }
}

impl Drop for Without<'_> {
    fn drop(&mut self) {
        for program in self.1 {
            // A test that failed is not to fail here once more.
            let _ = std::fs::rename(self.0.path(&format!("{program}.away")), self.0.path(program));
        }
    }
}

/// What a script sees of a service.
const SHOW: &str = "fn show(s) { let i = s.status(); [i.active, i.enabled, i.main_pid > 0, i.state] }\n";

#[test]
fn services_of_runit_are_kept() {
    let lease = lab().lease(1);
    let host = &lease.hosts[0];
    let project = Project::new(&lease.hosts, |_| "");
    host.say(
        "mkdir -p /etc/service /etc/sv/demo /etc/sv/ill; printf '#!/bin/sh\\ntrap : HUP\\ntrap \"exit 0\" TERM\\nwhile :; do sleep 0.2; done\\n' >/etc/sv/demo/run
         printf '#!/bin/sh\\necho it is ill >&2\\nexit 1\\n' >/etc/sv/ill/run; chmod 755 /etc/sv/*/run
         systemd-run -q --unit=test-runit /usr/bin/runsvdir /etc/service",
    );
    {
        let _away = Without::new(host, &["/usr/bin/systemctl", "/usr/bin/journalctl"]);
        let state =
            "ls /etc/service; ls -A /etc/sv/demo | grep -v supervise; sv status /etc/service/demo 2>&1 | cut -d : -f 1 || true";
        let before = host.say(state);
        let all = "let s = h.service(\"demo\");
            let seen = [show(s)];
            s.start(); seen.push(show(s));
            s.start(); s.enable(); seen.push(show(s));
            let pid = s.status().main_pid;
            s.reload();
            s.restart(); if s.status().main_pid == pid { throw \"it should have been restarted\"; }
            s.disable(); seen.push(show(s));
            s.stop(); seen.push(show(s));
            s.enable(); seen.push(show(s));
            let wanted = [
                [false, false, false, \"inactive\"], [true, false, true, \"active\"], [true, true, true, \"active\"],
                [true, false, true, \"active\"], [false, false, false, \"inactive\"], [false, true, false, \"inactive\"],
            ];
            if seen != wanted { throw `${seen}`; }\n";
        run(&project, host, &format!("{SHOW}{all} fail(\"x\");")).expect(3);
        assert_eq!(host.say(state), before);
        run(&project, host, &format!("{SHOW}{all}")).expect(0);
        run(&project, host, "h.service(\"demo\").start();").expect(0);
        // What ran runs again, and is not what it was when it was restarted on the way.
        let pid = host.say("cat /etc/service/demo/supervise/pid");
        run(&project, host, "h.service(\"demo\").restart(); fail(\"x\");").expect(3);
        assert_ne!(host.say("cat /etc/service/demo/supervise/pid"), pid);
        run(&project, host, "h.service(\"ill\").start();").expect(3).says(&["ill.service ends"]);
        run(&project, host, "h.service(\"none\").start();").expect(1).says(&["there is no service none.service on this host"]);
        run(&project, host, "h.unit(\"demo\", \"\");").expect(1).says(&["there is no systemd on this host"]);
    }
    host.say("rm -rf /etc/service/*; systemctl stop test-runit; pkill -x runsv; rm -rf /etc/service /etc/sv");
}

#[test]
fn services_with_init_scripts_are_kept() {
    let lease = lab().lease(1);
    let host = &lease.hosts[0];
    let project = Project::new(&lease.hosts, |_| "");
    let init = "#!/bin/sh
### BEGIN INIT INFO
# Provides: demo
# Required-Start:
# Required-Stop:
# Default-Start: 2 3 4 5
# Default-Stop: 0 1 6
# Short-Description: A case
### END INIT INFO
case $1 in
  start) echo starting; start-stop-daemon --start --oknodo --background --make-pidfile --pidfile /run/demo.pid --exec /bin/sleep -- 1000 ;;
  stop) start-stop-daemon --stop --oknodo --retry 5 --remove-pidfile --pidfile /run/demo.pid ;;
  restart) $0 stop; $0 start ;;
  reload) kill -0 \"$(cat /run/demo.pid)\" ;;
  status) start-stop-daemon --status --pidfile /run/demo.pid ;;
esac
";
    std::fs::write(host.path("/etc/init.d/demo"), init).unwrap();
    std::fs::write(host.path("/etc/init.d/ill"), "#!/bin/sh\n[ $1 != status ] || exit 3\n").unwrap();
    std::fs::write(host.path("/etc/init.d/mute"), "#!/bin/sh\nexit 0\n").unwrap();
    host.say("chmod 755 /etc/init.d/demo /etc/init.d/ill /etc/init.d/mute");
    {
        let _away = Without::new(host, &["/usr/bin/systemctl", "/usr/bin/journalctl"]);
        let state = "ls /etc/rc?.d | grep demo; cat /run/demo.pid 2>&1 || true";
        let before = host.say(state);
        let all = "let s = h.service(\"demo\");
            let seen = [show(s)];
            s.start(); seen.push(show(s));
            s.start(); s.enable(); seen.push(show(s));
            let pid = s.status().main_pid;
            s.reload();
            s.restart(); if s.status().main_pid == pid { throw \"it should have been restarted\"; }
            s.disable(); seen.push(show(s));
            s.stop(); seen.push(show(s));
            s.stop(); s.disable(); seen.push(show(s));
            let wanted = [
                [false, false, false, \"inactive\"], [true, false, true, \"active\"], [true, true, true, \"active\"],
                [true, false, true, \"active\"], [false, false, false, \"inactive\"], [false, false, false, \"inactive\"],
            ];
            if seen != wanted { throw `${seen}`; }\n";
        run(&project, host, &format!("{SHOW}{all} fail(\"x\");")).expect(3);
        assert_eq!(host.say(state), before);
        run(&project, host, &format!("{SHOW}{all}")).expect(0);
        run(&project, host, "h.service(\"ill\").start();").expect(3).says(&["ill.service has ended after its start"]);
        run(&project, host, "h.service(\"mute\").status();").expect(1).says(&["/etc/init.d/mute has no `status`"]);
        run(&project, host, "h.service(\"none\").stop(); h.service(\"none\").start();")
            .expect(1)
            .says(&["there is no service none.service"]);
    }
    host.say("update-rc.d -f demo remove; rm /etc/init.d/demo /etc/init.d/ill /etc/init.d/mute");
}

/// Undoes a deploy of somebody who works as `test.plain` and by sudo on one directory.
#[test]
fn what_a_run_does_as_another_user_is_its_own_when_it_is_undone() {
    let lease = lab().lease(1);
    let host = &lease.hosts[0];
    let project = Project::new(&lease.hosts, |_| "");
    host.say(
        "useradd -m test.plain; echo 'test.plain ALL=(ALL) NOPASSWD:ALL' >/etc/sudoers.d/test; chmod 440 /etc/sudoers.d/test
         mkdir -p /home/test.plain/.ssh; cp /root/.ssh/authorized_keys /home/test.plain/.ssh; chown -R test.plain: /home/test.plain/.ssh",
    );
    let environment = format!("class = \"lab\"\n[defaults]\nuser = \"test.plain\"\n[hosts.{}]\n", host.name);
    std::fs::write(project.dir().join("environments/real.toml"), environment).unwrap();
    let config = project.home().join(".ssh/config");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(config, text.replace("User root", "# User root")).unwrap();
    let seen = || {
        host.say("cd /home/test.plain; find . -path ./.windlass -prune -o -path ./.ssh -prune -o -printf '%p %m %u %l\\n' | sort")
    };
    let before = seen();
    let deeds = [
        "h.sudo().write(\"/home/test.plain/app/conf\", \"root's\");",
        "h.sudo().chown(\"/home/test.plain/app/conf\", \"www-data\");",
        "h.sudo().remove(\"/home/test.plain/app/conf\");",
        "h.sudo().move(\"/home/test.plain/app/conf\", \"/home/test.plain/app/conf.old\");",
        "h.sudo().run(\"date >/home/test.plain/app/cache\", #{ undo: \"true\" });",
    ];
    for deed in deeds {
        let text = format!("h.mkdir(\"~/app\"); h.write(\"~/app/conf\", \"mine\"); {deed} fail(\"late\");");
        run(&project, host, &text).expect(3);
        assert_eq!(seen(), before, "{deed}");
    }
    host.say("rm /etc/sudoers.d/test; userdel -r test.plain 2>/dev/null || true; rm -rf /root/.windlass");
}

/// What nobody could change is as it was, and keeps nothing else from being undone.
#[test]
fn what_cannot_be_changed_leaves_no_run_stuck() {
    let lease = lab().lease(1);
    let host = &lease.hosts[0];
    let project = Project::new(&lease.hosts, |_| "");
    std::fs::create_dir_all(project.dir().join("files/several")).unwrap();
    ["a", "b", "c"].iter().for_each(|name| std::fs::write(project.dir().join("files/several").join(name), "new\n").unwrap());
    host.say(
        "mkdir -p /srv/fixed; cd /srv/fixed; for f in a b c; do echo old >$f; done; chattr +i b; echo old >/srv/before
         printf '[Service]\\nExecStart=/bin/false\\nRestart=always\\nRestartSec=1\\nStartLimitIntervalSec=0\\n' >/etc/systemd/system/test-loops.service
         systemctl daemon-reload; systemctl start test-loops",
    );
    let deeds = [
        "h.chmod(\"/srv/fixed/b\", \"0600\");",
        "h.chown(\"/srv/fixed/b\", \"1:1\");",
        "h.upload(\"files/several\", \"/srv/fixed\");",
        "h.service(\"test-loops\").restart();",
    ];
    for deed in deeds {
        run(&project, host, &format!("h.write(\"/srv/before\", \"new\"); {deed}")).expect(3);
        assert_eq!(
            host.say("cat /srv/before /srv/fixed/*; ls -A /srv/fixed | tr '\\n' ' '"),
            "old\nold\nold\nold\na b c",
            "{deed}"
        );
    }
    assert_ne!(host.say("systemctl show -p ActiveState --value test-loops; true").trim(), "inactive");
    host.say("chattr -i /srv/fixed/b; systemctl stop test-loops; rm -rf /srv/fixed /srv/before /etc/systemd/system/test-loops.service; systemctl daemon-reload");
}

/// What an attempt started, and was stopped with it, is not asked for when the rest is undone.
#[test]
fn a_service_of_an_attempt_that_failed_is_not_expected_to_run() {
    let lease = lab().lease(2);
    let host = &lease.hosts[0];
    let project = Project::new(&lease.hosts, |_| "");
    let unit = "[Service]\\nExecStart=/bin/sleep 999\\n";
    for host in &lease.hosts {
        host.say("printf '[Service]\\nExecStart=/bin/sleep 998\\n' >/etc/systemd/system/test-old.service; systemctl daemon-reload; systemctl start test-old");
    }
    let attempt = format!("attempt(|| {{ h.unit(\"test-new\", \"{unit}\"); h.service(\"test-new\").start(); fail(\"x\"); }});");
    let again = format!("h.unit(\"test-new\", \"{unit}\"); h.service(\"test-new\").restart();");
    for body in [
        format!("h.write(\"/srv/q\", \"q\"); {attempt} {again} h.service(\"test-old\").restart(); fail(\"late\");"),
        format!("{attempt} h.service(\"test-old\").restart(); if h.name == \"{}\" {{ fail(\"late\"); }}", lease.hosts[1].name),
    ] {
        run(&project, host, &format!("log(h.name); rolling(hosts(\"all\"), |h| {{ {body} }});")).expect(3);
        for host in &lease.hosts {
            assert_eq!(
                host.say("systemctl is-active test-old; systemctl is-active test-new || true; ls /srv/q 2>/dev/null || true"),
                "active\ninactive"
            );
        }
    }
    for host in &lease.hosts {
        host.say("systemctl stop test-old; rm /etc/systemd/system/test-old.service; systemctl daemon-reload");
    }
}
