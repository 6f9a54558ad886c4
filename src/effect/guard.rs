//! What is asked of a host that restores itself unless a change is confirmed over a new connection.

use super::Invocation;
use crate::id::SaveId;
use serde::{Deserialize, Serialize};

/// A part of guarding a block of changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "snake_case")]
pub enum GuardAct {
    /// A timer is started on the host, which survives the connection: when it is over, it restores what the host kept since.
    Arm {
        /// The guard's name.
        save: SaveId,
        /// Seconds until it restores.
        seconds: u64,
    },
    /// Beside what it keeps, the host is told how a command is undone.
    Undo {
        /// The receipt of the command: when that never began, there is nothing to undo.
        receipt: SaveId,
        /// What undoes it.
        command: Invocation,
    },
    /// And which command is to be repeated once that is restored.
    Again {
        /// The receipt of its first time.
        receipt: SaveId,
        /// The command.
        command: Invocation,
    },
    /// The timer is ended, over a connection that is made for it; unless it was quicker.
    Confirm {
        /// The guard's name.
        save: SaveId,
        /// Seconds that it was armed for.
        seconds: u64,
    },
}
