//! The names of things: runs, hosts, tasks, steps, digests and paths on a host.
//! Parsed once at the edge, trusted inside. No I/O.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fmt;

/// Why a text is not a name of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} `{text}`: {why}")]
pub struct BadName {
    /// The kind of name that was wanted, as in "host name".
    pub what: &'static str,
    /// What was given.
    pub text: String,
    /// What is wrong with it, and what would be right.
    pub why: &'static str,
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String")]
        $(#[$doc])*
        pub struct $name(String);

        impl TryFrom<String> for $name {
            type Error = BadName;
            /// Takes what was written down: a plan or a ledger may hold anything.
            fn try_from(text: String) -> Result<Self, BadName> {
                Self::written(&text)
            }
        }

        impl $name {
            /// The text of it.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

text_id! {
    /// The name of a host in the inventory: letters, digits, `.`, `_` and `-`.
    HostName
}
text_id! {
    /// The name of a run, as in `20261123-1518-wqpz`. Sorts by the time of its start.
    RunId
}
text_id! {
    /// A sha256 in lowercase hexadecimal.
    Digest
}
text_id! {
    /// The path of a task: `main`, or `main/3.rolling/web2` for the block of one host.
    TaskPath
}
text_id! {
    /// The name under which a host keeps what a change replaced, or the receipt of a command.
    SaveId
}
text_id! {
    /// The name of an environment's lock, as hosts know it: that of its ledger and its own. Safe as a file name.
    LockName
}
text_id! {
    /// What a run's names on a host carry, so that no other run's are taken for its own: of another ledger, environment or project.
    RunTag
}
text_id! {
    /// A path on a host: absolute, or below the login user's home as `~/...`.
    RemotePath
}

/// No host can have this name.
const CONTROLLER: &str = "@controller";

impl HostName {
    /// Parses a host name.
    ///
    /// # Errors
    /// When it is empty, has other characters, or starts with `-` or `.`.
    ///
    /// ```
    /// # use windlass::id::HostName;
    /// assert!(HostName::parse("web-1.example").is_ok());
    /// assert!(HostName::parse("-rf").is_err());
    /// ```
    pub fn parse(text: &str) -> Result<Self, BadName> {
        file_name("host name", text).map(Self)
    }

    fn written(text: &str) -> Result<Self, BadName> {
        if text == CONTROLLER { Ok(Self::controller()) } else { Self::parse(text) }
    }

    /// The machine on which Windlass itself runs: where artifacts are read, time is told and people are asked.
    #[must_use]
    pub fn controller() -> Self {
        Self(CONTROLLER.to_owned())
    }

    /// Whether this stands for the machine on which Windlass runs.
    #[must_use]
    pub fn is_controller(&self) -> bool {
        self.0 == CONTROLLER
    }
}

/// Tells the holders of a lock apart: each one's is higher than all before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Epoch(pub u64);

impl Epoch {
    /// That of the next holder.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl LockName {
    /// The lock of an environment in the ledger of this name. What no file name needs becomes `_`.
    #[must_use]
    pub fn new(ledger: &str, environment: &str) -> Self {
        Self(made_plain(&format!("{ledger}.{environment}")))
    }

    fn written(text: &str) -> Result<Self, BadName> {
        file_name("lock name", text).map(Self)
    }
}

impl RunId {
    /// Makes the name of a run from the minute of its start (`YYYYMMDD-HHMM`) and four letters that set it apart.
    #[must_use]
    pub fn new(minute: &str, letters: &str) -> Self {
        Self(made_plain(&format!("{minute}-{letters}")))
    }

    /// Takes a name that a ledger, a plan or a file's name holds.
    ///
    /// # Errors
    /// When it is empty, has other characters than letters, digits, `.`, `_` and `-`, or starts with `-` or `.`.
    pub fn parse(text: &str) -> Result<Self, BadName> {
        file_name("run name", text).map(Self)
    }

    fn written(text: &str) -> Result<Self, BadName> {
        Self::parse(text)
    }
}

impl RunTag {
    /// That of a run under this lock. A ledger's own name is random, so nobody else foretells the tag.
    #[must_use]
    pub fn new(run: &RunId, lock: Option<&LockName>) -> Self {
        let mut tag = Digest::of(format!("{}\n{run}", lock.map_or("", LockName::as_str)).as_bytes()).0;
        tag.truncate(16);
        Self(tag)
    }

    fn written(text: &str) -> Result<Self, BadName> {
        file_name("run tag", text).map(Self)
    }
}

impl Digest {
    /// The digest of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self::from_hash(&Sha256::digest(bytes))
    }

    /// Writes the 32 bytes of a sha256 as text.
    #[must_use]
    pub fn from_hash(hash: &[u8]) -> Self {
        use fmt::Write as _;
        Self(hash.iter().fold(String::with_capacity(64), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        }))
    }

    /// Parses 64 hexadecimal digits.
    ///
    /// # Errors
    /// When it is anything else.
    pub fn parse(text: &str) -> Result<Self, BadName> {
        let right = text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
        let why = "is not 64 hexadecimal digits";
        if right { Ok(Self(text.to_ascii_lowercase())) } else { Err(BadName { what: "sha256", text: text.to_owned(), why }) }
    }

    fn written(text: &str) -> Result<Self, BadName> {
        Self::parse(text)
    }

    /// The first twelve digits, for people.
    #[must_use]
    pub fn short(&self) -> &str {
        self.0.get(..12).unwrap_or(&self.0)
    }
}

impl TaskPath {
    /// The main thread of a script.
    #[must_use]
    pub fn main() -> Self {
        Self("main".to_owned())
    }

