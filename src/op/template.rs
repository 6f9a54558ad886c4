//! `h.template(name, path, vars)`: a file rendered from `templates/`.

use super::{Mode, Operation, StepContext, Subject, context::unexpected, write::put};
use crate::effect::{Attributes, Content, Effect, Reply};
use crate::id::RemotePath;
use crate::step::StepError;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value};
use serde::{Deserialize, Serialize};
use serde_json::Map;
use std::fmt::Write as _;

/// Renders a template of the project (minijinja; an undefined variable is an error) and writes it as `write` does.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Template {
    name: String,
    path: RemotePath,
    vars: Map<String, serde_json::Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mode: Option<Mode>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    group: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    validate: Option<String>,
}

impl Operation for Template {
    const NAME: &'static str = "template";
    const SUBJECT: Subject = Subject::Host;
    const POSITIONAL: &'static [&'static str] = &["name", "path", "vars"];
    const PAGE: &'static str = include_str!("../../stdlib/doc/template.md");
    type Output = bool;

    fn run(&self, cx: &mut StepContext<'_>) -> Result<bool, StepError> {
        let text = match cx.look(&Effect::Template { name: self.name.clone() })? {
            Reply::Content(content) => content.text().unwrap_or_default().to_owned(),
            other => return Err(unexpected(&other)),
        };
        let content = Content::new(self.render(&text)?);
        let attributes = Attributes { mode: self.mode.map(Mode::bits), owner: self.owner.clone(), group: self.group.clone() };
        put(cx, &self.path, &content, attributes, self.validate.clone())
    }

    fn summary(&self) -> String {
        format!("{} -> {}", self.name, self.path)
    }
}

impl Template {
    fn render(&self, text: &str) -> Result<String, StepError> {
        let environment = language().map_err(|error| self.explain(&error))?;
        let vars = Value::from(Serde(&self.vars));
        environment.render_named_str(&self.name, text, vars).map_err(|error| self.explain(&error))
    }

    fn explain(&self, error: &minijinja::Error) -> StepError {
        let mut message = format!("template {}", self.name);
        if let Some(line) = error.line() {
            // Writing to a String cannot fail.
            let _ = write!(message, ":{line}");
        }
        let detail = error.detail().map_or_else(|| error.kind().to_string(), ToOwned::to_owned);
        let known: Vec<&str> = self.vars.keys().map(String::as_str).collect();
        let help = match error.kind() {
            minijinja::ErrorKind::UndefinedError => format!("the script passes: {}", known.join(", ")),
            _ => "the language of templates is minijinja's (Jinja2)".to_owned(),
        };
        StepError::bad_input(format!("{message}: {detail}")).with_help(help)
    }
}

/// The language of templates.
fn language() -> Result<Environment<'static>, minijinja::Error> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    // A template is of no format that is known here, whatever its name ends in.
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_syntax(SyntaxConfig::builder().keep_trailing_newline(true).build()?);
    Ok(environment)
}

/// What is wrong with a template, found without rendering it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateMistake {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong there.
    pub message: String,
    /// What to try.
    pub help: String,
}

/// What is wrong with a template: that it cannot be parsed, else the variables that it names and that are not among those `passed`,
/// where these are known.
///
/// # Examples
/// ```
/// let passed = ["port".to_owned()];
/// let found = windlass::op::template_mistakes("app.conf", "port = {{ prot }}\n", Some(&passed));
/// assert_eq!((found[0].line, found[0].help.as_str()), (1, "did you mean `port`?"));
/// ```
#[must_use]
pub fn template_mistakes(name: &str, text: &str, passed: Option<&[String]>) -> Vec<TemplateMistake> {
    let broken = |error: &minijinja::Error| {
        let message = error.detail().map_or_else(|| error.kind().to_string(), ToOwned::to_owned);
        let help = "the language of templates is minijinja's (Jinja2)".to_owned();
        vec![TemplateMistake { line: error.line().unwrap_or(1), message, help }]
    };
    let environment = match language() {
        Ok(environment) => environment,
        Err(error) => return broken(&error),
    };
    let template = match environment.template_from_named_str(name, text) {
        Ok(template) => template,
        Err(error) => return broken(&error),
    };
    let Some(passed) = passed else { return Vec::new() };
    let globals: Vec<&str> = environment.globals().map(|(name, _)| name).collect();
    let mut named: Vec<String> = template.undeclared_variables(false).into_iter().collect();
    named.retain(|name| !passed.contains(name) && !globals.contains(&name.as_str()) && !is_asked_for(text, name));
    let mut mistakes: Vec<TemplateMistake> = named.iter().map(|name| not_passed(text, name, passed)).collect();
    mistakes.sort_by_key(|mistake| mistake.line);
    mistakes
}

fn not_passed(text: &str, name: &str, passed: &[String]) -> TemplateMistake {
    let line = 1 + occurrences(text, name).next().map_or(0, |(at, _)| text.get(..at).unwrap_or_default().matches('\n').count());
    let near = passed.iter().map(|known| (strsim::damerau_levenshtein(known, name), known)).min();
    let help = match near {
        Some((far, near)) if far <= 1 + name.len() / 3 => format!("did you mean `{near}`?"),
        _ if passed.is_empty() => "the script passes nothing".to_owned(),
        _ => format!("the script passes: {}", passed.join(", ")),
    };
    TemplateMistake { line, message: format!("names `{name}`, which the script does not pass"), help }
}

/// Whether a template bears that this variable is not there.
fn is_asked_for(text: &str, name: &str) -> bool {
    occurrences(text, name).any(|(_, rest)| {
        let rest: String = rest.split_whitespace().take(4).collect::<Vec<_>>().join(" ");
        let rest = rest.trim_start();
        ["|default", "| default", "|d(", "| d(", "is defined", "is undefined", "is not defined", "is not undefined"]
            .iter()
            .any(|word| rest.starts_with(word))
    })
}

/// Where a name stands as a word, with what comes behind it.
fn occurrences<'a>(text: &'a str, name: &'a str) -> impl Iterator<Item = (usize, &'a str)> {
    let part_of_word = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(name).filter_map(move |(at, _)| {
        let (before, rest) = (text.get(..at)?, text.get(at + name.len()..)?);
        let whole = !before.ends_with(part_of_word) && !before.ends_with('.') && !rest.starts_with(part_of_word);
        whole.then_some((at, rest))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(vars: &serde_json::Value) -> Template {
        serde_json::from_value(serde_json::json!({"name": "app.conf", "path": "/etc/app.conf", "vars": vars})).unwrap()
    }

    #[test]
    fn renders_and_keeps_the_last_newline() {
        let template = template(&serde_json::json!({"port": 8080}));
        assert_eq!(template.render("port = {{ port }}\n").unwrap(), "port = 8080\n");
    }

    #[test]
    fn an_undefined_variable_names_the_line_and_what_is_there() {
        let error = template(&serde_json::json!({"port": 8080})).render("a\nport = {{ prot }}\n").unwrap_err();
        assert!(error.message.contains("app.conf:2"), "{error}");
        assert_eq!(error.help.as_deref(), Some("the script passes: port"));
    }
}
