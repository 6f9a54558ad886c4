//! What literals name in the environment and in the project: hosts, roles, files to send, templates and their variables.

use super::{Findings, View};
use crate::fleet::selector;
use crate::op::template_mistakes;
use crate::script::calls::{Body, call_at, closure_literal};
use crate::script::symbols::nearest;
use rhai::{ASTFlags, ASTNode, Expr, FnCallExpr, Position, Stmt};
use std::collections::{BTreeMap, BTreeSet};

/// What there is at a path of the project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProjectPath {
    /// A file, or a directory.
    There,
    /// Nothing; with what is beside it.
    Missing(Vec<String>),
    /// It is not inside the project.
    Outside,
}

/// The files of a project, as literals of its scripts name them.
pub trait ProjectFiles {
    /// What is at a path that is relative to the project.
    fn look(&self, path: &str) -> ProjectPath;

    /// The text of a file; nothing where it is none.
    fn text(&self, path: &str) -> Option<String>;
}

/// Primitives whose first argument is a file of the project.
const SENDS: [&str; 1] = ["upload"];
/// Functions that work on a list of hosts.
const LISTS: [&str; 2] = ["rolling", "parallel"];

pub(super) fn check(view: &View<'_>, findings: &mut Findings<'_>) {
    let sure = sure_bodies(view);
    // A file that a run brings home is not there before it.
    let brings = view.linter.symbols.calls.values().any(|call| call.name == "fetch");
    for body in &view.bodies {
        let bound = bound_once(body);
        let looks = Looks { view, bound: &bound };
        let end = sure.contains(&body.name).then(|| early_end(body));
        body.walk(&mut |path| {
            let Some(node) = path.last() else { return };
            looks.receiver(node, findings);
            let Some((call, position, method)) = call_at(node).filter(|(call, ..)| !call.is_qualified()) else { return };
            // What another branch does in another environment is not judged by this one.
            let sure = end.is_some_and(|end| end.is_none_or(|end| position < end)) && !path.iter().any(branches);
            if method {
                looks.files(call, sure && !brings, findings);
            } else {
                if sure {
                    looks.hosts(call, findings);
                    looks.floor(call, position, findings);
                }
                looks.list(call, findings);
            }
        });
    }
}

/// Constructs that bear it when their closure fails, or that may never call it.
const MAY_FAIL: [&str; 3] = ["attempt", "on_undo", "invariant"];

/// Whether what stands in a node may not be done, or may fail.
fn branches(node: &ASTNode<'_>) -> bool {
    matches!(
        node,
        ASTNode::Stmt(Stmt::If(..) | Stmt::Switch(..) | Stmt::TryCatch(..) | Stmt::While(..) | Stmt::Do(..) | Stmt::For(..))
    ) || matches!(node, ASTNode::Expr(Expr::And(..) | Expr::Or(..) | Expr::Coalesce(..)))
        || call_at(node).is_some_and(|(call, ..)| MAY_FAIL.contains(&call.name.as_str()))
}

/// Where a body may end before its last statement.
fn early_end(body: &Body) -> Option<Position> {
    let mut end: Option<Position> = None;
    body.walk(&mut |path| {
        let place = match path.last() {
            Some(ASTNode::Stmt(Stmt::Return(_, _, position) | Stmt::BreakLoop(_, _, position))) => Some(*position),
            Some(node) => call_at(node).filter(|(call, ..)| call.name == "fail").map(|(_, position, _)| position),
            None => None,
        };
        if let Some(place) = place {
            end = Some(end.map_or(place, |end| end.min(place)));
        }
    });
    end
}

/// The bodies that are surely run: of the script itself, and of closures that it writes out where it surely comes.
fn sure_bodies(view: &View<'_>) -> BTreeSet<Option<String>> {
    let mut sure = BTreeSet::new();
    // A module runs when it is called.
    let mut next =
        if view.linter.units.first().is_some_and(|first| first.name == view.unit.name) { vec![None] } else { Vec::new() };
    while let Some(name) = next.pop() {
        let Some(body) = view.bodies.iter().find(|body| body.name == name) else { continue };
        if !sure.insert(name) {
            continue;
        }
        let end = early_end(body);
        body.walk(&mut |path| {
            let Some(ASTNode::Expr(expr)) = path.last() else { return };
            let placed = end.is_none_or(|end| expr.start_position() < end) && !path.iter().any(branches);
            if let Some(closure) = closure_literal(expr).filter(|_| placed) {
                next.push(Some(closure.name));
            }
        });
    }
    sure
}

