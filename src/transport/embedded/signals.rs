//! Signals by the names that SSH (RFC 4254, 6.10) and unit files have for them.

use super::wire::Ending;
use rustix::process::{Signal, WaitStatus};

const NAMES: [(&str, Signal); 14] = [
    ("ABRT", Signal::ABORT),
    ("ALRM", Signal::ALARM),
    ("CONT", Signal::CONT),
    ("FPE", Signal::FPE),
    ("HUP", Signal::HUP),
    ("ILL", Signal::ILL),
    ("INT", Signal::INT),
    ("KILL", Signal::KILL),
    ("PIPE", Signal::PIPE),
    ("QUIT", Signal::QUIT),
    ("SEGV", Signal::SEGV),
    ("TERM", Signal::TERM),
    ("USR1", Signal::USR1),
    ("USR2", Signal::USR2),
];

/// The signal with this name, with or without `SIG`, or this number.
pub(crate) fn parse(text: &str) -> Option<Signal> {
    let name = text.strip_prefix("SIG").unwrap_or(text);
    let named = NAMES.iter().find(|(known, _)| *known == name).map(|(_, signal)| *signal);
    named.or_else(|| Signal::from_named_raw(text.parse().ok()?))
}

/// The name of a signal without `SIG`, or its number.
pub(crate) fn name(number: i32) -> String {
    let named = NAMES.iter().find(|(_, signal)| signal.as_raw() == number);
    named.map_or_else(|| number.to_string(), |(name, _)| (*name).to_owned())
}

impl Ending {
    pub(crate) fn of(status: WaitStatus) -> Self {
        match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => Self::Exited(code),
            (None, Some(signal)) => Self::Killed(signal),
            (None, None) => Self::Exited(255),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_both_read() {
        assert_eq!(parse("SIGTERM"), Some(Signal::TERM));
        assert_eq!(parse("HUP"), Some(Signal::HUP));
        assert_eq!(parse("9"), Some(Signal::KILL));
        assert_eq!(parse("NOPE"), None);
        assert_eq!(name(15), "TERM");
    }
}
