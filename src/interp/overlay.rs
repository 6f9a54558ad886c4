//! A layer that keeps every change to itself: looks go to the layer below, unless a change of before bears upon the answer. What
//! comes out of a script is what a run would do, and no host is touched.

use super::simulate::{Clock, Upper, UpperMeans, channels, takes};
use super::{Controller, Marks, whose};
use crate::effect::{Content, Effect, EffectClass, EffectError, Effects, Hoped, Login, Question, Reply, Via};
use crate::fleet::Environment;
use crate::id::{HostName, RunId};
use crate::transport::http::Place;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Changes that were not made, over another layer.
pub struct Overlay<E> {
    inner: E,
    run: RunId,
    controller: Controller,
    marks: Arc<Marks>,
    clock: Clock,
    hosts: BTreeMap<HostName, Mutex<Upper>>,
    addresses: BTreeMap<String, HostName>,
    /// Names of those who can be told something.
    channels: Vec<String>,
}

impl<E: Effects> Overlay<E> {
    /// Over the hosts of this environment, from this time on: milliseconds since 1970-01-01 UTC.
    pub fn new(inner: E, environment: &Environment, run: RunId, controller: Controller, marks: Arc<Marks>, begin: i64) -> Self {
        let hosts = environment.hosts.hosts();
        let addresses = hosts.iter().map(|host| (host.address.clone(), host.name.clone())).collect();
        let hosts = hosts.iter().map(|host| (host.name.clone(), Mutex::new(Upper::new(&host.name, &host.user)))).collect();
        Self { inner, run, controller, marks, clock: Clock::new(begin), hosts, addresses, channels: channels(environment) }
    }