/// The variables of a body that are declared once, and never written again.
fn bound_once(body: &Body) -> BTreeMap<String, Expr> {
    let mut bound: BTreeMap<String, Option<Expr>> = BTreeMap::new();
    body.walk(&mut |path| match path.last() {
        Some(ASTNode::Stmt(Stmt::Var(variable, flags, _))) if !flags.intersects(ASTFlags::EXPORTED) => {
            let again = bound.contains_key(variable.0.name.as_str());
            bound.insert(variable.0.name.to_string(), (!again).then(|| variable.1.clone()));
        }
        Some(ASTNode::Stmt(Stmt::Assignment(assignment))) => {
            if let Expr::Variable(variable, ..) = &assignment.1.lhs {
                bound.insert(variable.1.to_string(), None);
            }
        }
        Some(ASTNode::Stmt(Stmt::For(parts, _))) => drop(bound.insert(parts.0.name.to_string(), None)),
        _ => {}
    });
    bound.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

/// What an expression gives.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Gives {
    Host,
    Hosts,
}

struct Looks<'a> {
    view: &'a View<'a>,
    bound: &'a BTreeMap<String, Expr>,
}

impl Looks<'_> {
    fn resolved<'e>(&'e self, expr: &'e Expr) -> &'e Expr {
        match expr {
            Expr::Variable(variable, ..) if variable.2.is_empty() => self.bound.get(variable.1.as_str()).unwrap_or(expr),
            _ => expr,
        }
    }

    fn gives(&self, expr: &Expr) -> Option<Gives> {
        match self.resolved(expr) {
            Expr::FnCall(call, _) if !call.is_qualified() => match (call.name.as_str(), call.args.len()) {
                ("hosts", 1) => Some(Gives::Hosts),
                ("host", 1) => Some(Gives::Host),
                _ => None,
            },
            Expr::Index(parts, flags, _) if !flags.intersects(ASTFlags::NEGATED) => {
                let one = matches!(parts.rhs, Expr::IntegerConstant(..)) && self.gives(&parts.lhs) == Some(Gives::Hosts);
                one.then_some(Gives::Host)
            }
            _ => None,
        }
    }

    /// The method of a host that is called on a list of them.
    fn receiver(&self, node: &ASTNode<'_>, findings: &mut Findings<'_>) {
        let ASTNode::Expr(Expr::Dot(parts, ..)) = node else { return };
        let Expr::MethodCall(call, position) = &parts.rhs else { return };
        let symbols = self.view.linter.symbols;
        let of_lists = |first: &str| matches!(first, "array" | "any");
        let takes_list =
            symbols.signatures(&call.name).iter().any(|form| form.params.first().is_some_and(|first| of_lists(&first.kind)));
        let own = symbols.script_functions.contains_key(call.name.as_str()) || symbols.keys.contains(call.name.as_str());
        if self.gives(&parts.lhs) != Some(Gives::Hosts) || takes_list || own || !symbols.is_host_method(&call.name) {
            return;
        }
        let message = format!("`{}` is of one host, and `hosts(..)` gives a list", call.name);
        let help = "take one of them, as in hosts(\"web\")[0], or all: rolling(hosts(\"web\"), |h| { .. })";
        findings.error(*position, message, "called on a list", help);
    }

    /// A single host where a list is wanted.
    fn list(&self, call: &FnCallExpr, findings: &mut Findings<'_>) {
        let Some(first) = call.args.first().filter(|_| LISTS.contains(&call.name.as_str())) else { return };
        if self.gives(first) == Some(Gives::Host) {
            let message = format!("`{}` takes a list of hosts, and this is one host", call.name);
            findings.error(first.start_position(), message, "one host", "write it as a list: [h]");
        }
    }

    /// `hosts("selector")` and `host("name")`.
    fn hosts(&self, call: &FnCallExpr, findings: &mut Findings<'_>) {
        let Some(environment) = self.view.linter.environment else { return };
        let [Expr::StringConstant(text, position)] = call.args.as_slice() else { return };
        match call.name.as_str() {
            "hosts" => {
                if let Err(error) = selector::select(&environment.hosts, text) {
                    let help = error.help().unwrap_or_default();
                    findings.error(*position, format!("{error} (environment {})", environment.name), "chooses no host", help);
                }
            }
            "host" if environment.hosts.get(text).is_none() => {
                let known: Vec<&str> = environment.hosts.hosts().iter().map(|host| host.name.as_str()).collect();
                let message = format!("there is no host `{text}` in the environment {}", environment.name);
                findings.error(*position, message, "no such host", near_or_some(text, &known));
            }
            _ => {}
        }
    }

    /// More hosts that must serve than there are.
    fn floor(&self, call: &FnCallExpr, position: Position, findings: &mut Findings<'_>) {
        let Some(environment) = self.view.linter.environment else { return };
        let [hosts, Expr::Map(options, _), ..] = call.args.as_slice() else { return };
        let Expr::FnCall(chosen, _) = self.resolved(hosts) else { return };
        let [Expr::StringConstant(text, _)] = chosen.args.as_slice() else { return };
        if call.name != "rolling" || chosen.name != "hosts" {
            return;
        }
        let Ok(hosts) = selector::select(&environment.hosts, text) else { return };
        let floor = options.0.iter().find(|(key, _)| key.name == "min_available");
        if let Some((key, Expr::IntegerConstant(floor, _))) = floor
            && usize::try_from(*floor).is_ok_and(|floor| floor > hosts.len())
        {
            let message = format!("`min_available` asks for {floor} healthy hosts, and \"{text}\" has {}", hosts.len());
            let place = if key.pos.is_none() { position } else { key.pos };
            findings.error(place, message, "more than there are", format!("in the environment {}", environment.name));
        }
    }

    /// Files to send, and templates.
    fn files(&self, call: &FnCallExpr, sure: bool, findings: &mut Findings<'_>) {
        let Some(files) = self.view.linter.files else { return };
        let symbols = self.view.linter.symbols;
        let name = call.name.as_str();
        if symbols.script_functions.contains_key(name) || symbols.keys.contains(name) {
            return;
        }
        let Some(Expr::StringConstant(path, position)) = call.args.first() else { return };
        if SENDS.contains(&name) && call.args.len() >= 2 && sure {
            missing(files.look(path), path, *position, "file", findings);
        }
        if name == "template" && call.args.len() >= 3 {
            let full = format!("templates/{path}");
            if sure && missing(files.look(&full), &full, *position, "template", findings) {
                return;
            }
            let Some(text) = files.text(&full) else { return };
            let vars = call.args.get(2).map(|vars| self.resolved(vars));
            let passed = vars.and_then(|vars| match vars {
                Expr::Map(map, _) => Some(map.0.iter().map(|(key, _)| key.name.to_string()).collect::<Vec<_>>()),
                _ => None,
            });
            for mistake in template_mistakes(path, &text, passed.as_deref()) {
                let message = format!("templates/{path}:{}: {}", mistake.line, mistake.message);
                findings.error(*position, message, "this template", mistake.help);
            }
        }
    }
}

