//! A run that is held to a plan: from where the plan was made it does what the plan says, and nothing that the plan does not have is
//! begun, whoever takes the run up.

use crate::ledger::MemoryLedger;
use crate::tree::tree;
use crate::world::{Ran, World, bare, fresh_id};
use std::collections::BTreeMap;
use std::sync::Arc;
use windlass::journal::{Entry, RunPhase};
use windlass::ledger::{Ledger, StoredRun};
use windlass::run::{Basis, Finish, Job, Made, Outset, Plan, Predicted, held_to};
use windlass::stop::Stop;

/// The plan of a script, by way of its document.
pub(crate) fn plan(world: &World, script: &str) -> (Plan, String) {
    let (layer, grounds) = world.foreseeing();
    let dry = world.run(script, &layer).unwrap();
    let stored = world.stored(script).unwrap();
    let (made, answers) = (Made::DryRun, BTreeMap::new());
    let predicted = Predicted { stored: &stored, records: &dry.records, grounds: &grounds, finish: &dry.finish, made, answers };
    let text = serde_json::to_string_pretty(&Plan::new(predicted)).unwrap();
    (serde_json::from_str(&text).unwrap(), text)
}

/// Runs a script that is held to a plan.
fn held(world: &World, (plan, text): &(Plan, String), script: &str) -> (Finish, Arc<MemoryLedger>) {
    let ledger = Arc::new(MemoryLedger::default());
    let stored = StoredRun { held: Some(held_to(plan, text)), ..world.stored(script).unwrap() };
    let outset = Outset { id: fresh_id(), stored, by: "laws@here".to_owned() };
    let finish = world.runner(&ledger, &bare(), Stop::default()).start_seeing(&outset, &plan.reads).unwrap();
    (finish, ledger)
}

fn message(finish: &Finish) -> String {
    finish.error.as_ref().map(|error| error.message.clone()).unwrap_or_default()
}

#[test]
fn a_run_does_what_its_plan_says() {
    let world = World::new();
    let script = format!(
        "{}h.mkdir(D + \"/a\"); h.write(D + \"/a/b\", \"1\"); h.upload(\"files/hello.txt\", D + \"/a/hello\");\n\
         h.template(\"app.conf\", D + \"/app.conf\", #{{ port: 1.5 }}); h.run(\"echo 1\");",
        world.head()
    );
    let plan = plan(&world, &script);
    assert!(plan.0.reads.iter().any(|look| look.what == "source files/hello.txt"), "{:?}", plan.0.reads);
    let (finish, _) = held(&world, &plan, &script);
    assert_eq!((finish.exit, message(&finish)), (0, String::new()));
    assert!(tree(&world.dir).contains("hello"));
}

#[test]
fn a_host_that_is_not_as_it_was_seen_stops_the_run_before_it_begins() {
    let world = World::new();
    world.shell("echo old >settings");
    let script = format!("{}h.write(D + \"/settings\", \"new\"); h.mkdir(D + \"/x\");", world.head());
    let plan = plan(&world, &script);
    world.shell("echo other >settings");
    let before = tree(&world.dir);
    let (finish, ledger) = held(&world, &plan, &script);
    assert_eq!((finish.exit, finish.state), (6, RunPhase::Refused));
    let said = message(&finish);
    let place = format!("local: read {}/settings: expected 4 bytes", world.dir.display());
    assert!(said.starts_with("the plan is stale") && said.contains(&place), "{said}");
    assert_eq!(tree(&world.dir), before);
    assert!(ledger.runs(None, 1).unwrap().is_empty(), "it is not even on record");
}

#[test]
fn a_step_that_is_not_in_the_plan_is_not_begun() {
    let world = World::new();
    // What a command says was not asked by the prediction.
    let script = |rest: &str| {
        let head = world.head();
        format!(
            "{head}let r = h.run(\"echo yes\", #{{ dry: #{{ stdout: \"no\" }} }});\nif r.stdout.contains(\"yes\") {{\n{rest}\n}}"
        )
    };
    let more = script("h.write(D + \"/surprise\", \"1\");");
    let plan_of_more = plan(&world, &more);
    let (finish, ledger) = held(&world, &plan_of_more, &more);
    let said = message(&finish);
    assert!(said.contains("surprise") && said.contains("deploy.rhai:4:") && said.contains("it has no step there"), "{said}");
    // The command had run, and has no undo.
    assert_eq!(finish.exit, 3, "{said}");
    assert!(!world.dir.join("surprise").exists());
    let records = ledger.records(&finish.run).unwrap();
    let begun = records.iter().filter(|record| matches!(&record.entry, Entry::Started { command, .. } if command.op == "write"));
    assert_eq!(begun.count(), 0);
}

#[test]
fn where_nothing_was_changed_the_run_is_refused() {
    let world = World::new();
    let planned = format!("{}h.write(D + \"/a\", \"1\");", world.head());
    let other = format!("{}h.write(D + \"/b\", \"1\");", world.head());
    let plan = plan(&world, &planned);
    let (finish, _) = held(&world, &plan, &other);
    let said = message(&finish);
    assert_eq!((finish.exit, finish.state), (6, RunPhase::Refused), "{said}");
    assert!(
        said.contains("other arguments (")
            && said.contains("\n  expected `write")
            && said.contains("/a`")
            && said.contains("/b`"),
        "{said}"
    );
    assert_eq!(plan.0.basis.differences(&Basis::of(&world.stored(&other).unwrap())).len(), 1);
}

#[test]
fn a_resume_is_held_as_well() {
    let world = World::new();
    let script = format!(
        "{}h.mkdir(D + \"/a\");\nlet r = h.probe(\"cat \" + D + \"/choice\");\nh.write(D + \"/\" + r.stdout, \"1\");\nh.mkdir(D + \"/z\");",
        world.head()
    );
    world.shell("printf one >choice");
    let (document, text) = plan(&world, &script);
    let ledger = Arc::new(MemoryLedger::default());
    let stored = StoredRun { held: Some(held_to(&document, &text)), ..world.stored(&script).unwrap() };
    let outset = Outset { id: fresh_id(), stored, by: "laws@here".to_owned() };
    let stop = Stop::default();
    stop.stop();
    // Asked to stop before its first step.
    let first = world.runner(&ledger, &bare(), stop).start_seeing(&outset, &document.reads).unwrap();
    assert_eq!(first.exit, 7);
    world.shell("printf two >choice");
    let ran: Ran = world.take_up(&ledger, &outset.id, Job::Resume, &bare());
    let said = ran.error();
    assert!(said.contains("other arguments") && said.contains("/two"), "{said}");
    assert_eq!(ran.finish.exit, 3);
    assert!(!world.dir.join("a").exists() && !world.dir.join("two").exists());
}

#[test]
fn undoing_is_not_held() {
    let world = World::new();
    let script = format!(
        "{}on_undo(\"back\", || {{ h.write(D + \"/undone\", \"1\"); }});\nh.write(D + \"/a\", \"1\");\nlet r = h.run(\"echo yes\", #{{ dry: #{{ stdout: \"no\" }} }});\nif r.stdout.contains(\"yes\") {{ h.mkdir(D + \"/b\"); }}",
        world.head()
    );
    let plan = plan(&world, &script);
    let (finish, _) = held(&world, &plan, &script);
    assert!(message(&finish).contains("is not in the plan"), "{}", message(&finish));
    assert!(world.dir.join("undone").exists() && !world.dir.join("a").exists());
}
