//! Stands in for `systemctl`: the verbs that deploy scripts use, with systemd's words and exit statuses.

use super::state::{Active, Scope, State, UnitKey};
use super::supervisor::Supervisor;
use super::unit::{Handle, Job};
use super::{enable, show};
use crate::transport::embedded::signals;
use crate::transport::embedded::wire::StandInOutput;

/// Statuses of LSB that systemctl ends with.
const NOT_RUNNING: i32 = 3;
const NO_SUCH_UNIT: i32 = 4;
const NOT_INSTALLED: i32 = 5;

#[derive(Debug)]
struct Call {
    verb: String,
    units: Vec<String>,
    scope: Scope,
    properties: Vec<String>,
    signal: String,
    flags: Vec<Flag>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flag {
    Now,
    Quiet,
    Value,
    Version,
}

/// Does what `systemctl` with these words does.
pub(super) async fn systemctl(supervisor: &Supervisor, args: &[String]) -> StandInOutput {
    let call = match Call::parse(args) {
        Ok(call) => call,
        Err(why) => return StandInOutput { stderr: format!("systemctl: {why}\n"), code: 1, ..StandInOutput::default() },
    };
    let mut run = Run { supervisor, call: &call, out: StandInOutput::default() };
    run.verb().await;
    if call.flags.contains(&Flag::Quiet) && matches!(call.verb.as_str(), "is-active" | "is-enabled" | "is-failed") {
        run.out.stdout.clear();
    }
    run.out
}

impl Call {
    fn parse(args: &[String]) -> Result<Self, String> {
        let (mut words, signal) = (Vec::new(), "TERM".to_owned());
        let mut call = Self {
            verb: String::new(),
            units: Vec::new(),
            scope: Scope::System,
            properties: Vec::new(),
            signal,
            flags: Vec::new(),
        };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            if arg == "--" {
                words.extend(args.cloned());
                break;
            }
            if !arg.starts_with('-') {
                words.push(arg.clone());
                continue;
            }
            let (option, given) = split_option(arg);
            let mut value =
                || given.clone().or_else(|| args.next().cloned()).ok_or(format!("option requires an argument: {option}"));
            match option {
                "-p" | "--property" | "-P" => call.properties.extend(value()?.split(',').map(str::to_owned)),
                "-s" | "--signal" => call.signal = value()?,
                "-n" | "--lines" | "-o" | "--output" | "-t" | "--type" | "--kill-whom" | "--kill-who" | "--job-mode" => {
                    drop(value()?);
                }
                option => call.flag(option)?,
            }
            if option == "-P" {
                call.flags.push(Flag::Value);
            }
        }
        let mut words = words.into_iter();
        call.verb = words.next().unwrap_or_default();
        call.units = words.collect();
        Ok(call)
    }

    fn flag(&mut self, option: &str) -> Result<(), String> {
        match option {
            "--user" => self.scope = Scope::User,
            "--system" => self.scope = Scope::System,
            "--now" => self.flags.push(Flag::Now),
            "-q" | "--quiet" => self.flags.push(Flag::Quiet),
            "--value" => self.flags.push(Flag::Value),
            "--version" => self.flags.push(Flag::Version),
            "--no-pager" | "--no-block" | "--full" | "-l" | "--all" | "-a" | "--plain" | "--no-legend" | "--force" | "-f"
            | "--no-ask-password" | "--wait" | "--no-warn" | "--no-reload" | "--no-wall" => {}
            other => return Err(format!("unrecognized option '{other}' (lab host)")),
        }
        Ok(())
    }
}

/// An option and the value that is glued to it.
fn split_option(arg: &str) -> (&str, Option<String>) {
    match (arg.strip_prefix("--"), arg.split_at_checked(2)) {
        (Some(_), _) => arg.split_once('=').map_or((arg, None), |(option, value)| (option, Some(value.to_owned()))),
        (None, Some((option @ ("-p" | "-P" | "-s" | "-n" | "-o" | "-t"), value))) if !value.is_empty() => {
            (option, Some(value.to_owned()))
        }
        _ => (arg, None),
    }
}

struct Run<'a> {
    supervisor: &'a Supervisor,
    call: &'a Call,
    out: StandInOutput,
}

