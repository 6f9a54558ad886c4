use super::*;
use crate::artifact::DirectoryStore;
use std::fs;
use std::os::unix::fs::PermissionsExt;

struct Project {
    temp: tempfile::TempDir,
}

impl Project {
    fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        fs::create_dir_all(temp.path().join("p/files")).unwrap();
        Self { temp }
    }

    fn store(&self) -> PathBuf {
        self.temp.path().join("store")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.temp.path().join("p").join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn run(&self, run: &str) -> KeptSources {
        KeptSources::new(&self.store(), RunId::parse(run).unwrap(), None)
    }

    fn ended(&self, run: &str) -> KeptSources {
        KeptSources::of_ended(&self.store(), RunId::parse(run).unwrap(), None)
    }

    fn back(&self, run: &str, to: &str) -> KeptSources {
        KeptSources::new(&self.store(), RunId::parse(run).unwrap(), Some(RunId::parse(to).unwrap()))
    }

    /// What a run reads under a name.
    fn read(&self, sources: &KeptSources, name: &str) -> Result<String, String> {
        match sources.get(name, &self.path(name)) {
            Ok(Kept::File { path, digest, size, .. }) => {
                let text = fs::read_to_string(path).unwrap();
                assert_eq!((Digest::of(text.as_bytes()), text.len() as u64), (digest, size));
                Ok(text)
            }
            Ok(Kept::Tree { listing, archive, archive_size, .. }) => {
                assert_eq!(fs::metadata(archive).unwrap().len(), archive_size);
                Ok(listing)
            }
            Err(error) => Err(format!("{error}; {}", error.help().unwrap_or_default())),
        }
    }

    fn contents(&self) -> usize {
        fs::read_dir(self.store().join("kept/sha256")).map_or(0, Iterator::count)
    }
}

#[test]
fn a_run_reads_what_it_read_first_whoever_takes_it_up() {
    let project = Project::new();
    project.write("files/a", "one");
    fs::set_permissions(project.path("files/a"), fs::Permissions::from_mode(0o640)).unwrap();
    assert_eq!(project.read(&project.run("r1"), "files/a").unwrap(), "one");
    project.write("files/a", "two");
    let again = project.run("r1");
    assert_eq!(project.read(&again, "./files//a").unwrap(), "one");
    assert!(matches!(again.get("files/a", &project.path("files/a")), Ok(Kept::File { mode: 0o640, .. })));
    fs::remove_file(project.path("files/a")).unwrap();
    assert_eq!(project.read(&again, "files/a").unwrap(), "one");
    assert!(project.read(&project.run("r2"), "files/a").is_err());
}

#[test]
fn the_same_content_is_kept_once() {
    let project = Project::new();
    for (name, text) in [("files/a", "same"), ("files/b", "same"), ("files/c", "else")] {
        project.write(name, text);
        assert_eq!(project.read(&project.run("r1"), name).unwrap(), text);
        assert_eq!(project.read(&project.run("r2"), name).unwrap(), text);
    }
    assert_eq!(project.contents(), 2);
    assert_eq!(fs::read_dir(project.store().join("kept/tmp")).unwrap().count(), 0);
}

#[test]
fn a_directory_is_kept_whole() {
    let project = Project::new();
    project.write("files/a", "one");
    let listing = project.read(&project.run("r1"), "files").unwrap();
    assert!(listing.contains('a'), "{listing}");
    project.write("files/b", "two");
    assert_eq!(project.read(&project.run("r1"), "files").unwrap(), listing);
    assert_ne!(project.read(&project.run("r2"), "files").unwrap(), listing);
}

#[test]
fn what_the_run_itself_fetches_is_read_anew() {
    let project = Project::new();
    project.write("files/a", "one");
    let run = project.run("r1");
    let listing = project.read(&run, "files").unwrap();
    assert_eq!(project.read(&run, "files/a").unwrap(), "one");
    project.write("files/a", "fetched");
    run.forget("files/a").unwrap();
    // Also for whoever takes it up before it is asked for again.
    assert_eq!(project.read(&project.run("r1"), "files/a").unwrap(), "fetched");
    assert_ne!(project.read(&project.run("r1"), "files").unwrap(), listing);
    // In a rollback a file that it fetches is none that the earlier run must have read.
    let back = project.back("r2", "r1");
    project.write("files/new", "now");
    assert!(project.read(&back, "files/new").unwrap_err().contains("was not read by run r1"));
    back.forget("files/new").unwrap();
    assert_eq!(project.read(&back, "files/new").unwrap(), "now");
    assert_eq!(project.read(&project.back("r2", "r1"), "files/new").unwrap(), "now");
}

