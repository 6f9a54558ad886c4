//! The lock of an environment: taken before a run begins or is taken up, kept while the process lives. The ledger decides who has
//! it; the lock file only proves that a holder on this machine is gone.

use super::error::CliError;
use super::lock_file::{self, Found, LockFile};
use super::settings::{machine, now, who};
use crate::fleet::Project;
use crate::id::{Epoch, RunId};
use crate::ledger::{Claim, Hold, HoldKind, Intent, LEASE_MILLIS, Lease, Locks, Refusal, Tenure};
use crate::report::clock;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// An environment's lock, held. The file goes first: whoever finds it free, and the lease not yet given back, knows that we are gone.
pub(super) struct Held {
    _file: LockFile,
    /// What the run works under.
    pub(super) tenure: Tenure,
}

/// How often, and with which pause, a lock file is asked for again that a process keeps locked which is not the holder: it is on its
/// way in or out, or `status` looks.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_millis(20);

/// In this time every holder that is at work has renewed its lease; and how often that is looked for.
const SILENCE: Duration = Duration::from_millis(LEASE_MILLIS.unsigned_abs() / 3 + 2000);
const GLANCE: Duration = Duration::from_millis(200);

/// Takes the lock of an environment for a run.
pub(super) fn hold<L: Locks + 'static>(
    project: &Project,
    ledger: &Arc<L>,
    environment: &str,
    run: &RunId,
    intent: Intent,
) -> Result<Held, CliError> {
    let path = path(project, environment);
    let cannot = |error: std::io::Error| CliError::input(format!("the lock {} cannot be used: {error}", path.display()));
    let mut tries = 0;
    let (file, dead) = loop {
        match lock_file::take(&path).map_err(cannot)? {
            Found::Free(file, written) => break (Some(file), written),
            Found::Taken(written) => {
                let last = ledger.lease(environment)?;
                if is_over(last.as_ref(), written) {
                    break (None, None);
                }
                tries += 1;
                match last.filter(|lease| lease.is_held(now())) {
                    Some(lease) if written == Some(lease.epoch) => return Err(held(environment, &lease)),
                    _ if tries < TRIES => std::thread::park_timeout(PAUSE),
                    Some(lease) => return Err(held(environment, &lease)),
                    None => {
                        return Err(CliError::new(
                            6,
                            format!("{environment} is being changed by another process of this machine"),
                        )
                        .with_help(format!("it keeps {} locked; wait for its end", path.display())));
                    }
                }
            }
        }
    };
    let mine = |lease: &Lease| dead == Some(lease.epoch) && lease.machine == machine();
    let over = ledger.lease(environment)?.filter(|lease| lease.until != 0 && !lease.is_held(now()) && !mine(lease));
    if let Some(lease) = over.filter(|lease| !stays_silent(ledger.as_ref(), environment, lease, SILENCE)) {
        return Err(held(environment, &lease));
    }
    let (holder, machine) = (who(), machine());
    let (holder, machine) = (holder.as_str(), machine.as_str());
    let claim = Claim { environment, run, holder, machine, intent, dead, at: now(), ttl: LEASE_MILLIS };
    let lease = ledger.claim(&claim)?.map_err(|refusal| refused(environment, &refusal))?;
    let tenure = Tenure::begin(ledger.clone(), environment, &lease, Arc::new(now))?;
    let mut file = match file {
        Some(file) => file,
        None => lock_file::replace(&path).map_err(cannot)?,
    };
    file.write(lease.epoch).map_err(cannot)?;
    Ok(Held { _file: file, tenure })
}

/// Whether a holder whose time is over by the clock does not renew its lease all the same, for so long: a clock that was set
/// forward makes every lease look old, and two machines need not have the same time.
fn stays_silent(ledger: &dyn Locks, environment: &str, lease: &Lease, most: Duration) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < most {
        match ledger.lease(environment) {
            Ok(Some(now)) if now.epoch == lease.epoch && now.until == lease.until => std::thread::park_timeout(GLANCE.min(most)),
            // Renewed, given back, or somebody else's: or nobody knows.
            _ => return false,
        }
    }
    true
}

/// Who has an environment's lock now.
pub(super) struct Standing {
    /// The last lease, while it is not given back.
    pub(super) lease: Option<Lease>,
    /// What is known of its holder.
    pub(super) holder: Holder,
}

/// What is known of the holder of a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holder {
    /// There is none, or its process is known to be gone.
    Gone,
    /// Its time is over, and it did not go on: it hangs, or is cut off, or its machine is gone.
    Silent,
    /// It is at work, as far as can be told.
    AtWork,
}

