//! From an effect to a call of a host-side function. Arguments are words: quoting is done in one place, when the call
//! is written.

use crate::effect::{
    Account, Anchor, Attributes, Basis, Content, Effect, EffectClass, EffectError, GuardAct, Invocation, Overwrite, PackageSet,
    Presence, ServiceUnit, TreeInfo, UnitScope, Words,
};
use crate::id::{Digest, RemotePath, SaveId};
use crate::transport::remote::{library, quote};
use crate::transport::{Call, Payload};
use std::fmt::Write as _;
use std::sync::Arc;

/// Bytes of a command's standard output, and of its standard error, that are kept.
pub const EXEC_LIMIT: u64 = 1 << 20;

/// Bytes of a running command's output that are fetched at once.
const PEEK_LIMIT: u64 = 64 << 10;

/// The call that gives what a running command has printed behind these places of its two outputs.
#[must_use]
pub fn peek(receipt: &SaveId, stdout: u64, stderr: u64) -> Call {
    let places = [stdout + 1, stderr + 1, PEEK_LIMIT].map(|number| number.to_string());
    Call::new("wl_peek").arg(receipt.as_str()).args(places).limit(PEEK_LIMIT)
}

/// Content up to this size travels inside the call; more is asked for when the host needs it.
const INLINE: usize = 16 << 10;

/// The call for an effect.
///
/// # Errors
/// When the effect is not one for a shell on a host.
pub fn call(effect: &Effect) -> Result<Call, EffectError> {
    let call = function(effect)?;
    let changes = matches!(effect.class(), EffectClass::Write | EffectClass::Opaque);
    Ok(if changes { call.fenced() } else { call })
}

fn function(effect: &Effect) -> Result<Call, EffectError> {
    use Effect as E;
    Ok(match effect {
        E::Stat { path } => Call::new("wl_stat").arg(path.as_str()),
        E::Read { path, limit } => Call::new("wl_content").arg(path.as_str()).arg(limit.to_string()).limit(*limit),
        E::Digest { path } => Call::new("wl_digest").arg(path.as_str()),
        E::List { pattern } => Call::new("wl_list").arg(pattern),
        E::Facts => Call::new("wl_facts"),
        E::ServiceStatus { unit } => Call::new("wl_status").args(scope_and_name(unit)),
        E::ServiceLog { unit, lines } => Call::new("wl_log").args(scope_and_name(unit)).arg(lines.to_string()),
        E::Probe { command } => exec("wl_probe", &probe_receipt(command), command, None),
        E::Exec { command, receipt, after, keeps, .. } => exec_keeping(command, receipt, after.as_ref(), keeps),
        E::Write { path, content, attributes, validate, save, basis } => {
            put(on_basis(basis.as_ref()), path, content, attributes, validate.as_deref(), save)
        }
        E::Unit { unit, path, content, attributes, validate, save } => {
            put(Call::new("wl_unit").args(scope_and_name(unit)), path, content, attributes, validate.as_deref(), save)
        }
        E::Copy { from, to, attributes, save } => {
            Call::new("wl_copy").save(save).arg(from.as_str()).arg(to.as_str()).args(triple(attributes))
        }
        E::Account { account, save } => account_call(account, save),
        E::Packages { packages, save } => packages_call(packages, save),
        E::Upload { path, source, digest, size, attributes, save } => {
            let call = Call::new("wl_put").save(save).arg(path.as_str()).arg(digest.as_str()).arg(size.to_string());
            let payload = Payload::File { path: source.into(), size: *size, sent: Arc::default() };
            call.args(triple(attributes)).arg("").arg("").payload(payload)
        }
        E::UploadTree { path, tree, owner, group, delete, save } => tree_put((save, path, tree, *delete), [owner, group]),
        E::Unpack { archive, directory, strip, digest, save } => unpack((save, archive, directory), *strip, digest.as_ref()),
        E::Mkdir { path, attributes, save } => on_path("wl_mkdir", save, path).args(triple(attributes)),
        E::Link { path, target, save } => Call::new("wl_link").save(save).arg(path.as_str()).arg(target),
        E::Rename { from, to, save } => Call::new("wl_rename").save(save).arg(from.as_str()).arg(to.as_str()),
        E::Remove { path, save } => Call::new("wl_remove").save(save).arg(path.as_str()),
        E::SetAttributes { path, attributes, save } => on_path("wl_chmod", save, path).args(triple(attributes)),
        E::Service { unit, verb, save } => Call::new("wl_service").save(save).arg(verb.word()).args(scope_and_name(unit)),
        E::Restore { save, surely, overwrite } => {
            Call::new("wl_restore").save(save).arg(if *surely { "surely" } else { "" }).arg(over(*overwrite))
        }
        E::End { receipt } => Call::new("wl_end").save(receipt),
        E::Resume { save, units, run_millis } => Call::new("wl_resume")
            .save(save)
            .arg(run_millis.div_ceil(1000).to_string())
            .args(units.iter().flat_map(scope_and_name)),
        E::Guard { act } => guard(act),
        E::Forget { of: Some(run), .. } => Call::new("wl_forget_run").arg(run.as_str()),
        E::Forget { anchor, .. } => Call::new("wl_forget").args(anchor.iter().flat_map(anchored)),
        E::Fence => Call::new("wl_raise"),
        E::Anchors { lock } => Call::new("wl_anchors").arg(lock.as_str()),
        E::Http { .. }
        | E::Connect { .. }
        | E::Fetch { .. }
        | E::Reboot { .. }
        | E::Source { .. }
        | E::Template { .. }
        | E::Now
        | E::Entropy { .. }
        | E::Ask { .. }
        | E::Sleep { .. }
        | E::Notify { .. } => return Err(unsupported(effect)),
    })
}

