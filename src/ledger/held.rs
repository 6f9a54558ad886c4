//! What a run is held to: the steps of the plan that somebody has approved. Kept with the run, so that a resume is held as well.

use crate::id::{Digest, HostName, StepKey, TaskPath};
use crate::step::{Command, ErrorKind, Site, StepError};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The steps of a plan, as far as a run can be held to them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The sha256 of the plan's document.
    pub plan: Digest,
    /// Its steps, in the order of their keys.
    steps: Vec<HeldStep>,
}

/// A step of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldStep {
    /// Its key.
    pub key: StepKey,
    /// The primitive.
    pub op: String,
    /// The host.
    pub host: HostName,
    /// Who it becomes there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The digest of its arguments ([`arguments`]).
    pub args: Digest,
    /// What a line says of it.
    pub summary: String,
    /// Where the script calls it.
    pub site: Site,
}

/// The digest of a step's arguments, as they are once they were written down. When a closure was called first is no part of it.
#[must_use]
pub fn arguments(args: &Value) -> Digest {
    let mut args: Value = serde_json::from_str(&args.to_string()).unwrap_or_default();
    if let Some(condition) = args.get_mut("condition").and_then(Value::as_object_mut) {
        condition.remove("since");
    }
    Digest::of(args.to_string().as_bytes())
}

impl Held {
    /// The steps of this plan.
    #[must_use]
    pub fn new(plan: Digest, mut steps: Vec<HeldStep>) -> Self {
        steps.sort_by(|one, other| one.key.cmp(&other.key));
        Self { plan, steps }
    }

    /// Refuses a step that the plan does not have at this place.
    ///
    /// # Errors
    /// What the plan has there instead, and what to do.
    pub fn hold(&self, key: &StepKey, command: &Command, summary: &str) -> Result<(), StepError> {
        let known = self.at(key);
        let Some(differs) = known.map_or(Some("another step"), |step| difference(step, command)) else { return Ok(()) };
        let (place, own) = (&command.site, line(&command.op, &command.host, command.user.as_deref(), summary));
        let message = match known {
            None => format!("the step {own} ({key}, {place}) is not in the plan: it has no step there{}", self.last(key)),
            Some(step) => {
                let planned = line(&step.op, &step.host, step.user.as_deref(), &step.summary);
                format!(
                    "the step {own} ({key}, {place}) is not in the plan: {differs}\n  expected {planned} at {}\n  found    {own} at {place}",
                    step.site
                )
            }
        };
        let error = StepError::new(ErrorKind::Refused, message).at(command);
        Err(error
            .with_help("it was not begun. Something that the script goes by is not as it was: make a new plan, and look at it"))
    }

    fn at(&self, key: &StepKey) -> Option<&HeldStep> {
        let find = |key: &StepKey| {
            let at = self.steps.binary_search_by(|step| step.key.cmp(key)).ok()?;
            self.steps.get(at)
        };
        // What opens or closes a bracket is done in another task each time.
        find(key).or_else(|| first_turn(key).and_then(|first| find(&first)))
    }

    /// The last step that the plan has in a task.
    fn last(&self, key: &StepKey) -> String {
        let last = self.steps.iter().filter(|step| step.key.task == key.task).max_by_key(|step| step.key.n);
        last.map_or_else(
            || format!(", and nothing of the task {}", key.task),
            |step| {
                format!("; the last one of {} is {} at {}", key.task, line(&step.op, &step.host, None, &step.summary), step.site)
            },
        )
    }
}

/// The same step in the first task of its bracket's side.
fn first_turn(key: &StepKey) -> Option<StepKey> {
    if !key.task.is_of_bracket() {
        return None;
    }
    let mut parts: Vec<&str> = key.task.as_str().split('/').collect();
    let side = parts.iter().position(|part| part.ends_with(".enter") || part.ends_with(".leave"))?;
    *parts.get_mut(side + 1)? = "1";
    let task = TaskPath::from_parts(&parts);
    Some(StepKey { task, n: key.n })
}

fn difference(step: &HeldStep, command: &Command) -> Option<&'static str> {
    match () {
        () if step.op != command.op => Some("another primitive"),
        () if step.host != command.host => Some("another host"),
        () if step.user != command.user => Some("another user"),
        () if step.args != arguments(&command.args) => Some("other arguments (a content or an option is not as planned)"),
        () => None,
    }
}

fn line(op: &str, host: &HostName, user: Option<&str>, summary: &str) -> String {
    let on = if host.is_controller() { String::new() } else { format!(" on {host}") };
    let user = user.map(|user| format!(" as {user}")).unwrap_or_default();
    format!("`{op} {}`{on}{user}", summary.replace('\n', " "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn held(task: &str, n: u32, args: &Value) -> Held {
        let key = StepKey { task: TaskPath::from_parts(&[task]), n };
        let (host, site) = (HostName::parse("web1").unwrap(), Site::default());
        let step =
            HeldStep { key, op: "write".to_owned(), host, user: None, args: arguments(args), summary: "/a".to_owned(), site };
        Held::new(Digest::of(b""), vec![step])
    }

    fn asked(held: &Held, task: &str, n: u32, command: &Command) -> Option<String> {
        let key = StepKey { task: TaskPath::from_parts(&[task]), n };
        held.hold(&key, command, "/b").err().map(|error| error.message)
    }

    #[test]
    fn only_the_same_step_at_the_same_place_passes() {
        let args = json!({ "path": "/a" });
        let held = held("main", 2, &args);
        let host = HostName::parse("web1").unwrap();
        let right = Command { op: "write".to_owned(), host, user: None, args, site: Site::default() };
        assert_eq!(asked(&held, "main", 2, &right), None);
        assert!(
            asked(&held, "main", 3, &right).unwrap().contains("has no step there; the last one of main is `write /a` on web1")
        );
        let wrong = [
            (Command { op: "mkdir".to_owned(), ..right.clone() }, "another primitive"),
            (Command { host: HostName::parse("web2").unwrap(), ..right.clone() }, "another host"),
            (Command { user: Some("root".to_owned()), ..right.clone() }, "another user"),
            (Command { args: json!({ "path": "/b" }), ..right }, "other arguments"),
        ];
        for (command, why) in wrong {
            let said = asked(&held, "main", 2, &command).unwrap();
            assert!(said.contains(why) && said.contains("expected `write /a` on web1"), "{said}");
        }
    }

    #[test]
    fn a_bracket_is_opened_and_closed_again_as_planned() {
        let args = json!({});
        let held = held("main/3.leave/1", 1, &args);
        let host = HostName::parse("web1").unwrap();
        let command = Command { op: "write".to_owned(), host, user: None, args, site: Site::default() };
        assert_eq!(asked(&held, "main/3.leave/2", 1, &command), None);
        assert!(asked(&held, "main/4.leave/1", 1, &command).is_some());
    }

    #[test]
    fn when_a_closure_was_called_first_is_no_argument() {
        let since = |n: u64| arguments(&json!({ "condition": { "looks": 1, "since": n } }));
        assert_eq!(since(1), since(2));
        assert_ne!(since(1), arguments(&json!({ "condition": { "looks": 2 } })));
    }
}
