//! Connections and hosts that are not as one would like: a clear error, the right exit code, nothing half done; or it works.

use super::host::heal;
use super::lab::{await_file, lab_sh};
use super::site::{PORT, Site};
use std::io::Write as _;

/// A name that an ssh_config may have for the host as seen by itself.
const ITSELF: &str = "127.0.0.1";

#[test]
fn nobody_listens() {
    let site = Site::without_server();
    site.assert_refused(&["cannot be reached", &format!("connection to {}:{PORT} failed", site.address), "refused"]);
}

#[test]
fn every_packet_is_dropped() {
    let site = Site::new("");
    site.ssh_config("  ConnectTimeout 1");
    site.host().fault("cut");
    site.assert_refused(&["cannot be reached", "timed out"]);
    heal(site.host());
    site.assert_deploys("/root");
}

#[test]
fn something_accepts_and_says_nothing() {
    let site = Site::without_server();
    site.ssh_config("  ConnectTimeout 1");
    site.host().say(&format!("mkfifo /run/test.fifo; setsid sh -c 'exec 3<>/run/test.fifo; exec busybox nc -l -p {PORT} <&3' >/dev/null 2>&1 & until grep -q :08AE /proc/net/tcp /proc/net/tcp6; do sleep 0.02; done"));
    site.assert_refused(&["the SSH handshake failed: no answer in time", "is the host hung"]);
    site.host().say("pkill -x busybox || true; rm /run/test.fifo");
}

#[test]
fn something_else_than_ssh_answers() {
    let site = Site::without_server();
    site.host().say(&format!("setsid busybox nc -ll -p {PORT} -e echo 'HTTP/1.0 400 Bad Request' >/dev/null 2>&1 & until grep -q :08AE /proc/net/tcp /proc/net/tcp6; do sleep 0.02; done"));
    site.assert_refused(&["the SSH handshake failed", "does an SSH server listen"]);
    site.host().say("pkill -x busybox || true");
}

#[test]
fn a_host_that_freezes_in_the_middle_is_a_debt() {
    let site = Site::new("");
    site.ssh_config("  ServerAliveInterval 1\n  ServerAliveCountMax 2\n  ConnectTimeout 2");
    let script = "let h = hosts(\"all\")[0];\nh.write(\"/root/half\", \"done\\n\");\nh.run(\"touch /run/test.reached; until [ -e /run/test.go ]; do sleep 0.02; done; echo ran >>/run/test.ran\", #{ again: \"safe\" });\n";
    site.write(&site.project.dir().join("deploy.rhai"), script);
    let running = site.project.start(&["run"]);
    await_file(site.host(), "/run/test.reached");
    lab_sh(&["hang", &site.host().name]);
    let ended = running.wait().expect(4);
    ended.says(&["box", "not reachable", "windlass settle"]);
    site.host().touch("/run/test.go");
    heal(site.host());
    site.project.windlass(&["settle"]).expect(0);
    assert!(!site.host().path("/root/half").exists());
}

#[test]
fn login_shells_are_what_they_are() {
    let site = Site::new("");
    for (name, shell) in [("fishy", "/usr/bin/fish"), ("tcshy", "/bin/tcsh"), ("cshy", "/bin/csh"), ("dashy", "/bin/sh")] {
        site.account(name, shell);
        site.ssh_config(&format!("  User {name}"));
        site.assert_deploys(&format!("/home/{name}"));
    }
    // They all greet whoever logs in, whatever for.
    for (name, shell, file, line) in [
        ("bashful", "/bin/bash", ".bashrc", "echo WELCOME; echo welcome >&2; printf 'no end of line'"),
        ("fishes", "/usr/bin/fish", ".config/fish/config.fish", "echo WELCOME; echo welcome >&2"),
        ("tcshes", "/bin/tcsh", ".cshrc", "echo WELCOME; alias rm 'rm -i'; set noclobber"),
    ] {
        site.account(name, shell);
        let place = format!("/home/{name}/{file}");
        site.host().say(&format!("mkdir -p $(dirname {place}); chown -R {name} /home/{name}"));
        site.write(&site.host().path(&place), &format!("{line}\n"));
        site.ssh_config(&format!("  User {name}"));
        site.assert_deploys(&format!("/home/{name}"));
    }
}

#[test]
fn an_account_without_a_shell_is_refused() {
    let site = Site::new("");
    for (name, shell, said) in
        [("nologin", "/usr/sbin/nologin", "This account is currently not available"), ("false", "/bin/false", "")]
    {
        site.account(name, shell);
        site.ssh_config(&format!("  User {name}"));
        site.assert_refused(&["box", "shell", said]);
    }
}

