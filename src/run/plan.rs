//! A prediction as a document: the steps that a run would take, and what would become of each. Made from the records of a run
//! that changed nothing, and from what its layers took to be so. Pure.

use super::basis::Basis;
use super::finish::Finish;
use crate::id::{Digest, HostName, RunId, StepKey, TaskPath};
use crate::interp::{Certainty, Grounds, Look, Marks};
use crate::journal::{Entry, Group, Record, RunPhase};
use crate::ledger::StoredRun;
use crate::op::{Ask, Operation};
use crate::script::Finding;
use crate::step::{Command, Outcome, Site, StepError};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The version of the document that is written.
pub const VERSION: u32 = 2;

/// How a prediction was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Made {
    /// By looking at the hosts.
    DryRun,
    /// On a fleet in memory: nothing of the hosts is in it.
    Plan,
}

/// What would become of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Prediction {
    /// It would change something.
    Would,
    /// It is as asked already, or only looks.
    NoChange,
    /// It is taken to go well: a command that was not run, or what may rest on one.
    Assumed,
    /// Nobody knows: it rests on what a command would have written.
    Unknown,
    /// It would fail.
    Fails,
}

impl Prediction {
    /// The words that people read.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Would => "would",
            Self::NoChange => "no change",
            Self::Assumed => "assumed",
            Self::Unknown => "unknown",
            Self::Fails => "fails",
        }
    }
}

/// A step that a run would take.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PlannedStep {
    /// Its task.
    pub task: TaskPath,
    /// Its number in it.
    pub n: u32,
    /// The host.
    pub host: HostName,
    /// Who it becomes there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The primitive.
    pub op: String,
    /// Its arguments.
    pub args: serde_json::Value,
    /// What a line says of it.
    pub summary: String,
    /// Where the script calls it.
    pub site: Site,
    /// What would become of it.
    pub prediction: Prediction,
    /// What that rests on, or why it would fail or be left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub why: Vec<String>,
    /// The difference in text that it would make.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diff: Option<String>,
}

/// How many steps of which kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanCounts {
    /// Would change something.
    pub would: u32,
    /// Would not.
    pub no_change: u32,
    /// Taken to go well.
    pub assumed: u32,
    /// Not known.
    pub unknown: u32,
    /// Would fail.
    pub fails: u32,
}

/// A group of hosts that a script works on: its key, its word, and how many hosts.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PlannedFork {
    /// The task that it is in, its number there and its word, as in `main/3.rolling`.
    pub path: String,
    /// `rolling`, `parallel`, ...
    pub word: String,
    /// How many hosts each batch has.
    pub batches: Vec<usize>,
}

/// A question that a run asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedQuestion {
    /// What `--answer NAME=VALUE` calls it.
    pub name: String,
    /// What is asked.
    pub question: String,
    /// The answers that there are; any text when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<String>,
    /// The answer that the prediction went on with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken: Option<String>,
    /// Where the script asks it.
    pub site: Site,
}

/// The whole prediction.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Plan {
    /// The document's version.
    pub version: u32,
    /// The version of Windlass that made it.
    pub windlass: String,
    /// How it was made.
    pub made: Made,
    /// The name of the run that is held to it.
    pub run: RunId,
    /// The environment.
    pub environment: String,
    /// The script.
    pub script: String,
    /// The digest of all its sources.
    pub bundle: Digest,
    /// The artifacts that it is pinned to.
    pub artifacts: Vec<crate::artifact::Pin>,
    /// The hosts that a step speaks to.
    pub hosts: Vec<HostName>,
    /// The groups of hosts.
    pub forks: Vec<PlannedFork>,
    /// The steps, in the order of the script.
    pub steps: Vec<PlannedStep>,
    /// Behind which steps nothing is undone any more.
    pub points_of_no_return: Vec<PlannedStep>,
    /// How many steps of which kind.
    pub counts: PlanCounts,
    /// What the run asks a person.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub questions: Vec<PlannedQuestion>,
    /// The answers that were given beforehand.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub answers: BTreeMap<String, String>,
    /// Where the script goes on by something that nobody knows: once a line, in the order of the script.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    /// What it was made of.
    pub basis: Basis,
    /// What was looked at on the hosts and in the project.
    pub reads: Vec<Look>,
    /// What the run would fail of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<StepError>,
}

