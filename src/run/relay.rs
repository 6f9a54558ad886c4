//! A watcher with a thread of its own: it never holds up a run. What it has not taken yet waits in a queue of bounded size;
//! records that find it full are read from the ledger once the watcher comes to them.

use crate::event::{Event, Watcher};
use crate::id::{RunId, StepKey};
use crate::journal::{Entry, Record};
use crate::ledger::Ledger;
use serde_json::Value;
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What may wait, in bytes and in events.
const MOST_BYTES: usize = 1 << 20;
const MOST_EVENTS: usize = 1024;

/// Records that are read from the ledger at a time.
const PORTION: usize = 64;

/// How soon a ledger is asked again that has not written yet what is wanted.
const AGAIN: Duration = Duration::from_millis(20);

/// Hands events on to a watcher that may be slow.
pub struct Relay {
    shared: Arc<Shared>,
}

struct Shared {
    watcher: Arc<dyn Watcher>,
    ledger: Arc<dyn Ledger>,
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    events: VecDeque<(Event, usize)>,
    bytes: usize,
    behind: Option<Behind>,
    /// Whether the watcher is at something.
    busy: bool,
    /// Whether nothing more comes.
    closed: bool,
    /// Events that the watcher has taken.
    taken: u64,
}

/// What found the queue full.
struct Behind {
    /// The run whose records they are, and the last of them that the watcher has; none when no record was left out.
    records: Option<(RunId, u64)>,
    /// The last record that was left out.
    last: u64,
    /// Bytes of what commands printed.
    printed: u64,
    /// What has ended without a record of its own.
    ended: Vec<StepKey>,
}

/// What the watcher is handed next.
enum Next {
    Event(Box<Event>),
    /// Records of this run after this one.
    After(RunId, u64),
    Over,
}

impl Relay {
    /// Hands on to this watcher; what it is too slow for is read from this ledger.
    #[must_use]
    pub fn new(watcher: Arc<dyn Watcher>, ledger: Arc<dyn Ledger>) -> Self {
        let shared = Arc::new(Shared { watcher, ledger, queue: Mutex::default(), changed: Condvar::new() });
        let theirs = shared.clone();
        let spawned = std::thread::Builder::new().name("watcher".to_owned()).spawn(move || theirs.hand_on());
        if spawned.is_err() {
            // Where no thread can be had the run goes on unwatched; its journal has everything.
            shared.lock().closed = true;
        }
        Self { shared }
    }

    /// How much the watcher has taken so far.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.shared.lock().taken
    }

    /// Waits until the watcher has taken everything, at most so long; gives whether it has.
    #[must_use]
    pub fn catch_up(&self, most: Duration) -> bool {
        let waited = self.shared.changed.wait_timeout_while(self.shared.lock(), most, |queue| !queue.is_idle());
        waited.unwrap_or_else(PoisonError::into_inner).0.is_idle()
    }

    /// Waits until the watcher has taken everything.
    pub fn drain(&self) {
        let waited = self.shared.changed.wait_while(self.shared.lock(), |queue| !queue.is_idle());
        drop(waited);
    }

    /// Nothing more comes: what the ledger does not hold by now is not waited for.
    pub fn close(&self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_all();
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.close();
    }
}

impl Watcher for Relay {
    fn see(&self, event: &Event) {
        let weight = weight(event);
        let mut queue = self.shared.lock();
        if queue.closed {
            return;
        }
        let fits = queue.events.is_empty() || queue.events.len() < MOST_EVENTS && queue.bytes + weight <= MOST_BYTES;
        match &mut queue.behind {
            None if fits => {
                queue.bytes += weight;
                queue.events.push_back((event.clone(), weight));
            }
            None => {
                let mut behind = Behind { records: None, last: 0, printed: 0, ended: Vec::new() };
                behind.note(event);
                queue.behind = Some(behind);
            }
            Some(behind) => behind.note(event),
        }
        self.shared.changed.notify_all();
    }
}