#[test]
fn a_server_prints_a_banner() {
    let site = Site::without_server();
    site.write(&site.host().path("/run/test.sshd/banner"), "Property of nobody.\nGo away.\n");
    site.start_server("Banner /run/test.sshd/banner\nPrintMotd yes");
    site.assert_deploys("/root");
}

#[test]
fn a_forced_command_is_found_out() {
    for (command, said) in
        [("echo only backups here", "only backups here"), ("internal-sftp", "its shell ended"), ("exit 3", "its shell ended")]
    {
        let site = Site::new(&format!("ForceCommand {command}"));
        site.assert_refused(&["box", said, "force a command"]);
    }
}

#[test]
fn a_forced_command_that_runs_what_was_asked_for_works() {
    let site = Site::new("ForceCommand exec $SHELL -c \"$SSH_ORIGINAL_COMMAND\"");
    site.assert_deploys("/root");
}

#[test]
fn forwarding_is_forbidden() {
    let site = Site::new("AllowTcpForwarding no");
    site.assert_deploys("/root");
    // As a host on the way it is of no use, and says why.
    let config = site.read(&site.key("config"));
    let inner = format!("Host inner\n  HostName {ITSELF}\n  Port {PORT}\n  HostKeyAlias box\n  ProxyJump box\n  User root\n");
    site.write(&site.key("config"), &format!("{inner}{config}"));
    site.write(&site.project.dir().join("environments/real.toml"), "class = \"lab\"\n[hosts.inner]\n");
    site.run().expect(1).says(&["inner", "forbids forwarding", "ProxyJump"]);
}

#[test]
fn hosts_on_the_way_are_passed() {
    let site = Site::new("");
    let config = site.read(&site.key("config"));
    let way =
        format!("Host inner\n  HostName {ITSELF}\n  Port {PORT}\n  HostKeyAlias box\n  ProxyJump box,middle\n  User root\n");
    let middle = format!("Host middle\n  HostName {}\n  Port {PORT}\n  User root\n", site.address);
    let keys = format!("Host *\n  IdentityFile {}\n", site.key("id").display());
    site.write(&site.key("config"), &format!("{way}{middle}{config}{keys}"));
    let known = site.project.known_hosts();
    site.write(&known, &format!("{}box {}\n", site.read(&known), site.host_key()));
    site.write(&site.project.dir().join("environments/real.toml"), "class = \"lab\"\n[hosts.inner]\n");
    site.assert_deploys("/root");
}

#[test]
fn one_session_is_all_there_is() {
    let site = Site::new("MaxSessions 1");
    site.assert_deploys("/root");
}

#[test]
fn keys_are_renewed_all_the_time() {
    let site = Site::new("RekeyLimit 1M");
    let mut file = std::fs::File::create(site.project.dir().join("files/big")).unwrap();
    for n in 0..20 * 1024_u32 {
        let block: Vec<u8> = (0..1024_u32).map(|m| u8::try_from((n * 31 + m * 7) % 251).unwrap()).collect();
        file.write_all(&block).unwrap();
    }
    let script = "let h = hosts(\"all\")[0];\nh.upload(\"files/big\", \"/root/big\");\nlet r = h.run(\"cat /root/big | head -c 900000\");\n";
    site.write(&site.project.dir().join("deploy.rhai"), script);
    for lines in ["", "  Compression yes", "  Ciphers aes256-ctr\n  MACs hmac-sha2-256\n  KexAlgorithms ecdh-sha2-nistp256"] {
        site.ssh_config(lines);
        site.run().expect(0);
        assert!(
            std::fs::read(site.host().path("/root/big")).unwrap() == std::fs::read(site.project.dir().join("files/big")).unwrap()
        );
        site.host().say("rm /root/big");
    }
}

#[test]
fn the_clock_of_the_host_is_wrong() {
    let library = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";
    for offset in ["-10000d", "+10000d"] {
        let site = Site::without_server();
        let library = if site.host().path(library).exists() {
            library.to_owned()
        } else {
            site.host().say("ls /usr/lib/*/faketime/libfaketimeMT.so.1")
        };
        site.start_server(&format!("SetEnv LD_PRELOAD={library} FAKETIME={offset}"));
        let year = "let h = hosts(\"all\")[0];\nlet y = h.run(\"date +%Y\", #{ undo: \"true\" }).lines[0];\nif y.parse_int() > 2010 && y.parse_int() < 2035 { throw \"it is right\"; }\n";
        let script = site.read(&site.project.dir().join("deploy.rhai"));
        site.write(&site.project.dir().join("deploy.rhai"), &format!("{year}{script}"));
        site.assert_deploys("/root");
    }
}

