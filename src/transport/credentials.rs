//! With what a person lets Windlass work on hosts: never written anywhere.

use super::passphrase::Passphrases;
use super::remote::Password;
use std::path::PathBuf;

/// What logins and sudo are given.
#[derive(Debug, Clone, Default)]
pub struct Credentials {
    /// For hosts on which sudo wants one.
    pub password: Password,
    /// For keys that are encrypted.
    pub passphrases: Passphrases,
    /// The socket of the operator's agent, as `SSH_AUTH_SOCK` names it.
    pub agent: Option<PathBuf>,
}
