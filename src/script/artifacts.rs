//! `artifact(name)`: a built bundle, in the version that the run is pinned to.

use super::calls::{bodies, call_at};
use super::diagnostic::Diagnostic;
use super::program::Program;
use super::runtime::{Raised, listed, raise, tag};
use super::symbols::near_and;
use crate::artifact::Pin;
use crate::step::StepError;
use rhai::{CustomType, Engine, Expr, FuncRegistration, ImmutableString, Module, NativeCallContext, Position, TypeBuilder};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;

/// An artifact in a script. It cannot be changed there.
#[derive(Clone, Debug)]
pub(super) struct ScriptArtifact(Arc<Pin>);

impl ScriptArtifact {
    /// As primitives take it.
    pub(super) fn json(&self) -> Value {
        let Pin { name, version, digest, size } = &*self.0;
        json!({ "artifact": name, "version": version, "digest": digest, "size": size })
    }
}

impl CustomType for ScriptArtifact {
    fn build(mut builder: TypeBuilder<'_, Self>) {
        builder
            .with_name("Artifact")
            .with_get("name", |artifact: &mut Self| ImmutableString::from(artifact.0.name.as_str()))
            .with_get("version", |artifact: &mut Self| ImmutableString::from(artifact.0.version.as_str()))
            .with_get("digest", |artifact: &mut Self| ImmutableString::from(artifact.0.digest.as_str()))
            .with_get("size", |artifact: &mut Self| i64::try_from(artifact.0.size).unwrap_or(i64::MAX))
            .with_fn("==", |a: &mut Self, b: Self| a.0 == b.0)
            .with_fn("!=", |a: &mut Self, b: Self| a.0 != b.0)
            .on_print(|artifact| format!("{} {}", artifact.0.name, artifact.0.version))
            .on_debug(|artifact| format!("artifact {} {}", artifact.0.name, artifact.0.version));
    }
}

pub(super) fn register(engine: &mut Engine, module: &mut Module) {
    engine.build_type::<ScriptArtifact>();
    FuncRegistration::new("artifact")
        .with_params_info(["name: string", "Artifact"])
        .with_volatility(true)
        .set_into_module(module, artifact);
}

fn artifact(ctx: NativeCallContext<'_>, name: &str) -> Raised<ScriptArtifact> {
    let tag = tag(&ctx)?;
    let pins = &tag.runtime.facts.artifacts;
    if let Some(pin) = pins.iter().find(|pin| pin.name.as_str() == name) {
        return Ok(ScriptArtifact(Arc::new(pin.clone())));
    }
    let names: Vec<&str> = pins.iter().map(|pin| pin.name.as_str()).collect();
    let help = match names[..] {
        [] => format!("windlass artifact add {name} VERSION PATH puts it into the store"),
        _ => near_and(name, &names, &listed(&names)),
    };
    let mut error = StepError::bad_input(format!("this run has no artifact `{name}`")).with_help(help);
    (error.site, error.op) = (tag.site(&ctx), "artifact".to_owned());
    Err(raise(error, ctx.call_position()))
}

/// The artifacts that a program asks for.
#[derive(Debug, Clone, Default)]
pub struct AskedArtifacts {
    /// The names that are written out.
    pub names: BTreeSet<String>,
    /// Whether there are others, which are known only when it runs.
    pub computed: bool,
}

impl Program {
    /// The artifacts that the script and its modules ask for.
    #[must_use]
    pub fn artifacts(&self) -> AskedArtifacts {
        let mut asked = AskedArtifacts::default();
        self.each_artifact(&mut |name, _| match name {
            Some(name) => drop(asked.names.insert(name.to_owned())),
            None => asked.computed = true,
        });
        asked
    }

    /// A finding at the first place where the script asks for this artifact.
    #[must_use]
    pub fn at_artifact(&self, name: &str, message: String, help: Option<String>) -> Diagnostic {
        let mut place = None;
        self.each_artifact(&mut |found, position| place = place.or((found == Some(name)).then_some(position)));
        let diagnostic = match help {
            Some(help) => Diagnostic::error(message).with_help(help),
            None => Diagnostic::error(message),
        };
        match place {
            Some(position) => diagnostic.at(self.sources(), position, "this artifact"),
            None => diagnostic,
        }
    }

    fn each_artifact(&self, see: &mut dyn FnMut(Option<&str>, Position)) {
        for body in self.units().iter().flat_map(|unit| bodies(&unit.ast)) {
            body.walk(&mut |path| {
                let call = path.last().and_then(call_at);
                let Some((call, ..)) = call.filter(|(call, _, method)| call.name == "artifact" && !method) else { return };
                match call.args.first() {
                    Some(Expr::StringConstant(name, position)) => see(Some(name.as_str()), *position),
                    Some(other) => see(None, other.start_position()),
                    None => {}
                }
            });
        }
    }
}
