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

/// Takes notice of signals that this process was told to ignore, as under `nohup`, so that what it starts does not ignore them as
/// well: a program begins with those ignored that its parent ignores, and with the usual answer to those that its parent handles.
///
/// Must be called within a runtime.
pub(crate) fn take_notice() {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("SigIgn:")?.trim(), 16).ok());
    for (name, signal) in NAMES {
        let bit = u32::try_from(signal.as_raw() - 1).unwrap_or_default();
        // A broken pipe is ignored by every Rust program, and never by what it starts.
        if name != "PIPE" && ignored.unwrap_or(0) >> bit & 1 == 1 {
            // Some cannot be had.
            let _ = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::from_raw(signal.as_raw()));
        }
    }
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
