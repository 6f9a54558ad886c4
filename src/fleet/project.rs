//! The project: the directory with `windlass.toml`, and the environments that it has.

use super::{
    channel::Channels,
    document::{self, Document},
    error::FleetError,
};
use crate::artifact::Wishes;
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    num::NonZeroU32,
    path::{Path, PathBuf},
};

/// The name of the file that makes a directory a project.
const FILE: &str = "windlass.toml";

/// What `windlass.toml` says.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Project {
    /// The directory that it is in; every relative path starts here.
    #[serde(skip)]
    pub root: PathBuf,
    /// What the project is called. Required.
    pub name: String,
    /// The script that is run when none is named.
    #[serde(default = "script")]
    pub script: PathBuf,
    /// Where history is kept: `sqlite:PATH` or `postgres://...`.
    #[serde(default = "ledger")]
    pub ledger: String,
    /// Where artifacts are kept: a path, or the URL of an object store.
    #[serde(default = "store")]
    pub store: String,
    /// Which version of an artifact is meant where neither the command line nor the environment says.
    #[serde(default)]
    pub artifacts: Wishes,
    /// Where notifications go.
    #[serde(default)]
    pub notify: Channels,
    /// What applies when the command line does not say.
    #[serde(default)]
    pub defaults: Defaults,
    /// What `windlass test` tries when the command line does not say.
    #[serde(default)]
    pub test: TestDefaults,
}

/// What `windlass test` tries when the command line does not say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TestDefaults {
    /// Parameters of the run.
    pub set: BTreeMap<String, String>,
    /// Versions of artifacts.
    pub artifacts: Wishes,
    /// What is live before.
    pub live: LiveDefaults,
}

/// What is live before the run that is tested: the same script with these is played first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LiveDefaults {
    /// Parameters of the run.
    pub set: BTreeMap<String, String>,
    /// Versions of artifacts.
    pub artifacts: Wishes,
}

/// What applies when the command line does not say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Defaults {
    /// The environment.
    pub environment: Option<String>,
    /// How many hosts are worked on at once.
    pub concurrency: Option<NonZeroU32>,
}

fn script() -> PathBuf {
    PathBuf::from("deploy.rhai")
}

fn ledger() -> String {
    "sqlite:.windlass/ledger.db".to_owned()
}

fn store() -> String {
    ".windlass/artifacts".to_owned()
}

impl Project {
    /// Reads the project in this directory.
    ///
    /// # Errors
    /// When `windlass.toml` is not there, is no TOML, lacks `name` or has an unknown key.
    pub fn load(directory: &Path) -> Result<Self, FleetError> {
        let document = Document::read(&directory.join(FILE))?;
        let project: Self = document.toml()?;
        if project.name.trim().is_empty() {
            return Err(document.invalid(&["name"], "expected the name of the project, found nothing", None));
        }
        Ok(Self { root: directory.to_owned(), ..project })
    }

    /// Reads the project that this directory is in: here or above.
    ///
    /// # Errors
    /// When there is none up to the root, or it cannot be read.
    pub fn find(start: &Path) -> Result<Self, FleetError> {
        let found = start.ancestors().find(|directory| directory.join(FILE).is_file());
        found.map_or_else(|| Err(FleetError::NoProject { start: start.to_owned() }), Self::load)
    }
}

/// How an environment is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnvironmentSource {
    /// As TOML: `Environment::load` reads it.
    Toml(PathBuf),
    /// As a script that returns the same map: it is run elsewhere, and `Environment::from_value` takes what it returns.
    Rhai(PathBuf),
}

/// Finds `environments/NAME.toml` or `environments/NAME.rhai`.
///
/// # Errors
/// When neither exists, with the environments that do; when both do.
pub fn environment_file(project: &Project, name: &str) -> Result<EnvironmentSource, FleetError> {
    let directory = project.root.join("environments");
    let (toml, rhai) = (directory.join(format!("{name}.toml")), directory.join(format!("{name}.rhai")));
    // A name that leads out of the directory is no environment, whatever is there.
    let plain = crate::id::HostName::parse(name).is_ok();
    match (plain && toml.is_file(), plain && rhai.is_file()) {
        (true, false) => Ok(EnvironmentSource::Toml(toml)),
        (false, true) => Ok(EnvironmentSource::Rhai(rhai)),
        (true, true) => Err(FleetError::TwoEnvironments { name: name.to_owned(), toml, rhai }),
        (false, false) => {
            let known = environments(project)?;
            let nearest = document::nearest(name, known.iter().map(String::as_str)).map(str::to_owned);
            Err(FleetError::NoEnvironment { name: name.to_owned(), directory, known, nearest })
        }
    }
}

