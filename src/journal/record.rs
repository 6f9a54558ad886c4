//! What is written down. A record is never changed; a new version of the format gets a new number, and readers read
//! every older one.

use crate::effect::{Compensation, Postcondition};
use crate::id::{HostName, StepKey};
use crate::step::{Command, Outcome, StepError};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The version that is written.
pub const RECORD_VERSION: u32 = 2;

/// One entry with its place and time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The format's version.
    pub version: u32,
    /// Its number within the run, from 1.
    pub seq: u64,
    /// Milliseconds since 1970-01-01 UTC.
    pub at: i64,
    /// What happened.
    #[serde(flatten)]
    pub entry: Entry,
}

/// What a record says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[expect(missing_docs, reason = "the sentence of each variant tells what its fields are")]
pub enum Entry {
    /// The run began; what it was given is stored beside the journal.
    RunStarted { info: StartInfo },
    /// A step is about to change something, or has looked.
    Started {
        key: StepKey,
        #[serde(flatten)]
        command: Command,
        summary: String,
    },
    /// How one change of a step is undone; written before the change.
    Compensation {
        key: StepKey,
        n: u32,
        #[serde(flatten)]
        undo: Compensation,
        /// What holds once the change is made.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        makes: Vec<Postcondition>,
    },
    /// A step ended well.
    Succeeded {
        key: StepKey,
        output: Value,
        outcome: Outcome,
        millis: u64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        diff: Option<String>,
    },
    /// A step failed.
    Failed { key: StepKey, error: StepError, millis: u64 },
    /// A group of steps began.
    GroupEntered { key: StepKey, group: Group },
    /// A group of steps was left, by its end or by a failure. Of one task a host: those whose task failed or was not begun.
    GroupLeft {
        key: StepKey,
        failed: bool,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        missed: Vec<HostName>,
    },
    /// The run is in another phase; with the steps of which it is not known whether they took effect.
    Phase {
        phase: RunPhase,
        why: String,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        doubts: Vec<StepKey>,
    },
    /// A compensation begins.
    UndoStarted { key: StepKey, n: u32, part: Part },
    /// A compensation is done; whether there was anything to do.
    Undone { key: StepKey, n: u32, part: Part, changed: bool },
    /// A compensation failed, or its host could not be reached.
    UndoFailed { key: StepKey, n: u32, part: Part, error: StepError },
    /// A person has given up undoing a step or closing a bracket, for this reason.
    Settled { key: StepKey, how: String },
    /// A person has decided about a step that cannot decide itself.
    Decided { key: StepKey, decision: Decision, reason: String, by: String },
    /// A bracket's opening begins; written before it.
    ObligationOpened { key: StepKey, name: String, when_halted: WhenHalted },
    /// A bracket is open.
    ObligationHeld { key: StepKey },
    /// A bracket is closed: nothing of it is owed.
    ObligationDischarged { key: StepKey },
    /// Opening or closing a bracket failed.
    ObligationFailed { key: StepKey, side: BracketSide, error: StepError },
    /// The run goes on with a mended script, which asks for the same as all that is recorded.
    ScriptReplaced { bundle: crate::id::Digest, by: String },
    /// The run ended.
    RunEnded {
        state: RunPhase,
        exit: u8,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<StepError>,
    },
}

impl Entry {
    /// Another phase, with nothing in doubt.
    #[must_use]
    pub fn phase(phase: RunPhase, why: impl Into<String>) -> Self {
        Self::Phase { phase, why: why.into(), doubts: Vec::new() }
    }

    /// How a change is undone of which nothing simple holds afterwards.
    #[must_use]
    pub fn compensation(key: StepKey, n: u32, undo: Compensation) -> Self {
        Self::Compensation { key, n, undo, makes: Vec::new() }
    }
}

/// What a run was given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StartInfo {
    /// The environment's name.
    pub environment: String,
    /// The script's name.
    pub script: String,
    /// The digest of all sources that it can import.
    pub bundle: crate::id::Digest,
    /// Who started it, as `user@machine`.
    pub by: String,
}

/// A group of steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "group", rename_all = "snake_case")]
pub enum Group {
    /// `step "name" { .. }`.
    Step {
        /// Its name.
        name: String,
    },
    /// `attempt(|| ..)`: undone to its start when it fails.
    Attempt,
    /// `bracket("name", ..)`, `maintenance(..)`, `muted(..)`: something is opened before, and closed afterwards whatever happens.
    Bracket {
        /// What is open meanwhile.
        name: String,
    },
    /// `parallel` or `rolling`: one task a host, batch after batch.
    Fork {
        /// The construct's word.
        word: String,
        /// The hosts of each batch.
        batches: Vec<Vec<HostName>>,
    },
}

/// What a person decided about a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// It is in doubt, and is taken as done.
    AssumeDone,
    /// It is in doubt, and is done again.
    Again,
    /// It could not be undone, and somebody has undone it by hand.
    MarkDone,
}

/// What becomes of an open bracket when a run halts behind its point of no return, or as its script asks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhenHalted {
    /// It is closed.
    #[default]
    Leave,
    /// It stays open, on record, until `settle`.
    Keep,
}

/// A bracket's opening or its closing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BracketSide {
    /// Its opening.
    Enter,
    /// Its closing.
    Leave,
}

impl BracketSide {
    /// The word for it, also in the paths of tasks.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Enter => "enter",
            Self::Leave => "leave",
        }
    }
}

/// A compensation has a part in reverse order, and may have one that waits until the files are back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Putting back what was there.
    Restore,
    /// What follows: a restart on the old files.
    Follow,
    /// That it is well again then.
    Health,
}

/// The state of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunPhase {
    /// Steps are performed.
    Running,
    /// It waits for an approval or a window.
    Suspended,
    /// It was asked to stop, or a step is in doubt: to be resumed or unwound.
    Interrupted,
    /// It failed, and changes are being undone.
    Unwinding,
    /// A compensation failed: a person has to look.
    Stuck,
    /// It ended as asked.
    Succeeded,
    /// It failed, and what was there is restored (hosts that could not be reached aside).
    Unwound,
    /// It failed and was left as it is, as the script asked.
    Halted,
    /// A gate refused before anything was changed.
    Refused,
}

impl RunPhase {
    /// Whether nothing more will happen by itself or by `resume`.
    #[must_use]
    pub fn is_ended(self) -> bool {
        matches!(self, Self::Succeeded | Self::Unwound | Self::Halted | Self::Refused)
    }

    /// The word for people and for JSON.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Suspended => "suspended",
            Self::Interrupted => "interrupted",
            Self::Unwinding => "unwinding",
            Self::Stuck => "stuck",
            Self::Succeeded => "succeeded",
            Self::Unwound => "unwound",
            Self::Halted => "halted",
            Self::Refused => "refused",
        }
    }
}