/// A directory of programs that is all there is in the PATH of whoever logs in.
fn server_with_programs(site: &Site, fill: &str) {
    let script = format!("mkdir -p /run/test.sshd/bin && cd /run/test.sshd/bin && {fill}");
    site.host().say(&script);
    site.start_server("SetEnv PATH=/run/test.sshd/bin");
}

#[test]
fn a_busybox_host_is_a_host() {
    let site = Site::without_server();
    // Its sh takes the place of the usual one, for root alone.
    server_with_programs(&site, "for n in $(busybox --list); do ln -s /bin/busybox $n; done");
    site.account("boxer", "/run/test.sshd/bin/sh");
    site.host().say("cp /bin/sh /bin/sh.kept; cp /bin/busybox /bin/sh.new; mv -f /bin/sh.new /bin/sh");
    site.ssh_config("  User boxer");
    let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| site.assert_deploys("/home/boxer")));
    site.host().say("mv -f /bin/sh.kept /bin/sh");
    if let Err(panic) = ended {
        std::panic::resume_unwind(panic);
    }
}

#[test]
fn a_missing_program_is_named() {
    for (program, code) in [("sha256sum", 3), ("tar", 3)] {
        let site = Site::without_server();
        let fill = format!("for d in /bin /usr/bin; do for f in $d/*; do ln -sf $f .; done; done; rm {program}");
        server_with_programs(&site, &fill);
        let before = site.tree("/root");
        site.run().expect(code).says(&["box", program, "not found"]);
        assert_eq!(site.tree("/root"), before);
    }
}

#[test]
fn a_command_makes_the_connection() {
    let site = Site::new("");
    let config = site.key("config").display().to_string();
    // The bastion is the host itself; its `ssh` is that of this machine.
    let inner = |proxy: &str| {
        let known = format!("box {}\n", site.host_key());
        let file = site.project.known_hosts();
        site.write(&file, &format!("{}{known}", site.read(&file)));
        format!(
            "Host inner\n  HostName {ITSELF}\n  Port {PORT}\n  HostKeyAlias box\n  User root\n  IdentityFile {}\n  ProxyCommand {proxy}\n",
            site.key("id").display()
        )
    };
    site.ssh_config(&format!("  UserKnownHostsFile {}", site.project.known_hosts().display()));
    let bastion = site.read(&site.key("config"));
    site.write(&site.project.dir().join("environments/real.toml"), "class = \"lab\"\n[hosts.inner]\n");
    site.write(&site.key("config"), &format!("{}{bastion}", inner(&format!("ssh -q -F {config} -W %h:%p box"))));
    site.assert_deploys("/root");
    site.host().say("rm -rf /root/box");
    site.write(&site.key("config"), &format!("{}{bastion}", inner("echo no way to %n >&2; exit 1")));
    site.assert_refused(&["the SSH handshake failed", "ProxyCommand says: no way to inner"]);
    site.write(&site.key("config"), &format!("{}{bastion}", inner("sleep 100")).replace("ConnectTimeout 5", "ConnectTimeout 1"));
    site.assert_refused(&["no answer in time", "ProxyCommand"]);
}

#[test]
fn what_may_be_agreed_on_is_said_with_its_line() {
    let site = Site::new("Ciphers aes256-gcm@openssh.com,aes256-ctr\nMACs hmac-sha2-512");
    site.ssh_config("  Ciphers chacha20-poly1305@openssh.com,aes256-ctr\n  MACs -hmac-sha1\n  HostKeyAlgorithms ^ssh-ed25519");
    site.run().expect(0);
    site.host().say("rm -rf /root/box");
    site.ssh_config("  Ciphers serpent-ctr,rot13");
    site.assert_refused(&["config:2 allows only Ciphers `serpent-ctr,rot13`", "it can do:"]);
    site.ssh_config("  Ciphers aes128-ctr");
    site.assert_refused(&["the SSH handshake failed"]);
    site.ssh_config("  BindAddress 192.0.2.1");
    site.assert_refused(&["connection to", "failed", "assign"]);
    site.ssh_config("  AddressFamily inet6");
    site.assert_refused(&["AddressFamily"]);
    site.ssh_config("  BindInterface eth0");
    site.run().expect(1).says(&["config:2 says: `BindInterface eth0` is not supported"]);
}
