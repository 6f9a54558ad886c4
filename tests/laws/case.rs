//! The case files: `tests/op/PRIMITIVE/*.toml`, data that the laws are applied to. `tests/real` has this file as well.

use serde::Deserialize;
use std::path::{Path, PathBuf};

/// One case of one primitive.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    /// What it shows.
    pub(crate) name: String,
    /// A text of `sh` that makes the start state; `$D` is a fresh directory.
    #[serde(default)]
    pub(crate) before: String,
    /// An expression of the script's language on the host `h`, with the directory `D`.
    pub(crate) call: String,
    /// What became of its last step.
    pub(crate) outcome: Ending,
    /// Its value as JSON.
    pub(crate) gives: Option<String>,
    /// A part of the error's text.
    pub(crate) error: Option<Said>,
    /// A text of `sh` that must succeed afterwards.
    pub(crate) check: Option<String>,
    /// What becomes of the last step when the same is called again.
    pub(crate) repeat: Option<Ending>,
    /// Whether unwinding puts everything back.
    #[serde(default = "yes")]
    pub(crate) restored: bool,
    /// What this machine must have for it.
    pub(crate) needs: Option<String>,
    /// The file that it is in, below `tests/op`.
    #[serde(skip)]
    pub(crate) file: String,
}

fn yes() -> bool {
    true
}

/// A part of a text; one of several where what is seen depends on the moment of the look.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(crate) enum Said {
    Part(String),
    OneOf(Vec<String>),
}

impl Said {
    /// Whether a text says it.
    pub(crate) fn is_in(&self, text: &str) -> bool {
        match self {
            Self::Part(part) => text.contains(part.as_str()),
            Self::OneOf(parts) => parts.iter().any(|part| text.contains(part.as_str())),
        }
    }
}

impl std::fmt::Display for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Part(part) => write!(f, "{part}"),
            Self::OneOf(parts) => write!(f, "{}", parts.join("` or `")),
        }
    }
}

/// How a step ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Ending {
    Changed,
    Unchanged,
    Skipped,
    Failed,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// What all of them need.
    needs: Option<String>,
    /// What comes before the start state of each.
    #[serde(default)]
    before: String,
    case: Vec<Case>,
}

/// All cases of all primitives, by their files.
pub(crate) fn all() -> Vec<Case> {
    read_all().unwrap_or_else(|why| panic!("{why}"))
}

fn read_all() -> Result<Vec<Case>, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/op");
    let mut all = Vec::new();
    for directory in listed(&root) {
        for path in listed(&directory) {
            let file = path.strip_prefix(&root).unwrap().display().to_string();
            let text = std::fs::read_to_string(&path).map_err(|error| format!("{file}: {error}"))?;
            let read: File = toml::from_str(&text).map_err(|error| format!("{file}: {error}"))?;
            let needs = |case: &Case| case.needs.clone().or_else(|| read.needs.clone());
            let before = |case: &Case| format!("{}{}", read.before, case.before);
            let whole = |case: &Case| Case { file: file.clone(), needs: needs(case), before: before(case), ..case.clone() };
            all.extend(read.case.iter().map(whole));
        }
    }
    Ok(all)
}

fn listed(directory: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(directory).into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

impl Case {
    /// What it is a case of.
    pub(crate) fn primitive(&self) -> &str {
        self.file.split('/').next().unwrap_or_default()
    }

    pub(crate) fn title(&self) -> String {
        format!("{}: {}", self.file, self.name)
    }

    /// What the call must end with when it is made again.
    pub(crate) fn again(&self) -> Ending {
        let usual = if self.outcome == Ending::Failed { Ending::Failed } else { Ending::Unchanged };
        self.repeat.unwrap_or(usual)
    }
}
