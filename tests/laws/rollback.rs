//! Known-good, and the way back to it: whatever the project holds by then, whoever was down, and never to what did not hold.

use crate::shop::{SCRIPT, Shop};

#[test]
fn back_is_the_known_good_before_what_is_live_and_never_a_husk() {
    let shop = Shop::new();
    shop.says(6, &["rollback", "-e", "box"]);
    shop.deploy("1.0", 0, &[]);
    let refused = shop.back(6, &[]);
    assert!(
        refused.contains("nothing of web in box was known-good before what is live") && refused.contains("h1: live 1.0"),
        "{refused}"
    );
    shop.deploy("1.1", 0, &[]);
    // Again is no earlier release.
    shop.deploy("1.1", 0, &[]);
    shop.deploy("1.2", 3, &[]);
    for host in ["h1", "h2", "h3"] {
        shop.has(host, "1.1");
        assert_eq!(shop.known(host), ["1.1", "1.1", "-"]);
    }
    // What the project holds by now does not matter.
    shop.file("deploy.rhai", "fail(\"another script\");\n");
    shop.world.shell("cd ../project; rm -r files templates");
    shop.environment("class = \"lab\"", &["h1", "h2", "h3"], "", "blue");
    let said = shop.back(0, &["--component", "web"]);
    let line = said.lines().find(|line| line.contains(" h1 ")).unwrap();
    assert_eq!(line.split_whitespace().collect::<Vec<_>>(), ["web", "h1", "1.1", "->", "1.0"], "{said}");
    for host in ["h1", "h2", "h3"] {
        shop.has(host, "1.0");
        assert_eq!(shop.known(host), ["1.0", "1.0", "-"]);
    }
    // Not forward to what was left.
    shop.back(6, &[]);
    assert!(shop.back(6, &["--to", "1.2"]).contains("web 1.2 never was known-good in box"));
    assert!(shop.back(6, &["--to", "7"]).contains("newest first: 1.0, 1.1"));
    assert!(shop.back(0, &["--to", "1.0"]).contains("nothing to do"));
    assert!(shop.back(2, &["--component", "wbe"]).contains("there are: web"));
    shop.back(0, &["--to", "1.1"]);
    shop.has("h2", "1.1");
    shop.back(0, &[]);
    shop.has("h2", "1.0");
}

#[test]
fn back_again_goes_further_back_and_a_killed_rollback_is_taken_up() {
    let shop = Shop::new();
    for version in ["0.9", "1.0", "1.1"] {
        shop.deploy(version, 0, &[]);
    }
    shop.back(0, &[]);
    shop.back(0, &[]);
    shop.has("h3", "0.9");
    shop.back(6, &[]);
    // From a new one it is back to what ran before it, and not to what was left before.
    shop.deploy("1.3", 0, &[]);
    shop.deploy("1.1", 0, &[]);
    let killed = shop.windlass(&["rollback", "-e", "box", "--crash-at", "16"]);
    assert_eq!(killed.status.code(), None, "{killed:?}");
    assert_eq!(shop.known("h1"), ["1.1", "1.1", "-"]);
    assert!(shop.back(6, &[]).contains("is not finished"));
    // What is in between is told, and that it is a mix.
    let status = shop.json(0, &["status", "-e", "box"]);
    let web = &status[0]["components"][0];
    assert_eq!((&web["mixed"], &web["versions"]), (&true.into(), &serde_json::json!(["1.1", "1.3"])), "{web}");
    assert_eq!((&web["hosts"][0]["between"][0]["version"], &web["hosts"][2]["between"]), (&"1.3".into(), &serde_json::json!([])));
    assert!(shop.says(0, &["status", "-e", "box"]).contains("1.1?"));
    // Nothing that it needs goes meanwhile.
    shop.says(0, &["artifact", "gc", "--keep", "0"]);
    shop.world.shell("cd ../project; rm -r files templates");
    let run = shop.json(0, &["status"])[0]["open"][0]["run"]["id"].as_str().unwrap().to_owned();
    shop.says(0, &["resume", &run]);
    shop.has("h3", "1.3");
    assert_eq!(shop.known("h3"), ["1.3", "1.3", "-"]);
}

