//! Where the text of a script comes from: the project's directory, or the bundle that was stored when the run began. A resumed
//! run never reads the directory. Names are relative with `/` between the parts; `std/...` is the standard library.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The standard library as it is built in: names as in `std/release`, and texts.
pub type StdTable = &'static [(&'static str, &'static str)];

/// Gives the texts of scripts and modules.
pub trait SourceProvider: Send + Sync {
    /// The text of that name; none when there is no such file.
    ///
    /// # Errors
    /// When it is there and cannot be read, or leads out of the project.
    fn read(&self, name: &str) -> io::Result<Option<String>>;

    /// The names of all modules there are, for a "did you mean".
    fn names(&self) -> Vec<String>;
}

/// The files below a project's directory, with the built-in standard library.
#[derive(Debug, Clone)]
pub struct ProjectSources {
    root: PathBuf,
    std: StdTable,
}

impl ProjectSources {
    /// The sources below this directory.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>, std: StdTable) -> Self {
        Self { root: root.into(), std }
    }

    fn read_file(&self, name: &str) -> io::Result<Option<String>> {
        let (root, path) = match (fs::canonicalize(&self.root), fs::canonicalize(self.root.join(name))) {
            (Ok(root), Ok(path)) => (root, path),
            (Err(error), _) | (_, Err(error)) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => return Ok(None),
        };
        if !path.starts_with(&root) {
            return Err(outside(name));
        }
        if path.is_dir() { Ok(None) } else { fs::read_to_string(path).map(Some) }
    }
}

impl SourceProvider for ProjectSources {
    fn read(&self, name: &str) -> io::Result<Option<String>> {
        if name.starts_with("std/") {
            return Ok(self.std.iter().find(|(known, _)| *known == name).map(|(_, text)| (*text).to_owned()));
        }
        if !is_plain(name) {
            return Err(outside(name));
        }
        self.read_file(name)
    }

    fn names(&self) -> Vec<String> {
        let mut names = BTreeSet::new();
        list_scripts(&self.root, "", &mut names);
        names.extend(self.std.iter().map(|(name, _)| (*name).to_owned()));
        names.into_iter().collect()
    }
}

/// The texts that were stored with a run, the standard library's among them.
#[derive(Debug, Clone, Default)]
pub struct StoredSources(BTreeMap<String, String>);

impl StoredSources {
    /// The bundle of a run.
    #[must_use]
    pub fn new(texts: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(texts.into_iter().collect())
    }
}

impl SourceProvider for StoredSources {
    fn read(&self, name: &str) -> io::Result<Option<String>> {
        Ok(self.0.get(name).cloned())
    }

    fn names(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }
}

/// Why an import's path names no module.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadImport {
    /// It starts with `/`, or holds something that no module's name has.
    #[error("`{0}` is not a path of a module: it is relative to the importing file, with `/` between the parts")]
    NotAPath(String),
    /// It has more `..` than there are directories.
    #[error("`{0}` leads out of the project")]
    Outside(String),
    /// The standard library is closed.
    #[error("`{0}`: a module of the standard library imports only others of it, as `std/...`")]
    FromStd(String),
}

/// The name of the module that a file means by a path, as in `../m2` from `lib/util.rhai`: `m2.rhai`.
///
/// # Errors
/// When no module can have that path.
pub(super) fn module_name(importer: Option<&str>, path: &str) -> Result<String, BadImport> {
    if path.is_empty() || path.starts_with('/') || path.contains(['\\', '\0', ':']) {
        return Err(BadImport::NotAPath(path.to_owned()));
    }
    if let Some(rest) = path.strip_prefix("std/") {
        return if is_plain(rest) {
            Ok(path.trim_end_matches(".rhai").to_owned())
        } else {
            Err(BadImport::NotAPath(path.to_owned()))
        };
    }
    let importer = importer.unwrap_or_default();
    if importer.starts_with("std/") {
        return Err(BadImport::FromStd(path.to_owned()));
    }
    let directory = importer.rsplit_once('/').map_or("", |(directory, _)| directory);
    let joined = joined(directory, path).ok_or_else(|| BadImport::Outside(path.to_owned()))?;
    Ok(if joined.ends_with(".rhai") { joined } else { format!("{joined}.rhai") })
}

