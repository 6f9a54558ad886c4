//! The people behind a run: who is asked, and what carries messages to them. Made by whoever starts the run.

use super::Outbox;
use crate::effect::Question;
use std::sync::Arc;

/// Who answers questions.
pub trait Answers: Send + Sync {
    /// Gives the answer to a question, or why there is none.
    ///
    /// # Errors
    /// A sentence for the person who reads it, and what to try.
    fn answer(&self, question: &Question) -> Result<String, NoAnswer>;
}

/// Why a question has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoAnswer {
    /// Nobody can be asked, for this reason.
    Nobody(String),
    /// The run was asked to stop meanwhile.
    Stopped,
}

/// The people behind a run.
#[derive(Clone, Default)]
pub struct People {
    /// Who answers; nobody where there is none.
    pub answers: Option<Arc<dyn Answers>>,
    /// What carries messages; nothing does where there is none.
    pub outbox: Option<Arc<Outbox>>,
}
