use super::*;
use crate::script::resolver::Resolver;
use crate::script::source_map::SourceMap;
use crate::script::sources::StoredSources;
use crate::script::test_engine::engine;
use std::sync::Arc;

/// The result as text, or the innermost error with its place.
fn run(script: &str) -> String {
    run_with(script, &[])
}

fn run_with(script: &str, modules: &[(&str, &str)]) -> String {
    let mut engine = engine();
    let texts = modules.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
    let resolver = Resolver::new(Arc::new(StoredSources::new(texts)), SourceMap::new());
    let file = resolver.sources().add("deploy.rhai", script).unwrap();
    engine.set_module_resolver(resolver.clone());
    let ast = engine.compile(file.padded()).unwrap();
    match engine.eval_ast::<Dynamic>(&ast) {
        Ok(value) => value.to_string(),
        Err(error) => {
            let mut inner = &*error;
            while let EvalAltResult::ErrorInFunctionCall(_, _, next, _) = inner {
                inner = next;
            }
            let site = resolver.sources().site(inner.position());
            format!("{} at {site}", inner.to_string().split(" (line").next().unwrap())
        }
    }
}

/// Runs a closure of `h = 7` that captures `x = 1`, `a = [1]` and `m = #{q: 1}`; gives the variables afterwards and the result.
fn frozen(body: &str) -> String {
    run(&format!("let x = 1; let a = [1]; let m = #{{q: 1}};\nlet r = frozen(|h| {body}, 7);\n[x, a, m, r]"))
}

#[test]
fn reading_captures_is_fine() {
    assert_eq!(frozen("x + h"), "[1, [1], #{\"q\": 1}, 8]");
    assert_eq!(frozen("a.len() + h"), "[1, [1], #{\"q\": 1}, 8]");
    assert_eq!(frozen("m.q + h"), "[1, [1], #{\"q\": 1}, 8]");
    assert_eq!(frozen("{ let y = 0; y += h; y + x }"), "[1, [1], #{\"q\": 1}, 8]");
}

#[test]
fn a_return_ends_the_closure_only() {
    assert_eq!(frozen("{ return x + h; 5 }"), "[1, [1], #{\"q\": 1}, 8]");
    assert_eq!(frozen("{ if true { return 3; } 5 }"), "[1, [1], #{\"q\": 1}, 3]");
}

#[test]
fn a_local_may_shadow_a_capture() {
    assert_eq!(frozen("{ let x = x; x += h; x }"), "[1, [1], #{\"q\": 1}, 8]");
}

#[test]
fn an_argument_may_be_changed() {
    assert_eq!(frozen("{ h += x; h }"), "[1, [1], #{\"q\": 1}, 8]");
}

#[test]
fn writing_a_capture_fails_where_it_is_written() {
    assert_eq!(frozen("{ x += h; x }"), "Cannot modify constant x at deploy.rhai:2:22");
    assert_eq!(frozen("{ x = h; x }"), "Cannot modify constant x at deploy.rhai:2:22");
    assert_eq!(frozen("{ a[0] = h; a }"), "Cannot modify constant a at deploy.rhai:2:22");
    assert_eq!(frozen("{ m.q = h; m }"), "Cannot modify constant m at deploy.rhai:2:22");
    assert_eq!(frozen("{ m.z = h; m }"), "Cannot modify constant m at deploy.rhai:2:22");
    assert_eq!(frozen("{ let m = m; m.z = h; m.z }"), "[1, [1], #{\"q\": 1}, 7]");
}

#[test]
fn a_method_that_changes_a_capture_fails() {
    assert_eq!(frozen("{ a.push(h); a }"), "Non-pure method 'push' cannot be called on constant at deploy.rhai:2:24");
}

#[test]
fn nested_closures_are_frozen_too() {
    assert_eq!(frozen("frozen(|q| q + x + h, 1)"), "[1, [1], #{\"q\": 1}, 9]");
    assert_eq!(frozen("frozen(|q| { x += q; x }, 1)"), "Cannot modify constant x at deploy.rhai:2:33");
    assert_eq!(frozen("{ let g = |q| q + x; g.call(1) + h }"), "[1, [1], #{\"q\": 1}, 9]");
}

#[test]
fn a_plain_nested_closure_cannot_reach_the_outer_variable() {
    let result = frozen("{ let g = |q| { x += q; x }; g.call(1) }");
    assert_eq!(result, "Cannot modify constant x at deploy.rhai:2:36");
}

#[test]
fn curried_closures_and_function_pointers_are_called() {
    assert_eq!(run("let x = 2; let f = |a, b| a * 10 + b + x; frozen(f.curry(4), 1)"), "43");
    assert_eq!(run("fn twice(n) { n * 2 } frozen(twice, 4)"), "8");
    assert_eq!(run("frozen(Fn(\"to_string\"), 4)"), "4");
}

