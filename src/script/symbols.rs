//! What names there are: functions and methods of the engine with their parameters, properties of types, functions of the
//! script, variables and map keys in its text. The source of every "did you mean", and of what the lints call unknown.

use super::calls::{CallSites, closure_literal, index_calls, is_closure_name};
use rhai::{AST, ASTNode, Engine, Expr, FuncInfo, FuncMetadata, Stmt, is_valid_identifier};
use std::collections::{BTreeMap, BTreeSet};

/// A parameter of a function of the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Param {
    /// Its name; empty where it was registered without.
    pub name: String,
    /// Its type in words of the language, as in `string`; `any` where it takes everything.
    pub kind: String,
}

/// One form of a function of the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Signature {
    /// Its parameters, for a method with the receiver first.
    pub params: Vec<Param>,
    /// What it returns, in words of the language; empty for nothing.
    pub returns: String,
    /// Its documentation, without comment signs.
    pub doc: String,
}

impl Signature {
    /// The form as a person reads it: `Host.run(command: string) -> string` for a method.
    #[must_use]
    pub(super) fn show(&self, name: &str, method: bool) -> String {
        let (receiver, params) = match self.params.split_first() {
            Some((first, rest)) if method => (format!("{}.", first.kind), rest),
            _ => (String::new(), &self.params[..]),
        };
        let params: Vec<String> = params.iter().map(Param::show).collect();
        let arrow = if self.returns.is_empty() { String::new() } else { format!(" -> {}", self.returns) };
        format!("{receiver}{name}({}){arrow}", params.join(", "))
    }
}

impl Param {
    fn show(&self) -> String {
        if self.name.is_empty() { self.kind.clone() } else { format!("{}: {}", self.name, self.kind) }
    }
}

/// What a closure takes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ClosureShape {
    /// Its parameters as they are written.
    pub params: Vec<String>,
    /// How many variables it captures: hidden parameters in front.
    pub captured: usize,
}

/// Every name that a script can mean.
#[derive(Debug, Clone, Default)]
pub(super) struct Symbols {
    /// Functions and methods of the engine.
    pub functions: BTreeMap<String, Vec<Signature>>,
    /// Properties by type: name and what it returns.
    pub properties: BTreeMap<String, BTreeMap<String, String>>,
    /// Functions of the engine's modules, as `env` -> names.
    pub modules: BTreeMap<String, BTreeSet<String>>,
    /// Functions of the script and its modules, with the parameters of each form.
    pub script_functions: BTreeMap<String, BTreeSet<Vec<String>>>,
    /// Closures by the name of their body.
    pub closures: BTreeMap<String, ClosureShape>,
    /// Variables and parameters that occur anywhere.
    pub variables: BTreeSet<String>,
    /// Keys of literal maps that occur anywhere.
    pub keys: BTreeSet<String>,
    /// The calls of the script and its modules.
    pub calls: CallSites,
}

impl Symbols {
    /// The names that an engine has.
    #[must_use]
    pub(super) fn of_engine(engine: &Engine) -> Self {
        let mut symbols = Self::default();
        for (module, name, signature) in engine.collect_fn_metadata(None, |info| Some(registered(&info)), true) {
            symbols.add_function(&module, name, signature);
        }
        symbols
    }

    /// Adds the names of a script or module.
    pub(super) fn add_tree(&mut self, ast: &AST) {
        for function in ast.iter_fn_def() {
            let params: Vec<String> = function.params.iter().map(ToString::to_string).collect();
            self.variables.extend(params.iter().cloned());
            if is_closure_name(&function.name) {
                self.closures.insert(function.name.to_string(), ClosureShape { params, captured: 0 });
            } else {
                self.script_functions.entry(function.name.to_string()).or_default().insert(params);
            }
        }
        index_calls(ast, &mut self.calls);
        ast.walk(&mut |path| {
            path.last().into_iter().for_each(|node| self.add_node(node));
            true
        });
    }

