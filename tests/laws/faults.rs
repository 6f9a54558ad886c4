//! The corpus of wrong scripts: each has one mistake, which the fault test finds at its line, with its judge; and a mended twin, of
//! which it has nothing to say. Data in `tests/faults`.

use crate::many::check_all;
use serde::Deserialize;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Faults that show every mistake of the corpus.
const FEW: &str = "fails,away,rebooted,timeout,sick,sick-release,flaps,dies,killed-after";

/// Faults that a mended script bears. Kills at effects are tried; those at records in between take as long again.
const MANY: &str = "fails,lost,gone-after,away,boots-later,rebooted,timeout,full,sick,sick-release,flaps,dies,killed-after,taken";

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
    /// On which hosts it shows: `fresh` ones, or, when it is not said, those on which the version before is `live`.
    #[serde(default)]
    from: Option<String>,
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
            // A line of a file that it imports is none of its own.
            let own = event["site"]["source"] == script;
            (text("judge"), event["site"]["line"].as_u64().filter(|_| own).unwrap_or(0), text("what"))
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
    let from = case.from.as_deref().unwrap_or("live");
    let how = |kinds: &'static str| {
        let mut how = Vec::new();
        if !all {
            how.extend(["--from", from, "--faults", kinds]);
            how.extend((!case.undoing).then_some("--single"));
        }
        how
    };
    let found = breaches(temp.path(), "wrong.rhai", &how(FEW))?;
    let meant = |(judge, at, what): &&(String, u64, String)| *judge == case.judge && *at == line && what.contains(&case.says);
    if !found.iter().any(|breach| meant(&breach)) {
        return Err(format!("{}: it is not found at line {line} by {}: {found:#?}", case.mistake, case.judge));
    }
    let other = found.iter().filter(|breach| !meant(breach) && !case.also.contains(&format!("{}:{}", breach.0, breach.1)));
    let other: Vec<_> = other.collect();
    if !other.is_empty() {
        return Err(format!("{}: something else is found as well: {other:#?}", case.mistake));
    }
    let mended = breaches(temp.path(), "mended.rhai", &how(MANY))?;
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

/// The scripts that ship, as their pages say to prepare them: no breach, and nothing is left uncovered but what the guide speaks of.
#[test]
fn what_ships_has_no_breach() {
    // What can go wrong, cut down to seconds; `WINDLASS_FAULTS=all` tries everything.
    let some = [
        "--single",
        "--from",
        "live",
        "--faults",
        "fails,lost,gone,boots-later,rebooted,full,sick,sick-release,dies,killed-after",
    ];
    let shipped: [(&str, &[&str]); 4] = [
        ("scripts/single", &[]),
        ("scripts/rolling", &some[..]),
        ("examples/quickstart", &some[..]),
        ("examples/fault-test", &some[..]),
    ];
    let try_it = |(from, how): &(&str, &[&str])| {
        let temp = tempfile::tempdir().unwrap();
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join(from), temp.path());
        let _ = std::fs::remove_dir_all(temp.path().join(".windlass"));
        if temp.path().join("build.sh").is_file() {
            assert!(Command::new("sh").arg("build.sh").current_dir(temp.path()).output().unwrap().status.success(), "{from}");
        }
        for version in ["1.0", "1.1"].iter().filter(|_| from.starts_with("scripts/")) {
            let added = windlass(temp.path(), &["artifact", "add", "hello", version, &format!("build/{version}")]);
            assert!(added.status.success(), "{added:?}");
        }
        let how = if all() { &[] } else { *how };
        let output = windlass(temp.path(), &[&["test", "--format", "json"], how].concat());
        let ends: Vec<Value> = events(&output).into_iter().filter(|event| event["event"] == "test_ended").collect();
        if !output.status.success() || ends.is_empty() {
            return Err(format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)));
        }
        let covered = ends.iter().all(|end| end["uncovered"].as_array().is_some_and(Vec::is_empty));
        if covered != (*from != "examples/fault-test") {
            return Err(format!("what is not covered: {ends:?}"));
        }
        Ok(())
    };
    check_all(&shipped, |(from, _)| (*from).to_owned(), try_it);
}

/// A project with one case's files, and a script of the test's own.
fn with(case: &str, name: &str, text: &str) -> tempfile::TempDir {
    let temp = project(&corpus().join(case));
    std::fs::write(temp.path().join(name), text).unwrap();
    temp
}

/// Tests a script of a project, from where the version before is live, with these words more.
fn tested(root: &Path, script: &str, how: &[&str]) -> std::process::Output {
    let args = ["test", script, "-e", "lab", "--artifact", "app=1.1", "--from", "live"];
    windlass(root, &[&args, how].concat())
}

