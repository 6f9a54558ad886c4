//! `preflight(hosts, #{..})`: all hosts looked at at the same time, and one report of what they lack.

use super::conductor::{ForkSpec, Task};
use super::forks;
use super::options::wrong;
use super::runtime::{Raised, ends_the_run, raise, tag};
use super::values::ScriptHost;
use crate::effect::Login;
use crate::id::HostName;
use crate::op::{BadArguments, Entry, Missing};
use crate::step::{ErrorKind, StepError};
use rhai::{Array, Dynamic, FuncRegistration, Map, Module, NativeCallContext};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Its options: those of the primitive, and whether root can be become.
pub(super) const KNOWN: &[&str] = &["disk_free", "ports_free", "commands", "writable", "forwarding", "sudo"];

pub(super) fn register(module: &mut Module) {
    FuncRegistration::new("preflight")
        .with_params_info(["hosts: Array", "options: map", "()"])
        .with_volatility(true)
        .set_into_module(module, |ctx: NativeCallContext<'_>, hosts: Array, options: Map| preflight(&ctx, &hosts, options));
}

fn preflight(ctx: &NativeCallContext<'_>, hosts: &Array, mut options: Map) -> Raised<()> {
    let tag = tag(ctx)?;
    let bad = |path: &str, message: &str| {
        wrong(ctx, "preflight", BadArguments { path: path.to_owned(), message: message.to_owned(), known: Vec::new() })
    };
    let sudo =
        options.remove("sudo").map_or(Ok(false), |sudo| sudo.as_bool().map_err(|_| bad("sudo", "`sudo` is true or false")))?;
    let options = super::options::json(&Dynamic::from_map(options)).map_err(|message| bad("", &message))?;
    let entry = tag.runtime.registry.get("preflight").copied();
    let entry = entry.ok_or_else(|| bad("", "there is no such primitive"))?;
    entry.parse(options.clone()).map_err(|mut error| {
        error.known.push("sudo".to_owned());
        wrong(ctx, "preflight", error)
    })?;
    let spec = forks::spec(ctx, "preflight", hosts)?;
    // As whom it is looked, and as root: no sudo is needed by who logs in as root.
    let logins = |host: &ScriptHost| (host.name().clone(), (host.login(), host.become_user("root").login()));
    let logins: BTreeMap<HostName, (Login, Login)> =
        hosts.iter().filter_map(|host| host.read_lock::<ScriptHost>().map(|host| logins(&host))).collect();
    let found: Mutex<BTreeMap<HostName, Vec<Missing>>> = Mutex::default();
    let branch = |task: &Task, host: &HostName| -> Result<(), StepError> {
        let Some((own, root)) = logins.get(host) else { return Ok(()) };
        let mut missing = lacks("reach", look(ctx, task, &entry, own, &options))?;
        if sudo && missing.iter().all(|missing| missing.check != "reach") {
            missing.extend(lacks("sudo", look(ctx, task, &entry, root, &json!({})))?);
        }
        found.lock().unwrap_or_else(PoisonError::into_inner).insert(host.clone(), missing);
        Ok(())
    };
    let looked = tag.conductor().and_then(|conductor| conductor.fork(&tag.task, &spec, &branch));
    looked.map_err(|error| raise(error, ctx.call_position()))?;
    let found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    match report(&spec, &found) {
        None => Ok(()),
        Some(report) => {
            let mut error = StepError::failed(report);
            (error.site, error.op) = (tag.site(ctx), "preflight".to_owned());
            Err(raise(error, ctx.call_position()))
        }
    }
}

fn look(ctx: &NativeCallContext<'_>, task: &Task, entry: &Entry, at: &Login, options: &Value) -> Result<Vec<Missing>, StepError> {
    let tag = tag(ctx).map_err(|_| StepError::new(ErrorKind::Internal, "a primitive was called outside of a run"))?;
    let given = tag.perform(task, at, entry.name, options.clone(), &tag.site(ctx))?;
    serde_json::from_value(given).map_err(|error| StepError::new(ErrorKind::Internal, error.to_string()))
}

/// What cannot be looked at is lacking too.
fn lacks(check: &str, looked: Result<Vec<Missing>, StepError>) -> Result<Vec<Missing>, StepError> {
    match looked {
        Err(error) if error.kind == ErrorKind::BadInput || ends_the_run(error.kind) => Err(error),
        Err(error) => Ok(vec![Missing { check: check.to_owned(), found: error.message }]),
        Ok(missing) => Ok(missing),
    }
}

/// One line for each thing that is lacking, in columns.
fn report(spec: &ForkSpec, found: &BTreeMap<HostName, Vec<Missing>>) -> Option<String> {
    let rows: Vec<(&HostName, &Missing)> =
        spec.hosts.iter().flat_map(|host| found.get(host).into_iter().flatten().map(move |missing| (host, missing))).collect();
    if rows.is_empty() {
        return None;
    }
    let bad = found.values().filter(|missing| !missing.is_empty()).count();
    let width = |text: &dyn Fn(&(&HostName, &Missing)) -> usize| rows.iter().map(text).max().unwrap_or(0);
    let (first, second) = (width(&|row| row.0.as_str().len()), width(&|row| row.1.check.len()));
    let lines = rows.iter().map(|(host, Missing { check, found })| {
        let found = found.replace('\n', " ");
        format!("\n  {host:<first$}  {check:<second$}  {found}")
    });
    let lines: String = lines.collect();
    Some(format!("{bad} of {} hosts are not ready:{lines}", spec.hosts.len()))
}
