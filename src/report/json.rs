//! One JSON object a line. Field names are a public contract.

use super::style::json_line;
use super::text::Counts;
use crate::event::{Event, Watcher};
use crate::id::{HostName, RunId, SaveId, StepKey};
use crate::journal::{Entry, Record};
use crate::step::{Command, Outcome};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Mutex, PoisonError};

/// Writes every record as a line of JSON.
pub struct JsonReport<W> {
    inner: Mutex<Inner<W>>,
}

struct Inner<W> {
    out: W,
    run: Option<RunId>,
    steps: BTreeMap<StepKey, (Command, String)>,
    counts: Counts,
    /// The time of the last record.
    last: Option<i64>,
    /// Why what was written is not all.
    cut: Option<String>,
}

impl<W: Write + Send> JsonReport<W> {
    /// Writes to this.
    pub fn new(out: W) -> Self {
        Self {
            inner: Mutex::new(Inner { out, run: None, steps: BTreeMap::new(), counts: Counts::default(), last: None, cut: None }),
        }
    }

    /// Takes note of the steps that began before this report did.
    pub fn know(&self, records: &[Record]) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        for record in records {
            if let Entry::Started { key, command, summary } = &record.entry {
                inner.steps.insert(key.clone(), (command.clone(), summary.clone()));
            }
        }
    }

    /// Writes one more object.
    pub fn write(&self, object: &Value) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let Inner { out, cut, .. } = &mut *inner;
        // A reader that went away does not stop a deploy.
        if let Err(error) = writeln!(out, "{}", json_line(object)).and_then(|()| out.flush()) {
            cut.get_or_insert_with(|| error.to_string());
        }
    }

    /// Why what was written is not all there is; nothing when it is.
    pub fn cut(&self) -> Option<String> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).cut.clone()
    }

    /// The time of the last record: when the run ended, once it has.
    pub fn last(&self) -> Option<i64> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).last
    }

    /// How many steps ended how.
    pub fn counts(&self) -> Counts {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).counts
    }
}

impl<W: Write + Send> Watcher for JsonReport<W> {
    fn see(&self, event: &Event) {
        let object = {
            let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
            match event {
                Event::Recorded { run, record } => {
                    inner.run.get_or_insert_with(|| run.clone());
                    inner.last = Some(record.at);
                    let Inner { steps, counts, .. } = &mut *inner;
                    self::event(run, record, steps, counts)
                }
                Event::Printed { host, receipt, is_error, text, at } => {
                    let stream = if *is_error { "stderr" } else { "stdout" };
                    inner.printed(host, receipt, &json!({"stream": stream, "text": text, "at": at}))
                }
                // What is left out is said: nobody takes what follows for all there is.
                Event::Missed { records, printed } => {
                    Some(json!({"event": "missed", "run": inner.run, "records": records, "printed_bytes": printed}))
                }
                Event::Beside { host, run, by, since } => {
                    let other = json!({"run": run, "by": by, "since": since});
                    Some(json!({"event": "beside", "run": inner.run, "host": host, "other": other}))
                }
                Event::Began { .. }
                | Event::Forked { .. }
                | Event::Invariant(_)
                | Event::Progress { .. }
                | Event::Ended { .. }
                | Event::Sent { .. } => None,
            }
        };
        if let Some(object) = object {
            self.write(&object);
        }
    }
}

impl<W> Inner<W> {
    /// What a command that still runs printed.
    fn printed(&self, host: &HostName, receipt: &SaveId, what: &Value) -> Option<Value> {
        let key = self.steps.iter().find(|(key, (command, _))| command.host == *host && key.owns(receipt)).map(|(key, _)| key)?;
        let mut fields = with_step("output", key, &self.steps, what);
        fields.insert("run".to_owned(), json!(self.run));
        Some(Value::Object(fields))
    }
}

