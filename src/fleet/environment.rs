//! An environment: a named set of hosts, variables and policy, from `environments/NAME.toml` or from the map that
//! `environments/NAME.rhai` returns.

use super::{
    channel::Channels,
    document::Document,
    error::FleetError,
    form::EnvironmentForm,
    inventory::{Inventory, Operator},
    policy::{Check, External, Policy},
    project::Project,
    resolve::Resolver,
};
use crate::artifact::Wishes;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::{collections::BTreeMap, fmt, num::NonZeroU32, path::Path};

/// How much care is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// Everything on one machine, for integration tests.
    SingleBox,
    /// Looks like production, for acceptance tests.
    Lab,
    /// Has users.
    Production,
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::SingleBox => "single-box",
            Self::Lab => "lab",
            Self::Production => "production",
        })
    }
}

/// A named set of hosts, variables and policy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Environment {
    /// Its name: that of the file.
    pub name: String,
    /// How much care is due.
    pub class: Class,
    /// The hosts, in the order of the file.
    pub hosts: Inventory,
    /// What scripts see as `vars::KEY`.
    pub vars: Map<String, Value>,
    /// The gates.
    pub policy: Policy,
    /// The services of others.
    pub externals: BTreeMap<String, External>,
    /// Where notifications go: those of the project, and its own. Never stored: it holds secrets.
    #[serde(skip)]
    pub notify: Channels,
    /// How many hosts are made on demand; the inventory may then be empty until they are.
    pub lab: Option<NonZeroU32>,
    /// Which version of an artifact is meant here, where the command line does not say.
    #[serde(default)]
    pub artifacts: Wishes,
}

impl Environment {
    /// Reads the TOML form.
    ///
    /// # Errors
    /// When the file, or the ssh_config, cannot be read or is not right.
    pub fn load(project: &Project, name: &str, file: &Path, operator: &Operator) -> Result<Self, FleetError> {
        let document = Document::read(file)?;
        let form = document.toml()?;
        build(project, name, form, &document, operator)
    }

    /// Takes the map that the script form returned; `origin` names it in errors, as in `environments/lab.rhai`.
    ///
    /// # Errors
    /// When the map, or the ssh_config, is not right.
    pub fn from_value(
        project: &Project,
        name: &str,
        value: Value,
        origin: &str,
        operator: &Operator,
    ) -> Result<Self, FleetError> {
        let document = Document::of_value(origin);
        let form = document.value(value)?;
        build(project, name, form, &document, operator)
    }
}

fn build(
    project: &Project,
    name: &str,
    form: EnvironmentForm,
    document: &Document,
    operator: &Operator,
) -> Result<Environment, FleetError> {
    let class = form.class.ok_or_else(|| {
        let help = "class = \"single-box\", class = \"lab\" or class = \"production\", at the top of the file";
        document.invalid(&[], "missing the key `class`: how much care is due here", Some(help.to_owned()))
    })?;
    if form.hosts.0.is_empty() && form.lab.is_none() {
        let help = "write [hosts.NAME] with an address, or `lab = 3` for three hosts that are made on demand";
        return Err(document.invalid(&["hosts"], "the environment has no hosts", Some(help.to_owned())));
    }
    let resolver = Resolver::new(project, document, form.defaults, form.transport, operator)?;
    let hosts = resolver.inventory(form.hosts)?;
    for (external, told) in &form.externals {
        check_external(&hosts, form.lab.is_some(), told).map_err(|why| document.invalid(&["externals", external], why, None))?;
    }
    Ok(Environment {
        name: name.to_owned(),
        class,
        hosts,
        vars: form.vars,
        policy: form.policy,
        externals: form.externals,
        notify: project.notify.clone().into_iter().chain(form.notify).collect(),
        lab: form.lab,
        artifacts: form.artifacts,
    })
}

