//! Which version of each artifact a script is given: the command line's, the environment's, the project's, the only one.

use super::args::Selection;
use super::error::CliError;
use crate::artifact::{Artifact, ArtifactName, DirectoryStore, Pin, PinError, Store, Version, Wishes, resolve};
use crate::fleet::Project;
use crate::script::{Diagnostic, Program};
use std::collections::BTreeSet;

/// What the pins are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To find mistakes: a store that is empty here may not be so elsewhere, and a version may be said when it is run.
    Check,
    /// To run: each artifact needs one version.
    Run,
}

/// The pins of all artifacts that the script asks for, and what is wrong with those that have none.
pub(super) fn pins(
    purpose: Purpose,
    program: &Program,
    selection: &Selection,
    project: &Project,
    environment: &Wishes,
    store: &DirectoryStore,
) -> Result<(Vec<Pin>, Vec<Diagnostic>), CliError> {
    let asked = program.artifacts();
    let given = given(&selection.artifacts)?;
    if let Some(name) = given.keys().find(|name| !asked.computed && !asked.names.contains(name.as_str())) {
        let listed: Vec<&str> = asked.names.iter().map(String::as_str).collect();
        let help = if listed.is_empty() {
            "it asks for none; artifact(\"NAME\") does".to_owned()
        } else {
            format!("it asks for: {}", listed.join(", "))
        };
        return Err(CliError::usage(format!("--artifact {name}: the script asks for no such artifact")).with_help(help));
    }
    if asked.names.is_empty() && !asked.computed {
        return Ok((Vec::new(), Vec::new()));
    }
    let all = store.list()?;
    if all.is_empty() && purpose == Purpose::Check {
        return Ok((Vec::new(), Vec::new()));
    }
    let wishes = [&given, environment, &project.artifacts];
    let (mut pins, mut wrong) = (Vec::new(), Vec::new());
    for name in &asked.names {
        match resolve([name.as_str()], &wishes, &all) {
            Ok(mut found) => pins.append(&mut found),
            Err(PinError::Undecided { .. }) if purpose == Purpose::Check => {}
            Err(error) => wrong.push(program.at_artifact(name, error.to_string(), error.help())),
        }
    }
    if asked.computed {
        pins.extend(others(&asked.names, &wishes, &all)?);
    }
    Ok((pins, wrong))
}

fn given(pairs: &[(ArtifactName, Version)]) -> Result<Wishes, CliError> {
    let mut given = Wishes::new();
    for (name, version) in pairs {
        if given.insert(name.clone(), version.clone()).is_some_and(|before| before != *version) {
            return Err(CliError::usage(format!("--artifact {name} is given twice, with different versions")));
        }
    }
    Ok(given)
}

/// A name that is computed may be any: all are pinned, but those of which nothing says which version is meant.
fn others(known: &BTreeSet<String>, wishes: &[&Wishes], all: &[Artifact]) -> Result<Vec<Pin>, CliError> {
    let names: BTreeSet<&str> = all.iter().map(|artifact| artifact.name.as_str()).filter(|name| !known.contains(*name)).collect();
    let mut pins = Vec::new();
    for name in names {
        match resolve([name], wishes, all) {
            Ok(mut found) => pins.append(&mut found),
            Err(PinError::Undecided { .. }) => {}
            Err(PinError::Artifact(error)) => return Err(error.into()),
        }
    }
    Ok(pins)
}
