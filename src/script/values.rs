//! The types that scripts hold: hosts and services. Everything else is plain values.

use super::runtime::{Raised, raise, tag};
use crate::effect::{Login, ServiceUnit, UnitScope};
use crate::fleet::{Host, Transport, selector};
use crate::id::HostName;
use crate::op::ExternalService;
use crate::step::StepError;
use rhai::{Array, CustomType, Dynamic, Engine, FuncRegistration, ImmutableString, Map, Module, NativeCallContext, TypeBuilder};
use serde::Deserialize;
use std::sync::Arc;

/// A host in a script.
#[derive(Clone, Debug)]
pub(super) struct ScriptHost(Arc<Host>, Option<String>);

/// A service of a host in a script.
#[derive(Clone, Debug)]
pub(super) struct ScriptService {
    pub(super) login: Login,
    pub(super) unit: ServiceUnit,
}

/// A service of others in a script.
#[derive(Clone, Debug)]
pub(super) struct ScriptExternal {
    pub(super) login: Login,
    pub(super) service: ExternalService,
}

impl ScriptHost {
    pub(super) fn new(host: &Host) -> Self {
        Self(Arc::new(host.clone()), host.sudo.clone())
    }

    /// The same host, where everything is done as this user.
    pub(super) fn become_user(&self, user: &str) -> Self {
        Self(self.0.clone(), Some(user.to_owned()))
    }

    /// Where its steps take place, and as whom. Becoming the user that logs in needs no sudo.
    pub(super) fn login(&self) -> Login {
        let user = self.1.clone().filter(|user| *user != self.0.user || self.0.transport == Transport::Local);
        Login { host: self.0.name.clone(), user }
    }

    pub(super) fn name(&self) -> &HostName {
        &self.0.name
    }
}

impl CustomType for ScriptHost {
    fn build(mut builder: TypeBuilder<'_, Self>) {
        builder
            .with_name("Host")
            .with_get("name", |host: &mut Self| ImmutableString::from(host.0.name.as_str()))
            .with_get("address", |host: &mut Self| ImmutableString::from(host.0.address.as_str()))
            .with_get("roles", |host: &mut Self| host.0.roles.iter().map(|role| Dynamic::from(role.clone())).collect::<Array>())
            .with_get("vars", |host: &mut Self| rhai::serde::to_dynamic(&host.0.vars).unwrap_or(Dynamic::UNIT))
            .with_fn("==", |a: &mut Self, b: Self| a.0.name == b.0.name)
            .with_fn("!=", |a: &mut Self, b: Self| a.0.name != b.0.name)
            .on_print(|host| host.0.name.to_string())
            .on_debug(|host| format!("host {}", host.0.name));
    }
}

impl CustomType for ScriptService {
    fn build(mut builder: TypeBuilder<'_, Self>) {
        builder
            .with_name("Service")
            .with_get("name", |service: &mut Self| ImmutableString::from(service.unit.name.as_str()))
            .on_print(|service| format!("{} on {}", service.unit.name, service.login.host));
    }
}

impl CustomType for ScriptExternal {
    fn build(mut builder: TypeBuilder<'_, Self>) {
        builder
            .with_name("External")
            .with_get("name", |external: &mut Self| ImmutableString::from(external.service.name.as_str()))
            .on_print(|external| format!("external {}", external.service.name));
    }
}

/// Registers the types, and the functions that give them.
pub(super) fn register(engine: &mut Engine, module: &mut Module) {
    engine.build_type::<ScriptHost>().build_type::<ScriptService>().build_type::<ScriptExternal>();
    FuncRegistration::new("external")
        .with_params_info(["name: string", "External"])
        .with_volatility(true)
        .set_into_module(module, external);
    FuncRegistration::new("host").with_params_info(["name: string", "Host"]).with_volatility(true).set_into_module(module, host);
    FuncRegistration::new("hosts")
        .with_params_info(["selector: string", "Array"])
        .with_volatility(true)
        .set_into_module(module, hosts);
    let sudo = || FuncRegistration::new("sudo").in_global_namespace().with_purity(true);
    sudo().with_params_info(["host: Host", "Host"]).set_into_module(module, |host: &mut ScriptHost| host.become_user("root"));
    sudo().with_params_info(["host: Host", "user: string", "Host"]).set_into_module(module, become_user);
    let service = || FuncRegistration::new("service").in_global_namespace().with_purity(true).with_volatility(true);
    service()
        .with_params_info(["host: Host", "name: string", "Service"])
        .set_into_module(module, |host: &mut ScriptHost, name: &str| unit(host, name, UnitScope::System));
    service()
        .with_params_info(["host: Host", "name: string", "options: map", "Service"])
        .set_into_module(module, service_with_options);
}

