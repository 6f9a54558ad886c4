//! The host's side: a library of shell functions, and how an effect becomes a call of one.

mod ask;
mod calls;
mod errand;
mod facts;
#[cfg(test)]
mod ground_tests;
#[cfg(test)]
mod hostile_tests;
mod library;
#[cfg(test)]
mod receipt_tests;
mod replies;
mod sudo;

pub(crate) use ask::{answer, ask_http, ask_tcp};
pub use calls::{EXEC_LIMIT, call, confirm, look, measure, peek, piece, reboot};
pub use errand::line;
pub(super) use errand::{Errand, SHELL};
pub(super) use library::{Known, library};
pub use replies::{differs, fenced, own_words as refusal, reply};
pub(super) use sudo::Become;
pub use sudo::Password;

/// Quotes a word for `sh`: what comes out is taken as it is, whatever it holds.
///
/// ```
/// assert_eq!(windlass::transport::remote::quote("it's $HOME"), r"'it'\''s $HOME'");
/// ```
#[must_use]
pub fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+=,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}
