//! Loads a script and all modules that it imports, and answers Rhai's `import` from them. Everything is read, parsed and looked
//! at before anything runs; while it runs, modules come from here and never from a file of their own accord.

use super::calls::{call_at, is_closure_name};
use super::diagnostic::Diagnostic;
use super::explain::Explainer;
use super::source_map::SourceMap;
use super::sources::{SourceProvider, module_name};
use super::symbols::{Symbols, nearest};
use rhai::{AST, ASTNode, Engine, EvalAltResult, Expr, FnNamespace, Module, ModuleResolver, Position, Scope, Shared, Stmt};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A script or module, parsed.
#[derive(Debug, Clone)]
pub(super) struct Unit {
    /// Its name, as in `deploy.rhai` or `std/release`.
    pub name: String,
    /// Its tree. Positions are those of the source map.
    pub ast: AST,
    /// What it imports at its top, in order.
    pub imports: Vec<Import>,
}

/// One `import "path" as alias;`.
#[derive(Debug, Clone)]
pub(super) struct Import {
    /// The path as it is written.
    pub path: String,
    /// The name of the module that it means.
    pub target: String,
    /// What the script calls it; empty when it has no name.
    pub alias: String,
    /// Where the path stands.
    pub position: Position,
}

/// An import that cannot be followed. Travels through Rhai as the value of an `ErrorRuntime`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(super) struct ImportError {
    /// What is wrong.
    pub message: String,
    /// What to try.
    pub help: String,
}

impl ImportError {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), help: String::new() }
    }

    fn raise(self, position: Position) -> Box<EvalAltResult> {
        EvalAltResult::ErrorRuntime(rhai::Dynamic::from(self), position).into()
    }
}

type Raised<T> = Result<T, Box<EvalAltResult>>;

/// The modules of one run. Clones share what was loaded.
#[derive(Clone)]
pub(super) struct Resolver {
    provider: Arc<dyn SourceProvider>,
    sources: SourceMap,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    units: BTreeMap<String, Unit>,
    modules: BTreeMap<String, Shared<Module>>,
    /// The modules that are being made right now, outermost first.
    open: Vec<String>,
}

impl Resolver {
    /// Loads from a provider; what is read is added to the source map.
    #[must_use]
    pub(super) fn new(provider: Arc<dyn SourceProvider>, sources: SourceMap) -> Self {
        Self { provider, sources, state: Arc::default() }
    }

    #[cfg(test)]
    pub(super) fn sources(&self) -> &SourceMap {
        &self.sources
    }

    /// Loads a script and everything that it imports: the script first, each module once, in the order in which they are met.
    ///
    /// # Errors
    /// When a file is missing, does not parse, imports in a circle, or when a module does something at its top level.
    pub(super) fn load_graph(&self, engine: &Engine, main_name: &str) -> Result<Vec<Unit>, Box<Diagnostic>> {
        let mut graph = Vec::new();
        let main = self.unit(engine, main_name, Position::NONE);
        let loaded = main.and_then(|main| self.load_imports(engine, main, &mut Vec::new(), &mut graph));
        loaded.map(|()| graph).map_err(|error| {
            let symbols = Symbols::of_engine(engine);
            Box::new(Explainer::new(&self.sources, &symbols).error(&error))
        })
    }

    fn load_imports(&self, engine: &Engine, unit: Unit, above: &mut Vec<String>, graph: &mut Vec<Unit>) -> Raised<()> {
        above.push(unit.name.clone());
        let imports = unit.imports.clone();
        graph.push(unit);
        for import in imports {
            refuse_cycle(above, &import.target, import.position)?;
            if graph.iter().any(|known| known.name == import.target) {
                continue;
            }
            let module = self.module_unit(engine, &import.target, import.position);
            let module = module.map_err(|error| in_module(&import.path, error, import.position))?;
            self.load_imports(engine, module, above, graph).map_err(|error| in_module(&import.path, error, import.position))?;
        }
        above.pop();
        Ok(())
    }

    fn module_unit(&self, engine: &Engine, name: &str, position: Position) -> Raised<Unit> {
        let unit = self.unit(engine, name, position)?;
        refuse_effects(&unit.ast)?;
        Ok(unit)
    }

    /// Reads and parses a file once.
    fn unit(&self, engine: &Engine, name: &str, position: Position) -> Raised<Unit> {
        if let Some(known) = self.state().units.get(name) {
            return Ok(known.clone());
        }
        let read = self
            .provider
            .read(name)
            .map_err(|error| ImportError::new(format!("`{name}` cannot be read: {error}")).raise(position))?;
        let text = read.ok_or_else(|| self.missing(name).raise(position))?;
        let file = self.sources.add(name, &text).map_err(|error| ImportError::new(error.to_string()).raise(position))?;
        let mut ast = engine.compile(file.padded()).map_err(|error| Box::new(EvalAltResult::ErrorParsing(*error.0, error.1)))?;
        ast.set_source(name);
        let imports = imports_of(&ast, name)?;
        let unit = Unit { name: name.to_owned(), ast, imports };
        self.state().units.insert(name.to_owned(), unit.clone());
        Ok(unit)
    }

