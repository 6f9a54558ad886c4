//! `windlass show RUN --verify`: whether a run's journal is what was written, by its hash chain and by what its hosts kept of it.

use super::args::Format;
use super::error::CliError;
use super::printer::Printer;
use super::settings::agent;
use crate::effect::{Anchor, Login};
use crate::event::{Event, Watcher};
use crate::id::{LockName, RunId};
use crate::interp::People;
use crate::journal::{Entry, Record, RunState};
use crate::ledger::{Against, Chain, Locks, RunRow, StoredRun};
use crate::report::Tone;
use crate::run::{anchors, live_stack_with};
use crate::stop::Stop;
use crate::transport::{Credentials, Passphrases, Password};
use serde_json::json;
use std::sync::Arc;

/// What was found.
#[derive(Default)]
struct Verdict {
    /// What is wrong.
    findings: Vec<String>,
    /// What holds, or could not be looked at.
    notes: Vec<(String, String)>,
    /// Logins that could not be asked.
    unasked: Vec<String>,
    /// Logins whose anchor was held against the chain.
    held: usize,
}

pub(super) fn verify(ledger: &dyn Locks, row: &RunRow, password: Password, printer: &Printer) -> Result<u8, CliError> {
    let links = ledger.links(&row.id)?;
    let mut verdict = Verdict::default();
    let chain = match Chain::verify(&row.id, &links) {
        Ok(chain) => Some(chain),
        Err(altered) => {
            verdict.findings.push(format!("altered at record {}", altered.record));
            None
        }
    };
    if let Some(chain) = &chain {
        verdict.counted(row, chain);
        let records = ledger.records(&row.id)?;
        let stored = ledger.stored(&row.id)?;
        verdict.compared(&records, &stored);
        // Where anything may have been kept: reading leaves nothing behind.
        let state = RunState::read(&records).map_err(|illegal| CliError::input(illegal.to_string()))?;
        let effects = live_stack_with(credentials(password), People::default(), None)(
            &stored,
            // Of a name of its own: this is not the run, and must not be taken for a new holder of what it left on hosts.
            &RunId::new("verify", "only"),
            Stop::default(),
            Arc::new(Nobody),
        );
        let lock = LockName::new(&ledger.name()?, &row.environment);
        for (login, kept) in anchors(effects.as_ref(), &state.logins_changed(), &lock, &row.id) {
            verdict.asked(chain, &login, kept);
        }
    }
    Ok(verdict.tell(row, chain.as_ref(), links.len(), printer))
}

fn credentials(password: Password) -> Credentials {
    Credentials { password, passphrases: Passphrases::default(), agent: agent() }
}

impl Verdict {
    /// Against the list of runs, which counts records, too.
    fn counted(&mut self, row: &RunRow, chain: &Chain) {
        if row.records > chain.records() {
            self.findings.push(format!(
                "truncated: the ledger's list of runs says {} records, its journal has {}",
                row.records,
                chain.records()
            ));
        }
    }

    /// The script that is kept beside the journal against the one that the run began with.
    fn compared(&mut self, records: &[Record], stored: &StoredRun) {
        let last = records.iter().rev().find_map(|record| match &record.entry {
            Entry::RunStarted { info } => Some(&info.bundle),
            Entry::ScriptReplaced { bundle, .. } => Some(bundle),
            _ => None,
        });
        if last.is_some_and(|bundle| *bundle != stored.bundle_digest()) {
            self.findings.push("the script that is kept with the run is not the one that its journal names".to_owned());
        }
    }

    /// Against what a host kept.
    fn asked(&mut self, chain: &Chain, at: &Login, kept: Result<Option<Anchor>, String>) {
        let name = at.to_string();
        let anchor = match kept {
            Ok(Some(anchor)) => anchor,
            Ok(None) => return self.notes.push((name, "keeps no anchor of this run".to_owned())),
            Err(why) => {
                self.unasked.push(name.clone());
                return self.notes.push((name, format!("could not be asked: {why}")));
            }
        };
        self.held += 1;
        let (records, has) = (anchor.records, chain.records());
        match chain.against(&anchor) {
            Against::Same => self.notes.push((name, format!("has the same head, at record {records}"))),
            Against::Longer(more) => {
                let note =
                    format!("longer than the anchor on {name}: {more} records follow record {records}; the run went on after it");
                self.notes.push((name, note));
            }
            Against::Truncated => {
                self.findings.push(format!("truncated: the anchor on {name} says {records} records, the ledger has {has}"));
            }
            Against::Rewritten => self.findings.push(format!(
                "altered at or before record {records}: the anchor on {name} has the head {} there; the chain was written anew",
                anchor.head
            )),
        }
    }

    fn tell(&self, row: &RunRow, chain: Option<&Chain>, records: usize, printer: &Printer) -> u8 {
        let (head, exit) = (chain.and_then(Chain::head), u8::from(!self.findings.is_empty()));
        let word = if exit == 0 { "intact" } else { "findings" };
        if printer.format == Format::Json {
            printer.json(&json!({
                "event": "verified", "run": row.id, "verdict": word, "records": records, "journal_head": head, "findings": self.findings,
                "anchors": self.held, "unasked": self.unasked,
                "notes": self.notes.iter().map(|(login, note)| json!({"login": login, "note": note})).collect::<Vec<_>>(),
            }));
            return exit;
        }
        let paint = printer.out_paint;
        printer.data(&format!(
            "run {}: {records} records{}",
            row.id,
            head.map(|head| format!(", head {head}")).unwrap_or_default()
        ));
        let width = self.notes.iter().map(|(login, _)| login.len()).max().unwrap_or(0);
        for (login, note) in &self.notes {
            printer.data(&format!("  {login:<width$}  {note}"));
        }
        for finding in &self.findings {
            printer.data(&paint.tone(Tone::Bad, finding));
        }
        if exit == 0 {
            printer.data(&format!("{}: {}", paint.tone(Tone::Good, word), self.scope()));
        }
        exit
    }

    /// What the verdict rests on.
    fn scope(&self) -> String {
        let anchors = match self.held {
            0 => "no host's anchor could be held against it, so an end that was cut off would not show".to_owned(),
            1 => "the chain holds, and 1 anchor agrees".to_owned(),
            held => format!("the chain holds, and {held} anchors agree"),
        };
        if self.unasked.is_empty() { anchors } else { format!("{anchors}; not asked: {}", self.unasked.join(", ")) }
    }
}

struct Nobody;

impl Watcher for Nobody {
    fn see(&self, _: &Event) {}
}
