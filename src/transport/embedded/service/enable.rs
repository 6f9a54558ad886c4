//! Enabling: the links in `*.wants/` by which a service starts with its host. The same files that systemd makes.

use super::state::{Context, Scope, UnitKey};
use super::unit_file::UnitFile;
use super::words::Specifiers;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What `is-enabled` says.
pub(super) fn state(context: &Context, key: &UnitKey, file: Result<&UnitFile, &str>) -> &'static str {
    let rules = |file: &&UnitFile| !file.wanted_by.is_empty() || !file.aliases.is_empty();
    match (own_links(context, key).next().is_some(), linked(context, key).is_some(), file.ok()) {
        (true, ..) => "enabled",
        (false, true, _) => "linked",
        (false, false, Some(file)) if rules(&file) => "disabled",
        (false, false, Some(file)) if !file.also.is_empty() => "indirect",
        (false, false, _) => "static",
    }
}

/// A unit and those that it names to be enabled with it, and so on, as far as they are there; each with what it says of that.
pub(super) fn with_also(context: &Context, key: &UnitKey) -> Vec<(UnitKey, PathBuf, UnitFile)> {
    let (mut all, mut names) = (Vec::new(), vec![key.clone()]);
    let mut at = 0;
    while let Some(key) = names.get(at).cloned() {
        at += 1;
        let Some(source) = context.source(&key) else { continue };
        let home = context.spec.home.to_string_lossy();
        let file = UnitFile::install(&source.text, &Specifiers { unit: &key.name, home: &home, host: &context.spec.name });
        for name in &file.also {
            let other = UnitKey::new(key.scope, name);
            if !names.contains(&other) {
                names.push(other);
            }
        }
        all.push((key, source.path, file));
    }
    all
}

/// Makes the links. Says what it made.
pub(super) fn enable(context: &Context, key: &UnitKey, file: &UnitFile, source: &Path) -> io::Result<String> {
    let Some(dir) = context.unit_dirs(key.scope).into_iter().next() else { return Ok(String::new()) };
    let target = linked(context, key).unwrap_or_else(|| source.to_owned());
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
        std::os::unix::fs::symlink(&target, &link)?;
        said.push_str(&format!("Created symlink {} → {}.\n", link.display(), target.display()));
    }
    Ok(said)
}

/// Removes the links, the one by which a unit from elsewhere is known among them. Says what it removed.
pub(super) fn disable(context: &Context, key: &UnitKey) -> io::Result<String> {
    let mut said = String::new();
    let known = linked(context, key).and_then(|_| Some(context.unit_dirs(key.scope).first()?.join(&key.name)));
    for link in own_links(context, key).chain(known).collect::<Vec<_>>() {
        fs::remove_file(&link)?;
        said.push_str(&format!("Removed \"{}\".\n", link.display()));
        // A directory that is empty now was for links alone.
        if let Some(parent) = link.parent().filter(|parent| holds_links(parent)) {
            let _ = fs::remove_dir(parent);
        }
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

/// The links by which a unit starts with its host, and by which it has other names.
fn own_links(context: &Context, key: &UnitKey) -> impl Iterator<Item = PathBuf> {
    let (own, name) = (key.name.clone(), key.name.clone());
    let wants = all_links(context, key.scope).filter(move |link| link.file_name().is_some_and(|file| *file == *own));
    let dir = context.unit_dirs(key.scope).into_iter().next();
    let aliases = dir.into_iter().flat_map(entries).filter(move |path| {
        let leads_to = |target: PathBuf| target.file_name().is_some_and(|file| *file == *name);
        path.file_name().is_some_and(|file| *file != *name) && fs::read_link(path).is_ok_and(leads_to)
    });
    wants.chain(aliases)
}

/// Where a unit really is that is known by a link only.
fn linked(context: &Context, key: &UnitKey) -> Option<PathBuf> {
    let target = fs::read_link(context.unit_dirs(key.scope).first()?.join(&key.name)).ok()?;
    target.file_name().is_some_and(|file| *file == *key.name).then_some(target)
}

/// What is in the `*.wants` and `*.requires` of a scope. Only the first directory: a shared machine's own are not ours.
fn all_links(context: &Context, scope: Scope) -> impl Iterator<Item = PathBuf> + use<> {
    let dir = context.unit_dirs(scope).into_iter().next();
    dir.into_iter().flat_map(entries).filter(|path| holds_links(path)).flat_map(entries)
}

fn entries(dir: PathBuf) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path())
}

fn holds_links(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "wants" || end == "requires")
}
