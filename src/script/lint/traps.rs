//! What looks right and is not, once something goes wrong: an undo that does its command once more, a closure that does not see what
//! comes later, a `once` for each host.

use super::{Findings, View};
use crate::script::calls::{Body, call_at, closure_literal, root_variable};
use rhai::{ASTNode, Expr, FnCallExpr, Position, Stmt};
use std::collections::BTreeSet;

/// Constructs that run a closure for several hosts.
const FORKS: [&str; 3] = ["rolling", "canary", "parallel"];
/// Methods of a host that put something at their first argument.
const PUTS: [&str; 6] = ["write", "template", "mkdir", "symlink", "copy", "upload"];
/// Methods of lists and maps that add to them.
const ADDING: [&str; 4] = ["push", "insert", "append", "set"];

pub(super) fn check(view: &View<'_>, findings: &mut Findings<'_>) {
    for body in &view.bodies {
        body.walk(&mut |path| {
            let Some((call, position, method)) = path.last().and_then(call_at) else { return };
            match (call.name.as_str(), method) {
                ("run", true) => undone_by_itself(call, findings),
                ("once", false) => once_for_each(call, findings),
                ("on_undo", false) => grows_later(body, call, position, findings),
                (fork, false) if FORKS.contains(&fork) => floor_over_others(call, findings),
                _ => {}
            }
        });
        sequences(body, findings);
    }
}

fn text(expr: &Expr) -> Option<&str> {
    if let Expr::StringConstant(text, _) = expr { Some(text) } else { None }
}

fn option<'a>(call: &'a FnCallExpr, name: &str) -> Option<&'a Expr> {
    let maps = call.args.iter().filter_map(|arg| if let Expr::Map(map, _) = arg { Some(&map.0) } else { None });
    maps.flatten().find(|(key, _)| key.name.as_str() == name).map(|(_, value)| value)
}

/// The undo of a command is the command.
fn undone_by_itself(call: &FnCallExpr, findings: &mut Findings<'_>) {
    let (Some(command), Some(undo)) = (call.args.first(), option(call, "undo")) else { return };
    let same = match (text(command), text(undo), command, undo) {
        (Some(one), Some(other), ..) => one.trim() == other.trim(),
        (None, None, Expr::Array(one, _), Expr::Array(other, _)) => {
            let words: Vec<Option<&str>> = one.iter().map(text).collect();
            !words.contains(&None) && words == other.iter().map(text).collect::<Vec<_>>()
        }
        _ => false,
    };
    if same {
        let help = "say how it is taken back; for a command that is to be repeated once the files are back, `again: \"safe\"`";
        findings.warning(undo.start_position(), "this undo is the command itself", "does the same once more", help);
    }
}

/// A host's name in the name of a `once` makes it once for each host.
fn once_for_each(call: &FnCallExpr, findings: &mut Findings<'_>) {
    let Some(Expr::InterpolatedString(parts, _)) = call.args.first() else { return };
    let named = parts.iter().find(|part| is_name_of(part));
    if let Some(part) = named {
        let help = "give it a name that is the same for every host; what each host needs once is just a step of its own";
        findings.warning(
            part.start_position(),
            "`once` with the name of a host in its name is done for each host",
            "another name on each",
            help,
        );
    }
}

/// `x.name`, also as the one statement of a block in a text.
fn is_name_of(expr: &Expr) -> bool {
    match expr {
        Expr::Dot(parts, ..) => matches!(&parts.rhs, Expr::Property(property, _) if property.2.as_str() == "name"),
        Expr::Stmt(block) => match block.statements() {
            [Stmt::Expr(inner)] => is_name_of(inner),
            _ => false,
        },
        _ => false,
    }
}

