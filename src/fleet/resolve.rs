//! From what an environment file says about a host to everything that is needed to reach it. For each setting the host's
//! own key counts first, then `[defaults]`, then the ssh_config, then what is built in.

use super::{
    document::Document,
    error::FleetError,
    form::{DefaultsForm, HostForm, Ordered, SudoForm},
    inventory::{Host, Inventory, Operator, Transport, project_path},
    jump::{self, Dead, Jump},
    project::Project,
    range::{self, Member},
    ssh_config::SshConfig,
    ssh_options::SshOptions,
    ssh_settings::{Explicit, HostSettings, UnsupportedKey},
};
use crate::id::HostName;
use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroU16,
    path::{Path, PathBuf},
    time::Duration,
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const IDENTITIES: [&str; 5] = ["id_ed25519", "id_ecdsa", "id_rsa", "id_ed25519_sk", "id_ecdsa_sk"];
const KNOWN_HOSTS: [&str; 2] = ["known_hosts", "known_hosts2"];
const SYSTEM_KNOWN_HOSTS: [&str; 2] = ["/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"];

/// What all hosts of one environment share.
pub(super) struct Resolver<'a> {
    root: &'a Path,
    document: &'a Document,
    defaults: DefaultsForm,
    transport: Transport,
    operator: &'a Operator,
    ssh: SshConfig,
}

impl<'a> Resolver<'a> {
    /// Reads the ssh_config of the operator.
    pub(super) fn new(
        project: &'a Project,
        document: &'a Document,
        defaults: DefaultsForm,
        transport: Option<Transport>,
        operator: &'a Operator,
    ) -> Result<Self, FleetError> {
        let transport = defaults.transport.or(transport).unwrap_or_default();
        Ok(Self { root: &project.root, document, defaults, transport, operator, ssh: SshConfig::load(operator)? })
    }

    /// Expands the ranges, and resolves each host.
    pub(super) fn inventory(&self, forms: Ordered<HostForm>) -> Result<Inventory, FleetError> {
        let mut named: BTreeMap<String, String> = BTreeMap::new();
        let mut hosts = Vec::new();
        for (key, form) in forms.0 {
            for member in self.members(&key, &form)? {
                if let Some(first) = named.insert(member.name.clone(), key.clone()) {
                    let message = format!("host `{}` is named twice: by `{first}` and by `{key}`", member.name);
                    return Err(self.document.invalid(&["hosts", &key], message, None));
                }
                hosts.push(self.host(&key, &member, &form)?);
            }
        }
        self.no_role_is_another_host(&hosts)?;
        Inventory::new(hosts)
    }

    fn members(&self, key: &str, form: &HostForm) -> Result<Vec<Member>, FleetError> {
        let invalid = |message: String| self.document.invalid(&["hosts", key], message, None);
        let Some(members) = range::expand(key).map_err(invalid)? else {
            return Ok(vec![Member { name: key.to_owned(), number: String::new() }]);
        };
        // Several names for one machine would let a rolling deploy take it down at once.
        if members.len() > 1 && form.address.as_ref().is_some_and(|address| !address.contains("{}")) {
            let message = format!("{} hosts have one address; `{{}}` in it stands for the number of each", members.len());
            return Err(self.document.invalid(&["hosts", key, "address"], message, None));
        }
        Ok(members)
    }

