//! The crash law: the program is killed at each record of the journal, before and after it is on disk. What is left is
//! legal, `status` says what to type, and `resume` and `unwind` bring it to the end that a run without a crash has.

use crate::interrupts::SCRIPT;
use crate::many::check_all;
use crate::tree::{differs, tree, undeclared};
use crate::world::World;
use serde_json::Value;
use std::process::{Command, Output, Stdio};
use windlass::journal::{RunPhase, RunState};
use windlass::ledger::{Ledger, RunRow, SqliteLedger};

type Checked = Result<(), String>;

/// A project for the program itself, in the start state of the script.
pub(crate) fn world() -> World {
    let world = crate::interrupts::world();
    let root = world.root();
    std::fs::write(root.join("deploy.rhai"), format!("const D = param(\"dir\");\n{}", global(SCRIPT))).unwrap();
    std::fs::create_dir(root.join("environments")).unwrap();
    let hosts = "class = \"single-box\"\ntransport = \"local\"\n[hosts.\"h[1:3]\"]\nroles = [\"web\"]\n";
    std::fs::write(root.join("environments/box.toml"), hosts).unwrap();
    world
}

/// What closures and functions know, too.
fn global(script: &str) -> String {
    script.replace("D + ", "global::D + ").replace("${D}", "${global::D}")
}

/// Runs the program, and waits until whatever it started has ended as well: each of them holds the pipe that is read.
pub(crate) fn windlass(world: &World, args: &[&str]) -> Output {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "exec \"$0\" \"$@\" 9>&1", env!("CARGO_BIN_EXE_windlass")]).args(args).args(["--color", "never"]);
    command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("HOME", world.home()).env("USER", "laws");
    command.current_dir(world.root()).stdin(Stdio::null()).output().unwrap()
}

fn start(world: &World, crash: &str) -> Output {
    let dir = format!("dir={}", world.dir.display());
    windlass(world, &["run", "-e", "box", "--set", &dir, "--crash-at", crash])
}

fn ledger(world: &World) -> SqliteLedger {
    SqliteLedger::open(&world.root().join(".windlass/ledger.db")).unwrap()
}

/// The one run there is, and what its journal says.
fn left(world: &World) -> Result<(RunRow, RunState), String> {
    let ledger = ledger(world);
    let row = ledger.runs(None, 9).unwrap().into_iter().next().ok_or("there is no run")?;
    let records = ledger.records(&row.id).map_err(|error| error.to_string())?;
    let state = RunState::read(&records).map_err(|illegal| illegal.to_string())?;
    Ok((row, state))
}

/// The trees before and after a run without a crash, and how many records it has.
fn whole() -> (String, String, u64) {
    let world = world();
    let before = tree(&world.dir);
    let output = start(&world, "9999");
    assert!(output.status.success(), "{output:?}");
    let after = tree(&world.dir);
    let records = left(&world).unwrap().0.records;
    (before, after, records)
}

/// Where it is killed.
#[derive(Clone, Copy)]
struct Place {
    record: u64,
    before: bool,
}

impl Place {
    fn word(self) -> String {
        if self.before { format!("before:{}", self.record) } else { self.record.to_string() }
    }

    /// Every place of a run, but the last record: once that is on disk, the run has ended.
    fn all(records: u64) -> Vec<Self> {
        let both = |record| [Self { record, before: true }, Self { record, before: false }];
        (1..=records).flat_map(both).filter(|place| place.before || place.record < records).collect()
    }
}

/// A run that was killed there, as it must have been left; none when it was killed before anything was on disk.
fn killed(place: Place) -> Result<Option<(World, String)>, String> {
    let world = world();
    let output = start(&world, &place.word());
    if std::os::unix::process::ExitStatusExt::signal(&output.status) != Some(9) {
        return Err(format!("it was not killed: {output:?}"));
    }
    let (row, state) = left(&world)?;
    let wanted = place.record - u64::from(place.before);
    if state.seq != wanted {
        return Err(format!("{} records are on disk, not {wanted}", state.seq));
    }
    Ok((wanted > 0).then(|| (world, row.id.to_string())))
}

/// `status` names the run, and both commands.
fn told(world: &World, id: &str) -> Checked {
    let said = windlass(world, &["status", "--format", "json"]);
    let status: Value = serde_json::from_slice(&said.stdout).map_err(|error| format!("{error}: {said:?}"))?;
    let open = &status["open"][0];
    let text = open.to_string();
    let right = open["run"]["id"] == id
        && text.contains(&format!("windlass resume {id}"))
        && text.contains(&format!("windlass unwind {id}"));
    if right { Ok(()) } else { Err(format!("status says {status}")) }
}

fn ended(world: &World, output: &Output, state: RunPhase, codes: &[i32], wanted: &str) -> Checked {
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.code().is_some_and(|code| codes.contains(&code)) {
        return Err(format!("{:?}: {said}", output.status));
    }
    let (row, _) = left(world)?;
    if row.state != state {
        return Err(format!("the run is {:?}: {said}", row.state));
    }
    if let Some(difference) = differs(wanted, &tree(&world.dir)) {
        return Err(format!("{difference}{said}"));
    }
    match undeclared(&world.home()) {
        Some(line) => Err(format!("something is left: {line}")),
        None => Ok(()),
    }
}

#[test]
fn a_killed_run_is_resumed() {
    let (_, after, records) = whole();
    check_all(
        &Place::all(records),
        |place| format!("killed at {}, then resumed", place.word()),
        |place| {
            let Some((world, id)) = killed(*place)? else { return Ok(()) };
            told(&world, &id)?;
            let output = windlass(&world, &["resume", &id]);
            ended(&world, &output, RunPhase::Succeeded, &[0], &after)
        },
    );
}

#[test]
fn a_killed_run_is_unwound() {
    let (before, _, records) = whole();
    check_all(
        &Place::all(records),
        |place| format!("killed at {}, then unwound", place.word()),
        |place| {
            let Some((world, id)) = killed(*place)? else { return Ok(()) };
            let output = windlass(&world, &["unwind", &id]);
            ended(&world, &output, RunPhase::Unwound, &[1, 3], &before)
        },
    );
}