/// An undo sees its variables as they are when it is given.
fn grows_later(body: &Body, call: &FnCallExpr, position: Position, findings: &mut Findings<'_>) {
    let Some(closure) = call.args.last().and_then(closure_literal) else { return };
    let mut told = BTreeSet::new();
    body.walk(&mut |path| {
        let Some((name, at)) = path.last().and_then(adds_to) else { return };
        if at > position && closure.captures.iter().any(|captured| captured == name) && told.insert(name.to_owned()) {
            let message =
                format!("`{name}` grows after the `on_undo` that uses it: the undo sees it as it was when it was given");
            let help = format!("give the `on_undo` of each thing where it is added, or behind the last change of `{name}`");
            findings.warning(at, message, "not seen by the undo", help);
        }
    });
}

/// The variable that a node adds to, or gives another value.
fn adds_to<'a>(node: &ASTNode<'a>) -> Option<(&'a str, Position)> {
    match *node {
        ASTNode::Stmt(Stmt::Assignment(assignment)) => {
            let target = &assignment.1.lhs;
            root_variable(target).map(|name| (name, target.start_position()))
        }
        ASTNode::Expr(Expr::Dot(parts, ..)) => match &parts.rhs {
            Expr::MethodCall(call, _) if ADDING.contains(&call.name.as_str()) => {
                root_variable(&parts.lhs).map(|name| (name, parts.lhs.start_position()))
            }
            _ => None,
        },
        _ => None,
    }
}

/// `min_available` counts other hosts than those that are worked on.
fn floor_over_others(call: &FnCallExpr, findings: &mut Findings<'_>) {
    let (Some(hosts), Some(floor)) = (call.args.first().and_then(chosen), option(call, "min_available")) else { return };
    let Some((other, position)) = selector_in(floor).filter(|(other, _)| *other != hosts) else { return };
    let message = format!("`min_available` counts hosts(\"{other}\"), and it is hosts(\"{hosts}\") that are worked on");
    findings.warning(position, message, "other hosts", format!("count hosts(\"{hosts}\"), or write a number or a percentage"));
}

fn chosen(expr: &Expr) -> Option<&str> {
    let Expr::FnCall(call, _) = expr else { return None };
    (call.name == "hosts" && call.args.len() == 1).then(|| call.args.first().and_then(text)).flatten()
}

fn selector_in(expr: &Expr) -> Option<(&str, Position)> {
    match expr {
        Expr::FnCall(call, position) => match chosen(expr) {
            Some(selector) => Some((selector, *position)),
            None => call.args.iter().find_map(selector_in),
        },
        Expr::Dot(parts, ..) => selector_in(&parts.lhs),
        _ => None,
    }
}

/// What one body does with paths that are written out, in its order.
struct Deed<'a> {
    at: Position,
    what: &'a str,
    paths: Vec<String>,
}

