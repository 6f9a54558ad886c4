//! A scenario: what goes wrong, and what is done about it afterwards.

use crate::interp::fault::{Fault, FaultKind};
use serde::Serialize;
use std::fmt;

/// What is done with a run that was left unfinished.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Then {
    /// `resume`.
    Resume,
    /// `unwind`.
    Unwind,
}

impl Then {
    /// The command.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Resume => "resume",
            Self::Unwind => "unwind",
        }
    }
}

/// Faults, and what is done afterwards.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scenario {
    /// What goes wrong; nothing in the run without faults.
    pub faults: Vec<Fault>,
    /// What is done with a run that was left unfinished.
    pub then: Then,
    /// What goes wrong in the same deploy, once more, when all that is over; nothing when there is none.
    pub again: Option<Vec<Fault>>,
}

impl Scenario {
    /// Nothing goes wrong.
    #[must_use]
    pub fn calm() -> Self {
        Self { faults: Vec::new(), then: Then::Unwind, again: None }
    }

    /// One thing goes wrong.
    #[must_use]
    pub fn one(fault: Fault) -> Self {
        Self { faults: vec![fault], then: Then::Unwind, again: None }
    }

    /// The same, and the deploy once more afterwards, in which this goes wrong.
    #[must_use]
    pub fn and_again(self, faults: Vec<Fault>) -> Self {
        Self { again: Some(faults), ..self }
    }

    /// Parses what [`fmt::Display`] writes: faults with commas between, `+resume` where that is what follows, and `+again` where the
    /// same is deployed once more, with what goes wrong then behind a colon.
    ///
    /// # Errors
    /// Says what is wrong with it.
    ///
    /// ```
    /// use windlass::prove::Scenario;
    ///
    /// for text in ["main/3.rolling/web2#4/1:killed-after+resume", "none+again", "main#1/1:lost+again:main#2/1:fails"] {
    ///     assert_eq!(Scenario::parse(text).unwrap().to_string(), text);
    /// }
    /// assert_eq!(Scenario::parse("none").unwrap(), Scenario::calm());
    /// ```
    pub fn parse(text: &str) -> Result<Self, String> {
        let (first, again) = match text.split_once("+again") {
            Some((first, "")) => (first, Some(Vec::new())),
            Some((first, rest)) => match rest.strip_prefix(':') {
                Some(faults) => (first, Some(parse_faults(faults)?)),
                None => return Err(format!("`again{rest}` is not what can follow: `again`, or `again:` and faults")),
            },
            None => (text, None),
        };
        let (faults, then) = match first.rsplit_once('+') {
            Some((faults, "resume")) => (faults, Then::Resume),
            Some((faults, "unwind")) => (faults, Then::Unwind),
            Some((_, other)) => return Err(format!("`{other}` is not what can follow: `resume`, `unwind` or `again`")),
            None => (first, Then::Unwind),
        };
        let faults = if faults == "none" { Vec::new() } else { parse_faults(faults)? };
        Ok(Self { faults, then, again })
    }

    /// Whether the controller is killed in it.
    #[must_use]
    pub fn kills(&self) -> bool {
        self.faults.iter().any(|fault| fault.kind.kills() || fault.kind == FaultKind::Taken)
    }
}

fn parse_faults(text: &str) -> Result<Vec<Fault>, String> {
    text.split(',').map(Fault::parse).collect()
}

fn write_faults(f: &mut fmt::Formatter<'_>, faults: &[Fault]) -> fmt::Result {
    for (n, fault) in faults.iter().enumerate() {
        let comma = if n > 0 { "," } else { "" };
        write!(f, "{comma}{fault}")?;
    }
    Ok(())
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.faults.is_empty() {
            f.write_str("none")?;
        }
        write_faults(f, &self.faults)?;
        if self.then == Then::Resume {
            f.write_str("+resume")?;
        }
        match self.again.as_deref() {
            None => Ok(()),
            Some([]) => f.write_str("+again"),
            Some(faults) => {
                f.write_str("+again:")?;
                write_faults(f, faults)
            }
        }
    }
}
