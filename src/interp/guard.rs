//! Confirming a guarded block: over a connection that is made for it, for as long as the host has not restored itself; and
//! when none can be made, until it has.

use super::apply::explain;
use crate::effect::{EffectError, Login, Reply};
use crate::id::SaveId;
use crate::stop::Stop;
use crate::transport::{Failure, Pool, remote};
use std::time::{Duration, Instant};

const PAUSE: Duration = Duration::from_millis(300);
/// What the host may need, once the time is over, to restore itself and to be reached again.
const GRACE: Duration = Duration::from_secs(60);

/// Ends the timer, unless it was quicker.
pub(super) fn confirm(pool: &Pool, at: &Login, save: &SaveId, seconds: u64, stop: &Stop) -> Result<Reply, EffectError> {
    let end = Instant::now() + Duration::from_secs(seconds) + GRACE;
    loop {
        // What the block has left open proves nothing: the next connection has to be possible.
        pool.renew(&at.host);
        let last = match ask(pool, at, save) {
            Ok(reply) => return Ok(reply),
            Err(
                EffectError::Unreachable { reason, .. } | EffectError::Lost { reason, .. } | EffectError::Denied { reason, .. },
            ) => reason,
            Err(error) => return Err(error),
        };
        tracing::info!(%at, %last, "not confirmed yet");
        if Instant::now() >= end {
            let message = format!(
                "{} is not reached by a new connection, also after the {seconds} s in which it was to restore itself: {last}",
                at.host
            );
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

fn ask(pool: &Pool, at: &Login, save: &SaveId) -> Result<Reply, EffectError> {
    let call = remote::confirm(save).as_user(at.user.clone());
    let failed = |failure: Failure| explain(&at.host, failure);
    let said = pool.shell(&at.host).and_then(|shell| shell.call(&call, &mut || {})).map_err(failed)?;
    if said.code != 0 {
        return Err(remote::fenced(&at.host, &said).unwrap_or_else(|| remote::refusal(&said)));
    }
    let text = said.stdout_text();
    match text.trim_end().split_once('\n').unwrap_or((text.trim_end(), "")) {
        ("confirmed", _) => Ok(Reply::done(false)),
        ("fired", left) => {
            let all = if left.is_empty() { "" } else { ", but not all of it" };
            Err(EffectError::Failed {
                message: format!(
                    "{} has restored itself{all}: the block was not confirmed over a new connection in time",
                    at.host
                ),
                stderr: left.to_owned(),
                code: None,
            })
        }
        _ => Err(EffectError::failed(format!("{} gave an answer that makes no sense: {text:?}", at.host))),
    }
}
