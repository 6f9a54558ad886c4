//! Which version a run means by a name: what the command line says, else the environment, else the project, else the only one
//! there is. Where several versions are, none is chosen: the newest that somebody added is not what somebody approved.

use super::{Artifact, ArtifactError, ArtifactName, Version};
use crate::id::Digest;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A version that a run is bound to, whatever the store holds later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// What it is called.
    pub name: ArtifactName,
    /// Which build of it.
    pub version: Version,
    /// The sha256 of its content.
    pub digest: Digest,
    /// The bytes of its content.
    pub size: u64,
}

/// Versions by name.
pub type Wishes = BTreeMap<ArtifactName, Version>;

/// Why a name has no version.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the sentence of each variant tells what its fields are")]
pub enum PinError {
    /// It is not in the store.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// Nobody says which.
    #[error("{name} has several versions in the store, and nothing says which to take")]
    Undecided { name: ArtifactName, known: Vec<String> },
}

impl PinError {
    /// What to try.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Artifact(error) => error.help(),
            Self::Undecided { name, known } => {
                let shown: Vec<&str> = known.iter().take(12).map(String::as_str).collect();
                let newest = shown.first().copied().unwrap_or_default();
                Some(format!(
                    "say it: --artifact {name}={newest}\nor under [artifacts] in windlass.toml or in the environment; newest first, there are: {}",
                    shown.join(", ")
                ))
            }
        }
    }
}

/// Finds the version of each of these names; `wishes` come with the strongest first.
///
/// # Errors
/// When a name or a wished version is not in the store, and when nothing says which of several is meant.
pub fn resolve<'a>(names: impl IntoIterator<Item = &'a str>, wishes: &[&Wishes], all: &[Artifact]) -> Result<Vec<Pin>, PinError> {
    let mut pins = Vec::new();
    for name in names {
        let versions: Vec<&Artifact> = all.iter().filter(|artifact| artifact.name.as_str() == name).collect();
        let Some(first) = versions.first() else {
            let known: BTreeSet<String> = all.iter().map(|artifact| artifact.name.to_string()).collect();
            return Err(ArtifactError::NoName { name: name.to_owned(), known: known.into_iter().collect() }.into());
        };
        let known = || versions.iter().map(|artifact| artifact.version.to_string()).collect();
        let chosen = match wishes.iter().find_map(|wishes| wishes.get(&first.name)) {
            None if versions.len() > 1 => return Err(PinError::Undecided { name: first.name.clone(), known: known() }),
            None => first,
            Some(wanted) => versions.iter().find(|artifact| artifact.version == *wanted).ok_or_else(|| {
                ArtifactError::NoVersion { name: first.name.clone(), version: wanted.to_string(), known: known() }
            })?,
        };
        let (name, version) = (chosen.name.clone(), chosen.version.clone());
        pins.push(Pin { name, version, digest: chosen.digest.clone(), size: chosen.size });
    }
    Ok(pins)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifact::Form;

    fn artifact(name: &str, version: &str, added: i64) -> Artifact {
        let digest = Digest::of(format!("{name} {version}").as_bytes());
        Artifact {
            name: ArtifactName::parse(name).unwrap(),
            version: Version::parse(version).unwrap(),
            plain: digest.clone(),
            digest,
            size: 1,
            form: Form::File,
            added,
            by: "me@here".to_owned(),
        }
    }

    fn wish(name: &str, version: &str) -> Wishes {
        [(ArtifactName::parse(name).unwrap(), Version::parse(version).unwrap())].into()
    }

    fn chosen(wishes: &[&Wishes]) -> Result<String, String> {
        let all = [artifact("api", "1.0", 1), artifact("web", "1.1", 2), artifact("web", "1.0", 1)];
        let pins = resolve(["web"], wishes, &all).map_err(|error| format!("{error}; {}", error.help().unwrap()))?;
        Ok(pins[0].version.to_string())
    }

    #[test]
    fn the_strongest_wish_is_taken() {
        assert_eq!(chosen(&[&wish("web", "1.0"), &wish("web", "1.1")]).unwrap(), "1.0");
        assert_eq!(chosen(&[&wish("api", "9"), &wish("web", "1.1")]).unwrap(), "1.1");
        let error = chosen(&[&wish("web", "2")]).unwrap_err();
        assert!(error.contains("no version `2` of web") && error.contains("1.1, 1.0"), "{error}");
    }

    #[test]
    fn one_version_needs_no_pin_and_of_several_none_is_guessed() {
        let error = chosen(&[]).unwrap_err();
        assert!(error.contains("several versions") && error.contains("--artifact web=1.1"), "{error}");
        let all = [artifact("api", "1.0", 1)];
        assert_eq!(resolve(["api"], &[], &all).unwrap()[0].version.as_str(), "1.0");
        let error = resolve(["wbe"], &[], &all).unwrap_err();
        assert!(error.help().unwrap().contains("the store has: api"), "{error}");
    }
}