impl Run<'_> {
    async fn verb(&mut self) {
        if self.call.flags.contains(&Flag::Version) {
            self.out.stdout = "systemd 252 (252-windlass-lab)\n".to_owned();
            return;
        }
        match self.call.verb.as_str() {
            "daemon-reload" | "daemon-reexec" => self.supervisor.reload_all(self.call.scope),
            "is-system-running" => self.out.stdout.push_str("running\n"),
            "reset-failed" if self.call.units.is_empty() => self.reset_all().await,
            // What is said of the manager itself: that it answers.
            "show" if self.call.units.is_empty() => self.out.stdout.push_str("Version=252 (252-windlass-lab)\n"),
            "" => self.fail(1, "systemctl: on a lab host a verb is needed\n"),
            _ if self.call.units.is_empty() => self.fail(1, "Too few arguments.\n"),
            _ => self.each().await,
        }
    }

    async fn each(&mut self) {
        let keys: Vec<UnitKey> = self.call.units.iter().map(|name| UnitKey::new(self.call.scope, name)).collect();
        match self.call.verb.as_str() {
            "is-active" => self.is_in(&keys, "is-active"),
            "is-failed" => self.is_in(&keys, "is-failed"),
            "is-enabled" => self.is_enabled(&keys),
            "show" => self.show(&keys),
            _ => {
                for key in keys {
                    self.one(&key).await;
                }
            }
        }
    }

    async fn one(&mut self, key: &UnitKey) {
        let verb = self.call.verb.clone();
        match verb.as_str() {
            "start" => self.job(key, Job::Start).await,
            "stop" => self.job(key, Job::Stop).await,
            "restart" => self.job(key, Job::Restart).await,
            "reload" => self.job(key, Job::Reload).await,
            "try-restart" | "condrestart" => self.job_if_active(key, Job::Restart).await,
            "reload-or-restart" => self.reload_or_restart(key).await,
            "try-reload-or-restart" if self.is_active(key) => self.reload_or_restart(key).await,
            "try-reload-or-restart" => {}
            "reset-failed" => self.job(key, Job::ResetFailed).await,
            "kill" => match signals::parse(&self.call.signal) {
                Some(signal) => self.job(key, Job::Kill(signal)).await,
                None => self.fail(1, &format!("Failed to parse signal string {}.\n", self.call.signal)),
            },
            "enable" => self.enable(key).await,
            "disable" => self.disable(key).await,
            "status" => self.status(key),
            "cat" => self.cat(key),
            verb => self.fail(1, &format!("Unknown command verb {verb} (lab host).\n")),
        }
    }

    fn fail(&mut self, code: i32, text: &str) {
        self.out.stderr.push_str(text);
        self.out.code = code;
    }

    fn is_active(&self, key: &UnitKey) -> bool {
        self.supervisor.unit(key).is_some_and(|unit| unit.state.lock().active == Active::Up)
    }

    async fn job(&mut self, key: &UnitKey, job: Job) {
        let Some(unit) = self.supervisor.unit(key) else {
            let (name, verb) = (&key.name, &self.call.verb);
            let what = if matches!(job, Job::Start | Job::Restart) { "found" } else { "loaded" };
            return self.fail(NOT_INSTALLED, &format!("Failed to {verb} {name}: Unit {name} not {what}.\n"));
        };
        self.warn_if_stale(key, &unit);
        if let Err(why) = unit.tell(job).await {
            self.fail(1, &why);
        }
    }

    async fn job_if_active(&mut self, key: &UnitKey, job: Job) {
        if self.is_active(key) {
            self.job(key, job).await;
        }
    }

    async fn reload_or_restart(&mut self, key: &UnitKey) {
        let unit = self.supervisor.unit(key);
        let state = unit.map(|unit| unit.state.lock().clone());
        let reloads =
            state.is_some_and(|state| state.active == Active::Up && state.loaded.file.is_ok_and(|file| !file.reload.is_empty()));
        self.job(key, if reloads { Job::Reload } else { Job::Restart }).await;
    }

    async fn reset_all(&mut self) {
        for (_, unit) in self.supervisor.known() {
            let _ = unit.tell(Job::ResetFailed).await;
        }
    }

    /// systemd warns when it acts on a unit whose file is newer than what it knows.
    fn warn_if_stale(&mut self, key: &UnitKey, unit: &Handle) {
        let loaded = unit.state.lock().loaded.source.clone();
        if self.supervisor.context.source(key).is_some_and(|source| source != loaded) {
            self.out.stderr.push_str(&format!(
                "Warning: The unit file, source configuration file or drop-ins of {} changed on disk. Run 'systemctl daemon-reload' to reload units.\n",
                key.name
            ));
        }
    }

    async fn enable(&mut self, key: &UnitKey) {
        let name = &key.name;
        // Enabling reads the file, not what the manager knows.
        let state = self.state(key);
        let Some(state) = state else {
            return self.fail(1, &format!("Failed to enable unit: Unit file {name} does not exist.\n"));
        };
        match state.loaded.file {
            Err(why) => return self.fail(1, &format!("Failed to enable unit: {why}\n")),
            Ok(file) if file.wanted_by.is_empty() && file.aliases.is_empty() && file.also.is_empty() => {
                self.out.stderr.push_str("The unit files have no installation config (WantedBy=, RequiredBy=, UpheldBy=, Also=, or Alias= settings in the [Install] section). This means they are not meant to be enabled using systemctl.\n");
            }
            Ok(_) => {
                for (key, path, file) in enable::with_also(&self.supervisor.context, key) {
                    match enable::enable(&self.supervisor.context, &key, &file, &path) {
                        Ok(said) => self.out.stderr.push_str(&said),
                        Err(error) => return self.fail(1, &format!("Failed to enable unit: {error}\n")),
                    }
                }
            }
        }
        // As systemd does after it changed links.
        self.supervisor.reload_all(key.scope);
        if self.call.flags.contains(&Flag::Now) {
            self.job(key, Job::Start).await;
        }
    }

    async fn disable(&mut self, key: &UnitKey) {
        let known = self.supervisor.unit(key);
        let also = enable::with_also(&self.supervisor.context, key).into_iter().map(|(key, ..)| key);
        let mut all: Vec<UnitKey> = also.collect();
        if all.is_empty() {
            all.push(key.clone());
        }
        let removed: Result<String, _> = all.iter().map(|key| enable::disable(&self.supervisor.context, key)).collect();
        match removed {
            Ok(said) if said.is_empty() && known.is_none() => {
                return self.fail(1, &format!("Failed to disable unit: Unit file {} does not exist.\n", key.name));
            }
            Ok(said) => self.out.stderr.push_str(&said),
            Err(error) => return self.fail(1, &format!("Failed to disable unit: {error}\n")),
        }
        self.supervisor.reload_all(key.scope);
        if self.call.flags.contains(&Flag::Now) {
            self.job(key, Job::Stop).await;
        }
    }

    fn state(&self, key: &UnitKey) -> Option<State> {
        self.supervisor.unit(key).map(|unit| unit.state.lock().clone())
    }

    fn is_in(&mut self, keys: &[UnitKey], verb: &str) {
        let wanted = if verb == "is-failed" { Active::Failed } else { Active::Up };
        let states: Vec<Active> = keys.iter().map(|key| self.state(key).map_or(Active::Inactive, |state| state.active)).collect();
        states.iter().for_each(|state| self.out.stdout.push_str(&format!("{}\n", state.as_str())));
        let otherwise = if verb == "is-failed" { 1 } else { NOT_RUNNING };
        self.out.code = if states.contains(&wanted) { 0 } else { otherwise };
    }

    fn is_enabled(&mut self, keys: &[UnitKey]) {
        self.out.code = 1;
        for key in keys {
            let Some(state) = self.state(key) else {
                let text = format!("Failed to get unit file state for {}: No such file or directory\n", key.name);
                self.out.stderr.push_str(&text);
                continue;
            };
            let file = state.loaded.file.as_deref().map_err(String::as_str);
            let enabled = enable::state(&self.supervisor.context, key, file);
            self.out.stdout.push_str(&format!("{enabled}\n"));
            if !matches!(enabled, "disabled" | "linked") {
                self.out.code = 0;
            }
        }
    }

    fn show(&mut self, keys: &[UnitKey]) {
        let mut parts = Vec::new();
        for key in keys {
            let state = self.state(key);
            let all = show::properties(&self.supervisor.context, key, state.as_ref());
            let wanted = |name: &str| self.call.properties.is_empty() || self.call.properties.iter().any(|wanted| wanted == name);
            let lines = all.into_iter().filter(|(name, _)| wanted(name)).map(|(name, value)| {
                if self.call.flags.contains(&Flag::Value) { format!("{value}\n") } else { format!("{name}={value}\n") }
            });
            parts.push(lines.collect::<String>());
        }
        self.out.stdout = parts.join("\n");
    }

    fn status(&mut self, key: &UnitKey) {
        match self.state(key) {
            None => self.fail(NO_SUCH_UNIT, &format!("Unit {} could not be found.\n", key.name)),
            Some(state) => {
                self.out.stdout.push_str(&show::status(&self.supervisor.context, key, &state));
                if state.active != Active::Up {
                    self.out.code = NOT_RUNNING;
                }
            }
        }
    }

    fn cat(&mut self, key: &UnitKey) {
        match self.supervisor.context.source(key) {
            None => self.fail(1, &format!("No files found for {}.\n", key.name)),
            Some(source) => self.out.stdout.push_str(&format!("# {}\n{}", source.path.display(), source.text)),
        }
    }
}