/// Says that nothing is there; gives whether it did.
fn missing(found: ProjectPath, path: &str, position: Position, what: &str, findings: &mut Findings<'_>) -> bool {
    match found {
        ProjectPath::There => false,
        ProjectPath::Outside => {
            let message = format!("`{path}` is not a path inside the project");
            findings.error(
                position,
                message,
                "outside of the project",
                "copy it into the project; only what is in there is sent",
            );
            true
        }
        ProjectPath::Missing(beside) => {
            let above = path.rsplit_once('/').map_or(String::new(), |(above, _)| format!("{above}/"));
            let beside: Vec<String> = beside.iter().map(|name| format!("{above}{name}")).collect();
            let known: Vec<&str> = beside.iter().map(String::as_str).collect();
            findings.error(
                position,
                format!("there is no {what} {path} in the project"),
                "not there",
                near_or_some(path, &known),
            );
            true
        }
    }
}

/// The name that was meant, or some of those that there are.
fn near_or_some(name: &str, known: &[&str]) -> String {
    match nearest(name, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => String::new(),
        None => {
            let some: BTreeSet<&str> = known.iter().copied().take(8).collect();
            let more = if known.len() > some.len() { ", …" } else { "" };
            format!("there are: {}{more}", some.into_iter().collect::<Vec<_>>().join(", "))
        }
    }
}