fn unsupported(effect: &Effect) -> EffectError {
    EffectError::Unsupported(format!("no shell does this: {effect:?}"))
}

fn on_path(function: &'static str, save: &SaveId, path: &RemotePath) -> Call {
    Call::new(function).save(save).arg(path.as_str())
}

/// The call that looks whether an effect has anything to do, where that is one of its own.
#[must_use]
pub fn look(effect: &Effect) -> Option<Call> {
    let Effect::UploadTree { path, tree, owner, group, delete, save } = effect else { return None };
    let call = tree_call("wl_tree_look", (save, path, tree, *delete), [owner, group]);
    let names = names(&tree.listing);
    let call = call.arg(tree.listing.bytes().len().to_string()).arg(names.len().to_string());
    let call = call.arg(Digest::of(&names.concat()).as_str());
    Some(call.payload(Payload::Bytes(tree.listing.clone())).fenced())
}

/// The names in a listing, sorted, each with the end of its line: a file has a second line, for its content.
fn names(listing: &Content) -> Vec<&[u8]> {
    let lines = listing.bytes().split_inclusive(|byte| *byte == b'\n').filter(|line| !line.starts_with(b"h "));
    let mut names: Vec<&[u8]> = lines.filter_map(|line| line.splitn(3, |byte| *byte == b' ').nth(2)).collect();
    names.sort_unstable();
    names
}

fn tree_put(what: (&SaveId, &RemotePath, &TreeInfo, bool), owners: [&Option<String>; 2]) -> Call {
    let tree = what.2;
    let payload = Payload::File { path: tree.archive.clone().into(), size: tree.archive_size, sent: Arc::default() };
    tree_call("wl_tree_put", what, owners).arg(tree.digest.as_str()).arg(tree.archive_size.to_string()).payload(payload)
}

fn tree_call(
    function: &'static str,
    (save, path, tree, delete): (&SaveId, &RemotePath, &TreeInfo, bool),
    owners: [&Option<String>; 2],
) -> Call {
    let call = Call::new(function).save(save).arg(path.as_str()).arg(tree.listing.digest().as_str());
    call.arg(if delete { "delete" } else { "" }).args(owners.map(|name| name.clone().unwrap_or_default()))
}

impl Call {
    fn save(self, save: &SaveId) -> Self {
        self.arg(save.as_str())
    }
}

fn scope_and_name(unit: &ServiceUnit) -> [String; 2] {
    let scope = match unit.scope {
        UnitScope::System => "system",
        UnitScope::User => "user",
    };
    let name = if unit.name.contains('.') { unit.name.clone() } else { format!("{}.service", unit.name) };
    [scope.to_owned(), name]
}

fn triple(attributes: &Attributes) -> [String; 3] {
    let mode = attributes.mode.map(|mode| format!("{mode:o}")).unwrap_or_default();
    [mode, attributes.owner.clone().unwrap_or_default(), attributes.group.clone().unwrap_or_default()]
}

/// The script of a validation: `%s` becomes its first argument, the new file.
fn validation(command: &str) -> String {
    command.replace("%s", "\"$1\"")
}

/// A call that ends in the words of `wl_put`.
fn put(call: Call, path: &RemotePath, content: &Content, attributes: &Attributes, validate: Option<&str>, save: &SaveId) -> Call {
    let call = call.save(save).arg(path.as_str()).arg(content.digest().as_str()).arg(content.bytes().len().to_string());
    with_content(call.args(triple(attributes)).arg(validate.map(validation).unwrap_or_default()).arg("show"), content)
}

