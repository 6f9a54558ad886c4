//! What a journal says was made live: on which hosts, and whether health held.

use crate::world::{Ran, World, bare};
use windlass::ledger::{Standing, released};

/// What runs of this script make: `host standing` and why, for each host of the component `web`.
#[track_caller]
fn made(script: &str, state: u8) -> Vec<String> {
    let world = World::with_hosts(3);
    let dir = world.dir.display();
    let script = script.replace("${D}", &dir.to_string());
    let ran: Ran = world.run(&format!("let web = hosts(\"web\");\n{script}"), &bare()).unwrap();
    assert_eq!(ran.finish.exit, state, "{}", ran.error());
    let line = |made: &windlass::ledger::Made| {
        let word = match made.standing {
            Standing::KnownGood => "good",
            other => other.word(),
        };
        assert_eq!(made.why.is_empty(), made.standing == Standing::KnownGood, "{made:?}");
        format!("{} {word}", made.host)
    };
    released(&ran.records).iter().map(line).collect()
}

const DECLARED: &str = "component(\"web\", #{ hosts: web, version: \"1\" });\n";

#[track_caller]
fn is(body: &str, state: u8, wanted: &[&str]) {
    assert_eq!(made(&format!("{DECLARED}{body}"), state), wanted, "{body}");
}

#[test]
fn health_must_hold_after_the_last_change() {
    let check = "h.expect_exec(\"true\");";
    let change = "h.write(`${D}/${h.name}`, \"1\");";
    let all = |body: &str| format!("for h in web {{ {body} }}");
    is(&all(&format!("{change} {check}")), 0, &["h1 good", "h2 good", "h3 good"]);
    is(&all(check), 0, &["h1 good", "h2 good", "h3 good"]);
    is(&all(&format!("{check} {change}")), 0, &["h1 live", "h2 live", "h3 live"]);
    is(&all(change), 0, &["h1 live", "h2 live", "h3 live"]);
    is(
        &all("try { h.expect_exec(\"false\", #{ within: \"0s\" }); } catch { } h.expect_exec(\"true\");"),
        0,
        &["h1 live", "h2 live", "h3 live"],
    );
    // What a bracket opens it closes behind the check that stands in it.
    let within = |body: &str| {
        format!("rolling(web, #{{ batch: 1 }}, |h| {{ maintenance(h, #{{ path: `${{D}}/m${{h.name}}` }}, || {{ {body} }}); }});")
    };
    is(&within(&format!("{change} {check}")), 0, &["h1 good", "h2 good", "h3 good"]);
    is(&within(change), 0, &["h1 live", "h2 live", "h3 live"]);
    // The check of one host says nothing of another; and where nothing was done, nothing is known.
    is("web[0].expect_exec(\"true\"); web[1].exists(\"/\");", 0, &["h1 good", "h2 live", "h3 missed"]);
    // What only looks is no change, nor is a check of who the host is one of health.
    is(&all(&format!("{change} {check} h.exists(\"/\"); log(\"x\");")), 0, &["h1 good", "h2 good", "h3 good"]);
}

#[test]
fn a_host_whose_part_failed_keeps_what_it_had() {
    let one = |options: &str, body: &str| {
        format!(
            "rolling(web, #{{ batch: 1, {options} }}, |h| {{ h.write(`${{D}}/${{h.name}}`, \"1\"); {body} h.expect_exec(\"true\"); }});"
        )
    };
    let second = "if h.name == \"h2\" { fail(\"x\"); }";
    is(&one("max_failures: 1", second), 0, &["h1 good", "h2 missed", "h3 good"]);
    is(&one("on_failure: \"unwind\"", second), 3, &[]);
    is(&one("on_failure: \"halt\"", second), 4, &["h1 live", "h2 missed", "h3 missed"]);
    // It threw, which is no step; and what was done before, elsewhere, is not taken for the part that failed.
    let threw = "if h.name == \"h2\" { throw \"x\"; }";
    is(
        &format!("parallel(web, |h| {{ h.mkdir(`${{D}}/x${{h.name}}`); }});\n{}", one("max_failures: 1", threw)),
        0,
        &["h1 good", "h2 missed", "h3 good"],
    );
    // Behind a point of no return nothing is put back.
    is(&format!("point_of_no_return(\"x\");\n{}", one("", second)), 4, &["h1 live", "h2 unsure", "h3 missed"]);
}

#[test]
fn what_failed_and_was_caught_makes_nothing() {
    let roll = "rolling(web, #{ batch: 1 }, |h| { h.write(`${D}/${h.name}`, \"1\"); h.expect_exec(\"true\"); if h.name == \"h2\" { fail(\"x\"); } });";
    is(&format!("attempt(|| {{ {roll} }});"), 0, &["h1 missed", "h2 missed", "h3 missed"]);
    is(&format!("try {{ {roll} }} catch {{ }}"), 0, &["h1 good", "h2 unsure", "h3 missed"]);
    // Declared within what failed, it was not declared.
    let inside = format!("attempt(|| {{ {DECLARED} {} }});", roll.replace("web,", "hosts(\"web\"),"))
        .replace("hosts: web", "hosts: hosts(\"web\")");
    assert_eq!(made(&inside, 0), Vec::<String>::new());
    let twice = "component(\"web\", #{ hosts: [web[0]], version: \"2\" });\nfor h in web { h.expect_exec(\"true\"); }";
    is(twice, 0, &["h1 good", "h2 good", "h3 good"]);
}

#[test]
fn a_run_that_was_undone_makes_nothing() {
    is("for h in web { h.expect_exec(\"true\"); } fail(\"x\");", 1, &[]);
    is("for h in web { h.write(`${D}/${h.name}`, \"1\"); h.expect_exec(\"true\"); } fail(\"x\");", 3, &[]);
    assert_eq!(made("for h in web { h.expect_exec(\"true\"); }", 0), Vec::<String>::new());
}

#[test]
fn what_was_changed_after_the_last_check_is_named() {
    let world = World::with_hosts(1);
    let script = format!(
        "component(\"web\", #{{ hosts: hosts(\"web\"), version: \"1\" }});\nlet h = host(\"h1\");\nh.expect_exec(\"true\");\nh.write(\"{}/late\", \"x\");",
        world.dir.display()
    );
    let ran = world.run(&script, &bare()).unwrap();
    let made = released(&ran.records);
    let why = format!("changed after its last check: `write {}/late` at deploy.rhai:4:3", world.dir.display());
    assert_eq!((made[0].standing, made[0].why.as_str()), (Standing::Live, why.as_str()));
}
