use super::*;
use crate::script::sources::StoredSources;
use crate::script::test_engine::engine;
use rhai::Dynamic;

fn resolver(texts: &[(&str, &str)]) -> Resolver {
    let texts = texts.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
    Resolver::new(Arc::new(StoredSources::new(texts)), SourceMap::new())
}

fn load(texts: &[(&str, &str)]) -> Result<Vec<String>, Box<Diagnostic>> {
    let graph = resolver(texts).load_graph(&engine(), "deploy.rhai")?;
    Ok(graph.into_iter().map(|unit| unit.name).collect())
}

fn run(texts: &[(&str, &str)]) -> Result<Dynamic, Box<Diagnostic>> {
    let (mut engine, resolver) = (engine(), resolver(texts));
    let graph = resolver.load_graph(&engine, "deploy.rhai")?;
    engine.set_module_resolver(resolver.clone());
    engine
        .eval_ast::<Dynamic>(&graph[0].ast)
        .map_err(|error| Box::new(Explainer::new(resolver.sources(), &Symbols::of_engine(&engine)).error(&error)))
}

fn place(diagnostic: &Diagnostic) -> String {
    diagnostic.site.as_ref().map(ToString::to_string).unwrap_or_default()
}

#[test]
fn the_whole_graph_is_loaded_once_and_in_order() {
    let texts = [
        ("deploy.rhai", "import \"lib/a\" as a;\nimport \"std/web\" as web;\na::f() + web::w(1)"),
        ("lib/a.rhai", "import \"../m\" as m;\nimport \"std/web\" as web;\nfn f() { m::g() + web::w(1) }"),
        ("m.rhai", "const K = 3;\nfn g() { global::K }"),
        ("std/web", "fn w(h) { h + 1 }"),
    ];
    assert_eq!(load(&texts).unwrap(), ["deploy.rhai", "lib/a.rhai", "m.rhai", "std/web"]);
    assert_eq!(run(&texts).unwrap().as_int(), Ok(7));
}

#[test]
fn the_ending_may_be_written() {
    let texts = [("deploy.rhai", "import \"lib/a.rhai\" as a; a::f()"), ("lib/a.rhai", "fn f() { 1 }")];
    assert_eq!(run(&texts).unwrap().as_int(), Ok(1));
}

#[test]
fn closures_leave_their_module() {
    let texts = [
        ("deploy.rhai", "import \"m\" as m; let f = m::make(); [f.call(1), [2].map(f)[0]]"),
        ("m.rhai", "import \"u\" as u; fn make() { u::make() }"),
        ("u.rhai", "private fn help(h) { h * 10 } fn make() { |h| help(h) + 1 }"),
    ];
    assert_eq!(run(&texts).unwrap().to_string(), "[11, 21]");
}

#[test]
fn cycles_are_named() {
    let texts = [("deploy.rhai", "import \"a\" as a;"), ("a.rhai", "\nimport \"b\" as b;"), ("b.rhai", "import \"a\" as a;")];
    let error = load(&texts).unwrap_err();
    assert_eq!(error.message, "import cycle: a.rhai -> b.rhai -> a.rhai");
    assert_eq!(place(&error), "b.rhai:1:8");
    assert_eq!(error.chain, ["`b` is imported at a.rhai:2:8", "`a` is imported at deploy.rhai:1:8"]);
    assert!(load(&[("deploy.rhai", "import \"deploy\" as d;")]).unwrap_err().message.contains("deploy.rhai -> deploy.rhai"));
}

#[test]
fn cycles_are_found_while_running_too() {
    let (mut engine, resolver) = (engine(), resolver(&[("a.rhai", "import \"b\" as b;"), ("b.rhai", "import \"a\" as a;")]));
    engine.set_module_resolver(resolver);
    let error = engine.eval::<Dynamic>("import \"a\" as a;").unwrap_err();
    let found = Explainer::new(&SourceMap::new(), &Symbols::default()).error(&error);
    assert_eq!(found.message, "import cycle: a.rhai -> b.rhai -> a.rhai");
}

#[test]
fn a_missing_module_names_the_nearest() {
    let texts = [("deploy.rhai", "import \"lib/utl\" as u;"), ("lib/util.rhai", "")];
    let error = load(&texts).unwrap_err();
    assert_eq!(error.message, "there is no file `lib/utl.rhai`");
    assert_eq!(error.help.as_deref(), Some("did you mean `lib/util`?"));
    assert_eq!(place(&error), "deploy.rhai:1:8");
    let error = load(&[("deploy.rhai", "import \"std/wbe\" as u;"), ("std/web", "")]).unwrap_err();
    assert_eq!(error.help.as_deref(), Some("did you mean `std/web`?"));
    let error = load(&[("deploy.rhai", "import \"std/quux\" as u;"), ("std/web", "")]).unwrap_err();
    assert_eq!(error.help.as_deref(), Some("the standard library has: std/web"));
    let error = load(&[("deploy.rhai", "import \"helpers\" as u;"), ("some/where/deep/helpers.rhai", "")]).unwrap_err();
    assert_eq!(error.help.as_deref(), Some("there is `some/where/deep/helpers.rhai`"));
}

#[test]
fn imports_stay_in_the_project() {
    let error = load(&[("deploy.rhai", "import \"../x\" as x;")]).unwrap_err();
    assert_eq!((error.message.as_str(), place(&error).as_str()), ("`../x` leads out of the project", "deploy.rhai:1:8"));
    let texts = [("deploy.rhai", "import \"std/web\" as x;"), ("std/web", "import \"lib/a\" as a;")];
    assert!(load(&texts).unwrap_err().message.contains("imports only others of it"));
}

#[test]
fn modules_do_nothing_at_their_top_level() {
    let main = ("deploy.rhai", "import \"m\" as m;");
    let at = |text| load(&[main, ("m.rhai", text)]).map_err(|error| place(&error));
    assert_eq!(at("fn f() { 1 }\nlog(1);"), Err("m.rhai:2:1".to_owned()));
    assert_eq!(at("const H = host(\"a\");"), Err("m.rhai:1:11".to_owned()));
    assert_eq!(at("const S = step \"a\" { 1 };"), Err("m.rhai:1:11".to_owned()));
    assert!(at("const A = 1 + 2; export const B = #{ f: |x| x };").is_ok());
}

#[test]
fn mistakes_in_modules_are_found_at_check() {
    let error = load(&[("deploy.rhai", "\nimport \"m\" as m;"), ("m.rhai", "fn f() {\n  let x = ;\n}")]).unwrap_err();
    assert_eq!(place(&error), "m.rhai:2:11");
    assert_eq!(error.chain, ["`m` is imported at deploy.rhai:2:8"]);
}

#[test]
fn a_missing_script_is_an_error_without_a_place() {
    let error = load(&[("other.rhai", "")]).unwrap_err();
    assert_eq!((error.message.as_str(), error.site), ("there is no file `deploy.rhai`", None));
}
