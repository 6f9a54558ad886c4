//! A prediction that goes on by what a command would have printed says so at that line, and nowhere else.

use crate::held::plan;
use crate::world::World;
use windlass::run::{Plan, Prediction};

/// The lines with a finding, and the predictions of all steps, by primitive.
fn predicted(script: &str) -> (Vec<u32>, Vec<(String, Prediction)>, Plan) {
    let world = World::new();
    let (plan, _) = plan(&world, &format!("{}{script}", world.head()));
    assert_eq!(plan.error, None, "{script}");
    let steps = plan.steps.iter().map(|step| (step.op.clone(), step.prediction)).collect();
    (plan.findings.iter().map(|finding| finding.site.line).collect(), steps, plan)
}

fn of(ops: &[(&str, Prediction)]) -> Vec<(String, Prediction)> {
    ops.iter().map(|(op, prediction)| ((*op).to_owned(), *prediction)).collect()
}

#[test]
fn a_look_at_what_a_command_would_print_is_found_at_its_line() {
    use Prediction::{Assumed, Unknown, Would};
    let (lines, steps, plan) =
        predicted("h.mkdir(D + \"/a\");\nlet r = h.run(\"make\");\nlet same = r;\nlet n = same.stdout;\nh.mkdir(D + \"/b\");\n");
    assert_eq!(lines, [5]);
    assert_eq!(steps, of(&[("mkdir", Would), ("run", Assumed), ("mkdir", Unknown)]));
    let said = &plan.findings[0];
    assert_eq!(said.message, "from here on this depends on what `make` prints, and it was not run");
    assert!(said.help.contains("`dry:") && said.help.contains("`probe`"));
    assert!(plan.steps[2].why.iter().any(|why| why.ends_with("(deploy.rhai:5:14)")), "{:?}", plan.steps[2].why);
}

#[test]
fn every_way_to_look_is_found() {
    for look in [
        "r.stdout",
        "r.stderr",
        "r.lines",
        "r[\"stdout\"]",
        "r.lines.len()",
        "r.truncated",
        "r.values()",
        "r.to_string()",
        "`${r}`",
        "r.get(\"stdout\")",
        "h.write(D + \"/x\", r.stdout)",
        "h.run(\"made\").stdout.len()",
        "log(r.stdout)",
    ] {
        let (lines, ..) = predicted(&format!("let r = h.run(\"make\");\n\nlet x = {look};\n"));
        assert_eq!(lines, [4], "{look}");
    }
}

#[test]
fn what_is_known_is_no_finding() {
    for known in [
        "let r = h.run(\"make\"); if r.code != 0 { throw \"no\" }",
        "let r = h.run(\"make\", #{ dry: #{ stdout: \"a\" } }); let x = r.stdout;",
        "h.mkdir(D + \"/m\"); let r = h.run(\"make\", #{ creates: D + \"/m\" }); let x = r.stdout;",
        "let r = h.probe(\"echo a\"); if r.stdout != \"a\\n\" { throw \"a probe is run\" }",
        "let r = h.run(\"make\"); let a = [r, #{ r: r }]; if !r.keys().contains(\"stdout\") { throw \"its fields are known\" }",
        "let r = h.run(\"make\"); if type_of(r) != \"map\" { throw type_of(r) }",
    ] {
        let (lines, ..) = predicted(known);
        assert_eq!(lines, Vec::<u32>::new(), "{known}");
    }
}

#[test]
fn an_exit_status_of_several_is_not_known() {
    let (lines, ..) = predicted("let r = h.run(\"make\", #{ ok_codes: [0, 1] });\nif r.code == 1 { log(\"x\"); }\n");
    assert_eq!(lines, [3]);
}

#[test]
fn one_finding_a_line_however_many_hosts_look() {
    let world = World::with_hosts(3);
    let script = "let D = \"/tmp\";\nparallel(hosts(\"*\"), |h| {\nlet r = h.run(\"make\");\nif r.stdout.len() + r.stderr.len() > 0 { log(\"x\"); }\nh.stat(\"/tmp\");\n});\nlog(\"end\");\n";
    let (plan, _) = plan(&world, script);
    assert_eq!(plan.error, None);
    assert_eq!(plan.findings.len(), 1);
    let of = |op: &str| plan.steps.iter().filter(|step| step.op == op).map(|step| step.prediction).collect::<Vec<_>>();
    assert_eq!(of("stat"), [Prediction::Unknown; 3]);
    assert_eq!(of("log"), [Prediction::NoChange]);
}
