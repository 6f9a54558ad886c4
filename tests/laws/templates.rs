//! The projects that `init` hands out, as their pages tell to use them: on the throwaway hosts that need no set-up.

use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// A project in a directory of its own; its lab ends with it.
struct Project {
    temp: TempDir,
}

impl Drop for Project {
    fn drop(&mut self) {
        self.windlass(&["lab", "down"]);
    }
}

impl Project {
    fn new(template: &str) -> Self {
        let project = Self { temp: tempfile::tempdir().unwrap() };
        std::fs::create_dir(project.temp.path().join("home")).unwrap();
        let made = project.command(env!("CARGO_BIN_EXE_windlass")).args(["init", "--template", template, "project"]).output();
        assert!(made.as_ref().unwrap().status.success(), "{made:?}");
        project
    }

    fn dir(&self) -> PathBuf {
        self.temp.path().join("project")
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        command.env("HOME", self.temp.path().join("home")).env("USER", "tester");
        command.current_dir(self.temp.path()).stdin(Stdio::null());
        command
    }

    fn windlass(&self, args: &[&str]) -> Output {
        self.command(env!("CARGO_BIN_EXE_windlass")).current_dir(self.dir()).args(args).output().unwrap()
    }

    /// The last object that it prints, when it ends with this code.
    #[track_caller]
    fn ends(&self, code: i32, args: &[&str]) -> Value {
        let output = self.windlass(&[args, &["--format", "json"]].concat());
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "windlass {}: {text}{said}", args.join(" "));
        text.lines().last().map(|line| serde_json::from_str(line).unwrap()).unwrap_or_default()
    }

    fn deploy(&self, version: &str, code: i32) -> Value {
        self.ends(code, &["run", "--artifact", &format!("hello={version}")])
    }

    /// The objects that it prints, when it ends well.
    #[track_caller]
    fn told(&self, args: &[&str]) -> Vec<Value> {
        let output = self.windlass(&[args, &["--format", "json"]].concat());
        assert_eq!(output.status.code(), Some(0), "windlass {}: {output:?}", args.join(" "));
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The same steps, by their keys, with what a word of theirs says.
    fn steps(objects: &[Value], event: &str, word: &str) -> BTreeMap<String, String> {
        let steps = objects.iter().filter(|object| object["event"] == event);
        let key = |step: &Value| format!("{}#{} {} on {}", step["task"], step["n"], step["op"], step["host"]);
        steps.map(|step| (key(step), step[word].as_str().unwrap().to_owned())).collect()
    }

    /// A deploy that does what a dry run of it predicts.
    #[track_caller]
    fn deploy_as_predicted(&self, version: &str) -> Value {
        let artifact = format!("hello={version}");
        let dry = self.told(&["dry-run", "--artifact", &artifact]);
        let run = self.told(&["run", "--artifact", &artifact]);
        let (predicted, taken) =
            (Self::steps(&dry, "step_predicted", "prediction"), Self::steps(&run, "step_succeeded", "outcome"));
        assert_eq!(predicted.keys().collect::<Vec<_>>(), taken.keys().collect::<Vec<_>>(), "hello {version}");
        for (step, prediction) in &predicted {
            let right = match prediction.as_str() {
                "would" => taken[step] == "changed",
                "no_change" => taken[step] != "changed",
                "assumed" => step.contains("expect_http"),
                _ => false,
            };
            assert!(right, "{step} was predicted as {prediction}, and is {}", taken[step]);
        }
        run.last().unwrap().clone()
    }

    /// A plan, which asks no host, predicts what a dry run does: it begins with what the ledger knows.
    #[track_caller]
    fn plans_as_a_dry_run(&self, version: &str) {
        let artifact = format!("hello={version}");
        let [plan, dry] = ["plan", "dry-run"].map(|word| {
            let steps = Self::steps(&self.told(&[word, "--artifact", &artifact]), "step_predicted", "prediction");
            // In memory it is known what answers.
            steps.into_iter().filter(|(step, _)| !step.contains("expect_http")).collect::<BTreeMap<_, _>>()
        });
        assert_eq!(plan, dry, "hello {version}");
    }

    /// Every host answers with this version.
    #[track_caller]
    fn serves(&self, version: &str) {
        self.ends(0, &["run", "served.rhai", "--set", &format!("version={version}")]);
    }
}

