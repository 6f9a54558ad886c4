//! What `rolling` and `parallel` do with hosts that fail: policies, results, exit codes and the states of a run.

use crate::effects::{away, none};
use crate::ledger::MemoryLedger;
use crate::tree::tree;
use crate::world::{Ran, World, bare};
use serde_json::json;
use std::sync::Arc;
use windlass::id::HostName;
use windlass::journal::{Entry, Group, RunPhase};
use windlass::ledger::Ledger as _;
use windlass::run::Job;
use windlass::step::ErrorKind;

/// Runs a script over four hosts; `D` is a directory, and `mark(h)` leaves a file of the host there.
fn run(script: &str) -> (World, Ran) {
    let world = World::with_hosts(4);
    let head = format!("const D = \"{}\";\n", world.dir.display());
    let mark = "fn mark(h) { h.write(`${global::D}/${h.name}`, \"new\\n\"); }\n";
    world.shell("echo old >h2");
    let ran = world.run(&format!("{head}{script}\n{mark}"), &bare()).unwrap();
    (world, ran)
}

fn files(world: &World) -> Vec<String> {
    let lines = tree(&world.dir);
    let file = |line: &str| line.contains(" file ").then(|| line.split(['/', ' ']).nth(1).unwrap_or_default().to_owned());
    let old = |name: &String| std::fs::read_to_string(world.dir.join(name)).unwrap() == "old\n";
    lines.lines().filter_map(file).map(|name| if old(&name) { format!("{name} as it was") } else { name }).collect()
}

fn ended(ran: &Ran) -> (RunPhase, u8) {
    (ran.finish.state, ran.finish.exit)
}

fn fails_on(host: &str) -> String {
    format!("mark(h); if h.name == \"{host}\" {{ fail(\"not here\"); }}")
}

#[test]
fn results_come_in_the_order_of_the_inventory() {
    let (_, ran) = run("gave(rolling(hosts(\"web\"), #{ batch: [1, 2] }, |h| { mark(h); h.name }));");
    assert_eq!(ended(&ran), (RunPhase::Succeeded, 0), "{}", ran.error());
    assert_eq!(ran.gave(), Some(json!(["h1", "h2", "h3", "h4"])));
    let (_, ran) = run("gave(parallel(hosts(\"web\"), |h| { mark(h); h.name }));");
    assert_eq!(ran.gave(), Some(json!(["h1", "h2", "h3", "h4"])));
}

#[test]
fn batches_are_cut_once_and_recorded() {
    let (_, ran) = run("rolling(hosts(\"web\"), #{ batch: [1, \"50%\"] }, |h| mark(h));");
    let batches = ran.records.iter().find_map(|record| match &record.entry {
        Entry::GroupEntered { group: Group::Fork { word, batches }, .. } => Some((word.clone(), batches.clone())),
        _ => None,
    });
    let hosts = |names: &[&str]| names.iter().map(|name| HostName::parse(name).unwrap()).collect::<Vec<_>>();
    assert_eq!(batches, Some(("rolling".to_owned(), vec![hosts(&["h1"]), hosts(&["h2", "h3"]), hosts(&["h4"])])));
}

#[test]
fn a_failure_unwinds_all_hosts() {
    let (world, ran) = run(&format!("rolling(hosts(\"web\"), |h| {{ {} }});", fails_on("h3")));
    assert_eq!(ended(&ran), (RunPhase::Unwound, 3), "{}", ran.error());
    assert_eq!(files(&world), ["h2 as it was"]);
    let (world, ran) = run(&format!("parallel(hosts(\"web\"), |h| {{ {} }});", fails_on("h1")));
    assert_eq!(ended(&ran), (RunPhase::Unwound, 3), "{}", ran.error());
    assert_eq!(files(&world), ["h2 as it was"]);
}

#[test]
fn hosts_behind_a_failure_are_not_begun() {
    let (_, ran) = run(&format!("rolling(hosts(\"web\"), |h| {{ {} }});", fails_on("h2")));
    let begun = |host: &str| ran.state().tasks.keys().any(|task| task.leaf() == host);
    assert_eq!((begun("h1"), begun("h2"), begun("h3"), begun("h4")), (true, true, false, false));
}

