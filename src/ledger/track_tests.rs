use super::*;
use crate::artifact::Version;
use crate::ledger::Made;

/// Releases of one component on one host: `run version` known-good, `run version mark` with `~` live, `?` unsure, `-` missed, or
/// `=RUN` known-good by a rollback to what that run made.
fn history(lines: &[&str]) -> Track {
    let release = |(n, line): (usize, &&str)| {
        let mut words = line.split(' ');
        let (run, version, mark) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap_or_default());
        let standing = match mark {
            "~" => Standing::Live,
            "?" => Standing::Unsure,
            "-" => Standing::Missed,
            _ => Standing::KnownGood,
        };
        Release {
            n: i64::try_from(n).unwrap() + 1,
            environment: "lab".to_owned(),
            made: Made {
                component: ArtifactName::parse("web").unwrap(),
                host: HostName::parse("h1").unwrap(),
                version: Version::parse(version).unwrap(),
                artifact: None,
                standing,
                why: String::new(),
            },
            run: RunId::parse(run).unwrap(),
            made_by: RunId::parse(mark.strip_prefix('=').unwrap_or(run)).unwrap(),
            at: 0,
        }
    };
    let releases: Vec<Release> = lines.iter().enumerate().map(release).collect();
    tracks(&releases).remove(0)
}

fn earlier(lines: &[&str]) -> Option<String> {
    history(lines).earlier().map(|release| release.made.version.to_string())
}

fn run_of(release: Option<&Release>) -> &str {
    release.map_or("", |release| release.run.as_str())
}

#[test]
fn back_is_another_version_and_never_one_that_was_not_known_good() {
    assert_eq!(earlier(&["a 1.0"]), None);
    assert_eq!(earlier(&["a 1.0", "b 1.1"]).as_deref(), Some("1.0"));
    // A rerun of the same version is not earlier.
    assert_eq!(earlier(&["a 1.0", "b 1.1", "c 1.1"]).as_deref(), Some("1.0"));
    assert_eq!(earlier(&["a 1.0", "b 1.0"]), None);
    // What was only live, or half there, or missed, is no place to go.
    assert_eq!(earlier(&["a 1.0", "b 1.1 ~", "c 1.2"]).as_deref(), Some("1.0"));
    assert_eq!(earlier(&["a 1.0", "b 1.1", "c 1.2 ?"]).as_deref(), Some("1.1"));
    assert_eq!(earlier(&["a 1.0", "b 1.1", "c 1.2 -"]).as_deref(), Some("1.0"));
    assert_eq!(earlier(&["a 1.0 ~", "b 1.1"]), None);
}

#[test]
fn going_back_again_goes_further_back() {
    assert_eq!(earlier(&["a 1.0", "b 1.1", "c 1.2", "d 1.1 =b"]).as_deref(), Some("1.0"));
    assert_eq!(earlier(&["a 1.0", "b 1.1", "c 1.2", "d 1.1 =b", "e 1.0 =a"]), None);
    // A good, B bad; back to A; C bad: back to A, not to B.
    assert_eq!(earlier(&["a A", "b B", "c A =a", "d C"]).as_deref(), Some("A"));
    assert_eq!(earlier(&["a A", "b B", "c A =a", "d C", "e A =a"]), None);
    // Somebody deployed the old version forward: that is no rollback.
    assert_eq!(earlier(&["a 1.0", "b 1.1", "c 1.0"]).as_deref(), Some("1.1"));
}

#[test]
fn live_and_missed_are_told_apart() {
    let track = history(&["a 1.0", "b 1.1 -"]);
    assert_eq!((run_of(track.live()), run_of(track.known_good()), run_of(track.missed())), ("a", "a", "b"));
    let track = history(&["a 1.0", "b 1.1 -", "c 1.2"]);
    assert_eq!((run_of(track.live()), run_of(track.missed())), ("c", ""));
    let track = history(&["a 1.0", "b 1.1 ?"]);
    assert_eq!((run_of(track.live()), run_of(track.known_good())), ("b", "a"));
    let track = history(&["a 1.0 -"]);
    assert_eq!((run_of(track.live()), track.place()), ("", None));
}

#[test]
fn what_is_needed_is_live_two_versions_and_the_way_back() {
    let needed = |lines: &[&str]| {
        let track = history(lines);
        let runs: BTreeSet<String> = track.needed().iter().map(|release| release.run.to_string()).collect();
        runs.into_iter().collect::<String>()
    };
    assert_eq!(needed(&["a 1.0", "b 1.1", "c 1.2"]), "bc");
    assert_eq!(needed(&["a 1.0", "b 1.1", "c 1.2", "d 1.2"]), "bd");
    assert_eq!(needed(&["a 1.0", "b 1.1", "c 1.2", "d 1.3 ~"]), "bcd");
    assert_eq!(needed(&["a 1.0", "b 1.1", "c 1.2", "d 1.1 =b"]), "acd");
    assert_eq!(needed(&["a 1.0", "b 1.1 -"]), "a");
}
