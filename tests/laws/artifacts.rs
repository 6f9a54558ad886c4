//! The store as a user has it: its commands, and runs that are bound to what it held when they began.

use crate::world::World;
use serde_json::Value;
use std::process::{Command, Output, Stdio};

const SCRIPT: &str = r#"
let h = host("h1");
let web = artifact("web");
h.upload(web, param("dir") + "/web");
h.write(param("dir") + "/version", `${web.version} ${web.digest}`);
"#;

/// A project with a build of two versions, and one host.
struct Shop {
    world: World,
}

impl Shop {
    fn new() -> Self {
        let world = World::new();
        let root = world.root();
        std::fs::create_dir_all(root.join("environments")).unwrap();
        std::fs::write(root.join("deploy.rhai"), SCRIPT).unwrap();
        let shop = Self { world };
        shop.environment("");
        shop.world.shell("mkdir -p ../project/build/1 ../project/build/2; echo one >../project/build/1/VERSION; echo two >../project/build/2/VERSION");
        shop
    }

    fn environment(&self, more: &str) {
        let text = format!("class = \"single-box\"\ntransport = \"local\"\n[hosts.h1]\n{more}");
        std::fs::write(self.world.root().join("environments/box.toml"), text).unwrap();
    }

    fn windlass(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_windlass"));
        command.args(args).args(["--color", "never"]).env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin");
        command.env("HOME", self.world.home()).env("USER", "laws").current_dir(self.world.root());
        command.stdin(Stdio::null()).output().unwrap()
    }

    /// What it prints, on both streams; it must end with this code.
    #[track_caller]
    fn says(&self, code: i32, args: &[&str]) -> String {
        let output = self.windlass(args);
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert_eq!(output.status.code(), Some(code), "windlass {}: {text}", args.join(" "));
        text
    }

