//! Restarting a host: asked once, then looked at over new connections until another boot of it answers.

use super::apply::explain;
use crate::effect::{EffectError, Login, Reply};
use crate::id::SaveId;
use crate::stop::Stop;
use crate::transport::{Call, Failure, Pool, remote};
use std::time::{Duration, Instant};

const PAUSE: Duration = Duration::from_millis(500);

/// A restart that is wanted.
pub(super) struct Wish<'a> {
    /// By when the host must answer again.
    pub(super) within: Duration,
    /// What those who are logged in there are told.
    pub(super) message: Option<&'a str>,
    /// The name under which the host keeps from which boot it was restarted.
    pub(super) save: &'a SaveId,
    /// Whether it may have been asked for before: a host that is not there is on its way then.
    pub(super) begun: bool,
    /// The restart that it follows, if it may only follow one.
    pub(super) after: Option<&'a SaveId>,
}

/// What a host says of its restart.
enum Told {
    /// There is nothing to follow.
    Nothing,
    /// It was not asked yet; this boot of it runs.
    Now(String),
    /// It was asked, and has not gone down yet.
    Going,
    /// Another boot answers.
    Back,
    /// It does, and what ran before does not run again, as this tells.
    Down(String),
}

/// Restarts a host and waits until it is back.
pub(super) fn reboot(pool: &Pool, at: &Login, wish: &Wish<'_>, stop: &Stop) -> Result<Reply, EffectError> {
    if pool.is_local(&at.host) {
        return Err(EffectError::failed(format!(
            "{} is the machine on which Windlass runs; it does not restart itself",
            at.host
        )));
    }
    let end = Instant::now() + wish.within;
    // Which boot it is, is asked first: whatever is lost on the way, the host is asked to leave this boot and no other.
    let mut boot = None;
    let mut asked = wish.begun;
    loop {
        let last = match ask(pool, at, wish, boot.as_deref()) {
            Ok(Told::Nothing) => return Ok(Reply::done(false)),
            Ok(Told::Back) => return Ok(Reply::done(true)),
            Ok(Told::Down(why)) => {
                return Err(EffectError::failed(format!("{} is back, and what ran there does not run again: {why}", at.host)));
            }
            Ok(Told::Now(now)) => {
                boot = Some(now);
                continue;
            }
            Ok(Told::Going) => "it still runs as before".to_owned(),
            Err(error @ (EffectError::Interrupted | EffectError::Left { .. } | EffectError::Fenced { .. })) => return Err(error),
            // It said no; later it is only a host that is on its way down or up.
            Err(error) if !asked && !matches!(error, EffectError::Lost { .. } | EffectError::Timeout { .. }) => {
                return Err(error);
            }
            Err(error) => error.to_string(),
        };
        asked = true;
        pool.renew(&at.host);
        if Instant::now() >= end {
            let within = wish.within.as_secs();
            let message = format!("{} was asked to restart and is not back within {within} s: {last}", at.host);
            return Err(EffectError::Timeout { message, stderr: String::new() });
        }
        let next = Instant::now() + PAUSE;
        while Instant::now() < next {
            if stop.is_stopped() {
                return Err(EffectError::Interrupted);
            }
            std::thread::park_timeout(Duration::from_millis(50));
        }
    }
}

fn ask(pool: &Pool, at: &Login, wish: &Wish<'_>, known: Option<&str>) -> Result<Told, EffectError> {
    let call: Call = remote::reboot(wish.save, wish.after, known, wish.message).as_user(at.user.clone());
    let failed = |failure: Failure| explain(&at.host, failure);
    let said = pool.shell(&at.host).and_then(|shell| shell.call(&call, &mut || {})).map_err(failed)?;
    if said.code != 0 {
        return Err(remote::fenced(&at.host, &said).unwrap_or_else(|| remote::refusal(&said)));
    }
    let text = said.stdout_text();
    let (word, boot) = text.trim_end().split_once(' ').unwrap_or((text.trim_end(), ""));
    match word {
        "same" => Ok(Told::Nothing),
        "now" => Ok(Told::Now(boot.to_owned())),
        "going" => Ok(Told::Going),
        "back" => Ok(Told::Back),
        "down" => Ok(Told::Down(boot.to_owned())),
        other => Err(EffectError::failed(format!("{} gave an answer that makes no sense: {other:?}", at.host))),
    }
}
