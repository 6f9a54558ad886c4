//! The program as a person has it, with this machine as its host: what it refuses before anything begins, and what it says.

use crate::people::{project, windlass};
use crate::world::World;
use serde_json::Value;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Starts it; whoever waits for it waits for this process.
pub(crate) fn start(world: &World, args: &[&str]) -> Command {
    let mut command = Command::new("timeout");
    command.args(["60", env!("CARGO_BIN_EXE_windlass")]).args(args).args(["--color", "never"]);
    if args[0] == "run" {
        command.args(["-e", "box"]);
    }
    command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", world.home()).current_dir(world.root());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn last_line(text: &str) -> Value {
    serde_json::from_str(text.lines().last().unwrap()).unwrap()
}

pub(crate) fn lines(world: &World, args: &[&str]) -> Vec<Value> {
    let output = start(world, args).stdin(Stdio::null()).output().unwrap();
    String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

pub(crate) fn only_run(world: &World) -> String {
    lines(world, &["status", "--format", "json"])[0]["last"]["id"].as_str().unwrap().to_owned()
}

#[test]
fn a_misspelt_answer_is_refused_before_anything_begins() {
    let file = "let said = ask(\"Go on?\", #{ name: \"confirm\", otherwise: \"yes\" }); host(\"h1\").write(\"~/x\", said);";
    let world = project(file, "", "");
    let (code, said) = windlass(&world, &["run", "--answer", "confrim=no"], &[]);
    assert!(code == 2 && said.contains("no question of this name") && said.contains("did you mean `confirm`?"), "{code} {said}");
    assert!(!world.home().join("x").exists());
    // The question itself is its name where there is no other; what is computed may be anything.
    let world = project("let q = \"a\" + \"b\"; log(ask(\"Why?\") + ask(q));", "", "");
    let (code, said) = windlass(&world, &["run", "--answer", "Why?=x", "--answer", "ab=y", "--answer", "c=z"], &[]);
    assert!(code == 0 && said.contains("xy"), "{said}");
    // Nor is it passed over by who takes a run up.
    let script = "log(ask(\"Why?\", #{ name: \"why\" }));";
    let world = project(script, "", "");
    let (_, said) = windlass(&world, &["run", "--answer", "why=x", "--crash-at", "2"], &[]);
    let output = start(&world, &["resume", &only_run(&world), "--answer", "wyh=x"]).output().unwrap();
    let refused = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(2) && refused.contains("did you mean `why`?"), "{refused} {said}");
}

#[test]
fn a_wrong_password_for_sudo_fails_on_this_machine_too() {
    let world = project("host(\"h1\").write(\"~/x\", \"x\", #{ sudo: true });", "", "");
    let bin = world.root().join("bin");
    std::fs::create_dir(&bin).unwrap();
    // As sudo does, it asks again.
    let sudo = "#!/bin/sh\nread -r said\nwhile [ \"$said\" != right ]; do echo 'Sorry, try again.' >&2; read -r said || exit 1; done\n\
        while [ \"$1\" != /bin/sh ]; do shift; done; exec \"$@\"\n";
    std::fs::write(bin.join("sudo"), sudo).unwrap();
    std::fs::set_permissions(bin.join("sudo"), std::fs::Permissions::from_mode(0o755)).unwrap();
    for (password, code, says) in [("wrong", 1, "sudo does not take the password for becoming root"), ("right", 0, "succeeded")] {
        let mut command = start(&world, &["run", "-K"]);
        let mut child = command.env("PATH", format!("{}:/usr/bin:/bin", bin.display())).spawn().unwrap();
        writeln!(child.stdin.take().unwrap(), "{password}").unwrap();
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(code) && said.contains(says), "{password}: {:?} {said}", output.status);
        assert_eq!(world.home().join("x").exists(), code == 0);
    }
}

