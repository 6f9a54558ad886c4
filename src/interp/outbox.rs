//! Messages on their way to people: sent in the background, tried again for a while, and told of when they could not be sent.
//! A run does not wait for them before it has ended, and never fails of them.

use crate::fleet::ChannelKind;
use crate::transport::http::{Message, Place, send};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Time for one attempt, and the pauses before further ones.
const ATTEMPT: Duration = Duration::from_secs(5);
const PAUSES: [Duration; 3] = [Duration::from_millis(300), Duration::from_secs(1), Duration::from_secs(3)];

/// Where messages to one name go.
#[derive(Clone)]
pub struct Mailbox {
    /// Its URL, or why there is none.
    pub url: Result<String, String>,
    /// The form that it takes.
    pub kind: ChannelKind,
}

/// What every message of a run is from.
#[derive(Debug, Clone, Default)]
pub struct Origin {
    /// The run's name.
    pub run: String,
    /// The environment's.
    pub environment: String,
    /// The project's.
    pub project: String,
}

/// A message that could not be sent.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Unsent {
    /// The channel.
    pub to: String,
    /// What it says.
    pub text: String,
    /// Why not.
    pub why: String,
}

/// The messages of one run.
pub struct Outbox {
    boxes: BTreeMap<String, Mailbox>,
    from: Origin,
    ways: Mutex<BTreeMap<String, Sender<String>>>,
    desk: Arc<Desk>,
}

/// What the threads that send have in common.
#[derive(Default)]
struct Desk {
    state: Mutex<State>,
    news: Condvar,
}

#[derive(Default)]
struct State {
    /// Not yet sent, and not given up.
    pending: Vec<(String, String)>,
    unsent: Vec<Unsent>,
    /// Set when no more time is left than this.
    deadline: Option<Instant>,
}

impl Outbox {
    /// Sends to these.
    #[must_use]
    pub fn new(boxes: BTreeMap<String, Mailbox>, from: Origin) -> Self {
        Self { boxes, from, ways: Mutex::default(), desk: Arc::default() }
    }

    /// Takes a message; to nobody in particular, for the channel `default` where there is one. Gives why it cannot be sent
    /// at all.
    pub(super) fn post(&self, text: &str, to: Option<&str>) -> Result<(), String> {
        let name = match to {
            Some("log") => return Ok(()),
            None if !self.boxes.contains_key("default") => return Ok(()),
            to => to.unwrap_or("default"),
        };
        let Some(mailbox) = self.boxes.get(name) else {
            let known: Vec<&str> = self.boxes.keys().map(String::as_str).chain(["log"]).collect();
            return Err(format!("there is no channel `{name}`; there are: {}", known.join(", ")));
        };
        self.desk.lock().pending.push((name.to_owned(), text.to_owned()));
        let mut ways = self.ways.lock().unwrap_or_else(PoisonError::into_inner);
        let way = ways.entry(name.to_owned()).or_insert_with(|| {
            let (way, letters) = channel();
            let postman =
                Postman { name: name.to_owned(), mailbox: mailbox.clone(), from: self.from.clone(), desk: self.desk.clone() };
            // Without a thread its messages are told of as not sent, when the run has ended.
            let _ = thread::Builder::new().name(format!("notify {name}")).spawn(move || postman.work(&letters));
            way
        });
        let _ = way.send(text.to_owned());
        Ok(())
    }

    /// Waits until all is sent or given up, at most so long. Gives what was not sent.
    #[must_use]
    pub fn close(&self, patience: Duration) -> Vec<Unsent> {
        let deadline = Instant::now() + patience;
        let mut state = self.desk.lock();
        state.deadline = Some(deadline);
        self.desk.news.notify_all();
        while !state.pending.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state = self.desk.news.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        let late = std::mem::take(&mut state.pending);
        let late = late.into_iter().map(|(to, text)| Unsent { to, text, why: "it did not answer in time".to_owned() });
        std::mem::take(&mut state.unsent).into_iter().chain(late).collect()
    }
}

impl Desk {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn done(&self, to: &str, text: &str, result: Result<(), String>) {
        let mut state = self.lock();
        // When it is there no more, the run has ended and told of it.
        if let Some(at) = state.pending.iter().position(|(name, told)| name == to && told == text) {
            state.pending.remove(at);
            state.unsent.extend(result.err().map(|why| Unsent { to: to.to_owned(), text: text.to_owned(), why }));
        }
        self.news.notify_all();
    }

    /// Waits before the next attempt; false when there is no time for one.
    fn pause(&self, pause: Duration) -> bool {
        let until = Instant::now() + pause;
        let mut state = self.lock();
        loop {
            let now = Instant::now();
            if state.deadline.is_some_and(|deadline| deadline <= until.max(now)) {
                return false;
            }
            if now >= until {
                return true;
            }
            state = self.news.wait_timeout(state, until - now).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// Sends the messages of one channel, in their order.
struct Postman {
    name: String,
    mailbox: Mailbox,
    from: Origin,
    desk: Arc<Desk>,
}

impl Postman {
    fn work(&self, letters: &Receiver<String>) {
        while let Ok(text) = letters.recv() {
            let result = self.deliver(&text);
            self.desk.done(&self.name, &text, result);
        }
    }

    fn deliver(&self, text: &str) -> Result<(), String> {
        let url = self.mailbox.url.as_ref().map_err(Clone::clone)?;
        let place = Place::parse(url).map_err(|why| format!("its webhook is not right: {why}"))?;
        let mut pauses = PAUSES.iter();
        loop {
            let why = match self.attempt(&place, text) {
                Ok(200..=299) => return Ok(()),
                // Asking again would not make it right.
                Ok(status @ (400..=407 | 409..=428 | 430..=499)) => {
                    return Err(format!("its webhook answered with status {status}"));
                }
                Ok(status) => format!("its webhook answered with status {status}"),
                Err(why) => why,
            };
            match pauses.next() {
                Some(pause) if self.desk.pause(*pause) => {}
                _ => return Err(why),
            }
        }
    }

    fn attempt(&self, place: &Place, text: &str) -> Result<u16, String> {
        let Origin { run, environment, project } = &self.from;
        let (kind, body) = match self.mailbox.kind {
            ChannelKind::Slack => ("application/json", json!({ "text": text }).to_string()),
            ChannelKind::Json => {
                let body = json!({ "text": text, "run": run, "environment": environment, "project": project });
                ("application/json", body.to_string())
            }
            ChannelKind::Plain => ("text/plain; charset=utf-8", text.to_owned()),
        };
        let headers = vec![("Content-Type".to_owned(), kind.to_owned())];
        let message = Message { method: "POST", headers, body: body.into_bytes(), limit: ATTEMPT };
        send(place, &message).map(|answer| answer.status)
    }
}
