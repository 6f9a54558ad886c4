use super::*;
use crate::op::Registry;
use crate::script::diagnostic::Severity;
use crate::script::resolver::Resolver;
use crate::script::sources::StoredSources;
use crate::script::test_engine::engine;
use crate::script::{Facts, Load, Program};
use crate::stop::Stop;
use serde_json::Value;
use std::sync::Arc;

/// What is found in a script of the primitives that there are.
pub(super) fn findings(text: &str) -> Vec<String> {
    let facts = Facts {
        environment: None,
        params: serde_json::Map::new(),
        limit: None,
        artifacts: Vec::new(),
        known_good: Vec::new(),
        run: String::new(),
        mode: "check",
    };
    let sources = Arc::new(StoredSources::new([("deploy.rhai".to_owned(), text.to_owned())]));
    let load = Load {
        sources,
        script: "deploy.rhai".to_owned(),
        registry: Arc::new(Registry::standard()),
        facts,
        stop: Stop::default(),
    };
    Program::load(load).unwrap().lint().into_iter().map(|finding| finding.message).collect()
}

struct RollingOptions;

impl OptionCheck for RollingOptions {
    fn check(&self, primitive: &str, options: &Value, unknown: &[String]) -> Option<OptionError> {
        let known = ["batch", "retries", "check"];
        for (key, value) in options.as_object()? {
            let list = known.map(str::to_owned).to_vec();
            if !known.contains(&key.as_str()) {
                return Some(OptionError::unknown(primitive, key, list, Position::NONE));
            }
            if key == "retries" && !value.is_i64() && !unknown.contains(key) {
                let message = format!("`retries` must be int, not {value}");
                return Some(OptionError {
                    message,
                    known: Vec::new(),
                    ..OptionError::unknown(primitive, key, list, Position::NONE)
                });
            }
        }
        None
    }

    fn check_positional(&self, _: &str, _: &[Option<serde_json::Value>]) -> Option<(usize, String)> {
        None
    }

    fn takes_options(&self, primitive: &str, argument: usize) -> bool {
        primitive == "rolling" && argument == 1
    }
}

fn lint_graph(texts: &[(&str, &str)]) -> Vec<Diagnostic> {
    let texts = texts.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
    let (engine, resolver) = (engine(), Resolver::new(Arc::new(StoredSources::new(texts)), SourceMap::new()));
    let units = resolver.load_graph(&engine, "deploy.rhai").unwrap();
    let mut symbols = Symbols::of_engine(&engine);
    units.iter().for_each(|unit| symbols.add_tree(&unit.ast));
    let (sources, parallel) = (resolver.sources(), ["parallel", "rolling"]);
    Linter {
        sources,
        symbols: &symbols,
        options: &RollingOptions,
        parallel: &parallel,
        units: &units,
        environment: None,
        files: None,
    }
    .check()
}

fn shown(findings: &[Diagnostic]) -> Vec<String> {
    let line = |finding: &Diagnostic| {
        let site = finding.site.as_ref().map(|site| format!("{}:{}", site.line, site.column)).unwrap_or_default();
        let mark = if finding.severity == Severity::Warning { "W " } else { "" };
        format!("{mark}{site} {}", finding.message)
    };
    findings.iter().map(line).collect()
}

#[track_caller]
fn check(script: &str, expected: &[&str]) -> Vec<Diagnostic> {
    let findings = lint_graph(&[("deploy.rhai", script)]);
    assert_eq!(shown(&findings), expected);
    findings
}

#[test]
fn a_right_script_has_no_findings() {
    check(
        "let web = hosts(\"web\");\nlet n = 0;\nlet opts = #{ cb: |x| x + 1 };\nn += opts.cb(1);\nfn helper(a, b) { if a { return b; } a }\n\
         let results = rolling(web, #{ batch: 2, retries: n }, |h| {\n  let x = 1;\n  x += 1;\n  let list = [];\n  list.push(x);\n  \
         h.remove(\"/a\");\n  helper(h, list)\n});\nlet lb = host(\"lb\");\nparallel(web, |h| { lb.remove(h.name); });\n\
         step \"say\" { log(`${results} ${env::name}`); } undo { log(helper(1, 2)); }\nfor r in results { log(r.name == \"a\" || r == 1); }\n\
         let f = |x| x; log(f.call(1)); log([1].map(|x| x.to_string())); const K = 1; fn k() { global::K } log(k());\n\
         let text = \"a\"; text.trim(); log(text.split(\",\").len()); switch n { 1 => log(1), _ => log(2) }",
        &[],
    );
}

#[test]
fn unknown_names_with_the_nearest() {
    let found = check(
        "let web = host(\"w\");\nweb.rnu(\"ls\");\nlog(gruop(1));\nlet cb = |x| x;\ncb(1);\nlog(`${badfn(1)}`);\nstep \"a\" { oops() }",
        &[
            "2:5 no type has a method `rnu`",
            "3:5 there is no function `gruop`",
            "5:1 `cb` is a variable, not a function",
            "6:8 there is no function `badfn`",
            "7:12 there is no function `oops`",
        ],
    );
    assert_eq!(found[0].help.as_deref(), Some("did you mean `run`?"));
    assert_eq!(found[2].help.as_deref(), Some("if it holds a closure, call it with cb.call(...)"));
}