/// Looks at an environment's lock.
pub(super) fn standing(project: &Project, ledger: &dyn Locks, environment: &str) -> Result<Standing, CliError> {
    let lease = ledger.lease(environment)?.filter(|lease| lease.until != 0);
    let gone = |lease: &Lease| lease.machine == machine() && lock_file::dead(&path(project, environment)) == Some(lease.epoch);
    let holder = match &lease {
        Some(lease) if !gone(lease) && lease.is_held(now()) => Holder::AtWork,
        Some(lease) if !gone(lease) => Holder::Silent,
        _ => Holder::Gone,
    };
    Ok(Standing { lease, holder })
}

/// Refuses while a run is at work there.
pub(super) fn refuse_busy(project: &Project, ledger: &dyn Locks, environment: &str) -> Result<(), CliError> {
    match standing(project, ledger, environment)? {
        Standing { lease: Some(lease), holder: Holder::AtWork } => Err(held(environment, &lease)),
        _ => Ok(()),
    }
}

/// Whether the process that keeps the lock file locked has lost the lock: its epoch is not the last one, or its time is over.
fn is_over(last: Option<&Lease>, written: Option<Epoch>) -> bool {
    match (last, written) {
        (Some(last), Some(written)) => last.epoch > written || !last.is_held(now()),
        _ => false,
    }
}

fn path(project: &Project, environment: &str) -> PathBuf {
    project.root.join(".windlass/locks").join(environment)
}

fn refused(environment: &str, refusal: &Refusal) -> CliError {
    match refusal {
        Refusal::Held(lease) => held(environment, lease),
        Refusal::Set(hold) => set(environment, hold),
    }
}

pub(super) fn held(environment: &str, lease: &Lease) -> CliError {
    let (since, until) = (clock(lease.since), clock(lease.until));
    let message = format!("{environment} is being changed by {lease} (since {since} UTC, until {until} UTC unless it goes on)");
    let help = format!(
        "wait for its end; `windlass status` shows how far it is\nif its process hangs, or its machine is gone:\nwindlass unlock -e {environment} --take-over --reason TEXT"
    );
    CliError::new(6, message).with_help(help)
}

fn set(environment: &str, hold: &Hold) -> CliError {
    CliError::new(6, set_sentence(environment, hold)).with_help(format!("once that is over: {}", lifted_by(hold)))
}

/// What was set over an environment, by whom and why.
pub(super) fn set_sentence(environment: &str, hold: &Hold) -> String {
    let what = match (hold.kind, &hold.environment) {
        (HoldKind::Lock, _) => format!("{environment} is locked"),
        (HoldKind::Freeze, Some(_)) => format!("{environment} is frozen"),
        (HoldKind::Freeze, None) => "every environment is frozen".to_owned(),
    };
    let until = hold.until.map(|until| format!(" until {} UTC", clock(until))).unwrap_or_default();
    format!("{what} by {} since {} UTC{until}: {}", hold.by, clock(hold.since), hold.reason)
}

/// The command that takes away what was set.
pub(super) fn lifted_by(hold: &Hold) -> String {
    let word = match hold.kind {
        HoldKind::Lock => "unlock",
        HoldKind::Freeze => "thaw",
    };
    let environment = hold.environment.as_ref().map(|name| format!(" -e {name}")).unwrap_or_default();
    format!("windlass {word}{environment}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::SqliteLedger;

    #[test]
    fn a_holder_whose_time_is_over_only_by_the_clock_is_not_robbed() {
        let temp = tempfile::tempdir().unwrap();
        let ledger = SqliteLedger::open(&temp.path().join("ledger.db")).unwrap();
        let run = RunId::new("20260101-0000", "held");
        let (holder, machine, intent) = ("ada@desk", "desk/boot", Intent::Begin);
        let claim = Claim { environment: "box", run: &run, holder, machine, intent, dead: None, at: 0, ttl: LEASE_MILLIS };
        let lease = ledger.claim(&claim).unwrap().unwrap();
        assert!(!lease.is_held(now()) && stays_silent(&ledger, "box", &lease, Duration::from_millis(100)));
        std::thread::scope(|scope| {
            let watch = scope.spawn(|| stays_silent(&ledger, "box", &lease, Duration::from_secs(60)));
            ledger.renew("box", lease.epoch, lease.until + 1).unwrap();
            assert!(!watch.join().unwrap());
        });
        ledger.give_back("box", lease.epoch).unwrap();
        assert!(!stays_silent(&ledger, "box", &lease, Duration::from_secs(60)));
    }
}