impl Queue {
    fn is_idle(&self) -> bool {
        self.events.is_empty() && self.behind.is_none() && !self.busy
    }
}

impl Behind {
    fn note(&mut self, event: &Event) {
        match event {
            Event::Recorded { run, record } => {
                self.records.get_or_insert_with(|| (run.clone(), record.seq - 1));
                self.last = record.seq;
            }
            Event::Printed { text, .. } => self.printed += text.len() as u64,
            Event::Ended { key } => self.ended.push(key.clone()),
            // What a step is at shows again with its end.
            _ => {}
        }
    }

    /// What is told once the watcher has all records: everything else that it was not shown.
    fn rest(self) -> Vec<Event> {
        let missing = self.records.map_or(0, |(_, after)| self.last.saturating_sub(after));
        let missed = Event::Missed { records: missing, printed: self.printed };
        let told = (missing > 0 || self.printed > 0).then_some(missed);
        self.ended.into_iter().map(|key| Event::Ended { key }).chain(told).collect()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hand_on(&self) {
        loop {
            match self.next() {
                Next::Event(event) => self.show(&event),
                Next::After(run, after) => self.read_on(&run, after),
                Next::Over => return,
            }
        }
    }

    /// Waits for something to show.
    fn next(&self) -> Next {
        let mut queue = self.lock();
        queue.busy = false;
        loop {
            if let Some((event, weight)) = queue.events.pop_front() {
                queue.bytes -= weight;
                queue.busy = true;
                return Next::Event(Box::new(event));
            }
            match queue.behind.take() {
                Some(Behind { records: Some((run, after)), last, printed, ended }) if after < last => {
                    let next = Next::After(run.clone(), after);
                    queue.behind = Some(Behind { records: Some((run, after)), last, printed, ended });
                    return next;
                }
                Some(behind) => queue.put(behind.rest()),
                None if queue.closed => {
                    self.changed.notify_all();
                    return Next::Over;
                }
                None => {
                    self.changed.notify_all();
                    queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }

    /// Shows the next records of the ledger; those that never came there are told as missed.
    fn read_on(&self, run: &RunId, after: u64) {
        let closed = self.lock().closed;
        let records = self.ledger.records_after(run, after, PORTION).unwrap_or_default();
        let none = records.is_empty();
        for record in records {
            let seq = record.seq;
            self.show(&Event::Recorded { run: run.clone(), record });
            if let Some(Behind { records: Some((_, after)), .. }) = &mut self.lock().behind {
                *after = seq;
            }
        }
        let mut queue = self.lock();
        if none && closed {
            let rest = queue.behind.take().map(Behind::rest).unwrap_or_default();
            queue.put(rest);
        } else if none {
            let waited = self.changed.wait_timeout(queue, AGAIN);
            drop(waited);
        }
    }

    fn show(&self, event: &Event) {
        self.watcher.see(event);
        self.lock().taken += 1;
        self.changed.notify_all();
    }
}

impl Queue {
    fn put(&mut self, events: Vec<Event>) {
        self.events.extend(events.into_iter().map(|event| (event, 0)));
    }
}

/// About how many bytes an event keeps.
fn weight(event: &Event) -> usize {
    const LEAST: usize = 512;
    LEAST
        + match event {
            Event::Recorded { record, .. } => weight_of(record),
            Event::Printed { text, .. } => text.len(),
            _ => 0,
        }
}

fn weight_of(record: &Record) -> usize {
    match &record.entry {
        Entry::Started { command, summary, .. } => value(&command.args) + summary.len(),
        Entry::Succeeded { output, diff, .. } => value(output) + diff.as_ref().map_or(0, String::len),
        Entry::Failed { error, .. } | Entry::UndoFailed { error, .. } => error.message.len() + error.stderr.len(),
        _ => 0,
    }
}

fn value(of: &Value) -> usize {
    match of {
        Value::String(text) => text.len(),
        Value::Array(values) => values.iter().map(value).sum(),
        Value::Object(fields) => fields.iter().map(|(name, field)| name.len() + value(field)).sum(),
        _ => 8,
    }
}
