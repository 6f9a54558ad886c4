//! From what a host-side function printed to a reply.

use super::EXEC_LIMIT;
use super::facts::facts;
use crate::effect::{CommandResult, Content, Effect, EffectError, FileKind, FileStat, PackageChange, Reply, ServiceState};
use crate::id::{Digest, HostName};
use crate::transport::CallReply;

/// Reads the answer to an effect.
///
/// # Errors
/// When the host said no, or said what no function says.
pub fn reply(host: &HostName, effect: &Effect, said: &CallReply) -> Result<Reply, EffectError> {
    if said.code != 0 {
        return Err(refusal(host, effect, said));
    }
    let parsed = match effect {
        Effect::Stat { .. } => stat(said),
        Effect::Digest { .. } => digest(said),
        Effect::List { .. } => Some(Reply::List(list(said))),
        Effect::Read { .. } | Effect::ServiceLog { .. } | Effect::Anchors { .. } => {
            Some(Reply::Content(Content::new(said.stdout.clone())))
        }
        Effect::Facts => Some(Reply::Facts(facts(&said.stdout_text()))),
        Effect::Packages { .. } => packages(said),
        Effect::ServiceStatus { .. } | Effect::Service { .. } => service(said),
        Effect::Probe { .. } | Effect::Exec { .. } => return command(host, said),
        _ => done(said),
    };
    parsed.ok_or_else(|| nonsense(host, said))
}

/// Whether a look found something to do; any other answer is the effect's.
#[must_use]
pub fn differs(said: &CallReply) -> bool {
    said.code == 0 && said.stdout == b"differs\n"
}

fn nonsense(host: &HostName, said: &CallReply) -> EffectError {
    let text = String::from_utf8_lossy(&said.stdout).chars().take(200).collect::<String>();
    EffectError::Failed {
        message: format!("{host} gave an answer that makes no sense: {text:?}"),
        stderr: said.stderr_text(),
        code: None,
    }
}

/// The refusal of a host that was shown a later holder of the lock, or where our directory is another's, if it is that: nothing
/// was changed.
#[must_use]
pub fn fenced(host: &HostName, said: &CallReply) -> Option<EffectError> {
    let shown = || said.stdout_text().lines().next().unwrap_or_default().to_owned();
    match said.code {
        76 => Some(EffectError::Fenced { host: host.clone(), shown: shown() }),
        77 => {
            let reason = format!("what it would keep for runs is not this user's alone: {}", shown());
            Some(EffectError::Denied { host: host.clone(), reason, help: Some(FOREIGN.to_owned()) })
        }
        _ => None,
    }
}

const FOREIGN: &str =
    "look who made it and what for; then remove it there, or give the user that logs in a home of its own that it can write";

fn refusal(host: &HostName, effect: &Effect, said: &CallReply) -> EffectError {
    if let Some(refused) = fenced(host, said) {
        return refused;
    }
    if let Some(error) = whose(host, said) {
        return error;
    }
    let first = said.stdout.split(|byte| *byte == b'\n').next().unwrap_or_default();
    if said.code == 75 && matches!(effect, Effect::Exec { .. } | Effect::Probe { .. }) {
        let reason = match first {
            b"rebooted" => "it was restarted while the command ran",
            _ => "the command's process is gone and left no exit status",
        };
        return EffectError::InDoubt { host: host.clone(), reason: reason.to_owned() };
    }
    own_words(said)
}

/// The refusal of a host on which somebody else has changed the same thing, if it is that.
fn whose(host: &HostName, said: &CallReply) -> Option<EffectError> {
    let text = said.stdout_text();
    let mut lines = text.lines().map(ToOwned::to_owned);
    let mut line = || lines.next().unwrap_or_default();
    let host = host.clone();
    match said.code {
        79 => {
            let (run, lock, _since, path, by) = (line(), line(), line(), line(), line());
            Some(EffectError::Claimed { host, path, run, lock, by })
        }
        78 => {
            let (path, now, made) = (line(), line(), line());
            Some(EffectError::Drifted { host, path, now, made })
        }
        _ => None,
    }
}

/// What a function says that cannot do what it was called for.
#[must_use]
pub fn own_words(said: &CallReply) -> EffectError {
    let text = said.stderr_text();
    let text = text.trim_end();
    // Our own sentence, when there is one: programs may have said something before it.
    let (before, own) = match text.rfind("windlass: ").filter(|at| *at == 0 || text[..*at].ends_with('\n')) {
        Some(at) => (&text[..at], &text[at + "windlass: ".len()..]),
        None => ("", text),
    };
    let (first, rest) = own.split_once('\n').unwrap_or((own, ""));
    let message = if first.is_empty() { format!("exit status {}", said.code) } else { first.to_owned() };
    EffectError::Failed { message, stderr: format!("{before}{rest}"), code: None }
}

