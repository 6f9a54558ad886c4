//! Reads a unit file: the keys of a service that the lab knows. Pure. What it does not know it ignores, as systemd does.

use super::words::{Specifiers, duration, split};
use crate::transport::embedded::signals;
use rustix::process::Signal;
use std::time::Duration;

/// A service as its unit file wants it.
#[derive(Debug, Clone)]
pub(super) struct UnitFile {
    pub(super) description: String,
    pub(super) kind: Kind,
    pub(super) start: Vec<Line>,
    pub(super) start_pre: Vec<Line>,
    pub(super) start_post: Vec<Line>,
    pub(super) reload: Vec<Line>,
    pub(super) stop: Vec<Line>,
    pub(super) environment: Vec<(String, String)>,
    pub(super) environment_files: Vec<EnvironmentFile>,
    pub(super) working_directory: Option<String>,
    pub(super) restart: Restart,
    pub(super) restart_after: Duration,
    pub(super) stop_limit: Duration,
    pub(super) kill_signal: Signal,
    pub(super) remains: bool,
    pub(super) start_limit: StartLimit,
    pub(super) wanted_by: Vec<String>,
    pub(super) aliases: Vec<String>,
    /// Units that are enabled and disabled with it.
    pub(super) also: Vec<String>,
    /// What the user should know: keys that the lab does not honour.
    pub(super) notes: Vec<String>,
}

/// A command of a unit file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) words: Vec<String>,
    /// `-`: a failure does not count.
    pub(super) forgiven: bool,
    /// `@`: the second word is what the program shall take as its name.
    pub(super) renamed: bool,
}

