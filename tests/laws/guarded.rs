//! `h.guarded`: the host takes a block back by itself unless it is confirmed, whatever becomes of who changes it.

use crate::people::{project, windlass};
use crate::program::{only_run, start};
use crate::tree::undeclared;
use crate::world::World;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Changes of each kind, between what is not guarded. `WAIT` is in the block, behind them.
const SCRIPT: &str = r#"
let h = host("h1");
h.write("~/before", "new\n");
h.guarded(#{ confirm_within: "5s" }, || {
    h.write("~/old", "new\n");
    h.mkdir("~/made/deep");
    h.write("~/made/deep/file", "x\n");
    h.remove("~/gone");
    h.run("echo ran >>~/ran", #{ undo: "rm ~/ran; echo undone >>~/said" });
    h.run("cp ~/old ~/loaded", #{ again: "safe" });
    h.symlink("elsewhere", "~/link");
    WAIT
});
h.write("~/after", "new\n");
"#;

fn world(wait: &str) -> World {
    let world = project(&SCRIPT.replace("WAIT", wait), "", "");
    for (name, text) in [("old", "old\n"), ("gone", "mine\n"), ("loaded", "old\n")] {
        std::fs::write(world.home().join(name), text).unwrap();
    }
    world
}

/// Every file of the home but what Windlass keeps, and its text.
fn files(world: &World) -> BTreeMap<String, String> {
    let entries = std::fs::read_dir(world.home()).unwrap().map(|entry| entry.unwrap());
    let named = entries.map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path()));
    let text = |path: &std::path::Path| {
        std::fs::read_link(path).map_or_else(|_| std::fs::read_to_string(path), |to| Ok(to.display().to_string()))
    };
    named
        .filter(|(name, _)| name != ".windlass")
        .map(|(name, path)| (name, text(&path).unwrap_or_else(|error| error.to_string())))
        .collect()
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(30), "never: {what}");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

/// Whether a process with this home is a timer.
fn timers(world: &World) -> usize {
    let home = world.home().display().to_string();
    let of = |entry: std::io::Result<std::fs::DirEntry>| std::fs::read(entry.ok()?.path().join("cmdline")).ok();
    let lines = std::fs::read_dir("/proc").unwrap().filter_map(of);
    lines.filter(|line| String::from_utf8_lossy(line).contains(&format!("{home}/.windlass/runs"))).count()
}

fn assert_restored(world: &World, before: &BTreeMap<String, String>) {
    let mut now = files(world);
    // What the undo of a command says, it says once, whoever undoes it.
    assert_eq!(now.remove("said").as_deref(), Some("undone\n"));
    assert_eq!(&now, before);
    assert!(!world.home().join(".windlass/runs").exists() && timers(world) == 0);
}

const FIRED: &str = "h1 has restored itself: the block was not confirmed over a new connection in time";

#[test]
fn what_is_confirmed_stays_and_nothing_else_does() {
    let world = world("");
    let (code, said) = windlass(&world, &["run"], &[]);
    assert_eq!(code, 0, "{said}");
    let now = files(&world);
    assert_eq!((now["old"].as_str(), now["loaded"].as_str(), now["link"].as_str()), ("new\n", "new\n", "elsewhere"));
    assert!(!now.contains_key("gone") && now.contains_key("after"), "{now:?}");
    assert!(undeclared(&world.home()).is_none() && timers(&world) == 0);
}

#[test]
fn a_block_that_fails_is_unwound_from_here() {
    let world = world("fail(\"as asked\");");
    let before = files(&world);
    let (code, said) = windlass(&world, &["run"], &[]);
    assert!(code == 3 && said.contains("as asked") && !said.contains(FIRED), "{said}");
    assert_restored(&world, &before);
}

#[test]
fn what_is_not_confirmed_in_time_is_taken_back_and_no_script_goes_on() {
    // The command hangs, and would change something later.
    let wait = "try { h.run(\"sleep 30; echo late >~/late\", #{ undo: \"true\" }); } catch { log(\"caught\"); }";
    let world = world(wait);
    let before = files(&world);
    let (code, said) = windlass(&world, &["run"], &[]);
    assert!(code == 3 && said.contains(FIRED), "{code} {said}");
    assert_restored(&world, &before);
}

#[test]
fn nothing_passes_over_a_host_that_has_restored_itself() {
    let script = "let h = host(\"h1\"); h.write(\"~/first\", \"x\");\n\
        let tried = attempt(|| h.guarded(#{ confirm_within: \"5s\" }, || { h.write(\"~/old\", \"new\"); \
        attempt(|| h.run(\"sleep 30\", #{ undo: \"true\" })); h.write(\"~/late\", \"x\"); }));\nlog(\"went on\");";
    let world = project(script, "", "");
    let (code, said) = windlass(&world, &["run"], &[]);
    assert!(code == 3 && said.contains(FIRED) && !said.contains("log             went on"), "{code} {said}");
    assert_eq!(files(&world), BTreeMap::new());
}

