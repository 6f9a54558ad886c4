//! What a simulated service manager reads of a unit file: as much as tells whether it starts, on what, and who wants it.

/// A unit file with its drop-ins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct UnitFile {
    /// The words of each `ExecStart`.
    pub(super) start: Vec<Vec<String>>,
    pub(super) reloads: bool,
    pub(super) oneshot: bool,
    pub(super) remains: bool,
    /// Paths of environment files, with whether each may be missing.
    pub(super) environment_files: Vec<(String, bool)>,
    pub(super) wanted_by: Vec<String>,
    pub(super) aliases: Vec<String>,
    /// Units that are enabled and disabled with it.
    pub(super) also: Vec<String>,
    /// What a socket, a timer or a path is to start, where it says so.
    pub(super) names: Option<String>,
    /// Units with which it is stopped and restarted.
    pub(super) goes_with: Vec<String>,
    /// Whether a socket has a service for each connection.
    pub(super) accepts: bool,
    /// Whether there is an `[Install]` section that says anything.
    pub(super) installable: bool,
}

impl UnitFile {
    /// Reads a text; what is not known is passed over, as a manager does.
    pub(super) fn read(text: &str) -> Self {
        let mut unit = Self::default();
        let (mut section, mut pending) = (String::new(), String::new());
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
            if let Some(name) = whole.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
                name.clone_into(&mut section);
            } else if let Some((key, value)) = whole.split_once('=') {
                unit.set(&section, key.trim(), value.trim());
            }
        }
        unit
    }

    fn set(&mut self, section: &str, key: &str, value: &str) {
        let list = || value.split_whitespace().map(ToOwned::to_owned);
        match (section, key) {
            ("Service", "ExecStart") if value.is_empty() => self.start.clear(),
            ("Service", "ExecStart") => self.start.push(words(value.trim_start_matches(['-', '@', '+', '!', ':']))),
            ("Service", "ExecReload") => self.reloads = !value.is_empty(),
            ("Service", "Type") => {
                self.oneshot = value == "oneshot";
                self.reloads |= value == "notify-reload";
            }
            ("Service", "RemainAfterExit") => self.remains = is_yes(value),
            ("Service", "EnvironmentFile") if value.is_empty() => self.environment_files.clear(),
            ("Service", "EnvironmentFile") => {
                let path = value.trim_start_matches('-');
                self.environment_files.push((path.to_owned(), path != value));
            }
            ("Socket", "Service") | ("Timer" | "Path", "Unit") => self.names = Some(value.to_owned()),
            ("Socket", "Accept") => self.accepts = is_yes(value),
            ("Unit", "Requires" | "Requisite" | "BindsTo" | "PartOf") => self.goes_with.extend(list()),
            ("Install", "WantedBy" | "RequiredBy") => self.wanted_by.extend(list()),
            ("Install", "Alias") => self.aliases.extend(list()),
            ("Install", "Also") => self.also.extend(list()),
            ("Install", "DefaultInstance") => {}
            _ => return,
        }
        self.installable |= section == "Install";
    }

    /// What it starts, when it is a socket, a timer or a path of that name.
    pub(super) fn triggers(&self, name: &str) -> Option<String> {
        let (stem, kind) = name.rsplit_once('.')?;
        let starts = matches!(kind, "socket" | "timer" | "path") && !self.accepts;
        starts.then(|| self.names.clone().unwrap_or_else(|| format!("{stem}.service")))
    }

    /// Whether enabling it makes links of its own.
    pub(super) fn has_rules(&self) -> bool {
        !self.wanted_by.is_empty() || !self.aliases.is_empty()
    }

    /// Why a manager does not take it.
    pub(super) fn refusal(&self, name: &str) -> Option<String> {
        let service = name.ends_with(".service");
        let nothing = service && self.start.is_empty() && !self.oneshot;
        let several = service && self.start.len() > 1 && !self.oneshot;
        (nothing || several).then(|| format!("Unit {name} has a bad unit file setting."))
    }
}

fn is_yes(value: &str) -> bool {
    matches!(value, "yes" | "true" | "on" | "1")
}

/// Words as a unit file quotes them.
fn words(text: &str) -> Vec<String> {
    let (mut words, mut word, mut quote, mut begun) = (Vec::new(), String::new(), None, false);
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (Some(open), close) if open == close => quote = None,
            (None, '"' | '\'') => {
                quote = Some(letter);
                begun = true;
            }
            (Some('"') | None, '\\') => word.extend(letters.next()),
            (None, letter) if letter.is_whitespace() => {
                if begun || !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                begun = false;
            }
            (_, letter) => word.push(letter),
        }
    }
    if begun || !word.is_empty() {
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_counts_is_read() {
        let text = "[Unit]\nDescription=x\n[Service]\nType=oneshot\nExecStart=-/bin/sh -c \\\n 'echo \"a b\"'\nEnvironmentFile=-/etc/x\n\
                    ExecReload=/bin/kill\n[Install]\nWantedBy=multi-user.target other.target\n";
        let unit = UnitFile::read(text);
        assert_eq!(unit.start, [["/bin/sh", "-c", "echo \"a b\""]]);
        assert!(unit.oneshot && unit.reloads && unit.installable && !unit.remains);
        assert_eq!(unit.environment_files, [("/etc/x".to_owned(), true)]);
        assert_eq!(unit.wanted_by, ["multi-user.target", "other.target"]);
    }

    #[test]
    fn a_socket_starts_the_service_of_its_name_or_another() {
        let starts = |text: &str, name: &str| UnitFile::read(text).triggers(name);
        assert_eq!(starts("[Socket]\n", "web.socket").as_deref(), Some("web.service"));
        assert_eq!(starts("[Timer]\nUnit=other.service\n", "web.timer").as_deref(), Some("other.service"));
        assert_eq!(starts("[Socket]\nAccept=yes\n", "web.socket"), None);
        assert_eq!(starts("[Service]\nExecStart=/bin/true\n", "web.service"), None);
    }

    #[test]
    fn a_service_without_a_program_is_refused() {
        assert!(UnitFile::read("[Service]\nRestart=no\n").refusal("a.service").is_some());
        assert!(UnitFile::read("[Service]\nExecStart=/bin/true\n").refusal("a.service").is_none());
        assert!(UnitFile::read("[Timer]\nOnCalendar=daily\n").refusal("a.timer").is_none());
    }
}
