//! Faults at random moments, on hosts behind HAProxy: whatever happens, the run is brought to an end by what its own messages say to
//! type, and then every host, the balancer, the exit codes and what was claimed are looked at.
//!
//! `WINDLASS_STORM` says how many rounds, `WINDLASS_SEED` which ones. Each tells what it did when it fails; the tally is told at the end.

use super::chance::Chance;
use super::host::{Host, HostState, heal, states};
use super::lab::{Lease, asked, lab, lab_command};
use super::project::{Ended, Project, Running};
use super::wait::{eventually, pause};
use rustix::process::Signal;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::time::{Duration, Instant};

const ROUNDS: u32 = 6;
const SEED: u64 = 20_261_130;
const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/real/storm");
const WEB: usize = 4;

/// What goes wrong; of a host, the number of it among those that serve, the balancer being the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    /// A signal to the controller.
    Kill,
    Term,
    Hangup,
    /// The network drops every packet of the host.
    Cut(usize),
    /// Its SSH server and all sessions end.
    SshServer(usize),
    /// A power cut; it boots at once.
    PowerCut(usize),
    /// A power cut; it boots when the run was undone, or waits for that.
    PowerLater(usize),
    /// A power cut right behind the end of the run: what it said to be so is on disk.
    PowerBehind(usize),
    /// Its disk has no room any more.
    Full(usize),
    /// Another process of the same ledger deploys as well.
    SecondController,
    /// So does a clone of the project, with a ledger of its own.
    Clone,
    /// Another project deploys another service to the same hosts.
    SecondProject,
}

impl Fault {
    fn draw(chance: &mut Chance) -> Self {
        let host = usize::try_from(chance.below(WEB as u64 + 1)).unwrap();
        match chance.below(18) {
            0..=2 => Self::Kill,
            3 => Self::Term,
            4 => Self::Hangup,
            5 | 6 => Self::Cut(host),
            7 => Self::SshServer(host),
            8 | 9 => Self::PowerCut(host),
            10 | 11 => Self::PowerLater(host),
            12 => Self::PowerBehind(host),
            13 => Self::Full(host.min(WEB - 1)),
            14 => Self::SecondController,
            15 | 16 => Self::Clone,
            _ => Self::SecondProject,
        }
    }

    /// Whether a run that it comes beside has no reason to fail on a host. (A clone's claim may be met in the middle.)
    fn leaves_hosts_alone(self) -> bool {
        matches!(
            self,
            Self::Kill | Self::Term | Self::Hangup | Self::PowerBehind(_) | Self::SecondController | Self::SecondProject
        )
    }

    fn name(self) -> String {
        let text = format!("{self:?}");
        text.split('(').next().unwrap_or_default().to_owned()
    }
}

/// The hosts, who deploys to them, and what was done so far.
struct Storm {
    lease: Lease,
    main: Project,
    clone: Project,
    other: Project,
    chance: Chance,
    /// How long a deploy takes when nothing goes wrong.
    whole: Duration,
    /// What every host serves, of both services.
    live: BTreeMap<&'static str, &'static str>,
    /// The tags that every host has to have in its file, of both services.
    tags: BTreeMap<&'static str, Vec<String>>,
    /// What a round did, to be told when it fails.
    told: String,
    tally: BTreeMap<(String, String), u32>,
}

fn project(hosts: &[Host]) -> Project {
    let project = Project::new(hosts, |_| "");
    for (from, to) in
        [("deploy.rhai", "deploy.rhai"), ("named.service", "templates/named.service"), ("named.conf", "templates/named.conf")]
    {
        std::fs::copy(format!("{SOURCE}/{from}"), project.dir().join(to)).unwrap();
    }
    let environment = project.dir().join("environments/real.toml");
    let text = std::fs::read_to_string(&environment).unwrap();
    let lb = format!("[hosts.{}]\nroles = [\"web\"]", hosts[WEB].name);
    assert!(text.contains(&lb), "{text}");
    std::fs::write(environment, text.replace(&lb, &lb.replace("\"web\"", "\"lb\""))).unwrap();
    let config = project.home().join(".ssh/config");
    let text = std::fs::read_to_string(&config).unwrap();
    let quick = "Host *\n  ServerAliveInterval 1\n  ServerAliveCountMax 3\n  ConnectTimeout 3\n";
    std::fs::write(config, format!("{quick}{text}")).unwrap();
    project
}

