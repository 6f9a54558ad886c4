//! The directory store: whole or not at all, whoever else works with it.

use super::*;
use crate::artifact::{Form, Retention, superfluous};
use std::sync::Barrier;

struct Place {
    temp: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { temp: tempfile::tempdir().unwrap() }
    }

    fn store(&self) -> DirectoryStore {
        DirectoryStore::new(self.temp.path().join("store"))
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.temp.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    fn add(&self, name: &str, version: &str, text: &str, at: i64) -> Result<Added, ArtifactError> {
        let path = self.file(&format!("{name}-{version}"), text);
        self.store().add(&incoming(name, version, &path, at))
    }
}

fn incoming<'a>(name: &str, version: &str, path: &'a Path, at: i64) -> Incoming<'a> {
    let (name, version) = (ArtifactName::parse(name).unwrap(), Version::parse(version).unwrap());
    Incoming { name, version, path, at, by: "me@here".to_owned() }
}

fn names(all: &[Artifact]) -> Vec<String> {
    all.iter().map(|artifact| format!("{} {}", artifact.name, artifact.version)).collect()
}

#[test]
fn a_version_is_one_content_for_ever() {
    let place = Place::new();
    let Added::New(first) = place.add("web", "1.0", "one", 1).unwrap() else { panic!("it was there") };
    assert_eq!((first.form, first.size, &first.digest), (Form::File, 3, &Digest::of(b"one")));
    assert_eq!(place.add("web", "1.0", "one", 2).unwrap(), Added::There(first.clone()));
    let error = place.add("web", "1.0", "two", 3).unwrap_err();
    let text = error.to_string();
    assert!(text.contains(first.digest.as_str()) && text.contains(Digest::of(b"two").as_str()), "{text}");
    place.add("web", "1.1", "two", 4).unwrap();
    place.add("api", "1.0", "two", 5).unwrap();
    assert_eq!(names(&place.store().list().unwrap()), ["api 1.0", "web 1.1", "web 1.0"]);
    let path = place.store().fetch(&first.name, &first.version, &first.digest).unwrap();
    assert_eq!(fs::read_to_string(path).unwrap(), "one");
}

#[test]
fn of_many_at_once_one_wins_and_all_are_told() {
    let place = Place::new();
    let barrier = Barrier::new(8);
    let ends: Vec<_> = std::thread::scope(|scope| {
        let add = |n: usize| {
            let (place, barrier) = (&place, &barrier);
            scope.spawn(move || {
                let path = place.file(&n.to_string(), &"x".repeat(100_000 + n % 2));
                barrier.wait();
                place.store().add(&incoming("web", "1.0", &path, 1))
            })
        };
        let threads: Vec<_> = (0..8).map(add).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let new = ends.iter().filter(|end| matches!(end, Ok(Added::New(_)))).count();
    let there = ends.iter().filter(|end| matches!(end, Ok(Added::There(_)))).count();
    let different = ends.iter().filter(|end| matches!(end, Err(ArtifactError::Different { .. }))).count();
    assert_eq!((new, there, different), (1, 3, 4), "{ends:?}");
    assert!(place.store().verify().unwrap().is_empty());
    assert_eq!(fs::read_dir(place.temp.path().join("store/tmp")).unwrap().count(), 0);
}

#[test]
fn damage_is_found_and_mended_by_adding_again() {
    let place = Place::new();
    let artifact = place.add("web", "1.0", "one", 1).unwrap().artifact().clone();
    let path = place.store().content(&artifact.digest);
    fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    fs::write(&path, "ode").unwrap();
    let damage = place.store().verify().unwrap();
    assert_eq!((damage.len(), &damage[0].of[0]), (1, &"web 1.0".to_owned()));
    assert_eq!(damage[0].found, Some(Digest::of(b"ode")));
    fs::remove_file(&path).unwrap();
    assert_eq!(place.store().verify().unwrap()[0].found, None);
    let gone = place.store().fetch(&artifact.name, &artifact.version, &artifact.digest).unwrap_err();
    assert!(gone.help().unwrap().contains("artifact add web 1.0"), "{gone}");
    assert!(matches!(place.add("web", "1.0", "one", 2).unwrap(), Added::There(_)));
    assert!(place.store().verify().unwrap().is_empty());
}

#[test]
fn what_has_two_names_stays_until_both_are_gone() {
    let place = Place::new();
    let one = place.add("web", "1.0", "one", 1).unwrap().artifact().clone();
    let two = place.add("web", "1.1", "one", 2).unwrap().artifact().clone();
    place.file("store/sha256/0000000000000000000000000000000000000000000000000000000000000000", "stray");
    let (dropped, nameless) = place.store().remove(&[one]).unwrap();
    assert_eq!((dropped[0].freed, nameless), (0, 5));
    let (dropped, nameless) = place.store().remove(&[two]).unwrap();
    assert_eq!((dropped[0].freed, nameless), (3, 0));
    assert!(place.store().list().unwrap().is_empty());
}

#[test]
fn nothing_is_removed_from_under_a_run() {
    let place = Place::new();
    let one = place.add("web", "1.0", "one", 1).unwrap().artifact().clone();
    let held = place.store().hold().unwrap();
    assert!(matches!(place.store().remove(std::slice::from_ref(&one)), Err(ArtifactError::Busy { .. })));
    place.add("web", "1.1", "two", 2).unwrap();
    drop(held);
    place.store().remove(&[one]).unwrap();
    assert_eq!(names(&place.store().list().unwrap()), ["web 1.1"]);
}

#[test]
fn the_newest_and_the_protected_stay() {
    let place = Place::new();
    for (n, version) in ["1", "2", "3", "4"].iter().enumerate() {
        place.add("web", version, version, i64::try_from(n).unwrap()).unwrap();
        place.add("api", version, &format!("api{version}"), 0).unwrap();
    }
    let all = place.store().list().unwrap();
    let protected = [Digest::of(b"1")].into();
    let gone = superfluous(&all, &Retention { keep: 2, protected });
    assert_eq!(names(&gone), ["api 2", "api 1", "web 2"]);
}

#[test]
fn an_index_of_a_newer_windlass_is_not_misread() {
    let place = Place::new();
    place.add("web", "1.0", "one", 1).unwrap();
    let path = place.temp.path().join("store/index/web/1.0.json");
    fs::write(&path, fs::read_to_string(&path).unwrap().replace("\"format\": 1", "\"format\": 2")).unwrap();
    let error = place.store().list().unwrap_err().to_string();
    assert!(error.contains("1.0.json") && error.contains("reads 1"), "{error}");
}