    /// Parses a path that was written down, or typed.
    ///
    /// # Errors
    /// When its first part is neither `main` nor `once`, or a part is empty or has characters that no task has.
    pub fn parse(text: &str) -> Result<Self, BadName> {
        let why = "is not the path of a task, as in main/3.rolling/web2";
        let right = |part: &str| !part.is_empty() && part.chars().all(|c| is_plain(c) || c == '@');
        let well = text.len() <= 4096 && text.split('/').all(right) && matches!(text.split('/').next(), Some("main" | "once"));
        if well { Ok(Self(text.to_owned())) } else { Err(BadName { what: "task", text: text.to_owned(), why }) }
    }

    fn written(text: &str) -> Result<Self, BadName> {
        Self::parse(text)
    }

    /// The task of one branch: the construct's ordinal in this task, its word, and what tells the branches apart.
    #[must_use]
    pub fn child(&self, ordinal: u32, word: &str, branch: &str) -> Self {
        Self(format!("{}/{ordinal}.{word}/{branch}", self.0))
    }

    /// The task of a body that runs once in the run, whoever asks for it.
    #[must_use]
    pub fn once(name: &str) -> Self {
        Self(format!("once/{name}"))
    }

    /// The task whose path has these parts.
    pub(crate) fn from_parts(parts: &[&str]) -> Self {
        Self(parts.join("/"))
    }

    /// Whether it is the task of such a body, and not of something within it.
    #[must_use]
    pub fn is_once(&self) -> bool {
        self.0.strip_prefix("once/").is_some_and(|rest| !rest.contains('/'))
    }

    /// Whether it is this task, or one that it started.
    #[must_use]
    pub fn is_within(&self, task: &Self) -> bool {
        self.0.strip_prefix(&task.0).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// The group that started it; none of a task that stands alone.
    #[must_use]
    pub fn parent(&self) -> Option<StepKey> {
        let (rest, _branch) = self.0.rsplit_once('/')?;
        let (task, construct) = rest.rsplit_once('/')?;
        let (n, _word) = construct.split_once('.')?;
        Some(StepKey { task: Self(task.to_owned()), n: n.parse().ok()? })
    }

    /// Whether it is the task in which a bracket is opened or closed, or something within that.
    #[must_use]
    pub fn is_of_bracket(&self) -> bool {
        let of_bracket = |part: &str| part.split_once('.').is_some_and(|(_, word)| matches!(word, "enter" | "leave"));
        self.0.split('/').any(|part| part.starts_with(|c: char| c.is_ascii_digit()) && of_bracket(part))
    }

    /// Whether it is the task of a script's own undo, or something within that.
    #[must_use]
    pub fn is_of_undo(&self) -> bool {
        self.0.split('/').any(|part| part.split_once('.').is_some_and(|(n, word)| word == "undo" && n.parse::<u32>().is_ok()))
    }

    /// The last part: the host of a host task, or `main`.
    #[must_use]
    pub fn leaf(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }
}

/// Names one step of a run: never by order of arrival, so that parallel runs replay.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StepKey {
    /// The task that asked for it.
    pub task: TaskPath,
    /// Its number within the task, from 1.
    pub n: u32,
}

impl fmt::Display for StepKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.task, self.n)
    }
}

impl StepKey {
    /// Parses `main/3.rolling/web2#5`.
    ///
    /// # Errors
    /// When there is no `#` with a number behind it.
    pub fn parse(text: &str) -> Result<Self, BadName> {
        let why = "is not of the form TASK#NUMBER, as in main/3.rolling/web2#5";
        let bad = || BadName { what: "step", text: text.to_owned(), why };
        let (task, n) = text.rsplit_once('#').ok_or_else(bad)?;
        Ok(Self { task: TaskPath::parse(task).map_err(|_| bad())?, n: n.parse().map_err(|_| bad())? })
    }

    /// The name under which the host keeps the `n`th pre-image of this step. Short, and safe as a file name.
    #[must_use]
    pub fn save(&self, n: u32) -> SaveId {
        SaveId(format!("{}{n}", self.save_prefix()))
    }

    /// Whether a save is one of this step's.
    #[must_use]
    pub fn owns(&self, save: &SaveId) -> bool {
        save.as_str().starts_with(&self.save_prefix())
    }