fn events(output: &std::process::Output) -> Vec<Value> {
    String::from_utf8_lossy(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn what_no_model_covers_is_told_and_strict_refuses_it() {
    let text = r#"import "lib/deploy" as deploy;
let app = artifact("app");
rolling(hosts("web"), |h| {
    h.run("app-admin warm-up", #{ undo: "true" });
    h.run("app-admin index", #{ writes: ["/srv/app/index"] });
    deploy::release(h, app);
});
"#;
    let temp = with("undo-missing", "own.rhai", text);
    let how = ["--single", "--faults", "sick", "--format", "json"];
    let output = tested(temp.path(), "own.rhai", &how);
    let uncovered = &events(&output)[0]["uncovered"];
    assert_eq!(*uncovered, serde_json::json!([{ "command": "app-admin warm-up", "site": "own.rhai:4:7" }]));
    assert_eq!(output.status.code(), Some(0), "it is no breach: {output:?}");
    let output = tested(temp.path(), "own.rhai", &[&how[..], &["--strict"]].concat());
    assert_eq!(output.status.code(), Some(1), "with --strict it is: {output:?}");
    let output = tested(temp.path(), "own.rhai", &how[..3]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("not covered") && text.contains("own.rhai:4:7") && text.contains("app-admin warm-up"), "{text}");
    assert!(!text.contains("app-admin index"), "what it writes is said: {text}");
}

#[test]
fn the_same_test_says_the_same_byte_for_byte() {
    let temp = project(&corpus().join("no-health-check"));
    for how in
        [&["--single", "--format", "json"][..], &["--faults", "fails,dies", "--pairs", "20", "--seed", "7", "--format", "json"]]
    {
        let (one, other) = (tested(temp.path(), "wrong.rhai", how), tested(temp.path(), "wrong.rhai", how));
        assert_eq!(String::from_utf8_lossy(&one.stdout), String::from_utf8_lossy(&other.stdout), "{how:?}");
        assert!(events(&one).iter().any(|event| event["event"] == "breach"), "{one:?}");
    }
    let how = ["--single", "--faults", "fails", "--pairs", "20", "--seed", "7", "--format", "json"];
    assert_eq!(events(&tested(temp.path(), "mended.rhai", &how)).pop().unwrap()["coverage"]["pairs"], 20);
}

#[test]
fn a_breach_is_shown_again_by_the_name_of_its_scenario() {
    let single = "--single";
    let cases = [
        ("no-health-check", single),
        ("drain-without-bracket", single),
        ("secret-in-an-error", single),
        ("history-grows", "--all-hosts"),
    ];
    for (case, which) in cases {
        let temp = project(&corpus().join(case));
        let how = [which, "--faults", "fails,sick-release,killed-after", "--format", "json"];
        let found = events(&tested(temp.path(), "wrong.rhai", &how));
        let breaches: Vec<&Value> = found.iter().filter(|event| event["event"] == "breach").collect();
        assert!(!breaches.is_empty(), "{case}");
        for breach in breaches {
            let name = breach["scenario"].as_str().unwrap();
            let output = tested(temp.path(), "wrong.rhai", &["--scenario", name, "--format", "json"]);
            let again = events(&output).pop().unwrap();
            let same = |shown: &&Value| ["judge", "what", "site"].iter().all(|part| shown[*part] == breach[*part]);
            assert!(again["breaches"].as_array().unwrap().iter().any(|shown| same(&shown)), "{case}: {name}: {again}");
            assert_eq!(output.status.code(), Some(1), "{case}: {name}");
        }
    }
}

#[test]
fn a_breach_tells_how_the_script_came_to_its_line() {
    let temp = project(&corpus().join("no-return-too-early"));
    let found = events(&tested(temp.path(), "wrong.rhai", &["--single", "--faults", "fails", "--format", "json"]));
    let of_std = found.iter().filter(|event| event["site"]["source"] == "std/release");
    let ways: Vec<&Value> = of_std.map(|event| &event["way"]).collect();
    let way = serde_json::json!([
        "in `stage`, called at lib/deploy.rhai:7:22",
        "in `stage`, called at lib/deploy.rhai:29:23",
        "in `release`, called at wrong.rhai:8:50",
        "in the closure that `rolling` runs at wrong.rhai:8:1",
    ]);
    // What several of its lines touch is told once.
    assert_eq!(ways, [&way]);
}

#[test]
fn names_that_are_none_are_refused_with_what_there_is() {
    let temp = project(&corpus().join("undo-missing"));
    for (how, says) in [
        (["--faults", "sik"], "there is no fault `sik`"),
        (["--faults", "sik"], "there are: fails, lost, gone"),
        (["--scenario", "main#1/1:sik"], "there is no fault `sik`; there are: fails"),
        (["--scenario", "somewhere"], "`somewhere` is no fault: it is written as main/3.rolling/web2#4/1:lost"),
        (["--scenario", "main/2.rolling/web9#4/1:lost"], "the run never comes to main/2.rolling/web9#4/1:lost"),
        (["--scenario", "main#1/1:fails+later"], "`later` is not what can follow: `resume`, `unwind` or `again`"),
        (["--scenario", "none+againx"], "`againx` is not what can follow: `again`, or `again:` and faults"),
        (["--scenario", "none+again:"], "`` is no fault"),
        (["--scenario", "none+again:main#90/1:fails"], "the run never comes to main#90/1:fails"),
    ] {
        let output = tested(temp.path(), "mended.rhai", &how);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{how:?}: {said}");
        assert!(said.split_whitespace().collect::<Vec<_>>().join(" ").contains(says), "{how:?}: {said}");
    }
}

#[test]
fn junit_is_well_formed_and_names_each_breach() {
    // A command whose text would end an attribute, or open a tag.
    let text = r#"import "lib/deploy" as deploy;
let app = artifact("app");
rolling(hosts("web"), |h| {
    h.run("echo '<a b=\"c\">' >/srv/x && true");
    deploy::release(h, app);
});
"#;
    let temp = with("undo-missing", "own.rhai", text);
    let file = temp.path().join("junit.xml");
    let output = tested(temp.path(), "own.rhai", &["--single", "--faults", "sick", "--junit", "junit.xml"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let text = std::fs::read_to_string(&file).unwrap();
    well_formed(&text).unwrap_or_else(|why| panic!("{why}\n{text}"));
    assert!(text.contains("<failure") && text.contains("&lt;a b="), "{text}");
}

/// Whether tags close in their order, attributes are quoted and nothing is left that would have to be escaped.
fn well_formed(text: &str) -> Result<(), String> {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = text;
    while let Some(begin) = rest.find('<') {
        entities(&rest[..begin])?;
        let end = rest[begin..].find('>').ok_or("a tag has no end")? + begin;
        let tag = &rest[begin + 1..end];
        rest = &rest[end + 1..];
        if tag.starts_with('?') {
            continue;
        }
        if let Some(name) = tag.strip_prefix('/') {
            let last = open.pop();
            if last != Some(name) {
                return Err(format!("</{name}> closes {last:?}"));
            }
            continue;
        }
        let (name, attributes) = tag.trim_end_matches('/').split_once(' ').unwrap_or((tag.trim_end_matches('/'), ""));
        let values: Vec<&str> = attributes.split('"').collect();
        if values.len().is_multiple_of(2) || values.iter().step_by(2).any(|part| !part.trim().is_empty() && !part.ends_with('='))
        {
            return Err(format!("the attributes of <{tag}> are not quoted"));
        }
        values.iter().skip(1).step_by(2).try_for_each(|value| entities(value))?;
        if !tag.ends_with('/') {
            open.push(name);
        }
    }
    if open.is_empty() && rest.trim().is_empty() { Ok(()) } else { Err(format!("left open: {open:?}, behind the end: {rest}")) }
}

fn entities(text: &str) -> Result<(), String> {
    let known = ["&amp;", "&lt;", "&gt;", "&quot;", "&apos;", "&#"];
    let mut ands = text.match_indices('&').map(|(at, _)| &text[at..]);
    match ands.find(|part| !known.iter().any(|known| part.starts_with(known))) {
        Some(part) => Err(format!("an & that is none: {part}")),
        None => Ok(()),
    }
}

/// The example of the fault test with a script of its own.
fn example(script: impl FnOnce(String) -> String) -> tempfile::TempDir {
    let temp = tempfile::tempdir().unwrap();
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/fault-test"), temp.path());
    let path = temp.path().join("deploy.rhai");
    std::fs::write(&path, script(std::fs::read_to_string(&path).unwrap())).unwrap();
    temp
}

#[test]
fn what_ran_before_is_held_to_what_it_was_held_to_then() {
    // The new version listens on another port: what is restored is not asked there.
    let port = "let version = param(\"version\");\nlet port = if version == \"1.0\" { 8080 } else { 9090 };";
    let temp = example(|text| text.replace("let version = param(\"version\");", port).replace("vars::port", "port"));
    let some = ["test", "--single", "--from", "live", "--faults", "fails,lost,sick-release,dies,killed-after"];
    let output = windlass(temp.path(), &some);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    // What is restored is looked at where the run before looked.
    let name = "main/2.rolling/web3#7/1:fails";
    let output = windlass(temp.path(), &["test", "--from", "live", "--scenario", name]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && text.contains("undo: GET http://10.77.0.12:8080"), "{text}");
    assert!(text.contains(" GET http://10.77.0.12:9090") && !text.contains("undo: GET http://10.77.0.12:9090"), "{text}");
    // A first deploy has nothing to be held to, also where a command was repeated that may be.
    let again = "h.run(\"true\", #{ again: \"safe\" });\n        h.service(\"hello\").restart();";
    let temp = example(|text| text.replace("h.service(\"hello\").restart();", again));
    let output = windlass(temp.path(), &["test", "--single", "--from", "fresh", "--faults", "fails,sick-release"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
