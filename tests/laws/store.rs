//! A store with two versions of `app`, and one of `config`, a file: made once, read by all worlds.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use tempfile::TempDir;
use windlass::artifact::{ArtifactName, DirectoryStore, Incoming, Pin, Store as _, Version, resolve};

static STORE: LazyLock<(TempDir, Vec<Pin>)> = LazyLock::new(|| {
    let temp = tempfile::tempdir().unwrap();
    let store = DirectoryStore::new(temp.path().join("store"));
    let tree = temp.path().join("app");
    std::fs::create_dir_all(tree.join("bin")).unwrap();
    std::fs::write(tree.join("bin/app"), "#!/bin/sh\necho app\n").unwrap();
    std::fs::set_permissions(tree.join("bin/app"), std::fs::Permissions::from_mode(0o755)).unwrap();
    for version in ["1.0", "1.1"] {
        std::fs::write(tree.join("VERSION"), format!("{version}\n")).unwrap();
        add(&store, "app", version, &tree);
    }
    std::fs::write(temp.path().join("config"), "port = 80\n").unwrap();
    add(&store, "config", "1", &temp.path().join("config"));
    let all = store.list().unwrap();
    let wish = |name: &str, version: &str| (ArtifactName::parse(name).unwrap(), Version::parse(version).unwrap());
    let pins = resolve(["app", "config"], &[&[wish("app", "1.0")].into()], &all).unwrap();
    (temp, pins)
});

fn add(store: &DirectoryStore, name: &str, version: &str, path: &Path) {
    let (name, version) = (ArtifactName::parse(name).unwrap(), Version::parse(version).unwrap());
    store.add(&Incoming { name, version, path, at: 0, by: "laws@here".to_owned() }).unwrap();
}

/// Where it is.
pub(crate) fn directory() -> PathBuf {
    STORE.0.path().join("store")
}

/// What the runs of a world are pinned to: `app` 1.0 and `config` 1.
pub(crate) fn pins() -> Vec<Pin> {
    STORE.1.clone()
}

/// The same with this version of `app`.
pub(crate) fn pins_with(version: &str) -> Vec<Pin> {
    let all = DirectoryStore::new(directory()).list().unwrap();
    let wish = (ArtifactName::parse("app").unwrap(), Version::parse(version).unwrap());
    resolve(["app", "config"], &[&[wish].into()], &all).unwrap()
}
