//! Logging in with every kind of key, and recording and refusing host keys, against an SSH server of its own for each.

use super::site::{PORT, Site};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// An agent of the operator's.
pub(crate) struct SshAgent {
    child: Child,
    pub(crate) socket: String,
}

impl SshAgent {
    pub(crate) fn start(site: &Site) -> Self {
        let socket = site.key("agent").display().to_string();
        let child = Command::new("ssh-agent").args(["-D", "-a", &socket]).stdout(Stdio::null()).spawn().unwrap();
        super::wait::eventually("the agent listens", || Path::new(&socket).exists());
        Self { child, socket }
    }

    /// Takes a key in, with the certificate beside it.
    pub(crate) fn add(&self, file: &Path) {
        let mut command = Command::new("ssh-add");
        assert!(command.arg("-q").arg(file).env("SSH_AUTH_SOCK", &self.socket).status().unwrap().success());
    }
}

impl Drop for SshAgent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn every_kind_of_encrypted_key_is_asked_for_once() {
    let site = Site::new("");
    for kind in ["ed25519", "rsa", "ecdsa"] {
        let key = site.key(kind);
        site.keygen(&key, kind, "the secret");
        site.authorize_only(&site.read(&key.with_extension("pub")));
        site.ssh_config(&format!("  IdentityFile {}\n  IdentitiesOnly yes", key.display()));
        // Nobody to ask: said at once, with what to do.
        site.assert_refused(&[&format!("{}, which is encrypted", key.display()), "no terminal", "ssh-add"]);
        let ended = site.run_at_terminal("mistyped\nthe secret\n").wait().expect(0);
        ended.says(&["passphrase of", "that is not it"]);
        assert_eq!(ended.out.matches("passphrase of").count(), 2, "{ended}");
        assert!(!ended.out.contains("the secret\r\n  ") && !site.log().contains("secret"), "{ended}");
        site.host().say("rm -rf /root/box");
    }
}

#[test]
fn a_passphrase_is_asked_for_once_for_all_hosts_and_three_times_at_most() {
    let site = Site::new("");
    let key = site.key("locked");
    site.keygen(&key, "ed25519", "right");
    site.ssh_config(&format!("  IdentityFile {}\n  IdentitiesOnly yes", key.display()));
    // A key that the host does not want is not asked for.
    site.authorize_only("");
    let ended = site.run_at_terminal("right\n").wait().expect(1);
    assert!(!ended.out.contains("passphrase of"), "{ended}");
    site.authorize_only(&site.read(&key.with_extension("pub")));
    let ended = site.run_at_terminal("one\ntwo\nthree\nright\n").wait().expect(1);
    ended.says(&["none of 3 passphrases", "ssh-add"]);
    assert_eq!(ended.out.matches("passphrase of").count(), 3, "{ended}");
    // Two names for the host are two connections, and one question.
    let environment = "class = \"lab\"\n[hosts.box]\n[hosts.twin]\naddress = \"box\"\n";
    site.write(&site.project.dir().join("environments/real.toml"), environment);
    site.write(&site.project.dir().join("deploy.rhai"), "parallel(hosts(\"all\"), |h| { h.run(\"true\"); });\n");
    let ended = site.run_at_terminal("right\n").wait().expect(0);
    assert_eq!(ended.out.matches("passphrase of").count(), 1, "{ended}");
}

#[test]
fn an_encrypted_key_in_another_format_names_the_way_out() {
    let site = Site::new("");
    let key = site.key("pem");
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-t", "rsa", "-m", "PEM", "-N", "the secret", "-f"]).arg(&key);
    assert!(command.status().unwrap().success());
    site.authorize_only(&site.read(&key.with_extension("pub")));
    site.ssh_config(&format!("  IdentityFile {}\n  IdentitiesOnly yes", key.display()));
    site.assert_refused(&["encrypted in another format", "ssh-keygen -p -f"]);
}

