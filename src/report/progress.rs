//! The report while it happens: lines as steps end, and on a terminal one moving line for each host at work.

use super::style::{Paint, Tone, plain};
use super::text::{Counts, TextReport};
use crate::event::{Event, Watcher};
use crate::id::{HostName, StepKey};
use crate::journal::{Entry, Record};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Where the report goes.
pub enum Where {
    /// A terminal: moving lines below the fixed ones.
    Terminal,
    /// Anything else: plain lines.
    Stream(Box<dyn Write + Send>),
}

/// Moving lines that are shown at once; of more hosts only a count is.
const MOST_LINES: usize = 16;

/// Shows a run as it goes.
pub struct LiveReport {
    inner: Mutex<Inner>,
    paint: Paint,
    width: usize,
}

struct Inner {
    text: TextReport,
    out: Option<Box<dyn Write + Send>>,
    bars: MultiProgress,
    busy: BTreeMap<StepKey, (HostName, Option<ProgressBar>)>,
}

impl LiveReport {
    /// Shows lines of this report there; hosts' names take `width` columns.
    #[must_use]
    pub fn new(text: TextReport, place: Where, paint: Paint, width: usize) -> Self {
        let (out, target) = match place {
            Where::Terminal => (None, ProgressDrawTarget::stderr_with_hz(12)),
            Where::Stream(out) => (Some(out), ProgressDrawTarget::hidden()),
        };
        let bars = MultiProgress::with_draw_target(target);
        Self { inner: Mutex::new(Inner { text, out, bars, busy: BTreeMap::new() }), paint, width }
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

    /// Takes the moving lines away.
    pub fn close(&self) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.busy.clear();
        // What cannot be cleared from a terminal that went away does no harm.
        let _ = inner.bars.clear();
    }

    fn message(&self, host: &HostName, op: &str, text: &str) -> String {
        let line: String = plain(text).lines().next().unwrap_or_default().chars().take(90).collect();
        let host = if host.is_controller() { "-" } else { host.as_str() };
        format!("{host:<width$}  {op:<15} {}", self.paint.tone(Tone::Faint, &line), width = self.width)
    }
}

impl Watcher for LiveReport {
    fn see(&self, event: &Event) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Recorded { record, .. } => {
                if let Entry::Succeeded { key, .. } | Entry::Failed { key, .. } = &record.entry {
                    inner.finish(key);
                }
                for line in inner.text.lines(record) {
                    inner.print(&line);
                }
            }
            Event::Began { key, host, op, summary } => inner.begin(key, host, self.message(host, op, summary)),
            Event::Ended { key } => inner.finish(key),
            Event::Progress { key, host, text } => {
                if let Some((_, Some(bar))) = inner.busy.get(key) {
                    bar.set_message(self.message(host, "waiting", text));
                }
            }
        }
    }
}

impl Inner {
    fn print(&mut self, line: &str) {
        // A report that cannot be shown does not stop a deploy.
        let _ = match &mut self.out {
            Some(out) => writeln!(out, "{line}").and_then(|()| out.flush()),
            None => self.bars.println(line),
        };
    }

    fn begin(&mut self, key: &StepKey, host: &HostName, message: String) {
        let shown = self.busy.values().filter(|(_, bar)| bar.is_some()).count();
        let bar = (self.out.is_none() && shown < MOST_LINES).then(|| {
            let bar = self.bars.add(ProgressBar::new_spinner());
            if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
                bar.set_style(style);
            }
            bar.set_message(message);
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        self.busy.insert(key.clone(), (host.clone(), bar));
    }

    fn finish(&mut self, key: &StepKey) {
        if let Some((_, Some(bar))) = self.busy.remove(key) {
            bar.finish_and_clear();
            self.bars.remove(&bar);
        }
    }
}
