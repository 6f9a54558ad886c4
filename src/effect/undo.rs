//! What is on record to undo one change: data, so that any later process can do it.

use super::Invocation;
use crate::id::{Digest, SaveId};
use serde::{Deserialize, Serialize};

/// What undoing a step may overwrite that is neither what the step made nor what was there before it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overwrite {
    /// Nothing: that is refused.
    #[default]
    Nothing,
    /// What later steps of the run made on top of it, since they are undone as well.
    OwnRun,
    /// The same; and in directories, whatever came there: the run may have put it there as another user, or by what it asked.
    OwnLogins,
    /// Whatever is there.
    Anything,
}

/// What a change rests on: it is not made when something else is there by then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// Nothing is at the path.
    Absent,
    /// A file of this content is.
    File(Digest),
}

/// The recorded undo of one change, or what must follow once the changes of its group are undone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "undo", rename_all = "snake_case")]
pub enum Compensation {
    /// Put back what the host kept under this name. Where it kept nothing, nothing was changed.
    Restore {
        /// The name.
        save: SaveId,
    },
    /// Stop again, now, a service that did not run before; restart on its old files, later, one that did.
    RestoreService {
        /// The name under which the host kept its state.
        save: SaveId,
    },
    /// A command that undoes another, as the script's `undo:` says.
    Command {
        /// The command.
        command: Invocation,
        /// The receipt of the one that it undoes: when that never began, there is nothing to undo.
        #[serde(default)]
        of: Option<SaveId>,
    },
    /// A command to repeat once the files are back, as the script's `again: "safe"` says.
    Again {
        /// The command.
        command: Invocation,
        /// The receipt of its first time.
        #[serde(default)]
        of: Option<SaveId>,
    },
    /// End a command that may still run, when how it ended is not on record.
    End {
        /// Its receipt.
        receipt: SaveId,
    },
    /// Restart a host again once the files are back: what it runs on may have been changed by what is undone.
    Reboot {
        /// The name of the restart that it follows: when that never began, there is nothing to repeat.
        of: SaveId,
        /// Milliseconds in which it must be back.
        within_millis: u64,
        /// What those who are logged in there are told.
        #[serde(default)]
        message: Option<String>,
    },
    /// A health check to hold again once what ran before runs again.
    Check {
        /// The primitive.
        op: String,
        /// Its arguments, without what only the new release fulfils.
        args: serde_json::Value,
    },
    /// The closure of an `on_undo` or of a step's `undo`: found again by replaying the stored script.
    Closure {
        /// What the script says it is for.
        name: String,
    },
}