/// Starts the run, and kills it in the block.
fn killed(world: &World) -> String {
    let command = start(world, &["run"]);
    // The signal is for the program itself.
    let program = command.get_args().nth(1).unwrap().to_owned();
    let rest: Vec<_> = command.get_args().skip(2).map(ToOwned::to_owned).collect();
    let mut command = std::process::Command::new(program);
    command.args(rest).env_clear().env("PATH", "/usr/bin:/bin").env("HOME", world.home()).current_dir(world.root());
    let mut child = command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap();
    eventually("the block waits", || world.home().join("reached").exists());
    child.kill().unwrap();
    child.wait().unwrap();
    only_run(world)
}

const WAITS: &str = "h.run(\"touch ~/reached; until [ -e ~/go ]; do sleep 0.02; done\", #{ undo: \"rm -f ~/reached\" });";

#[test]
fn a_host_that_is_left_alone_restores_itself_and_a_resumed_run_says_so() {
    let world = world(WAITS);
    let before = files(&world);
    let run = killed(&world);
    eventually("the host restores itself", || world.home().join("gone").exists() && timers(&world) == 0);
    assert_eq!(files(&world)["before"], "new\n", "what is not guarded stays");
    let (code, said) = taken_up(&world, "resume", &run);
    assert!(code == 3 && said.contains(FIRED), "{code} {said}");
    assert_restored(&world, &before);
}

#[test]
fn a_run_that_is_taken_up_in_time_ends_the_timer() {
    let world = world(WAITS);
    let before = files(&world);
    let run = killed(&world);
    let (code, said) = taken_up(&world, "unwind", &run);
    assert!(code == 3, "{code} {said}");
    assert_restored(&world, &before);

    let world = self::world(WAITS);
    let run = killed(&world);
    std::fs::write(world.home().join("go"), "").unwrap();
    let (code, said) = taken_up(&world, "resume", &run);
    assert!(code == 0, "{code} {said}");
    assert!(files(&world)["old"] == "new\n" && timers(&world) == 0);
}

#[test]
fn killed_at_any_record_it_is_brought_to_an_end() {
    let script = SCRIPT.replace("\"5s\"", "\"60s\"").replace("WAIT", "");
    for record in 1.. {
        let job = if record % 2 == 0 { "resume" } else { "unwind" };
        let world = world("");
        std::fs::write(world.root().join("deploy.rhai"), &script).unwrap();
        let before = files(&world);
        windlass(&world, &["run", "--crash-at", &record.to_string()], &[]);
        let (code, said) = taken_up(&world, job, &only_run(&world));
        let mut now = files(&world);
        now.remove("said");
        if said.contains("has ended") {
            assert!(record > 30, "so few records: {said}");
            break;
        }
        if job == "unwind" {
            assert!(matches!(code, 1 | 3) && now == before, "{record}: {code} {now:?} {said}");
        } else {
            assert!(code == 0 && now["loaded"] == "new\n" && now["ran"] == "ran\n", "{record}: {code} {now:?} {said}");
        }
        assert!(!world.home().join(".windlass/runs").exists() && timers(&world) == 0, "{record}: {said}");
    }
}

fn taken_up(world: &World, job: &str, run: &str) -> (i32, String) {
    let output = start(world, &[job, run]).output().unwrap();
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn blocks_that_cannot_be_guarded_are_refused() {
    let within = "let h = host(\"h1\"); h.guarded(|| h.guarded(|| h.write(\"~/x\", \"x\")));";
    let other = "let h = host(\"h1\"); h.guarded(|| h.write(\"~/x\", \"x\", #{ sudo: true }));";
    for (script, says) in [(within, "is in a guarded block already"), (other, "h.sudo().guarded(")] {
        let world = project(script, "", "");
        let (code, said) = windlass(&world, &["run"], &[]);
        assert!(code == 1 && said.contains(says), "{code} {said}");
        assert!(files(&world).is_empty() && timers(&world) == 0);
    }
    for (options, says) in [
        ("confirm_within: \"2s\"", "from 5s to 1h"),
        ("confirm_within: \"2h\"", "from 5s to 1h"),
        ("confirm_witin: \"9s\"", "did you mean"),
    ] {
        let world = project(&format!("host(\"h1\").guarded(#{{ {options} }}, || 1);"), "", "");
        let (code, said) = windlass(&world, &["check"], &[]);
        assert!(code == 1 && said.contains(says), "{code} {said}");
    }
}
