//! Texts in the other kind of quotes: what is only replaced in backticks, and what is only an escape in double quotes.

use super::{Findings, View};
use crate::script::calls::call_at;
use rhai::{ASTNode, Expr, Position};
use std::collections::BTreeSet;

/// Primitives that write a text as it is: no shell reads it.
const WRITES: [&str; 4] = ["write", "line", "block", "notify"];

pub(super) fn check(view: &View<'_>, findings: &mut Findings<'_>) {
    let mut seen = BTreeSet::new();
    for body in &view.bodies {
        body.walk(&mut |path| {
            if let Some(ASTNode::Expr(Expr::StringConstant(text, position))) = path.last()
                && seen.insert(*position)
            {
                replaced(view, text, *position, findings);
            }
            let Some((call, _, _)) = path.last().and_then(call_at).filter(|(call, ..)| WRITES.contains(&call.name.as_str()))
            else {
                return;
            };
            for argument in &call.args {
                escaped(view, argument, findings);
            }
        });
    }
}

/// A variable of the script in `"${..}"`.
fn replaced(view: &View<'_>, text: &str, position: Position, findings: &mut Findings<'_>) {
    if !begins_with(view, position, '"') {
        return;
    }
    for piece in text.split("${").skip(1) {
        let end = piece.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(piece.len());
        let (name, rest) = piece.split_at(end);
        if view.linter.symbols.variables.contains(name) && rest.starts_with(['}', '.', '[', '(', ':']) {
            let shown = piece.split('}').next().unwrap_or(name);
            let message = format!("`${{{shown}}}` stays as it is: in double quotes nothing is replaced");
            findings.warning(position, message, "double quotes", "write the text in backticks, as in `${name}`");
            return;
        }
    }
}

/// `\n` in backticks.
fn escaped(view: &View<'_>, argument: &Expr, findings: &mut Findings<'_>) {
    let holds = |expr: &Expr| matches!(expr, Expr::StringConstant(text, _) if text.contains("\\n"));
    let found = match argument {
        Expr::StringConstant(_, position) => holds(argument) && begins_with(view, *position, '`'),
        Expr::InterpolatedString(parts, _) => parts.iter().any(holds),
        _ => false,
    };
    if found {
        let help = "break the line itself, or write the text in double quotes";
        findings.warning(argument.start_position(), "`\\n` stays as it is: in backticks nothing is an escape", "backticks", help);
    }
}

fn begins_with(view: &View<'_>, position: Position, quote: char) -> bool {
    let span = view.linter.sources.span(position);
    span.is_some_and(|(file, offset, _)| file.text.get(offset..).is_some_and(|text| text.starts_with(quote)))
}