/// A file of `NAME=value` lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct EnvironmentFile {
    pub(super) path: String,
    /// `-`: it need not be there.
    pub(super) optional: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Simple,
    Exec,
    Oneshot,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Restart {
    No,
    OnSuccess,
    OnFailure,
    OnAbnormal,
    Always,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StartLimit {
    pub(super) burst: u32,
    pub(super) interval: Duration,
}

impl UnitFile {
    fn empty(specifiers: &Specifiers<'_>) -> Self {
        Self {
            description: specifiers.unit.to_owned(),
            kind: Kind::Simple,
            start: Vec::new(),
            start_pre: Vec::new(),
            start_post: Vec::new(),
            reload: Vec::new(),
            stop: Vec::new(),
            environment: Vec::new(),
            environment_files: Vec::new(),
            working_directory: None,
            restart: Restart::No,
            restart_after: Duration::from_millis(100),
            stop_limit: Duration::from_secs(10),
            kill_signal: Signal::TERM,
            remains: false,
            start_limit: StartLimit { burst: 5, interval: Duration::from_secs(10) },
            wanted_by: Vec::new(),
            aliases: Vec::new(),
            also: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Reads the text of a unit file with its drop-ins appended.
    pub(super) fn parse(text: &str, specifiers: &Specifiers<'_>) -> Result<Self, String> {
        let mut unit = Self::empty(specifiers);
        for (section, key, value) in entries(text) {
            unit.set(&section, &key, &value, specifiers).map_err(|why| format!("{key}={value}: {why}"))?;
        }
        if unit.start.is_empty() && unit.kind != Kind::Oneshot {
            return Err("Service has no ExecStart= setting. Refusing.".to_owned());
        }
        if unit.start.len() > 1 && unit.kind != Kind::Oneshot {
            return Err(
                "Service has more than one ExecStart= setting, which is only allowed for Type=oneshot services.".to_owned()
            );
        }
        Ok(unit)
    }

    /// What a text says of enabling, of whatever kind its unit is: the lab runs services only, and enables what they name.
    pub(super) fn install(text: &str, specifiers: &Specifiers<'_>) -> Self {
        let mut unit = Self::empty(specifiers);
        for (section, key, value) in entries(text).into_iter().filter(|(section, ..)| section == "Install") {
            // Nothing in that section can be wrong.
            let _ = unit.set(&section, &key, &value, specifiers);
        }
        unit
    }

    fn set(&mut self, section: &str, key: &str, value: &str, specifiers: &Specifiers<'_>) -> Result<(), String> {
        match (section, key) {
            ("Unit", "Description") => self.description = specifiers.expand(value),
            ("Unit" | "Service", "StartLimitBurst") => self.start_limit.burst = value.parse().map_err(|_| "is not a number")?,
            ("Unit" | "Service", "StartLimitIntervalSec" | "StartLimitInterval") => self.start_limit.interval = time(value)?,
            ("Install", "WantedBy" | "RequiredBy") => self.wanted_by.extend(value.split_whitespace().map(str::to_owned)),
            ("Install", "Alias") => self.aliases.extend(value.split_whitespace().map(str::to_owned)),
            ("Install", "Also") => self.also.extend(value.split_whitespace().map(str::to_owned)),
            ("Service", key) if key.starts_with("Exec") => self.set_command(key, value, specifiers)?,
            ("Service", key) => self.set_service(key, value, specifiers)?,
            _ => {}
        }
        Ok(())
    }

    fn set_command(&mut self, key: &str, value: &str, specifiers: &Specifiers<'_>) -> Result<(), String> {
        let lines = match key {
            "ExecStart" => &mut self.start,
            "ExecStartPre" => &mut self.start_pre,
            "ExecStartPost" => &mut self.start_post,
            "ExecReload" => &mut self.reload,
            "ExecStop" => &mut self.stop,
            other => {
                self.notes.push(format!("{other}= is ignored by the lab"));
                return Ok(());
            }
        };
        if value.is_empty() {
            lines.clear();
            return Ok(());
        }
        lines.push(Line::parse(value, specifiers)?);
        Ok(())
    }

    fn set_service(&mut self, key: &str, value: &str, specifiers: &Specifiers<'_>) -> Result<(), String> {
        match key {
            "Type" => self.kind = self.kind_named(value)?,
            "RemainAfterExit" => self.remains = matches!(value, "yes" | "true" | "on" | "1"),
            "Environment" if value.is_empty() => self.environment.clear(),
            "Environment" => self.environment.extend(assignments(value, specifiers)?),
            "EnvironmentFile" if value.is_empty() => self.environment_files.clear(),
            "EnvironmentFile" => self.environment_files.push(EnvironmentFile::parse(&specifiers.expand(value))),
            "WorkingDirectory" => self.working_directory = (!value.is_empty()).then(|| specifiers.expand(value)),
            "Restart" => self.restart = restart(value)?,
            "RestartSec" => self.restart_after = time(value)?,
            "TimeoutStopSec" | "TimeoutSec" => self.stop_limit = time(value)?,
            "KillSignal" => self.kill_signal = signals::parse(value).ok_or("is no signal that the lab knows")?,
            "User" | "Group" | "DynamicUser" => {
                self.notes.push(format!("{key}={value} is ignored by the lab: it runs as the host's user"));
            }
            _ => {}
        }
        Ok(())
    }

    fn kind_named(&mut self, value: &str) -> Result<Kind, String> {
        match value {
            "simple" => Ok(Kind::Simple),
            "exec" => Ok(Kind::Exec),
            "oneshot" => Ok(Kind::Oneshot),
            "notify" | "notify-reload" | "idle" => {
                self.notes.push(format!("Type={value} is taken as exec by the lab"));
                Ok(Kind::Exec)
            }
            _ => Err("is not supported by the lab: simple, exec and oneshot are".to_owned()),
        }
    }
}

impl Line {
    fn parse(value: &str, specifiers: &Specifiers<'_>) -> Result<Self, String> {
        let command = value.trim_start_matches(['-', '@', '+', '!', ':']);
        let prefixes = value.strip_suffix(command).unwrap_or_default();
        let words = split(command).ok_or("a quote is left open")?;
        let words: Vec<String> = words.iter().map(|word| specifiers.expand(word)).collect();
        if words.is_empty() {
            return Err("has no command".to_owned());
        }
        Ok(Self { words, forgiven: prefixes.contains('-'), renamed: prefixes.contains('@') })
    }
}

impl EnvironmentFile {
    fn parse(value: &str) -> Self {
        let path = value.trim_start_matches('-');
        Self { path: path.to_owned(), optional: path != value }
    }
}

/// The lines of an environment file: comments and blanks skipped, quotes around a value taken off.
pub(super) fn environment_lines(text: &str) -> Vec<(String, String)> {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';']));
    let pairs = lines.filter_map(|line| line.split_once('='));
    pairs.map(|(key, value)| (key.trim().to_owned(), unquote(value.trim()).to_owned())).collect()
}

