//! One host as it would be: what was changed above a layer that only reads. Files are fetched from there when they are spoken of.

use super::accounts::Accounts;
use super::at::{Answer, Who, die};
use super::files::Files;
use super::fleet::Means;
use super::host::{Answered, Host};
use super::network::{hoped_body, on};
use super::services::{Service, ServiceBelow, Unit};
use super::view::Below;
use crate::effect::{
    Content, Effect, EffectClass, EffectError, Effects, FileStat, Hoped, HttpReply, Invocation, Login, Reply, ServiceUnit, Words,
};
use crate::fleet::WantedHost;
use crate::id::{Digest, HostName, RemotePath, RunId};
use crate::interp::Controller;
use crate::interp::marks::{Certainty, Marks};
use std::collections::BTreeMap;

/// The changes to one host.
pub(in crate::interp) struct Upper {
    host: Host,
    known: BTreeMap<Login, Who>,
    /// Whether anything was changed.
    changed: bool,
}

/// What an effect is performed with.
pub(in crate::interp) struct UpperMeans<'a> {
    pub(in crate::interp) run: &'a RunId,
    /// The layer that only reads.
    pub(in crate::interp) inner: &'a dyn Effects,
    pub(in crate::interp) controller: &'a Controller,
    pub(in crate::interp) marks: &'a Marks,
    /// Seconds since 1970-01-01 UTC.
    pub(in crate::interp) now: i64,
}

impl Upper {
    /// Nothing was changed yet.
    pub(in crate::interp) fn new(name: &HostName, login: &str) -> Self {
        let files = Files::new(Some("/".to_owned()));
        let mut host = Host::empty(name.as_str(), [].into(), login, files, WantedHost::default());
        host.services.over = true;
        Self { host, known: BTreeMap::new(), changed: false }
    }

    /// Performs an effect, as far as this holds the answer; a look that nothing here bears upon goes below.
    pub(in crate::interp) fn perform(&mut self, at: &Login, means: &UpperMeans<'_>, effect: &Effect) -> Answer {
        if let Effect::Fetch { path, to, limit } = effect {
            let (path, to) = (path.clone(), to.clone());
            return self.with(at, means, |work| work.fetch((&path, *limit), &to, means.controller));
        }
        if effect.class() == EffectClass::Read {
            return self.look(at, means, effect);
        }
        match effect {
            Effect::Forget { .. } => {
                // What looks have left there goes, too; no journal ends here.
                self.host.kept.clear();
                return means.inner.perform(at, &Effect::Forget { anchor: None, of: None });
            }
            // A prediction holds no lock.
            Effect::Fence => return Ok(Reply::done(false)),
            _ => {}
        }
        self.changed = true;
        match effect {
            Effect::Service { unit, .. } | Effect::Unit { unit, .. } => self.learn(at, means, unit)?,
            Effect::Packages { .. } => self.learn_packages(at, means)?,
            _ => {}
        }
        self.with(at, means, |work| work.perform(effect))
    }

    fn look(&mut self, at: &Login, means: &UpperMeans<'_>, effect: &Effect) -> Answer {
        if !self.changed {
            return means.inner.perform(at, effect);
        }
        let assumed = self.host.opaque.iter().rev().find(|opaque| opaque.answered == Answered::Assumed).cloned();
        if let Some(opaque) = assumed {
            means
                .marks
                .note(Certainty::Assumed, format!("`{}` was not run, and may have changed what is looked at", opaque.command));
        }
        match effect {
            Effect::Stat { .. } | Effect::Read { .. } | Effect::Digest { .. } | Effect::List { .. } => {
                self.with(at, means, |work| work.perform(effect))
            }
            Effect::ServiceStatus { unit } | Effect::ServiceLog { unit, .. } if self.speaks_of(unit) => {
                self.with(at, means, |work| work.perform(effect))
            }
            Effect::Probe { .. } => {
                means
                    .marks
                    .note(Certainty::Assumed, "a command looked at the host as it is, without the changes of this prediction");
                means.inner.perform(at, effect)
            }
            _ => means.inner.perform(at, effect),
        }
    }

