//! Performs effects on a fleet in memory: what every function of the host-side library does to files, services, packages and
//! accounts, with the same answers and refusals, on a clock of its own. Nothing outside of this process is changed; the project
//! is read.
//!
//! Commands are not run. What is not modelled at all: what packages need of each other, permissions beyond those of directories,
//! what a service does besides owning ports.

mod account_changes;
mod accounts;
mod archives;
mod at;
mod attributes;
mod blob;
mod changes;
mod claims;
mod clock;
mod commands;
mod facts;
mod fences;
mod files;
mod fleet;
mod guards;
mod host;
mod links;
mod looks;
mod network;
mod packages;
mod perform;
mod puts;
mod running;
mod saves;
mod services;
mod shell;
mod snapshot;
mod starters;
mod tested;
#[cfg(test)]
mod tests;
mod trees;
mod unit_file;
mod upper;
mod view;

pub(super) use clock::Clock;
pub use commands::Programs;
pub use fleet::Fleet;
pub(super) use fleet::{channels, takes};
pub use host::{Answered, Opaque};
pub use shell::{Shell, ShellEntry, ShellItem, ShellKind};
pub use snapshot::Snapshot;
pub use tested::UnitShown;
pub(super) use upper::{Upper, UpperMeans};

use super::{Controller, Marks, whose};
use crate::effect::{Content, Effect, EffectClass, EffectError, Effects, Fence, Login, Question, Reply, Via};
use crate::id::{Digest, RunId};
use crate::stop::Stop;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use view::Nothing;

/// One run's view of a simulated fleet.
pub struct Simulate {
    fleet: Arc<Fleet>,
    run: RunId,
    controller: Controller,
    programs: Option<Arc<dyn Programs>>,
    marks: Option<Arc<Marks>>,
    fence: Option<Fence>,
    stop: Stop,
    drawn: AtomicU64,
}

impl Simulate {
    /// Performs the effects of this run on this fleet; what is read of the project comes from the controller.
    #[must_use]
    pub fn new(fleet: Arc<Fleet>, run: RunId, controller: Controller, stop: Stop) -> Self {
        Self { fleet, run, controller, programs: None, marks: None, fence: None, stop, drawn: AtomicU64::new(0) }
    }

    /// With somebody who answers commands.
    #[must_use]
    pub fn with_programs(self, programs: Arc<dyn Programs>) -> Self {
        Self { programs: Some(programs), ..self }
    }

    /// With a place where it is told what was taken to be so.
    #[must_use]
    pub fn with_marks(self, marks: Arc<Marks>) -> Self {
        Self { marks: Some(marks), ..self }
    }

    /// Under the lock that the run holds: a host that was shown a later holder refuses its changes.
    #[must_use]
    pub fn with_fence(self, fence: Fence) -> Self {
        Self { fence: Some(fence), ..self }
    }

    fn on_controller(&self, effect: &Effect) -> Result<Reply, EffectError> {
        let task = whose::task();
        match effect {
            Effect::Now => Ok(Reply::Time(self.fleet.clock.now(&task))),
            Effect::Sleep { millis } => {
                self.fleet.clock.sleep(&task, *millis);
                Ok(Reply::done(false))
            }
            Effect::Entropy { bytes } => Ok(Reply::Content(self.entropy(*bytes))),
            Effect::Ask { question } => self.answer(question),
            Effect::Notify { to, .. } => takes(&self.fleet.channels, to.as_deref()),
            other => self.controller.perform(other, &self.stop),
        }
    }

    /// The same bytes in every simulation, each drawn once.
    fn entropy(&self, bytes: u32) -> Content {
        let mut drawn = Vec::new();
        let wanted = usize::try_from(bytes).unwrap_or(0);
        while drawn.len() < wanted {
            let n = self.drawn.fetch_add(1, Ordering::Relaxed);
            drawn.extend_from_slice(Digest::of(format!("entropy {n}").as_bytes()).as_str().as_bytes());
        }
        drawn.truncate(wanted);
        Content::new(drawn)
    }

    /// What the description says that people answer, else the default, else the first choice.
    fn answer(&self, question: &Question) -> Result<Reply, EffectError> {
        let told = self.fleet.answers.get(&question.name).or(question.default.as_ref()).or(question.choices.first());
        match told {
            Some(answer) => Ok(Reply::Content(Content::new(answer.as_str()))),
            None => at::die(format!("`{}` has no answer: nobody can be asked here", question.text)),
        }
    }

    fn means(&self) -> fleet::Means<'_> {
        let (programs, marks) = (self.programs.as_deref(), self.marks.as_deref());
        fleet::Means { run: &self.run, below: &Nothing, programs, marks, fence: self.fence.as_ref() }
    }

    fn network<'a>(&'a self, hosts: &'a network::Hosts, at: &'a Login, via: Via) -> network::Network<'a> {
        network::Network { hosts, around: &self.fleet.around, at, via }
    }

    fn on_host(&self, at: &Login, effect: &Effect) -> Result<Reply, EffectError> {
        let now = self.fleet.clock.now(&whose::task()).div_euclid(1000);
        let mut hosts = self.fleet.lock();
        match effect {
            Effect::Http { request, via } => {
                let url = &request.url;
                let place = crate::transport::http::Place::parse(url)
                    .map_err(|why| EffectError::failed(format!("`{url}` cannot be asked: {why}")))?;
                return self.network(&hosts, at, *via).http(&place.address, place.port, request.hoped.as_ref());
            }
            Effect::Connect { address, port, via } => return self.network(&hosts, at, *via).connect(address, *port),
            _ => {}
        }
        let Some(host) = hosts.get_mut(at.host.as_str()) else {
            let (host, reason) = (at.host.clone(), "it is no host of this simulated fleet".to_owned());
            return Err(EffectError::Unreachable { host, reason, help: None });
        };
        if let Effect::Fetch { path, to, limit } = effect {
            return host.at(at, &self.means(), now).fetch((path, *limit), to, &self.controller);
        }
        host.at(at, &self.means(), now).perform(effect)
    }
}

impl Effects for Simulate {
    fn perform(&self, at: &Login, effect: &Effect) -> Result<Reply, EffectError> {
        if self.stop.is_stopped() {
            return Err(EffectError::Interrupted);
        }
        if effect.class() == EffectClass::Controller { self.on_controller(effect) } else { self.on_host(at, effect) }
    }
}