#[test]
fn certificates_open_from_files_and_from_the_agent() {
    let site = Site::without_server();
    let authority = site.key("authority");
    site.keygen(&authority, "ed25519", "");
    let public = site.read(&authority.with_extension("pub"));
    site.write(&site.host().path("/run/test.sshd/authority"), &public);
    site.start_server("TrustedUserCAKeys /run/test.sshd/authority");
    site.authorize_only("");
    let agent = SshAgent::start(&site);
    for kind in ["ed25519", "rsa", "ecdsa"] {
        let key = site.key(kind);
        site.keygen(&key, kind, "");
        let mut command = Command::new("ssh-keygen");
        command.args(["-q", "-s"]).arg(&authority).args(["-I", "me", "-n", "root"]).arg(key.with_extension("pub"));
        assert!(command.status().unwrap().success());
        let certificate = site.key(&format!("{kind}-cert.pub"));
        let only = format!("  IdentityFile {}\n  IdentitiesOnly yes\n", key.display());
        // It lies beside the key.
        site.ssh_config(&only);
        site.run().expect(0);
        // It is named.
        let moved = site.key(&format!("{kind}.certificate"));
        std::fs::rename(&certificate, &moved).unwrap();
        site.run().expect(1).says(&["lets no key in"]);
        site.ssh_config(&format!("{only}  CertificateFile {}", moved.display()));
        site.run().expect(0);
        // The agent has the key, and a file the certificate.
        agent.add(&key);
        let hidden = site.key("hidden");
        std::fs::rename(&key, &hidden).unwrap();
        site.run_with(&[("SSH_AUTH_SOCK", &agent.socket)]).expect(0);
        // The agent has both.
        std::fs::rename(&hidden, &key).unwrap();
        std::fs::rename(&moved, &certificate).unwrap();
        agent.add(&key);
        std::fs::remove_file(&key).unwrap();
        std::fs::remove_file(&certificate).unwrap();
        site.ssh_config("  IdentityFile none");
        site.run_with(&[("SSH_AUTH_SOCK", &agent.socket)]).expect(0);
        assert!(Command::new("ssh-add").args(["-q", "-D"]).env("SSH_AUTH_SOCK", &agent.socket).status().unwrap().success());
    }
    // Its key is encrypted.
    let key = site.key("locked");
    site.keygen(&key, "ecdsa", "the secret");
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-s"]).arg(&authority).args(["-I", "me", "-n", "root"]).arg(key.with_extension("pub"));
    assert!(command.status().unwrap().success());
    site.ssh_config(&format!("  IdentityFile {}\n  IdentitiesOnly yes\n", key.display()));
    site.run_at_terminal("the secret\n").wait().expect(0).says(&["passphrase of"]);
}

#[test]
fn the_agent_offers_what_is_asked_for() {
    // A server that allows two tries, and an agent with more keys than that.
    let site = Site::new("MaxAuthTries 2");
    let agent = SshAgent::start(&site);
    for n in 0..4 {
        let other = site.key(&format!("other{n}"));
        site.keygen(&other, "ed25519", "");
        agent.add(&other);
        std::fs::remove_file(&other).unwrap();
    }
    agent.add(&site.key("id"));
    let with_agent = [("SSH_AUTH_SOCK", agent.socket.as_str())];
    // The one that the ssh_config names goes first.
    site.run_with(&with_agent).expect(0);
    std::fs::rename(site.key("id"), site.key("away")).unwrap();
    site.run_with(&with_agent).expect(0);
    // None of them is named.
    site.ssh_config("  IdentityFile none");
    std::fs::remove_file(site.key("id.pub")).unwrap();
    let ended = site.run_with(&with_agent).expect(1);
    ended.says(&["keys were offered", "IdentitiesOnly yes"]);
    // Only named ones are offered.
    std::fs::rename(site.key("away"), site.key("id")).unwrap();
    site.ssh_config("  IdentitiesOnly yes");
    site.run_with(&with_agent).expect(0);
    site.ssh_config(&format!("  IdentityAgent {}", agent.socket));
    site.run_with(&[]).expect(0);
    site.ssh_config("  IdentityAgent $MINE");
    site.run_with(&[("MINE", &agent.socket)]).expect(0);
    let ended = site.run_with(&[]).expect(1);
    ended.says(&["config:2", "IdentityAgent $MINE", "environment variable MINE"]);
    std::fs::remove_file(site.key("id")).unwrap();
    site.ssh_config("  IdentityAgent none");
    site.run_with(&with_agent).expect(1).says(&["no agent"]);
}