#[test]
fn a_host_that_was_down_keeps_its_own() {
    let shop = Shop::new();
    shop.deploy("0.9", 0, &[]);
    shop.fleet(&["h1", "h2"], "h3");
    shop.deploy("1.0", 0, &[]);
    shop.deploy("1.1", 0, &[]);
    assert_eq!(
        (shop.known("h1"), shop.known("h3")),
        (["1.1", "1.1", "-"].map(Into::into), ["0.9", "0.9", "1.1"].map(Into::into))
    );
    let status = shop.json(0, &["status", "-e", "box"]);
    assert_eq!(
        (&status[0]["components"][0]["mixed"], &status[0]["components"][0]["versions"]),
        (&true.into(), &serde_json::json!(["0.9", "1.1"]))
    );
    let text = shop.says(0, &["status", "-e", "box"]);
    assert!(text.contains("missed 1.1") && text.contains("mixed web: 0.9 on h3; 1.1 on h1, h2"), "{text}");
    shop.fleet(&["h1", "h2", "h3"], "");
    // Alone it has nothing to go back to.
    shop.back(6, &["--limit", "h3"]);
    let said = shop.back(0, &[]);
    assert!(said.contains("h3 never had web 1.0: left as it is, with 0.9") && said.contains("--also-missing"), "{said}");
    shop.has("h1", "1.0");
    shop.has("h3", "0.9");
    assert_eq!(shop.known("h3"), ["0.9", "0.9", "1.1"]);
    let said = shop.back(0, &["--to", "1.0"]);
    assert!(said.contains("nothing to do") && said.contains("h3 never had web 1.0"), "{said}");
    let said = shop.back(0, &["--to", "1.0", "--also-missing"]);
    assert!(said.contains("1.0 never was known-good there; its own is 0.9"), "{said}");
    for host in ["h1", "h2", "h3"] {
        shop.has(host, "1.0");
    }
    assert!(!shop.says(0, &["status"]).contains("mixed"));
    shop.back(0, &["--limit", "h2"]);
    shop.has("h2", "0.9");
    shop.has("h1", "1.0");
}

#[test]
fn what_was_not_checked_is_no_place_to_go_back_to() {
    let shop = Shop::new();
    shop.deploy("1.0", 0, &["--set", "checks=false"]);
    assert_eq!(shop.known("h1"), ["1.0", "-", "-"]);
    assert!(shop.says(0, &["status"]).contains("no health check"));
    shop.deploy("1.1", 0, &[]);
    assert!(shop.back(6, &[]).contains("newest first: 1.1"));
    assert!(shop.back(6, &["--to", "1.0"]).contains("never was known-good"));
}

#[test]
fn what_is_not_taken_back_is_told_with_its_line() {
    let shop = Shop::new();
    shop.deploy("1.0", 0, &[]);
    let script = SCRIPT.replace(
        "rolling(",
        "let h = host(\"h1\");\nh.run(\"echo migrated >>\" + DIR + \"/schema\");\npoint_of_no_return(\"the old columns are gone\");\nrolling(",
    );
    shop.file("deploy.rhai", &script);
    // The first host is within the budget and put back; the second halts the run: nothing is undone, nothing is known-good.
    shop.deploy("1.2", 4, &[]);
    assert_eq!(
        (shop.known("h2"), shop.known("h3")),
        (["1.2", "1.0", "-"].map(Into::into), ["1.0", "1.0", "1.2"].map(Into::into))
    );
    assert!(shop.says(0, &["status"]).contains("1.2?"));
    let events = shop.json(0, &["rollback", "-e", "box"]);
    assert_eq!((&events[0]["event"], &events[0]["component"]), (&"rollback".into(), &"web".into()));
    assert_eq!(events[0]["to"]["version"], "1.0");
    let remains = &events[0]["remains"];
    assert_eq!((&remains[0]["kind"], &remains[0]["what"]), (&"point_of_no_return".into(), &"the old columns are gone".into()));
    assert_eq!((&remains[1]["kind"], &remains[1]["hosts"]), (&"command".into(), &serde_json::json!(["h1"])));
    assert_eq!((&remains[0]["site"]["line"], &remains[1]["site"]["line"]), (&9.into(), &8.into()));
    shop.has("h2", "1.0");
    shop.deploy("1.3", 0, &[]);
    let said = shop.back(0, &[]);
    assert!(said.contains("deploy.rhai:9:1") && said.contains("point of no return") && said.contains("command on h1"), "{said}");
}

