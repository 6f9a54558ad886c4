//! The pages of the language reference: each primitive has one, and its examples run.

use crate::cases::{can, clean, covered, elsewhere};
use crate::many::check_all;
use crate::page::{Block, examples};
use crate::world::{World, bare};
use std::io::Write as _;
use windlass::journal::RunPhase;
use windlass::op::Registry;

#[test]
fn examples_run() {
    let (run, left): (Vec<Block>, Vec<Block>) = examples().into_iter().partition(|block| can(block.needs()));
    let left: Vec<String> =
        left.iter().map(|block| format!("{} ({})", block.title(), elsewhere(block.needs().unwrap_or_default()))).collect();
    let _ = writeln!(std::io::stderr(), "{} examples; {} not tried here: {}", run.len(), left.len(), left.join(", "));
    check_all(&run, Block::title, |block| {
        let world = World::new();
        let ran = world.run(&format!("{}{}", world.head(), block.text), &bare())?;
        let succeeded = ran.finish.state == RunPhase::Succeeded;
        if succeeded { clean(&world) } else { Err(format!("{:?}: {}\n{}", ran.finish.state, ran.error(), block.text)) }
    });
}

#[test]
fn every_primitive_has_a_page_an_example_and_a_case() {
    let (covered, examples) = (covered(), examples());
    let mut missing = Vec::new();
    for entry in Registry::standard().iter() {
        let mut lines = entry.page.lines();
        let (title, first) = (lines.next().unwrap_or_default(), lines.find(|line| !line.trim().is_empty()).unwrap_or_default());
        let whole = first.chars().next().is_some_and(char::is_uppercase);
        let parts = [
            (title == format!("# {}", entry.name), "the title of its page"),
            (whole, "a first sentence"),
            (entry.page.contains("```rhai,signature\n"), "its signature"),
            (examples.iter().any(|block| block.page == entry.name), "an example"),
            (covered.iter().any(|name| name == entry.name), "a case file"),
        ];
        missing.extend(parts.iter().filter(|(there, _)| !there).map(|(_, what)| format!("{}: {what} is missing", entry.name)));
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}
