//! The house rules of ARCHITECTURE.md that a machine can check. Each is an absence.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::fs;
use std::path::{Path, PathBuf};

/// The rooms, lowest first; a room may use its own tier's and the lower ones.
const TIERS: &[&[&str]] = &[
    &["id", "private", "step", "stop", "words"],
    &["effect"],
    &["op", "journal", "saga", "fleet", "artifact"],
    &["event"],
    &["transport", "ledger"],
    &["interp", "script"],
    &["run"],
    &["prove"],
    &["report"],
    &["cli"],
];

/// Crates that only their owners may name.
const OWNERS: &[(&str, &[&str])] = &[
    ("rhai", &["script"]),
    ("ssh2", &["transport"]),
    ("russh", &["transport"]),
    ("hyper", &["transport"]),
    ("rustls", &["transport"]),
    ("tokio_rustls", &["transport"]),
    ("rusqlite", &["ledger"]),
    ("clap", &["cli"]),
    ("indicatif", &["report"]),
    ("minijinja", &["op"]),
    ("toml", &["fleet"]),
    ("tokio", &["cli", "transport"]),
    ("miette", &["cli", "script"]),
    ("tar", &["artifact"]),
    ("flate2", &["artifact"]),
];

struct Source {
    path: String,
    room: String,
    text: String,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    collect(&root.join("src"), &mut files);
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        let path = path.strip_prefix(root).unwrap().display().to_string();
        let room = path.split('/').nth(1).unwrap().trim_end_matches(".rs").to_owned();
        Source { path, room, text }
    };
    files.into_iter().map(read).collect()
}

fn collect(directory: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, into);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            into.push(path);
        }
    }
    into.sort();
}

/// The code without what is only compiled for tests (kept at the end of a file), nor comments.
fn code(source: &Source) -> Vec<(usize, &str)> {
    let end = source.text.find("#[cfg(test)]\nmod ").unwrap_or(source.text.len());
    let lines = source.text[..end].lines().enumerate();
    lines.map(|(n, line)| (n + 1, line.split("//").next().unwrap_or(line))).collect()
}

fn is_test(source: &Source) -> bool {
    source.path.contains("test")
}

fn refuse(findings: &[String]) {
    assert!(findings.is_empty(), "{} finding(s):\n{}", findings.len(), findings.join("\n"));
}

fn each_line(mut wrong: impl FnMut(&Source, &str) -> Option<String>) -> Vec<String> {
    let mut findings = Vec::new();
    for source in sources().iter().filter(|source| !is_test(source)) {
        for (n, line) in code(source) {
            findings.extend(wrong(source, line).map(|what| format!("{}:{n}: {what}: {}", source.path, line.trim())));
        }
    }
    findings
}

#[test]
fn every_file_begins_by_saying_what_it_is_and_stays_short() {
    let mut findings = Vec::new();
    for source in sources() {
        let lines = source.text.lines().count();
        if lines > 600 {
            findings.push(format!("{} has {lines} lines; 600 is the most", source.path));
        }
        if !source.text.starts_with("//!") && !is_test(&source) {
            findings.push(format!("{} does not begin with `//!`", source.path));
        }
    }
    refuse(&findings);
}

#[test]
fn rooms_use_only_lower_rooms() {
    let tier = |room: &str| TIERS.iter().position(|tier| tier.contains(&room));
    let findings = each_line(|source, line| {
        let own = tier(&source.room)?;
        let rest = line.split("crate::").nth(1)?;
        let other = rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next()?;
        let their = tier(other)?;
        let meets = source.room == "script" && other == "transport";
        (their > own || meets).then(|| format!("{} uses {other}", source.room))
    });
    refuse(&findings);
}

#[test]
fn a_crate_is_named_by_its_owner_only() {
    let findings = each_line(|source, line| {
        let named = |name: &str| line.contains(&format!("{name}::")) && !line.contains(&format!("_{name}::"));
        let owner = OWNERS.iter().find(|(name, rooms)| named(name) && !rooms.contains(&source.room.as_str()));
        owner.map(|(name, rooms)| format!("{name} belongs to {}", rooms.join(", ")))
    });
    refuse(&findings);
}

#[test]
fn an_operation_does_nothing_by_itself() {
    let banned = [
        "std::fs",
        "std::net",
        "std::process",
        "std::env",
        "std::thread",
        "std::time",
        "tokio",
        "crate::transport",
        "crate::interp",
    ];
    refuse(&each_line(|source, line| {
        let what = banned.iter().find(|what| source.room == "op" && line.contains(*what))?;
        Some(format!("op/ performs no I/O, but names {what}"))
    }));
}

#[test]
fn no_mode_is_asked_for() {
    let asked = ["dry_run", "is_dry", "is_plan", "simulating"];
    refuse(&each_line(|source, line| {
        let inside = matches!(source.room.as_str(), "op" | "saga" | "script");
        asked.iter().find(|word| inside && line.contains(*word)).map(|word| format!("asks for the mode by `{word}`"))
    }));
}

#[test]
fn only_the_command_line_prints_and_only_main_exits() {
    let words = ["println!(", "eprintln!(", "print!(", "eprint!(", "process::exit(", "std::io::stdout(", "std::io::stderr("];
    refuse(&each_line(|source, line| {
        let word = words.iter().find(|word| source.room != "cli" && line.contains(*word))?;
        Some(format!("{word} outside of cli/"))
    }));
}

#[test]
fn nothing_is_left_undone_or_allowed() {
    let words = ["todo!(", "unimplemented!(", "#[allow(", ".unwrap()", "dbg!(", "FIXME", "XXX"];
    refuse(&each_line(|_, line| words.iter().find(|word| line.contains(*word)).map(|word| format!("`{word}`"))));
}

/// Whether a text in quotes on this line has this word in it.
fn said(line: &str, word: &str) -> bool {
    line.split('"')
        .skip(1)
        .step_by(2)
        .any(|text| text.split(' ').any(|part| part.starts_with(word.trim_end())) && text.contains(word))
}

#[test]
fn shell_text_is_built_in_one_place() {
    refuse(&each_line(|source, line| {
        let inside = source.path.contains("transport/remote") || source.path.contains("transport/embedded");
        // The words of the host's side are said in one place, too.
        if !inside && ["wl ", "wl_", "exec /bin/sh"].iter().any(|piece| said(line, piece)) {
            return Some("words for a host's shell outside of transport/remote".to_owned());
        }
        let builds = line.contains("format!(\"") && ["2>&1", "&& ", "| sh", "; do "].iter().any(|piece| line.contains(piece));
        (builds && !inside && source.room != "cli").then(|| "shell text outside of transport/remote".to_owned())
    }));
}

#[test]
fn every_primitive_has_a_page_and_a_case() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut findings = Vec::new();
    for entry in windlass::op::Registry::standard().iter() {
        let page = root.join(format!("stdlib/doc/{}.md", entry.name));
        let text = fs::read_to_string(&page).unwrap_or_default();
        if !text.starts_with(&format!("# {}", entry.name)) || !text.contains("```rhai") {
            findings.push(format!("stdlib/doc/{}.md needs a heading of that name and an example", entry.name));
        }
        let cases = root.join("tests/op").join(entry.name);
        if fs::read_dir(&cases).map(Iterator::count).unwrap_or(0) == 0 {
            findings.push(format!("tests/op/{}/ needs a case", entry.name));
        }
    }
    refuse(&findings);
}
