//! What Windlass reads in an ssh_config, held against what `ssh -G` reads in it.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use windlass::fleet::{AddressFamily, Agent, AlgorithmKind, HostKeyPolicy, HostSettings, Operator, SshConfig, SshOptions};

/// Pieces that are put together in every order: each pair, read for each alias.
const PIECES: [&str; 26] = [
    "Host web1\n User one\n Port 2201\n",
    "Host web? !web2\n User two\n HostName %h.example\n",
    "Host *\n User three\n ConnectTimeout 7\n",
    "User four\nIdentityFile ~/.ssh/four\n",
    "Match all\n Port 2205\n StrictHostKeyChecking accept-new\n",
    "Match host *.example\n User six\n ProxyJump bastion\n",
    "Match originalhost web1,db* user two,six\n Port 2207\n IdentitiesOnly yes\n",
    "Match !host web1 exec \"test %n = db1\"\n HostKeyAlias Eight\n User eight\n",
    "Match exec false\n User nine\n",
    "Match exec \"test '%r' = four\" !originalhost web2\n Port 2210\n",
    "Match final\n ServerAliveInterval 11\n User eleven\n",
    "Match final host *.example\n ServerAliveCountMax 12\n",
    "Match canonical\n User thirteen\n",
    "Match !final\n BindAddress 127.0.0.14\n",
    "ProxyJump none\n",
    "ProxyJump me@edge:23,far\n",
    "ProxyCommand none\n",
    "ProxyCommand \"nc\" -x 'a b' host # 18\n",
    "Host db1 web1.example\n AddressFamily inet6\n Compression yes\n CertificateFile ~/cert19\n",
    "Host=\"web1\" 'db1'\n\tIdentityAgent=none\n\tHashKnownHosts = yes\n",
    "UserKnownHostsFile ~/k21 \"/k 21\"\nGlobalKnownHostsFile none\nHashKnownHosts no\n",
    "StrictHostKeyChecking off\nPreferredAuthentications publickey,password\n",
    "Match localuser %USER%,nobody\n IdentityFile \"~/.ssh/23 24\"\n ServerAliveInterval 1m\n",
    "Match localuser nobody\n HostName never\n",
    "HostName fixed\nCiphers aes256-ctr,aes128-ctr\nHostKeyAlgorithms ssh-ed25519\n",
    "Match host fixed\n IdentityFile ~/fixed\n MACs hmac-sha2-256\nInclude %DIR%/more\n",
];

/// What is included.
const MORE: &str = "User included\nHost web1 fixed\n Port 2299\nMatch host fixed\n ConnectTimeout 99\n";

const ALIASES: [&str; 4] = ["web1", "web2", "db1", "WEB1"];

/// Whole files that no pair of pieces is, with what each is about.
const FILES: [(&str, &str); 22] = [
    ("a Match is judged where it stands", "Match host web1\n HostName other\n User a\nMatch host other\n Port 7\n"),
    (
        "a port said later does not count before",
        "Match exec \"test %p = 9\"\n User late\nHost *\n Port 9\nMatch exec \"test %p = 9\"\n IdentityFile ~/nine\n",
    ),
    (
        "a second pass keeps what the first found",
        "Host web1\n HostName real\n User first\nHost real\n User second\n Port 77\nMatch final\n",
    ),
    ("without a second pass the name found is no pattern's", "Host web1\n HostName real\nHost real\n Port 77\n"),
    ("an included Match stands within its Host", "Host web2\n Include %DIR%/more\nHost *\n User outer\n"),
    ("an include ends with its scope", "Host web1\n Include %DIR%/more\n Port 5\n"),
    ("several words of a Host", "Host nothing web1 \"web2\"\n User several\n"),
    ("only a negated pattern", "Host !web1\n User never\n"),
    ("letters", "Host WEB*\n User upper\nMatch host WEB1\n Port 8\nMatch originalhost web1\n ConnectTimeout 8\n"),
    ("identity files add up", "IdentityFile ~/a\nHost web1\n IdentityFile ~/b\nHost *\n IdentityFile ~/a\n IdentityFile /c\n"),
    ("certificates add up", "CertificateFile /a\nHost *\n CertificateFile /b\n"),
    ("times", "ConnectTimeout 1m30\nServerAliveInterval 2m\nServerAliveCountMax 5\n"),
    ("no interval", "ServerAliveInterval 0\n"),
    (
        "the strict words",
        "Host web1\n StrictHostKeyChecking yes\nHost web2\n StrictHostKeyChecking ask\nHost db1\n StrictHostKeyChecking no\n",
    ),
    ("the family", "Host web1\n AddressFamily inet\nHost *\n AddressFamily any\n"),
    ("agents", "Host web1\n IdentityAgent ~/agent\nHost web2\n IdentityAgent SSH_AUTH_SOCK\nHost *\n IdentityAgent none\n"),
    ("spaces and comments", "  Host   web1   # one\n\n#Port 1\n\tUser\ta # b\n"),
    ("a user with a mark", "User a#b\n"),
    ("percent", "HostName %%%h%%.x\n"),
    ("old spellings", "PubkeyAcceptedKeyTypes ssh-ed25519\nKexAlgorithms curve25519-sha256\n"),
    ("proxies in their order", "Host web1\n ProxyCommand one\nHost *\n ProxyJump two\n"),
    ("an exec of several words", "Match user %USER% exec \"true; test '%L' != '' && exit 0\" host *\n User three\n"),
];

