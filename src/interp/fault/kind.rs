//! What can go wrong, and where: data.

use crate::id::{HostName, StepKey};
use serde::Serialize;
use std::fmt;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// The effect fails before it took effect.
    Fails,
    /// It takes effect, and the connection is cut before the answer came; the host can be reached again.
    Lost,
    /// The host goes away, and does not come back.
    Gone,
    /// The host goes away right after it took effect, and does not come back.
    GoneAfter,
    /// The host goes away, and is back once the run has ended.
    Away,
    /// The host goes away right after it took effect, boots, and is back once the run has ended.
    BootsLater,
    /// The host is restarted under way.
    Rebooted,
    /// A command does not end in time.
    Timeout,
    /// From here on, the host's disk has no room for what is new.
    Full,
    /// From here on, what was started on this host does not get well.
    Sick,
    /// From here on, what was started does not get well on any host.
    SickRelease,
    /// What was started is not well at the first look, and well later.
    Flaps,
    /// What was started ends by itself soon after.
    Dies,
    /// The controller is killed after it took effect, before anything more is on record.
    KilledAfter,
    /// The controller is killed when a record is on disk: before the effect that follows it, where one does.
    Killed,
    /// Another controller takes the lock over.
    Taken,
}

impl FaultKind {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::Fails,
        Self::Lost,
        Self::Gone,
        Self::GoneAfter,
        Self::Away,
        Self::BootsLater,
        Self::Rebooted,
        Self::Timeout,
        Self::Full,
        Self::Sick,
        Self::SickRelease,
        Self::Flaps,
        Self::Dies,
        Self::KilledAfter,
        Self::Killed,
        Self::Taken,
    ];

    /// The word for it, in names of scenarios and on the command line.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Fails => "fails",
            Self::Lost => "lost",
            Self::Gone => "gone",
            Self::GoneAfter => "gone-after",
            Self::Away => "away",
            Self::BootsLater => "boots-later",
            Self::Rebooted => "rebooted",
            Self::Timeout => "timeout",
            Self::Full => "full",
            Self::Sick => "sick",
            Self::SickRelease => "sick-release",
            Self::Flaps => "flaps",
            Self::Dies => "dies",
            Self::KilledAfter => "killed-after",
            Self::Killed => "killed",
            Self::Taken => "taken",
        }
    }

    /// The kind that a word stands for.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.word() == word)
    }

    /// What happens, in words.
    #[must_use]
    pub fn told(self) -> &'static str {
        match self {
            Self::Fails => "fails before it took effect",
            Self::Lost => "takes effect, and its answer is lost",
            Self::Gone => "the host goes away before it, for good",
            Self::GoneAfter => "takes effect, and the host goes away for good",
            Self::Away => "the host goes away before it, and is back when the run has ended",
            Self::BootsLater => "takes effect, and the host goes away, boots, and is back when the run has ended",
            Self::Rebooted => "the host is restarted under way",
            Self::Timeout => "does not end in time",
            Self::Full => "the disk of the host is full from here on",
            Self::Sick => "what it started does not get well on this host",
            Self::SickRelease => "what it started does not get well on any host",
            Self::Flaps => "what it started is not well at the first look",
            Self::Dies => "what it started ends by itself soon after",
            Self::KilledAfter => "the controller is killed right after it took effect",
            Self::Killed => "the controller is killed when this record is on disk",
            Self::Taken => "another controller takes the lock over before it",
        }
    }

    /// Whether it ends the controller's process.
    #[must_use]
    pub fn kills(self) -> bool {
        matches!(self, Self::KilledAfter | Self::Killed)
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Where something goes wrong.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Point {
    /// At an effect.
    Effect(EffectId),
    /// At the record of this number.
    Record(u64),
}

/// An effect of a run, the same whenever it is run on the same fleet with the same faults before.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EffectId {
    /// Which process of the run: 1 is the one that began it, 2 who took it up.
    pub leg: u8,
    /// The step.
    pub key: StepKey,
    /// Which of its effects in that process, from 1.
    pub nth: u32,
}

/// Something that goes wrong somewhere.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fault {
    /// Where.
    pub at: Point,
    /// What.
    pub kind: FaultKind,
}

impl fmt::Display for EffectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.leg > 1 {
            write!(f, "{}~", self.leg)?;
        }
        write!(f, "{}/{}", self.key, self.nth)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.at {
            Point::Effect(id) => write!(f, "{id}:{}", self.kind),
            Point::Record(record) => write!(f, "@{record}:{}", self.kind),
        }
    }
}

impl Fault {
    /// Parses `main/3.rolling/web2#4/1:lost` or `@17:killed`.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no fault: it is written as main/3.rolling/web2#4/1:lost, or @17:killed");
        let (place, word) = text.rsplit_once(':').ok_or_else(wrong)?;
        let kind = FaultKind::parse(word).ok_or_else(|| {
            let words: Vec<&str> = FaultKind::ALL.iter().map(|kind| kind.word()).collect();
            format!("there is no fault `{word}`; there are: {}", words.join(", "))
        })?;
        if let Some(record) = place.strip_prefix('@') {
            return Ok(Self { at: Point::Record(record.parse().map_err(|_| wrong())?), kind });
        }
        let (leg, place) = match place.split_once('~') {
            Some((leg, place)) => (leg.parse().map_err(|_| wrong())?, place),
            None => (1, place),
        };
        let (key, nth) = place.rsplit_once('/').ok_or_else(wrong)?;
        let (key, nth) = (StepKey::parse(key).map_err(|_| wrong())?, nth.parse().map_err(|_| wrong())?);
        Ok(Self { at: Point::Effect(EffectId { leg, key, nth }), kind })
    }

    /// The host that is meant, where the step's task is one of a host.
    #[must_use]
    pub fn host(&self) -> Option<HostName> {
        match &self.at {
            Point::Effect(id) => HostName::parse(id.key.task.leaf()).ok().filter(|_| id.key.task.as_str().contains('/')),
            Point::Record(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_read_as_it_is_written() {
        for text in ["main/3.rolling/web2#4/1:lost", "main#2/11:killed-after", "2~main/1.parallel/a#1/2:gone", "@17:killed"] {
            assert_eq!(Fault::parse(text).unwrap().to_string(), text);
        }
        assert!(Fault::parse("main#1/1:sik").unwrap_err().contains("there is no fault `sik`; there are: fails, lost"));
        for text in ["", "main#1:lost", "main/1:lost", "@x:killed", "x~main#1/1:lost"] {
            assert!(Fault::parse(text).is_err(), "{text}");
        }
    }
}
