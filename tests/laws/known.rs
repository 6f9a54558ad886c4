//! A plan begins with what the ledger knows: it predicts what a dry run of live hosts does, without asking any.

use crate::shop::Shop;
use serde_json::Value;
use std::collections::BTreeMap;

/// What is predicted for each step, by its place and host.
fn predicted(lines: &[Value]) -> BTreeMap<String, String> {
    let steps = lines.iter().filter(|line| line["event"] == "step_predicted");
    let key = |step: &Value| format!("{}#{} {} on {}", step["task"], step["n"], step["op"], step["host"]);
    steps.map(|step| (key(step), step["prediction"].as_str().unwrap().to_owned())).collect()
}

fn events<'a>(lines: &'a [Value], event: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["event"] == event).collect()
}

impl Shop {
    /// A prediction of deploying a version with the files of that version.
    #[track_caller]
    fn predict(&self, word: &str, version: &str, more: &[&str]) -> Vec<Value> {
        self.checkout(version);
        let mut words = self.run_with(version, more);
        word.clone_into(&mut words[0]);
        self.json(0, &words.iter().map(String::as_str).collect::<Vec<_>>())
    }

    fn count(lines: &[Value], host: &str, prediction: &str) -> usize {
        let steps = events(lines, "step_predicted");
        steps.iter().filter(|step| step["host"] == host && step["prediction"] == prediction).count()
    }
}

#[test]
fn a_plan_after_a_deploy_predicts_as_a_dry_run_does() {
    let shop = Shop::new();
    shop.deploy("1.0", 0, &[]);
    for version in ["1.0", "1.1"] {
        let (plan, dry) = (shop.predict("plan", version, &[]), shop.predict("dry-run", version, &[]));
        let sure = |lines: &[Value]| {
            let mut steps = predicted(lines);
            // A command is not run in memory.
            steps.retain(|step, _| !step.contains("expect_exec"));
            steps
        };
        assert_eq!(sure(&plan), sure(&dry), "{version}");
        assert_eq!(Shop::count(&plan, "h1", "would") == 0, version == "1.0", "{plan:?}");
        assert_eq!(events(&plan, "begins_with").len(), 1, "{plan:?}");
    }
    let fresh = shop.predict("plan", "1.0", &["--fresh"]);
    assert!(Shop::count(&fresh, "h1", "would") > 3 && events(&fresh, "begins_with").is_empty(), "{fresh:?}");
}

#[test]
fn each_host_begins_with_what_it_has() {
    let shop = Shop::new();
    shop.deploy("1.0", 0, &[]);
    // It was down when 1.1 came, and keeps 1.0.
    shop.fleet(&["h1", "h2"], "h3");
    shop.deploy("1.1", 0, &[]);
    // New ones have nothing.
    shop.fleet(&["h1", "h2", "h3", "h4"], "");
    let plan = shop.predict("plan", "1.1", &[]);
    let would = ["h1", "h2", "h3", "h4"].map(|host| Shop::count(&plan, host, "would"));
    assert!(would[..2] == [0, 0] && would[2] > 0 && would[3] > would[2], "{would:?} {plan:?}");
    assert_eq!(Shop::count(&shop.predict("plan", "1.0", &[]), "h3", "would"), 0);
    // What was rolled back is what is there.
    shop.fleet(&["h1", "h2"], "");
    shop.back(0, &[]);
    let plan = shop.predict("plan", "1.0", &[]);
    assert_eq!([Shop::count(&plan, "h1", "would"), Shop::count(&plan, "h2", "would")], [0, 0], "{plan:?}");
    assert!(Shop::count(&shop.predict("plan", "1.1", &[]), "h1", "would") > 0);
}

#[test]
fn a_run_is_played_with_its_own_files_and_leaves_nothing() {
    let shop = Shop::new();
    shop.deploy("1.0", 0, &["--set", "greeting=hi"]);
    // The plan is made with other files, parameters and settings than the run had.
    shop.environment("class = \"lab\"", &["h1", "h2", "h3"], "", "blue");
    let kept = |shop: &Shop| {
        shop.world.try_shell("cd ../project; find . -type f ! -path './.windlass/ledger*' -exec sha256sum {} + | sort").1
    };
    shop.checkout("1.0");
    let before = kept(&shop);
    let plan = shop.predict("plan", "1.0", &["--set", "greeting=hi"]);
    let changed: Vec<&Value> = events(&plan, "step_predicted").into_iter().filter(|step| step["prediction"] == "would").collect();
    assert!(changed.len() == 3 && changed.iter().all(|step| step["op"] == "template"), "{changed:?}");
    assert!(changed[0]["diff"].as_str().unwrap().contains("-1.0 hi red\n+1.0 hi blue"), "{changed:?}");
    assert_eq!(before, kept(&shop));
    // Only one run is on record.
    assert_eq!(shop.json(0, &["history"]).len(), 1);
}

#[test]
fn a_run_that_cannot_be_played_is_told_and_left_out() {
    let shop = Shop::new();
    shop.deploy("1.0", 0, &[]);
    // Nobody has what it sent any more.
    shop.world.shell("rm -r ../project/.windlass/artifacts/kept");
    let plan = shop.predict("plan", "1.0", &[]);
    let notes = events(&plan, "begins_note");
    let said = notes[0]["message"].as_str().unwrap();
    assert!(notes.len() == 1 && said.contains("which made web 1.0 live, cannot be played in memory"), "{said}");
    assert!(said.contains("its hosts are taken as they were before it"), "{said}");
    assert!(events(&plan, "begins_with").is_empty() && Shop::count(&plan, "h1", "would") > 3, "{plan:?}");
}

#[test]
fn a_host_that_was_left_in_between_is_told() {
    let shop = Shop::new();
    shop.deploy("1.0", 0, &[]);
    shop.checkout("1.1");
    let words = shop.run_with("1.1", &["--crash-at", "16"]);
    shop.windlass(&words.iter().map(String::as_str).collect::<Vec<_>>());
    let plan = shop.predict("plan", "1.0", &[]);
    let notes = events(&plan, "begins_note");
    assert!(notes.len() == 1 && notes[0]["message"].as_str().unwrap().contains("is not finished"), "{notes:?}");
    assert_eq!(Shop::count(&plan, "h1", "would"), 0, "{plan:?}");
}
