//! `ask(question)`: a person decides.

use super::{Operation, StepContext, Subject, context::unexpected};
use crate::effect::{Effect, Question, Reply};
use crate::step::StepError;
use serde::{Deserialize, Serialize};

/// Asks whoever started the run, once: a resumed run is given the same answer again.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ask {
    question: String,
    /// What `--answer NAME=VALUE` calls it; the question itself when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// The answers that there are; any text when not given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    choices: Vec<String>,
    /// The answer where nobody can be asked, or nothing is typed.
    #[serde(default, alias = "otherwise", skip_serializing_if = "Option::is_none")]
    default: Option<String>,
}

impl Operation for Ask {
    const NAME: &'static str = "ask";
    const SUBJECT: Subject = Subject::Controller;
    const POSITIONAL: &'static [&'static str] = &["question"];
    const OPTIONS: &'static [&'static str] = &["name", "choices", "default", "otherwise"];
    const PAGE: &'static str = include_str!("../../stdlib/doc/ask.md");
    type Output = String;

    fn run(&self, cx: &mut StepContext<'_>) -> Result<String, StepError> {
        let name = self.name.clone().unwrap_or_else(|| self.question.clone());
        if self.question.trim().is_empty() || name.contains('=') {
            return Err(StepError::bad_input("a question is no empty text, and its name holds no `=`")
                .with_help("give it a short name, as in #{ name: \"confirm\" }"));
        }
        if let Some(default) = self.default.as_ref().filter(|default| !self.takes(default)) {
            return Err(StepError::bad_input(format!("the default `{default}` is not among the choices: {}", self.choices.join(", "))));
        }
        let question =
            Question { name, text: self.question.clone(), choices: self.choices.clone(), default: self.default.clone() };
        let answer = match cx.look(&Effect::Ask { question })? {
            Reply::Content(content) => String::from_utf8_lossy(content.bytes()).into_owned(),
            other => return Err(unexpected(&other)),
        };
        if self.takes(&answer) {
            return Ok(answer);
        }
        Err(StepError::bad_input(format!("`{answer}` is no answer to `{}`; it is one of: {}", self.question, self.choices.join(", "))))
    }

    fn summary(&self) -> String {
        self.question.clone()
    }
}

impl Ask {
    fn takes(&self, answer: &str) -> bool {
        self.choices.is_empty() || self.choices.iter().any(|choice| choice == answer)
    }
}
