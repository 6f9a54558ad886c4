//! The simulated host is held to the cases of the primitives as real hosts are: the same ends, the same words, the same files.
//! Where it cannot be, `tests/laws/simulated.toml` says why; a reason that no longer holds is a failure.

use crate::case::{Case, all};
use crate::cases::{Checked, Ground, as_said, cases, doubled, replayed, undone};
use crate::many::check_all;
use crate::tree::{differs, tree};
use crate::world::{Ran, World, bare};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;

/// The cases that are known to go otherwise.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Known {
    /// By the case's file and name: why no simulated host can do as it says.
    differs: BTreeMap<String, String>,
    /// The same for cases that end as they say, in other words or with other files than on this machine.
    otherwise: BTreeMap<String, String>,
    /// Cases that do not end twice with the same words and files anywhere.
    by_chance: BTreeMap<String, String>,
}

fn known() -> Known {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/laws/simulated.toml");
    toml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Whether files of other owners cannot be put on disk here; it is said, so that nobody takes it for a check.
fn not_tried() -> bool {
    let lacks = !rustix::process::geteuid().is_root();
    if lacks {
        let _ = writeln!(
            std::io::stderr(),
            "the simulated fleet is held to NO case here: that needs the superuser (run the tests as root)"
        );
    }
    lacks
}

/// The cases that a simulated host is held to. Files are made with owners, so only the superuser can put them on disk.
fn held() -> Vec<Case> {
    if not_tried() {
        return Vec::new();
    }
    let Known { differs, by_chance, .. } = known();
    let agrees = |case: &Case| !differs.contains_key(&case.title()) && !by_chance.contains_key(&case.title());
    cases().0.into_iter().filter(agrees).collect()
}

#[test]
fn do_what_they_say_in_memory() {
    check_all(&held(), Case::title, |case| as_said(case, Ground::Memory));
}

#[test]
fn are_undone_in_memory_whatever_effect_fails() {
    check_all(&held(), Case::title, |case| if case.restored { undone(case, Ground::Memory) } else { Ok(()) });
}

#[test]
fn are_the_same_in_memory_when_each_effect_is_sent_twice() {
    check_all(&held(), Case::title, |case| if case.restored { doubled(case, Ground::Memory) } else { Ok(()) });
}

#[test]
fn are_replayed_without_any_effect_in_memory() {
    check_all(&held(), Case::title, |case| replayed(case, Ground::Memory));
}

#[test]
fn end_in_memory_as_on_this_machine() {
    let otherwise = known().otherwise;
    let held: Vec<Case> = held().into_iter().filter(|case| !otherwise.contains_key(&case.title())).collect();
    check_all(&held, Case::title, same_end);
}

#[test]
fn what_is_known_to_differ_does() {
    if not_tried() {
        return;
    }
    let known = known();
    let find = |title: &String| {
        let case = all().into_iter().find(|case| case.title() == *title);
        case.unwrap_or_else(|| panic!("there is no case `{title}`"))
    };
    let cases: Vec<Case> = known.differs.keys().map(find).filter(|case| crate::cases::can(case.needs.as_deref())).collect();
    check_all(&cases, Case::title, |case| match as_said(case, Ground::Memory) {
        Err(_) => Ok(()),
        Ok(()) => Err("it does as it says; take it out of tests/laws/simulated.toml".to_owned()),
    });
    let cases: Vec<Case> = known.otherwise.keys().map(find).collect();
    check_all(&cases, Case::title, |case| match same_end(case) {
        Err(_) => Ok(()),
        Ok(()) => Err("it ends as on this machine; take it out of tests/laws/simulated.toml".to_owned()),
    });
}

/// State, exit code, outcome, words and files are the same.
fn same_end(case: &Case) -> Checked {
    let (real, memory) = (case.world(Ground::Host), case.world(Ground::Memory));
    let (before_real, before_memory) = (tree(&real.dir), tree(&memory.dir));
    let runs = |world: &World| world.run(&case.script(world, ""), &bare());
    let (Ok(there), Ok(here)) = (runs(&real), runs(&memory)) else { return Ok(()) };
    let (ended_there, ended_here) = (ended(&there, &real), ended(&here, &memory));
    if ended_there != ended_here {
        return Err(format!("on this machine it is {ended_there}, in memory {ended_here}: {}", here.error()));
    }
    let (said_there, said_here) = (said(&there, &real), said(&here, &memory));
    if said_there != said_here {
        return Err(format!("on this machine it says `{said_there}`, in memory `{said_here}`"));
    }
    // What is there at first may hold bytes by chance.
    let made = |before: &str, world: &World| plain(&differs(before, &tree(&world.dir)).unwrap_or_default(), world);
    let (made_there, made_here) = (made(&before_real, &real), made(&before_memory, &memory));
    differs(&made_there, &made_here).map_or(Ok(()), |difference| Err(format!("the files are not the same:\n{difference}")))
}

fn ended(ran: &Ran, world: &World) -> String {
    let outcome = ran.last_step().map(|(outcome, _)| outcome.clone());
    plain(&format!("{:?} {} {outcome:?}", ran.finish.state, ran.finish.exit), world)
}

fn said(ran: &Ran, world: &World) -> String {
    words(&plain(&ran.finish.error.as_ref().map(ToString::to_string).unwrap_or_default(), world))
}

/// Without what a program says before its own words, which quotes it likes, and how long something took.
fn words(text: &str) -> String {
    let text = text.replace(['‘', '’'], "'");
    let text = text
        .strip_prefix("/bin/sh: ")
        .map_or(text.clone(), |rest| rest.split_once(": ").map_or(rest, |(_, rest)| rest).to_owned());
    let word = |word: &str| match word.strip_suffix("ms").filter(|digits| digits.parse::<u32>().is_ok()) {
        Some(_) => "SOMEms".to_owned(),
        None => word.to_owned(),
    };
    let words: Vec<&str> = text.split(' ').collect();
    let looks = |at: usize| words.get(at + 1).is_some_and(|next| next.starts_with("looks"));
    words
        .iter()
        .enumerate()
        .map(|(at, text)| if looks(at) { "SOME".to_owned() } else { word(text) })
        .collect::<Vec<_>>()
        .join(" ")
}

/// Without what is of one world only: its directory, the port of a socket, which file an archive was.
fn plain(text: &str, world: &World) -> String {
    let text = text.replace(world.dir.to_str().unwrap(), "D").replace(world.root().to_str().unwrap(), "PROJECT");
    let mark = |line: &str| match line.split_once(".windlass-unpacked file") {
        Some((before, _)) => format!("{before}.windlass-unpacked file"),
        None => line.to_owned(),
    };
    text.lines().map(|line| mark(line) + "\n").collect()
}
