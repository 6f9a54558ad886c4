//! Binds every primitive of the registry in the same way: positional arguments, then a map of options. No primitive has
//! code of its own here.

use super::options::{json, json_of_option, wrong};
use super::runtime::{Raised, raise, tag};
use super::unknown::Unknown;
use super::values::{ScriptExternal, ScriptHost, ScriptService};
use crate::effect::Login;
use crate::op::{BadArguments, Entry, Registry, Subject};
use crate::step::Command;
use rhai::{Dynamic, FuncRegistration, ImmutableString, Map, Module, NativeCallContext, RhaiFunc};
use serde_json::{Map as JsonMap, Value};
use std::any::TypeId;

/// Registers all primitives.
pub(super) fn register(module: &mut Module, registry: &Registry) {
    for entry in registry.iter() {
        register_form(module, *entry, Form::Plain, TypeId::of::<Dynamic>());
        register_form(module, *entry, Form::WithOptions, TypeId::of::<Dynamic>());
        if entry.subject == Subject::Controller && entry.positional.len() == 1 {
            // Else Rhai's own function of that name, such as the logarithm, would take numbers.
            register_form(module, *entry, Form::Plain, TypeId::of::<f64>());
            register_form(module, *entry, Form::Plain, TypeId::of::<i64>());
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Plain,
    WithOptions,
}

fn register_form(module: &mut Module, entry: Entry, form: Form, positional: TypeId) {
    let method = entry.name.rsplit('.').next().unwrap_or(entry.name);
    let mut types = Vec::new();
    let mut params = Vec::new();
    match entry.subject {
        Subject::Host => (types.push(TypeId::of::<ScriptHost>()), params.push("host: Host".to_owned())),
        Subject::Service => (types.push(TypeId::of::<ScriptService>()), params.push("service: Service".to_owned())),
        Subject::External => (types.push(TypeId::of::<ScriptExternal>()), params.push("external: External".to_owned())),
        Subject::Controller => ((), ()),
    };
    for name in entry.positional {
        types.push(positional);
        params.push(format!("{name}: any"));
    }
    if form == Form::WithOptions {
        types.push(TypeId::of::<Map>());
        params.push("options: map".to_owned());
    }
    params.push("any".to_owned());
    let func = move |ctx: Option<NativeCallContext<'_>>, args: &mut [&mut Dynamic]| match ctx {
        Some(ctx) => call(&ctx, &entry, form, args),
        None => Err("a primitive needs its context".into()),
    };
    let func = RhaiFunc::Method { func: std::sync::Arc::new(func), has_context: true, is_pure: true, is_volatile: true };
    let comments: Vec<String> =
        entry.page.lines().skip(1).find(|line| !line.trim().is_empty()).map(|line| format!("/// {line}")).into_iter().collect();
    FuncRegistration::new(method)
        .in_global_namespace()
        .with_params_info(params)
        .with_comments(comments)
        .set_into_module_raw(module, types, func);
}

fn call(ctx: &NativeCallContext<'_>, entry: &Entry, form: Form, args: &mut [&mut Dynamic]) -> Raised<Dynamic> {
    let tag = tag(ctx)?;
    let bad =
        |path: &str, message: String| wrong(ctx, entry.name, BadArguments { path: path.to_owned(), message, known: Vec::new() });
    let mut given = JsonMap::new();
    let mut rest = args.iter();
    let mut login = match entry.subject {
        Subject::Controller => Login::controller(),
        Subject::Host => {
            rest.next().and_then(|host| host.read_lock::<ScriptHost>().map(|host| host.login())).unwrap_or_else(Login::controller)
        }
        Subject::Service => {
            let service = rest.next().and_then(|service| service.read_lock::<ScriptService>().map(|service| service.clone()));
            let Some(service) = service else { return Err(bad("", "it is called on a service".to_owned())) };
            given.insert("unit".to_owned(), serde_json::to_value(&service.unit).unwrap_or(Value::Null));
            service.login
        }
        Subject::External => {
            let external =
                rest.next().and_then(|external| external.read_lock::<ScriptExternal>().map(|external| external.clone()));
            let Some(external) = external else { return Err(bad("", "it is called on an external".to_owned())) };
            given.insert("external".to_owned(), serde_json::to_value(&external.service).unwrap_or(Value::Null));
            external.login
        }
    };
    for (name, value) in entry.positional.iter().zip(rest.by_ref()) {
        given.insert((*name).to_owned(), json(value).map_err(|message| bad(name, format!("`{name}` {message}")))?);
    }
    if form == Form::WithOptions {
        take_options(ctx, entry, rest.next().map(|options| &**options), &mut given)?;
    }
    if let Some(user) = become_user(entry, &mut given).map_err(|error| bad("sudo", error))? {
        let host = args.first().and_then(|host| host.read_lock::<ScriptHost>().map(|host| host.become_user(&user)));
        login = host.map_or(login, |host| host.login());
    }
    let operation = entry.parse(Value::Object(given)).map_err(|error| wrong(ctx, entry.name, error))?;
    let command =
        Command { op: entry.name.to_owned(), host: login.host, user: login.user, args: operation.args(), site: tag.site(ctx) };
    let at = |error| raise(error, ctx.call_position());
    for unknown in args.iter().filter_map(|value| value.read_lock::<Unknown>()) {
        unknown.seen(&tag, command.site.clone());
    }
    let output = tag.conductor().map_err(at)?.step(&tag.task, command.clone(), operation.as_ref()).map_err(at)?;
    match Unknown::of(&command, operation.summary(), &output) {
        Some(unknown) => Ok(Dynamic::from(unknown)),
        None => dynamic(output),
    }
}

/// Takes `sudo` and `user` out of the options of a primitive on a host: they say as whom, not what.
fn become_user(entry: &Entry, given: &mut JsonMap<String, Value>) -> Result<Option<String>, String> {
    if entry.subject != Subject::Host {
        return Ok(None);
    }
    let sudo = given.remove("sudo");
    let user = given.remove("user");
    match (sudo, user) {
        (None | Some(Value::Bool(false)), None) => Ok(None),
        (Some(Value::Bool(true)), None) => Ok(Some("root".to_owned())),
        (None | Some(Value::Bool(true)), Some(Value::String(user))) => {
            super::values::check_user(&user).map(|()| Some(user)).map_err(|error| error.message)
        }
        (Some(Value::Bool(false)), Some(_)) => Err("`user` is given, and `sudo` is false".to_owned()),
        _ => Err("`sudo` is true or false, `user` is the name of a user".to_owned()),
    }
}

fn take_options(
    ctx: &NativeCallContext<'_>,
    entry: &Entry,
    options: Option<&Dynamic>,
    given: &mut JsonMap<String, Value>,
) -> Raised<()> {
    let Some(options) = options.and_then(|options| options.read_lock::<Map>().map(|map| map.clone())) else { return Ok(()) };
    for (key, value) in options {
        let from_subject = matches!((key.as_str(), entry.subject), ("unit", Subject::Service) | ("external", Subject::External));
        if entry.positional.contains(&key.as_str()) || from_subject {
            let message = format!("unknown option `{key}`");
            return Err(wrong(
                ctx,
                entry.name,
                BadArguments { path: key.to_string(), message, known: entry.options.iter().map(ToString::to_string).collect() },
            ));
        }
        let path = key.to_string();
        let value = json_of_option(&value).map_err(|message| {
            wrong(ctx, entry.name, BadArguments { path: path.clone(), message: format!("`{path}` {message}"), known: Vec::new() })
        })?;
        given.insert(path, value);
    }
    Ok(())
}

/// An output as the script gets it.
fn dynamic(value: Value) -> Raised<Dynamic> {
    match value {
        Value::String(text) => Ok(Dynamic::from(ImmutableString::from(text))),
        Value::Null => Ok(Dynamic::UNIT),
        other => rhai::serde::to_dynamic(other),
    }
}