    fn host(&self, key: &str, member: &Member, form: &HostForm) -> Result<Host, FleetError> {
        let invalid = |message: String| self.document.invalid(&["hosts", key], message, None);
        let name = HostName::parse(&member.name).map_err(|error| invalid(error.to_string()))?;
        if name.as_str() == "all" {
            return Err(invalid("`all` stands for every host, and cannot be the name of one".to_owned()));
        }
        let transport = form.transport.unwrap_or(self.transport);
        let user = form.user.clone().or_else(|| self.defaults.user.clone());
        let port = form.port.or(self.defaults.port).map(NonZeroU16::get);
        let mut settings = match transport {
            Transport::Ssh => self.ssh.resolve_with(&self.alias(key, member, form)?, &Explicit { user: user.clone(), port }),
            Transport::Local => HostSettings { host_name: "localhost".to_owned(), ..HostSettings::default() },
        };
        let port = port.or(settings.port).unwrap_or(22);
        let jumps = self.jumps(&mut settings);
        let (ssh, known_hosts_files) = self.known_hosts(&mut settings);
        Ok(Host {
            jumps,
            port,
            user: user.or(settings.user).unwrap_or_else(|| self.operator.user.clone()),
            identity_files: self.identity_files(key, form, settings.identity_files)?,
            known_hosts_name: ssh.host_key_alias.clone().unwrap_or_else(|| known_hosts_name(&settings.host_name, port)),
            known_hosts_files,
            ssh,
            connect_timeout: self.defaults.connect_timeout.or(settings.connect_timeout).unwrap_or(CONNECT_TIMEOUT),
            address: settings.host_name,
            roles: self.roles(key, form)?,
            vars: form.vars.clone(),
            unsupported: settings.unsupported,
            sudo: form.sudo.clone().or_else(|| self.defaults.sudo.clone()).and_then(SudoForm::user),
            name,
            transport,
        })
    }

    /// What one would give to `ssh`: the address, else the name.
    fn alias(&self, key: &str, member: &Member, form: &HostForm) -> Result<String, FleetError> {
        let (path, text): (&[&str], _) = match (&form.address, &self.defaults.address) {
            (Some(text), _) => (&["hosts", key, "address"], text),
            (None, Some(text)) => (&["defaults", "address"], text),
            (None, None) => return Ok(member.name.clone()),
        };
        if text.contains("{}") && member.number.is_empty() {
            let message = format!("`{{}}` stands for the number in a range, and `{}` is no range", member.name);
            return Err(self.document.invalid(path, message, None));
        }
        let address = text.replace("{}", &member.number);
        // An address that begins with a dash would be an option to ssh, and a blank is never part of one.
        if address.is_empty() || address.starts_with('-') || address.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(self.document.invalid(path, format!("expected a host name or an address, found `{address}`"), None));
        }
        Ok(address)
    }

    fn identity_files(&self, key: &str, form: &HostForm, configured: Option<Vec<PathBuf>>) -> Result<Vec<PathBuf>, FleetError> {
        let (path, text): (&[&str], _) = match (&form.identity_file, &self.defaults.identity_file) {
            (Some(text), _) => (&["hosts", key, "identity_file"], text),
            (None, Some(text)) => (&["defaults", "identity_file"], text),
            (None, None) => {
                return Ok(configured.unwrap_or_else(|| IDENTITIES.map(|file| self.ssh_directory().join(file)).to_vec()));
            }
        };
        let file = project_path(self.root, self.operator, text);
        let message = || format!("expected a path, or one with `~/` for your home, found `{text}`");
        file.map(|file| vec![file]).ok_or_else(|| self.document.invalid(path, message(), None))
    }

    /// Where host keys are looked up, and with the options where one is recorded: in the first of the operator's own files.
    fn known_hosts(&self, settings: &mut HostSettings) -> (SshOptions, Vec<PathBuf>) {
        let own = || KNOWN_HOSTS.map(|file| self.ssh_directory().join(file)).to_vec();
        let mut files = settings.user_known_hosts_files.take().unwrap_or_else(own);
        let options = SshOptions { record_in: files.first().cloned(), ..std::mem::take(&mut settings.options) };
        let system = settings.global_known_hosts_files.take();
        files.extend(system.unwrap_or_else(|| SYSTEM_KNOWN_HOSTS.map(PathBuf::from).to_vec()));
        (options, files)
    }

    /// The hosts on the way. A way that cannot be followed refuses its host.
    fn jumps(&self, settings: &mut HostSettings) -> Vec<Jump> {
        let Some(text) = settings.proxy_jump.clone() else { return Vec::new() };
        let made = |word: &jump::Word, mut settings: HostSettings| {
            let (ssh, known_hosts_files) = self.known_hosts(&mut settings);
            Jump {
                ssh,
                known_hosts_files,
                port: word.explicit.port.or(settings.port).unwrap_or(22),
                user: word.explicit.user.clone().or(settings.user).unwrap_or_else(|| self.operator.user.clone()),
                identity_files: settings
                    .identity_files
                    .unwrap_or_else(|| IDENTITIES.map(|file| self.ssh_directory().join(file)).to_vec()),
                connect_timeout: settings.connect_timeout.unwrap_or(CONNECT_TIMEOUT),
                address: settings.host_name,
            }
        };
        self.ssh.way(&text, &made).unwrap_or_else(|stop| {
            let (file, line) = settings.proxy_jump_at.clone().unwrap_or_default();
            let key = "ProxyJump".to_owned();
            settings.unsupported.push(match stop {
                Dead::Unreadable(why) => UnsupportedKey { key, value: text, file, line, why: Some(why) },
                Dead::Unsupported(key) => *key,
            });
            Vec::new()
        })
    }

    fn ssh_directory(&self) -> PathBuf {
        self.operator.home.join(".ssh")
    }

    fn roles(&self, key: &str, form: &HostForm) -> Result<BTreeSet<String>, FleetError> {
        let invalid = |message: String| self.document.invalid(&["hosts", key, "roles"], message, None);
        for role in &form.roles {
            HostName::parse(role).map_err(|error| invalid(format!("role `{role}` {}", error.why)))?;
            if role == "all" {
                return Err(invalid("`all` stands for every host, and cannot be a role".to_owned()));
            }
        }
        Ok(form.roles.iter().cloned().collect())
    }

    /// A word that is one host and also the role of others would select more, or less, than was meant.
    fn no_role_is_another_host(&self, hosts: &[Host]) -> Result<(), FleetError> {
        let names: BTreeSet<&str> = hosts.iter().map(|host| host.name.as_str()).collect();
        for host in hosts {
            let other = |role: &&String| role.as_str() != host.name.as_str() && names.contains(role.as_str());
            if let Some(role) = host.roles.iter().find(other) {
                let message = format!("`{role}` is a role of `{}` and the name of another host", host.name);
                return Err(self.document.invalid(&["hosts", role], message, Some("rename the role or the host".to_owned())));
            }
        }
        Ok(())
    }
}

