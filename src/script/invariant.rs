//! `invariant("name", |world| ..)`: what must hold at every moment of a fault test. A real run keeps it for nobody: it has no
//! world to look at all at once.

use super::conductor::Task;
use super::failure::step_error;
use super::runtime::{Raised, Tag, tag};
use super::snapshot::snapshot_closure;
use crate::event::{Holds, WorldView};
use crate::id::TaskPath;
use rhai::{Array, Dynamic, Engine, FnPtr, FuncRegistration, ImmutableString, Module, NativeCallContext};
use std::sync::{Arc, Weak};

/// The world, as an invariant sees it.
#[derive(Clone)]
struct ScriptWorld(Arc<dyn WorldView>);

pub(super) fn register(engine: &mut Engine, module: &mut Module) {
    FuncRegistration::new("invariant")
        .with_params_info(["name: string", "holds: closure", "()"])
        .with_volatility(true)
        .set_into_module(module, |ctx: NativeCallContext<'_>, name: &str, holds: FnPtr| invariant(&ctx, name, holds));
    let list = |names: Vec<String>| names.into_iter().map(Dynamic::from).collect::<Array>();
    engine
        .register_type_with_name::<ScriptWorld>("World")
        .register_get("hosts", move |world: &mut ScriptWorld| list(world.0.hosts()))
        .register_fn("runs", |world: &mut ScriptWorld, host: Dynamic, unit: &str| world.0.runs(&host.to_string(), unit))
        .register_fn("running", move |world: &mut ScriptWorld, unit: &str| {
            let hosts = world.0.hosts().into_iter().filter(|host| world.0.runs(host, unit));
            list(hosts.collect())
        })
        .register_fn("versions", move |world: &mut ScriptWorld, host: Dynamic, unit: &str| {
            list(world.0.versions(&host.to_string(), unit))
        })
        .register_fn("exists", |world: &mut ScriptWorld, host: Dynamic, path: &str| world.0.exists(&host.to_string(), path))
        .register_fn("read", |world: &mut ScriptWorld, host: Dynamic, path: &str| {
            world.0.text(&host.to_string(), path).map_or(Dynamic::UNIT, |text| ImmutableString::from(text).into())
        });
}

fn invariant(ctx: &NativeCallContext<'_>, name: &str, holds: FnPtr) -> Raised<()> {
    let tag = tag(ctx)?;
    let closure = snapshot_closure(holds);
    #[expect(
        deprecated,
        reason = "Rhai calls it volatile; it is the one way to keep a closure's surroundings, and the version is pinned"
    )]
    let store = ctx.store_data();
    let runtime = tag.runtime.clone();
    let look = move |world: &Arc<dyn WorldView>| {
        let Some(engine) = runtime.engine.get().and_then(Weak::upgrade) else { return Ok(()) };
        #[expect(deprecated, reason = "see above")]
        let context = store.create_context(&engine);
        // A step of this task would be a look that changes something: it is refused.
        let task = Task::new(TaskPath::main().child(0, Tag::LOOKS, "world"), None);
        let mut global = context.global_runtime_state().clone();
        global.tag = Dynamic::from(Tag { task, runtime: runtime.clone() });
        let context = NativeCallContext::new_with_all_fields(&engine, "invariant", None, &global, context.call_position());
        match closure.call_within_context::<Dynamic>(&context, (ScriptWorld(world.clone()),)) {
            Ok(value) if value.is_unit() || value.as_bool() == Ok(true) => Ok(()),
            Ok(value) if value.as_bool() == Ok(false) => Err(String::new()),
            Ok(value) => match value.to_string() {
                why if why.is_empty() => Ok(()),
                why => Err(why),
            },
            Err(error) => Err(step_error(&error, &runtime).message),
        }
    };
    let holds = Holds { name: name.to_owned(), site: tag.site(ctx), look: Arc::new(look) };
    tag.conductor().map_err(|error| super::runtime::raise(error, ctx.call_position()))?.invariant(holds);
    Ok(())
}