/// Whether an external can be looked at from where it says.
fn check_external(hosts: &Inventory, lab: bool, external: &External) -> Result<(), String> {
    let Some(from) = &external.from else { return Ok(()) };
    // Hosts of a lab are there only once it is up.
    if !lab && hosts.get(from.as_str()).is_none() {
        let names: Vec<&str> = hosts.hosts().iter().map(|host| host.name.as_str()).take(12).collect();
        return Err(format!("`from` names {from}, which is no host of this environment; it has: {}", names.join(", ")));
    }
    match &external.check {
        Check::Http { url, .. } if url.starts_with("https://") => {
            Err("https is asked from the controller only; leave `from` out, or ask http://".to_owned())
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{Blast, Defaults};
    use std::path::PathBuf;

    fn load(text: &str) -> Result<Environment, FleetError> {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("lab.toml");
        std::fs::write(&file, text).unwrap();
        Environment::load(&project(), "lab", &file, &operator())
    }

    fn project() -> Project {
        let (script, store, ledger) = (PathBuf::new(), String::new(), String::new());
        let (defaults, artifacts) = (Defaults::default(), Wishes::default());
        let notify = Channels::new();
        Project {
            root: PathBuf::from("/project"),
            name: "shop".to_owned(),
            script,
            ledger,
            store,
            artifacts,
            notify,
            defaults,
            test: Default::default(),
        }
    }

    fn operator() -> Operator {
        Operator {
            home: PathBuf::from("/home/op"),
            user: "op".to_owned(),
            ssh_config: PathBuf::from("/nonexistent/config"),
            ..Operator::default()
        }
    }

    const LAB: &str = r#"
class = "lab"
[defaults]
user = "deploy"
[hosts.web1]
address = "10.77.0.11"
roles = ["web"]
vars = { weight = 10 }
[hosts."web[2:4]"]
address = "10.77.0.1{}"
roles = ["web"]
[hosts.db1]
address = "10.77.0.20"
[vars]
domain = "lab.example"
[externals.payments]
check = { http = "https://payments.example/health", status = 200 }
[policy]
max_blast = "50%"
requires = ["lab"]
approvals = { needed = 2, from = "approvers" }
windows = ["Mon-Thu 09:00-16:00 Europe/Copenhagen"]
"#;

    #[test]
    fn the_documented_file_is_read_and_its_snapshot_reads_back() {
        let lab = load(LAB).unwrap();
        let hosts: Vec<_> =
            lab.hosts.hosts().iter().map(|host| format!("{}={}@{}", host.name, host.user, host.address)).collect();
        let wanted = [
            "web1=deploy@10.77.0.11",
            "web2=deploy@10.77.0.12",
            "web3=deploy@10.77.0.13",
            "web4=deploy@10.77.0.14",
            "db1=deploy@10.77.0.20",
        ];
        assert_eq!(hosts, wanted);
        assert_eq!((lab.class, lab.policy.max_blast), (Class::Lab, Some(Blast::Percent(50))));
        assert!(matches!(lab.externals["payments"].check, Check::Http { status: Some(200), .. }));
        assert_eq!(lab.hosts.get("web1").unwrap().vars["weight"], 10);
        assert_eq!(lab.vars["domain"], "lab.example");
        let stored = serde_json::to_string(&lab).unwrap();
        assert_eq!(serde_json::from_str::<Environment>(&stored).unwrap(), lab);
    }

    #[test]
    fn a_map_has_the_same_form() {
        let value = serde_json::json!({"class": "single-box", "hosts": {"box": {"transport": "local", "roles": ["web", "db"]}}});
        let environment = Environment::from_value(&project(), "box", value, "environments/box.rhai", &operator()).unwrap();
        assert_eq!((environment.class, environment.hosts.hosts().len()), (Class::SingleBox, 1));
        let value = serde_json::json!({"class": "lab", "hosts": {"box": {"prot": 22}}});
        let error = Environment::from_value(&project(), "box", value, "environments/box.rhai", &operator()).unwrap_err();
        assert_eq!(error.to_string(), "environments/box.rhai: `hosts.box`: unknown key `prot`");
        assert!(error.help().unwrap().starts_with("did you mean `port`?"));
        assert_eq!(error.span(), None);
    }

    #[test]
    fn a_lab_may_be_without_hosts() {
        assert_eq!(load("class = \"lab\"\nlab = 3\n").unwrap().lab.map(NonZeroU32::get), Some(3));
    }

    #[test]
    fn what_is_wrong_is_pointed_at() {
        let host = |rest: &str| format!("class = \"lab\"\n[hosts.web1]\n{rest}\n");
        for (text, message, help, under) in [
            ("[hosts.a]\n".to_owned(), "missing the key `class`", "class = \"single-box\"", None),
            (
                "class = \"prodution\"\n[hosts.a]\n".to_owned(),
                "`class`: unknown value `prodution`",
                "did you mean `production`?",
                Some("\"prodution\""),
            ),
            ("class = \"lab\"\n".to_owned(), "has no hosts", "write [hosts.NAME]", None),
            ("class = \"lab\"\nlab = 0\n".to_owned(), "`lab`: expected a whole number", "", Some("0")),
            ("class = \"lab\"\nclass = \"lab\"\n".to_owned(), "duplicate key", "", Some("class")),
            (host("adress = \"x\""), "`hosts.web1`: unknown key `adress`", "did you mean `address`?", Some("adress")),
            (
                host("port = 70000"),
                "`hosts.web1.port`: expected a port from 1 to 65535, found integer `70000`",
                "",
                Some("70000"),
            ),
            (
                host("[externals.pay]\ncheck = { tcp = \"x:1\" }\nfrom = \"web2\""),
                "`from` names web2, which is no host",
                "",
                Some("pay"),
            ),
            (host("[notify.ops]\nwebhook = \"hooks/secret\""), "expected a URL with http://", "", Some("\"hooks/secret\"")),
            (host("roles = \"web\""), "`hosts.web1.roles`: expected a list, found string \"web\"", "", Some("\"web\"")),
            (host("roles = [\"a b\"]"), "role `a b` has other characters", "", Some("[\"a b\"]")),
            (host("roles = [\"all\"]"), "`all` stands for every host", "", Some("[\"all\"]")),
            (host("transport = \"shh\""), "unknown value `shh`", "did you mean `ssh`?", Some("\"shh\"")),
            (host("[vras]\na = 1"), "unknown key `vras`", "did you mean `vars`?", Some("vras")),
            (
                host("[defaults]\nconnect_timeout = \"soon\""),
                "expected a duration as in \"10s\", found string \"soon\"",
                "",
                Some("\"soon\""),
            ),
            (host("[policy]\nmax_blast = \"0%\""), "`policy.max_blast`: expected a number of hosts from 1", "", Some("\"0%\"")),
            (host("[policy]\nwindow = []"), "`policy`: unknown key `window`", "did you mean `windows`?", Some("window")),
            (host("[externals.pay]\ncheck = { htp = \"x\" }"), "unknown key `htp`", "did you mean `http`?", Some("htp")),
            (host("[externals.pay]\ncheck = { tcp = \"x\" }"), "expected HOST:PORT, found `x`", "", None),
        ] {
            let error = load(&text).unwrap_err();
            assert!(error.to_string().contains(message), "{error}");
            assert!(error.help().unwrap_or_default().starts_with(help), "{error}: {:?}", error.help());
            if let Some(under) = under {
                assert_eq!(&text[error.span().unwrap().1], under, "{error}");
            }
        }
    }
}