#[test]
fn newest_batches_are_unwound_first() {
    let (_, ran) = run("rolling(hosts(\"web\"), |h| mark(h)); fail(\"late\");");
    let undone: Vec<String> = ran
        .records
        .iter()
        .filter_map(|record| match &record.entry {
            Entry::UndoStarted { key, .. } => Some(key.task.leaf().to_owned()),
            _ => None,
        })
        .collect();
    assert_eq!(undone, ["h4", "h3", "h2", "h1"]);
}

#[test]
fn halt_restores_the_failed_host_and_leaves_the_others() {
    let (world, ran) = run(&format!("rolling(hosts(\"web\"), #{{ on_failure: \"halt\" }}, |h| {{ {} }});", fails_on("h3")));
    assert_eq!(ended(&ran), (RunPhase::Halted, 4), "{}", ran.error());
    assert_eq!(files(&world), ["h1", "h2"]);
    let says = "halted: h3 failed and was restored, h1 and h2 keep what they have, h4 was not begun: not here";
    assert!(ran.error().contains(says), "{}", ran.error());
}

#[test]
fn halt_says_when_no_host_is_left() {
    let (world, ran) = run("rolling(hosts(\"web\"), #{ batch: 4, on_failure: \"halt\" }, |h| { mark(h); fail(\"not here\") });");
    assert_eq!(ended(&ran), (RunPhase::Halted, 4), "{}", ran.error());
    assert_eq!(files(&world), ["h2 as it was"]);
    assert!(ran.error().contains("halted: all 4 hosts failed and were restored: not here"), "{}", ran.error());
    let (_, ran) = run("rolling([host(\"h1\")], #{ on_failure: \"halt\" }, |h| { mark(h); fail(\"not here\") });");
    assert!(ran.error().contains("halted: h1 failed and was restored: not here"), "{}", ran.error());
}

/// The hosts of each batch that `rolling` took.
fn taken(ran: &Ran) -> Vec<Vec<String>> {
    let batches = ran.records.iter().find_map(|record| match &record.entry {
        Entry::GroupEntered { group: Group::Fork { word, batches }, .. } if word == "rolling" => Some(batches.clone()),
        _ => None,
    });
    batches.unwrap_or_default().into_iter().map(|batch| batch.iter().map(ToString::to_string).collect()).collect()
}

#[test]
fn sick_hosts_are_taken_first() {
    let script = "rolling(hosts(\"web\"), #{ health: |h| h.name != \"h3\" && h.exists(D + \"/h2\") }, |h| mark(h));";
    let (_, ran) = run(script);
    assert_eq!(ended(&ran), (RunPhase::Succeeded, 0), "{}", ran.error());
    assert_eq!(taken(&ran), [["h3"], ["h1"], ["h2"], ["h4"]]);
    // What a look fails of makes a host sick; what the script itself gets wrong does not.
    let (_, ran) = run("rolling(hosts(\"web\"), #{ health: |h| { h.read(`${D}/${h.name}`); true } }, |h| mark(h));");
    assert_eq!(taken(&ran), [["h1"], ["h3"], ["h4"], ["h2"]], "{}", ran.error());
    let (_, ran) = run("rolling(hosts(\"web\"), #{ health: |h| 1 }, |h| mark(h));");
    assert_eq!(ended(&ran), (RunPhase::Unwound, 1));
    assert!(ran.error().contains("`health` gives true or false, and gave int for h1"), "{}", ran.error());
}

#[test]
fn who_was_sick_is_known_when_the_run_is_resumed() {
    let script =
        "rolling(hosts(\"web\"), #{ min_available: 3, health: |h| h.exists(`${D}/${h.name}`) || h.name > \"h2\" }, |h| mark(h));";
    let (world, ran) = run(script);
    assert_eq!(taken(&ran), [["h1"], ["h2"], ["h3"], ["h4"]], "{}", ran.error());
    let (layer, asked) = none();
    // By now all hosts are healthy: what the journal says counts.
    let records = &ran.records[..ran.records.len() - 1];
    let ledger = Arc::new(MemoryLedger::holding(&ran.id, ran.ledger.stored(&ran.id).unwrap(), records));
    let again = world.take_up(&ledger, &ran.id, Job::Resume, &layer);
    assert_eq!((ended(&again), asked.lock().unwrap().len()), ((RunPhase::Succeeded, 0), 0), "{}", again.error());
}