#[test]
fn a_ledger_that_goes_away_stops_the_run_before_the_next_change() {
    let script = "let h = host(\"h1\"); h.write(\"~/one\", \"1\");\n\
        h.run(\"touch ~/reached; until [ -e ~/go ]; do sleep 0.02; done\", #{ undo: \"true\" });\nh.write(\"~/two\", \"2\");";
    for replace in [false, true] {
        let world = project(script, "", "");
        let child = start(&world, &["run"]).spawn().unwrap();
        let begun = Instant::now();
        while !world.home().join("reached").exists() {
            assert!(begun.elapsed() < Duration::from_secs(30));
            std::thread::park_timeout(Duration::from_millis(10));
        }
        let ledger = world.root().join(".windlass/ledger.db");
        let copy = std::fs::read(&ledger).unwrap();
        std::fs::remove_file(&ledger).unwrap();
        if replace {
            std::fs::write(&ledger, copy).unwrap();
        }
        std::fs::write(world.home().join("go"), "").unwrap();
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        let why = if replace { "was replaced by another file meanwhile" } else { "was there and is not any more" };
        assert!(output.status.code() == Some(7) && said.contains("nothing further is done") && said.contains(why), "{said}");
        assert!(world.home().join("one").exists() && !world.home().join("two").exists());
    }
}

#[test]
fn what_is_wrong_with_a_file_of_the_project_is_not_said_of_a_host() {
    // What is written out is found before a host is connected to.
    let world = project("parallel(hosts(\"all\"), |h| h.upload(\"files/none\", \"~/x\"));", "", "");
    let (code, said) = windlass(&world, &["run"], &[]);
    assert!(code == 1 && said.contains("there is no file files/none in the project"), "{said}");
    let world = project("let file = \"files/none\"; parallel(hosts(\"all\"), |h| h.upload(file, \"~/x\"));", "", "");
    let (code, said) = windlass(&world, &["run"], &[]);
    assert!(code == 1 && said.contains("files/none") && !said.contains("on h1"), "{said}");
    let shown = String::from_utf8(start(&world, &["show"]).output().unwrap().stdout).unwrap();
    assert!(shown.contains("files/none") && !shown.contains("failed on"), "{shown}");
    assert_eq!(
        last_line(&String::from_utf8(start(&world, &["run", "--format", "json"]).output().unwrap().stdout).unwrap())["error"]["host"],
        "@controller"
    );
}

#[test]
fn the_end_of_a_run_is_the_same_live_and_from_the_ledger() {
    for script in ["host(\"h1\").write(\"~/x\", \"x\");", "host(\"h1\").write(\"~/x\", \"y\"); fail(\"as asked\");"] {
        let world = project(script, "", "");
        let live = lines(&world, &["run", "--format", "json"]).pop().unwrap();
        let kept = lines(&world, &["show", "--format", "json"]).pop().unwrap();
        for field in ["at", "journal_head", "state", "exit", "counts"] {
            assert!(!live[field].is_null() && live[field] == kept[field], "{field}: {live} {kept}");
        }
    }
    // What is undone by who takes it up has a head too.
    let world = project("host(\"h1\").write(\"~/x\", \"x\"); host(\"h1\").write(\"~/y\", \"y\");", "", "");
    lines(&world, &["run", "--format", "json", "--crash-at", "5"]);
    let live = lines(&world, &["unwind", &only_run(&world), "--format", "json"]).pop().unwrap();
    let kept = lines(&world, &["show", "--format", "json"]).pop().unwrap();
    assert!(
        live["exit"] == 3 && !live["journal_head"].is_null() && live["journal_head"] == kept["journal_head"],
        "{live} {kept}"
    );
}

#[test]
fn undoing_is_said_only_where_something_is_undone() {
    let heading = "-- undoing what was changed";
    let world = project("fail(\"as asked\");", "", "");
    let (code, said) = windlass(&world, &["run"], &[]);
    assert!(code == 1 && !said.contains(heading), "{said}");
    let world = project("host(\"h1\").write(\"~/x\", \"x\"); fail(\"as asked\");", "", "");
    let (code, said) = windlass(&world, &["run"], &[]);
    assert!(code == 3 && said.find(heading).unwrap() < said.find("undone").unwrap(), "{said}");
}

/// What is in a directory and open to others than its owner, itself included.
fn open_to_others(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let about = std::fs::symlink_metadata(directory).unwrap();
    if !about.is_symlink() && about.permissions().mode() & 0o077 != 0 {
        found.push(format!("{} {:o}", directory.display(), about.permissions().mode()));
    }
    if about.is_dir() {
        found.extend(std::fs::read_dir(directory).unwrap().flat_map(|entry| open_to_others(&entry.unwrap().path())));
    }
    found
}