/// The names of the environments that the project has, sorted.
///
/// # Errors
/// When the directory is there and cannot be read.
pub fn environments(project: &Project) -> Result<Vec<String>, FleetError> {
    let directory = project.root.join("environments");
    if !directory.exists() {
        return Ok(Vec::new());
    }
    let unread = |source| FleetError::Read { file: directory.clone(), source };
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&directory).map_err(unread)? {
        let path = entry.map_err(unread)?.path();
        let fits = path.extension().is_some_and(|end| end == "toml" || end == "rhai");
        names.extend(path.file_stem().filter(|_| fits).and_then(|stem| stem.to_str()).map(str::to_owned));
    }
    names.sort();
    names.dedup();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn project(text: &str, environments: &[&str]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(FILE), text).unwrap();
        fs::create_dir_all(directory.path().join("environments")).unwrap();
        for name in environments {
            fs::write(directory.path().join("environments").join(name), "").unwrap();
        }
        directory
    }

    #[test]
    fn a_project_is_found_from_below_with_its_defaults() {
        let directory = project("name = \"shop\"\n[defaults]\nenvironment = \"lab\"\n", &[]);
        let found = Project::find(&directory.path().join("environments")).unwrap();
        assert_eq!((found.name.as_str(), found.ledger.as_str()), ("shop", "sqlite:.windlass/ledger.db"));
        assert_eq!((found.script, found.store.as_str()), (PathBuf::from("deploy.rhai"), ".windlass/artifacts"));
        assert_eq!((found.root.as_path(), found.defaults.environment.as_deref()), (directory.path(), Some("lab")));
    }

    #[test]
    fn what_is_wrong_is_pointed_at() {
        for (text, message, help, under) in [
            ("name = \"x\"\nscirpt = \"a\"\n", "unknown key `scirpt`", "did you mean `script`?", Some("scirpt")),
            (
                "name = \"x\"\n[defaults]\nconcurency = 1\n",
                "`defaults`: unknown key `concurency`",
                "did you mean `concurrency`?",
                Some("concurency"),
            ),
            ("name = \"x\"\n[defaults]\nconcurrency = 0\n", "`defaults.concurrency`: expected a whole number", "", Some("0")),
            ("name = 7\n", "`name`: expected text in quotes, found integer `7`", "", Some("7")),
            ("name = \" \"\n", "expected the name of the project", "", Some("\" \"")),
            ("script = \"a\"\n", "missing the key `name`", "", None),
            ("name = \"x\nscript = 1\n", "windlass.toml: ", "", None),
        ] {
            let directory = project(text, &[]);
            let error = Project::load(directory.path()).unwrap_err();
            assert!(error.to_string().contains(message), "{error}");
            assert!(!error.to_string().contains('\n'), "{error}");
            assert!(error.help().unwrap_or_default().starts_with(help), "{:?}", error.help());
            if let Some(under) = under {
                assert_eq!(&text[error.span().unwrap().1], under, "{error}");
            }
        }
    }

    #[test]
    fn no_project_and_an_unreadable_one() {
        let directory = tempfile::tempdir().unwrap();
        assert!(matches!(Project::find(directory.path()), Err(FleetError::NoProject { .. })));
        assert!(matches!(Project::load(directory.path()), Err(FleetError::Read { .. })));
    }

    #[test]
    fn environments_are_found_by_name() {
        let directory = project("name = \"x\"", &["lab.toml", "production.rhai", "twice.toml", "twice.rhai", "README.md"]);
        let project = Project::load(directory.path()).unwrap();
        assert!(matches!(environment_file(&project, "lab"), Ok(EnvironmentSource::Toml(_))));
        assert!(matches!(environment_file(&project, "production"), Ok(EnvironmentSource::Rhai(_))));
        assert!(matches!(environment_file(&project, "twice"), Err(FleetError::TwoEnvironments { .. })));
        let error = environment_file(&project, "prodution").unwrap_err();
        assert_eq!(error.help().unwrap(), "did you mean `production`? environments: lab, production, twice");
        assert!(matches!(environment_file(&project, "../environments/lab"), Err(FleetError::NoEnvironment { .. })));
    }
}
