//! The agreement law: a dry run changes nothing, and from the same start the run takes the steps that it predicted, each with the
//! end that was predicted, for as long as nothing had to be assumed. Held by every case of every primitive.

use crate::case::Case;
use crate::cases::{Checked, Ground, cases};
use crate::many::check_all;
use crate::tree::{differs, tree};
use crate::world::{Layer, Ran, World, bare};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use windlass::interp::{Marks, ReadOnly};
use windlass::journal::Entry;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Known {
    /// By the case's file and name: why a prediction cannot be right about it.
    mispredicted: BTreeMap<String, String>,
    /// Cases whose steps depend on how long each takes.
    by_chance: BTreeMap<String, String>,
}

fn known() -> Known {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/laws/predictions.toml");
    toml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn a_dry_run_changes_nothing_and_the_run_does_what_it_predicted() {
    let known = known();
    let held = |case: &Case| !known.mispredicted.contains_key(&case.title()) && !known.by_chance.contains_key(&case.title());
    let held: Vec<Case> = cases().0.into_iter().filter(held).collect();
    check_all(&held, Case::title, agrees);
}

#[test]
fn what_is_mispredicted_still_is() {
    let all = crate::case::all();
    let cases: Vec<Case> =
        known().mispredicted.keys().map(|title| all.iter().find(|case| case.title() == *title).unwrap().clone()).collect();
    check_all(&cases, Case::title, |case| match agrees(case) {
        Err(_) => Ok(()),
        Ok(()) => Err("it is predicted right; take it out of tests/laws/predictions.toml".to_owned()),
    });
}

#[test]
fn nothing_gets_through_the_layer_that_only_reads() {
    let layer: Layer = Arc::new(|inner| Arc::new(ReadOnly::new(inner)));
    check_all(&cases().0, Case::title, |case| {
        let world = case.world(Ground::Host);
        let before = tree(&world.dir);
        // Most runs fail of it; none may change anything.
        let _ = world.run(&case.script(&world, ""), &layer);
        unchanged(case, &before, &tree(&world.dir))
    });
}

/// Everything that a run could touch.
fn all_of(world: &World) -> String {
    format!("{}{}", tree(&world.dir), tree(&world.home()))
}

fn unchanged(case: &Case, before: &str, after: &str) -> Checked {
    // These commands only look, as far as Windlass can tell, and write all the same.
    let looks = ["probe", "expect_exec", "wait_for", "preflight"];
    if looks.contains(&case.primitive()) {
        return Ok(());
    }
    differs(before, after).map_or(Ok(()), |difference| Err(format!("something was changed:\n{difference}")))
}

fn agrees(case: &Case) -> Checked {
    let world = case.world(Ground::Host);
    let before = all_of(&world);
    let (layer, marks) = world.predicting();
    let script = case.script(&world, "");
    let Ok(dry) = world.run(&script, &layer) else { return Ok(()) };
    unchanged(case, &before, &all_of(&world))?;
    let real = world.run(&script, &bare())?;
    let (predicted, sure) = steps(&dry, Some(&marks));
    let (taken, _) = steps(&real, None);
    for (at, (predicted, taken)) in predicted.iter().zip(&taken).enumerate().take(sure) {
        if predicted != taken {
            return Err(format!(
                "step {} was predicted as\n{predicted}\nand is\n{taken}\n{} | {}",
                at + 1,
                dry.error(),
                real.error()
            ));
        }
    }
    if sure == predicted.len() && predicted.len() != taken.len() {
        return Err(format!(
            "{} steps were predicted, and {} were taken: {} | {}",
            predicted.len(),
            taken.len(),
            dry.error(),
            real.error()
        ));
    }
    Ok(())
}

/// The steps of a run with their ends, and how many of them come before the first that rests on something assumed.
fn steps(ran: &Ran, marks: Option<&Marks>) -> (Vec<String>, usize) {
    let (mut begun, mut steps, mut sure) = (BTreeMap::new(), Vec::new(), None);
    for record in &ran.records {
        match &record.entry {
            Entry::Phase { .. } => break,
            Entry::Started { key, command, .. } if command.op != "gave" => {
                let mut args = command.args.clone();
                // When a closure was called for the first time.
                if let Some(turn) = args.get_mut("condition").and_then(|condition| condition.as_object_mut()) {
                    turn.remove("since");
                }
                let text = format!("{key} {} on {} {:?} {args}", command.op, command.host, command.user);
                begun.insert(key.clone(), text);
            }
            Entry::Succeeded { key, outcome, .. } => {
                let Some(text) = begun.get(key) else { continue };
                if marks.is_some_and(|marks| !marks.of(key).is_empty()) {
                    sure.get_or_insert(steps.len());
                }
                steps.push(format!("{text}: {outcome:?}"));
            }
            Entry::Failed { key, .. } => {
                if marks.is_some_and(|marks| !marks.of(key).is_empty()) {
                    sure.get_or_insert(steps.len());
                }
                steps.extend(begun.get(key).map(|text| format!("{text}: failed")));
            }
            _ => {}
        }
    }
    let all = steps.len();
    (steps, sure.unwrap_or(all))
}