#[test]
fn an_order_is_kept() {
    let order = |word: &str| taken(&run(&format!("rolling(hosts(\"web\"), #{{ order: \"{word}\" }}, |h| mark(h));")).1).concat();
    assert_eq!(order("inventory"), ["h1", "h2", "h3", "h4"]);
    assert_eq!(order("reverse"), ["h4", "h3", "h2", "h1"]);
    assert_eq!(order("sick_first"), ["h1", "h2", "h3", "h4"]);
    let mut by_chance = order("random");
    by_chance.sort();
    assert_eq!(by_chance, ["h1", "h2", "h3", "h4"]);
    let (_, ran) = run("gave(rolling(hosts(\"web\"), #{ order: \"reverse\" }, |h| h.name));");
    assert_eq!(ran.gave(), Some(json!(["h1", "h2", "h3", "h4"])));
}

#[test]
fn enough_healthy_hosts_stay() {
    let (world, ran) = run("rolling(hosts(\"web\"), #{ batch: 2, min_available: 3 }, |h| mark(h));");
    assert_eq!(ended(&ran), (RunPhase::Unwound, 1), "{}", ran.error());
    assert_eq!(files(&world), ["h2 as it was"]);
    let says = "`batch` and `min_available` cannot both hold: while h1, h2 would be worked on, 2 of 4 hosts serve, and 3 must";
    assert!(ran.error().contains(says), "{}", ran.error());
    let (_, ran) = run("rolling(hosts(\"web\"), #{ batch: 2, min_available: \"50%\" }, |h| mark(h));");
    assert_eq!(ended(&ran), (RunPhase::Succeeded, 0), "{}", ran.error());
    // A host that failed and was passed over is missing from then on.
    let options = "#{ min_available: 3, max_failures: 1 }";
    let (world, ran) = run(&format!("rolling(hosts(\"web\"), {options}, |h| {{ {} }});", fails_on("h2")));
    assert_eq!(ended(&ran), (RunPhase::Unwound, 3), "{}", ran.error());
    assert!(
        ran.error().contains("while h3 would be worked on, 2 of 4 hosts serve, and 3 must; not healthy: h2"),
        "{}",
        ran.error()
    );
    assert_eq!(files(&world), ["h2 as it was"]);
}

#[test]
fn options_of_constructs_are_judged_by_the_check() {
    let world = World::with_hosts(1);
    for (options, says) in [
        ("batch: 0", "`batch`: expected a size from 1"),
        ("min_available: \"half\"", "`half` is no number of hosts"),
        ("order: \"newest\"", "newest"),
        ("batch: []", "`batch` says no size"),
        ("on_failure: \"continue\"", "say how many hosts may fail"),
        ("bake: 5", "bake"),
    ] {
        let script = format!("rolling(hosts(\"web\"), #{{ {options} }}, |h| h.exists(\"/\"));");
        let refused = world.stored(&script).err().unwrap_or_default();
        assert!(refused.contains(says), "{options}: {refused}");
    }
    let computed = "let n = 1; rolling(hosts(\"web\"), #{ on_failure: \"continue\", max_failures: n, health: |h| true }, |h| h.exists(\"/\"));";
    world.stored(computed).unwrap();
}

#[test]
fn halt_leaves_what_came_before_it() {
    let (world, ran) = run(
        "mark(host(\"h1\")); parallel(hosts(\"h[2:3]\"), |h| mark(h)); rolling([host(\"h4\")], #{ on_failure: \"halt\" }, |h| { mark(h); fail(\"no\") });",
    );
    assert_eq!(ended(&ran), (RunPhase::Halted, 4), "{}", ran.error());
    assert_eq!(files(&world), ["h1", "h2", "h3"]);
}

#[test]
fn continue_goes_on_within_max_failures() {
    let options = "#{ on_failure: \"continue\", max_failures: 1 }";
    let (world, ran) = run(&format!(
        "let all = rolling(hosts(\"web\"), {options}, |h| {{ {} h.name }});\ngave([all[0], all[1].message, all[2], all[3]]);",
        fails_on("h2")
    ));
    assert_eq!(ended(&ran), (RunPhase::Succeeded, 0), "{}", ran.error());
    assert_eq!(ran.gave(), Some(json!(["h1", "not here", "h3", "h4"])));
    assert_eq!(files(&world), ["h1", "h2 as it was", "h3", "h4"]);
}