/// Whether a node is come to whenever its body is, and once.
fn surely(path: &[ASTNode<'_>]) -> bool {
    !path.iter().any(|node| {
        matches!(
            node,
            ASTNode::Stmt(Stmt::If(..) | Stmt::Switch(..) | Stmt::While(..) | Stmt::Do(..) | Stmt::For(..) | Stmt::TryCatch(..))
                | ASTNode::Expr(Expr::And(..) | Expr::Or(..) | Expr::Coalesce(..))
        )
    })
}

/// Deeds whose order only holds as long as nothing fails in between.
fn sequences(body: &Body, findings: &mut Findings<'_>) {
    let mut deeds: Vec<Deed<'_>> = Vec::new();
    body.walk(&mut |path| {
        let Some((call, at, method)) = path.last().and_then(call_at).filter(|_| surely(path)) else { return };
        let what = match call.name.as_str() {
            "point_of_no_return" if !method => "return",
            "move" if method => "move",
            "remove" if method => "remove",
            name if method && PUTS.contains(&name) => "put",
            _ => return,
        };
        let mut paths: Vec<String> = call.args.iter().filter_map(text).map(ToOwned::to_owned).collect();
        match call.name.as_str() {
            "write" | "template" | "mkdir" => paths.truncate(1),
            "symlink" | "copy" | "upload" => drop(paths.drain(..paths.len().saturating_sub(1))),
            _ => {}
        }
        deeds.push(Deed { at, what, paths });
    });
    deeds.sort_by_key(|deed| deed.at);
    for (n, deed) in deeds.iter().enumerate() {
        let earlier = deeds.get(..n).unwrap_or_default();
        if deed.what == "move" && deed.paths.len() == 2 {
            let back = |other: &&Deed<'_>| other.what == "move" && other.paths.iter().eq(deed.paths.iter().rev());
            if earlier.iter().any(|other| back(&other)) {
                let help = "what is only to be away for a while belongs in a bracket(.., #{ enter, leave }, ..): it is closed whatever happens in between";
                findings.warning(
                    deed.at,
                    "this move takes back an earlier one of this block",
                    "comes late when a step in between fails",
                    help,
                );
            }
        }
        if deed.what == "remove" && !deed.paths.is_empty() {
            let put = earlier.iter().position(|other| other.what == "put" && other.paths == deed.paths);
            let between = put.and_then(|put| earlier.get(put..)).unwrap_or_default();
            if between.iter().any(|other| other.what == "return") {
                let help = "behind a point of no return a failure leaves everything as it is: use a bracket(.., #{ enter, leave }, ..), or declare the point behind this";
                let message = format!("{} was put before the point of no return, and is removed only here", deed.paths[0]);
                findings.warning(deed.at, message, "stays when something fails in between", help);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::script::lint::tests::findings;

    fn told(text: &str) -> Vec<String> {
        findings(&format!("let h = host(\"a\"); log(h.name);\n{text}"))
    }

    #[test]
    fn an_undo_that_is_its_command() {
        let message = ["this undo is the command itself"];
        assert_eq!(told("h.run(\"systemctl mask x\", #{ undo: \"systemctl mask x\" });"), message);
        assert_eq!(told("h.run([\"a\", \"b\"], #{ undo: [\"a\", \"b\"] });"), message);
        assert!(told("h.run(\"a on\", #{ undo: \"a off\" }); h.run([\"a\", h.name], #{ undo: [\"a\", h.name] });").is_empty());
    }

    #[test]
    fn a_once_for_each_host() {
        let message = ["`once` with the name of a host in its name is done for each host"];
        assert_eq!(told("rolling(hosts(\"all\"), #{}, |h| once(`migrate-${h.name}`, || h.mkdir(\"/x\")));"), message);
        assert!(told("let v = \"1\"; once(`migrate-${v}`, || h.mkdir(\"/x\"));").is_empty());
    }

    #[test]
    fn a_list_that_grows_behind_its_undo() {
        let said = told("let made = []; on_undo(|| for m in made { log(m); }); made.push(\"x\"); made += \"y\";");
        assert_eq!(said, ["`made` grows after the `on_undo` that uses it: the undo sees it as it was when it was given"]);
        assert!(told("let made = []; made.push(\"x\"); on_undo(|| for m in made { log(m); });").is_empty());
    }

    #[test]
    fn a_floor_over_other_hosts() {
        let said = told("rolling(hosts(\"web\"), #{ min_available: hosts(\"db\").len() - 1 }, |h| h.mkdir(\"/x\"));");
        assert_eq!(said, ["`min_available` counts hosts(\"db\"), and it is hosts(\"web\") that are worked on"]);
        assert!(told("rolling(hosts(\"web\"), #{ min_available: hosts(\"web\").len() - 1 }, |h| h.mkdir(\"/x\"));").is_empty());
    }

    #[test]
    fn orders_that_hold_only_when_nothing_fails() {
        let said = told("h.move(\"/a\", \"/b\"); h.mkdir(\"/c\"); h.move(\"/b\", \"/a\");");
        assert_eq!(said, ["this move takes back an earlier one of this block"]);
        assert!(told("if h.exists(\"/a\") { h.move(\"/a\", \"/b\"); } else { h.move(\"/b\", \"/a\"); }").is_empty());
        let said = told("h.write(\"/m\", \"\"); point_of_no_return(\"drop\"); h.mkdir(\"/c\"); h.remove(\"/m\");");
        assert_eq!(said, ["/m was put before the point of no return, and is removed only here"]);
        assert!(told("point_of_no_return(\"drop\"); h.write(\"/m\", \"\"); h.remove(\"/m\");").is_empty());
    }
}
