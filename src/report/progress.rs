//! The report while it happens: lines as steps end, and on a terminal one moving line for each step under way, with a bar
//! for what is sent, and one for all that do not fit.

use super::duration::clock;
use super::style::{Paint, Plain, Tone, plain};
use super::text::{Counts, TextReport, Wordiness};
use crate::event::{Event, Watcher};
use crate::id::{HostName, SaveId, StepKey};
use crate::journal::{Entry, Record};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Where the report goes.
pub enum Where {
    /// A terminal: moving lines below the fixed ones, so many at most.
    Terminal {
        /// Lines.
        most: usize,
    },
    /// Anything else: plain lines.
    Stream(Box<dyn Write + Send>),
}

/// Shows a run as it goes.
pub struct LiveReport {
    inner: Mutex<Inner>,
    paint: Paint,
    width: usize,
    /// What commands print is shown line by line.
    prints: bool,
}

struct Inner {
    text: TextReport,
    out: Option<Box<dyn Write + Send>>,
    bars: MultiProgress,
    most: usize,
    busy: BTreeMap<StepKey, Busy>,
    /// The line for the steps that have none of their own.
    rest: Option<ProgressBar>,
}

/// A step under way.
struct Busy {
    host: HostName,
    op: String,
    bar: Option<ProgressBar>,
    sends: bool,
    /// The beginning of a line whose end was not printed yet, of each stream.
    begun: [String; 2],
}

impl LiveReport {
    /// Shows lines of this report there; hosts' names take `width` columns.
    #[must_use]
    pub fn new(text: TextReport, place: Where, paint: Paint, width: usize) -> Self {
        let (out, most, target) = match place {
            Where::Terminal { most } => (None, most.max(1), ProgressDrawTarget::stderr_with_hz(12)),
            Where::Stream(out) => (Some(out), 0, ProgressDrawTarget::hidden()),
        };
        let bars = MultiProgress::with_draw_target(target);
        let prints = text.wordiness() == Wordiness::Wordy;
        let inner = Inner { text, out, bars, most, busy: BTreeMap::new(), rest: None };
        Self { inner: Mutex::new(inner), paint, width: width.max(4), prints }
    }

    /// Takes note of the steps that began before this report did.
    pub fn know(&self, records: &[Record]) {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).text.know(records);
    }

    /// How many steps ended how.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).text.counts()
    }

    /// Does something on the terminal while nothing moves there: asking a person.
    pub fn aside<T>(&self, work: impl FnOnce() -> T) -> T {
        let bars = self.inner.lock().unwrap_or_else(PoisonError::into_inner).bars.clone();
        bars.suspend(work)
    }

    /// Takes the moving lines away.
    pub fn close(&self) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.busy.clear();
        inner.rest = None;
        // What cannot be cleared from a terminal that went away does no harm.
        let _ = inner.bars.clear();
    }

    fn message(&self, host: &HostName, op: &str, text: &str) -> String {
        let line: String = plain(text).lines().next().unwrap_or_default().chars().take(90).collect();
        let host = if host.is_controller() { "-" } else { host.as_str() };
        let text = format!("{host:<width$}  {op:<15} {}", self.paint.tone(Tone::Faint, &line), width = self.width);
        Plain::of(&text).to_string()
    }

    /// A line of a command that still runs.
    fn printed(&self, inner: &mut Inner, host: &HostName, receipt: &SaveId, is_error: bool, text: &str) {
        let found = inner.busy.iter_mut().find(|(key, busy)| busy.host == *host && key.owns(receipt));
        let Some((_, busy)) = found else { return };
        let begun = &mut busy.begun[usize::from(is_error)];
        begun.push_str(text);
        let (whole, rest) = begun.rsplit_once('\n').unwrap_or(("", begun.as_str()));
        let last = if rest.trim().is_empty() { whole.lines().last().unwrap_or_default() } else { rest };
        if let Some(bar) = &busy.bar {
            bar.set_message(self.message(host, &busy.op, last));
        }
        let lines: Vec<String> = whole.lines().map(|line| self.output_line(host, line)).collect();
        *begun = rest.to_owned();
        if self.prints {
            lines.iter().for_each(|line| inner.print(line));
        }
    }

    fn output_line(&self, host: &HostName, line: &str) -> String {
        let text = self.paint.tone(Tone::Faint, &format!("| {}", plain(line)));
        format!("{host:<width$}  {text}", width = self.width)
    }
}