struct World {
    temp: tempfile::TempDir,
    operator: Operator,
    /// What `ssh -G` says without an ssh_config.
    usual: BTreeMap<String, Vec<String>>,
}

fn world() -> World {
    let temp = tempfile::tempdir().unwrap();
    let say = |script: &str| {
        let output = Command::new("sh").args(["-c", script]).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let user = say("id -un");
    // ssh takes the home that the system knows.
    let home = PathBuf::from(say(&format!("echo ~{user}")));
    std::fs::write(temp.path().join("more"), MORE).unwrap();
    let operator = Operator {
        home,
        user,
        ssh_config: temp.path().join("config"),
        uid: say("id -u").parse().unwrap(),
        machine: say("uname -n"),
        ..Operator::default()
    };
    let mut world = World { temp, operator, usual: BTreeMap::new() };
    world.write("");
    world.usual = world.ssh("any");
    world
}

impl World {
    fn dir(&self) -> &Path {
        self.temp.path()
    }

    fn write(&self, text: &str) {
        let text = text.replace("%DIR%", &self.dir().display().to_string()).replace("%USER%", &self.operator.user);
        std::fs::write(&self.operator.ssh_config, text).unwrap();
    }

    /// The lines of `ssh -G` by key.
    fn ssh(&self, alias: &str) -> BTreeMap<String, Vec<String>> {
        let mut command = Command::new("ssh");
        command.env_clear().env("PATH", "/usr/bin:/bin").arg("-F").arg(&self.operator.ssh_config).args(["-G", alias]);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let mut lines: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for line in String::from_utf8(output.stdout).unwrap().lines() {
            let (key, value) = line.split_once(' ').unwrap_or((line, ""));
            lines.entry(key.to_owned()).or_default().push(value.replace("~/", &format!("{}/", self.operator.home.display())));
        }
        lines
    }

    fn ours(&self, alias: &str) -> HostSettings {
        let settings = SshConfig::load(&self.operator).unwrap().resolve(alias);
        assert!(settings.unsupported.is_empty(), "{:?}", settings.unsupported);
        settings
    }

    /// Fails where the two do not read the same.
    fn compare(&self, about: &str, text: &str, alias: &str) {
        self.write(text);
        let (theirs, ours) = (self.ssh(alias), shown(&self.ours(alias), &self.operator));
        let mut wrong = String::new();
        for (key, ours) in ours {
            let value = |of: &BTreeMap<String, Vec<String>>| same(key, &of.get(key).cloned().unwrap_or_default().join(" "));
            // What was not said is what ssh has without an ssh_config.
            let (theirs, ours) = (value(&theirs), ours.unwrap_or_else(|| value(&self.usual)));
            if theirs != ours {
                writeln!(wrong, "{key}: ssh has `{theirs}`, we have `{ours}`").unwrap();
            }
        }
        assert!(wrong.is_empty(), "{about}, for {alias}:\n{text}\n{wrong}");
    }
}

/// Different words for one thing, or for what is one to us.
fn same(key: &str, value: &str) -> String {
    match (key, value) {
        ("proxycommand" | "proxyjump", "none") => "",
        ("stricthostkeychecking", "true") => "ask",
        ("identityagent", "") => "SSH_AUTH_SOCK",
        _ => value,
    }
    .to_owned()
}

/// Settings in the words of `ssh -G`; nothing for what was not said.
fn shown(settings: &HostSettings, operator: &Operator) -> Vec<(&'static str, Option<String>)> {
    let files = |list: &Option<Vec<PathBuf>>| {
        list.as_ref().map(|list| list.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(" "))
    };
    let mut list = shown_options(&settings.options);
    let certificates = &settings.options.certificates;
    let certificates = (!certificates.is_empty()).then(|| certificates.clone());
    list.extend([
        ("hostname", Some(settings.host_name.clone())),
        ("user", Some(settings.user.clone().unwrap_or_else(|| operator.user.clone()))),
        ("port", Some(settings.port.unwrap_or(22).to_string())),
        ("identityfile", files(&settings.identity_files)),
        ("certificatefile", Some(files(&certificates).unwrap_or_default())),
        ("userknownhostsfile", files(&settings.user_known_hosts_files)),
        (
            "globalknownhostsfile",
            settings
                .global_known_hosts_files
                .as_ref()
                .map(|files| if files.is_empty() { "none".to_owned() } else { format!("{files:?}") }),
        ),
        ("connecttimeout", Some(settings.connect_timeout.map_or("none".to_owned(), |wait| wait.as_secs().to_string()))),
        ("proxyjump", Some(settings.proxy_jump.clone().unwrap_or_default())),
    ]);
    list
}

fn shown_options(options: &SshOptions) -> Vec<(&'static str, Option<String>)> {
    let algorithms = |kind| options.algorithms.iter().find(|one| one.kind == kind).map(|one| one.list.clone());
    let flag = |flag: bool| Some(if flag { "yes" } else { "no" }.to_owned());
    vec![
        (
            "proxycommand",
            Some(options.proxy_command.as_ref().map_or("", |proxy| proxy.command.trim_start_matches("exec ")).to_owned()),
        ),
        ("identitiesonly", flag(options.identities_only)),
        ("hashknownhosts", flag(options.hash_names)),
        ("compression", flag(options.compression)),
        (
            "stricthostkeychecking",
            match options.host_key_policy {
                HostKeyPolicy::Known => Some("ask".to_owned()),
                HostKeyPolicy::AcceptNew => Some("accept-new".to_owned()),
                HostKeyPolicy::AcceptAny => Some("false".to_owned()),
            },
        ),
        ("serveraliveinterval", Some(options.alive_interval.map_or(0, |wait| wait.as_secs()).to_string())),
        ("serveralivecountmax", Some(options.alive_count.unwrap_or(3).to_string())),
        ("hostkeyalias", Some(options.host_key_alias.clone().unwrap_or_default())),
        ("bindaddress", Some(options.bind_address.clone().unwrap_or_default())),
        (
            "addressfamily",
            Some(
                match options.address_family {
                    AddressFamily::Any => "any",
                    AddressFamily::Inet => "inet",
                    AddressFamily::Inet6 => "inet6",
                }
                .to_owned(),
            ),
        ),
        (
            "identityagent",
            match &options.agent {
                Agent::Usual => Some("SSH_AUTH_SOCK".to_owned()),
                Agent::Nobody => Some("none".to_owned()),
                Agent::At(path) => Some(path.display().to_string()),
            },
        ),
        ("ciphers", algorithms(AlgorithmKind::Cipher)),
        ("macs", algorithms(AlgorithmKind::Mac)),
        ("kexalgorithms", algorithms(AlgorithmKind::Kex)),
        ("hostkeyalgorithms", algorithms(AlgorithmKind::HostKey)),
        ("pubkeyacceptedalgorithms", algorithms(AlgorithmKind::Login)),
    ]
}

#[test]
fn pieces_in_every_order_are_read_as_by_ssh() {
    let world = world();
    for first in PIECES {
        for second in PIECES {
            world.compare("two pieces", &format!("{first}{second}"), ALIASES[(first.len() + second.len()) % ALIASES.len()]);
        }
    }
}

#[test]
fn whole_files_are_read_as_by_ssh() {
    let world = world();
    for (about, text) in FILES {
        for alias in ALIASES {
            world.compare(about, text, alias);
        }
    }
}

#[test]
fn tokens_stand_for_what_they_do_in_ssh() {
    let world = world();
    let out = world.dir().join("out");
    let command = format!("printf '%%s\\n' '%% %C %L %d %h %i %k %l %n %p %r %u' >>{}", out.display());
    for before in ["", "User u\nPort 23\n", "HostName real.%h\nHostKeyAlias Alias\n"] {
        world.write(&format!(
            "{before}Match exec \"{command}\"\n ServerAliveInterval 1\nHost web1\n HostName later\n User later\n"
        ));
        for alias in ALIASES {
            world.ssh(alias);
            let theirs = std::fs::read_to_string(&out).unwrap();
            std::fs::remove_file(&out).unwrap();
            world.ours(alias);
            assert_eq!(std::fs::read_to_string(&out).unwrap(), theirs, "{before}");
            std::fs::remove_file(&out).unwrap();
        }
    }
}

#[test]
fn what_ssh_refuses_is_refused() {
    let world = world();
    for text in [
        "Port 0\n",
        "Port x\n",
        "User \"a\n",
        "StrictHostKeyChecking maybe\n",
        "AddressFamily ipx\n",
        "Compression sometimes\n",
        "ServerAliveInterval soon\n",
        "IdentitiesOnly perhaps\n",
        "ConnectTimeout\n",
        "Match nonsense x\n Port 1\n",
        "IdentityFile ~/%Z\n",
        "HostName %p\n",
    ] {
        world.write(text);
        let ours = SshConfig::load(&world.operator).map(|config| config.resolve("x"));
        assert!(ours.as_ref().map_or(true, |settings| !settings.unsupported.is_empty()), "{text}: {ours:?}");
        // `-G` does not look into paths.
        if !text.starts_with("IdentityFile") {
            let mut command = Command::new("ssh");
            let output = command.arg("-F").arg(&world.operator.ssh_config).args(["-G", "x"]).output().unwrap();
            assert!(!output.status.success(), "{text}: {output:?}");
        }
    }
}
