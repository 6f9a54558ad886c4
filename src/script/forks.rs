//! `rolling` and `parallel`: their options, the hosts they take, in which order, and the block of each host.

use super::conductor::{BatchSize, ForkSpec, OnFailure, Order, Task};
use super::failure::step_error;
use super::options::read;
use super::runtime::{Raised, Tag, ends_the_run, raise, tag};
use super::snapshot::{call_frozen, snapshot, snapshot_closure};
use super::values::ScriptHost;
use crate::id::{Digest, HostName};
use crate::op::{BadArguments, Span};
use crate::step::{Command, ErrorKind, StepError};
use rhai::{Array, Dynamic, EvalAltResult, FnPtr, FuncRegistration, Map, Module, NativeCallContext};
use serde::Deserialize;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};

/// What `rolling` takes; `health` is a closure, and read apart.
pub(super) const ROLLING: &[&str] = &["batch", "min_available", "max_failures", "on_failure", "order", "health", "bake"];
pub(super) const PARALLEL: &[&str] = &["limit"];

pub(super) fn register(module: &mut Module) {
    let function = |name: &str, params: &[&str]| FuncRegistration::new(name).with_params_info(params).with_volatility(true);
    function("parallel", &["hosts: Array", "body: closure", "Array"])
        .set_into_module(module, |ctx: NativeCallContext<'_>, hosts: Array, body: FnPtr| parallel(&ctx, hosts, Map::new(), body));
    function("parallel", &["hosts: Array", "options: map", "body: closure", "Array"])
        .set_into_module(module, |ctx: NativeCallContext<'_>, hosts: Array, options: Map, body: FnPtr| {
            parallel(&ctx, hosts, options, body)
        });
    function("rolling", &["hosts: Array", "body: closure", "Array"])
        .set_into_module(module, |ctx: NativeCallContext<'_>, hosts: Array, body: FnPtr| rolling(&ctx, hosts, Map::new(), body));
    function("rolling", &["hosts: Array", "options: map", "body: closure", "Array"])
        .set_into_module(module, |ctx: NativeCallContext<'_>, hosts: Array, options: Map, body: FnPtr| {
            rolling(&ctx, hosts, options, body)
        });
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ParallelOptions {
    #[serde(default)]
    limit: Option<BatchSize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RollingOptions {
    #[serde(default)]
    batch: Option<OneOrMany>,
    #[serde(default)]
    min_available: Option<BatchSize>,
    #[serde(default)]
    max_failures: u32,
    #[serde(default)]
    on_failure: OnFailure,
    #[serde(default)]
    order: Option<Order>,
    #[serde(default)]
    bake: Option<Span>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a size from 1 such as 2 or \"25%\", or a ramp such as [1, \"25%\"]")]
enum OneOrMany {
    One(BatchSize),
    Many(Vec<BatchSize>),
}

impl RollingOptions {
    /// What can be told to be wrong without knowing the hosts.
    pub(super) fn judge(&self) -> Result<(), BadArguments> {
        let refuse = |path: &str, message: &str| {
            Err(BadArguments { path: path.to_owned(), message: message.to_owned(), known: Vec::new() })
        };
        if matches!(&self.batch, Some(OneOrMany::Many(sizes)) if sizes.is_empty()) {
            return refuse("batch", "`batch` says no size; give at least one, as in [1, \"25%\"]");
        }
        if self.on_failure == OnFailure::Continue && self.max_failures == 0 {
            return refuse("on_failure", "`continue` goes on within `max_failures`, and that is 0; say how many hosts may fail");
        }
        Ok(())
    }
}

fn parallel(ctx: &NativeCallContext<'_>, hosts: Array, options: Map, body: FnPtr) -> Raised<Array> {
    let options: ParallelOptions = read(ctx, "parallel", options, PARALLEL)?;
    let spec = spec(ctx, "parallel", &hosts)?;
    fork(ctx, &hosts, ForkSpec { batches: options.limit.into_iter().collect(), ..spec }, body)
}

fn rolling(ctx: &NativeCallContext<'_>, hosts: Array, mut options: Map, body: FnPtr) -> Raised<Array> {
    let wrong = |bad| super::options::wrong(ctx, "rolling", bad);
    let health = options.remove("health").map(|given| {
        given.try_cast_result::<FnPtr>().map_err(|other| {
            let message = format!("`health` is a closure with the host, not {}", super::symbols::kind_name(other.type_name()));
            wrong(BadArguments { path: "health".to_owned(), message, known: Vec::new() })
        })
    });
    let health = health.transpose()?;
    let options: RollingOptions = read(ctx, "rolling", options, ROLLING)?;
    options.judge().map_err(wrong)?;
    let batches = match options.batch {
        None => vec![BatchSize::Hosts(1)],
        Some(OneOrMany::One(size)) => vec![size],
        Some(OneOrMany::Many(sizes)) => sizes,
    };
    let spec = spec(ctx, "rolling", &hosts)?;
    let asks = health.is_some() || options.min_available.is_some() || options.order == Some(Order::SickFirst);
    let sick = if asks { sick_hosts(ctx, &hosts, &spec, health)? } else { BTreeSet::new() };
    let order = options.order.unwrap_or_default();
    let spec = ForkSpec {
        queue: queue(&spec.hosts, order, &sick, &tag(ctx)?.runtime.facts.run),
        batches,
        min_available: options.min_available,
        max_failures: options.max_failures,
        on_failure: options.on_failure,
        bake: options.bake,
        sick,
        ..spec
    };
    fork(ctx, &hosts, spec, body)
}

/// The order in which hosts are taken.
fn queue(hosts: &[HostName], order: Order, sick: &BTreeSet<HostName>, run: &str) -> Vec<HostName> {
    let mut queue = hosts.to_vec();
    match order {
        Order::Inventory => {}
        Order::SickFirst => queue.sort_by_key(|host| !sick.contains(host)),
        Order::Reverse => queue.reverse(),
        // Chance that a resumed run has again: its name.
        Order::Random => queue.sort_by_key(|host| Digest::of(format!("{run} {host}").as_bytes())),
    }
    queue
}

/// Looks at all hosts at once, before the first is taken: those of which `health` does not give true, or that cannot be reached.
fn sick_hosts(ctx: &NativeCallContext<'_>, hosts: &Array, spec: &ForkSpec, health: Option<FnPtr>) -> Raised<BTreeSet<HostName>> {
    let tag = tag(ctx)?;
    let health = health.map(snapshot_closure);
    let values = values(hosts);
    let sick: Mutex<BTreeSet<HostName>> = Mutex::default();
    let look = |task: &Task, host: &HostName| -> Result<bool, StepError> {
        let value = values.get(host).cloned().unwrap_or(Dynamic::UNIT);
        let Some(health) = &health else { return reach(ctx, &tag, task, &value).map(|()| true) };
        let given = block(ctx, &tag, task, health, value).map_err(|raised| step_error(&raised, &tag.runtime))?;
        let kind = given.type_name();
        given.as_bool().map_err(|_| {
            let kind = super::symbols::kind_name(kind);
            let mut error = StepError::bad_input(format!("`health` gives true or false, and gave {kind} for {host}"));
            (error.site, error.op) = (tag.site(ctx), "rolling".to_owned());
            error
        })
    };
    let branch = |task: &Task, host: &HostName| match look(task, host) {
        Ok(true) => Ok(()),
        Err(error) if error.kind == ErrorKind::BadInput || ends_the_run(error.kind) => Err(error),
        Ok(false) | Err(_) => {
            sick.lock().unwrap_or_else(PoisonError::into_inner).insert(host.clone());
            Ok(())
        }
    };
    let spec = ForkSpec { word: "health", ..spec.clone() };
    let looked = tag.conductor().and_then(|conductor| conductor.fork(&tag.task, &spec, &branch));
    looked.map_err(|error| raise(error, ctx.call_position()))?;
    Ok(sick.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// Asks the host for nothing but an answer.
fn reach(ctx: &NativeCallContext<'_>, tag: &Tag, task: &Task, host: &Dynamic) -> Result<(), StepError> {
    let defect = || StepError::new(ErrorKind::Internal, "hosts cannot be asked for a sign of life");
    let login = host.read_lock::<ScriptHost>().map(|host| host.login()).ok_or_else(defect)?;
    let entry = tag.runtime.registry.get("probe").ok_or_else(defect)?;
    let operation = entry.parse(json!({ "command": ["true"] })).map_err(|_| defect())?;
    let command =
        Command { op: "probe".to_owned(), host: login.host, user: login.user, args: operation.args(), site: tag.site(ctx) };
    tag.conductor()?.step(task, command, operation.as_ref()).map(drop)
}

pub(super) fn spec(ctx: &NativeCallContext<'_>, word: &'static str, hosts: &Array) -> Raised<ForkSpec> {
    let tag = tag(ctx)?;
    let bad = |message: String, help: &str| {
        let mut error = StepError::bad_input(message).with_help(help);
        (error.site, error.op) = (tag.site(ctx), word.to_owned());
        raise(error, ctx.call_position())
    };
    let mut names: Vec<HostName> = Vec::new();
    for host in hosts {
        let Some(host) = host.read_lock::<ScriptHost>() else {
            return Err(bad(
                format!("`{word}` takes hosts, not {}", super::symbols::kind_name(host.type_name())),
                "hosts(\"role\") gives them",
            ));
        };
        if names.contains(host.name()) {
            return Err(bad(format!("{} is listed twice", host.name()), "each host has one task; name it once"));
        }
        names.push(host.name().clone());
    }
    // Batches and results follow the inventory, however the script came by its list.
    let order = |name: &HostName| {
        tag.runtime
            .facts
            .environment
            .as_ref()
            .and_then(|environment| environment.hosts.hosts().iter().position(|host| host.name == *name))
    };
    names.sort_by_key(order);
    if names.is_empty() {
        return Err(bad(format!("`{word}` over no host"), "a deploy to no host is a mistake; check the selector"));
    }
    Ok(ForkSpec {
        word,
        queue: names.clone(),
        hosts: names,
        batches: Vec::new(),
        sick: BTreeSet::new(),
        min_available: None,
        max_failures: 0,
        on_failure: OnFailure::Unwind,
        bake: None,
        site: tag.site(ctx),
    })
}

/// What each block gave, or raised.
type Ends = Mutex<BTreeMap<HostName, Raised<Dynamic>>>;

fn fork(ctx: &NativeCallContext<'_>, hosts: &Array, spec: ForkSpec, body: FnPtr) -> Raised<Array> {
    let tag = tag(ctx)?;
    let body = snapshot_closure(body);
    let values = values(hosts);
    let ends: Ends = Mutex::new(BTreeMap::new());
    let branch = |task: &Task, host: &HostName| {
        let value = values.get(host).cloned().unwrap_or(Dynamic::UNIT);
        let result = block(ctx, &tag, task, &body, value);
        let plain = result.as_ref().map(drop).map_err(|error| step_error(error, &tag.runtime));
        ends.lock().unwrap_or_else(PoisonError::into_inner).insert(host.clone(), result);
        plain
    };
    let result = tag.conductor().and_then(|conductor| conductor.fork(&tag.task, &spec, &branch));
    let ends = ends.into_inner().unwrap_or_else(PoisonError::into_inner);
    match result {
        Ok(failures) => Ok(results(&spec, ends, &failures)),
        Err(error) => Err(original(ends, &error, &tag).unwrap_or_else(|| raise(error, ctx.call_position()))),
    }
}

/// The hosts as their blocks get them.
fn values(hosts: &Array) -> BTreeMap<HostName, Dynamic> {
    let named = |host: &Dynamic| host.read_lock::<ScriptHost>().map(|host| host.name().clone());
    hosts.iter().filter_map(|host| Some((named(host)?, snapshot(host.clone())))).collect()
}

/// The block of one host, on its own thread, as its own task, with what it captured frozen.
fn block(ctx: &NativeCallContext<'_>, tag: &Tag, task: &Task, body: &FnPtr, host: Dynamic) -> Raised<Dynamic> {
    let mut global = ctx.global_runtime_state().clone();
    global.tag = Dynamic::from(Tag { task: task.clone(), runtime: tag.runtime.clone() });
    let context =
        NativeCallContext::new_with_all_fields(ctx.engine(), ctx.fn_name(), ctx.fn_source(), &global, ctx.call_position());
    let called = catch_unwind(AssertUnwindSafe(|| call_frozen(&context, body, vec![host])));
    let panicked =
        || raise(StepError::new(ErrorKind::Internal, "the script's engine panicked; this is a defect"), ctx.call_position());
    called.unwrap_or_else(|_| Err(panicked())).map(snapshot)
}

/// The error as its block raised it: it knows the chain of calls.
fn original(ends: BTreeMap<HostName, Raised<Dynamic>>, error: &StepError, tag: &Tag) -> Option<Box<EvalAltResult>> {
    let errors = ends.into_values().filter_map(Result::err);
    errors.into_iter().find(|raised| step_error(raised, &tag.runtime) == *error)
}

/// In inventory order: what each block gave; of a failed host, the error.
fn results(spec: &ForkSpec, mut ends: BTreeMap<HostName, Raised<Dynamic>>, failures: &[(HostName, StepError)]) -> Array {
    let value = |host: &HostName| match failures.iter().find(|(failed, _)| failed == host) {
        Some((_, error)) => Dynamic::from(error.clone()),
        None => ends.remove(host).and_then(Result::ok).unwrap_or(Dynamic::UNIT),
    };
    spec.hosts.iter().map(value).collect()
}