/// What a plan is made from: a run that changed nothing.
pub struct Predicted<'a> {
    /// What it was given.
    pub stored: &'a StoredRun,
    /// Its journal.
    pub records: &'a [Record],
    /// What its layers took to be so, and looked at.
    pub grounds: &'a Grounds,
    /// How it ended.
    pub finish: &'a Finish,
    /// How it was made.
    pub made: Made,
    /// The answers that were given beforehand.
    pub answers: BTreeMap<String, String>,
}

impl Plan {
    /// Makes the document.
    #[must_use]
    pub fn new(predicted: Predicted<'_>) -> Self {
        let Predicted { stored, records, grounds, finish, made, answers } = predicted;
        let marks = grounds.marks.as_ref();
        // What comes behind is undoing.
        let end = records.iter().position(|record| matches!(record.entry, Entry::Phase { phase: RunPhase::Unwinding, .. }));
        let records = &records[..end.unwrap_or(records.len())];
        let mut begun: BTreeMap<&StepKey, (&Command, &str)> = BTreeMap::new();
        let (mut steps, mut forks, mut questions) = (Vec::new(), Vec::new(), Vec::new());
        for record in records {
            match &record.entry {
                Entry::Started { key, command, summary } => drop(begun.insert(key, (command, summary))),
                Entry::Succeeded { key, outcome, diff, output, .. } => {
                    questions.extend(begun.get(key).and_then(|(command, _)| question(command, output.as_str())));
                    steps.extend(begun.get(key).map(|begun| planned(key, begun, succeeded(key, outcome, marks), diff.clone())));
                }
                Entry::Failed { key, error, .. } => {
                    let why = vec![error.to_string()];
                    steps.extend(begun.get(key).map(|begun| planned(key, begun, (Prediction::Fails, why), None)));
                }
                Entry::GroupEntered { key, group: Group::Fork { word, batches } } => forks.push(PlannedFork {
                    path: format!("{}/{}.{word}", key.task, key.n),
                    word: word.clone(),
                    batches: batches.iter().map(Vec::len).collect(),
                }),
                _ => {}
            }
        }
        steps.iter_mut().for_each(|step| rests_on(step, &finish.findings));
        let hosts = stored.environment.hosts.hosts().iter();
        let order: BTreeMap<&str, usize> = hosts.zip(0..).map(|(host, place)| (host.name.as_str(), place)).collect();
        let place = |host: &HostName| order.get(host.as_str()).copied();
        steps.sort_by_cached_key(|step: &PlannedStep| (ordinals(step), place(&step.host)));
        let mut hosts: Vec<HostName> = steps.iter().map(|step| step.host.clone()).filter(|host| !host.is_controller()).collect();
        hosts.sort_by_cached_key(place);
        hosts.dedup();
        let is_last = |step: &&PlannedStep| step.op == crate::op::PointOfNoReturn::WORD;
        Self {
            version: VERSION,
            windlass: stored.windlass.clone(),
            made,
            run: finish.run.clone(),
            environment: stored.environment.name.clone(),
            script: stored.script.clone(),
            bundle: stored.bundle_digest(),
            artifacts: stored.artifacts.clone(),
            hosts,
            forks,
            points_of_no_return: steps.iter().filter(is_last).cloned().collect(),
            counts: count(&steps),
            steps,
            questions,
            answers,
            findings: by_line(&finish.findings),
            basis: Basis::of(stored),
            reads: grounds.looks.all(),
            error: finish.error.clone(),
        }
    }
}

