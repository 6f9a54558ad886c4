//! A layer that notes what was looked at, and what was answered: what a prediction was made of. It changes nothing on the way.

use crate::effect::{Effect, EffectError, Effects, FileKind, FileStat, Login, Reply, ServiceState, SourceInfo, Words};
use crate::id::Digest;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Look {
    /// Where, and as whom; the controller for files of the project.
    #[serde(flatten)]
    pub at: Login,
    /// What, in words, as in `stat /srv/shop`.
    pub what: String,
    /// How it is asked for again; nothing when it is not compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub look: Option<Effect>,
    /// The digest of what does not change by itself in the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Digest>,
    /// The answer in short.
    pub said: String,
}

impl Look {
    /// What an effect has answered, when it is a look that matters.
    fn of(at: &Login, effect: &Effect, reply: &Result<Reply, EffectError>) -> Option<Self> {
        let (what, compared) = asked(effect)?;
        let (said, lasting) = answered(reply)?;
        let answer = compared.then(|| Digest::of(lasting.as_bytes()));
        let look = compared.then(|| effect.clone());
        Some(Self { at: at.clone(), what, look, answer, said })
    }

    /// What is different now: what is found, in short. Nothing when it is as it was, or is not compared.
    #[must_use]
    pub fn again(&self, effects: &dyn Effects) -> Option<String> {
        let effect = self.look.as_ref()?;
        let reply = effects.perform(&self.at, effect);
        match Self::of(&self.at, effect, &reply) {
            Some(now) if now.answer == self.answer => None,
            Some(now) => Some(now.said),
            None => Some(reply.map_or_else(|error| format!("it cannot be looked at: {error}"), |_| "no answer".to_owned())),
        }
    }
}

/// Everything that was looked at, by place.
#[derive(Debug, Default)]
pub struct Looks(Mutex<BTreeMap<(Login, String), Look>>);

impl Looks {
    fn note(&self, look: Look) {
        // The first answer is what the rest was made of.
        self.0.lock().unwrap_or_else(PoisonError::into_inner).entry((look.at.clone(), look.what.clone())).or_insert(look);
    }

    /// All of it, by host and user.
    #[must_use]
    pub fn all(&self) -> Vec<Look> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}

/// Another layer, of which looks are noted.
pub struct Observe<E> {
    inner: E,
    looks: Arc<Looks>,
    seen: Seen,
}

/// Whose looks are noted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// Those at hosts, and at the project.
    All,
    /// Those at the project: the hosts are none.
    Project,
}

impl<E: Effects> Observe<E> {
    /// Over a layer.
    pub fn new(inner: E, looks: Arc<Looks>, seen: Seen) -> Self {
        Self { inner, looks, seen }
    }
}

impl<E: Effects> Effects for Observe<E> {
    fn perform(&self, at: &Login, effect: &Effect) -> Result<Reply, EffectError> {
        let reply = self.inner.perform(at, effect);
        if (self.seen == Seen::All || at.host.is_controller())
            && let Some(look) = Look::of(at, effect, &reply)
        {
            self.looks.note(look);
        }
        reply
    }
}

/// A look in words, and whether its answer lasts.
fn asked(effect: &Effect) -> Option<(String, bool)> {
    Some(match effect {
        Effect::Stat { path } => (format!("stat {path}"), true),
        Effect::Read { path, .. } => (format!("read {path}"), true),
        Effect::Digest { path } => (format!("digest {path}"), true),
        Effect::List { pattern } => (format!("list {pattern}"), true),
        Effect::ServiceStatus { unit } => (format!("service {}", unit.name), true),
        Effect::Facts => ("facts".to_owned(), true),
        Effect::Source { source } => (format!("source {source}"), true),
        Effect::Template { name } => (format!("template {name}"), true),
        // What a command says, the run asks itself, and its steps are held to what follows from it.
        Effect::Probe { command } => (format!("probe {}", words(&command.words)), false),
        Effect::Http { request, .. } => (format!("http {} {}", request.method, request.url), false),
        Effect::Connect { address, port, .. } => (format!("tcp {address}:{port}"), false),
        _ => return None,
    })
}

fn words(words: &Words) -> String {
    match words {
        Words::Shell(text) => text.split_whitespace().collect::<Vec<_>>().join(" "),
        Words::List(list) => list.join(" "),
    }
}

/// An answer in short, and all of it that does not change by itself.
fn answered(reply: &Result<Reply, EffectError>) -> Option<(String, String)> {
    let same = |text: String| Some((text.clone(), text));
    match reply {
        Ok(Reply::Stat(None)) => same("nothing is there".to_owned()),
        Ok(Reply::Stat(Some(stat))) => same(stat_text(stat)),
        Ok(Reply::Content(content)) => {
            let (digest, size) = (content.digest(), content.bytes().len());
            Some((format!("{size} bytes, sha256 {}", digest.short()), digest.to_string()))
        }
        Ok(Reply::Digest(digest)) => {
            let digest = digest.as_ref();
            let short = digest.map_or_else(|| "no file".to_owned(), |digest| format!("sha256 {}", digest.short()));
            Some((short, digest.map(ToString::to_string).unwrap_or_default()))
        }
        Ok(Reply::List(paths)) => Some((list_text(paths), paths.join("\n"))),
        Ok(Reply::Service { state, .. }) => same(service_text(state)),
        Ok(Reply::Facts(facts)) => Some(facts_text(facts)),
        Ok(Reply::Source(SourceInfo { digest, size, mode, .. })) => {
            Some((format!("{size} bytes, sha256 {}", digest.short()), format!("{digest} {mode:o}")))
        }
        Ok(Reply::Tree(tree)) => {
            Some((format!("a directory of {} bytes, sha256 {}", tree.size, tree.digest.short()), tree.digest.to_string()))
        }
        Ok(Reply::Command(result)) => same(format!("exit status {}", result.code)),
        Ok(Reply::Http(http)) => same(format!("status {}", http.status)),
        Ok(Reply::Connected { .. }) => same("connected".to_owned()),
        Err(EffectError::Failed { .. }) => same(format!("refused: {}", reply.as_ref().err()?)),
        _ => None,
    }
}

