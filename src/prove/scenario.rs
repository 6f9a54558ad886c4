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
}

impl Scenario {
    /// Nothing goes wrong.
    #[must_use]
    pub fn calm() -> Self {
        Self { faults: Vec::new(), then: Then::Unwind }
    }

    /// One thing goes wrong.
    #[must_use]
    pub fn one(fault: Fault) -> Self {
        Self { faults: vec![fault], then: Then::Unwind }
    }

    /// Parses what [`fmt::Display`] writes: faults with commas between, and `+resume` where that is what follows.
    ///
    /// # Errors
    /// Says what is wrong with it.
    ///
    /// ```
    /// use windlass::prove::Scenario;
    ///
    /// let text = "main/3.rolling/web2#4/1:killed-after+resume";
    /// assert_eq!(Scenario::parse(text).unwrap().to_string(), text);
    /// assert_eq!(Scenario::parse("none").unwrap(), Scenario::calm());
    /// ```
    pub fn parse(text: &str) -> Result<Self, String> {
        let (faults, then) = match text.rsplit_once('+') {
            Some((faults, "resume")) => (faults, Then::Resume),
            Some((faults, "unwind")) => (faults, Then::Unwind),
            Some((_, other)) => return Err(format!("`{other}` is not what can follow: `resume` or `unwind`")),
            None => (text, Then::Unwind),
        };
        if faults == "none" {
            return Ok(Self { faults: Vec::new(), then });
        }
        Ok(Self { faults: faults.split(',').map(Fault::parse).collect::<Result<_, _>>()?, then })
    }

    /// Whether the controller is killed in it.
    #[must_use]
    pub fn kills(&self) -> bool {
        self.faults.iter().any(|fault| fault.kind.kills() || fault.kind == FaultKind::Taken)
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.faults.is_empty() {
            f.write_str("none")?;
        }
        for (n, fault) in self.faults.iter().enumerate() {
            let comma = if n > 0 { "," } else { "" };
            write!(f, "{comma}{fault}")?;
        }
        if self.then == Then::Resume { f.write_str("+resume") } else { Ok(()) }
    }
}