/// HAProxy on the last host, in front of both services of the others.
fn balance(hosts: &[Host]) {
    let (lb, web) = (&hosts[WEB], &hosts[..WEB]);
    let mut config = std::fs::read_to_string(format!("{SOURCE}/haproxy.cfg")).unwrap();
    for (name, front, port) in [("hello", 80, 8080), ("other", 81, 8081)] {
        write!(
            config,
            "frontend {name}\n    bind *:{front}\n    default_backend {name}\nbackend {name}\n    option httpchk GET /healthz\n"
        )
        .unwrap();
        for host in web {
            writeln!(config, "    server {} {}:{port} check inter 200ms fall 2 rise 1", host.name, host.address()).unwrap();
        }
    }
    std::fs::create_dir_all(lb.path("/srv/lb")).unwrap();
    std::fs::write(lb.path("/srv/lb/haproxy.cfg"), config).unwrap();
    std::fs::copy(format!("{SOURCE}/lb"), lb.path("/usr/local/bin/lb")).unwrap();
    let unit = "[Service]\nExecStart=/usr/sbin/haproxy -db -f /srv/lb/haproxy.cfg\n[Install]\nWantedBy=multi-user.target\n";
    std::fs::write(lb.path("/etc/systemd/system/lb.service"), unit).unwrap();
    lb.say("chmod 755 /usr/local/bin/lb; systemctl daemon-reload; systemctl enable --now lb");
    eventually("the balancer answers", || !lb.say("lb state").is_empty());
    for host in web {
        host.say("for n in hello other; do : >/var/lib/$n.count; done");
    }
}

impl Storm {
    fn new() -> Self {
        let lease = lab().lease(WEB + 1);
        balance(&lease.hosts);
        let [main, clone, other] = std::array::from_fn(|_| project(&lease.hosts));
        let mut storm = Self {
            lease,
            main,
            clone,
            other,
            chance: Chance::new(asked("WINDLASS_SEED", SEED)),
            whole: Duration::ZERO,
            live: BTreeMap::new(),
            tags: BTreeMap::new(),
            told: String::new(),
            tally: BTreeMap::new(),
        };
        for (name, version) in [("other", "1.0"), ("hello", "1.0")] {
            let begun = Instant::now();
            let words = words(name, version, "first");
            let project = if name == "other" { &storm.other } else { &storm.main };
            project.windlass(&strs(&words)).expect(0);
            storm.whole = begun.elapsed();
            storm.live.insert(name, version);
            storm.tags.insert(name, vec!["first".to_owned()]);
        }
        storm
    }

    fn web(&self) -> &[Host] {
        &self.lease.hosts[..WEB]
    }

    fn note(&mut self, text: &str) {
        self.told += text;
        self.told.push('\n');
    }

    /// Waits for a moment in the course of a deploy.
    fn moment(&mut self, begun: Instant) {
        let most = u64::try_from(self.whole.as_micros()).unwrap() * 95 / 100;
        let moment = Duration::from_micros(self.chance.below(most));
        while begun.elapsed() < moment {
            pause();
        }
        self.note(&format!("  after {:?}", begun.elapsed()));
    }