fn unquote(value: &str) -> &str {
    let within = |quote| value.strip_prefix(quote).and_then(|value| value.strip_suffix(quote));
    within('"').or_else(|| within('\'')).unwrap_or(value)
}

/// Section, key and value of each line, with continued lines joined.
fn entries(text: &str) -> Vec<(String, String, String)> {
    let (mut entries, mut section, mut pending) = (Vec::new(), String::new(), String::new());
    for line in text.lines() {
        if pending.is_empty() && line.trim_start().starts_with(['#', ';']) {
            continue;
        }
        if let Some(line) = line.trim_end().strip_suffix('\\') {
            pending.push_str(line);
            pending.push(' ');
            continue;
        }
        let whole = std::mem::take(&mut pending) + line.trim();
        let name = whole.strip_prefix('[').and_then(|line| line.strip_suffix(']'));
        match (name, whole.split_once('=')) {
            (Some(name), _) => section = name.to_owned(),
            (None, Some((key, value))) => entries.push((section.clone(), key.trim().to_owned(), value.trim().to_owned())),
            (None, None) => {}
        }
    }
    entries
}

fn assignments(value: &str, specifiers: &Specifiers<'_>) -> Result<Vec<(String, String)>, String> {
    let words = split(value).ok_or("a quote is left open")?;
    let pairs = words.iter().filter_map(|word| word.split_once('='));
    Ok(pairs.map(|(key, value)| (key.to_owned(), specifiers.expand(value))).collect())
}

fn time(value: &str) -> Result<Duration, String> {
    match value {
        "infinity" => Ok(Duration::from_secs(365 * 86400)),
        value => duration(value).ok_or_else(|| "is not a time".to_owned()),
    }
}

fn restart(value: &str) -> Result<Restart, String> {
    Ok(match value {
        "no" => Restart::No,
        "on-success" => Restart::OnSuccess,
        "on-failure" => Restart::OnFailure,
        "on-abnormal" | "on-abort" => Restart::OnAbnormal,
        "always" => Restart::Always,
        _ => return Err("is not a restart policy that the lab knows".to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<UnitFile, String> {
        UnitFile::parse(text, &Specifiers { unit: "web.service", home: "/root", host: "h1" })
    }

    #[test]
    fn a_service_is_read_with_its_continued_lines() {
        let text = "[Unit]\nDescription=The %N\n# no\n[Service]\nExecStart=-/bin/sh -c \\\n  'echo %h'\nEnvironment=\"A=b c\" D=e\n\
                    EnvironmentFile=-/etc/x\nRestart=on-failure\nRestartSec=1min\nUser=www\n[Install]\nWantedBy=multi-user.target\n";
        let unit = parse(text).unwrap();
        assert_eq!(unit.description, "The web");
        let words = ["/bin/sh", "-c", "echo /root"].map(str::to_owned).to_vec();
        assert_eq!(unit.start, [Line { words, forgiven: true, renamed: false }]);
        assert_eq!(unit.environment, [("A".to_owned(), "b c".to_owned()), ("D".to_owned(), "e".to_owned())]);
        assert_eq!((unit.restart, unit.restart_after), (Restart::OnFailure, Duration::from_secs(60)));
        assert_eq!(unit.wanted_by, ["multi-user.target"]);
        assert_eq!(unit.notes.len(), 1);
    }

    #[test]
    fn an_empty_assignment_clears_what_was_before() {
        let unit = parse("[Service]\nExecStart=/a\nExecStart=\nExecStart=/b\n").unwrap();
        assert_eq!(unit.start.len(), 1);
    }

    #[test]
    fn what_cannot_run_is_refused() {
        assert!(parse("[Service]\n").is_err());
        assert!(parse("[Service]\nExecStart=/a\nExecStart=/b\n").is_err());
        assert!(parse("[Service]\nType=forking\nExecStart=/a\n").is_err());
    }

    #[test]
    fn environment_files_may_have_quotes_and_comments() {
        let pairs = environment_lines("# c\nA=1\n B = \"x y\"\nbroken\n");
        assert_eq!(pairs, [("A".to_owned(), "1".to_owned()), ("B".to_owned(), "x y".to_owned())]);
    }
}
