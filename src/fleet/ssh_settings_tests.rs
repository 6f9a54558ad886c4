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
    let operator = Operator {
        home: directory.path().to_owned(),
        user: "op".to_owned(),
        ssh_config: ssh.join("config"),
        ..Operator::default()
    };
    let mut config = SshConfig::load(&operator)?;
    config.operator.home = PathBuf::from("/h");
    config.operator.uid = 7;
    config.operator.machine = "ctl.example".to_owned();
    config.operator.variables.insert("X".to_owned(), "%h".to_owned());
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
    let way = settings.proxy_jump.iter().map(|way| format!("by way of {way}"));
    let way = way.chain(settings.options.proxy_command.iter().map(|proxy| format!("by {}", proxy.command)));
    let unsupported: Vec<_> = way.chain(unsupported).collect();
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
        ("ProxyJump none\nProxyCommand nc", "x", "-@x:- - - by exec nc"),
        ("ProxyJump %r@bastion.%h:%p\nPort 24\nUser u", "x", "u@x:24 - - by way of u@bastion.x:24"),
        ("ProxyJump %d", "x", "-@x:- - - by way of %d;ProxyJump %d:1"),
        ("ProxyCommand none\nProxyJump bastion", "x", "-@x:- - -"),
        ("ProxyJump bastion\nProxyCommand nc", "x", "-@x:- - - by way of bastion"),
        ("ProxyCommand ssh b -W '%h:%p' %% # %r\nPort 24\nUser u\nHostName y", "x", "u@y:24 - - by exec ssh b -W 'y:24' % # u"),
        ("CanonicalizeHostname no\nRevokedHostKeys none", "x", "-@x:- - -"),
        ("CanonicalizeHostname yes\nRevokedHostKeys /r", "x", "-@x:- - - CanonicalizeHostname yes:1;RevokedHostKeys /r:2"),
        ("PreferredAuthentications password,publickey\nPubkeyAuthentication yes", "x", "-@x:- - -"),
        (
            "PreferredAuthentications password\nPubkeyAuthentication no",
            "x",
            "-@x:- - - PreferredAuthentications password:1;PubkeyAuthentication no:2",
        ),
        ("IdentityFile %C-%L-%l-%i-%k", "x", "-@x:- 255560d5ac1bc393b94c41c9f2de590a28156e4b-ctl-ctl.example-7-x -"),
        ("IdentityFile ${X}/%r\nIdentityFile %d${X}", "x", "-@x:- %h/op,/h%h -"),
        (
            "IdentityFile ~bob/k\nIdentityFile %T\nIdentityFile ${NO}/k\nIdentityFile %\nIdentityFile ${X",
            "x",
            "-@x:- - - IdentityFile ~bob/k:1;IdentityFile %T:2;IdentityFile ${NO}/k:3;IdentityFile %:4;IdentityFile ${X:5",
        ),
        ("GlobalKnownHostsFile ~/g", "X", "-@x:- - -"),
        ("Match all\nUser a", "x", "a@x:- - -"),
        ("Host y\nUser b\nMatch exec true\nUser a\nPort 1", "x", "a@x:1 - -"),
        ("Match exec false\nUser a\nHost *\nUser b", "x", "b@x:- - -"),
        ("HostName y\nMatch exec \"[ %n.%h.%p.%r.%u = x.y.22.op.op ]\"\nUser a", "x", "a@y:- - -"),
        ("Match exec \"[ -z '%Z' ]\"\nUser a", "x", "-@x:- - - Match exec [ -z '%Z' ]:2"),
        ("Match host *.corp exec true\nProxyJump b", "x", "-@x:- - -"),
        ("Host x\nHostName x.corp\nMatch host *.corp\nProxyJump b", "x", "-@x.corp:- - - by way of b"),
        ("Match host a\nHostName b\nUser u\nMatch host a\nPort 7", "a", "u@b:- - -"),
        ("Port 22\nMatch exec true\nPort 1", "x", "-@x:22 - -"),
        ("Match originalhost=y user root\nPort 1", "x", "-@x:- - -"),
        ("User root\nMatch originalhost=x user root,op localuser o* !host y\nPort 1", "x", "root@x:1 - -"),
        ("Match tagged web\nPort 1", "x", "-@x:- - - Match tagged web:2"),
        ("Match final\nUser a\nHost y\nPort 2\nHost x\nHostName y\nUser b", "x", "b@y:2 - -"),
        ("Match !final\nUser a\nMatch final host y\nUser b\nHost x\nHostName y", "x", "a@y:- - -"),
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
    let operator = Operator {
        home: PathBuf::from("/h"),
        user: "op".to_owned(),
        ssh_config: PathBuf::from("/nonexistent/config"),
        ..Operator::default()
    };
    assert_eq!(shown(&SshConfig::load(&operator).unwrap().resolve("web1")), "-@web1:- - -");
}
