//! What stands for something else in the values of an ssh_config: `%h` and its like, `${NAME}`, and `~`.

use super::inventory::Operator;
use sha1::{Digest as _, Sha1};
use std::fmt::Write as _;

/// What the tokens of one host stand for.
pub(super) struct Tokens<'a> {
    pub(super) operator: &'a Operator,
    /// `%h`.
    pub(super) host: String,
    /// `%n`.
    pub(super) alias: &'a str,
    /// `%k`, when it is not the alias.
    pub(super) key_alias: Option<String>,
    /// `%p`.
    pub(super) port: u16,
    /// `%r`.
    pub(super) user: String,
    /// `%j`.
    pub(super) jump: String,
}

/// Tokens that a command in place of a connection may have.
pub(super) const OF_PROXY: &str = "hknpr";
/// Those of most values.
pub(super) const OF_MOST: &str = "CLdhijklnpru";

impl Tokens<'_> {
    /// The text with those of these tokens replaced.
    ///
    /// # Errors
    /// When it has another one.
    pub(super) fn percent(&self, text: &str, allowed: &str) -> Result<String, String> {
        percent(text, |token| allowed.contains(token).then(|| self.meaning(token)).flatten())
    }

    /// The text with `${NAME}` and tokens replaced.
    ///
    /// # Errors
    /// When a variable is not set, or a token is not known.
    pub(super) fn dollar_and_percent(&self, text: &str) -> Result<String, String> {
        // Both in one pass: what a variable holds is taken as it is.
        let mut out = String::new();
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            out.push_str(&self.percent(&rest[..at], OF_MOST)?);
            let Some((name, after)) = rest[at + 2..].split_once('}') else { return Err("has a `${` without its `}`".to_owned()) };
            out.push_str(self.variable(name)?);
            rest = after;
        }
        out.push_str(&self.percent(rest, OF_MOST)?);
        Ok(out)
    }

    /// What a variable of the environment holds.
    ///
    /// # Errors
    /// When it is not set.
    pub(super) fn variable(&self, name: &str) -> Result<&str, String> {
        let value = self.operator.variables.get(name);
        value.map(String::as_str).ok_or_else(|| format!("needs the environment variable {name}, which is not set"))
    }

    fn meaning(&self, token: char) -> Option<String> {
        let machine = &self.operator.machine;
        Some(match token {
            'C' => self.connection(),
            'L' => machine.split('.').next().unwrap_or_default().to_owned(),
            'd' => self.operator.home.display().to_string(),
            'h' => self.host.clone(),
            'i' => self.operator.uid.to_string(),
            'j' => self.jump.clone(),
            'k' => self.key_alias.clone().unwrap_or_else(|| self.alias.to_owned()),
            'l' => machine.clone(),
            'n' => self.alias.to_owned(),
            'p' => self.port.to_string(),
            'r' => self.user.clone(),
            'u' => self.operator.user.clone(),
            _ => return None,
        })
    }

    /// A short name for the connection, the same as that of `ssh`.
    fn connection(&self) -> String {
        let text = format!("{}{}{}{}{}", self.operator.machine, self.host, self.port, self.user, self.jump);
        Sha1::digest(text.as_bytes()).iter().fold(String::new(), |mut hex, byte| {
            // Writing to a string cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }
}

/// The text with its tokens replaced.
///
/// # Errors
/// With the first one that means nothing.
pub(super) fn percent(text: &str, meaning: impl Fn(char) -> Option<String>) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c {
            '%' => match rest.next() {
                Some('%') => out.push('%'),
                Some(token) => match meaning(token) {
                    Some(text) => out.push_str(&text),
                    None => return Err(format!("has the token `%{token}`, which means nothing there")),
                },
                None => return Err("ends with a single `%`".to_owned()),
            },
            _ => out.push(c),
        }
    }
    Ok(out)
}
