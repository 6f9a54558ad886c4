//! `bracket`, `maintenance`, `muted`: something is opened before a body and closed behind it, whatever happens to the run.

use super::conductor::{Bracket, Task, UndoClosure};
use super::constructs::undo_closure;
use super::options::{read, wrong};
use super::runtime::{Raised, Tag, raise, tag};
use super::snapshot::snapshot_closure;
use super::values::ScriptHost;
use crate::effect::Login;
use crate::id::{Digest, RemotePath};
use crate::journal::WhenHalted;
use crate::op::{BadArguments, Mode};
use crate::step::{Site, StepError};
use rhai::{Array, Dynamic, FnPtr, FuncRegistration, Map, Module, NativeCallContext};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// What `bracket` takes; `enter` and `leave` are closures, and read apart.
pub(super) const BRACKET: &[&str] = &["enter", "leave", "when_halted"];
pub(super) const MAINTENANCE: &[&str] = &["path", "text", "mode", "when_halted"];
pub(super) const MUTED: &[&str] = &["mute", "unmute", "when_halted"];

pub(super) fn register(module: &mut Module) {
    let function = |name: &str, params: &[&str]| FuncRegistration::new(name).with_params_info(params).with_volatility(true);
    function("bracket", &["name: string", "options: map", "body: closure", "any"])
        .set_into_module(module, |ctx: NativeCallContext<'_>, name: &str, options: Map, body: FnPtr| {
            bracket(&ctx, name, options, &body)
        });
    let body = ["options: map", "body: closure", "any"];
    function("maintenance", &["host: Host", body[0], body[1], body[2]])
        .set_into_module(module, |ctx: NativeCallContext<'_>, host: ScriptHost, options: Map, body: FnPtr| {
            maintenance(&ctx, &[host], options, &body)
        });
    function("maintenance", &["hosts: Array", body[0], body[1], body[2]]).set_into_module(
        module,
        |ctx: NativeCallContext<'_>, hosts: Array, options: Map, body: FnPtr| {
            maintenance(&ctx, &hosts_of(&ctx, &hosts)?, options, &body)
        },
    );
    function("muted", &["monitor: Host", body[0], body[1], body[2]])
        .set_into_module(module, |ctx: NativeCallContext<'_>, monitor: ScriptHost, options: Map, body: FnPtr| {
            muted(&ctx, &monitor, options, &body)
        });
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BracketOptions {
    #[serde(default)]
    when_halted: WhenHalted,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MaintenanceOptions {
    path: RemotePath,
    #[serde(default = "maintenance_text")]
    text: String,
    #[serde(default)]
    mode: Option<Mode>,
    #[serde(default)]
    when_halted: WhenHalted,
}

fn maintenance_text() -> String {
    "Down for maintenance; back soon.\n".to_owned()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MutedOptions {
    mute: Value,
    unmute: Value,
    #[serde(default)]
    when_halted: WhenHalted,
}

impl MutedOptions {
    /// Both are commands.
    pub(super) fn judge(&self) -> Result<(), BadArguments> {
        for (name, command) in [("mute", &self.mute), ("unmute", &self.unmute)] {
            let words = |list: &Vec<Value>| !list.is_empty() && list.iter().all(Value::is_string);
            let is_command = match command {
                Value::String(text) => !text.trim().is_empty(),
                Value::Array(list) => words(list),
                _ => false,
            };
            if !is_command {
                let message = format!("`{name}` is a command: a text for `sh`, or a list of words");
                return Err(BadArguments { path: name.to_owned(), message, known: Vec::new() });
            }
        }
        Ok(())
    }
}

fn bracket(ctx: &NativeCallContext<'_>, name: &str, mut options: Map, body: &FnPtr) -> Raised<Dynamic> {
    let tag = tag(ctx)?;
    let mut side = |key: &str| -> Raised<UndoClosure> {
        let bad = |message: String| wrong(ctx, "bracket", BadArguments { path: key.to_owned(), message, known: Vec::new() });
        let given = options.remove(key).ok_or_else(|| bad(format!("`{key}` is missing: a closure without parameters")))?;
        let closure = given.try_cast_result::<FnPtr>().map_err(|other| {
            bad(format!("`{key}` is a closure without parameters, not {}", super::symbols::kind_name(other.type_name())))
        })?;
        Ok(undo_closure(ctx, &tag, snapshot_closure(closure)))
    };
    let (enter, leave) = (side("enter")?, side("leave")?);
    let BracketOptions { when_halted } = read(ctx, "bracket", options, BRACKET)?;
    within(ctx, &tag, Bracket { name: name.to_owned(), when_halted, enter, leave }, body)
}

/// A file that says so is there meanwhile: a page that a web server shows, or a flag that a service looks for.
fn maintenance(ctx: &NativeCallContext<'_>, hosts: &[ScriptHost], options: Map, body: &FnPtr) -> Raised<Dynamic> {
    let tag = tag(ctx)?;
    let options: MaintenanceOptions = read(ctx, "maintenance", options, MAINTENANCE)?;
    let site = tag.site(ctx);
    let names: Vec<&str> = hosts.iter().map(|host| host.name().as_str()).collect();
    let name = format!("maintenance of {}", names.join(", "));
    let logins: Vec<Login> = hosts.iter().map(ScriptHost::login).collect();
    let (path, text) = (options.path.to_string(), options.text);
    let digest = Digest::of(text.as_bytes());
    let theirs = (tag.clone(), site.clone(), logins.clone(), path.clone(), digest.clone());
    let enter: UndoClosure = {
        let (tag, mode) = (tag.clone(), options.mode);
        Arc::new(move |task: &Task| {
            for at in &logins {
                let there = tag.perform(task, at, "digest", json!({ "path": path }), &site)?;
                if there.as_str().is_some_and(|there| there != digest.as_str()) {
                    return Err(StepError::failed(format!("{path} is there already: somebody else has declared maintenance"))
                        .with_help("see whose it is; remove it, or name another path"));
                }
                let mut args = json!({ "path": path, "text": text });
                if let (Some(mode), Value::Object(args)) = (mode, &mut args) {
                    args.insert("mode".to_owned(), json!(mode));
                }
                tag.perform(task, at, "write", args, &site)?;
            }
            Ok(())
        })
    };
    let leave: UndoClosure = Arc::new(move |task: &Task| {
        let (tag, site, logins, path, digest) = &theirs;
        // A host that is gone keeps its page, and no other does.
        let ends = logins.iter().map(|at| {
            // What is not ours is not ours to remove.
            let there = tag.perform(task, at, "digest", json!({ "path": path }), site)?;
            if there.as_str() == Some(digest.as_str()) {
                tag.perform(task, at, "remove", json!({ "path": path }), site)?;
            }
            Ok(())
        });
        let ends: Vec<Result<(), StepError>> = ends.collect();
        ends.into_iter().collect()
    });
    within(ctx, &tag, Bracket { name, when_halted: options.when_halted, enter, leave }, body)
}

/// A monitor is told to be quiet meanwhile.
fn muted(ctx: &NativeCallContext<'_>, monitor: &ScriptHost, options: Map, body: &FnPtr) -> Raised<Dynamic> {
    let tag = tag(ctx)?;
    let options: MutedOptions = read(ctx, "muted", options, MUTED)?;
    options.judge().map_err(|bad| wrong(ctx, "muted", bad))?;
    let at = monitor.login();
    let name = format!("{} is muted", at.host);
    let command = |command: Value| -> UndoClosure {
        let (tag, at, site) = (tag.clone(), at.clone(), tag.site(ctx));
        Arc::new(move |task: &Task| tag.perform(task, &at, "run", json!({ "command": command }), &site).map(drop))
    };
    let (enter, leave) = (command(options.mute), command(options.unmute));
    within(ctx, &tag, Bracket { name, when_halted: options.when_halted, enter, leave }, body)
}

/// Opens it, runs the body, closes it. After a failure it stays open until what was done in it is undone.
fn within(ctx: &NativeCallContext<'_>, tag: &Tag, bracket: Bracket, body: &FnPtr) -> Raised<Dynamic> {
    let stop = |mut error: StepError| {
        if error.site == Site::default() {
            error.site = tag.site(ctx);
        }
        raise(error, ctx.call_position())
    };
    let conductor = tag.conductor().map_err(stop)?;
    let key = conductor.enter_bracket(&tag.task, bracket).map_err(stop)?;
    let value = body.call_within_context::<Dynamic>(ctx, ())?;
    conductor.leave_bracket(&tag.task, &key).map_err(stop)?;
    Ok(value)
}

fn hosts_of(ctx: &NativeCallContext<'_>, list: &Array) -> Raised<Vec<ScriptHost>> {
    let hosts: Vec<ScriptHost> = list.iter().filter_map(|host| host.read_lock::<ScriptHost>().map(|host| host.clone())).collect();
    if hosts.is_empty() || hosts.len() != list.len() {
        let error = StepError::bad_input("`maintenance` takes a host, or a list of hosts that is not empty");
        return Err(raise(error.with_help("hosts(\"role\") gives them"), ctx.call_position()));
    }
    Ok(hosts)
}
