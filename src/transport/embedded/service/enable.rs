//! Enabling: the links in `*.wants/` by which a service starts with its host. The same files that systemd makes.

use super::state::{Context, Scope, UnitKey};
use super::unit_file::UnitFile;
use std::fs;
use std::io;
use std::path::PathBuf;

/// What `is-enabled` says.
pub(super) fn state(context: &Context, key: &UnitKey, file: Result<&UnitFile, &str>) -> &'static str {
    let linked = links(context, key).next().is_some();
    let installable = file.is_ok_and(|file| !file.wanted_by.is_empty() || !file.aliases.is_empty());
    match (linked, installable) {
        (true, _) => "enabled",
        (false, true) => "disabled",
        (false, false) => "static",
    }
}

/// Makes the links. Says what it made.
pub(super) fn enable(context: &Context, key: &UnitKey, file: &UnitFile, target: &std::path::Path) -> io::Result<String> {
    let Some(dir) = context.unit_dirs(key.scope).into_iter().next() else { return Ok(String::new()) };
    let wants = file.wanted_by.iter().map(|wanter| dir.join(format!("{wanter}.wants")).join(&key.name));
    let aliases = file.aliases.iter().map(|alias| dir.join(alias));
    let mut said = String::new();
    for link in wants.chain(aliases) {
        if fs::read_link(&link).is_ok_and(|there| there == target) {
            continue;
        }
        if let Some(parent) = link.parent() {
            fs::create_dir_all(parent)?;
        }
        let _ = fs::remove_file(&link);
        std::os::unix::fs::symlink(target, &link)?;
        said.push_str(&format!("Created symlink {} → {}.\n", link.display(), target.display()));
    }
    Ok(said)
}

/// Removes the links. Says what it removed.
pub(super) fn disable(context: &Context, key: &UnitKey) -> io::Result<String> {
    let mut said = String::new();
    for link in links(context, key) {
        fs::remove_file(&link)?;
        said.push_str(&format!("Removed \"{}\".\n", link.display()));
    }
    Ok(said)
}

/// All services that start with the host.
pub(super) fn enabled(context: &Context) -> Vec<UnitKey> {
    let mut keys = Vec::new();
    for scope in [Scope::System, Scope::User] {
        let names = all_links(context, scope).filter_map(|link| Some(link.file_name()?.to_str()?.to_owned()));
        keys.extend(names.filter(|name| name.ends_with(".service")).map(|name| UnitKey::new(scope, &name)));
    }
    keys.sort();
    keys.dedup();
    keys
}

fn links(context: &Context, key: &UnitKey) -> impl Iterator<Item = PathBuf> {
    let name = key.name.clone();
    all_links(context, key.scope).filter(move |link| link.file_name().is_some_and(|file| *file == *name))
}

/// What is in the `*.wants` and `*.requires` of a scope. Only the first directory: a shared machine's own are not ours.
fn all_links(context: &Context, scope: Scope) -> impl Iterator<Item = PathBuf> + use<> {
    let entries = |dir: PathBuf| fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    let dir = context.unit_dirs(scope).into_iter().next();
    let wants =
        dir.into_iter().flat_map(entries).filter(|path| path.extension().is_some_and(|end| end == "wants" || end == "requires"));
    wants.flat_map(entries)
}