/// The object of one record; the run's end is written by who knows the head of the journal.
pub fn event(
    run: &RunId,
    record: &Record,
    steps: &mut BTreeMap<StepKey, (Command, String)>,
    counts: &mut Counts,
) -> Option<Value> {
    let mut fields = match &record.entry {
        Entry::RunStarted { info } => named(
            "run_started",
            &json!({"environment": info.environment, "script": info.script, "bundle": info.bundle, "by": info.by}),
        ),
        Entry::Started { key, command, summary } => {
            steps.insert(key.clone(), (command.clone(), summary.clone()));
            with_step("step_started", key, steps, &json!({}))
        }
        Entry::Compensation { key, n, undo, .. } => {
            with_step("compensation", key, steps, &json!({"compensation": n, "undo": undo}))
        }
        Entry::Succeeded { key, outcome, millis, diff, .. } => {
            let (word, why) = count(outcome, counts);
            with_step("step_succeeded", key, steps, &json!({"outcome": word, "why": why, "millis": millis, "diff": diff}))
        }
        Entry::Failed { key, error, millis } => {
            counts.failed += 1;
            with_step("step_failed", key, steps, &json!({"outcome": "failed", "error": error, "millis": millis}))
        }
        Entry::GroupEntered { key, group } => named("group_entered", &json!({"task": key.task, "n": key.n, "group": group})),
        Entry::GroupLeft { key, failed, .. } => named("group_left", &json!({"task": key.task, "n": key.n, "failed": failed})),
        Entry::Phase { phase, why, doubts } => named("phase", &json!({"state": phase, "why": why, "in_doubt": doubts})),
        Entry::UndoStarted { key, n, part } => with_step("undo_started", key, steps, &json!({"compensation": n, "part": part})),
        Entry::Undone { key, n, part, changed } => {
            counts.undone += u32::from(*changed);
            with_step("undone", key, steps, &json!({"compensation": n, "part": part, "changed": changed}))
        }
        Entry::UndoFailed { key, n, part, error } => {
            with_step("undo_failed", key, steps, &json!({"compensation": n, "part": part, "error": error}))
        }
        Entry::Settled { key, how } => with_step("settled", key, steps, &json!({"how": how})),
        Entry::Decided { key, decision, reason, by } => {
            with_step("decided", key, steps, &json!({"decision": decision, "reason": reason, "by": by}))
        }
        Entry::ObligationOpened { key, name, .. } => bracket("obligation_opened", key, &json!({"name": name})),
        Entry::ObligationHeld { key } => bracket("obligation_held", key, &json!({})),
        Entry::ObligationDischarged { key } => bracket("obligation_discharged", key, &json!({})),
        Entry::ObligationFailed { key, side, error } => bracket("obligation_failed", key, &json!({"side": side, "error": error})),
        Entry::ScriptReplaced { bundle, by } => named("script_replaced", &json!({"bundle": bundle, "by": by})),
        Entry::RunEnded { .. } => return None,
    };
    fields.insert("run".to_owned(), json!(run));
    fields.insert("at".to_owned(), json!(record.at));
    fields.retain(|_, value| !value.is_null());
    Some(Value::Object(fields))
}

fn count(outcome: &Outcome, counts: &mut Counts) -> (&'static str, Option<String>) {
    match outcome {
        Outcome::Changed => {
            counts.changed += 1;
            ("changed", None)
        }
        Outcome::Unchanged => {
            counts.unchanged += 1;
            ("unchanged", None)
        }
        Outcome::Skipped(why) => {
            counts.skipped += 1;
            ("skipped", Some(why.clone()))
        }
    }
}

fn named(name: &str, more: &Value) -> Map<String, Value> {
    let mut fields = Map::from_iter([("event".to_owned(), json!(name))]);
    if let Value::Object(more) = more {
        fields.extend(more.clone());
    }
    fields
}

fn bracket(name: &str, key: &StepKey, more: &Value) -> Map<String, Value> {
    let mut fields = named(name, &json!({"task": key.task, "n": key.n}));
    fields.extend(named(name, more));
    fields
}

fn with_step(name: &str, key: &StepKey, steps: &BTreeMap<StepKey, (Command, String)>, more: &Value) -> Map<String, Value> {
    let mut fields = named(name, &json!({"task": key.task, "n": key.n}));
    if let Some((command, summary)) = steps.get(key) {
        fields.extend([
            ("host".to_owned(), json!(command.host)),
            ("op".to_owned(), json!(command.op)),
            ("site".to_owned(), json!(command.site)),
            ("summary".to_owned(), json!(summary)),
        ]);
    }
    if let Value::Object(more) = more {
        fields.extend(more.clone());
    }
    fields
}
