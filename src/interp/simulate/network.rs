//! Connections within a simulated fleet: a service that runs answers on the ports that are its own; everything else is closed.

use super::host::Host;
use super::services::Service;
use crate::effect::{EffectError, Hoped, HttpReply, Login, Reply, Via};
use crate::fleet::{Check, Environment, WantedService, World};
use crate::transport::http::Place;
use std::collections::BTreeMap;

/// What answers somewhere.
pub(super) struct Listener {
    pub(super) status: u16,
    pub(super) body: String,
}

/// What is around the fleet: the externals of its environment, by address and port.
#[derive(Debug, Clone, Default)]
pub(super) struct Around(BTreeMap<(String, u16), (u16, String)>);

impl Around {
    /// The externals of an environment, as a description wants them; they answer as they should unless it says otherwise.
    pub(super) fn new(environment: &Environment, world: &World) -> Self {
        let mut around = BTreeMap::new();
        for (name, external) in &environment.externals {
            let wanted = world.externals.get(name).cloned().unwrap_or_default();
            let place = match &external.check {
                Check::Http { url, .. } => Place::parse(url).ok().map(|place| (place.address, place.port)),
                Check::Tcp { address } => address
                    .rsplit_once(':')
                    .and_then(|(address, port)| Some((address.trim_matches(['[', ']']).to_owned(), port.parse().ok()?))),
            };
            let usual = match &external.check {
                Check::Http { status: Some(status), .. } => *status,
                _ => 200,
            };
            if let Some(place) = place.filter(|_| !wanted.down) {
                around.entry(place).or_insert((wanted.status.unwrap_or(usual), wanted.body));
            }
        }
        Self(around)
    }
}

/// All hosts, by name.
pub(super) type Hosts = BTreeMap<String, Host>;

/// The fleet and what is around it, as one host sees it.
pub(super) struct Network<'a> {
    pub(super) hosts: &'a Hosts,
    pub(super) around: &'a Around,
    pub(super) at: &'a Login,
    pub(super) via: Via,
}

impl Network<'_> {
    /// An HTTP request to a place.
    pub(super) fn http(&self, address: &str, port: u16, hoped: Option<&Hoped>) -> Result<Reply, EffectError> {
        let Listener { status, body } = self.listener(address, port)?;
        // Where nothing tells which version it is, it is taken to be well.
        let body = if body.is_empty() { hoped.map(hoped_body).unwrap_or_default() } else { body };
        let vantage = match self.via {
            Via::Controller => "asked from the controller".to_owned(),
            Via::Exec => format!("asked on {} by curl", self.at.host),
            Via::Tunnel | Via::Forwarding => format!("asked from {}", self.at.host),
        };
        Ok(Reply::Http(HttpReply { status, body, vantage }))
    }

    /// A connection to a place.
    pub(super) fn connect(&self, address: &str, port: u16) -> Result<Reply, EffectError> {
        self.listener(address, port)?;
        let vantage = match self.via {
            Via::Controller => "from the controller".to_owned(),
            Via::Exec => format!("on {} by curl", self.at.host),
            Via::Tunnel | Via::Forwarding => format!("from {}", self.at.host),
        };
        Ok(Reply::Connected { vantage })
    }

    /// The host that an address leads to, when it is one of these.
    pub(super) fn addressed(&self, address: &str) -> Option<&Host> {
        let own = address == "localhost" || address == "::1" || address.starts_with("127.");
        match (own, self.via) {
            (true, Via::Controller) => None,
            (true, _) => self.hosts.get(self.at.host.as_str()),
            (false, _) => self.hosts.values().find(|host| host.addresses.contains(address)),
        }
    }

    fn listener(&self, address: &str, port: u16) -> Result<Listener, EffectError> {
        let host = self.addressed(address);
        let outside = || {
            let (status, body) = self.around.0.get(&(address.to_owned(), port))?.clone();
            Some(Listener { status, body })
        };
        host.and_then(|host| on(host, port)).or_else(outside).ok_or_else(|| {
            let refused = format!("nothing answers at {address}:{port}: Connection refused (os error 111)");
            EffectError::failed(match self.via {
                Via::Exec => format!("{refused} (asked on {} by curl; its sshd lets no connection through)", self.at.host),
                _ => refused,
            })
        })
    }
}

/// A body that is as hoped.
pub(super) fn hoped_body(hoped: &Hoped) -> String {
    hoped.texts.iter().map(|text| format!("{text}\n")).collect()
}

/// The service that answers on a port of a host, by its scope and name.
pub(super) fn owner(host: &Host, port: u16) -> Option<String> {
    running(host, port).first().map(|(key, _)| (*key).clone())
}

/// The services that run and may own a port, the surest first.
fn running(host: &Host, port: u16) -> Vec<(&String, &Service)> {
    let unit = |key: &str| key.split_once(' ').map_or(key, |(_, unit)| unit).to_owned();
    // One that the description gives the port comes before one whose settings only hold that number.
    let owns = |unit: &str| host.wanted.service(unit).is_some_and(|wanted| wanted.ports.contains(&port));
    let up = |service: &Service| service.active == "active" && service.ports.contains(&port);
    let mut running: Vec<(&String, &Service)> = host.services.known.iter().filter(|(_, service)| up(service)).collect();
    running.sort_by_key(|(key, _)| !owns(&unit(key)));
    running
}

/// What answers on a port of a host: a service that runs, else what is said to listen there.
pub(super) fn on(host: &Host, port: u16) -> Option<Listener> {
    if let Some((key, service)) = running(host, port).first() {
        let unit = key.split_once(' ').map_or(key.as_str(), |(_, unit)| unit);
        return Some(answer(unit, host.wanted.service(unit), service.versions.iter().map(String::as_str)));
    }
    let server = host.wanted.servers.iter().find(|(_, server)| server.ports.contains(&port));
    server.map(|(name, server)| answer(name, Some(server), std::iter::empty()))
}

fn answer<'a>(name: &str, wanted: Option<&WantedService>, versions: impl Iterator<Item = &'a str>) -> Listener {
    let name = name.strip_suffix(".service").unwrap_or(name);
    let told = || versions.map(|version| format!("{name} {version}\n")).collect();
    let body = wanted.and_then(|wanted| wanted.body.clone()).unwrap_or_else(told);
    Listener { status: wanted.and_then(|wanted| wanted.status).unwrap_or(200), body }
}
