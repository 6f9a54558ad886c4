//! The people behind a run: questions are answered by `--answer`, or on the terminal; messages go to the channels of the
//! project and the environment.

use super::args::Answer;
use crate::effect::Question;
use crate::fleet::{Channels, Webhook};
use crate::interp::{Answers, Mailbox, NoAnswer, Origin, Outbox, People};
use crate::report::plain;
use crate::stop::Stop;
use std::io::{IsTerminal, Write};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How often what is no answer is asked for again.
const TRIES: usize = 3;

/// What is shown meanwhile stands aside for a question.
pub(super) type Aside = Arc<dyn Fn(&mut dyn FnMut()) + Send + Sync>;

/// The people of one run.
pub(super) fn people(answers: &[Answer], channels: &Channels, origin: Origin, interrupt: Stop, aside: Aside) -> People {
    let boxes = channels.iter().map(|(name, channel)| {
        let url = match &channel.webhook {
            Webhook::Url(url) => Ok(url.clone()),
            Webhook::Env(variable) => variable_of(variable),
        };
        (name.clone(), Mailbox { url, kind: channel.kind })
    });
    let desk = Desk { given: answers.to_vec(), interrupt, aside, one: Mutex::new(()) };
    People { answers: Some(Arc::new(desk)), outbox: Some(Arc::new(Outbox::new(boxes.collect(), origin))) }
}

#[expect(clippy::disallowed_methods, reason = "the command line reads the environment; the URL is a secret of the operator")]
fn variable_of(name: &str) -> Result<String, String> {
    match std::env::var(name) {
        Ok(url) if !url.is_empty() => Ok(url),
        _ => Err(format!("the environment variable {name} is not set")),
    }
}

struct Desk {
    given: Vec<Answer>,
    interrupt: Stop,
    aside: Aside,
    /// One question at a time.
    one: Mutex<()>,
}

impl Answers for Desk {
    fn answer(&self, question: &Question) -> Result<String, NoAnswer> {
        if let Some(Answer { value, .. }) = self.given.iter().rev().find(|answer| answer.name == question.name) {
            return Ok(value.clone());
        }
        if std::io::stdin().is_terminal() && std::io::stderr().is_terminal() {
            let _one = self.one.lock().unwrap_or_else(PoisonError::into_inner);
            let mut answer = Err(NoAnswer::Stopped);
            (self.aside)(&mut || answer = self.ask(question));
            return answer;
        }
        question.default.clone().ok_or_else(|| {
            let value = question.choices.first().map_or("VALUE", String::as_str);
            NoAnswer::Nobody(format!("there is no terminal to ask on; give it beforehand: --answer '{}={value}'", question.name))
        })
    }
}

impl Desk {
    fn ask(&self, question: &Question) -> Result<String, NoAnswer> {
        let default = question.default.as_ref().map(|text| format!(" [{text}]")).unwrap_or_default();
        let choices = if question.choices.is_empty() { String::new() } else { format!(" ({})", question.choices.join(", ")) };
        for _ in 0..TRIES {
            // A prompt that cannot be shown is answered by what is typed all the same.
            let _ = write!(std::io::stderr(), "{}{}: ", plain(&format!("{}{choices}", question.text)), plain(&default));
            let typed = self.line()?;
            let answer = if typed.is_empty() { question.default.clone().unwrap_or(typed) } else { typed };
            let fits = question.choices.is_empty() || question.choices.contains(&answer);
            if fits && !answer.is_empty() {
                return Ok(answer);
            }
            let _ = writeln!(std::io::stderr(), "that is no answer");
        }
        Err(NoAnswer::Nobody(format!("{TRIES} times something else was typed")))
    }

    /// A line of the terminal; it is not waited for once the run is to stop.
    fn line(&self) -> Result<String, NoAnswer> {
        let (tell, told) = channel();
        std::thread::spawn(move || {
            let mut line = String::new();
            let read = std::io::stdin().read_line(&mut line).map(|n| (n > 0).then(|| line.trim().to_owned()));
            // The run may have stopped meanwhile.
            let _ = tell.send(read);
        });
        loop {
            match told.recv_timeout(Duration::from_millis(100)) {
                Ok(Ok(Some(line))) => return Ok(line),
                Ok(Ok(None)) => return Err(NoAnswer::Nobody("the terminal was closed".to_owned())),
                Ok(Err(error)) => return Err(NoAnswer::Nobody(format!("the terminal cannot be read: {error}"))),
                Err(RecvTimeoutError::Timeout) if self.interrupt.is_stopped() => return Err(NoAnswer::Stopped),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(NoAnswer::Nobody("the terminal cannot be read".to_owned())),
            }
        }
    }
}
