//! Whole files of ssh_config, and what they say about a host.

use crate::fleet::{FleetError, HostSettings, Operator, SshConfig};
use std::{fs, path::PathBuf};

fn load(text: &str, others: &[(&str, &str)]) -> Result<SshConfig, FleetError> {
    let directory = tempfile::tempdir().unwrap();
    let ssh = directory.path().join(".ssh");
    fs::create_dir_all(ssh.join("conf.d/directory")).unwrap();
    fs::write(ssh.join("config"), text).unwrap();
    for (name, text) in others {
        fs::write(ssh.join(name), text).unwrap();
    }
    let operator = Operator { home: directory.path().to_owned(), user: "op".to_owned(), ssh_config: ssh.join("config") };
    let mut config = SshConfig::load(&operator)?;
    config.operator.home = PathBuf::from("/h");
    Ok(config)
}

fn shown(settings: &HostSettings) -> String {
    let files = |list: &Option<Vec<PathBuf>>| match list {
        None => "-".to_owned(),
        Some(list) => list.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(","),
    };
    let port = settings.port.map_or("-".to_owned(), |port| port.to_string());
    let unsupported: Vec<_> = settings.unsupported.iter().map(|one| format!("{} {}:{}", one.key, one.value, one.line)).collect();
    let user = settings.user.as_deref().unwrap_or("-");
    let unsupported: Vec<_> = settings.proxy_jump.iter().map(|way| format!("by way of {way}")).chain(unsupported).collect();
    format!(
        "{user}@{}:{port} {} {} {}",
        settings.host_name,
        files(&settings.identity_files),
        files(&settings.user_known_hosts_files),
        unsupported.join(";")
    )
    .trim_end()
    .to_owned()
}

#[test]
fn what_ssh_would_do() {
    for (text, alias, wanted) in [
        ("", "web1", "-@web1:- - -"),
        ("Host web1\nUser a\nUser b\nHost *\nUser c\nPort 23", "web1", "a@web1:23 - -"),
        ("User z\nHost web1\nUser a", "web1", "z@web1:- - -"),
        ("Host web* !web1\nUser a\nHost *\nUser b", "web1", "b@web1:- - -"),
        ("Host web* !web1\nUser a\nHost *\nUser b", "web2", "a@web2:- - -"),
        ("Host !web1\nUser a", "web2", "-@web2:- - -"),
        ("Host web?\nUser a", "web12", "-@web12:- - -"),
        ("Host w[12]\nUser a", "w1", "-@w1:- - -"),
        ("Host \"web1\" 'web 2'\nHostName=%h.example%%\nPort = 2200", "web1", "-@web1.example%:2200 - -"),
        (
            "IdentityFile ~/.ssh/a\nHost web1\nIdentityFile \"~/b c\"\nIdentityFile %d/%r-%u-%h-%n-%p",
            "web1",
            "-@web1:- /h/.ssh/a,/h/b c,/h/op-op-web1-web1-22 -",
        ),
        ("IdentityFile none", "x", "-@x:-  -"),
        ("UserKnownHostsFile ~/k1 /k2\nUserKnownHostsFile /k3", "x", "-@x:- - /h/k1,/k2"),
        ("ForwardAgent yes\nNonsense 1\nUser a", "x", "a@x:- - -"),
        ("Host x\nProxyJump bastion\nHost *\nUser a", "x", "a@x:- - - by way of bastion"),
        ("Host x\nProxyJump bastion\nHost *\nUser a", "y", "a@y:- - -"),
        ("Host x\nProxyJump none\nHost *\nProxyJump bastion", "x", "-@x:- - -"),
        ("ProxyJump none\nProxyCommand nc", "x", "-@x:- - - ProxyCommand nc:2"),
        ("ProxyCommand none\nProxyJump bastion", "x", "-@x:- - -"),
        ("ProxyJump bastion\nProxyCommand nc", "x", "-@x:- - - by way of bastion"),
        ("ProxyCommand ssh b -W %h:%p", "x", "-@x:- - - ProxyCommand ssh b -W %h:%p:1"),
        (
            "CertificateFile ~/c\nIdentityAgent ~/s\nHostKeyAlias k",
            "x",
            "-@x:- - - IdentityAgent ~/s:2;HostKeyAlias k:3;CertificateFile ~/c:1",
        ),
        ("IdentityAgent SSH_AUTH_SOCK\nCanonicalizeHostname no", "x", "-@x:- - -"),
        (
            "IdentityFile ~bob/k\nIdentityFile %C\nIdentityFile ${X}/k",
            "x",
            "-@x:- - - IdentityFile ~bob/k:1;IdentityFile %C:2;IdentityFile ${X}/k:3",
        ),
        ("Match all\nUser a", "x", "a@x:- - -"),
        ("Host y\nUser b\nMatch exec true\nUser a\nPort 1", "x", "-@x:- - - Match exec true:4"),
        ("Match exec true\nForwardAgent yes\nHost *\nUser a", "x", "a@x:- - -"),
        ("Match host *.corp exec x\nProxyJump b", "x", "-@x:- - -"),
        ("Host x\nHostName x.corp\nMatch host *.corp exec y\nProxyJump b", "x", "-@x.corp:- - - Match host *.corp exec y:4"),
        ("Port 22\nMatch exec true\nPort 1", "x", "-@x:22 - -"),
        ("Match exec \"host=y\"\nPort 1", "x", "-@x:- - - Match exec host=y:2"),
        ("Match originalhost=y user root\nPort 1", "x", "-@x:- - -"),
    ] {
        let config = load(text, &[]).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(shown(&config.resolve(alias)), wanted, "{text}");
    }
}