    fn speaks_of(&self, unit: &ServiceUnit) -> bool {
        self.host.services.known.contains_key(&Unit::of(unit).key())
    }

    /// What a server answers here, where that is known or rests on what was changed; nothing where it is for the host to say.
    pub(in crate::interp) fn server(&self, port: u16, hoped: Option<&Hoped>, marks: &Marks) -> Option<(u16, String)> {
        if let Some(listener) = on(&self.host, port) {
            let body = if listener.body.is_empty() { hoped.map(hoped_body).unwrap_or_default() } else { listener.body };
            marks.note(Certainty::Assumed, "a service that would be started anew is taken to answer");
            return Some((listener.status, body));
        }
        let touched = |service: &Service| service.active == "active" && service.below.as_ref().is_some_and(|below| below.touched);
        if !self.host.services.known.values().any(touched) {
            return None;
        }
        marks.note(Certainty::Assumed, "a service was started anew, and which ports are its own is not known");
        let (status, body) = hoped.map_or((200, String::new()), |hoped| (hoped.status, hoped_body(hoped)));
        Some((status, body))
    }

    /// Answers as the host would, from here.
    pub(in crate::interp) fn http_reply(at: &Login, (status, body): (u16, String)) -> Reply {
        Reply::Http(HttpReply { status, body, vantage: format!("predicted for {}", at.host) })
    }

    fn with<T>(
        &mut self,
        at: &Login,
        means: &UpperMeans<'_>,
        work: impl FnOnce(&mut super::at::At<'_>) -> Result<T, EffectError>,
    ) -> Result<T, EffectError> {
        let who = self.who(at, means)?;
        let lower = Lower { inner: means.inner, at };
        let now = means.now;
        let means = Means { run: means.run, below: &lower, programs: None, marks: Some(means.marks), fence: None };
        work(&mut self.host.as_who(who, &means, now))
    }

    /// Who an effect is performed as: asked of the host, once.
    fn who(&mut self, at: &Login, means: &UpperMeans<'_>) -> Result<Who, EffectError> {
        if let Some(who) = self.known.get(at) {
            return Ok(who.clone());
        }
        if self.known.is_empty() {
            let lower = Lower { inner: means.inner, at };
            let text = |path: &str| {
                lower.content(path).ok().and_then(|content| content.text().map(ToOwned::to_owned)).unwrap_or_default()
            };
            self.host.files.accounts = Accounts::read(&text("/etc/passwd"), &text("/etc/group"));
        }
        let Reply::Facts(facts) = means.inner.perform(at, &Effect::Facts)? else { return die("a host told no facts") };
        let fact = |name: &str| facts.get(name).and_then(|value| value.as_str()).unwrap_or_default().to_owned();
        let name = fact("user");
        let mut who = self.host.who(&name);
        if let Some(uid) = facts.get("uid").and_then(serde_json::Value::as_u64).and_then(|uid| u32::try_from(uid).ok()) {
            who.gid = if self.host.files.accounts.users.contains_key(&name) { who.gid } else { uid };
            who.uid = uid;
        }
        who.home = fact("home");
        self.known.insert(at.clone(), who.clone());
        Ok(who)
    }

    /// How a service is, before something is done to it here, and so those that it starts, and that are enabled with it.
    fn learn(&mut self, at: &Login, means: &UpperMeans<'_>, unit: &ServiceUnit) -> Result<(), EffectError> {
        self.learn_one(at, means, unit)?;
        let unit = Unit::of(unit);
        let started = self.with(at, means, |work| {
            let state = work.unit_state(&unit)?;
            let also = work.with_also(&unit)?.into_iter().skip(1);
            Ok(work.started_by(&unit, &state).into_iter().chain(also).collect::<Vec<Unit>>())
        })?;
        started.into_iter().try_for_each(|Unit { scope, name }| self.learn_one(at, means, &ServiceUnit { scope, name }))
    }

    fn learn_one(&mut self, at: &Login, means: &UpperMeans<'_>, unit: &ServiceUnit) -> Result<(), EffectError> {
        let key = Unit::of(unit).key();
        // A template is no unit that a manager could be asked about.
        if self.host.services.known.contains_key(&key) || unit.name.contains("@.") {
            return Ok(());
        }
        let Reply::Service { state, .. } = means.inner.perform(at, &Effect::ServiceStatus { unit: unit.clone() })? else {
            return die("a service told no state");
        };
        let below = ServiceBelow { known: state.known, enabled: state.enabled, touched: false };
        let (active, pid, restarts, result) = (state.active, state.main_pid, state.restarts, state.result);
        let (started, below) = (!state.invocation.is_empty(), Some(below));
        self.host.services.known.insert(key, Service { active, pid, restarts, result, started, below, ..Service::default() });
        Ok(())
    }

    /// Which packages there are.
    fn learn_packages(&mut self, at: &Login, means: &UpperMeans<'_>) -> Result<(), EffectError> {
        means.marks.note(Certainty::Assumed, "what packages need of each other is not asked for by a prediction");
        if std::mem::replace(&mut self.host.packages.asked, true) {
            return Ok(());
        }
        let words = ["dpkg-query", "-W", "-f", "${db:Status-Abbrev} ${Package} ${Version}\\n"].map(ToOwned::to_owned).to_vec();
        let environment = BTreeMap::new();
        let command = Invocation { words: Words::List(words), directory: None, environment, stdin: None, timeout_seconds: None };
        let Reply::Command(result) = means.inner.perform(at, &Effect::Probe { command })? else {
            return die("no answer of dpkg-query");
        };
        for line in String::from_utf8_lossy(result.stdout.bytes()).lines() {
            if let [state, name, version] = line.split_whitespace().collect::<Vec<_>>()[..]
                && state.ends_with('i')
            {
                self.host.packages.installed.insert(name.to_owned(), version.to_owned());
            }
        }
        Ok(())
    }
}

/// The host below.
struct Lower<'a> {
    inner: &'a dyn Effects,
    at: &'a Login,
}

