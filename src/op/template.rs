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
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        // A template is of no format that is known here, whatever its name ends in.
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        match SyntaxConfig::builder().keep_trailing_newline(true).build() {
            Ok(syntax) => environment.set_syntax(syntax),
            Err(error) => return Err(self.explain(&error)),
        }
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