const SERVED: &str = r#"
let version = param("version");
for h in hosts("all") {
    h.expect_http(`http://${h.address}:${vars::port}/healthz`, #{ status: 200, version: version, within: "5s" });
}
"#;

/// What the template's README says.
fn told(template: &str) {
    let project = Project::new(template);
    std::fs::write(project.dir().join("served.rhai"), SERVED).unwrap();
    for environment in ["lab", "single-box", "production"] {
        project.ends(0, &["check", "-e", environment]);
    }
    let built = project.command("sh").arg(project.dir().join("build.sh")).output().unwrap();
    assert!(built.status.success(), "{built:?}");
    for version in ["1.0", "1.1", "1.2"] {
        project.ends(0, &["artifact", "add", "hello", version, &format!("build/{version}")]);
    }
    for environment in ["lab", "single-box", "production"] {
        let plan = project.ends(0, &["plan", "-e", environment, "--artifact", "hello=1.0", "--strict"]);
        assert!(plan["counts"]["would"].as_u64().unwrap() > 0, "{plan}");
    }
    project.deploy_as_predicted("1.0");
    project.serves("1.0");
    project.plans_as_a_dry_run("1.0");
    project.plans_as_a_dry_run("1.1");
    let again = project.deploy_as_predicted("1.0");
    assert_eq!(again["counts"]["changed"], 0, "{again}");
    project.deploy_as_predicted("1.1");
    project.serves("1.1");
    let failed = project.deploy("1.2", 3);
    assert_eq!((&failed["state"], &failed["error"]["op"]), (&"unwound".into(), &"expect_http".into()), "{failed}");
    project.serves("1.1");
    let again = project.deploy("1.1", 0);
    assert_eq!(again["counts"]["changed"], 0, "{again}");
    let back = project.ends(0, &["rollback"]);
    assert_eq!(back["state"], "succeeded", "{back}");
    project.serves("1.0");
    project.plans_as_a_dry_run("1.1");
    let status = project.ends(0, &["status", "-e", "lab"]);
    let hosts = status["components"][0]["hosts"].as_array().unwrap();
    let good = |host: &Value| (&host["live"]["version"], &host["known_good"]["version"]) == (&"1.0".into(), &"1.0".into());
    assert!(!hosts.is_empty() && hosts.iter().all(good), "{status}");
    project.ends(6, &["rollback"]);
}

#[test]
fn single_does_what_its_page_says() {
    told("single");
}

#[test]
fn rolling_does_what_its_page_says() {
    told("rolling");
}

/// Every file of the hosts that a deploy may touch: kind, mode, target of a link, and content.
const TREE: &str = r#"
for h in hosts("all") {
    let found = h.probe("cd && find . -name .windlass -prune -o -path ./.cache -prune -o \\( -type f -printf 'f %m %p ' -exec sha256sum {} \\; \\) -o -type l -printf 'l %l %p\n' -o -type d -printf 'd %m %p\n'");
    log(h.name + "\n" + found.stdout);
}
"#;

impl Project {
    fn tree(&self) -> Vec<String> {
        let output = self.windlass(&["run", "tree.rhai", "--format", "json"]);
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let events = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let logs = events.filter(|event| event["event"] == "step_succeeded" && event["op"] == "log");
        let mut lines: Vec<String> = logs
            .flat_map(|event| event["summary"].as_str().unwrap().lines().map(ToOwned::to_owned).collect::<Vec<_>>())
            .collect();
        lines.sort();
        assert!(lines.iter().any(|line| line.contains("hello.conf")), "{lines:?}");
        lines
    }

    /// Runs this; gives whether it was killed on its way.
    fn killed(&self, args: &[&str], record: u64) -> bool {
        let output = self.windlass(&[args, &["--crash-at", &record.to_string()]].concat());
        std::os::unix::process::ExitStatusExt::signal(&output.status) == Some(9)
    }

    /// The last run: its name, and how many records it has.
    fn last(&self) -> (String, u64) {
        let status = self.ends(0, &["status", "-e", "lab"]);
        (status["last"]["id"].as_str().unwrap().to_owned(), status["last"]["records"].as_u64().unwrap())
    }
}

/// A shipped project with its builds, and scripts to look at its hosts.
fn crash_project(template: &str) -> Project {
    let project = Project::new(template);
    for (name, text) in [("served.rhai", SERVED), ("tree.rhai", TREE)] {
        std::fs::write(project.dir().join(name), text).unwrap();
    }
    assert!(project.command("sh").arg(project.dir().join("build.sh")).status().unwrap().success());
    if template != "quickstart" {
        for version in ["1.0", "1.1"] {
            project.ends(0, &["artifact", "add", "hello", version, &format!("build/{version}")]);
        }
    }
    project
}

/// The crash law over a shipped script: killed at records from the first to the last, `STEP` apart, then resumed or unwound by
/// one that is killed in turn, and by another one to the end. There are at `least` so many records.
fn crashes(template: &str, step: u64, least: u64) {
    let project = crash_project(template);
    let deploy = |version: &str| match template {
        "quickstart" => vec!["run".to_owned(), "--set".to_owned(), format!("version={version}")],
        _ => vec!["run".to_owned(), "--artifact".to_owned(), format!("hello={version}")],
    };
    let words = |version: &str| deploy(version);
    let run = |version: &str| -> Value {
        let words = words(version);
        project.ends(0, &words.iter().map(String::as_str).collect::<Vec<_>>())
    };
    run("1.1");
    run("1.0");
    let before = project.tree();
    let mut reached = 0;
    for (round, record) in (1..2000).step_by(usize::try_from(step).unwrap()).enumerate() {
        let words = words("1.1");
        if !project.killed(&words.iter().map(String::as_str).collect::<Vec<_>>(), record) {
            break;
        }
        reached = record;
        let (id, records) = project.last();
        if project.ends(0, &["status", "-e", "lab"])["last"]["state"] == "succeeded" {
            // Killed behind its end: there is nothing to take up.
            project.serves("1.1");
            run("1.0");
            continue;
        }
        let back = round % 2 == 0;
        let word = if back { "unwind" } else { "resume" };
        // Killed a second time a little later, where it lasts so long.
        let again = project.killed(&[word, &id], records + 2 + record % 7);
        let said = format!("{template} killed at {record}, {word}, killed again: {again}");
        if back {
            if again {
                let output = project.windlass(&["unwind", &id]);
                assert!(matches!(output.status.code(), Some(1 | 3)), "{said}: {output:?}");
            }
            assert_eq!(project.tree(), before, "{said}");
            project.serves("1.0");
        } else {
            if again {
                project.ends(0, &["resume", &id]);
            }
            project.serves("1.1");
            run("1.0");
        }
    }
    assert!(reached >= least, "{template} was killed at records up to {reached} only");
}

#[expect(clippy::disallowed_methods, reason = "who runs the test says how long it is to last")]
/// Every how many records; `WINDLASS_EVERY` says another number.
fn apart() -> u64 {
    std::env::var("WINDLASS_EVERY").ok().and_then(|text| text.parse().ok()).unwrap_or(23)
}

#[test]
fn quickstart_is_killed_and_goes_on_or_back() {
    crashes("quickstart", apart(), 60);
}

#[test]
fn rolling_is_killed_and_goes_on_or_back() {
    crashes("rolling", apart(), 90);
}

#[test]
fn single_is_killed_and_goes_on_or_back() {
    crashes("single", apart().min(11), 20);
}

#[test]
fn templates_are_listed_and_nothing_is_overwritten() {
    let project = Project::new("quickstart");
    let listed = String::from_utf8(project.windlass(&["init", "--list"]).stdout).unwrap();
    let names: Vec<&str> = listed.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(names, ["quickstart", "single", "rolling"]);
    let unknown = project.windlass(&["init", "--template", "rollng", "other"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("there are: quickstart, single, rolling"));
    let again = project.windlass(&["init", "--template", "single", "."]);
    assert_eq!(again.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&again.stderr).contains("is there already; nothing was written"));
}