fn done(said: &CallReply) -> Option<Reply> {
    let split = said.stdout.iter().position(|byte| *byte == b'\n').unwrap_or(said.stdout.len());
    let (word, rest) = said.stdout.split_at(split);
    let rest = rest.get(1..).unwrap_or_default();
    match word {
        b"same" => Some(Reply::done(false)),
        b"changed" => Some(Reply::done(true)),
        b"overtaken" => Some(Reply::Overtaken),
        b"made" | b"replaced" => Some(Reply::Done { changed: true, before: Some(Content::new(rest)) }),
        _ => None,
    }
}

fn stat(said: &CallReply) -> Option<Reply> {
    let text = said.stdout_text();
    if text.trim_end() == "none" {
        return Some(Reply::Stat(None));
    }
    let (first, target) = text.split_once('\n').unwrap_or((&text, ""));
    // The names come last: they may have spaces.
    let mut fields = first.splitn(6, ' ');
    let bits = u32::from_str_radix(fields.next()?, 16).ok()?;
    let kind = match bits & 0o170_000 {
        0o100_000 => FileKind::File,
        0o040_000 => FileKind::Directory,
        0o120_000 => FileKind::Link,
        _ => FileKind::Other,
    };
    let size = fields.next()?.parse().ok()?;
    let modified = fields.next()?.parse().ok()?;
    let (user_number, group_number) = (fields.next()?, fields.next()?);
    let (owner, group) = fields.next()?.split_once('/')?;
    let named = |name: &str, number: &str| if name == "UNKNOWN" { number.to_owned() } else { name.to_owned() };
    let (owner, group) = (named(owner, user_number), named(group, group_number));
    let target = (kind == FileKind::Link).then(|| target.strip_suffix('\n').unwrap_or(target).to_owned());
    Some(Reply::Stat(Some(FileStat { kind, size, mode: format!("{:04o}", bits & 0o7777), owner, group, modified, target })))
}

fn digest(said: &CallReply) -> Option<Reply> {
    let text = said.stdout_text();
    match text.trim_end() {
        "none" => Some(Reply::Digest(None)),
        hex => Digest::parse(hex).ok().map(|digest| Reply::Digest(Some(digest))),
    }
}

fn list(said: &CallReply) -> Vec<String> {
    let paths = said.stdout.split(|byte| *byte == 0).filter(|path| !path.is_empty());
    paths.map(|path| String::from_utf8_lossy(path).into_owned()).collect()
}

fn service(said: &CallReply) -> Option<Reply> {
    let text = said.stdout_text();
    let last = text.lines().rev().find(|line| line.starts_with("same ") || line.starts_with("changed "))?;
    let mut fields = last.split(' ');
    let changed = fields.next()? == "changed";
    let known = fields.next()? != "not-found";
    let word = |text: &str| if text == "none" { String::new() } else { text.to_owned() };
    let (active, enabled) = (fields.next()?.to_owned(), word(fields.next()?));
    let main_pid = fields.next()?.parse().ok()?;
    let restarts = fields.next()?.parse().ok()?;
    let [result, substate, kind, invocation] =
        [word(fields.next()?), word(fields.next()?), word(fields.next()?), word(fields.next()?)];
    let state = ServiceState { known, active, enabled, main_pid, restarts, result, substate, kind, invocation };
    Some(Reply::Service { changed, state })
}

/// `same`, or `changed` and a line `NAME BEFORE AFTER [lost]` for each package; `-` where it is not installed.
fn packages(said: &CallReply) -> Option<Reply> {
    let text = said.stdout_text();
    let mut lines = text.lines();
    let changed = match lines.next()? {
        "same" => false,
        "changed" => true,
        _ => return None,
    };
    let version = |word: &str| (word != "-").then(|| word.to_owned());
    let change = |line: &str| {
        let mut words = line.split(' ');
        let (name, before, after) = (words.next()?.to_owned(), version(words.next()?), version(words.next()?));
        Some(PackageChange { name, before, after, lost: words.any(|word| word == "lost") })
    };
    let list = lines.map(change).collect::<Option<_>>()?;
    Some(Reply::Packages { changed, list })
}

/// `CODE`, then the kept part of standard output, and a byte more when there was more; standard error came on its own stream.
fn command(host: &HostName, said: &CallReply) -> Result<Reply, EffectError> {
    let split = said.stdout.iter().position(|byte| *byte == b'\n').ok_or_else(|| nonsense(host, said))?;
    let (code, rest) = said.stdout.split_at(split);
    if code == b"over" {
        return Err(EffectError::Timeout {
            message: "it did not end in time; it and its process group were ended".to_owned(),
            stderr: said.stderr_text(),
        });
    }
    let code = std::str::from_utf8(code).ok().and_then(|code| code.parse().ok()).ok_or_else(|| nonsense(host, said))?;
    let (stdout, stderr) = (rest.get(1..).unwrap_or_default(), said.stderr.as_slice());
    let most = usize::try_from(EXEC_LIMIT).unwrap_or(usize::MAX);
    let truncated = stdout.len() > most || stderr.len() > most;
    let kept = |bytes: &[u8]| Content::new(&bytes[..bytes.len().min(most)]);
    Ok(Reply::Command(CommandResult { code, stdout: kept(stdout), stderr: kept(stderr), truncated, unknown: false }))
}
