//! A person says yes by typing the environment's name.

use super::error::CliError;
use crate::transport::Password;
use std::io::{IsTerminal, Write};

/// Asks for the name of an environment; what was `not` done is said when it is not given.
pub(super) fn confirm(name: &str, not: &str) -> Result<(), CliError> {
    if !std::io::stdin().is_terminal() {
        return Err(CliError::new(6, "a production environment is changed only when somebody says so")
            .with_help("give --yes, or run it from a terminal"));
    }
    // A prompt that cannot be shown is answered by what is typed all the same.
    let _ = write!(std::io::stderr(), "type its name to go on: ");
    let mut answer = String::new();
    let read = std::io::stdin().read_line(&mut answer);
    if read.is_ok() && answer.trim() == name { Ok(()) } else { Err(CliError::new(6, format!("not confirmed; {not}"))) }
}

/// Asks for sudo's password, where that is wanted: unseen on a terminal, a line of standard input elsewhere.
pub(super) fn ask_password(wanted: bool) -> Result<Password, CliError> {
    if !wanted {
        return Ok(Password::default());
    }
    let terminal = std::io::stdin().is_terminal();
    let read = if terminal {
        rpassword::prompt_password("sudo password: ")
    } else {
        std::io::stdin().lines().next().unwrap_or_else(|| Ok(String::new()))
    };
    match read {
        Ok(text) if !text.is_empty() => Ok(Password::new(text)),
        Ok(_) => {
            Err(CliError::usage("no password was given").with_help("type it, or give it as the first line of standard input"))
        }
        Err(error) => Err(CliError::input(format!("the password cannot be read: {error}"))),
    }
}
