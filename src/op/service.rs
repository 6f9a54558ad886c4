//! `h.service(name)`: `start stop restart reload enable disable status`.

use super::{Operation, StepContext, Subject, context::unexpected};
use crate::effect::{Effect, Reply, ServiceState, ServiceUnit, Verb};
use crate::step::StepError;
use serde::{Deserialize, Serialize};

/// The verbs that change what a host does at its next start, and nothing that runs.
pub const AT_BOOT: &[&str] = &["service.enable", "service.disable"];

macro_rules! service_verbs {
    ($($(#[$doc:meta])* $type:ident $name:literal $page:literal;)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $type {
            unit: ServiceUnit,
        }

        impl Operation for $type {
            const NAME: &'static str = $name;
            const SUBJECT: Subject = Subject::Service;
            const POSITIONAL: &'static [&'static str] = &[];
            const PAGE: &'static str = include_str!($page);
            type Output = ServiceStatus;

            fn run(&self, cx: &mut StepContext<'_>) -> Result<ServiceStatus, StepError> {
                act(cx, &self.unit, Verb::$type)
            }

            fn summary(&self) -> String {
                self.unit.name.clone()
            }
        }
    )+};
}

service_verbs! {
    /// Starts a service that does not run. One that does not keep running is a failure, with its last log lines.
    Start "service.start" "../../stdlib/doc/service.start.md";
    /// Stops a service that runs.
    Stop "service.stop" "../../stdlib/doc/service.stop.md";
    /// Restarts a service, or starts it.
    Restart "service.restart" "../../stdlib/doc/service.restart.md";
    /// Has a service read its settings again, or starts it.
    Reload "service.reload" "../../stdlib/doc/service.reload.md";
    /// Has a service start at boot.
    Enable "service.enable" "../../stdlib/doc/service.enable.md";
    /// Has a service not start at boot.
    Disable "service.disable" "../../stdlib/doc/service.disable.md";
}

/// Tells how a service is: `active enabled main_pid restarts state`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Status {
    unit: ServiceUnit,
}

/// What a script gets of a service.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ServiceStatus {
    /// Whether it runs.
    pub active: bool,
    /// Whether it starts at boot.
    pub enabled: bool,
    /// Its main process; 0 when it does not run.
    pub main_pid: i64,
    /// How often its manager restarted it by itself.
    pub restarts: i64,
    /// The manager's own word: `active`, `inactive`, `failed`, ...
    pub state: String,
}

impl From<ServiceState> for ServiceStatus {
    fn from(state: ServiceState) -> Self {
        Self {
            active: state.is_active(),
            enabled: state.enabled == "enabled",
            main_pid: state.main_pid,
            restarts: state.restarts,
            state: state.active,
        }
    }
}

impl Operation for Status {
    const NAME: &'static str = "service.status";
    const SUBJECT: Subject = Subject::Service;
    const POSITIONAL: &'static [&'static str] = &[];
    const PAGE: &'static str = include_str!("../../stdlib/doc/service.status.md");
    type Output = ServiceStatus;

    fn run(&self, cx: &mut StepContext<'_>) -> Result<ServiceStatus, StepError> {
        judge(&self.unit.name)?;
        match cx.look(&Effect::ServiceStatus { unit: self.unit.clone() })? {
            Reply::Service { state, .. } => Ok(state.into()),
            other => Err(unexpected(&other)),
        }
    }

    fn summary(&self) -> String {
        self.unit.name.clone()
    }
}

fn act(cx: &mut StepContext<'_>, unit: &ServiceUnit, verb: Verb) -> Result<ServiceStatus, StepError> {
    judge(&unit.name)?;
    match cx.change(|save| Effect::Service { unit: unit.clone(), verb, save })? {
        Reply::Service { state, .. } => Ok(state.into()),
        other => Err(unexpected(&other)),
    }
}

/// Refuses what no manager of services knows as one.
pub(super) fn judge(name: &str) -> Result<(), StepError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-@:\\".contains(c);
    if name.is_empty() || name.starts_with('-') || !name.chars().all(plain) {
        return Err(StepError::bad_input(format!("`{name}` is no name of a service")));
    }
    match name.split_once('@') {
        Some((stem, rest)) if rest.is_empty() || rest.starts_with('.') => {
            let message = format!("`{name}` is a template of services, of which none runs by that name");
            Err(StepError::bad_input(message).with_help(format!("name one of them, as in `{stem}@1`")))
        }
        _ => Ok(()),
    }
}