fn stat_text(stat: &FileStat) -> String {
    let owner = format!("{} {}:{}", stat.mode, stat.owner, stat.group);
    match stat.kind {
        FileKind::File => format!("a file of {} bytes, {owner}", stat.size),
        FileKind::Directory => format!("a directory, {owner}"),
        FileKind::Link => format!("a link to {}", stat.target.as_deref().unwrap_or_default()),
        FileKind::Other => format!("something else, {owner}"),
    }
}

fn list_text(paths: &[String]) -> String {
    let shown: Vec<&str> = paths.iter().take(5).map(String::as_str).collect();
    let more = if paths.len() > shown.len() { ", …" } else { "" };
    if paths.is_empty() { "nothing fits".to_owned() } else { format!("{} fit: {}{more}", paths.len(), shown.join(", ")) }
}

/// Processes and restarts come and go by themselves.
fn service_text(state: &ServiceState) -> String {
    match (state.known, state.enabled.as_str()) {
        (false, _) => "not known".to_owned(),
        (true, "") => state.active.clone(),
        (true, enabled) => format!("{}, {enabled}", state.active),
    }
}

fn facts_text(facts: &BTreeMap<String, Value>) -> (String, String) {
    // Another boot is the same host.
    let lasting: Vec<String> =
        facts.iter().filter(|(name, _)| *name != "boot_id").map(|(name, value)| format!("{name}={value}")).collect();
    let fact = |name: &str| facts.get(name).and_then(Value::as_str).unwrap_or("?");
    (format!("{} {}, {}, user {}", fact("os"), fact("os_version"), fact("arch"), fact("user")), lasting.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effect::{Content, ServiceUnit, UnitScope};
    use crate::id::{HostName, RemotePath};

    /// Answers each look by what is set.
    struct Below(Mutex<Reply>);

    impl Effects for &Below {
        fn perform(&self, _: &Login, _: &Effect) -> Result<Reply, EffectError> {
            Ok(self.0.lock().unwrap().clone())
        }
    }

    fn stat(size: u64, modified: i64) -> Reply {
        let (mode, owner) = ("0644".to_owned(), "root".to_owned());
        Reply::Stat(Some(FileStat {
            kind: FileKind::File,
            size,
            mode,
            owner: owner.clone(),
            group: owner,
            modified,
            target: None,
        }))
    }

    fn service(active: &str, main_pid: i64) -> Reply {
        let (active, enabled, result) = (active.to_owned(), "enabled".to_owned(), String::new());
        Reply::Service {
            changed: false,
            state: ServiceState { known: true, active, enabled, main_pid, restarts: main_pid, result, ..ServiceState::default() },
        }
    }

    /// The only look that was noted, through a document, once more when something else is answered.
    fn again(effect: &Effect, first: Reply, then: Reply) -> Option<String> {
        let (below, looks) = (Below(Mutex::new(first)), Arc::new(Looks::default()));
        let at = Login::plain(&HostName::parse("web1").unwrap());
        let layer = Observe::new(&below, looks.clone(), Seen::All);
        layer.perform(&at, effect).unwrap();
        *below.0.lock().unwrap() = then;
        layer.perform(&at, effect).unwrap();
        let text = serde_json::to_string(&looks.all()).unwrap();
        let looks: Vec<Look> = serde_json::from_str(&text).unwrap();
        assert_eq!(looks.len(), 1);
        looks[0].again(&&below)
    }

    #[test]
    fn what_changes_by_itself_is_no_difference() {
        let path = || RemotePath::parse("/srv/a").unwrap();
        let unit = ServiceUnit { name: "web".to_owned(), scope: UnitScope::System };
        assert_eq!(again(&Effect::Stat { path: path() }, stat(1, 1), stat(1, 2)), None);
        assert_eq!(again(&Effect::Stat { path: path() }, stat(1, 1), stat(2, 1)).unwrap(), "a file of 2 bytes, 0644 root:root");
        assert_eq!(again(&Effect::Stat { path: path() }, stat(1, 1), Reply::Stat(None)).unwrap(), "nothing is there");
        let status = Effect::ServiceStatus { unit };
        assert_eq!(again(&status, service("active", 1), service("active", 2)), None);
        assert_eq!(again(&status, service("active", 1), service("failed", 1)).unwrap(), "failed, enabled");
        let facts = |boot: &str, os: &str| {
            let facts = [("boot_id", boot), ("os", os)].map(|(name, value)| (name.to_owned(), Value::from(value)));
            Reply::Facts(facts.into())
        };
        assert_eq!(again(&Effect::Facts, facts("1", "debian"), facts("2", "debian")), None);
        assert!(again(&Effect::Facts, facts("1", "debian"), facts("1", "alpine")).is_some());
        let read = Effect::Read { path: path(), limit: 10 };
        let content = |text: &str| Reply::Content(Content::new(text));
        assert_eq!(again(&read, content("a"), content("a")), None);
        assert!(again(&read, content("a"), content("b")).unwrap().starts_with("1 bytes, sha256 3e23e8160039"));
    }
}