#[test]
fn what_an_ended_run_read_is_read_and_nothing_put_down() {
    let project = Project::new();
    project.write("files/a", "one");
    project.read(&project.run("r1"), "files/a").unwrap();
    project.write("files/a", "two");
    project.write("files/b", "two");
    let ended = project.ended("r1");
    assert_eq!(project.read(&ended, "files/a").unwrap(), "one");
    assert!(project.read(&ended, "files/b").unwrap_err().contains("was not read by run r1"));
    // What it fetched itself is not known.
    ended.forget("files/a").unwrap();
    project.run("r1").forget("files/a").unwrap();
    assert_eq!(project.read(&ended, "files/a").unwrap(), "one");
    assert!(project.read(&project.ended("r1"), "files/a").unwrap_err().contains("was not read by run r1"));
    assert_eq!(project.read(&project.run("r2"), "files/a").unwrap(), "two");
}

#[test]
fn a_rollback_reads_what_the_run_read_and_nothing_else() {
    let project = Project::new();
    project.write("files/a", "one");
    project.read(&project.run("r1"), "files/a").unwrap();
    project.write("files/a", "two");
    let back = project.back("r9", "r1");
    assert_eq!(project.read(&back, "files/a").unwrap(), "one");
    assert!(back.has("files/a").unwrap() && !back.has("files/b").unwrap());
    project.write("files/b", "now");
    let error = project.read(&back, "files/b").unwrap_err();
    assert!(error.contains("was not read by run r1") && error.contains("windlass run"), "{error}");
    assert_eq!(back.missing().unwrap(), Vec::new());
}

#[test]
fn what_is_gone_is_told_and_the_same_file_mends_it() {
    let project = Project::new();
    project.write("files/a", "one");
    project.read(&project.run("r1"), "files/a").unwrap();
    fs::remove_dir_all(project.store().join("kept/sha256")).unwrap();
    project.write("files/a", "two");
    let run = project.run("r1");
    let error = project.read(&run, "files/a").unwrap_err();
    assert!(error.contains("is gone from") && error.contains("put the same file back"), "{error}");
    assert_eq!(run.missing().unwrap(), [("files/a".to_owned(), Digest::of(b"one"))]);
    project.write("files/a", "one");
    assert_eq!(project.read(&run, "files/a").unwrap(), "one");
    assert_eq!(run.missing().unwrap(), Vec::new());
}

#[test]
fn half_a_line_is_passed_over() {
    let project = Project::new();
    project.write("files/a", "one");
    project.write("files/b", "two");
    project.read(&project.run("r1"), "files/a").unwrap();
    let list = project.store().join("kept/runs/r1");
    let text = fs::read_to_string(&list).unwrap();
    fs::write(&list, format!("{text}{{\"name\":\"files/b\",\"is")).unwrap();
    assert_eq!(project.read(&project.run("r1"), "files/b").unwrap(), "two");
    project.write("files/b", "three");
    project.write("files/a", "three");
    let again = project.run("r1");
    assert_eq!(
        (project.read(&again, "files/a").unwrap(), project.read(&again, "files/b").unwrap()),
        ("one".into(), "two".into())
    );
}

#[test]
fn only_what_some_run_needs_stays() {
    let project = Project::new();
    for run in ["r1", "r2", "r3"] {
        project.write("files/a", &format!("of {run}"));
        project.write("files/same", "same");
        project.read(&project.run(run), "files/a").unwrap();
        project.read(&project.run(run), "files/same").unwrap();
    }
    let store = DirectoryStore::new(project.store());
    let stays = |run: &RunId| run.as_str() == "r2";
    let in_use = store.hold().unwrap();
    assert!(matches!(store.forget_sources(&stays), Err(ArtifactError::Busy { .. })));
    drop(in_use);
    assert_eq!(store.forgettable(&stays).unwrap(), 10);
    assert_eq!((project.contents(), store.forget_sources(&stays).unwrap(), project.contents()), (4, 10, 2));
    project.write("files/a", "later");
    assert_eq!(project.read(&project.run("r2"), "files/a").unwrap(), "of r2");
    assert_eq!(project.read(&project.run("r1"), "files/a").unwrap(), "later");
}
