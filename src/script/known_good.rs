//! `h.known_good()`: the releases that were known-good on a host when the run began. They stand with the run, so that whoever
//! takes it up is told the same.

use super::runtime::{Raised, tag};
use super::values::ScriptHost;
use rhai::{Array, Dynamic, FuncRegistration, ImmutableString, Map, Module, NativeCallContext};

pub(super) fn register(module: &mut Module) {
    FuncRegistration::new("known_good")
        .in_global_namespace()
        .with_params_info(["host: Host", "Array"])
        .with_purity(true)
        .with_volatility(true)
        .set_into_module(module, known_good);
}

fn known_good(ctx: NativeCallContext<'_>, host: &mut ScriptHost) -> Raised<Array> {
    let tag = tag(&ctx)?;
    let text = |text: &str| Dynamic::from(ImmutableString::from(text));
    let own = tag.runtime.facts.known_good.iter().filter(|known| known.host == *host.name());
    let release = own.map(|known| {
        let digest = known.artifact.as_ref().map_or("", |digest| digest.as_str());
        let parts = [("component", known.component.as_str()), ("version", known.version.as_str()), ("digest", digest)];
        Dynamic::from_map(parts.into_iter().map(|(key, value)| (key.into(), text(value))).collect::<Map>())
    });
    Ok(release.collect())
}