#[test]
fn wrong_numbers_and_kinds_of_arguments() {
    let found = check(
        "let web = host(\"w\");\nweb.run(\"ls\", 1, 2);\ncheck_http(\"http://x\", \"200\");\nfn helper(a, b) { a + b }\nhelper(1);\nweb.run(5);",
        &[
            "2:5 `run` takes 1 argument, 3 given",
            "3:24 `check_http`: `status` must be int, not string",
            "5:1 `helper` takes 2 arguments, 1 given",
            "6:9 `run`: `command` must be string, not int",
        ],
    );
    assert!(found[0].help.as_deref().unwrap().contains("Host.run(command: string) -> string"));
    assert_eq!(found[2].help.as_deref(), Some("helper(a, b)"));
    assert_eq!(found[1].labels[0].text, "this is string, expected int");
}

#[test]
fn functions_of_modules_are_checked() {
    let texts = [
        (
            "deploy.rhai",
            "import \"m\" as m;\nimport \"m\" as other;\nm::stage(1);\nm::stgae(1, 2);\nm::stage(1, 2);\nm::secret();",
        ),
        ("m.rhai", "fn stage(a, b) { a + b }\nprivate fn secret() { 1 }\nfn bad() { nosuch() }"),
    ];
    let found = lint_graph(&texts);
    let expected = [
        "W 2:8 the import `other` is never used",
        "3:4 `m::stage` takes 2 arguments, 1 given",
        "4:4 `m` has no function `stgae`",
        "6:4 `m` has no function `secret`",
        "3:12 there is no function `nosuch`",
    ];
    assert_eq!(shown(&found), expected);
    assert_eq!(found[1].help.as_deref(), Some("m::stage(a, b)"));
    assert_eq!(found[4].site.as_ref().unwrap().source, "m.rhai");
}

#[test]
fn options_are_checked_by_key_and_kind() {
    let found = check(
        "let n = 1;\nrolling([], #{ batch: 2, retires: n }, |h| h);\nrolling([], #{ retries: \"x\" }, |h| h);\nrolling([], #{ retries: n }, |h| h);",
        &["2:26 `rolling` has no option `retires`", "3:16 `retries` must be int, not \"x\""],
    );
    assert_eq!(found[0].help.as_deref(), Some("did you mean `retries`? options: batch, retries, check"));
    assert_eq!(found[0].labels[0].length, "retires".len());
}

#[test]
fn unused_variables() {
    check(
        "let unused = 5;\nlet _fine = 1;\nlet written = 1;\nwritten = 2;\nlet captured = 3;\nlog(|| captured);\nfn f() { let inner = 1; 2 }\nf();",
        &["W 1:5 `unused` is never used", "W 3:5 `written` is never used", "W 7:14 `inner` is never used"],
    );
}

#[test]
fn unreachable_statements() {
    check(
        "fn f() { return 1; log(2); }\nf();\nif true { throw \"x\"; log(1); }\nparallel([], |h| { for x in [h] { break; log(x); } });",
        &["W 1:20 this is never reached", "W 3:22 this is never reached", "W 4:42 this is never reached"],
    );
}

#[test]
fn writes_to_captures_of_parallel_closures() {
    let found = check(
        "let n = 0;\nlet l = [];\nlet m = #{};\nparallel([], |h| {\n  n += 1;\n  l.push(h);\n  m.x.y = h;\n  step \"a\" { n = 2; }\n  \
         let l2 = l; l2.push(1);\n});\nlog(|| { n += 1; });\nlog([n, l, m]);",
        &[
            "5:3 `n` is changed in a closure that `parallel` runs for several hosts at once",
            "6:3 `l` is changed in a closure that `parallel` runs for several hosts at once",
            "7:3 `m` is changed in a closure that `parallel` runs for several hosts at once",
            "8:14 `n` is changed in a closure that `parallel` runs for several hosts at once",
        ],
    );
    assert!(found.iter().all(|finding| finding.severity == Severity::Error));
}

#[test]
fn imports_in_the_wrong_place() {
    let texts = [
        ("deploy.rhai", "if true {\n  import \"m\" as m;\n  m::f();\n}\nlet p = \"m\";\nimport p as q;\nq::f();"),
        ("m.rhai", "fn f() { 1 }"),
    ];
    let found = lint_graph(&texts);
    assert_eq!(shown(&found), ["2:3 `import` inside a block", "6:8 the path of an import has to be written out"]);
}

#[test]
fn functions_named_by_texts() {
    check(
        "fn f(x) { x }\nlog(Fn(\"f\"));\nlog([1].map(\"f\"));",
        &["2:5 a function cannot be named by a text", "3:13 a function cannot be named by a text"],
    );
}

#[test]
fn comparisons_that_are_always_the_same() {
    check(
        "let h = host(\"a\");\nlog(h.name == 1);\nlog(1 != \"1\");\nlog(h.name == \"a\");\nlog(1 == 1.0);\nlog(h.name == ());",
        &["W 2:12 this compares string with int: always false", "W 3:7 this compares int with string: always true"],
    );
}

#[test]
fn stored_closures_of_loops() {
    check(
        "let l = [];\nlet kept = ();\nfor i in 0..3 {\n  l.push(|| i);\n  l.push(#{ undo: || i });\n  kept = || i;\n  log([1].map(|x| x + i));\n}\nlog([l, kept]);",
        &[
            "W 4:10 the stored closure captures the loop variable `i`: later it sees only the last value",
            "W 5:19 the stored closure captures the loop variable `i`: later it sees only the last value",
            "W 6:10 the stored closure captures the loop variable `i`: later it sees only the last value",
        ],
    );
}