#[test]
fn only_accepted_kinds_of_keys_are_offered() {
    let site = Site::new("");
    site.ssh_config("  PubkeyAcceptedAlgorithms rsa-sha2-*");
    site.run().expect(1).says(&["lets no key in"]);
    let key = site.key("rsa");
    site.keygen(&key, "rsa", "");
    site.authorize(&site.read(&key.with_extension("pub")));
    site.ssh_config(&format!("  PubkeyAcceptedAlgorithms rsa-sha2-256\n  IdentityFile {}", key.display()));
    site.run().expect(0);
    site.ssh_config("  PubkeyAuthentication no");
    site.run().expect(1).says(&["config:2", "`PubkeyAuthentication no` leaves no way to log in"]);
}

#[test]
fn a_host_key_is_recorded_when_that_is_wanted() {
    let site = Site::new("");
    let known = site.project.known_hosts();
    let name = format!("[{}]:{PORT}", site.address);
    let right = format!("{name} {}\n", site.host_key());
    let wrong = {
        let other = site.key("wrong");
        site.keygen(&other, "ed25519", "");
        let public = site.read(&other.with_extension("pub"));
        format!("{name} {}\n", public.trim())
    };
    for policy in ["yes", "ask"] {
        site.write(&known, "# nothing");
        site.ssh_config(&format!("  StrictHostKeyChecking {policy}"));
        site.assert_refused(&["is not known", "SHA256:", "ssh-keyscan"]);
        assert_eq!(site.read(&known), "# nothing");
    }
    for policy in ["accept-new", "no", "off"] {
        site.write(&known, "# nothing");
        site.ssh_config(&format!("  StrictHostKeyChecking {policy}\n  HashKnownHosts no"));
        site.run().expect(0);
        assert_eq!(site.read(&known), format!("# nothing\n{right}"));
        site.run().expect(0);
        assert_eq!(site.read(&known), format!("# nothing\n{right}"), "once");
    }
    // A changed key passes where ssh lets it pass, and a revoked one nowhere.
    site.write(&known, &wrong);
    site.run().expect(0);
    assert_eq!(site.read(&known), wrong);
    site.write(&known, &format!("@revoked * {}\n", site.host_key()));
    site.run().expect(1).says(&["is revoked by", "known_hosts:1"]);
    site.write(&known, &wrong);
    site.ssh_config("  StrictHostKeyChecking accept-new");
    site.run().expect(1).says(&["is not the one that", "known_hosts:1"]);
    // Under another name, and hidden.
    site.write(&known, "");
    site.ssh_config("  StrictHostKeyChecking accept-new\n  HostKeyAlias The-Box\n  HashKnownHosts yes");
    site.run().expect(0);
    let text = site.read(&known);
    assert!(text.starts_with("|1|") && text.lines().count() == 1, "{text}");
    site.ssh_config("  HostKeyAlias the-box\n  UserKnownHostsFile ~/.ssh/known_hosts");
    site.run().expect(0);
    site.ssh_config("");
    site.run().expect(1).says(&["is not known"]);
    // A key without the port is known as well, and an authority alone does not help.
    site.write(&known, &format!("{} {}\n", site.address, site.host_key()));
    site.run().expect(0);
    site.write(&known, &format!("@cert-authority * {}\n", site.host_key()));
    site.run().expect(1).says(&["is not known", "known_hosts:1 trusts an authority"]);
}

#[test]
fn a_key_of_another_type_than_the_known_one_is_a_changed_key() {
    let site = Site::new("");
    let other = site.key("wrong");
    site.keygen(&other, "ecdsa", "");
    let public = site.read(&other.with_extension("pub"));
    site.write(&site.project.known_hosts(), &format!("[{}]:{PORT} {}\n", site.address, public.trim()));
    site.ssh_config("  StrictHostKeyChecking accept-new");
    site.assert_refused(&["(ed25519) is not the one that", "known_hosts:1"]);
}

#[test]
fn a_certificate_of_the_host_does_not_hide_its_key() {
    let site = Site::without_server();
    site.host()
        .say("cd /run/test.sshd && ssh-keygen -q -t ed25519 -N '' -f authority && ssh-keygen -q -s authority -I box -h host.pub");
    site.start_server("HostCertificate /run/test.sshd/host-cert.pub");
    site.run().expect(0);
    let known = site.project.known_hosts();
    let right = site.read(&known);
    site.write(&known, "");
    site.ssh_config("  StrictHostKeyChecking accept-new\n  HashKnownHosts no");
    site.run().expect(0);
    assert_eq!(site.read(&known), right);
}
