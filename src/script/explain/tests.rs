use super::*;
use crate::script::test_engine::engine;

fn symbols(engine: &rhai::Engine, ast: &rhai::AST) -> Symbols {
    let mut symbols = Symbols::of_engine(engine);
    symbols.add_tree(ast);
    symbols
}

fn fail(script: &str) -> Diagnostic {
    let (engine, sources) = (engine(), SourceMap::new());
    let file = sources.add("deploy.rhai", script).unwrap();
    match engine.compile(file.padded()) {
        Ok(ast) => {
            let error = engine.eval_ast::<rhai::Dynamic>(&ast).unwrap_err();
            Explainer::new(&sources, &symbols(&engine, &ast)).error(&error)
        }
        Err(error) => Explainer::new(&sources, &Symbols::of_engine(&engine)).error(&error.into()),
    }
}

/// Message, line:column, and the marked text.
#[track_caller]
fn check(script: &str, message: &str, place: &str, marked: &str, help: &str) {
    let found = fail(script);
    assert_eq!(found.message, message);
    let site = found.site.as_ref().map(|site| format!("{}:{}", site.line, site.column));
    assert_eq!(site.as_deref(), Some(place), "{}", found.to_report_text(100));
    let label = &found.labels[0];
    assert_eq!(&script[label.offset..label.offset + label.length], marked);
    let shown = found.help.clone().unwrap_or_default();
    assert!(if help.is_empty() { shown.is_empty() } else { shown.contains(help) }, "help: {shown}");
    assert!(!found.to_report_text(100).contains("anon$"));
}

#[test]
fn unknown_names() {
    let help = "did you mean `run`?\n  Host.run(command: string) -> string";
    check("let web = host(\"w\");\nweb.rnu(\"ls\");", "Host has no method `rnu`", "2:5", "rnu", help);
    check("let x = hots(\"w\");", "there is no function `hots`", "1:9", "hots", "did you mean `host`?");
    check("let web = host(\"w\");\nlog(web.nmae);", "Host has no property `nmae`", "2:9", "nmae", "did you mean `name`?");
    check("let web = host(\"w\"); log(web.run);", "Host has no property `run`", "1:30", "run", "write .run(...)");
    check("let web = host(\"w\"); web.name();", "Host has no method `name`", "1:26", "name", "write .name");
    check("let web = host(\"w\"); web.name = 1;", "`name` of Host can only be read", "1:26", "name", "");
}

#[test]
fn unknown_variables() {
    check("let version = 1;\nlog(verison);", "there is no variable `verison`", "2:5", "verison", "did you mean `version`?");
    let help = "a `fn` does not see variables outside of it";
    check("let version = 1;\nfn f() {\n  log(version)\n}\nf();", "there is no variable `version`", "3:7", "version", help);
    check("log(host);", "there is no variable `host`", "1:5", "host", "write host(...)");
    check("log(evn::name);", "there is no module `evn` here", "1:5", "evn", "did you mean `env`?");
}

#[test]
fn wrong_arguments() {
    let forms = "check_http(url: string, status: int) -> bool";
    check("check_http(\"http://x\", \"200\");", "`check_http`: `status` must be int, not string", "1:24", "\"200\"", forms);
    check("check_http(\"http://x\");", "`check_http` takes 2 arguments, 1 given", "1:1", "check_http", forms);
    check("let w = host(\"w\"); w.run(1);", "`run`: `command` must be string, not int", "1:26", "1", "Host.run(command: string)");
    check("let w = host(\"w\"); w.run(\"a\", 1);", "`run` takes 1 argument, 2 given", "1:22", "run", "Host.run(command: string)");
    check("fn f(a, b) { a }\nf(1);", "`f` takes 2 arguments, 1 given", "2:1", "f", "f(a, b)");
}

#[test]
fn closures_that_are_called_wrongly() {
    check("let f = |x| x;\nf(1);", "`f` is a variable, not a function", "2:1", "f", "f.call(...)");
    check("let y = 1; let f = |x| x + y;\nf.call(1, 2);", "the closure takes 1 argument, 2 given", "2:3", "call", "|x|");
}

#[test]
fn nothing_and_operators() {
    check("let x = ();\nx.run(\"ls\");", "`run` is called on nothing", "2:3", "run", "a function that returns nothing");
    check("let x = ();\nlog(x.name);", "`name` is asked of nothing", "2:7", "name", "a function that returns nothing");
    check("let x = 1 - \"a\";", "`-` does not apply to int and string", "1:11", "-", "parse_int");
    check("if 1 + 1 { }", "bool is needed here, not int", "1:6", "+", "");
}

#[test]
fn keys_and_bounds() {
    let help = "did you mean `port`?\nfor a key that may be missing, write map.get(\"prot\") ?? default";
    check("let m = #{ port: 1 };\nlog(m.prot);", "the map has no key `prot`", "2:7", "prot", help);
    check("let a = [1, 2];\nlog(a[5]);", "there is no item 5: the list has 2 items", "2:7", "5", "");
    check("let n = 5;\nfor x in n { }", "`for` needs a list, a range or a text", "2:10", "n", "map.keys()");
}

#[test]
fn things_that_cannot_be_changed() {
    check("const A = 1;\nA = 2;", "`A` is a constant", "2:1", "A", "let A");
    let help = "return a value from the closure";
    check("let n = 0;\nparallel([1], |h| {\n  n += 1;\n});", "`n` cannot be changed here", "3:3", "n", help);
    check(
        "let l = [];\nparallel([1], |h| l.push(h));",
        "`push` would change a value that cannot be changed here",
        "2:21",
        "push",
        help,
    );
}