    fn save_prefix(&self) -> String {
        let task = Digest::of(self.task.as_str().as_bytes());
        format!("{}-{}-", &task.short()[..10], self.n)
    }
}

impl SaveId {
    fn written(text: &str) -> Result<Self, BadName> {
        file_name("save name", text).map(Self)
    }
}

/// The same with `_` for what no file name needs.
fn made_plain(text: &str) -> String {
    text.chars().map(|c| if is_plain(c) { c } else { '_' }).collect()
}

impl RemotePath {
    fn written(text: &str) -> Result<Self, BadName> {
        Self::parse(text)
    }

    /// Parses a path on a host.
    ///
    /// # Errors
    /// When it is relative, empty, or holds a NUL byte.
    ///
    /// ```
    /// # use windlass::id::RemotePath;
    /// assert!(RemotePath::parse("/srv/app").is_ok());
    /// assert!(RemotePath::parse("~/app").is_ok());
    /// assert!(RemotePath::parse("app").is_err());
    /// ```
    pub fn parse(text: &str) -> Result<Self, BadName> {
        let bad = |why| Err(BadName { what: "path", text: text.to_owned(), why });
        if text.contains('\0') {
            return bad("holds a NUL byte");
        }
        if text != "~" && !text.starts_with('/') && !text.starts_with("~/") {
            return bad("is relative; a path on a host starts with `/`, or with `~/` for the login user's home");
        }
        if text.split('/').any(|part| part == "..") {
            return bad("goes up by `..`; write the path that is meant");
        }
        let trimmed = text.trim_end_matches('/');
        Ok(Self(if trimmed.is_empty() { "/".to_owned() } else { trimmed.to_owned() }))
    }
}

/// A name that is safe as a file name, and as a word of a shell.
fn file_name(what: &'static str, text: &str) -> Result<String, BadName> {
    let bad = |why| Err(BadName { what, text: text.to_owned(), why });
    match () {
        () if text.is_empty() => bad("is empty"),
        () if text.len() > 200 => bad("is too long"),
        () if text.starts_with(['-', '.']) => bad("starts with `-` or `.`"),
        () if !text.chars().all(is_plain) => bad("has other characters than letters, digits, `.`, `_` and `-`"),
        () => Ok(text.to_owned()),
    }
}

fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_key_reads_back() {
        let key = StepKey { task: TaskPath::main().child(3, "rolling", "web2"), n: 5 };
        assert_eq!(StepKey::parse(&key.to_string()), Ok(key));
    }

    /// What none of the names that are put together for a shell or a file may hold.
    const HOSTILE: [&str; 9] = ["", "x\ntouch y", "a b", "$(touch y)", "`y`", "../x", "a/../b", "'", "-rf"];

    #[test]
    fn what_was_written_down_is_parsed() {
        fn refused<T: serde::de::DeserializeOwned>() -> bool {
            HOSTILE.iter().all(|text| serde_json::from_value::<T>(serde_json::json!(text)).is_err())
        }
        assert!(
            refused::<HostName>() && refused::<RunId>() && refused::<Digest>() && refused::<SaveId>() && refused::<LockName>()
        );
        assert!(refused::<TaskPath>() && refused::<RemotePath>() && refused::<RunTag>());
        assert!(HOSTILE.iter().all(|text| StepKey::parse(&format!("{text}#1")).is_err()));
        let key = serde_json::json!({ "task": "main/$(x)", "n": 1 });
        assert!(serde_json::from_value::<StepKey>(key).is_err());
        let name: HostName = serde_json::from_str("\"@controller\"").unwrap();
        assert!(name.is_controller() && HostName::parse("@controller").is_err());
    }

    #[test]
    fn a_task_knows_where_it_came_from() {
        let one = TaskPath::main().child(3, "rolling", "web1");
        let inner = one.child(2, "parallel", "web1");
        assert_eq!(inner.parent(), Some(StepKey { task: one.clone(), n: 2 }));
        assert_eq!(one.parent(), Some(StepKey { task: TaskPath::main(), n: 3 }));
        assert_eq!((TaskPath::main().parent(), TaskPath::once("db").parent()), (None, None));
        assert!(inner.is_within(&one) && one.is_within(&one) && one.is_within(&TaskPath::main()));
        assert!(!TaskPath::main().child(3, "rolling", "web10").is_within(&one));
    }

    #[test]
    fn a_trailing_slash_is_no_other_path() {
        assert_eq!(RemotePath::parse("/srv/app/"), RemotePath::parse("/srv/app"));
        assert_eq!(RemotePath::parse("/").map(|p| p.to_string()), Ok("/".to_owned()));
    }

    #[test]
    fn saves_of_different_steps_differ() {
        let one = StepKey { task: TaskPath::main(), n: 1 };
        let two = StepKey { task: TaskPath::main().child(1, "parallel", "web1"), n: 1 };
        assert_ne!(one.save(1), two.save(1));
    }
}