/// What writes a file, unless that rests on something that is gone.
fn on_basis(basis: Option<&Basis>) -> Call {
    match basis {
        None => Call::new("wl_put"),
        Some(Basis::Absent) => Call::new("wl_edit").arg("absent"),
        Some(Basis::File(digest)) => Call::new("wl_edit").arg(digest.as_str()),
    }
}

fn over(overwrite: Overwrite) -> &'static str {
    match overwrite {
        Overwrite::Nothing => "",
        Overwrite::OwnRun => "own",
        Overwrite::OwnLogins => "logins",
        Overwrite::Anything => "anything",
    }
}

fn anchored(anchor: &Anchor) -> [String; 2] {
    [anchor.records.to_string(), anchor.head.to_string()]
}

fn account_call(account: &Account, save: &SaveId) -> Call {
    let yes = |is: bool| if is { "yes" } else { "" };
    let state = |presence: Presence| if presence == Presence::Present { "present" } else { "absent" };
    let number = |number: Option<u32>| number.map(|number| number.to_string()).unwrap_or_default();
    match account {
        Account::User(user) => Call::new("wl_user")
            .save(save)
            .arg(&user.name)
            .arg(state(user.presence))
            .arg(number(user.uid))
            .arg(user.group.as_deref().unwrap_or_default())
            .arg(if user.groups.is_some() { "given" } else { "" })
            .arg(user.groups.as_deref().unwrap_or_default().join(" "))
            .arg(yes(user.groups_only))
            .arg(user.shell.as_deref().unwrap_or_default())
            .arg(user.home.as_deref().unwrap_or_default())
            .arg(if user.comment.is_some() { "given" } else { "" })
            .arg(user.comment.as_deref().unwrap_or_default())
            .arg(yes(user.system))
            .arg(yes(user.create_home)),
        Account::Group(group) => Call::new("wl_group")
            .save(save)
            .arg(&group.name)
            .arg(state(group.presence))
            .arg(number(group.gid))
            .arg(yes(group.system)),
    }
}

fn packages_call(packages: &PackageSet, save: &SaveId) -> Call {
    let recommends = packages.recommends.map(|with| if with { "yes" } else { "no" }).unwrap_or_default();
    Call::new("wl_packages")
        .save(save)
        .arg(packages.state.word())
        .arg(if packages.update { "update" } else { "" })
        .arg(recommends)
        .arg(if packages.allow_removals { "removals" } else { "" })
        .arg(packages.lock_seconds.to_string())
        .args(packages.names.iter().cloned())
}

fn guard(act: &GuardAct) -> Call {
    match act {
        GuardAct::Arm { save, seconds } => arm(save, *seconds),
        GuardAct::Undo { receipt, command } => told("undo", receipt, command),
        GuardAct::Again { receipt, command } => told("again", receipt, command),
        GuardAct::Confirm { save, .. } => confirm(save),
    }
}

/// The timer is a program of its own: the whole library, and then what it does with it.
fn arm(save: &SaveId, seconds: u64) -> Call {
    let program = Content::new(format!("wl_k=none\n{}wl_timer \"$@\"\n", library().whole()));
    let call = Call::new("wl_guard").save(save).arg(seconds.to_string()).arg(program.bytes().len().to_string());
    call.payload(Payload::Bytes(program))
}

/// The call that ends the timer of a guarded block.
#[must_use]
pub fn confirm(save: &SaveId) -> Call {
    Call::new("wl_confirm").save(save).deadline_seconds(Some(90)).fenced()
}

/// A command for the timer, as a script that needs no function of ours.
fn told(word: &str, receipt: &SaveId, command: &Invocation) -> Call {
    let path = command.directory.as_ref().map_or("~", RemotePath::as_str);
    let place = match path.strip_prefix('~') {
        Some(rest) => format!("\"$HOME\"{}", quote_rest(rest)),
        None => quote(path),
    };
    let text = format!("cd -- {place} || exit 1\n{}", body(command));
    Call::new("wl_guard_told").save(receipt).arg(word).arg(text)
}

fn quote_rest(rest: &str) -> String {
    if rest.is_empty() { String::new() } else { quote(rest) }
}

/// The call that asks for the size and sha256 of a file.
#[must_use]
pub fn measure(path: &RemotePath) -> Call {
    Call::new("wl_measure").arg(path.as_str())
}

