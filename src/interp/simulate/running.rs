//! Starting and stopping simulated services: what a start is made from, and whether it holds.

use super::at::{Answer, At, done};
use super::blob::Blob;
use super::files::Node;
use super::host::{First, Was};
use super::services::{Service, ServiceBelow, Unit, UnitState};
use super::view::Last;
use crate::effect::{EffectError, Reply, UnitScope, Verb};
use crate::fleet::Start;
use crate::id::{Digest, SaveId};
use std::collections::BTreeSet;

/// Programs of the system that run what they are told to: their first path counts as the program.
const INTERPRETERS: &[&str] = &["perl", "python", "python3", "ruby", "node", "php", "sh", "bash", "dash", "java", "env", "lua"];

/// What may be settings is no larger than this.
const SETTINGS: u64 = 256 << 10;

/// How a start ends.
enum Launch {
    Runs(Box<Service>),
    /// It has done its work.
    Ended(Box<Service>),
    Fails(String),
}

impl At<'_> {
    /// `wl_service`.
    pub(super) fn service(&mut self, save: &SaveId, verb: Verb, unit: &Unit) -> Answer {
        if self.kept().acted.contains(save.as_str()) {
            let changed = self.save(save).is_some();
            return self.told(unit, changed);
        }
        self.daemon_reload(unit.scope)?;
        let state = self.unit_state(unit)?;
        let as_is = |at: &mut Self| {
            let changed = at.save(save).is_some();
            if !changed {
                let rests = Was::Service {
                    scope: unit.scope,
                    verb: verb.word().to_owned(),
                    active: String::new(),
                    enabled: String::new(),
                };
                at.claim(&unit.name, Some(&rests))?;
            }
            at.told(unit, changed)
        };
        if state.load == "not-found" {
            if matches!(verb, Verb::Stop | Verb::Disable) {
                return as_is(self);
            }
            return super::at::die(format!("there is no service {} on this host", unit.name));
        }
        let active = state.active.as_str();
        let runs = matches!(active, "active" | "reloading");
        if verb == Verb::Reload && runs && !state.file.reloads {
            return super::at::die(format!("{} cannot reload; restart it", unit.name));
        }
        let word = match (verb, active, state.enabled.as_str()) {
            (Verb::Start, "active" | "reloading", _)
            | (Verb::Stop, "inactive", _)
            | (Verb::Enable, _, "enabled" | "static" | "alias")
            | (Verb::Disable, _, "disabled" | "static" | "linked" | "masked" | "") => return as_is(self),
            (Verb::Reload | Verb::Restart, "inactive" | "failed", _) => "start",
            _ => verb.word(),
        };
        if matches!(verb, Verb::Enable | Verb::Disable) {
            return self.link(save, verb, unit, &state);
        }
        if matches!(word, "start" | "restart") {
            self.free_socket(unit, word, &state)?;
        }
        if state.file.triggers(&unit.name).is_some() {
            self.keep_ran(save, self.started_by(unit, &state))?;
        }
        self.note_service(save, unit, word, &state)?;
        self.act(word, unit)?;
        self.kept().acted.insert(save.as_str().to_owned());
        self.told(unit, true)
    }

    pub(super) fn note_service(&mut self, save: &SaveId, unit: &Unit, word: &str, state: &UnitState) -> Result<(), EffectError> {
        let was = if state.active == "activating" { "active".to_owned() } else { state.active.clone() };
        let enabled = if state.enabled.is_empty() { "none".to_owned() } else { state.enabled.clone() };
        let service = Was::Service { scope: unit.scope, verb: word.to_owned(), active: was.clone(), enabled };
        self.note(save, &unit.name, service)?;
        if !matches!(word, "enable" | "disable") {
            self.kept().firsts.entry(unit.key()).or_insert(First { was, back: None }).back = None;
        }
        Ok(())
    }

    /// The machine's services are root's.
    pub(super) fn may_manage(&self, unit: &Unit) -> Result<(), EffectError> {
        if self.who.uid == 0 || unit.scope == UnitScope::User {
            return Ok(());
        }
        Err(EffectError::failed(format!("Failed to manage {}: Interactive authentication required.", unit.name)))
    }

    /// `wl_act`: does it and sees that it stays done.
    pub(super) fn act(&mut self, verb: &str, unit: &Unit) -> Result<(), EffectError> {
        self.may_manage(unit)?;
        let key = unit.key();
        match verb {
            "stop" => {
                if let Some(service) = self.host.services.known.get_mut(&key) {
                    service.log.push(format!("Stopped {}.", unit.name));
                    service.below.iter_mut().for_each(|below| below.touched = true);
                    (service.active, service.pid) = ("inactive".to_owned(), 0);
                    (service.result, service.restarts) = ("success".to_owned(), 0);
                }
                Ok(())
            }
            "reload" => {
                let settings = self.launched(unit).map(|launched| launched.started_from);
                if let Some(service) = self.host.services.known.get_mut(&key) {
                    service.reload(settings);
                    service.log.push(format!("Reloaded {}.", unit.name));
                    service.below.iter_mut().for_each(|below| below.touched = true);
                }
                Ok(())
            }
            _ => self.launch_and_judge(verb, unit),
        }
    }

    fn launch_and_judge(&mut self, verb: &str, unit: &Unit) -> Result<(), EffectError> {
        let key = unit.key();
        let known = self.host.services.known.get(&key).cloned().unwrap_or_default();
        let (log, below) = (known.log, known.below.map(|below| ServiceBelow { touched: true, ..below }));
        let (mut service, failure) = match self.launch(unit)? {
            Launch::Runs(service) | Launch::Ended(service) => (*service, None),
            Launch::Fails(why) => {
                let failed = Service { active: "failed".to_owned(), result: "exit-code".to_owned(), ..Service::default() };
                (failed, Some(why))
            }
        };
        service.text = self.unit_file(unit)?.and_then(|(_, text)| text).unwrap_or_default();
        (service.log, service.below, service.started) = (log, below, true);
        service.log.push(failure.clone().unwrap_or_else(|| format!("Started {}.", unit.name)));
        self.host.services.known.insert(key, service);
        let Some(_) = failure else { return Ok(()) };
        let stderr = self.log(unit, 15);
        let message = format!("{} is failed after its {verb} (exit-code)", unit.name);
        Err(EffectError::Failed { message, stderr, code: None })
    }

    fn launch(&mut self, unit: &Unit) -> Result<Launch, EffectError> {
        let state = self.unit_state(unit)?;
        if state.load == "masked" {
            return Ok(Launch::Fails(format!("Unit {} is masked.", unit.name)));
        }
        let unseen = self.host.services.over && self.unit_file(unit)?.is_none();
        if let Some(why) = state.file.refusal(&unit.name).filter(|_| !unseen) {
            return Ok(Launch::Fails(why));
        }
        let wanted = self.host.wanted.service(&unit.name).cloned().unwrap_or_default();
        let mut service = Service { active: "active".to_owned(), ..Service::default() };
        let mut texts = vec![self.unit_file(unit)?.and_then(|(_, text)| text).unwrap_or_default()];
        for (path, optional) in &state.file.environment_files {
            let path = self.specified(unit, path);
            match self.started_from(&mut service, &path)? {
                Some(text) => texts.push(text),
                None if *optional => {}
                None => return Ok(Launch::Fails(format!("Failed to load environment files: {path}: No such file or directory"))),
            }
        }
        for words in &state.file.start {
            let words: Vec<String> = words.iter().map(|word| self.specified(unit, word)).collect();
            if let Some(why) = self.program(&mut service, &words, &mut texts)? {
                return Ok(Launch::Fails(why));
            }
        }
        service.ports = wanted.ports.iter().copied().chain(texts.iter().flat_map(|text| numbers(text))).collect();
        match wanted.start {
            Start::Fails => return Ok(Launch::Fails(format!("{}: the description of this world says that it fails", unit.name))),
            Start::Ends => service.active = "inactive".to_owned(),
            Start::Runs => {}
        }
        if state.file.oneshot && !state.file.remains {
            service.active = "inactive".to_owned();
        }
        if service.active == "inactive" {
            return Ok(Launch::Ended(Box::new(service)));
        }
        if !state.file.oneshot && unit.name.ends_with(".service") {
            service.pid = self.host.pid();
        }
        Ok(Launch::Runs(Box::new(service)))
    }

    /// How a service would be if it were started now; nothing when it would not run.
    fn launched(&mut self, unit: &Unit) -> Option<Service> {
        let (pid, launch) = (self.host.next_pid, self.launch(unit));
        self.host.next_pid = pid;
        match launch {
            Ok(Launch::Runs(service) | Launch::Ended(service)) => Some(*service),
            Ok(Launch::Fails(_)) | Err(_) => None,
        }
    }

    /// The files and the unit file that a service would run from if it were started now; nothing when it would not run.
    pub(super) fn would_run(&mut self, unit: &Unit) -> Option<(Vec<(String, Digest)>, String)> {
        let launched = self.launched(unit)?;
        let text = self.unit_file(unit).ok()?.and_then(|(_, text)| text).unwrap_or_default();
        Some((launched.started_from, text))
    }

    /// Takes in what one command line starts from; gives why it cannot run.
    fn program(
        &mut self,
        service: &mut Service,
        words: &[String],
        texts: &mut Vec<String>,
    ) -> Result<Option<String>, EffectError> {
        let Some(program) = words.first() else { return Ok(None) };
        let name = program.rsplit('/').next().unwrap_or(program);
        let system =
            ["/bin/", "/usr/bin/", "/sbin/", "/usr/sbin/", "/usr/local/bin/"].iter().any(|root| program.starts_with(root));
        if system && matches!(name, "false") {
            return Ok(Some("Main process exited, code=exited, status=1/FAILURE".to_owned()));
        }
        let there = self.started_from(service, program)?.is_some();
        service.code = service.started_from.len();
        if !there && !system {
            return Ok(Some(format!("Failed to execute {program}: No such file or directory")));
        }
        let interpreter = system && INTERPRETERS.contains(&name);
        let paths: Vec<&String> = words.iter().skip(1).filter(|word| word.starts_with('/')).collect();
        for (at, path) in paths.into_iter().enumerate() {
            match self.started_from(service, path)? {
                Some(text) if at == 0 && interpreter => {
                    service.code = service.started_from.len();
                    texts.push(text);
                }
                Some(text) => texts.push(text),
                None if at == 0 && interpreter && self.view().find(path)?.is_none() => {
                    return Ok(Some(format!("{name}: cannot open {path}: No such file or directory")));
                }
                None => {}
            }
        }
        // Settings on the command line itself are in the unit's text.
        Ok(None)
    }

    /// Notes a file that a service starts from; gives its text, empty where it is none.
    fn started_from(&mut self, service: &mut Service, path: &str) -> Result<Option<String>, EffectError> {
        let Some(file) = self.view().file(path)? else { return Ok(None) };
        let real = self.real(path)?;
        service.versions.extend(self.versions(&real)?);
        // Of a layer below, a large program is not fetched to tell which it is.
        let large = self.stat_of(file).size > SETTINGS;
        if large && matches!(self.host.files.inode(file).node, Node::File(Blob::Below { .. })) {
            return Ok(Some(String::new()));
        }
        let digest: Digest = self.view().digest(file)?;
        service.started_from.push((real, digest));
        let text = if large { None } else { self.view().content(file)?.text().map(ToOwned::to_owned) };
        Ok(Some(text.unwrap_or_default()))
    }

    /// A path without links.
    pub(super) fn real(&mut self, path: &str) -> Result<String, EffectError> {
        let (mut real, mut links) = (path.to_owned(), 40);
        'again: while links > 0 {
            let mut at = String::new();
            let parts: Vec<String> =
                real.split('/').filter(|part| !part.is_empty() && *part != ".").map(ToOwned::to_owned).collect();
            for (n, part) in parts.iter().enumerate() {
                if part == ".." {
                    at = super::at::above(&at).trim_end_matches('/').to_owned();
                    continue;
                }
                let next = format!("{at}/{part}");
                if let Some(target) = self.view().link(&next)? {
                    links -= 1;
                    let rest: String = parts[n + 1..].iter().map(|part| format!("/{part}")).collect();
                    real = if target.starts_with('/') { format!("{target}{rest}") } else { format!("{at}/{target}{rest}") };
                    continue 'again;
                }
                at = next;
            }
            return Ok(if at.is_empty() { "/".to_owned() } else { at });
        }
        Ok(self.view().place(&real, Last::Keep)?.name)
    }

    /// What a release says its version is: a file VERSION above the program, and the name of its directory among others.
    fn versions(&mut self, real: &str) -> Result<BTreeSet<String>, EffectError> {
        let mut versions = BTreeSet::new();
        let mut at = super::at::above(real).to_owned();
        while at != "/" {
            if let Some(text) = self.view().text(&format!("{at}/VERSION"))? {
                versions.extend(text.lines().next().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()));
            }
            let above = super::at::above(&at).to_owned();
            let name = at.rsplit('/').next().unwrap_or_default();
            if above.ends_with("/releases") || above.ends_with("/versions") {
                let hash = name.rsplit_once('-').filter(|(_, end)| end.len() == 12 && end.chars().all(|c| c.is_ascii_hexdigit()));
                versions.insert(hash.map_or(name, |(version, _)| version).to_owned());
            }
            at = above;
        }
        Ok(versions)
    }

    /// What `wl_restore` does for a service.
    pub(super) fn service_back(
        &mut self,
        save: &SaveId,
        unit: &Unit,
        (verb, active, enabled): (&str, &str, &str),
    ) -> Result<bool, EffectError> {
        if matches!(verb, "enable" | "disable") && self.links_back(save)? {
            return Ok(true);
        }
        let state = self.unit_state(unit)?;
        match (verb, active, enabled) {
            ("enable" | "disable", _, was) if state.enabled == was => return Ok(false),
            ("restart", "active", _) | ("reload" | "stop", ..) | ("enable", _, "enabled") | ("disable", _, "disabled") => {
                return Ok(false);
            }
            ("start", ..) | ("restart", "inactive" | "failed", _) => {
                if !matches!(state.active.as_str(), "inactive" | "failed") {
                    self.act("stop", unit)?;
                }
                if active != "failed"
                    && let Some(service) = self.host.services.known.get_mut(&unit.key())
                    && service.active == "failed"
                {
                    (service.active, service.result) = ("inactive".to_owned(), "success".to_owned());
                }
                self.ends(save, self.started_by(unit, &state))?;
            }
            ("enable", ..) => self.disable_one(unit)?,
            ("disable", _, "enabled") => self.enable_one(unit)?,
            _ => {}
        }
        Ok(true)
    }

    /// `wl_unit`.
    pub(super) fn unit(&mut self, unit: &Unit, put: &super::puts::Put<'_>) -> Answer {
        let known = self.kept().reloads.insert(put.save.as_str().to_owned(), unit.scope);
        let reply = self.put_file(put)?;
        if self.save(put.save).is_none() {
            if known.is_none() {
                self.kept().reloads.remove(put.save.as_str());
            }
            return Ok(reply);
        }
        self.daemon_reload(unit.scope)?;
        if unit.name.contains("@.") {
            return Ok(reply);
        }
        let state = self.unit_state(unit)?;
        let fresh = self
            .save(put.save)
            .is_some_and(|kept| kept.was == Was::Absent && kept.path.rsplit('/').next() == Some(unit.name.as_str()));
        if fresh {
            let all = [unit.clone()].into_iter().chain(self.started_by(unit, &state)).collect();
            self.keep_ran(put.save, all)?;
        }
        if matches!(state.load, "bad-setting" | "masked") {
            let why = state.file.refusal(&unit.name).unwrap_or_else(|| format!("Unit {} is masked.", unit.name));
            return super::at::die(format!("systemd does not take {}: {why}", unit.name));
        }
        Ok(reply)
    }

    /// `wl_reboot`: what is enabled runs again, and nothing else.
    pub(super) fn reboot(&mut self, save: &SaveId, after: Option<&SaveId>) -> Answer {
        if after.is_some_and(|after| self.save(after).is_none()) {
            return done(false);
        }
        if self.save(save).is_some() {
            return done(true);
        }
        if self.who.uid != 0 {
            return super::at::die("only root restarts a host; call it with `sudo: true`");
        }
        let boot = self.host.boot();
        self.note(save, "boot", Was::Reboot(boot))?;
        // What undoing started does not run behind it.
        self.kept().firsts.values_mut().for_each(|first| first.back = None);
        match after {
            None => {
                let up = self.host.services.known.iter().filter(|(_, service)| service.active == "active");
                let ran = up.map(|(key, _)| key.clone()).collect();
                self.kept().ran.insert(save.to_string(), ran);
                self.start_anew()?;
            }
            Some(after) => {
                self.start_anew()?;
                self.ran_back(after)?;
            }
        }
        done(true)
    }

    /// `wl_ran_back`.
    fn ran_back(&mut self, of: &SaveId) -> Result<(), EffectError> {
        let ran = self.kept().ran.get(of.as_str()).cloned().unwrap_or_default();
        for (scope, name) in ran.iter().filter_map(|key| key.split_once(' ')) {
            let unit = Unit { scope: if scope == "user" { UnitScope::User } else { UnitScope::System }, name: name.to_owned() };
            let state = self.unit_state(&unit)?;
            let by_itself = !matches!(state.enabled.as_str(), "disabled" | "static");
            if unit.scope == UnitScope::System && state.active == "inactive" && !by_itself {
                self.act("start", &unit)?;
            }
        }
        Ok(())
    }

    pub(super) fn start_anew(&mut self) -> Result<(), EffectError> {
        self.host.boots += 1;
        let known = std::mem::take(&mut self.host.services.known);
        for (key, service) in known {
            let Some((scope, name)) = key.split_once(' ') else { continue };
            let scope = if scope == "user" { UnitScope::User } else { UnitScope::System };
            let unit = Unit { scope, name: name.to_owned() };
            let text = service.text;
            self.host.services.known.insert(key.clone(), Service { text, log: service.log, ..Service::default() });
            if self.unit_state(&unit)?.enabled == "enabled" {
                // One that fails at boot is a failed service, and the host is up all the same.
                let _ = self.act("start", &unit);
            }
        }
        Ok(())
    }

    /// What `Reply::Service` says for a look.
    pub(super) fn status(&mut self, unit: &Unit) -> Answer {
        self.told(unit, false)
    }

    /// What `Reply::Content` says of a service's log.
    pub(super) fn log_reply(&mut self, unit: &Unit, lines: u32) -> Reply {
        Reply::Content(crate::effect::Content::new(self.log(unit, lines)))
    }
}

/// The numbers in a text that could be ports.
fn numbers(text: &str) -> impl Iterator<Item = u16> + '_ {
    text.split(|c: char| !c.is_ascii_alphanumeric()).filter_map(|word| word.parse().ok()).filter(|number| *number > 0)
}