    fn upper(&self, host: &HostName) -> Option<MutexGuard<'_, Upper>> {
        self.hosts.get(host).map(|upper| upper.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn on_controller(&self, at: &Login, effect: &Effect) -> Result<Reply, EffectError> {
        let task = whose::task();
        match effect {
            Effect::Now => Ok(Reply::Time(self.clock.now(&task))),
            // Nothing becomes otherwise by waiting: no change was made.
            Effect::Sleep { millis } => {
                self.clock.sleep(&task, *millis);
                Ok(Reply::done(false))
            }
            Effect::Notify { to, .. } => takes(&self.channels, to.as_deref()),
            Effect::Ask { question } => self.inner.perform(at, effect).or_else(|error| likely(question).ok_or(error)),
            _ => self.inner.perform(at, effect),
        }
    }

    /// The host that an address leads to, when it is one of these.
    fn addressed(&self, at: &Login, address: &str, via: Via) -> Option<&HostName> {
        let own = address == "localhost" || address == "::1" || address.starts_with("127.");
        match (own, via) {
            (true, Via::Controller) => None,
            (true, _) => self.hosts.get_key_value(&at.host).map(|(name, _)| name),
            (false, _) => self.addresses.get(address),
        }
    }

    fn server(&self, at: &Login, (address, port): (&str, u16), via: Via, hoped: Option<&Hoped>) -> Option<(u16, String)> {
        self.upper(self.addressed(at, address, via)?)?.server(port, hoped, &self.marks)
    }
}

/// The default, or the first choice: a prediction asks nobody.
fn likely(question: &Question) -> Option<Reply> {
    let answer = question.default.as_ref().or(question.choices.first())?;
    Some(Reply::Content(Content::new(answer.as_str())))
}

impl<E: Effects> Effects for Overlay<E> {
    fn perform(&self, at: &Login, effect: &Effect) -> Result<Reply, EffectError> {
        if effect.class() == EffectClass::Controller {
            return self.on_controller(at, effect);
        }
        let predicted = match effect {
            Effect::Http { request, via } => Place::parse(&request.url)
                .ok()
                .and_then(|place| self.server(at, (&place.address, place.port), *via, request.hoped.as_ref()))
                .map(|answer| Upper::http_reply(at, answer)),
            Effect::Connect { address, port, via } => self
                .server(at, (address, *port), *via, None)
                .map(|_| Reply::Connected { vantage: format!("predicted for {}", at.host) }),
            _ => None,
        };
        match (predicted, effect) {
            (Some(reply), _) => Ok(reply),
            (None, Effect::Http { .. } | Effect::Connect { .. }) => self.inner.perform(at, effect),
            _ => {
                let Some(mut upper) = self.upper(&at.host) else { return self.inner.perform(at, effect) };
                let now = self.clock.now(&whose::task()).div_euclid(1000);
                let (run, inner, controller, marks) =
                    (&self.run, &self.inner as &dyn Effects, &self.controller, self.marks.as_ref());
                upper.perform(at, &UpperMeans { run, inner, controller, marks, now }, effect)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifact::{DirectoryStore, KeptSources};
    use crate::effect::{
        Attributes, Contract, Foretold, HttpRequest, Invocation, PackageSet, PackageState, ServiceUnit, UnitScope, Verb, Words,
    };
    use crate::fleet::{Operator, Project, World};
    use crate::id::{RemotePath, SaveId, StepKey, TaskPath};
    use crate::interp::{Certainty, Fleet, ReadOnly, Simulate, within};
    use crate::stop::Stop;
    use serde_json::json;

    /// A prediction over a host in memory, which stands for a live one.
    struct Ground {
        _temp: tempfile::TempDir,
        fleet: Arc<Fleet>,
        overlay: Overlay<ReadOnly<Simulate>>,
        marks: Arc<Marks>,
    }

    fn ground(world: serde_json::Value) -> Ground {
        let temp = tempfile::tempdir().unwrap();
        std::fs::write(temp.path().join("windlass.toml"), "name = \"x\"\n").unwrap();
        let hosts = json!({ "class": "lab", "hosts": { "web1": { "address": "10.0.0.1", "user": "root" } } });
        let home = temp.path().to_owned();
        let operator = Operator { ssh_config: home.join("none"), home, user: "op".to_owned(), ..Operator::default() };
        let project = Project::load(temp.path()).unwrap();
        let environment = Environment::from_value(&project, "lab", hosts, "lab.rhai", &operator).unwrap();
        let world: World = serde_json::from_value(world).unwrap();
        let fleet = Arc::new(Fleet::new(&environment, &world).unwrap());
        let (run, marks) = (RunId::new("20260101-0000", "test"), Arc::new(Marks::default()));
        let store = temp.path().join("store");
        let kept = || KeptSources::new(&store, run.clone(), None);
        let controller = || Controller::new(temp.path(), Arc::new(DirectoryStore::new(&store)), kept());
        let live = Simulate::new(fleet.clone(), run.clone(), controller(), Stop::default());
        let overlay = Overlay::new(ReadOnly::new(live), &environment, run.clone(), controller(), marks.clone(), 0);
        Ground { _temp: temp, fleet, overlay, marks }
    }

    impl Ground {
        /// What a step answers, and the surest word on it.
        fn step(&self, n: u32, effect: &Effect) -> (Result<Reply, String>, Option<Certainty>) {
            let key = StepKey { task: TaskPath::main(), n };
            let at = Login::plain(&HostName::parse("web1").unwrap());
            let reply = within(&key, || self.overlay.perform(&at, effect)).map_err(|error| error.to_string());
            (reply, self.marks.of(&key).into_iter().map(|(certainty, _)| certainty).max())
        }
    }

    fn save(n: u32) -> SaveId {
        StepKey { task: TaskPath::main(), n }.save(1)
    }

    fn path(text: &str) -> RemotePath {
        RemotePath::parse(text).unwrap()
    }

    fn write(n: u32, at: &str, text: &str) -> Effect {
        let (content, attributes) = (Content::new(text), Attributes::default());
        Effect::Write { path: path(at), content, attributes, validate: None, save: save(n), basis: None }
    }

    fn exec(n: u32, text: &str, writes: &[&str], contract: Contract) -> Effect {
        let (words, environment) = (Words::Shell(text.to_owned()), BTreeMap::new());
        let command = Invocation { words, directory: None, environment, stdin: None, timeout_seconds: None };
        let keeps = (50..).zip(writes).map(|(k, at)| (save(n * 100 + k), path(at))).collect();
        Effect::Exec { command, receipt: save(n), after: None, keeps, contract: Box::new(contract) }
    }

    fn done(changed: bool) -> Reply {
        Reply::done(changed)
    }

    #[test]
    fn what_is_changed_is_seen_and_nothing_below_is() {
        let ground = ground(json!({ "hosts": { "web1": { "files": { "/srv/old/a": "one", "/srv/old/b": "two" } } } }));
        let before = ground.fleet.snapshot();
        let said = |n: u32, effect: Effect| ground.step(n, &effect).0.unwrap();
        assert_eq!(said(1, write(1, "/srv/new", "x")), Reply::Done { changed: true, before: Some(Content::new("")) });
        let replaced = Reply::Done { changed: true, before: Some(Content::new("one")) };
        assert_eq!(said(2, write(2, "/srv/old/a", "three")), replaced);
        assert_eq!(said(3, write(3, "/srv/old/b", "two")), done(false));
        assert_eq!(said(4, Effect::Rename { from: path("/srv/old"), to: path("/srv/moved"), save: save(4) }), done(true));
        let read = |at: &str| Effect::Read { path: path(at), limit: 100 };
        assert_eq!(said(5, read("/srv/moved/a")), Reply::Content(Content::new("three")));
        assert_eq!(said(6, read("/srv/moved/b")), Reply::Content(Content::new("two")));
        let listed = vec!["/srv/moved".to_owned(), "/srv/new".to_owned()];
        assert_eq!(said(7, Effect::List { pattern: "/srv/*".to_owned() }), Reply::List(listed));
        assert_eq!(said(8, Effect::Stat { path: path("/srv/old/a") }), Reply::Stat(None));
        // Undone within the prediction, all is as before.
        for n in [4, 2, 1] {
            assert_eq!(
                said(20 + n, Effect::Restore { save: save(n), surely: true, overwrite: crate::effect::Overwrite::Nothing }),
                done(true)
            );
        }
        assert_eq!(said(30, read("/srv/old/a")), Reply::Content(Content::new("one")));
        assert_eq!(before.diff(&ground.fleet.snapshot()), Vec::<String>::new());
        assert_eq!(ground.fleet.opaque("web1").len(), 0);
    }

    #[test]
    fn what_rests_on_a_command_is_said_to() {
        let ground = ground(json!({}));
        let foretold = Foretold { code: 0, stdout: "3 tables".to_owned(), stderr: String::new() };
        let known = Contract { creates: None, answer: Some(foretold) };
        let (reply, certainty) = ground.step(1, &exec(1, "migrate", &["/srv/schema"], known));
        assert!(matches!(reply, Ok(Reply::Command(result)) if result.stdout == Content::new("3 tables")));
        assert_eq!(certainty, None);
        let read = Effect::Read { path: path("/srv/schema"), limit: 100 };
        assert_eq!(ground.step(2, &read).1, Some(Certainty::Unknown));
        assert_eq!(ground.step(3, &Effect::Stat { path: path("/etc/hostname") }).1, None);
        assert_eq!(ground.step(4, &exec(4, "something", &[], Contract::default())).1, Some(Certainty::Assumed));
        assert_eq!(ground.step(5, &Effect::Stat { path: path("/etc/hostname") }).1, Some(Certainty::Assumed));
        assert_eq!(ground.fleet.opaque("web1").len(), 0, "nothing was run");
    }

    #[test]
    fn a_service_that_would_be_started_anew_is_taken_to_answer() {
        let unit = || ServiceUnit { name: "web".to_owned(), scope: UnitScope::System };
        let ground = ground(json!({}));
        let act = |n: u32, verb: Verb| ground.step(n, &Effect::Service { unit: unit(), verb, save: save(n) }).0;
        assert_eq!(act(1, Verb::Start).unwrap_err(), "there is no service web.service on this host");
        let hoped = Hoped { status: 204, texts: vec!["1.1".to_owned()] };
        let request = HttpRequest {
            url: "http://10.0.0.1:8080/".to_owned(),
            method: "GET".to_owned(),
            headers: BTreeMap::new(),
            timeout_millis: 1000,
            hoped: Some(hoped),
        };
        let http = Effect::Http { request, via: Via::Tunnel };
        assert!(ground.step(2, &http).0.unwrap_err().starts_with("nothing answers at 10.0.0.1:8080"));
        let text = "[Service]\nExecStart=/usr/bin/web\n[Install]\nWantedBy=multi-user.target\n";
        ground.step(3, &write(3, "/etc/systemd/system/web.service", text)).0.unwrap();
        assert!(matches!(act(4, Verb::Restart), Ok(Reply::Service { changed: true, state }) if state.active == "active"));
        assert!(matches!(act(5, Verb::Enable), Ok(Reply::Service { changed: true, state }) if state.enabled == "enabled"));
        assert!(matches!(act(6, Verb::Enable), Ok(Reply::Service { changed: false, .. })));
        let (reply, certainty) = ground.step(7, &http);
        assert!(matches!(reply, Ok(Reply::Http(reply)) if reply.status == 204 && reply.body == "1.1\n"));
        assert_eq!(certainty, Some(Certainty::Assumed));
    }

    #[test]
    fn packages_are_asked_for_once_they_are_spoken_of() {
        let list = "ii  nginx 1.22\nrc  old 1.0\n";
        let commands = json!([{ "begins": "dpkg-query -W", "stdout": list }]);
        let ground = ground(json!({ "hosts": { "web1": { "commands": commands } } }));
        let packages = |n: u32, name: &str| {
            let names = vec![name.to_owned()];
            let (state, recommends) = (PackageState::Present, None);
            let packages = PackageSet { names, state, update: false, recommends, allow_removals: false, lock_seconds: 1 };
            ground.step(n, &Effect::Packages { packages, save: save(n) }).0.unwrap()
        };
        assert!(matches!(packages(1, "nginx"), Reply::Packages { changed: false, .. }));
        assert!(matches!(packages(2, "old"), Reply::Packages { changed: true, .. }));
    }
}
