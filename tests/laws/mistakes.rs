//! Mistakes of tired operators, as data in `tests/mistakes`: each with the exit code, and with words that a good answer holds. What is
//! answered less well so far is marked `open`, and has to lose its mark when it is answered well.

use crate::many::check_all;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Words of libraries, and of what must not happen.
const NEVER: [&str; 4] = ["invalid type", "untagged enum", "os error", "panicked"];
const PROJECT: &str = "name = \"shop\"\n\n[defaults]\nenvironment = \"lab\"\n";
/// Nothing listens there.
const LAB: &str = "class = \"lab\"\n[hosts.h1]\naddress = \"127.0.0.1\"\nport = 9\nroles = [\"web\"]\n";
const NOBODY: u32 = 65_534;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// The mistake, in words.
    name: String,
    /// The project beside its usual files; of a name that ends in `.b64`, the bytes.
    #[serde(default)]
    files: BTreeMap<String, String>,
    /// Usual files that it does not have.
    #[serde(default)]
    without: Vec<String>,
    /// A text of `sh` that is run in it first.
    #[serde(default)]
    before: String,
    /// The words behind `windlass`.
    run: Vec<String>,
    exit: i32,
    #[serde(default)]
    says: Vec<String>,
    #[serde(default)]
    never: Vec<String>,
    /// Who makes it, where permissions matter: they mean nothing to root.
    #[serde(default)]
    user: String,
    /// For people.
    #[serde(default)]
    #[expect(dead_code, reason = "for who reads the case")]
    note: String,
    /// What is not answered well so far.
    #[serde(default)]
    open: bool,
}

#[derive(Deserialize)]
struct File {
    case: Vec<Case>,
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mistakes")
}

fn put(project: &Path, name: &str, text: &str) {
    let path = project.join(name.strip_suffix(".b64").unwrap_or(name));
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, text).unwrap();
    if name.ends_with(".b64") {
        let bytes = Command::new("base64").arg("-d").arg(&path).output().unwrap();
        assert!(bytes.status.success(), "{name}: {bytes:?}");
        std::fs::write(&path, bytes.stdout).unwrap();
    }
}

/// Runs it with an end; standard output and error together.
fn ended(command: &mut Command, said: &Path) -> Option<i32> {
    let out = std::fs::File::create(said).unwrap();
    command.stdin(Stdio::null()).stderr(out.try_clone().unwrap()).stdout(out);
    let mut child = command.spawn().unwrap();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(60) {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        std::thread::park_timeout(Duration::from_millis(10));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    None
}

fn tried(case: &Case) -> Result<(Option<i32>, String), String> {
    let temp = tempfile::tempdir().unwrap();
    let (home, project) = (temp.path().join("home"), temp.path().join("home/shop"));
    std::fs::create_dir_all(&project).unwrap();
    let usual = [("windlass.toml", PROJECT), ("environments/lab.toml", LAB)];
    let usual = usual.iter().filter(|(name, _)| !case.without.iter().any(|without| without == name));
    usual.for_each(|(name, text)| put(&project, name, text));
    case.files.iter().for_each(|(name, text)| put(&project, name, text));
    let program = Path::new(env!("CARGO_BIN_EXE_windlass"));
    let nobody = case.user == "nobody" && rustix::process::geteuid().is_root();
    if nobody {
        let given: Output = Command::new("chown").args(["-R", "65534:65534"]).arg(temp.path()).output().unwrap();
        assert!(given.status.success(), "{given:?}");
    }
    let command = |program: &Path| {
        let mut command = Command::new(program);
        let path =
            format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", Path::new(env!("CARGO_BIN_EXE_windlass")).parent().unwrap().display());
        command.current_dir(&project).env_clear().env("PATH", path).env("HOME", &home).env("USER", "root");
        command.env("LANG", "C.UTF-8").env("COLUMNS", "100");
        if nobody {
            command.gid(NOBODY).uid(NOBODY);
        }
        command
    };
    let said = temp.path().join("said");
    if !case.before.is_empty() {
        let code = ended(command(Path::new("/bin/sh")).args(["-c", &case.before]), &said);
        if code != Some(0) {
            return Err(format!("`before` ended with {code:?}: {}", std::fs::read_to_string(&said).unwrap_or_default()));
        }
    }
    let code = ended(command(program).args(&case.run), &said);
    let text = String::from_utf8_lossy(&std::fs::read(&said).unwrap()).into_owned();
    if nobody {
        let _ = Command::new("chmod").args(["-R", "u+rwX"]).arg(temp.path()).output();
    }
    Ok((code, text))
}

/// The text, and once more with its lines joined: a message may be wrapped anywhere.
fn joined(text: &str) -> String {
    let lines = text.lines().map(|line| line.trim().trim_start_matches(['│', '|', '┆']).trim());
    format!("{text}\n{}", lines.collect::<Vec<_>>().join(" "))
}

fn wrong(case: &Case) -> Result<Vec<String>, String> {
    let (code, text) = tried(case)?;
    let mut wrong = Vec::new();
    if code != Some(case.exit) {
        wrong.push(format!("it ends with {code:?}, and should with {}", case.exit));
    }
    let text = joined(&text);
    wrong.extend(case.says.iter().filter(|says| !text.contains(says.as_str())).map(|says| format!("it does not say `{says}`")));
    let never = NEVER.into_iter().chain(case.never.iter().map(String::as_str));
    wrong.extend(never.filter(|never| text.contains(never)).map(|never| format!("it says `{never}`")));
    if !wrong.is_empty() {
        wrong.push(text);
    }
    Ok(wrong)
}

fn check(case: &Case) -> Result<(), String> {
    match (wrong(case)?, case.open) {
        (wrong, false) if !wrong.is_empty() => Err(wrong.join("\n")),
        (wrong, true) if wrong.is_empty() => Err("it is answered well now: take its `open = true` away".to_owned()),
        _ => Ok(()),
    }
}

#[test]
fn are_answered_with_what_helps() {
    let mut cases = Vec::new();
    for entry in std::fs::read_dir(directory()).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let file: File = toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let area = path.file_stem().unwrap().to_string_lossy().into_owned();
        cases.extend(file.case.into_iter().map(|case| (area.clone(), case)));
    }
    assert!(cases.iter().filter(|(_, case)| !case.open).count() >= 120, "the catalogue is smaller than it was");
    check_all(&cases, |(area, case)| format!("{area}: {}", case.name), |(_, case)| check(case));
}
