//! What ended runs left on hosts: pre-images, trash and receipts that a host was not told to forget, or could not remove.

use crate::effect::Login;
use crate::id::RunId;
use serde::Serialize;

/// What one run left on one host, as one user there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Leftover {
    /// Whose.
    pub run: RunId,
    /// The environment of that run.
    pub environment: String,
    /// Where.
    pub at: Login,
    /// Why it is still there.
    pub why: String,
}