#[test]
fn what_is_kept_is_for_its_owner_alone_whatever_the_umask() {
    let script = "let h = host(\"h1\"); h.upload(\"files/hello.txt\", \"~/x\"); h.template(\"app.conf\", \"~/c\", #{ port: 1 });\n\
        h.upload(artifact(\"app\"), \"~/app.tar.gz\");";
    let world = project(script, "", "");
    let out = world.root().join("out");
    std::fs::create_dir(&out).unwrap();
    std::fs::set_permissions(&out, std::fs::Permissions::from_mode(0o700)).unwrap();
    let commands = [
        "artifact add app 1.0 files/app.tar.gz",
        "plan -e box --out out/plan.json --html out/plan.html",
        "dry-run -e box --out out/dry.json",
        "run -e box --plan out/dry.json",
        "run -e box",
        "test -e box --junit out/junit.xml --html out/test.html",
        "lock -e box --reason x",
    ];
    for command in commands {
        if command.starts_with("plan") {
            // What is there already is closed before it is written.
            std::fs::write(out.join("plan.json"), "old").unwrap();
        }
        let mut shell = Command::new("sh");
        shell.args(["-c", "umask 000; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_windlass")]).args(command.split(' '));
        shell.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", world.home()).current_dir(world.root()).stdin(Stdio::null());
        let output = shell.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(matches!(output.status.code(), Some(0 | 1)), "{command}: {said}");
        let found = [open_to_others(&world.root().join(".windlass")), open_to_others(&out)].concat();
        assert!(found.is_empty(), "after `{command}`: {found:#?} {said}");
    }
    for file in ["plan.json", "plan.html", "dry.json", "junit.xml", "test.html"] {
        assert!(out.join(file).exists(), "{file}");
    }
}

#[test]
fn a_directory_of_ours_that_is_another_s_fails_the_run_before_any_change() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let world = project("host(\"h1\").write(\"~/x\", \"x\");", "", "");
    let ours = world.home().join(".windlass");
    std::fs::create_dir(&ours).unwrap();
    std::os::unix::fs::chown(&ours, Some(54321), None).unwrap();
    let (code, said) = windlass(&world, &["run"], &[]);
    assert!(
        code == 1 && said.contains("is not this user's alone") && said.contains("failed before it changed anything"),
        "{said}"
    );
    assert!(!world.home().join("x").exists());
    assert_eq!(lines(&world, &["status", "--format", "json"])[0]["last"]["state"], "unwound");
}

#[test]
fn a_validation_that_says_much_is_told_in_short() {
    let world = project("host(\"h1\").write(\"~/x\", \"x\", #{ validate: \"seq 1 100000; exit 1 # %s\" });", "", "");
    let (code, said) = windlass(&world, &["run"], &[]);
    assert!(
        code == 1 && said.len() < 40_000 && said.contains("bytes left out") && said.contains("100000"),
        "{} {code}",
        said.len()
    );
    let kept = String::from_utf8(start(&world, &["show", "--format", "json"]).output().unwrap().stdout).unwrap();
    assert!(kept.len() < 60_000, "{}", kept.len());
}

#[test]
fn what_a_host_or_a_person_says_does_not_reach_the_terminal_as_a_command() {
    let evil = "\\x1b]0;owned\\x07\\x1b[2J";
    let script = format!("log(\"{evil}\"); step \"{evil}\" {{ host(\"h1\").run(\"printf '\\\\033]0;owned\\\\007'; exit 1\"); }}");
    let world = project(&script, "", "");
    let (_, said) = windlass(&world, &["run", "-v"], &[]);
    assert!(said.contains("owned") && !said.contains('\u{1b}') && !said.contains('\u{7}'), "{said:?}");
    for args in [&["show"][..], &["lock", "-e", "box", "--reason", "\u{1b}[2Jx"], &["status"], &["history"], &["run"]] {
        let output = start(&world, args).output().unwrap();
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(!said.contains('\u{1b}'), "{args:?}: {said:?}");
    }
}

#[test]
fn what_sudo_says_without_end_is_not_taken_in() {
    let world = project("host(\"h1\").write(\"~/x\", \"x\", #{ sudo: true });", "", "");
    let bin = world.root().join("bin");
    std::fs::create_dir(&bin).unwrap();
    for stream in ["1", "2"] {
        std::fs::write(bin.join("sudo"), format!("#!/bin/sh\nyes >&{stream} & wait\n")).unwrap();
        std::fs::set_permissions(bin.join("sudo"), std::fs::Permissions::from_mode(0o755)).unwrap();
        let mut command = start(&world, &["run"]);
        let output = command.env("PATH", format!("{}:/usr/bin:/bin", bin.display())).stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(1) && said.contains("more than 64 KiB") && said.len() < 20_000, "{}", said.len());
    }
}