    fn strike(&mut self, fault: Fault, running: &Running, beside: &mut Vec<(Fault, Running)>, tag: &str) {
        self.note(&format!("  {fault:?}"));
        let host = |n: usize| &self.lease.hosts[n];
        match fault {
            Fault::Kill => running.signal(Signal::KILL),
            Fault::Term => running.signal(Signal::TERM),
            Fault::Hangup => running.signal(Signal::HUP),
            Fault::Cut(n) => host(n).fault("cut"),
            Fault::SshServer(n) => host(n).fault("sshd-kill"),
            Fault::PowerCut(n) => {
                host(n).fault("kill");
                let booted = lab_command(&["boot", &host(n).name]).output().unwrap();
                assert!(booted.status.success(), "{booted:?}");
            }
            Fault::PowerLater(n) => host(n).fault("kill"),
            Fault::Full(n) => host(n).fault("full"),
            // Its moment comes later.
            Fault::PowerBehind(_) => {}
            Fault::SecondController | Fault::Clone | Fault::SecondProject => {
                let name = if fault == Fault::SecondProject { "other" } else { "hello" };
                let next = next(self.live[name]);
                let project = match fault {
                    Fault::SecondController => &self.main,
                    Fault::Clone => &self.clone,
                    _ => &self.other,
                };
                let words = words(name, next, &format!("{tag}b"));
                beside.push((fault, project.start(&strs(&words))));
            }
        }
    }

    /// Everything is as it was outside of what runs do.
    fn calm(&self) {
        for host in &self.lease.hosts {
            let _ = lab_command(&["heal", &host.name]).output();
            let booted = lab_command(&["boot", &host.name]).output().unwrap();
            assert!(booted.status.success(), "{booted:?}");
            heal(host);
            host.wait_until_up();
        }
    }
}

fn next(version: &str) -> &'static str {
    if version == "1.0" { "1.1" } else { "1.0" }
}

fn words(name: &str, version: &str, tag: &str) -> Vec<String> {
    let port = if name == "other" { "8081" } else { "8080" };
    let set = [format!("version={version}"), format!("tag={tag}"), format!("name={name}"), format!("port={port}")];
    let mut words = ["run", "--format", "json"].map(ToOwned::to_owned).to_vec();
    for set in set {
        words.extend(["--set".to_owned(), set]);
    }
    words
}

fn states_of(hosts: &[Host]) -> Vec<HostState> {
    states(hosts).into_iter().map(HostState::apart_from_kept).collect()
}

fn strs(words: &[String]) -> Vec<&str> {
    words.iter().map(String::as_str).collect()
}

/// A process that deploys.
struct Attempt {
    project: &'static str,
    service: &'static str,
    tag: String,
    ended: Option<Ended>,
}

impl Attempt {
    /// The run that it began, if it came so far.
    fn run(&self) -> Option<String> {
        let events = self.ended.as_ref()?.out.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        events.into_iter().find_map(|event| event["run"].as_str().map(ToOwned::to_owned))
    }
}

impl Storm {
    fn project(&self, name: &str) -> &Project {
        match name {
            "main" => &self.main,
            "clone" => &self.clone,
            _ => &self.other,
        }
    }

    /// The state of each run of a project's ledger.
    fn runs(&self, name: &str) -> BTreeMap<String, String> {
        let text = |row: &serde_json::Value, key: &str| row[key].as_str().unwrap_or_default().to_owned();
        let ended = self.project(name).windlass(&["history", "--format", "json"]).expect(0);
        let rows = ended.events();
        rows.iter().map(|row| (text(row, "id"), text(row, "state"))).collect()
    }

    /// One step towards the end of what is unfinished in a ledger; false when nothing is.
    fn goes_on(&mut self, name: &'static str, tag: &str, back: bool) -> bool {
        let status = self.project(name).status();
        if let Some(run) = status["open"][0]["run"]["id"].as_str() {
            let state = status["open"][0]["run"]["state"].as_str().unwrap_or_default();
            let back = back || matches!(state, "unwinding" | "stuck");
            self.take_up(name, run, tag, back);
            return true;
        }
        if let Some(run) = status["debts"][0]["run"].as_str() {
            let ended = self.project(name).windlass(&["settle", run, "--format", "json"]);
            self.note(&format!("  {name}: settle {run}: {:?}", ended.code));
            assert_eq!(ended.code, Some(0), "{}\n{ended}", self.told);
            return true;
        }
        false
    }

