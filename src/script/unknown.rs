//! What a command would have answered that was not run, and that nobody foretold. A script may pass it on; where it looks into it, the
//! prediction says at that line that it goes on by something that nobody knows. Real runs never hold one.

use super::conductor::Finding;
use super::runtime::{Raised, Tag, tag};
use crate::step::{Command, Site};
use rhai::{Dynamic, Engine, FuncRegistration, ImmutableString, Map, Module, NativeCallContext};
use serde_json::Value;

/// The key of an output that says so.
pub(super) const KEY: &str = "unknown";

/// The fields of an answer.
const FIELDS: [&str; 5] = ["code", "stdout", "stderr", "lines", "truncated"];

/// An answer that nobody knows: what it is taken to be, and of which command.
#[derive(Debug, Clone)]
pub(super) struct Unknown {
    fields: Map,
    op: String,
    command: String,
    /// Whether every exit status but one would be a failure.
    knows_code: bool,
}

impl Unknown {
    /// The output of a step in a script's hands, when nobody knows it.
    pub(super) fn of(command: &Command, summary: String, output: &Value) -> Option<Self> {
        output.get(KEY).filter(|unknown| **unknown == Value::Bool(true))?;
        let fields = rhai::serde::to_dynamic(output).ok()?.try_cast::<Map>()?;
        let fields = fields.into_iter().filter(|(name, _)| name != KEY).collect();
        let knows_code = command.op == "run" && command.args.get("ok_codes").is_none_or(Value::is_null);
        Some(Self { fields, op: command.op.clone(), command: summary, knows_code })
    }

    /// It as it is taken to be.
    pub(super) fn value(&self) -> Dynamic {
        Dynamic::from_map(self.fields.clone())
    }

    /// That the script looks at it, at this place.
    pub(super) fn seen(&self, tag: &Tag, site: Site) {
        let help = if self.op == "probe" {
            "`plan` asks no host: say what it prints under commands in world.toml, or look at the hosts with `windlass dry-run`"
        } else {
            "give it `dry: #{ stdout: .. }` that says what it would answer, or make it a `probe` if it only looks"
        };
        let message = format!("from here on this depends on what `{}` prints, and it was not run", self.command);
        let finding = Finding { site, message, help: help.to_owned(), after: tag.task.last_key() };
        if let Ok(conductor) = tag.conductor() {
            conductor.found(finding);
        }
    }

    fn look(&self, ctx: &NativeCallContext<'_>) -> Raised<()> {
        let tag = tag(ctx)?;
        self.seen(&tag, tag.site(ctx));
        Ok(())
    }

    fn field(&self, ctx: &NativeCallContext<'_>, name: &str) -> Raised<Dynamic> {
        let is_known = name == "code" && self.knows_code;
        if !is_known {
            self.look(ctx)?;
        }
        Ok(self.fields.get(name).cloned().unwrap_or(Dynamic::UNIT))
    }

    fn whole(&mut self, ctx: &NativeCallContext<'_>) -> Raised<Map> {
        self.look(ctx)?;
        Ok(self.fields.clone())
    }
}

/// Registers what can be done with the map that stands for it.
pub(super) fn register(engine: &mut Engine, module: &mut Module) {
    engine.register_type_with_name::<Unknown>("map");
    for name in FIELDS {
        let get = move |ctx: NativeCallContext<'_>, output: &mut Unknown| output.field(&ctx, name);
        FuncRegistration::new_getter(name).with_volatility(true).in_global_namespace().set_into_module(module, get);
    }
    let at = |ctx: NativeCallContext<'_>, output: &mut Unknown, name: &str| output.field(&ctx, name);
    FuncRegistration::new_index_getter().with_volatility(true).in_global_namespace().set_into_module(module, at);
    let function = |name: &str| FuncRegistration::new(name).with_volatility(true).in_global_namespace();
    // Which fields it has is known.
    function("keys").set_into_module(module, |output: &mut Unknown| {
        output.fields.keys().map(|name| Dynamic::from(ImmutableString::from(name.as_str()))).collect::<rhai::Array>()
    });
    let has = |output: &mut Unknown, name: &str| output.fields.contains_key(name);
    function("contains").set_into_module(module, has);
    function("len").set_into_module(module, |output: &mut Unknown| i64::try_from(output.fields.len()).unwrap_or(i64::MAX));
    function("get")
        .set_into_module(module, |ctx: NativeCallContext<'_>, output: &mut Unknown, name: &str| output.field(&ctx, name));
    function("values").set_into_module(module, |ctx: NativeCallContext<'_>, output: &mut Unknown| {
        output.whole(&ctx).map(|fields| fields.into_values().collect::<rhai::Array>())
    });
    for name in ["to_string", "to_debug"] {
        function(name).set_into_module(module, |ctx: NativeCallContext<'_>, output: &mut Unknown| {
            output.whole(&ctx).map(|fields| ImmutableString::from(Dynamic::from_map(fields).to_string()))
        });
    }
}
