//! Commands and hosts that behave badly: what is said of it, what it ends as, and that nothing is left.

use super::host::{assert_same, states};
use super::lab::lab;
use super::project::{Ended, Project};

fn run_script(project: &Project, words: &[&str], script: &str) -> Ended {
    std::fs::write(project.dir().join("hostile.rhai"), script).unwrap();
    project.windlass(&[&["run"], words, &["hostile.rhai"]].concat())
}

#[test]
fn much_output_and_bytes_are_kept_within_bounds() {
    let lease = lab().lease(1);
    let host = &lease.hosts[0];
    let project = Project::new(&lease.hosts, |_| "");
    let script = r#"
        let h = hosts("all")[0];
        let bytes = h.probe("head -c 300000 /dev/urandom; printf '\\0end'");
        if !bytes.stdout.ends_with("end") { fail("bytes were lost"); }
        let much = h.run("head -c 60000000 /dev/zero | tr '\\0' x; head -c 30000000 /dev/zero | tr '\\0' y >&2", #{ again: "safe" });
        log(`kept ${much.stdout.len()} and ${much.stderr.len()}, cut: ${much.truncated}`);
    "#;
    run_script(&project, &[], script).expect(0).says(&["kept 1048576 and 1048576, cut: true"]);
    host.assert_nothing_left("/root");

    // More than the disk holds: the command is told so, and what it wrote goes.
    let before = states(&lease.hosts);
    let script =
        r#"let h = hosts("all")[0]; h.write("/srv/note", "new"); h.run("head -c 1073741824 /dev/zero", #{ undo: "true" });"#;
    run_script(&project, &[], script).expect(3).says(&["No space left on device", "was unwound"]);
    assert_same(&before, &lease.hosts);
    host.assert_nothing_left("/root");
}

#[test]
fn what_commands_print_does_not_command_a_terminal() {
    let lease = lab().lease(1);
    let project = Project::new(&lease.hosts, |_| "");
    let script = r#"
        let said = hosts("all")[0].probe("printf '\\033]0;owned\\007\\033[2J one \\302\\233 31m \\342\\200\\256 two\\r\\n'");
        log(said.stdout);
        hosts("all")[0].run("printf '\\033[2J three \\302\\233 31m' >&2; exit 3", #{ undo: "true" });
    "#;
    for words in [&["-v"][..], &["--format", "json"]] {
        let ended = run_script(&project, words, script).expect(3);
        for text in [&ended.out, &ended.err] {
            assert!(!text.contains(|c: char| (c.is_control() && c != '\n') || c == '\u{202e}'), "{text:?}");
        }
        assert!(ended.out.contains("three") || ended.err.contains("three"), "{ended}");
    }
}

#[test]
fn a_tmp_where_nothing_may_be_run_does_not_matter() {
    let lease = lab().lease(1);
    let host = &lease.hosts[0];
    let project = Project::new(&lease.hosts, |_| "");
    host.say("mount -t tmpfs -o noexec,nosuid,nodev tmpfs /tmp");
    let ended = project.deploy("1.0");
    host.say("umount /tmp");
    ended.expect_run(0, "succeeded");
    host.assert_serves("1.0");
}

#[test]
fn who_may_not_become_root_is_told_before_anything_happens() {
    let lease = lab().lease(1);
    let host = &lease.hosts[0];
    let project = Project::new(&lease.hosts, |_| "");
    host.say("useradd -m test.plain && mkdir -p ~test.plain/.ssh && cp /root/.ssh/authorized_keys ~test.plain/.ssh/ && chown -R test.plain ~test.plain/.ssh && echo test.plain:right | chpasswd");
    let environment = format!("class = \"lab\"\n[defaults]\nuser = \"test.plain\"\nsudo = true\n[hosts.{}]\n", host.name);
    std::fs::write(project.dir().join("environments/plain.toml"), environment).unwrap();
    std::fs::write(project.dir().join("hostile.rhai"), r#"hosts("all")[0].write("/srv/note", "new");"#).unwrap();
    let run = ["run", "-e", "plain", "hostile.rhai"];
    project.windlass(&run).expect(1).says(&[&host.name, "sudo", "-K"]);

    let ask = ["run", "-K", "-e", "plain", "hostile.rhai"];
    let sudoers = "/etc/sudoers.d/test";
    host.say(&format!("echo 'test.plain ALL=(ALL) ALL' >{sudoers}; chmod 440 {sudoers}"));
    project.start_at_terminal("wrong\n", &ask).wait().expect(1).says(&[&host.name, "password"]);
    assert!(!host.path("/srv/note").exists());
    project.start_at_terminal("right\n", &ask).wait().expect(0);
    assert_eq!(host.read("/srv/note"), "new");
    host.say(&format!("rm {sudoers}; userdel -r test.plain 2>/dev/null || true"));
}

#[test]
fn what_a_command_wrote_comes_back_on_a_disk_that_it_has_filled() {
    let lease = lab().lease(1);
    let host = &lease.hosts[0];
    let project = Project::new(&lease.hosts, |_| "");
    host.say("head -c 60000000 /dev/urandom >/srv/data; chmod 640 /srv/data");
    let before = states(&lease.hosts);
    let script = r#"hosts("all")[0].run("head -c 50000000 /dev/zero >/srv/data; cat /dev/zero >/srv/filler", #{ writes: ["/srv/data"] });"#;
    run_script(&project, &[], script).expect(3).says(&["No space left on device"]);
    host.say("rm /srv/filler");
    assert_same(&before, &lease.hosts);
    host.assert_nothing_left("/root");
}