    fn take_up(&mut self, name: &'static str, run: &str, tag: &str, back: bool) {
        let word = if back { "unwind" } else { "resume" };
        let mut words = vec![word.to_owned(), run.to_owned(), "--format".to_owned(), "json".to_owned()];
        if self.chance.below(5) == 0 {
            let begun = Instant::now();
            let running = self.project(name).start(&strs(&words));
            self.moment(begun);
            running.signal(Signal::KILL);
            let code = running.wait().code;
            self.note(&format!("  {name}: {word} {run} killed: {code:?}"));
            return;
        }
        let mut ended = self.project(name).windlass(&strs(&words));
        self.note(&format!("  {name}: {word} {run}: {:?}", ended.code));
        if ended.code == Some(7) {
            let end = ended.events().pop().unwrap_or_default();
            let steps: Vec<String> =
                end["in_doubt"].as_array().into_iter().flatten().filter_map(|key| key.as_str().map(ToOwned::to_owned)).collect();
            for step in &steps {
                let option = if self.was_done(step, tag) { "--assume-done" } else { "--again" };
                words.extend([option.to_owned(), step.clone()]);
            }
            assert!(!steps.is_empty(), "it is suspended, and says not why: {}\n{ended}", self.told);
            words[0] = "resume".to_owned();
            ended = self.project(name).windlass(&strs(&words));
            self.note(&format!("  {name}: {} {:?}", words.join(" "), ended.code));
        }
        assert!(matches!(ended.code, Some(0 | 1 | 3 | 4 | 6 | 7)), "{}\n{ended}", self.told);
    }

    /// What a person finds who looks whether the command of a step was done.
    fn was_done(&self, step: &str, tag: &str) -> bool {
        let host = step.split('/').find_map(|part| self.web().iter().find(|host| part.starts_with(&host.name)));
        let counts = |host: &Host| format!("{}{}", host.read("/var/lib/hello.count"), host.read("/var/lib/other.count"));
        host.is_some_and(|host| counts(host).lines().any(|line| line == tag))
    }

    fn round(&mut self, n: u32) {
        self.told.clear();
        let tag = format!("r{n}");
        let before = states_of(&self.lease.hosts);
        let mut faults = vec![Fault::draw(&mut self.chance)];
        if self.chance.below(3) == 0 {
            faults.push(Fault::draw(&mut self.chance));
        }
        let back = self.chance.below(2) == 0;
        self.note(&format!("round {n}: {faults:?}, back: {back}"));
        let words = words("hello", next(self.live["hello"]), &tag);
        let begun = Instant::now();
        let running = self.main.start(&strs(&words));
        let mut beside = Vec::new();
        for fault in &faults {
            self.moment(begun);
            self.strike(*fault, &running, &mut beside, &tag);
        }
        let ended = running.wait();
        self.note(&format!("  it ended: {:?}", ended.code));
        // Nothing that came to pass so far keeps a deploy from being made.
        if faults.iter().all(|fault| fault.leaves_hosts_alone()) {
            assert!(!matches!(ended.code, Some(1 | 3 | 4)), "it failed, and nothing says why: {}\n{ended}", self.told);
        }
        for fault in &faults {
            if let Fault::PowerBehind(n) = fault {
                self.lease.hosts[*n].fault("kill");
            }
        }
        let mut attempts = vec![Attempt { project: "main", service: "hello", tag: tag.clone(), ended: Some(ended) }];
        for (fault, running) in beside {
            let ended = running.wait();
            self.note(&format!("  {}: {:?}", fault.name(), ended.code));
            let (project, service) = match fault {
                Fault::SecondController => ("main", "hello"),
                Fault::Clone => ("clone", "hello"),
                _ => ("other", "other"),
            };
            attempts.push(Attempt { project, service, tag: format!("{tag}b"), ended: Some(ended) });
        }
        // Now and then it is taken up while hosts are away.
        if self.chance.below(3) == 0 {
            self.while_away(&tag, back);
        }
        self.calm();
        let mut left = 12;
        while ["main", "clone", "other"].into_iter().any(|name| self.goes_on(name, &tag, back)) {
            left -= 1;
            assert!(left > 0, "it does not come to an end: {}", self.told);
        }
        let how = self.judge(&before, &attempts);
        for fault in faults {
            *self.tally.entry((fault.name(), how.clone())).or_default() += 1;
        }
    }