fn joined(directory: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = directory.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// Whether a name stays where it is joined to: relative, and without `.` and `..`.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

fn outside(name: &str) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, format!("`{name}` leads out of the project"))
}

/// Adds the scripts below a directory. Hidden directories and links are passed over, so that it ends.
fn list_scripts(directory: &Path, prefix: &str, names: &mut BTreeSet<String>) {
    const DEEP: usize = 8;
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Ok(kind) = entry.file_type() else { continue };
        if name.starts_with('.') {
            continue;
        }
        if kind.is_dir() && prefix.matches('/').count() < DEEP {
            list_scripts(&entry.path(), &format!("{prefix}{name}/"), names);
        } else if kind.is_file() && name.ends_with(".rhai") {
            names.insert(format!("{prefix}{name}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STD: StdTable = &[("std/web", "fn w(h) { h }")];

    #[test]
    fn paths_are_relative_to_the_importer() {
        let name = |from, path| module_name(from, path).map_err(|error| error.to_string());
        assert_eq!(name(None, "lib/util").as_deref(), Ok("lib/util.rhai"));
        assert_eq!(name(Some("lib/util.rhai"), "../m2.rhai").as_deref(), Ok("m2.rhai"));
        assert_eq!(name(Some("lib/util.rhai"), "./web").as_deref(), Ok("lib/web.rhai"));
        assert_eq!(name(Some("lib/util.rhai"), "std/web").as_deref(), Ok("std/web"));
    }

    #[test]
    fn paths_do_not_leave_the_project() {
        let bad = |from, path| module_name(from, path).unwrap_err();
        assert_eq!(bad(Some("deploy.rhai"), "../x"), BadImport::Outside("../x".to_owned()));
        assert_eq!(bad(None, "/etc/passwd"), BadImport::NotAPath("/etc/passwd".to_owned()));
        assert_eq!(bad(None, "std/../x"), BadImport::NotAPath("std/../x".to_owned()));
        assert_eq!(bad(Some("std/web"), "lib/util"), BadImport::FromStd("lib/util".to_owned()));
    }

    #[test]
    fn a_project_reads_its_files_and_no_others() {
        let outer = tempfile::tempdir().unwrap();
        let root = outer.path().join("project");
        fs::create_dir_all(root.join("lib")).unwrap();
        fs::write(root.join("lib/a.rhai"), "1").unwrap();
        fs::write(outer.path().join("secret.rhai"), "2").unwrap();
        std::os::unix::fs::symlink(outer.path().join("secret.rhai"), root.join("link.rhai")).unwrap();
        std::os::unix::fs::symlink(root.join("lib/a.rhai"), root.join("fine.rhai")).unwrap();
        let project = ProjectSources::new(&root, STD);
        assert_eq!(project.read("lib/a.rhai").unwrap().as_deref(), Some("1"));
        assert_eq!(project.read("fine.rhai").unwrap().as_deref(), Some("1"));
        assert_eq!(project.read("none.rhai").unwrap(), None);
        assert_eq!(project.read("lib").unwrap(), None);
        assert_eq!(project.read("std/web").unwrap().as_deref(), Some("fn w(h) { h }"));
        assert!(project.read("link.rhai").unwrap_err().to_string().contains("leads out of the project"));
        assert!(project.read("../secret.rhai").is_err());
        assert_eq!(project.names(), ["lib/a.rhai", "std/web"]);
    }

    #[test]
    fn a_bundle_never_reads_the_disk() {
        let bundle = StoredSources::new([("deploy.rhai".to_owned(), "1".to_owned())]);
        assert_eq!(bundle.read("deploy.rhai").unwrap().as_deref(), Some("1"));
        assert_eq!(bundle.read("Cargo.toml").unwrap(), None);
    }
}