impl Watcher for LiveReport {
    fn see(&self, event: &Event) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Recorded { record, .. } => {
                if let Entry::Succeeded { key, .. } | Entry::Failed { key, .. } = &record.entry
                    && let Some(busy) = inner.finish(key)
                    && self.prints
                {
                    let left = busy.begun.iter().filter(|text| !text.is_empty());
                    left.map(|text| self.output_line(&busy.host, text)).for_each(|line| inner.print(&line));
                }
                for line in inner.text.lines(record) {
                    inner.print(&line);
                }
            }
            Event::Began { key, host, op, summary } => inner.begin(key, host, op, self.message(host, op, summary)),
            Event::Ended { key } => drop(inner.finish(key)),
            Event::Forked { .. } | Event::Invariant(_) => {}
            Event::Progress { key, host, text } => {
                if let Some(Busy { bar: Some(bar), .. }) = inner.busy.get(key) {
                    bar.set_message(self.message(host, "waiting", text));
                }
            }
            Event::Printed { host, receipt, is_error, text, .. } => self.printed(&mut inner, host, receipt, *is_error, text),
            Event::Missed { records, printed } => {
                let left_out =
                    format!("-- left out here: {records} records, {printed} bytes of output; `windlass show` has them");
                inner.print(&self.paint.tone(Tone::Faint, &left_out));
            }
            Event::Beside { host, run, by, since } => {
                let told = format!(
                    "-- {host} is being changed by the run {} of {} as well, since {} UTC",
                    plain(run),
                    plain(by),
                    clock(*since)
                );
                inner.print(&self.paint.tone(Tone::Strong, &told));
            }
            Event::Sent { host, save, sent, size } => inner.sent(host, save, *sent, *size),
        }
    }
}

impl Inner {
    fn print(&mut self, line: &str) {
        let line = Plain::of(line).to_string();
        // A report that cannot be shown does not stop a deploy.
        let _ = match &mut self.out {
            Some(out) => writeln!(out, "{line}").and_then(|()| out.flush()),
            None => self.bars.println(line),
        };
    }

    fn begin(&mut self, key: &StepKey, host: &HostName, op: &str, message: String) {
        let shown = self.busy.values().filter(|busy| busy.bar.is_some()).count();
        let bar = (shown < self.most).then(|| self.add_line("{spinner} {msg} {elapsed}", message));
        let busy = Busy { host: host.clone(), op: op.to_owned(), bar, sends: false, begun: [String::new(), String::new()] };
        self.busy.insert(key.clone(), busy);
        self.tell_of_the_rest();
    }

    fn add_line(&self, template: &str, message: String) -> ProgressBar {
        let bar = ProgressBar::new_spinner();
        // The line for the rest stays the last one.
        let bar = match &self.rest {
            Some(rest) => self.bars.insert_before(rest, bar),
            None => self.bars.add(bar),
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(message);
        bar.enable_steady_tick(Duration::from_millis(120));
        bar
    }

    fn sent(&mut self, host: &HostName, save: &SaveId, sent: u64, size: u64) {
        let found = self.busy.iter_mut().find(|(key, busy)| busy.host == *host && key.owns(save));
        let Some((_, Busy { bar: Some(bar), sends, .. })) = found else { return };
        if !*sends {
            *sends = true;
            let template = "{spinner} {msg} [{bar:20}] {bytes}/{total_bytes} {bytes_per_sec} {eta}";
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style.progress_chars("=> "));
            }
        }
        bar.set_length(size);
        bar.set_position(sent);
    }

    fn finish(&mut self, key: &StepKey) -> Option<Busy> {
        let busy = self.busy.remove(key)?;
        if let Some(bar) = &busy.bar {
            bar.finish_and_clear();
            self.bars.remove(bar);
        }
        self.tell_of_the_rest();
        Some(busy)
    }

    /// How many steps have no line of their own, and what they do.
    fn tell_of_the_rest(&mut self) {
        if self.out.is_some() {
            return;
        }
        let mut ops: BTreeMap<&str, usize> = BTreeMap::new();
        for busy in self.busy.values().filter(|busy| busy.bar.is_none()) {
            *ops.entry(&busy.op).or_default() += 1;
        }
        if ops.is_empty() {
            if let Some(rest) = self.rest.take() {
                rest.finish_and_clear();
                self.bars.remove(&rest);
            }
            return;
        }
        let all: usize = ops.values().sum();
        let each: Vec<String> = ops.iter().map(|(op, count)| format!("{op} {count}")).collect();
        let message = format!("and {all} more: {}", each.join(", "));
        match &self.rest {
            Some(rest) => rest.set_message(message),
            None => self.rest = Some(self.add_line("{spinner} {msg}", message)),
        }
    }
}
