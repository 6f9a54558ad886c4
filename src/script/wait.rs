//! `h.wait_for(|h| ..)`: a closure is called until it gives true. What it looks at are steps of their own; the time between
//! two looks is a step as well, so that a resumed run counts as the first one did.

use super::failure::step_error;
use super::options::wrong;
use super::runtime::{Raised, Tag, ends_the_run, raise, tag};
use super::values::ScriptHost;
use crate::op::BadArguments;
use crate::step::{Command, ErrorKind, StepError};
use rhai::{Dynamic, FnPtr, FuncRegistration, Map, Module, NativeCallContext, RhaiFunc};
use serde_json::{Map as JsonMap, Value, json};
use std::any::TypeId;
use std::sync::Arc;

pub(super) fn register(module: &mut Module) {
    let host = || (TypeId::of::<ScriptHost>(), "host: Host");
    form(module, &[host(), (TypeId::of::<FnPtr>(), "condition: closure")]);
    form(module, &[host(), (TypeId::of::<FnPtr>(), "condition: closure"), (TypeId::of::<Map>(), "options: map")]);
}

/// Takes its arguments as they are: a host that is borrowed for the call could not be used in the closure.
fn form(module: &mut Module, params: &[(TypeId, &str)]) {
    let func = |ctx: Option<NativeCallContext<'_>>, args: &mut [&mut Dynamic]| -> Raised<Dynamic> {
        let Some(ctx) = ctx else { return Err("a primitive needs its context".into()) };
        let host = args.first().and_then(|host| host.read_lock::<ScriptHost>().map(|host| host.clone()));
        let condition = args.get(1).and_then(|condition| condition.read_lock::<FnPtr>().map(|condition| condition.clone()));
        let options = args.get(2).and_then(|options| options.read_lock::<Map>().map(|options| options.clone()));
        let (Some(host), Some(condition)) = (host, condition) else { return Err("it waits for a closure on a host".into()) };
        wait_for(&ctx, &host, &condition, options.unwrap_or_default()).map(Dynamic::from_map)
    };
    let func = RhaiFunc::Method { func: Arc::new(func), has_context: true, is_pure: true, is_volatile: true };
    let names: Vec<&str> = params.iter().map(|(_, name)| *name).chain(["map"]).collect();
    let types: Vec<TypeId> = params.iter().map(|(id, _)| *id).collect();
    FuncRegistration::new("wait_for").in_global_namespace().with_params_info(names).set_into_module_raw(module, types, func);
}

fn wait_for(ctx: &NativeCallContext<'_>, host: &ScriptHost, condition: &FnPtr, options: Map) -> Raised<Map> {
    let tag = tag(ctx)?;
    let stop = |error: StepError| raise(error, ctx.call_position());
    let bad = |path: String, message: String, known: &[&str]| {
        let known = known.iter().map(ToString::to_string).collect();
        wrong(ctx, "wait_for", BadArguments { path, message, known })
    };
    let times = ["within", "every"];
    if let Some(key) = options.keys().find(|key| !times.contains(&key.as_str())) {
        return Err(bad(key.to_string(), format!("unknown option `{key}` with a closure"), &times));
    }
    let options = super::options::json(&Dynamic::from_map(options)).map_err(|message| bad(String::new(), message, &[]))?;
    let Value::Object(options) = options else { return Ok(Map::new()) };
    let since = turn(ctx, &tag, host, &options, json!({ "looks": 0 }))?;
    let takes_host = tag.runtime.symbols.get().and_then(|symbols| symbols.closures.get(condition.fn_name()));
    let takes_host = takes_host.is_none_or(|shape| !shape.params.is_empty());
    let mut looks: u32 = 0;
    loop {
        looks += 1;
        let given = if takes_host {
            condition.call_within_context::<Dynamic>(ctx, (host.clone(),))
        } else {
            condition.call_within_context::<Dynamic>(ctx, ())
        };
        let last = match given {
            Ok(value) => match value.as_bool() {
                Ok(true) => return Ok(Map::from_iter([("looks".into(), Dynamic::from(i64::from(looks)))])),
                Ok(false) => String::new(),
                Err(kind) => {
                    let kind = super::symbols::kind_name(kind);
                    let mut error = StepError::bad_input(format!("what is waited for gives true or false, and gave {kind}"));
                    (error.site, error.op) = (tag.site(ctx), "wait_for".to_owned());
                    return Err(stop(error));
                }
            },
            Err(raised) => {
                let error = step_error(&raised, &tag.runtime);
                // A mistake of the script does not pass by waiting.
                if error.kind == ErrorKind::BadInput || ends_the_run(error.kind) {
                    return Err(raised);
                }
                error.message
            }
        };
        turn(ctx, &tag, host, &options, json!({ "looks": looks, "since": since, "last": last }))?;
    }
}

/// Takes the time, waits, or says that it is over.
fn turn(ctx: &NativeCallContext<'_>, tag: &Tag, host: &ScriptHost, options: &JsonMap<String, Value>, turn: Value) -> Raised<i64> {
    let stop = |error: StepError| raise(error, ctx.call_position());
    let defect = |what: &str| stop(StepError::new(ErrorKind::Internal, format!("waiting for a closure: {what}")));
    let entry = tag.runtime.registry.get("wait_for").ok_or_else(|| defect("there is no such primitive"))?;
    let mut args = options.clone();
    args.insert("condition".to_owned(), turn);
    let operation = entry.parse(Value::Object(args)).map_err(|error| wrong(ctx, "wait_for", error))?;
    let login = host.login();
    let command =
        Command { op: entry.name.to_owned(), host: login.host, user: login.user, args: operation.args(), site: tag.site(ctx) };
    let now = tag.conductor().map_err(stop)?.step(&tag.task, command, operation.as_ref()).map_err(stop)?;
    now.as_i64().ok_or_else(|| defect("it gives no time"))
}