    fn while_away(&mut self, tag: &str, back: bool) {
        let status = self.main.status();
        if let Some(run) = status["open"][0]["run"]["id"].as_str() {
            let state = status["open"][0]["run"]["state"].as_str().unwrap_or_default();
            self.take_up("main", run, tag, back || matches!(state, "unwinding" | "stuck"));
        }
    }

    /// Looks at everything; gives how it ended.
    fn judge(&mut self, before: &[HostState], attempts: &[Attempt]) -> String {
        let mut how = "nothing began".to_owned();
        let ledgers: BTreeMap<&str, BTreeMap<String, String>> =
            ["main", "clone", "other"].into_iter().map(|name| (name, self.runs(name))).collect();
        let mut changed: Vec<&'static str> = Vec::new();
        for attempt in attempts {
            let ended = attempt.ended.as_ref().unwrap();
            let state = attempt.run().and_then(|run| ledgers[attempt.project].get(&run).cloned()).unwrap_or_default();
            self.told += &format!("  {} {} is {state:?}\n", attempt.project, attempt.tag);
            match ended.code {
                Some(0) => assert_eq!(state, "succeeded", "{}\n{ended}", self.told),
                Some(1 | 3) => assert!(matches!(state.as_str(), "unwound" | "refused" | ""), "{}\n{ended}", self.told),
                Some(4) => assert_eq!(state, "unwound", "{}\n{ended}", self.told),
                Some(5..=7 | 129 | 130 | 143) | None => {}
                _ => panic!("{}\n{ended}", self.told),
            }
            if attempt.tag.ends_with('b') {
                if state == "succeeded" {
                    self.tags.get_mut(attempt.service).unwrap().push(attempt.tag.clone());
                    changed.push(attempt.service);
                }
            } else {
                if !state.is_empty() {
                    how = state.clone();
                }
                if state == "succeeded" {
                    self.tags.get_mut(attempt.service).unwrap().push(attempt.tag.clone());
                    changed.push(attempt.service);
                }
            }
        }
        changed.sort_unstable();
        changed.dedup();
        for service in &changed {
            let version = next(before_of(&self.live, service));
            self.live.insert(service, version);
        }
        self.look(before, &changed);
        how
    }