#[test]
fn a_rollback_that_fails_is_undone_like_any_run() {
    let shop = Shop::new();
    for version in ["1.0", "1.1"] {
        shop.deploy(version, 0, &[]);
    }
    shop.world.shell("touch h1/sick h2/sick");
    shop.back(3, &[]);
    for host in ["h1", "h2", "h3"] {
        shop.has(host, "1.1");
        assert_eq!(shop.known(host), ["1.1", "1.1", "-"]);
    }
    // Within the budget, the host that is ill keeps what it has.
    shop.world.shell("rm h1/sick");
    shop.back(0, &[]);
    shop.has("h1", "1.0");
    shop.has("h2", "1.1");
    assert_eq!(shop.known("h2"), ["1.1", "1.1", "1.0"]);
    shop.world.shell("rm h2/sick");
    // What is furthest goes back to where the others are.
    shop.back(0, &[]);
    assert_eq!((shop.known("h1"), shop.known("h2")), (["1.0", "1.0", "-"].map(Into::into), ["1.0", "1.0", "-"].map(Into::into)));
}

#[test]
fn releases_that_are_known_good_are_never_pruned() {
    let shop = Shop::new();
    let script = r#"
import "std/release" as release;
let app = artifact("app");
let h = host("h1");
let root = param("dir") + "/root";
component("app", #{ hosts: h, version: app.version, artifact: app });
release::stage(h, app, #{ root: root, keep: 1 }).activate();
h.expect_exec(["test", "-e", root + "/current/VERSION"]);
"#;
    shop.file("deploy.rhai", script);
    let dir = format!("dir={}", shop.world.dir.display());
    let run = |version: &str| {
        shop.world.shell(&format!("mkdir -p ../project/tree; echo {version} >../project/tree/VERSION"));
        shop.says(0, &["artifact", "add", "app", version, "tree"]);
        shop.says(0, &["run", "-e", "box", "--set", &dir, "--artifact", &format!("app={version}")]);
    };
    let there = || {
        let entries = std::fs::read_dir(shop.world.dir.join("root/releases")).unwrap();
        let version = |name: String| name.split('-').next().unwrap_or_default().to_owned();
        let mut names: Vec<String> = entries.map(|entry| version(entry.unwrap().file_name().into_string().unwrap())).collect();
        names.sort();
        names
    };
    for version in ["1.0", "1.1", "1.2", "1.3"] {
        run(version);
    }
    // When 1.3 came, 1.1 and 1.2 were known-good.
    assert_eq!(there(), ["1.1", "1.2", "1.3"]);
    run("1.3");
    assert_eq!(there(), ["1.2", "1.3"]);
    shop.back(0, &[]);
    shop.world.shell("grep -qx 1.2 root/current/VERSION");
    // From here on the way back is 1.1, whose artifact is kept though the host has let it go.
    shop.says(0, &["artifact", "gc", "--keep", "0"]);
    shop.back(0, &[]);
    shop.world.shell("grep -qx 1.1 root/current/VERSION");
}

#[test]
fn clean_up_leaves_what_the_way_back_needs() {
    let shop = Shop::new();
    for version in ["1.0", "1.1", "1.3"] {
        shop.deploy(version, 0, &[]);
    }
    let would = shop.says(0, &["artifact", "gc", "--keep", "0", "--dry-run"]);
    assert!(
        would.contains("would drop web 1.0") && would.contains("files that were kept for runs") && !would.contains("web 1.1"),
        "{would}"
    );
    let did = shop.says(0, &["artifact", "gc", "--keep", "0"]);
    assert!(did.contains("dropped web 1.0") && did.contains("freed"), "{did}");
    assert!(!shop.says(0, &["artifact", "gc", "--keep", "0"]).contains("files that were kept"));
    assert!(shop.says(6, &["artifact", "drop", "web", "1.1"]).contains("known-good"));
    shop.world.shell("cd ../project; rm -r files templates");
    shop.back(0, &[]);
    shop.has("h1", "1.1");
    // What was let go is told before a host is touched.
    let gone = shop.back(1, &[]);
    assert!(gone.contains("web 1.0") && gone.contains("add the same build again"), "{gone}");
    shop.file("build", "ok 1.0");
    shop.says(0, &["artifact", "add", "web", "1.0", "build"]);
    let gone = shop.back(1, &[]);
    assert!(gone.replace("\n  │ ", "").contains("files/motd, files/tree, templates/app.conf"), "{gone}");
    shop.has("h1", "1.1");
}

#[test]
fn a_production_environment_is_asked_for() {
    let shop = Shop::new();
    for version in ["1.0", "1.1"] {
        shop.deploy(version, 0, &[]);
    }
    shop.environment("class = \"production\"", &["h1", "h2", "h3"], "", "red");
    assert!(shop.back(6, &[]).contains("--yes"));
    shop.has("h1", "1.1");
    shop.back(0, &["--yes"]);
    shop.has("h1", "1.0");
}

#[test]
fn a_run_that_is_taken_up_sends_what_it_began_with() {
    let shop = Shop::new();
    shop.checkout("1.1");
    // Killed once its first host is done.
    let words = shop.run_with("1.1", &["--crash-at", "22"]);
    let killed = shop.windlass(&words.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(killed.status.code(), None, "{killed:?}");
    shop.has("h1", "1.1");
    assert!(!shop.world.dir.join("h3/motd").exists());
    shop.checkout("9.9");
    let run = shop.json(0, &["status"])[0]["open"][0]["run"]["id"].as_str().unwrap().to_owned();
    shop.says(0, &["artifact", "gc"]);
    shop.says(0, &["resume", &run]);
    for host in ["h1", "h2", "h3"] {
        shop.has(host, "1.1");
        assert_eq!(shop.known(host), ["1.1", "1.1", "-"]);
    }
}

#[test]
fn an_undo_of_the_scripts_own_sends_what_the_run_began_with() {
    let shop = Shop::new();
    let script = r#"
const DIR = param("dir");
let h = host("h1");
on_undo(|| h.upload("files/motd", global::DIR + "/undone"));
h.upload("files/motd", DIR + "/motd");
h.write(DIR + "/done", "x");
"#;
    shop.file("deploy.rhai", script);
    shop.checkout("1.0");
    let dir = format!("dir={}", shop.world.dir.display());
    let killed = shop.windlass(&["run", "-e", "box", "--set", &dir, "--crash-at", "8"]);
    assert_eq!(killed.status.code(), None, "{killed:?}");
    shop.checkout("9.9");
    let run = shop.json(0, &["status"])[0]["open"][0]["run"]["id"].as_str().unwrap().to_owned();
    shop.says(3, &["unwind", &run]);
    assert_eq!(std::fs::read_to_string(shop.world.dir.join("undone")).unwrap(), "1.0");
}