    fn missing(&self, name: &str) -> ImportError {
        let names = self.provider.names();
        let known = || names.iter().map(String::as_str);
        let standard: Vec<&str> = known().filter(|known| known.starts_with("std/")).collect();
        let near = nearest(name, known()).map(|near| format!("did you mean `{}`?", near.trim_end_matches(".rhai")));
        if name.starts_with("std/") {
            let all = format!("the standard library has: {}", standard.join(", "));
            return ImportError { message: format!("there is no module `{name}`"), help: near.unwrap_or(all) };
        }
        let file_name = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
        let elsewhere = known().find(|known| file_name(known) == file_name(name)).map(|found| format!("there is `{found}`"));
        ImportError { message: format!("there is no file `{name}`"), help: near.or(elsewhere).unwrap_or_default() }
    }

    fn make(&self, engine: &Engine, name: &str, position: Position) -> Raised<Shared<Module>> {
        let unit = self.module_unit(engine, name, position)?;
        self.state().open.push(name.to_owned());
        let module = Module::eval_ast_as_new(Scope::new(), &unit.ast, engine);
        self.state().open.pop();
        let mut module = module?;
        open_closures(&mut module, &unit.ast);
        Ok(module.into())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ModuleResolver for Resolver {
    fn resolve(&self, engine: &Engine, source: Option<&str>, path: &str, position: Position) -> Raised<Shared<Module>> {
        let name = module_name(source, path)
            .map_err(|bad| in_module(path, ImportError::new(bad.to_string()).raise(position), position))?;
        if let Some(known) = self.state().modules.get(&name) {
            return Ok(known.clone());
        }
        refuse_cycle(&self.state().open, &name, position)?;
        let module = self.make(engine, &name, position).map_err(|error| in_module(path, error, position))?;
        self.state().modules.insert(name, module.clone());
        Ok(module)
    }
}

fn in_module(path: &str, error: Box<EvalAltResult>, position: Position) -> Box<EvalAltResult> {
    EvalAltResult::ErrorInModule(path.to_owned(), error, position).into()
}

fn refuse_cycle(above: &[String], name: &str, position: Position) -> Raised<()> {
    let Some(start) = above.iter().position(|open| open == name) else { return Ok(()) };
    let circle: Vec<&str> = above.iter().skip(start).map(String::as_str).chain([name]).collect();
    let help = "move what both need to a third module".to_owned();
    Err(ImportError { message: format!("import cycle: {}", circle.join(" -> ")), help }.raise(position))
}

/// The imports with a literal path at the top level; all others are for the lints to refuse.
fn imports_of(ast: &AST, name: &str) -> Raised<Vec<Import>> {
    let mut imports = Vec::new();
    for statement in ast.statements() {
        let Stmt::Import(parts, _) = statement else { continue };
        let (Expr::StringConstant(path, position), alias) = (&parts.0, &parts.1) else { continue };
        let target = module_name(Some(name), path).map_err(|bad| ImportError::new(bad.to_string()).raise(*position))?;
        imports.push(Import { path: path.to_string(), target, alias: alias.name.to_string(), position: *position });
    }
    Ok(imports)
}

/// Modules are loaded before the run begins, so that their top level must not do anything.
fn refuse_effects(ast: &AST) -> Raised<()> {
    for statement in ast.statements() {
        let allowed = matches!(statement, Stmt::Import(..) | Stmt::Export(..) | Stmt::Var(..) | Stmt::Noop(..));
        let position = if allowed { first_call(statement) } else { Some(statement.position()) };
        if let Some(position) = position {
            let help = "put it into a function that the script calls".to_owned();
            return Err(ImportError {
                message: "the top level of a module holds only imports, constants and functions".to_owned(),
                help,
            }
            .raise(position));
        }
    }
    Ok(())
}

/// The first call in a statement that is neither an operator nor the making of a closure.
fn first_call(statement: &Stmt) -> Option<Position> {
    let mut found = None;
    statement.walk(&mut Vec::new(), &mut |path: &[ASTNode<'_>]| {
        let node = path.last();
        let custom =
            node.and_then(|node| if let ASTNode::Expr(Expr::Custom(_, position)) = node { Some(*position) } else { None });
        let call = node.and_then(call_at).filter(|(call, ..)| !call.is_operator_call() && call.name != "curry");
        found = found.or(custom).or(call.map(|(_, position, _)| position));
        found.is_none()
    });
    found
}

/// Lets closures of a module be called by others: Rhai finds them by name only where they are in the global namespace.
fn open_closures(module: &mut Module, ast: &AST) {
    for definition in ast.iter_fn_def().filter(|definition| is_closure_name(&definition.name)) {
        // The key of a script function in a module depends on the function alone.
        let key = Module::new().set_script_fn(definition.clone());
        #[expect(deprecated, reason = "there is no other way to change the namespace of a function of a script")]
        module.update_fn_namespace(key, FnNamespace::Global);
    }
    module.build_index();
}

#[cfg(test)]
#[path = "resolver_tests.rs"]
mod tests;