/// A step that comes after the script went on by something that nobody knows is not known either.
fn rests_on(step: &mut PlannedStep, findings: &[Finding]) {
    let key = StepKey { task: step.task.clone(), n: step.n };
    if step.prediction == Prediction::Fails {
        return;
    }
    for finding in findings.iter().filter(|finding| comes_after(&key, &finding.after)) {
        let why = format!("{} ({})", finding.message.replacen("from here on this", "this", 1), finding.site);
        step.prediction = Prediction::Unknown;
        if !step.why.contains(&why) {
            step.why.push(why);
        }
    }
}

/// Whether a step comes later in the same task, or in a task that was made there later.
fn comes_after(key: &StepKey, before: &StepKey) -> bool {
    let mut at = Some(key.clone());
    while let Some(key) = at {
        if key.task == before.task {
            return key.n > before.n;
        }
        at = key.task.parent();
    }
    false
}

/// One of each line, in the order of the script.
fn by_line(findings: &[Finding]) -> Vec<Finding> {
    let lines: BTreeMap<(&str, u32), &Finding> =
        findings.iter().rev().map(|finding| ((finding.site.source.as_str(), finding.site.line), finding)).collect();
    lines.into_values().cloned().collect()
}

/// What a step asks a person, and what the prediction went on with.
fn question(command: &Command, taken: Option<&str>) -> Option<PlannedQuestion> {
    if command.op != Ask::NAME {
        return None;
    }
    let text = |name: &str| command.args[name].as_str().map(ToOwned::to_owned);
    let choices = command.args["choices"].as_array().into_iter().flatten();
    let question = text("question").unwrap_or_default();
    Some(PlannedQuestion {
        name: text("name").unwrap_or_else(|| question.clone()),
        question,
        choices: choices.filter_map(|choice| choice.as_str().map(ToOwned::to_owned)).collect(),
        taken: taken.map(ToOwned::to_owned),
        site: command.site.clone(),
    })
}

fn planned(
    key: &StepKey,
    (command, summary): &(&Command, &str),
    (prediction, why): (Prediction, Vec<String>),
    diff: Option<String>,
) -> PlannedStep {
    PlannedStep {
        task: key.task.clone(),
        n: key.n,
        host: command.host.clone(),
        user: command.user.clone(),
        op: command.op.clone(),
        args: command.args.clone(),
        summary: (*summary).to_owned(),
        site: command.site.clone(),
        prediction,
        why,
        diff,
    }
}

/// What a step that went well in the prediction comes to.
fn succeeded(key: &StepKey, outcome: &Outcome, marks: &Marks) -> (Prediction, Vec<String>) {
    let marks = marks.of(key);
    let most = marks.iter().map(|(certainty, _)| *certainty).max();
    let why = marks.into_iter().map(|(_, why)| why).collect();
    match (most, outcome) {
        (Some(Certainty::Unknown), _) => (Prediction::Unknown, why),
        (Some(Certainty::Assumed), _) => (Prediction::Assumed, why),
        (None, Outcome::Changed) => (Prediction::Would, why),
        (None, Outcome::Unchanged) => (Prediction::NoChange, why),
        (None, Outcome::Skipped(reason)) => (Prediction::NoChange, vec![reason.clone()]),
    }
}

/// Where a step stands in its script: the numbers of the groups that it is in, and its own.
fn ordinals(step: &PlannedStep) -> Vec<u32> {
    let number = |part: &str| part.split_once('.').and_then(|(number, _)| number.parse().ok());
    step.task.as_str().split('/').filter_map(number).chain([step.n]).collect()
}

fn count(steps: &[PlannedStep]) -> PlanCounts {
    let of = |prediction: Prediction| {
        u32::try_from(steps.iter().filter(|step| step.prediction == prediction).count()).unwrap_or(u32::MAX)
    };
    PlanCounts {
        would: of(Prediction::Would),
        no_change: of(Prediction::NoChange),
        assumed: of(Prediction::Assumed),
        unknown: of(Prediction::Unknown),
        fails: of(Prediction::Fails),
    }
}