    /// The forms of a function of the engine.
    #[must_use]
    pub(super) fn signatures(&self, name: &str) -> &[Signature] {
        self.functions.get(name).map_or(&[], Vec::as_slice)
    }

    /// Whether a type other than Rhai's own has such a method.
    #[must_use]
    pub(super) fn is_host_method(&self, name: &str) -> bool {
        let receivers = self.signatures(name).iter().filter_map(|signature| signature.params.first());
        receivers.map(|receiver| receiver.kind.as_str()).any(|kind| kind.starts_with(|c: char| c.is_ascii_uppercase()))
    }

    /// Names of all methods of a type, by the type of their first parameter.
    pub(super) fn methods_of<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a str> {
        let takes = move |signature: &Signature| signature.params.first().is_some_and(|first| first.kind == kind);
        self.functions.iter().filter(move |(_, forms)| forms.iter().any(takes)).map(|(name, _)| name.as_str())
    }

    /// Names of all functions, of the engine and of the script.
    pub(super) fn function_names(&self) -> impl Iterator<Item = &str> {
        self.functions.keys().chain(self.script_functions.keys()).map(String::as_str)
    }

    /// All forms of a function of the engine for a help text, one a line.
    #[must_use]
    pub(super) fn forms(&self, name: &str, method: bool) -> String {
        let forms: BTreeSet<String> = self.signatures(name).iter().map(|form| format!("  {}", form.show(name, method))).collect();
        forms.into_iter().take(8).collect::<Vec<_>>().join("\n")
    }

    fn add_function(&mut self, module: &str, name: String, signature: Signature) {
        if let Some(property) = name.strip_prefix("get$") {
            let kind = signature.params.first().map(|first| first.kind.clone()).unwrap_or_default();
            self.properties.entry(kind).or_default().insert(property.to_owned(), signature.returns);
        } else if !module.is_empty() {
            self.modules.entry(module.to_owned()).or_default().insert(name);
        } else if is_valid_identifier(&name) {
            self.functions.entry(name).or_default().push(signature);
        }
    }

    fn add_node(&mut self, node: &ASTNode<'_>) {
        match node {
            ASTNode::Stmt(Stmt::Var(variable, ..)) => {
                self.variables.insert(variable.0.name.to_string());
            }
            ASTNode::Stmt(Stmt::For(parts, ..)) => {
                self.variables.insert(parts.0.name.to_string());
            }
            ASTNode::Expr(Expr::Map(map, _)) => self.keys.extend(map.0.iter().map(|(key, _)| key.name.to_string())),
            ASTNode::Expr(expr) => self.add_captures(expr),
            _ => {}
        }
    }

    /// The place where a closure is written tells which of its parameters are captured variables.
    fn add_captures(&mut self, expr: &Expr) {
        let Some(literal) = closure_literal(expr) else { return };
        let Some(shape) = self.closures.get_mut(&literal.name).filter(|shape| shape.captured == 0) else { return };
        shape.captured = literal.captures.len().min(shape.params.len());
        shape.params.drain(..shape.captured);
    }
}

fn registered(info: &FuncInfo<'_>) -> (String, String, Signature) {
    let metadata = info.metadata;
    let params = (0..metadata.num_params).map(|n| param(metadata, n)).collect();
    let returns = kind_name(&metadata.return_type);
    let returns = if returns == "()" { String::new() } else { returns };
    let doc = metadata.comments.iter().flat_map(|comment| comment.lines()).map(|line| line.trim_start_matches('/').trim());
    let doc = doc.collect::<Vec<_>>().join("\n");
    (info.namespace.to_string(), metadata.name.to_string(), Signature { params, returns, doc })
}

fn param(metadata: &FuncMetadata, n: usize) -> Param {
    let info = metadata.params_info.get(n).map(|info| &**info).unwrap_or_default();
    let (name, kind) = info.split_once(':').unwrap_or(("", info));
    let name = name.trim();
    Param { name: if name == "_" { String::new() } else { name.to_owned() }, kind: kind_name(kind) }
}