#[test]
fn one_failure_too_many_unwinds_all() {
    let options = "#{ on_failure: \"continue\", max_failures: 1 }";
    let (world, ran) =
        run(&format!("rolling(hosts(\"web\"), {options}, |h| {{ mark(h); if h.name != \"h1\" {{ fail(\"no\"); }} }});"));
    assert_eq!(ended(&ran), (RunPhase::Unwound, 3), "{}", ran.error());
    assert_eq!(files(&world), ["h2 as it was"]);
    let (world, ran) = run(&format!("rolling(hosts(\"web\"), #{{ max_failures: 1 }}, |h| {{ {} }});", fails_on("h1")));
    assert_eq!(ended(&ran), (RunPhase::Succeeded, 0), "{}", ran.error());
    assert_eq!(files(&world), ["h2", "h3", "h4"]);
}

#[test]
fn a_failed_host_that_was_restored_stays_so_when_the_run_is_unwound_later() {
    let options = "#{ on_failure: \"continue\", max_failures: 1 }";
    let (world, ran) = run(&format!("rolling(hosts(\"web\"), {options}, |h| {{ {} }}); fail(\"late\");", fails_on("h2")));
    assert_eq!(ended(&ran), (RunPhase::Unwound, 3), "{}", ran.error());
    assert_eq!(files(&world), ["h2 as it was"]);
}

#[test]
fn what_a_block_captures_cannot_be_changed_by_it() {
    let world = World::with_hosts(2);
    let script = "let n = 0; rolling(hosts(\"web\"), |h| { n += 1; });";
    let refused = world.run(script, &bare()).err().unwrap_or_default();
    assert!(refused.contains("`n`"), "{refused}");
    // Where the check cannot see it, the run does.
    let script = "let list = [1]; rolling(hosts(\"web\"), |h| { add(list); }); gave(list); fn add(l) { l.push(2); }";
    let ran = world.run(script, &bare()).unwrap();
    assert_eq!(ran.gave(), Some(json!([1])), "{}", ran.error());
}

#[test]
fn a_failure_before_any_change_is_no_unwinding() {
    let (_, ran) = run("h1();\nfn h1() { host(\"h1\").exists(\"/\"); fail(\"no\"); }");
    assert_eq!(ended(&ran), (RunPhase::Unwound, 1), "{}", ran.error());
}

#[test]
fn a_failure_that_is_caught_is_none() {
    let (world, ran) = run(
        "try { host(\"h1\").read(D + \"/none\"); } catch (e) { gave([e.message.contains(\"/none is not there\"), e.host]); }\nmark(host(\"h1\"));",
    );
    assert_eq!(ended(&ran), (RunPhase::Succeeded, 0), "{}", ran.error());
    assert_eq!(ran.gave(), Some(json!([true, "h1"])));
    assert_eq!(files(&world), ["h1", "h2 as it was"]);
}

#[test]
fn what_ends_a_run_cannot_be_caught() {
    let (_, ran) =
        run("try { rolling(hosts(\"web\"), #{ on_failure: \"halt\" }, |h| fail(\"no\")); } catch { log(\"went on\"); }");
    assert_eq!(ended(&ran), (RunPhase::Halted, 4), "{}", ran.error());
    assert_eq!(ran.finish.error.as_ref().map(|error| error.kind), Some(ErrorKind::Halted));
}

#[test]
fn nested_forks_unwind_from_the_inside() {
    let script = "parallel([host(\"h1\"), host(\"h2\")], |a| { mark(a); rolling([host(\"h3\"), host(\"h4\")], |b| { b.write(`${global::D}/${a.name}-${b.name}`, \"x\"); }); }); fail(\"late\");";
    let (world, ran) = run(script);
    assert_eq!(ended(&ran), (RunPhase::Unwound, 3), "{}", ran.error());
    assert_eq!(files(&world), ["h2 as it was"]);
}

#[test]
fn a_compensation_that_fails_leaves_the_run_stuck() {
    let (_, ran) = run("host(\"h1\").run(\"true\", #{ undo: \"echo it hurts >&2; exit 5\" }); fail(\"x\");");
    assert_eq!(ended(&ran), (RunPhase::Stuck, 4), "{}", ran.error());
    assert!(ran.error().contains("it hurts"), "{}", ran.error());
}

