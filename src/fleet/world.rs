//! `world.toml`: what a simulated fleet is to be like, beside what the environment says: which ports a service owns and what it
//! answers, what commands print, what is there at first. The simulation itself is in `interp`.

use super::document::Document;
use super::error::FleetError;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// The description of a simulated fleet.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct World {
    /// What holds on every host that has no other word on it.
    pub all: WantedHost,
    /// Hosts, by name.
    pub hosts: BTreeMap<String, WantedHost>,
    /// What people answer, by the name of the question.
    pub answers: BTreeMap<String, String>,
    /// The environment's externals, which answer as they should unless it is said otherwise.
    pub externals: BTreeMap<String, WantedExternal>,
}

impl World {
    /// Reads the file.
    ///
    /// # Errors
    /// When it cannot be read or is not right.
    pub fn load(file: &Path) -> Result<Self, FleetError> {
        Document::read(file)?.toml()
    }

    /// What is said of one host: its own words, and those on every host.
    #[must_use]
    pub fn host(&self, name: &str) -> WantedHost {
        let mut host = self.hosts.get(name).cloned().unwrap_or_default();
        let all = self.all.clone();
        fill(&mut host.services, all.services);
        fill(&mut host.servers, all.servers);
        fill(&mut host.files, all.files);
        fill(&mut host.packages, all.packages);
        fill(&mut host.available, all.available);
        fill(&mut host.facts, all.facts);
        host.commands.extend(all.commands);
        host.home = host.home.or(all.home);
        host
    }
}

/// Takes over what is not there.
fn fill<T>(own: &mut BTreeMap<String, T>, all: BTreeMap<String, T>) {
    for (key, value) in all {
        own.entry(key).or_insert(value);
    }
}

/// What is said of an external.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WantedExternal {
    /// Whether nothing answers there.
    pub down: bool,
    /// The status that it answers with; the one that its check wants when not given.
    pub status: Option<u16>,
    /// What it answers.
    pub body: String,
}

/// What is said of one host.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WantedHost {
    /// Services, by name, with or without `.service`.
    pub services: BTreeMap<String, WantedService>,
    /// What listens there whatever is deployed, by a name.
    pub servers: BTreeMap<String, WantedService>,
    /// The home of who logs in.
    pub home: Option<String>,
    /// Commands, by how they begin.
    pub commands: Vec<WantedCommand>,
    /// Files that are there at first.
    pub files: BTreeMap<String, WantedFile>,
    /// Packages that are installed at first, with their versions.
    pub packages: BTreeMap<String, String>,
    /// Versions that there are to install, the newest last.
    pub available: BTreeMap<String, Vec<String>>,
    /// Facts that are not as on every simulated host.
    pub facts: BTreeMap<String, serde_json::Value>,
}

/// What is said of a service.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WantedService {
    /// Ports on which it listens while it runs, beside those that its settings name.
    pub ports: Vec<u16>,
    /// The status that it answers with; 200 when not given.
    pub status: Option<u16>,
    /// What it answers.
    pub body: Option<String>,
    /// What becomes of it when it is started.
    pub start: Start,
}

/// What becomes of a service when it is started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// It runs.
    #[default]
    Runs,
    /// It fails at once.
    Fails,
    /// It ends at once, well.
    Ends,
}

/// What is said of a command.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WantedCommand {
    /// How it begins; its words are joined by spaces.
    pub begins: String,
    /// Its exit status.
    #[serde(default)]
    pub code: i32,
    /// What it prints.
    #[serde(default)]
    pub stdout: String,
    /// What it prints on standard error.
    #[serde(default)]
    pub stderr: String,
    /// Files that it writes, with their texts.
    #[serde(default)]
    pub writes: BTreeMap<String, String>,
}

/// A file, a directory or a link that is there at first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "a text, or a map with `text`, `link` or `directory = true`, and `mode`")]
pub enum WantedFile {
    /// A file with this text.
    Text(String),
    /// One of the three, with a mode.
    Form(WantedForm),
}

/// What is there at first, in more words.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WantedForm {
    /// The text of a file.
    pub text: Option<String>,
    /// Where a link points.
    pub link: Option<String>,
    /// Whether it is a directory.
    pub directory: bool,
    /// Permission bits, as in `"0644"`.
    pub mode: Option<String>,
    /// Its owner.
    pub owner: Option<String>,
}

impl WantedHost {
    /// What is said of a service.
    #[must_use]
    pub fn service(&self, unit: &str) -> Option<&WantedService> {
        self.services.get(unit).or_else(|| self.services.get(unit.strip_suffix(".service")?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
[answers]
"go on" = "yes"
[all.services.hello]
ports = [8080]
body = "hello 1.0"
[all.facts]
cpus = 2
[hosts.web1.services.hello]
start = "fails"
[[hosts.web1.commands]]
begins = "rake db:migrate"
stdout = "migrated"
writes = { "/srv/schema" = "2" }
[hosts.web1.files]
"/etc/motd" = "hi"
"/srv/current" = { link = "releases/1" }
"#;

    #[test]
    fn a_host_has_its_own_words_and_those_of_all() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("world.toml");
        std::fs::write(&file, TEXT).unwrap();
        let world = World::load(&file).unwrap();
        let (web1, web2) = (world.host("web1"), world.host("web2"));
        assert_eq!(web1.service("hello.service").unwrap().start, Start::Fails);
        assert_eq!(web2.service("hello").unwrap().ports, [8080]);
        assert_eq!((web1.commands.len(), web2.commands.len(), web2.facts.len()), (1, 0, 1));
        assert_eq!(world.answers["go on"], "yes");
        std::fs::write(&file, "[hosts.web1.servces.x]\n").unwrap();
        assert!(World::load(&file).unwrap_err().to_string().contains("unknown key `servces`"));
    }
}
