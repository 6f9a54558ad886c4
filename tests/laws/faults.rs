//! The corpus of wrong scripts: each has one mistake, which the fault test finds at its line, with its judge; and a mended twin, of
//! which it has nothing to say. Data in `tests/faults`.

use crate::many::check_all;
use serde::Deserialize;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a case says of its wrong script. The line of the mistake ends with `// BREACH`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// In words.
    mistake: String,
    /// Who finds it.
    judge: String,
    /// A part of what is said.
    says: String,
    /// Whether it takes a second fault, while the first is undone or taken up.
    #[serde(default)]
    undoing: bool,
    /// Judges that find something else that follows from it, as `judge:line`.
    #[serde(default)]
    also: Vec<String>,
}

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults")
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn windlass(root: &Path, args: &[&str]) -> std::process::Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_windlass"));
    command.args(args).current_dir(root).env_clear().env("PATH", "/usr/bin:/bin").env("HOME", root).env("USER", "laws");
    command.output().unwrap()
}

/// The project that all cases share, with what one case has of its own.
fn project(case: &Path) -> tempfile::TempDir {
    let temp = tempfile::tempdir().unwrap();
    copy(&corpus().join("project"), temp.path());
    copy(case, temp.path());
    for version in ["1.0", "1.1"] {
        let output = windlass(temp.path(), &["artifact", "add", "app", version, &format!("app/{version}")]);
        assert!(output.status.success(), "{output:?}");
    }
    temp
}

/// The breaches of a script: the judge, the line, what is said.
fn breaches(root: &Path, script: &str, how: &[&str]) -> Result<Vec<(String, u64, String)>, String> {
    let args = ["test", script, "-e", "lab", "--artifact", "app=1.1", "--format", "json"];
    let output = windlass(root, &[&args, how].concat());
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let events: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let ends: Vec<&Value> = events.iter().filter(|event| event["event"] == "test_ended").collect();
    let fails = ends.iter().find(|end| !end["fails"].is_null());
    if ends.is_empty() || fails.is_some() || ends.iter().any(|end| end["coverage"]["missed"] != 0) {
        return Err(format!("{script}: the test did not come to its end: {ends:?}\n{}", String::from_utf8_lossy(&output.stderr)));
    }
    let found: Vec<(String, u64, String)> = events
        .iter()
        .filter(|event| event["event"] == "breach")
        .map(|event| {
            let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
            (text("judge"), event["site"]["line"].as_u64().unwrap_or(0), text("what"))
        })
        .collect();
    let code = output.status.code();
    if code != Some(i32::from(!found.is_empty())) {
        return Err(format!("{script}: {} breaches, and exit code {code:?}", found.len()));
    }
    Ok(found)
}

/// Whether everything is to be tried, from both starts: minutes for each case.
#[expect(clippy::disallowed_methods, reason = "how much is tried is asked of the environment")]
fn all() -> bool {
    std::env::var("WINDLASS_FAULTS").is_ok_and(|value| value == "all")
}

fn check(directory: &Path) -> Result<(), String> {
    let case: Case =
        toml::from_str(&std::fs::read_to_string(directory.join("case.toml")).unwrap()).map_err(|error| error.to_string())?;
    let temp = project(directory);
    let text = std::fs::read_to_string(directory.join("wrong.rhai")).unwrap();
    let marked: Vec<u64> = (1..).zip(text.lines()).filter(|(_, line)| line.ends_with("// BREACH")).map(|(n, _)| n).collect();
    let [line] = marked[..] else { return Err("one line of wrong.rhai ends with // BREACH".to_owned()) };
    let all = all();
    let mut how = Vec::new();
    if !all {
        how.extend(["--from", "live"]);
        // Kills at effects are tried; those at records in between take as long again.
        let kinds = "fails,lost,gone,gone-after,away,rebooted,timeout,full,sick,sick-release,flaps,dies,killed-after,taken";
        how.extend(["--faults", kinds]);
        how.extend((!case.undoing).then_some("--single"));
    }
    let found = breaches(temp.path(), "wrong.rhai", &how)?;
    let meant = |(judge, at, what): &&(String, u64, String)| *judge == case.judge && *at == line && what.contains(&case.says);
    if !found.iter().any(|breach| meant(&breach)) {
        return Err(format!("{}: it is not found at line {line} by {}: {found:#?}", case.mistake, case.judge));
    }
    let other = found.iter().filter(|breach| !meant(breach) && !case.also.contains(&format!("{}:{}", breach.0, breach.1)));
    let other: Vec<_> = other.collect();
    if !other.is_empty() {
        return Err(format!("{}: something else is found as well: {other:#?}", case.mistake));
    }
    let mended = breaches(temp.path(), "mended.rhai", &how)?;
    if mended.is_empty() { Ok(()) } else { Err(format!("{}: the mended script has breaches: {mended:#?}", case.mistake)) }
}

#[test]
fn every_mistake_is_found_at_its_line_and_its_mended_twin_is_clean() {
    let mut cases: Vec<PathBuf> = std::fs::read_dir(corpus()).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.retain(|path| path.join("case.toml").is_file());
    cases.sort();
    check_all(&cases, |path| path.file_name().unwrap().to_string_lossy().into_owned(), |path| check(path));
}

/// What was wrong in the runtime itself, and came out in a scenario of a right script.
#[test]
fn what_was_found_in_the_runtime_stays_mended() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/fault-test");
    let temp = tempfile::tempdir().unwrap();
    copy(&root, temp.path());
    let play = |start: &str, name: &str| windlass(temp.path(), &["test", "--from", start, "--scenario", name]);
    // The process is killed after it has restarted web2's service on its old files: whoever goes on looks whether it is well.
    let output = play("live", "main/2.rolling/web3#7/1:fails,main/2.rolling/web2#7/3:killed-after");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}");
    let after = text.split("windlass unwind").nth(1).unwrap();
    let (looks, next) = (after.find("GET http://10.77.0.12").unwrap(), after.find("\"web1 is drained\" is opened").unwrap());
    assert!(looks < next, "{after}");
    // A command that says it may be repeated is repeated when its host was restarted under it.
    let output = play("fresh", "main/2.rolling/web1/4.leave/1#1/1:rebooted");
    assert!(output.status.success(), "{output:?}");
    // A first deploy that is undone after an answer was lost looks for nothing that did not run before.
    let output = play("fresh", "main/2.rolling/web1/4.leave/1#1/1:killed-after,2~main/2.rolling/web1#6/2:lost");
    assert!(output.status.success(), "{output:?}");
}