/// The call that asks for so many MiB of a file, from that MiB on.
#[must_use]
pub fn piece(path: &RemotePath, from: u64, count: u64) -> Call {
    Call::new("wl_piece").arg(path.as_str()).arg(from.to_string()).arg(count.to_string()).limit(count << 20)
}

/// The call that has a host restarted. Without the boot that is `known`, it only tells which one this is.
#[must_use]
pub fn reboot(save: &SaveId, after: Option<&SaveId>, known: Option<&str>, message: Option<&str>) -> Call {
    let after = after.map(SaveId::as_str).unwrap_or_default();
    let call = Call::new("wl_reboot").save(save).arg(after).arg(known.unwrap_or_default());
    call.arg(message.unwrap_or_default()).deadline_seconds(Some(30)).fenced()
}

fn with_content(call: Call, content: &Content) -> Call {
    match content.text() {
        Some(text) if text.len() <= INLINE && !text.contains('\0') => call.arg(text),
        _ => call.payload(Payload::Bytes(content.clone())),
    }
}

pub(super) fn probe_receipt(command: &Invocation) -> String {
    // A shell runs one probe at a time, and adds its own number to the name.
    let digest = Digest::of(format!("{command:?}").as_bytes());
    format!("p{}", digest.short())
}

pub(super) fn exec(function: &'static str, receipt: &str, command: &Invocation, after: Option<&SaveId>) -> Call {
    let size = command.stdin.as_ref().map_or(0, |content| content.bytes().len());
    let call = Call::new(function)
        .arg(receipt)
        .arg((EXEC_LIMIT + 1).to_string())
        .arg(command.timeout_seconds.unwrap_or(0).to_string())
        .arg(command.directory.as_ref().map(crate::id::RemotePath::as_str).unwrap_or_default())
        .arg(size.to_string())
        .arg(body(command))
        .args(after.map(ToString::to_string))
        .limit(EXEC_LIMIT * 2)
        .deadline_seconds(command.timeout_seconds.map(|seconds| seconds + 10));
    match &command.stdin {
        Some(content) if size > 0 => call.payload(Payload::Bytes(content.clone())),
        _ => call,
    }
}

fn unpack((save, archive, directory): (&SaveId, &RemotePath, &RemotePath), strip: u32, digest: Option<&Digest>) -> Call {
    let call = Call::new("wl_unpack").save(save).arg(archive.as_str()).arg(directory.as_str()).arg(strip.to_string());
    call.arg(digest.map(Digest::as_str).unwrap_or_default())
}

fn exec_keeping(command: &Invocation, receipt: &SaveId, after: Option<&SaveId>, keeps: &[(SaveId, RemotePath)]) -> Call {
    keeping(keeps, exec("wl_exec", receipt.as_str(), command, after))
}

/// The call with, before it, what the host is to keep.
fn keeping(keeps: &[(SaveId, RemotePath)], call: Call) -> Call {
    if keeps.is_empty() {
        return call;
    }
    let pairs = keeps.iter().flat_map(|(save, path)| [save.to_string(), path.to_string()]);
    let args = [keeps.len().to_string()].into_iter().chain(pairs).chain(call.args.iter().cloned()).collect();
    Call { function: "wl_exec_keeping", args, ..call }
}

fn is_variable(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    name.chars().all(plain) && name.starts_with(|c: char| !c.is_ascii_digit())
}

/// The script that a command becomes: its variables, then its own text, or its words as they are.
fn body(command: &Invocation) -> String {
    let mut text = String::new();
    for (name, value) in &command.environment {
        // Writing to a String cannot fail.
        let _ = match is_variable(name) {
            true => writeln!(text, "export {name}={}", quote(value)),
            // No name of a variable: as a whole word the shell refuses it, and takes nothing of it for a command.
            false => writeln!(text, "export {}", quote(&format!("{name}={value}"))),
        };
    }
    match &command.words {
        Words::Shell(script) => text.push_str(script),
        Words::List(words) => {
            let words: Vec<String> = words.iter().map(|word| quote(word)).collect();
            let _ = write!(text, "exec {}", words.join(" "));
        }
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_list_are_never_parsed() {
        let words = Words::List(vec!["echo".into(), "$(reboot)".into(), "a b".into(), "-n".into(), String::new()]);
        let command = Invocation {
            words,
            directory: None,
            environment: [("A".into(), "x'y".into())].into(),
            stdin: None,
            timeout_seconds: None,
        };
        assert_eq!(body(&command), "export A='x'\\''y'\nexec echo '$(reboot)' 'a b' -n ''\n");
    }
}