fn host(ctx: NativeCallContext<'_>, name: &str) -> Raised<ScriptHost> {
    let tag = tag(&ctx)?;
    let bad = |error| raise(at(error, &tag.site(&ctx), "host"), ctx.call_position());
    let host = tag.runtime.host(name).map_err(bad)?;
    let (Some(limit), Some(environment)) = (&tag.runtime.facts.limit, &tag.runtime.facts.environment) else { return Ok(host) };
    let allowed =
        selector::select(&environment.hosts, limit).is_ok_and(|hosts| hosts.iter().any(|other| other.name == *host.name()));
    if allowed {
        return Ok(host);
    }
    Err(bad(StepError::bad_input(format!("{name} is not within --limit `{limit}`"))
        .with_help("nothing outside of the limit is touched; widen it if this host is meant too")))
}

fn external(ctx: NativeCallContext<'_>, name: &str) -> Raised<ScriptExternal> {
    let tag = tag(&ctx)?;
    let bad = |error| raise(at(error, &tag.site(&ctx), "external"), ctx.call_position());
    let Some(environment) = &tag.runtime.facts.environment else {
        return Err(bad(StepError::bad_input("no environment was given")));
    };
    let Some(external) = environment.externals.get(name) else {
        let names: Vec<&str> = environment.externals.keys().map(String::as_str).collect();
        let known = if names.is_empty() {
            format!("it has none; write [externals.{name}] with a check into its file")
        } else {
            super::symbols::near_and(name, &names, &super::runtime::listed(&names))
        };
        let error = StepError::bad_input(format!("there is no external `{name}` in the environment {}", environment.name));
        return Err(bad(error.with_help(known)));
    };
    let login = match &external.from {
        Some(host) => tag.runtime.host(host.as_str()).map_err(bad)?.login(),
        None => Login::controller(),
    };
    Ok(ScriptExternal { login, service: ExternalService { name: name.to_owned(), check: external.check.clone() } })
}

fn at(mut error: StepError, site: &crate::step::Site, op: &str) -> StepError {
    (error.site, error.op) = (site.clone(), op.to_owned());
    error
}

fn hosts(ctx: NativeCallContext<'_>, text: &str) -> Raised<Array> {
    let tag = tag(&ctx)?;
    let site = tag.site(&ctx);
    let bad = |error: StepError| raise(at(error, &site, "hosts"), ctx.call_position());
    let Some(environment) = &tag.runtime.facts.environment else {
        return Err(bad(StepError::bad_input("no environment was given")));
    };
    let choose = |text: &str| {
        selector::select(&environment.hosts, text).map_err(|error| {
            let help = error.help();
            let mut error = StepError::bad_input(error.to_string());
            error.help = help;
            bad(error)
        })
    };
    let chosen = choose(text)?;
    let Some(limit) = &tag.runtime.facts.limit else {
        return Ok(chosen.into_iter().map(|host| Dynamic::from(ScriptHost::new(host))).collect());
    };
    let allowed = choose(limit)?;
    let both = chosen.into_iter().filter(|host| allowed.iter().any(|other| other.name == host.name));
    let both: Array = both.map(|host| Dynamic::from(ScriptHost::new(host))).collect();
    if both.is_empty() {
        let error = StepError::bad_input(format!("no host of `{text}` is within --limit `{limit}`"));
        return Err(bad(error.with_help("a deploy to no host is a mistake; widen --limit")));
    }
    Ok(both)
}

fn become_user(ctx: NativeCallContext<'_>, host: &mut ScriptHost, user: &str) -> Raised<ScriptHost> {
    let tag = tag(&ctx)?;
    check_user(user).map_err(|error| raise(at(error, &tag.site(&ctx), "sudo"), ctx.call_position()))?;
    Ok(host.become_user(user))
}

/// Refuses what is no user's name.
pub(super) fn check_user(user: &str) -> Result<(), StepError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if user.is_empty() || user.starts_with('-') || !user.chars().all(plain) {
        return Err(StepError::bad_input(format!("`{user}` is no name of a user")));
    }
    Ok(())
}

fn unit(host: &mut ScriptHost, name: &str, scope: UnitScope) -> ScriptService {
    ScriptService { login: host.login(), unit: ServiceUnit { name: name.to_owned(), scope } }
}

/// The options of `h.service(name, #{..})`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ServiceOptions {
    #[serde(default)]
    scope: UnitScope,
}

fn service_with_options(ctx: NativeCallContext<'_>, host: &mut ScriptHost, name: &str, options: Map) -> Raised<ScriptService> {
    let options: ServiceOptions = super::options::read(&ctx, "service", options, &["scope"])?;
    Ok(unit(host, name, options.scope))
}