fn known_hosts_name(address: &str, port: u16) -> String {
    let address = address.to_lowercase();
    if port == 22 { address } else { format!("[{address}]:{port}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{Environment, environment_file};
    use std::fs;

    const SSH: &str = "Host web1 10.0.0.1\n  HostName h.example\n  User alice\n  Port 2201\n  IdentityFile ~/.ssh/%r_%h\n\
        Host jumped\n  BindInterface eth0\nHost far\n  ProxyJump me@bastion:23\nHost bastion\n  ProxyJump edge\nHost *\n  ConnectTimeout 7\n";

    fn load(text: &str) -> Result<Inventory, FleetError> {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        fs::create_dir(root.join("environments")).unwrap();
        fs::write(root.join("windlass.toml"), "name = \"shop\"").unwrap();
        fs::write(root.join("config"), SSH).unwrap();
        fs::write(root.join("environments/e.toml"), format!("class = \"lab\"\n{text}")).unwrap();
        let project = Project { root: PathBuf::from("/project"), ..Project::load(root).unwrap() };
        assert!(environment_file(&Project::load(root).unwrap(), "e").is_ok());
        let operator = Operator {
            home: PathBuf::from("/home/op"),
            user: "op".to_owned(),
            ssh_config: root.join("config"),
            ..Operator::default()
        };
        Environment::load(&project, "e", &root.join("environments/e.toml"), &operator).map(|environment| environment.hosts)
    }

    fn shown(host: &Host) -> String {
        let keys: Vec<_> = host.identity_files.iter().map(|file| file.display().to_string()).collect();
        format!("{}@{}:{} {} {}s", host.user, host.address, host.port, keys.join(","), host.connect_timeout.as_secs())
    }

    #[test]
    fn precedence() {
        let built_in = "/home/op/.ssh/id_ed25519,/home/op/.ssh/id_ecdsa,/home/op/.ssh/id_rsa,/home/op/.ssh/id_ed25519_sk,/home/op/.ssh/id_ecdsa_sk";
        for (text, wanted) in [
            ("[hosts.db1]", format!("op@db1:22 {built_in} 7s")),
            ("[hosts.web1]", "alice@h.example:2201 /home/op/.ssh/alice_h.example 7s".to_owned()),
            ("[hosts.any]\naddress = \"10.0.0.1\"", "alice@h.example:2201 /home/op/.ssh/alice_h.example 7s".to_owned()),
            ("[hosts.web1]\naddress = \"10.9.9.9\"", format!("op@10.9.9.9:22 {built_in} 7s")),
            (
                "[defaults]\nuser = \"deploy\"\nport = 23\n[hosts.web1]",
                "deploy@h.example:23 /home/op/.ssh/deploy_h.example 7s".to_owned(),
            ),
            (
                "[defaults]\nuser = \"deploy\"\nidentity_file = \"keys/lab\"\nconnect_timeout = \"3s\"\n[hosts.web1]\nuser = \"root\"",
                "root@h.example:2201 /project/keys/lab 3s".to_owned(),
            ),
            ("[hosts.db1]\nidentity_file = \"~/k\"", "op@db1:22 /home/op/k 7s".to_owned()),
            ("[hosts.web1]\ntransport = \"local\"", format!("op@localhost:22 {built_in} 10s")),
            ("[defaults]\naddress = \"n{}.example\"\n[hosts.\"n[07:07]\"]", format!("op@n07.example:22 {built_in} 7s")),
        ] {
            let inventory = load(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(shown(&inventory.hosts()[0]), wanted, "{text}");
        }
    }

    #[test]
    fn host_keys_are_looked_up_by_address_and_port() {
        let inventory = load("[hosts.web1]\n[hosts.DB1]\n").unwrap();
        let names: Vec<_> = inventory.hosts().iter().map(|host| host.known_hosts_name.as_str()).collect();
        assert_eq!(names, ["[h.example]:2201", "db1"]);
        let files: Vec<_> = inventory.hosts()[0].known_hosts_files.iter().map(|file| file.display().to_string()).collect();
        let own = ["/home/op/.ssh/known_hosts", "/home/op/.ssh/known_hosts2"];
        assert_eq!(files, [own, SYSTEM_KNOWN_HOSTS].concat());
    }

    #[test]
    fn an_unsupported_key_refuses_its_host_only() {
        let inventory = load("[hosts.web1]\n[hosts.jumped]\n").unwrap();
        assert!(inventory.hosts()[0].check_supported().is_ok());
        let error = inventory.hosts()[1].check_supported().unwrap_err().to_string();
        assert!(
            error.starts_with("connect to jumped as ") && error.ends_with("config:7 says: `BindInterface eth0` is not supported"),
            "{error}"
        );
    }

    #[test]
    fn the_way_to_a_host_leads_through_others() {
        let inventory = load("[hosts.far]\n").unwrap();
        let way: Vec<_> =
            inventory.hosts()[0].jumps.iter().map(|jump| format!("{}@{}:{}", jump.user, jump.address, jump.port)).collect();
        assert_eq!(way, ["op@edge:22", "me@bastion:23"]);
        assert!(inventory.hosts()[0].check_supported().is_ok());
    }

    #[test]
    fn hosts_that_cannot_be() {
        for (text, message) in [
            ("[hosts.web2]\n[hosts.\"web[1:3]\"]", "host `web2` is named twice: by `web2` and by `web[1:3]`"),
            ("[hosts.\"web[3:1]\"]", "ends before it begins"),
            ("[hosts.\"web[1:3]\"]\naddress = \"10.0.0.1\"", "3 hosts have one address"),
            ("[hosts.web]\naddress = \"10.0.0.{}\"", "`web` is no range"),
            ("[hosts.web]\naddress = \"-oProxyCommand=x\"", "expected a host name or an address"),
            ("[hosts.\"web 1\"]", "has other characters"),
            ("[hosts.all]", "stands for every host"),
            ("[hosts.db]\n[hosts.db1]\nroles = [\"db\"]", "`db` is a role of `db1` and the name of another host"),
            ("[hosts.db]\nidentity_file = \"~bob/key\"", "expected a path"),
        ] {
            let error = load(text).unwrap_err();
            assert!(error.to_string().contains(message), "{text}: {error}");
            assert!(error.span().is_some(), "{text}");
        }
        assert!(load("[hosts.db]\nroles = [\"db\"]").is_ok());
    }
}