#[test]
fn undoing_stops_at_the_first_batch_that_does_not_get_well() {
    let body = r#"|h| {
        mark(h);
        h.run("true", #{ undo: if h.name == "h3" { "test -e " + D + "/well" } else { "true" } });
        if h.name == "h4" { fail("not here"); }
    }"#;
    let component = "component(\"app\", #{ hosts: hosts(\"web\"), version: \"1.1\" });";
    let (world, ran) = run(&format!("{component} rolling(hosts(\"web\"), #{{ min_available: 3 }}, {body});"));
    assert_eq!(ended(&ran), (RunPhase::Stuck, 4), "{}", ran.error());
    // h1 and h2 serve what is new: they are not taken down after a host that does not come back.
    assert_eq!(files(&world), ["h1", "h2", "h3"]);
    let left: Vec<_> = ran.finish.left.iter().map(|left| (left.host.as_str(), left.has.join(" "))).collect();
    assert_eq!(left, [("h1", "app 1.1".to_owned()), ("h2", "app 1.1".to_owned())]);
    // Taken up, it begins where it stopped.
    let again = world.take_up(&ran.ledger, &ran.id, Job::Unwind, &bare());
    assert_eq!((ended(&again), files(&world).len()), ((RunPhase::Stuck, 4), 3), "{}", again.error());
    world.shell("touch well");
    let again = world.take_up(&ran.ledger, &ran.id, Job::Unwind, &bare());
    world.shell("rm well");
    assert_eq!(ended(&again), (RunPhase::Unwound, 3), "{}", again.error());
    assert_eq!(files(&world), ["h2 as it was"]);
}

#[test]
fn a_wrong_machine_ends_the_run_whatever_may_fail() {
    let wrong = |host: &str| format!("if h.name == \"{host}\" {{ h.expect_identity(#{{ machine_id: \"another\" }}); }} mark(h);");
    for options in ["max_failures: 2", "max_failures: 2, on_failure: \"continue\"", "on_failure: \"halt\""] {
        let (world, ran) = run(&format!("rolling(hosts(\"web\"), #{{ {options} }}, |h| {{ {} }});", wrong("h1")));
        assert_eq!(ended(&ran), (RunPhase::Refused, 6), "{options}: {}", ran.error());
        assert_eq!(files(&world), ["h2 as it was"]);
        let (world, ran) = run(&format!("rolling(hosts(\"web\"), #{{ {options} }}, |h| {{ {} }});", wrong("h3")));
        assert_eq!(ended(&ran), (RunPhase::Unwound, 6), "{options}: {}", ran.error());
        assert_eq!(files(&world), ["h2 as it was"]);
        assert!(ran.error().contains("h3 is another machine"), "{}", ran.error());
    }
}

#[test]
fn an_undo_of_the_scripts_own_is_owed_where_its_host_is_away() {
    let world = World::with_hosts(2);
    let script = format!(
        "const D = \"{}\";\non_undo(|| host(\"h2\").write(global::D + \"/told\", \"x\"));\nhost(\"h1\").write(D + \"/h1\", \"x\");\nfail(\"late\");",
        world.dir.display()
    );
    let gone = world.home().join("gone");
    std::fs::write(&gone, "").unwrap();
    let ran = world.run(&script, &away("h2", &gone)).unwrap();
    assert_eq!(ended(&ran), (RunPhase::Unwound, 4), "{}", ran.error());
    let debts = ran.finish.debts.iter().chain(&ran.state().debts()).map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!((debts, files(&world)), (vec!["h2".to_owned(), "h2".to_owned()], vec![]));
    std::fs::remove_file(&gone).unwrap();
    let again = world.take_up(&ran.ledger, &ran.id, Job::Unwind, &away("h2", &gone));
    assert_eq!(ended(&again), (RunPhase::Unwound, 3), "{}", again.error());
    assert!(again.state().debts().is_empty());
    assert_eq!(files(&world), ["told"]);
}

#[test]
fn a_host_that_was_away_at_first_is_told_when_the_run_is_over() {
    let world = World::with_hosts(2);
    let gone = world.home().join("gone");
    std::fs::write(&gone, "").unwrap();
    let script = format!(
        "try {{ host(\"h1\").exists(\"/\"); }} catch {{ }}\nhost(\"h2\").run(\"rm -f {}\");\nhost(\"h1\").write(\"{}/h1\", \"x\");",
        gone.display(),
        world.dir.display()
    );
    let ran = world.run(&script, &away("h1", &gone)).unwrap();
    assert_eq!(ended(&ran), (RunPhase::Succeeded, 0), "{}", ran.error());
    let told: Vec<String> = ran.state().logins_within_reach().iter().map(|at| at.host.to_string()).collect();
    assert_eq!(told, ["h1", "h2"]);
}
