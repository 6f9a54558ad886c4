//! Why an effect has no reply, told apart by what is known of the host.

use crate::id::HostName;

/// Why an effect failed. Serves the state a run ends in: only [`EffectError::Lost`], [`EffectError::Left`] and
/// [`EffectError::InDoubt`] leave it open whether the effect took place.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[expect(missing_docs, reason = "the sentence of each variant tells what its fields are")]
pub enum EffectError {
    /// No connection was made: nothing happened.
    #[error("{host} cannot be reached: {reason}")]
    Unreachable { host: HostName, reason: String, help: Option<String> },
    /// The host is there, and does not let us work on it: nothing happened.
    #[error("{host} does not let us in: {reason}")]
    Denied { host: HostName, reason: String, help: Option<String> },
    /// The connection went away while the effect was under way; asking again may settle it.
    #[error("lost the connection to {host}: {reason}")]
    Lost { host: HostName, reason: String },
    /// The host itself does not know whether it took place.
    #[error("it is not known whether it took place on {host}: {reason}")]
    InDoubt { host: HostName, reason: String },
    /// The host answered that it could not.
    #[error("{message}")]
    Failed { message: String, stderr: String, code: Option<i32> },
    /// It did not end in time, and was ended.
    #[error("{message}")]
    Timeout { message: String, stderr: String },
    /// The host was shown a later holder of the lock: nothing happened, and nothing will.
    #[error("{host} takes no changes from this run any more: the lock is held as epoch {shown} by now")]
    Fenced { host: HostName, shown: String },
    /// An unfinished run under another lock has changed the same thing: nothing happened.
    #[error(
        "{path} on {host} was changed by the run {run} of {by}, which has not ended: undoing one of the two would undo the other"
    )]
    Claimed { host: HostName, path: String, run: String, lock: String, by: String },
    /// What is to be undone is not as the run left it, nor as it was before: nothing was overwritten.
    #[error(
        "{path} on {host} was changed by somebody else: it is {}, and the step made it {}; it was not overwritten",
        said(now),
        said(made)
    )]
    Drifted { host: HostName, path: String, now: String, made: String },
    /// The run was asked to stop before it began.
    #[error("stopped before it began: the run was interrupted")]
    Interrupted,
    /// The run stopped waiting for it: it goes on there, and asking again settles it.
    #[error("the run stopped while this was under way on {host}, where it may go on")]
    Left { host: HostName },
    /// What stands behind this mode has no such effect.
    #[error("{0}")]
    Unsupported(String),
}

/// What stands at a path, as hosts say it, in a sentence.
fn said(what: &str) -> String {
    let (kind, rest) = what.split_once(' ').unwrap_or((what, ""));
    let rest = rest.trim_end();
    match kind {
        "file" => format!("a file with sha256 {}", rest.get(..12).unwrap_or(rest)),
        "link" => format!("a link to {rest}"),
        "holding" => format!("a directory in which {rest} was put or changed since"),
        "directory" => "a directory".to_owned(),
        "tree" => "one with what was sent".to_owned(),
        "absent" => "not there".to_owned(),
        "unpacked" => format!("the archive with sha256 {}", rest.get(..12).unwrap_or(rest)),
        "attributes" => format!("of mode, owner and group {rest}"),
        _ => "something else".to_owned(),
    }
}

impl EffectError {
    /// A refusal by the host without more to say.
    #[must_use]
    pub fn failed(message: impl Into<String>) -> Self {
        Self::Failed { message: message.into(), stderr: String::new(), code: None }
    }
}
