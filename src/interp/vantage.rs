//! From where a connection is looked at: through the host's SSH connection, by a program on the host, or from here.

use crate::effect::{Effect, EffectError, HttpRequest, Invocation, Login, Reply, Via, Words};
use crate::id::HostName;
use crate::stop::Stop;
use crate::transport::http::{self, Place};
use crate::transport::{Call, Failure, Pool, direct, remote};
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// Makes connections, and remembers which hosts let none through.
pub(super) struct Vantage {
    stop: Stop,
    forbidden: Mutex<BTreeSet<HostName>>,
}

impl Vantage {
    /// What waits here gives up with this.
    pub(super) fn new(stop: Stop) -> Self {
        Self { stop, forbidden: Mutex::default() }
    }

    pub(super) fn http(&self, pool: &Pool, at: &Login, request: &HttpRequest, via: Via) -> Result<Reply, EffectError> {
        let url = &request.url;
        let place = Place::parse(url).map_err(|why| EffectError::failed(format!("`{url}` cannot be asked: {why}")))?;
        let host = &at.host;
        let answered = |result: Result<_, String>| result.map(Reply::Http).map_err(EffectError::failed);
        if via == Via::Controller {
            let request = request.clone();
            let asked = self.stop.or_done(move || http::ask(&place, &request, "asked from the controller"));
            return answered(asked.ok_or(EffectError::Interrupted)?);
        }
        match self.tunnel(pool, host, &place.address, place.port, via)? {
            Some(stream) => answered(http::exchange(stream, &place, request, &format!("asked from {host}"))),
            None => {
                let (tool, raw) = by_program(pool, host, &remote::ask_http(&place, request))?;
                answered(http::read(raw, &place, request, &format!("asked on {host} by {tool}")))
            }
        }
    }

    pub(super) fn connect(&self, pool: &Pool, at: &Login, address: &str, port: u16, via: Via) -> Result<Reply, EffectError> {
        let host = &at.host;
        let connected = |vantage: String| Reply::Connected { vantage };
        if via == Via::Controller {
            let address = address.to_owned();
            let made = self.stop.or_done(move || direct::connect(&address, port)).ok_or(EffectError::Interrupted)?;
            drop(made.map_err(EffectError::failed)?);
            return Ok(connected("from the controller".to_owned()));
        }
        match self.tunnel(pool, host, address, port, via)? {
            Some(_) => Ok(connected(format!("from {host}"))),
            None => {
                let (tool, _) = by_program(pool, host, &remote::ask_tcp(address, port))?;
                Ok(connected(format!("on {host} by {tool}")))
            }
        }
    }

    /// A connection through the host's own; none when a program on the host has to make it.
    fn tunnel(
        &self,
        pool: &Pool,
        host: &HostName,
        address: &str,
        port: u16,
        via: Via,
    ) -> Result<Option<std::os::unix::net::UnixStream>, EffectError> {
        let known = || self.forbidden.lock().unwrap_or_else(PoisonError::into_inner);
        if via == Via::Exec || (via == Via::Tunnel && known().contains(host)) {
            return Ok(None);
        }
        let explain = |failure| super::apply::explain(host, failure);
        let shell = pool.shell(host).map_err(explain)?;
        match shell.connect(address, port) {
            Ok(stream) => Ok(Some(stream)),
            Err(Failure::Forbidden(_)) if via == Via::Tunnel => {
                known().insert(host.clone());
                Ok(None)
            }
            Err(Failure::Forbidden(reason)) => Err(EffectError::Denied { host: host.clone(), reason, help: None }),
            Err(failure) => Err(explain(failure)),
        }
    }
}

fn by_program(pool: &Pool, host: &HostName, call: &Call) -> Result<(String, Vec<u8>), EffectError> {
    let explain = |failure| super::apply::explain(host, failure);
    let said = pool.shell(host).and_then(|shell| shell.call(call, &mut || {})).map_err(explain)?;
    // It is answered as any command is.
    let command = Invocation {
        words: Words::List(Vec::new()),
        directory: None,
        environment: std::collections::BTreeMap::new(),
        stdin: None,
        timeout_seconds: None,
    };
    let Reply::Command(result) = remote::reply(host, &Effect::Probe { command }, &said)? else {
        return Err(EffectError::failed("a command was answered by a reply of another kind"));
    };
    let (tool, raw) = remote::answer(result.stdout.bytes());
    let error = String::from_utf8_lossy(result.stderr.bytes()).trim().to_owned();
    // What came through a pipe has no exit status of its own: no answer is a failure.
    if result.code != 0 || (raw.is_empty() && !error.is_empty()) {
        let last = error.lines().last().unwrap_or_default();
        return Err(EffectError::failed(format!("{last} (asked on {host} by {tool}; its sshd lets no connection through)")));
    }
    Ok((tool, raw))
}