#[test]
fn includes_count_where_they_stand_and_within_their_host() {
    let others = [("conf.d/b.conf", "User b\nHost web2\nPort 2"), ("conf.d/a.conf", "Host web1\nUser a\n"), ("other", "Port 99")];
    for (text, alias, wanted) in [
        ("Include conf.d/*\nUser z", "web1", "a@web1:- - -"),
        ("Include conf.d/*\nUser z", "web2", "b@web2:2 - -"),
        ("Host web1\nInclude conf.d/*\nPort 1\nHost *\nUser z", "web2", "z@web2:- - -"),
        ("Host web1\nInclude conf.d/*\nPort 1\nHost *\nUser z", "web1", "a@web1:1 - -"),
        ("Include ~/.ssh/other missing*\nUser z", "x", "z@x:99 - -"),
    ] {
        assert_eq!(shown(&load(text, &others).unwrap().resolve(alias)), wanted, "{text}");
    }
}

#[test]
fn a_bad_line_is_pointed_at() {
    for (text, message, under) in [
        ("User a\n  Port ssh\n", "config:2: `Port`: expected a port from 1 to 65535, found `ssh`", "  Port ssh"),
        ("Port 0\n", "config:1: `Port`", "Port 0"),
        ("HostName -oX\n", "expected a name", "HostName -oX"),
        ("User a b\n", "expected one value", "User a b"),
        ("User \"a\n", "a quote is not closed", "User \"a"),
        ("ConnectTimeout soon\n", "expected seconds", "ConnectTimeout soon"),
        ("Include ~bob/x\n", "is not supported", "Include ~bob/x"),
        ("Include config\n", "more than 16 deep", "Include config"),
    ] {
        let error = load(text, &[]).unwrap_err();
        assert!(error.to_string().contains(message), "{error}");
        assert_eq!(&text[error.span().unwrap().1], under, "{error}");
    }
}

#[test]
fn a_file_that_is_not_there_says_nothing() {
    let operator =
        Operator { home: PathBuf::from("/h"), user: "op".to_owned(), ssh_config: PathBuf::from("/nonexistent/config") };
    assert_eq!(shown(&SshConfig::load(&operator).unwrap().resolve("web1")), "-@web1:- - -");
}
