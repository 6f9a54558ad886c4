//! A person says yes by typing the environment's name.

use super::error::CliError;
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
