//! Stands in for `journalctl`: the lines that services wrote, from the files in which they are kept.

use super::state::{Context, Scope, UnitKey};
use crate::transport::embedded::wire::StandInOutput;
use std::path::Path;

#[derive(Debug, Default)]
struct Call {
    units: Vec<String>,
    lines: Option<usize>,
    user: Vec<String>,
    ignored: Vec<String>,
}

/// Does what `journalctl` with these words does.
pub(super) fn journalctl(context: &Context, args: &[String]) -> StandInOutput {
    let call = match parse(args) {
        Ok(call) => call,
        Err(why) => return StandInOutput { stderr: format!("journalctl: {why}\n"), code: 1, ..StandInOutput::default() },
    };
    let scope = if call.user.is_empty() { Scope::System } else { Scope::User };
    let stderr = call.ignored.iter().map(|option| format!("journalctl: {option} is ignored on a lab host\n")).collect();
    let keys = call.units.iter().map(|unit| UnitKey::new(scope, unit));
    let text: String = keys.map(|key| tail(&context.log(&key), call.lines)).collect();
    let stdout = if text.is_empty() { "-- No entries --\n".to_owned() } else { text };
    StandInOutput { stdout, stderr, code: 0 }
}

/// The last lines of a file, or all of it.
pub(super) fn tail(path: &Path, lines: Option<usize>) -> String {
    let text = String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned();
    let skip = lines.map_or(0, |lines| text.lines().count().saturating_sub(lines));
    text.lines().skip(skip).flat_map(|line| [line, "\n"]).collect()
}

fn parse(args: &[String]) -> Result<Call, String> {
    let mut call = Call::default();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let (option, mut given) = match arg.split_once('=') {
            Some((option, value)) if option.starts_with("--") => (option, Some(value.to_owned())),
            _ if arg.starts_with("-n") && arg.len() > 2 => ("-n", arg.get(2..).map(str::to_owned)),
            _ => (arg.as_str(), None),
        };
        let mut value = || given.take().or_else(|| args.next().cloned()).ok_or(format!("option requires an argument: {option}"));
        match option {
            "-u" | "--unit" => call.units.push(value()?),
            "--user-unit" => {
                call.units.push(value()?);
                call.user.push(option.to_owned());
            }
            "-n" | "--lines" => {
                let count = value()?;
                call.lines =
                    if count == "all" { None } else { Some(count.parse().map_err(|_| format!("bad number `{count}`"))?) };
            }
            "-o" | "--output" => drop(value()?),
            "-S" | "-U" | "-p" | "-g" | "--since" | "--until" | "--priority" | "--grep" => {
                call.ignored.push(format!("{option} {}", value()?));
            }
            "--user" => call.user.push(option.to_owned()),
            "-x" | "-e" | "-xe" | "-b" | "-q" | "-a" | "-l" | "--no-pager" | "--quiet" | "--all" | "--full" | "--boot"
            | "--no-hostname" => {}
            "-xeu" | "-eu" => call.units.push(value()?),
            other => return Err(format!("{other} is not supported on a lab host")),
        }
    }
    Ok(call)
}