    fn look(&self, before: &[HostState], changed: &[&'static str]) {
        let now = states_of(&self.lease.hosts);
        if changed.is_empty() {
            for (before, now) in before.iter().zip(&now) {
                assert_eq!(before.files_of(""), now.files_of(""), "{}", self.told);
                assert_eq!((&before.service, &before.answer), (&now.service, &now.answer), "{}", self.told);
            }
        }
        for (service, port) in [("hello", 8080), ("other", 8081)] {
            for ((host, before), now) in self.web().iter().zip(before).zip(&now) {
                if !changed.contains(&service) {
                    assert_eq!(before.files_of(service), now.files_of(service), "{} of {}: {}", service, host.name, self.told);
                }
                self.serves(host, service, port);
            }
        }
        self.is_balanced();
        // What is left on a host is known.
        let known: Vec<serde_json::Value> =
            ["main", "clone", "other"].into_iter().map(|name| self.project(name).status()["leftovers"].clone()).collect();
        for host in &self.lease.hosts {
            let left = host.left("/root");
            let named =
                known.iter().filter_map(|all| all.as_array()).flatten().any(|one| one["at"]["host"] == host.name.as_str());
            assert!(left.is_empty() || named, "{}: {left:?}\n{known:?}\n{}", host.name, self.told);
        }
    }

    /// Whether a service runs from its release, answers, and each run that it owes its state to was there once.
    fn serves(&self, host: &Host, service: &str, port: u16) {
        let (version, about) = (self.live[service], || format!("{service} of {}: {}", host.name, self.told));
        let unit = host.say(&format!(
            "for p in ActiveState UnitFileState NeedDaemonReload; do printf '%s ' \"$(systemctl show -p $p --value {service})\"; done
             readlink /proc/$(systemctl show -p MainPID --value {service})/cwd"
        ));
        assert_eq!(unit, format!("active enabled no /srv/{service}/releases/{version}"), "{}", about());
        assert_eq!(host.answer_at(port), format!("hello {version} is well"), "{}", about());
        let mut lines: Vec<String> = host.read(&format!("/var/lib/{service}.count")).lines().map(ToOwned::to_owned).collect();
        let mut wanted = self.tags[service].clone();
        lines.sort();
        wanted.sort();
        assert_eq!(lines, wanted, "each once: {}", about());
    }

    /// The balancer sends users to every server.
    fn is_balanced(&self) {
        let (lb, begun) = (&self.lease.hosts[WEB], Instant::now());
        loop {
            let said = lb.say("lb state");
            if said.lines().count() == 2 * WEB && said.lines().all(|line| line.ends_with(" 0 2")) {
                return;
            }
            assert!(begun.elapsed() < Duration::from_secs(5), "the balancer: {said}\n{}", self.told);
            pause();
        }
    }

    /// The next runs clear away what is left.
    fn end(&mut self) {
        for (project, service) in [("main", "hello"), ("clone", "hello"), ("other", "other")] {
            let words = words(service, self.live[service], &format!("end-{project}"));
            self.project(project).windlass(&strs(&words)).expect(0);
        }
        self.lease.hosts.iter().for_each(|host| host.assert_nothing_left("/root"));
    }
}

fn before_of(live: &BTreeMap<&'static str, &'static str>, service: &str) -> &'static str {
    live.get(service).copied().unwrap()
}

impl Drop for Storm {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for name in ["main", "clone", "other"] {
                say(&self.project(name).windlass(&["status"]).out);
                let runs = self.runs(name);
                for run in runs.keys().rev().take(2) {
                    say(&self.project(name).windlass(&["show", run]).out);
                }
            }
        }
        let script = "systemctl disable --now lb other; rm -rf /etc/systemd/system/lb.service /etc/systemd/system/other.service \
                      /usr/local/bin/lb /var/lib/hello.count /var/lib/other.count; systemctl daemon-reload";
        for host in &self.lease.hosts {
            // One that is off is made new by its next user.
            let _ = lab_command(&["boot", &host.name]).output();
            let _ = lab_command(&["in", &host.name, "sh", "-c", script]).output();
        }
    }
}

fn say(text: &str) {
    // Nobody may read it.
    let _ = std::io::stderr().write_all(text.as_bytes());
}

#[test]
fn after_faults_at_random_moments_all_is_as_it_is_said_to_be() {
    let mut storm = Storm::new();
    let begun = Instant::now();
    let rounds = asked("WINDLASS_STORM", ROUNDS);
    for n in 1..=rounds {
        storm.round(n);
        if rounds > ROUNDS {
            say(&storm.told);
        }
    }
    storm.end();
    let mut table = format!("{rounds} rounds in {:?}\n", begun.elapsed());
    for ((fault, how), times) in &storm.tally {
        writeln!(table, "{fault:<18} {how:<14} {times:>4}").unwrap();
    }
    say(&table);
}
