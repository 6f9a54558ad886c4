//! Replay: what the journal already has of a step that the script asks for.

use super::record::Group;
use super::state::{RunState, StepStatus};
use crate::id::StepKey;
use crate::step::{Command, ErrorKind, Site, StepError};
use serde_json::Value;

/// What is recorded of a step.
#[derive(Debug, Clone, PartialEq)]
pub enum Recorded {
    /// Nothing: new work begins here.
    New,
    /// It ended; this is what the script was given.
    Ended(Result<Value, StepError>),
    /// It began, and its end is not on record.
    InDoubt,
}

/// The journal of an earlier process, read step by step.
#[derive(Debug, Clone, Default)]
pub struct Cursor {
    state: RunState,
}

impl Cursor {
    /// Replays this.
    #[must_use]
    pub fn new(state: RunState) -> Self {
        Self { state }
    }

    /// What is recorded of a step.
    ///
    /// # Errors
    /// Divergence, when the journal has another command under this key.
    pub fn find(&self, key: &StepKey, command: &Command) -> Result<Recorded, StepError> {
        let Some(step) = self.state.steps.get(key) else {
            return match self.state.groups.get(key) {
                None => Ok(Recorded::New),
                Some((group, _)) => Err(divergence(key, &step_text(command), &group_text(group), Some(&command.site), None)),
            };
        };
        let recorded = &step.command;
        // Everything that decides what happens; where the script asks for it may have moved.
        if (&recorded.op, recorded.login(), &recorded.args) != (&command.op, command.login(), &command.args) {
            let (asked, was) = differing(command, recorded);
            return Err(divergence(key, &asked, &was, Some(&command.site), Some(&recorded.site)).at(command));
        }
        Ok(match &step.status {
            StepStatus::Started => Recorded::InDoubt,
            StepStatus::Succeeded { output, .. } => Recorded::Ended(Ok(output.clone())),
            StepStatus::Failed(error) => Recorded::Ended(Err(error.clone())),
        })
    }

    /// Whether anything is recorded of a task.
    #[must_use]
    pub fn has_task(&self, task: &crate::id::TaskPath) -> bool {
        self.state.tasks.contains_key(task)
    }

    /// What is recorded of a bracket.
    #[must_use]
    pub fn obligation(&self, key: &StepKey) -> Option<&super::Obligation> {
        self.state.obligations.get(key)
    }

    /// The journal that is replayed.
    #[must_use]
    pub fn state(&self) -> &RunState {
        &self.state
    }

    /// Whether the group of this key was entered, and left.
    #[must_use]
    pub fn group(&self, key: &StepKey) -> Option<&(super::Group, bool)> {
        self.state.groups.get(key)
    }
}

/// The error of a group that stands where something else is on record.
#[must_use]
pub fn group_divergence(state: &RunState, key: &StepKey, asked: &str) -> StepError {
    let step = state.steps.get(key).map(|step| (step_text(&step.command), &step.command.site));
    match (step, state.groups.get(key)) {
        (Some((text, site)), _) => divergence(key, asked, &text, None, Some(site)),
        (None, Some((group, _))) => divergence(key, asked, &group_text(group), None, None),
        (None, None) => divergence(key, asked, "nothing", None, None),
    }
}

/// A step that is on record, and that the script did not ask for.
#[must_use]
pub fn missing_step(state: &RunState, key: &StepKey) -> Option<StepError> {
    let step = state.steps.get(key)?;
    Some(divergence(
        key,
        "nothing: it ends, or goes another way, before that",
        &step_text(&step.command),
        None,
        Some(&step.command.site),
    ))
}

fn group_text(group: &Group) -> String {
    match group {
        Group::Step { name } => format!("step \"{name}\""),
        Group::Attempt => "an `attempt`".to_owned(),
        Group::Bracket { name } => format!("the bracket \"{name}\""),
        Group::Fork { word, batches } => format!("`{word}` over {} hosts", batches.iter().map(Vec::len).sum::<usize>()),
    }
}

fn place(command: &Command) -> String {
    if command.host.is_controller() { String::new() } else { format!(" on {}", command.login()) }
}

fn step_text(command: &Command) -> String {
    format!("`{}`{} with {}", command.op, place(command), shortened(&command.args.to_string()))
}

/// Both sides; of the same primitive on the same host only the arguments that differ.
fn differing(asked: &Command, recorded: &Command) -> (String, String) {
    let same = (&asked.op, asked.login()) == (&recorded.op, recorded.login());
    let (Value::Object(now), Value::Object(was), true) = (&asked.args, &recorded.args, same) else {
        return (step_text(asked), step_text(recorded));
    };
    let mut keys: Vec<&String> = now.keys().chain(was.keys()).filter(|key| now.get(*key) != was.get(*key)).collect();
    keys.sort_unstable();
    keys.dedup();
    let told = |args: &serde_json::Map<String, Value>| {
        let one = |key: &&String| match args.get(*key) {
            Some(value) => format!("{key}: {}", shortened(&value.to_string())),
            None => format!("no {key}"),
        };
        format!("`{}`{} with {}", asked.op, place(asked), keys.iter().map(one).collect::<Vec<_>>().join(", "))
    };
    (told(now), told(was))
}

fn shortened(text: &str) -> String {
    const LONGEST: usize = 300;
    if text.len() <= LONGEST { text.to_owned() } else { format!("{}…", &text[..text.floor_char_boundary(LONGEST)]) }
}

fn divergence(key: &StepKey, asked: &str, recorded: &str, now: Option<&Site>, before: Option<&Site>) -> StepError {
    let at = |site: Option<&Site>| site.filter(|site| site.line > 0).map(|site| format!("  (at {site})")).unwrap_or_default();
    let message = format!(
        "the script does not ask for what the run has on record\n  step      {key}\n  recorded  {recorded}{}\n  asked     {asked}{}",
        at(before),
        at(now)
    );
    StepError::new(ErrorKind::Divergence, message).with_help(
        "nothing was touched. Usual causes: with `--with`, a change before the place where the run stopped; else something that decides what \
         the script does and that no primitive answered (an order of a map, a value of another Windlass version).\n\
         Go back with `windlass unwind`, or mend the script after that place only",
    )
}