#[test]
fn limits() {
    let help = "waiting belongs to a primitive";
    let found = fail("let n = 0;\nloop {\n  n += 1;\n}");
    assert_eq!(found.message, "too many operations: a loop that does not end?");
    assert!((2..=3).contains(&found.site.unwrap().line));
    assert!(found.help.unwrap().contains(help));
    assert!(fail("fn f(n) { f(n + 1) }\nf(1);").message.starts_with("too many calls within each other"));
}

#[test]
fn reserved_words_and_syntax() {
    check("var x = 1;", "`var` is a word kept for the language", "1:1", "var", "`let`");
    check("let x = 1\nlet y = 2;", "expected ';' to terminate this statement", "2:1", "let", "a `;` is missing");
    check("let x = \"abc;", "the text is not closed", "1:9", "\"abc;", "ends in its line");
    check("if true {\n  log(1);\n", "expected '}' to terminate this block", "3:1", ";", "more `{` than `}`");
    check("log(eval(\"1\"));", "`eval` is a word kept for the language", "1:5", "eval", "cannot run text");
}

#[test]
fn thrown_values() {
    check("throw \"no space\";", "no space", "1:1", "throw", "");
    check("throw #{ message: \"no space\", code: 3 };", "no space", "1:1", "throw", "code: 3");
    check("try { throw \"a\" } catch (e) { throw e }", "a", "1:31", "throw", "");
}

#[test]
fn failed_steps_show_the_host_and_its_words() {
    let help = "look at the log\nw1 said:\n  line one\n  line two";
    check("let w = host(\"w1\");\nw.run(\"fail\");", "`fail` exited with status 1 on w1", "2:3", "run", help);
    // The site of the error is better than the position that Rhai moved.
    check("fn f() {\n  stop()\n}\nf();", "a person asked the run to stop", "2:3", "stop", "");
}

#[test]
fn options_point_at_their_key() {
    let script = "rolling([],\n  #{ batch: 2, retires: 3 },\n  |h| h);";
    let help = "did you mean `retries`? options: batch, retries, check";
    check(script, "`rolling` has no option `retires`", "2:16", "retires", help);
    // A map that is not written in the call: the call itself.
    check("let o = #{ retires: 3 };\nrolling([], o, |h| h);", "`rolling` has no option `retires`", "2:1", "rolling", help);
}

#[test]
fn nested_options_point_at_the_longest_part_that_is_written() {
    let engine = engine();
    let ast = engine.compile("rolling([], #{ check: #{ sttus: 200 } }, |h| h);").unwrap();
    let symbols = symbols(&engine, &ast);
    let at = |path: &str| OptionError::unknown("rolling", path, Vec::new(), Position::new(1, 1)).key_position(&symbols);
    assert_eq!(at("check.sttus"), Some(Position::new(1, 26)));
    assert_eq!(at("check.within"), Some(Position::new(1, 16)));
    assert_eq!(at("other"), None);
}

#[test]
fn the_way_to_an_error_is_told() {
    let found = fail("fn restart(h) {\n  h.run(\"fail\")\n}\nparallel([host(\"w1\")], |h| {\n  restart(h);\n});");
    assert_eq!(found.site.as_ref().unwrap().line, 2);
    let all: Vec<&str> =
        found.labels.iter().map(|label| label.text.as_str()).chain(found.chain.iter().map(String::as_str)).collect();
    assert_eq!(all, ["failed here", "in `restart`, called here", "in the closure that `parallel` runs at deploy.rhai:4:1"]);
}

#[test]
fn steps_are_part_of_the_way() {
    let found = fail("step \"migrate\" {\n  throw \"no\";\n}");
    assert_eq!((found.message.as_str(), found.site.unwrap().line), ("no", 2));
}

#[test]
fn assignments_without_let() {
    check("version = 5;", "there is no variable `version`", "1:1", "version", "to declare it, write let version = ...");
    let help = "did you mean `version`? to declare a new one, write let verison = ...";
    check("let version = 1;\nverison = 2;", "there is no variable `verison`", "2:1", "verison", help);
}

#[test]
fn data_races_are_explained() {
    let (engine, sources) = (engine(), SourceMap::new());
    sources.add("deploy.rhai", "lb.run(1);").unwrap();
    let error = EvalAltResult::ErrorDataRace("lb".to_owned(), Position::new(1, 1));
    let found = Explainer::new(&sources, &Symbols::of_engine(&engine)).error(&error);
    assert_eq!(found.message, "`lb` is in use by another closure right now");
    assert!(found.help.unwrap().contains("give each closure its own value"));
}

#[test]
fn a_full_report_reads_well() {
    let text = fail("let web = host(\"w\");\nweb.rnu(\"ls\");").to_report_text(80);
    let expected = [
        "  × Host has no method `rnu`",
        "   ╭─[deploy.rhai:2:5]",
        " 1 │ let web = host(\"w\");",
        " 2 │ web.rnu(\"ls\");",
        "   ·     ─┬─",
        "   ·      ╰── unknown method",
        "   ╰────",
        "  help: did you mean `run`?",
        "          Host.run(command: string) -> string",
        "",
    ];
    assert_eq!(text, expected.join("\n"));
}
