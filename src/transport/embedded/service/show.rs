//! Shows a service: the properties of `systemctl show` and the page of `systemctl status`.

use super::enable;
use super::journal;
use super::state::{Active, Context, State, UnitKey};
use crate::transport::embedded::wire::Ending;

/// The properties of a unit, in the order in which they are shown.
pub(super) fn properties(context: &Context, key: &UnitKey, state: Option<&State>) -> Vec<(&'static str, String)> {
    let Some(state) = state else { return of_none(key) };
    let file = state.loaded.file.as_deref();
    let (code, status) = match state.last_end {
        None => (0, 0),
        Some(Ending::Exited(status)) => (1, status),
        Some(Ending::Killed(signal)) => (2, signal),
    };
    let stale = context.source(key).is_none_or(|source| source != state.loaded.source);
    vec![
        ("Id", key.name.clone()),
        ("Names", key.name.clone()),
        ("Description", file.map_or_else(|_| key.name.clone(), |file| file.description.clone())),
        ("LoadState", if file.is_ok() { "loaded" } else { "bad-setting" }.to_owned()),
        ("ActiveState", state.active.as_str().to_owned()),
        ("SubState", state.sub.to_owned()),
        ("Result", state.result.to_owned()),
        ("FragmentPath", state.loaded.source.path.display().to_string()),
        ("UnitFileState", enable::state(context, key, file.map_err(String::as_str)).to_owned()),
        ("Type", file.map_or_else(|_| String::new(), |file| format!("{:?}", file.kind).to_lowercase())),
        ("InvocationID", if state.starts == 0 { String::new() } else { format!("{:032x}", state.starts) }),
        ("MainPID", state.main_pid.to_string()),
        ("NRestarts", state.restarts.to_string()),
        ("NeedDaemonReload", if stale { "yes" } else { "no" }.to_owned()),
        ("ExecMainPID", state.main_pid.to_string()),
        ("ExecMainCode", code.to_string()),
        ("ExecMainStatus", status.to_string()),
        ("ActiveEnterTimestampMonotonic", state.active_since.to_string()),
    ]
}

/// What is shown of a unit that is not there.
fn of_none(key: &UnitKey) -> Vec<(&'static str, String)> {
    let pairs = [
        ("Id", key.name.as_str()),
        ("Names", key.name.as_str()),
        ("Description", key.name.as_str()),
        ("LoadState", "not-found"),
        ("ActiveState", "inactive"),
        ("SubState", "dead"),
        ("Result", "success"),
        ("FragmentPath", ""),
        ("UnitFileState", ""),
        ("MainPID", "0"),
        ("NRestarts", "0"),
        ("NeedDaemonReload", "no"),
        ("ExecMainPID", "0"),
        ("ExecMainCode", "0"),
        ("ExecMainStatus", "0"),
        ("ActiveEnterTimestampMonotonic", "0"),
    ];
    pairs.map(|(key, value)| (key, value.to_owned())).to_vec()
}

/// The page of `systemctl status`.
pub(super) fn status(context: &Context, key: &UnitKey, state: &State) -> String {
    let file = state.loaded.file.as_deref();
    let enabled = enable::state(context, key, file.map_err(String::as_str));
    let (load, description) = match file {
        Ok(file) => ("loaded", file.description.as_str()),
        Err(_) => ("bad-setting", key.name.as_str()),
    };
    let mark = match state.active {
        Active::Up => '●',
        Active::Failed => '×',
        _ => '○',
    };
    let mut page = format!("{mark} {} - {description}\n", key.name);
    page.push_str(&format!("     Loaded: {load} ({}; {enabled})\n", state.loaded.source.path.display()));
    let why = if state.active == Active::Failed { format!(" (Result: {})", state.result) } else { format!(" ({})", state.sub) };
    page.push_str(&format!("     Active: {}{why}\n", state.active.as_str()));
    if state.main_pid != 0 {
        page.push_str(&format!("   Main PID: {}\n", state.main_pid));
    }
    page.push('\n');
    page.push_str(&journal::tail(&context.log(key), Some(10)));
    page
}