    #[track_caller]
    fn json(&self, code: i32, args: &[&str]) -> Vec<Value> {
        let output = self.windlass(&[args, &["--format", "json"]].concat());
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn run(&self, more: &[&str]) -> Output {
        let dir = format!("dir={}", self.world.dir.display());
        self.windlass(&[&["run", "-e", "box", "--set", &dir], more].concat())
    }

    /// The version that is on the host.
    fn live(&self) -> String {
        let text = std::fs::read_to_string(self.world.dir.join("version")).unwrap_or_default();
        text.split(' ').next().unwrap_or_default().to_owned()
    }
}

#[track_caller]
fn code(output: &Output, code: i32) -> String {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{text}");
    text
}

#[test]
fn the_commands_say_what_is_there() {
    let shop = Shop::new();
    assert!(shop.says(0, &["artifact", "list"]).contains("the store is empty"));
    let added = shop.says(0, &["artifact", "add", "web", "1.0", "build/1"]);
    assert!(added.starts_with("added web 1.0, directory, "), "{added}");
    assert!(shop.says(0, &["artifact", "add", "web", "1.0", "build/1"]).starts_with("already there: web 1.0"));
    let refused = shop.says(1, &["artifact", "add", "web", "1.0", "build/2"]);
    assert!(refused.contains("other content") && refused.contains("a version means one content"), "{refused}");
    shop.says(0, &["artifact", "add", "web", "1.1", "build/2"]);
    let lines: Vec<String> = shop.says(0, &["artifact", "list"]).lines().map(ToOwned::to_owned).collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    let column = lines[0].find("SHA256").unwrap();
    assert!(lines[1..].iter().all(|line| line.as_bytes()[column - 1] == b' ' && line.as_bytes()[column] != b' '), "{lines:?}");
    let all = shop.json(0, &["artifact", "list"]);
    assert_eq!((&all[0]["version"], &all[1]["version"]), (&"1.1".into(), &"1.0".into()));
    assert!(shop.says(0, &["artifact", "show", "web", "1.0"]).contains(all[1]["digest"].as_str().unwrap()));
    assert!(shop.says(1, &["artifact", "show", "wbe"]).contains("the store has: web"));
    assert!(shop.says(1, &["artifact", "show", "web", "7"]).contains("newest first, it has: 1.1, 1.0"));
    for bad in [["-web", "1"], ["web/x", "1"], ["web", "../1"]] {
        assert_eq!(shop.windlass(&["artifact", "add", "--", bad[0], bad[1], "build/1"]).status.code(), Some(2), "{bad:?}");
    }
    shop.world.shell("mkfifo ../project/build/1/pipe");
    assert!(shop.says(1, &["artifact", "add", "web", "1.2", "build/1"]).contains("build/1/pipe is a pipe"));
}

#[test]
fn damage_is_told_and_never_reaches_a_host() {
    let shop = Shop::new();
    shop.says(0, &["artifact", "add", "web", "1.0", "build/1"]);
    assert!(shop.says(0, &["artifact", "verify"]).contains("every content is what its name says"));
    shop.world.shell("cd ../project/.windlass/artifacts/sha256; chmod 644 *; for f in *; do printf x >>$f; done");
    assert!(shop.says(1, &["artifact", "verify"]).contains("damaged web 1.0"));
    assert_eq!(shop.json(1, &["artifact", "verify"])[0]["of"][0], "web 1.0");
    let text = code(&shop.run(&[]), 1);
    assert!(text.contains("web 1.0 is damaged in the store"), "{text}");
    assert!(!shop.world.dir.join("web").exists());
    shop.says(0, &["artifact", "add", "web", "1.0", "build/1"]);
    shop.says(0, &["artifact", "verify"]);
    code(&shop.run(&[]), 0);
}

#[test]
fn a_version_is_chosen_by_the_nearest_that_says_one() {
    let shop = Shop::new();
    shop.says(0, &["check", "-e", "box"]);
    let text = code(&shop.run(&[]), 1);
    assert!(text.contains("there is no artifact `web`") && text.contains("deploy.rhai:3:"), "{text}");
    shop.says(0, &["artifact", "add", "web", "1.0", "build/1"]);
    code(&shop.run(&[]), 0);
    assert_eq!(shop.live(), "1.0");
    shop.says(0, &["artifact", "add", "web", "1.1", "build/2"]);
    let text = code(&shop.run(&[]), 1);
    assert!(text.contains("nothing says which to take") && text.contains("--artifact web=1.1"), "{text}");
    // Which one is said when it is run.
    shop.says(0, &["check", "-e", "box"]);
    assert!(shop.says(1, &["check", "-e", "box", "--artifact", "web=3"]).contains("no version `3` of web"));
    std::fs::write(shop.world.root().join("windlass.toml"), "name = \"laws\"\n[artifacts]\nweb = \"1.1\"\n").unwrap();
    shop.says(0, &["check", "-e", "box"]);
    code(&shop.run(&[]), 0);
    assert_eq!(shop.live(), "1.1");
    shop.environment("[artifacts]\nweb = \"1.0\"\n");
    code(&shop.run(&[]), 0);
    assert_eq!(shop.live(), "1.0");
    assert!(code(&shop.run(&["--artifact", "web=1.1"]), 0).contains("(1 host), with web 1.1"));
    assert_eq!(shop.live(), "1.1");
    assert!(shop.says(0, &["show"]).contains("on box, with web 1.1, by"));
    assert!(code(&shop.run(&["--artifact", "web=3"]), 1).contains("no version `3` of web"));
    assert!(code(&shop.run(&["--artifact", "wbe=1.1"]), 2).contains("it asks for: web"));
    assert!(code(&shop.run(&["--artifact", "web"]), 2).contains("NAME=VERSION"));
    assert!(code(&shop.run(&["--artifact", "web=1.0", "--artifact", "web=1.1"]), 2).contains("given twice"));
}

#[test]
fn a_run_that_is_taken_up_has_what_it_began_with_and_gc_leaves_it() {
    let shop = Shop::new();
    for (version, build) in [("1.0", "build/1"), ("1.1", "build/2")] {
        shop.says(0, &["artifact", "add", "web", version, build]);
    }
    code(&shop.run(&["--artifact", "web=1.0"]), 0);
    // Killed when the upload has begun.
    let killed = shop.run(&["--artifact", "web=1.1", "--crash-at", "3"]);
    assert_eq!(killed.status.code(), None, "{killed:?}");
    shop.world.shell("echo three >../project/build/1/VERSION");
    shop.says(0, &["artifact", "add", "web", "1.2", "build/1"]);
    std::fs::write(shop.world.root().join("windlass.toml"), "name = \"laws\"\n[artifacts]\nweb = \"1.2\"\n").unwrap();
    // 1.0 is live, 1.1 is needed by the run that is open, 1.2 is the newest.
    assert!(shop.says(0, &["artifact", "gc", "--keep", "1"]).contains("nothing to drop"));
    assert!(shop.says(6, &["artifact", "drop", "web", "1.1"]).contains("--force"));
    let run = shop.json(0, &["status"])[0]["open"][0]["run"]["id"].as_str().unwrap().to_owned();
    shop.says(0, &["resume", &run]);
    assert_eq!(shop.live(), "1.1");
    let would = shop.says(0, &["artifact", "gc", "--keep", "1", "--dry-run"]);
    assert!(would.contains("would drop web 1.0") && !would.contains("1.1"), "{would}");
    assert!(shop.says(0, &["artifact", "gc", "--keep", "1"]).contains("dropped web 1.0"));
    assert_eq!(shop.json(0, &["artifact", "list"]).len(), 2);
    shop.says(0, &["artifact", "drop", "web", "1.1", "--force"]);
    assert_eq!(shop.json(0, &["artifact", "list"])[0]["version"], "1.2");
}

#[test]
fn what_a_run_with_a_limit_left_elsewhere_stays() {
    let shop = Shop::new();
    let root = shop.world.root();
    let hosts = "class = \"single-box\"\ntransport = \"local\"\n[hosts.\"h[1:2]\"]\n";
    std::fs::write(root.join("environments/box.toml"), hosts).unwrap();
    let script = "let web = artifact(\"web\");\nfor h in hosts(\"all\") { h.upload(web, param(\"dir\") + `/${h.name}`); }\n";
    std::fs::write(root.join("deploy.rhai"), script).unwrap();
    for (version, build) in [("1.0", "build/1"), ("1.1", "build/2")] {
        shop.says(0, &["artifact", "add", "web", version, build]);
    }
    code(&shop.run(&["--artifact", "web=1.0"]), 0);
    code(&shop.run(&["--artifact", "web=1.1", "--limit", "h1"]), 0);
    // 1.0 is what h2 has.
    assert!(shop.says(0, &["artifact", "gc", "--keep", "0"]).contains("nothing to drop"));
    code(&shop.run(&["--artifact", "web=1.1"]), 0);
    assert!(shop.says(0, &["artifact", "gc", "--keep", "0"]).contains("dropped web 1.0"));
    assert_eq!(shop.json(0, &["artifact", "list"])[0]["version"], "1.1");
}

#[test]
fn what_another_project_has_live_stays_in_a_store_that_both_use() {
    let shop = Shop::new();
    for (version, build) in [("1.0", "build/1"), ("1.1", "build/2")] {
        shop.says(0, &["artifact", "add", "web", version, build]);
    }
    code(&shop.run(&["--artifact", "web=1.0"]), 0);
    // Another project has the store as well, and no run.
    let other = shop.world.root().join("other");
    shop.world.shell("mkdir ../project/other; cp -r ../project/environments ../project/deploy.rhai ../project/other");
    std::fs::write(other.join("windlass.toml"), "name = \"other\"\nstore = \"../.windlass/artifacts\"\n").unwrap();
    let theirs = ["-C", "other", "artifact"];
    assert!(shop.says(0, &[&theirs[..], &["gc", "--keep", "0"]].concat()).contains("dropped web 1.1"));
    shop.says(0, &["artifact", "add", "web", "1.1", "build/2"]);
    assert!(shop.says(6, &[&theirs[..], &["drop", "web", "1.0"]].concat()).contains("--force"));
    assert_eq!(shop.json(0, &["artifact", "list"]).len(), 2);
    // What cannot be read may need anything.
    shop.world.shell("mv ../project/.windlass/ledger.db ../project/gone");
    let said = shop.says(6, &[&theirs[..], &["gc", "--keep", "0"]].concat());
    assert!(said.contains("it is not there") && said.contains("ledgers/"), "{said}");
    assert_eq!(shop.json(0, &[&theirs[..], &["list"]].concat()).len(), 2);
}