/// The most that is fetched of a file.
const MOST: u64 = 64 << 20;

impl Lower<'_> {
    fn ask<T>(
        &self,
        path: &str,
        effect: impl FnOnce(RemotePath) -> Effect,
        read: impl FnOnce(Reply) -> Option<T>,
    ) -> Result<T, EffectError> {
        let path = RemotePath::parse(path).map_err(|error| EffectError::failed(error.to_string()))?;
        match read(self.inner.perform(self.at, &effect(path))?) {
            Some(answer) => Ok(answer),
            None => die("a host answered by a reply of another kind"),
        }
    }
}

impl Below for Lower<'_> {
    fn look(&self, path: &str) -> Result<Option<FileStat>, EffectError> {
        let read = |reply| if let Reply::Stat(stat) = reply { Some(stat) } else { None };
        self.ask(path, |path| Effect::Stat { path }, read)
    }

    fn names(&self, path: &str) -> Result<Vec<String>, EffectError> {
        let plain: String = path.chars().map(|c| if "*?[".contains(c) { format!("[{c}]") } else { c.to_string() }).collect();
        let mut names = Vec::new();
        for pattern in ["*", ".[!.]*", "..?*"] {
            let pattern = format!("{}/{pattern}", plain.trim_end_matches('/'));
            let Reply::List(paths) = self.inner.perform(self.at, &Effect::List { pattern })? else {
                return die("a host gave no list");
            };
            names.extend(paths.iter().filter_map(|path| path.rsplit('/').next().map(ToOwned::to_owned)));
        }
        Ok(names)
    }

    fn digest(&self, path: &str) -> Result<Digest, EffectError> {
        let read = |reply| if let Reply::Digest(digest) = reply { digest } else { None };
        self.ask(path, |path| Effect::Digest { path }, read)
    }

    fn content(&self, path: &str) -> Result<Content, EffectError> {
        let read = |reply| if let Reply::Content(content) = reply { Some(content) } else { None };
        self.ask(path, |path| Effect::Read { path, limit: MOST }, read)
    }
}