#[test]
fn the_wrong_number_of_arguments_is_an_error() {
    assert!(run("frozen(|a, b| a, 1)").starts_with("Function not found: anon$"));
}

#[test]
fn stored_closures_keep_the_value_of_their_round() {
    let mut engine = engine();
    engine.register_fn("keep", |list: &mut Array, closure: FnPtr| list.push(snapshot_closure(closure).into()));
    let kept = engine.eval::<Array>("let l = []; for i in 0..3 { l.keep(|| i); } l.map(|f| f.call())").unwrap();
    assert_eq!(format!("{kept:?}"), "[0, 1, 2]");
}

#[test]
fn a_snapshot_is_deep() {
    let engine = engine();
    let value = engine.eval::<Dynamic>("let x = 1; let f = || x; let m = #{ list: [f] }; x = 2; m").unwrap();
    let taken = snapshot(value);
    let map = taken.read_lock::<Map>().unwrap();
    let list = map["list"].read_lock::<Array>().unwrap();
    let closure = list[0].read_lock::<FnPtr>().unwrap();
    assert!(!closure.curry()[0].is_shared());
    assert_eq!(closure.curry()[0].as_int(), Ok(2));
}

const UTIL: &str = "import \"std/web\" as web;\nprivate fn secret(h) { h * 100 }\nfn make(k) {\n  |h| secret(h) + web::w(h) + k\n}\n\
                    fn bad(k) {\n  |h| { k += h; k }\n}\nfn each(list) { frozen(|h| secret(h), list) }\nfn run_it(f) { frozen(f, 1) }";
const MODULES: [(&str, &str); 3] = [
    ("lib/util.rhai", UTIL),
    ("std/web", "fn w(h) { h + 1 }"),
    ("m2.rhai", "import \"lib/util\" as u;\nfn make() { u::make(5) }\nfn here() { |h| u::each(h) }"),
];

#[test]
fn closures_of_modules_see_their_module() {
    assert_eq!(run_with("import \"lib/util\" as u; frozen(u::make(3), 2)", &MODULES), "206");
    assert_eq!(run_with("import \"lib/util\" as u; u::each(2)", &MODULES), "200");
    assert_eq!(run_with("import \"m2\" as m; frozen(m::make(), 2)", &MODULES), "208");
    assert_eq!(run_with("import \"m2\" as m; frozen(m::here(), 2)", &MODULES), "200");
}

#[test]
fn closures_of_modules_are_frozen() {
    let result = run_with("import \"lib/util\" as u; frozen(u::bad(3), 2)", &MODULES);
    assert_eq!(result, "Cannot modify constant k at lib/util.rhai:7:9");
}

#[test]
fn closures_of_the_script_run_in_modules() {
    let script = "import \"lib/util\" as u;\nfn mine(h) { h + 40 }\nlet x = 1;\nu::run_it(|h| mine(h) + x)";
    assert_eq!(run_with(script, &MODULES), "42");
}

#[test]
fn recursion_through_frozen_calls_ends() {
    assert!(run("fn again(n) { frozen(|q| again(q), n) }\nagain(1)").contains("Stack overflow"));
}

#[test]
fn errors_keep_their_frames() {
    let engine = engine();
    let error = engine.eval::<Dynamic>("frozen(|h| {\n  throw \"boom\";\n}, 1)").unwrap_err();
    let EvalAltResult::ErrorInFunctionCall(name, _, inner, position) = &*error else { panic!("{error:?}") };
    assert!(name.starts_with("anon$"));
    assert_eq!((inner.position(), *position), (Position::new(2, 3), Position::new(1, 1)));
}

#[test]
fn branches_on_threads_do_not_race() {
    let mut engine = engine();
    engine.register_fn("threads", |ctx: NativeCallContext, count: i64, closure: FnPtr| -> Result<Array, Box<EvalAltResult>> {
        let closure = snapshot_closure(closure);
        std::thread::scope(|scope| {
            let call = |n: i64| call_frozen(&ctx, &closure, vec![n.into()]);
            let branches: Vec<_> = (0..count).map(|n| scope.spawn(move || call(n))).collect();
            branches.into_iter().map(|branch| branch.join().unwrap()).collect()
        })
    });
    let script = "let m = #{ n: 2 }; let lb = host(\"lb\"); threads(16, |h| { let f = |k| k * m.n; lb.run(\"x\"); f.call(h) })";
    let results = engine.eval::<Array>(script).unwrap();
    let expected: Vec<i64> = (0..16).map(|n| n * 2).collect();
    assert_eq!(format!("{results:?}"), format!("{expected:?}"));
}