/// A Rust or Rhai type in words of the language.
#[must_use]
pub(super) fn kind_name(text: &str) -> String {
    let text = text.trim().trim_start_matches("&mut ").trim_start_matches('&').trim();
    let (outer, inner) = text.split_once('<').unwrap_or((text, ""));
    match outer.trim().rsplit("::").next().unwrap_or(outer) {
        "Range" | "RangeInclusive" | "ExclusiveRange" | "InclusiveRange" | "range" | "range=" => return "range".to_owned(),
        "Option" | "Vec" => return outer.trim().to_owned(),
        // A function that can fail: `Result<T, ..>`, or an alias of it.
        _ if !inner.is_empty() => return kind_name(inner.trim_end_matches('>').split(',').next().unwrap_or(inner)),
        _ => {}
    }
    match text.rsplit("::").next().unwrap_or(text) {
        "str" | "ImmutableString" | "String" | "str | ImmutableString | String" | "string" => "string",
        "i64" | "INT" => "int",
        "f64" | "FLOAT" => "float",
        "Dynamic" | "?" | "_" | "" | "RhaiResult" | "T" => "any",
        "Map" => "map",
        "Array" => "array",
        "FnPtr" | "Fn" => "closure",
        "Blob" => "blob",
        "Instant" => "timestamp",
        other => other,
    }
    .to_owned()
}

/// The candidate that a mistyped name most likely means; none when all are too far away.
pub(super) fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let distance = |candidate: &str| strsim::damerau_levenshtein(name, candidate);
    let near = candidates.into_iter().filter(|candidate| *candidate != name).map(|candidate| (distance(candidate), candidate));
    let longer = |candidate: &str| name.chars().count().max(candidate.chars().count());
    let close = |far: usize, longer: usize| far < longer && far <= longer.div_ceil(3);
    near.filter(|(far, candidate)| close(*far, longer(candidate))).min().map(|(_, near)| near)
}

/// "did you mean `x`?", or nothing.
pub(super) fn did_you_mean<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    nearest(name, candidates).map_or_else(String::new, |near| format!("did you mean `{near}`?"))
}

/// The same, before a sentence about all names that there are.
pub(super) fn near_and(name: &str, names: &[&str], all: &str) -> String {
    format!("{} {all}", did_you_mean(name, names.iter().copied())).trim_start().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::test_engine::engine;

    #[test]
    fn methods_show_their_parameters() {
        let symbols = Symbols::of_engine(&engine());
        assert_eq!(symbols.forms("check_http", false), "  check_http(url: string, status: int) -> bool");
        assert!(symbols.forms("run", true).contains("Host.run(command: string) -> string"), "{}", symbols.forms("run", true));
        assert_eq!(symbols.properties["Host"]["name"], "string");
        assert!(symbols.methods_of("Host").any(|name| name == "upload"));
        assert!(symbols.signatures("check_http")[0].doc.starts_with("Wait until"));
        assert!(symbols.is_host_method("run") && !symbols.is_host_method("push"));
    }

    #[test]
    fn names_of_a_script_are_known() {
        let engine = engine();
        let mut symbols = Symbols::of_engine(&engine);
        symbols
            .add_tree(&engine.compile("let app = 1;\nfn f(a, b) { a }\nfor h in [1] { log(#{ retries: h + app }); }").unwrap());
        assert!(["app", "a", "h"].iter().all(|name| symbols.variables.contains(*name)));
        assert!(symbols.script_functions["f"].contains(&vec!["a".to_owned(), "b".to_owned()]));
        assert!(symbols.keys.contains("retries"));
    }

    #[test]
    fn nearest_finds_typos_and_leaves_strangers() {
        assert_eq!(nearest("rnu", ["run", "read", "write"]), Some("run"));
        assert_eq!(nearest("retires", ["retries", "batch"]), Some("retries"));
        assert_eq!(nearest("frobnicate", ["run", "read"]), None);
        assert_eq!(nearest("b", ["a"]), None);
    }
}
