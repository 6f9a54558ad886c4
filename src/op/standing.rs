//! Whether a unit is up, by the rule of its own kind, and whether it is still the one that was seen before. Pure.

use crate::effect::ServiceState;

/// How a unit stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    /// Up: it runs, listens or waits, or has done its work and was to do no more.
    Up,
    /// Neither up nor ended: how it is instead.
    Between(String),
    /// It is at rest, whether it ended or was never started.
    AtRest,
    /// It came to an end that it was not to come to: how.
    Ended(String),
}

impl Standing {
    /// What its manager says, judged.
    pub(super) fn of(state: &ServiceState) -> Self {
        match state.active.as_str() {
            _ if state.is_active() => Self::Up,
            // Nobody but its manager would call this activating: its process is gone, and the next is not there yet.
            _ if waits_for_restart(state) => {
                let why = if state.result.is_empty() { String::new() } else { format!(" ({})", state.result) };
                Self::Ended(format!("ended{why}, and its manager waits to start it again"))
            }
            "failed" => Self::Ended("is failed".to_owned()),
            // A oneshot service that does not remain is done when its commands were.
            "inactive" if state.kind == "oneshot" && state.result == "success" && !state.invocation.is_empty() => Self::Up,
            "inactive" => Self::AtRest,
            other => Self::Between(format!("is {other}")),
        }
    }
}

fn waits_for_restart(state: &ServiceState) -> bool {
    // `auto-restart`, `auto-restart-queued`, `failed-before-auto-restart`, `dead-before-auto-restart`
    state.substate.contains("auto-restart")
}

/// What a check has seen of a unit so far.
#[derive(Debug, Default)]
pub(super) struct Seen {
    first: Option<ServiceState>,
    /// As it was when the time began for which it has to stay up.
    held: Option<ServiceState>,
}

impl Seen {
    /// Takes one look in: how the unit stands, against what was seen of it before.
    pub(super) fn take(&mut self, state: &ServiceState) -> Standing {
        let first = self.first.get_or_insert_with(|| state.clone());
        let standing = Standing::of(state);
        if matches!(standing, Standing::Ended(_)) {
            return standing;
        }
        if state.restarts > first.restarts {
            return Standing::Ended("ended and was restarted by its manager".to_owned());
        }
        match self.held.as_ref().and_then(|held| otherwise(held, state)) {
            Some(how) => Standing::Ended(how),
            None => standing,
        }
    }

    /// From this look on it must stay the same.
    pub(super) fn hold(&mut self, state: &ServiceState) {
        self.held.get_or_insert_with(|| state.clone());
    }
}

/// In what a unit that was up is not the same any more, though its manager calls it up.
fn otherwise(held: &ServiceState, now: &ServiceState) -> Option<String> {
    let named = !held.invocation.is_empty() && !now.invocation.is_empty();
    // A main process may hand over to another within one start: a service says so itself (`MAINPID=`, a PID file).
    let replaced = held.main_pid > 0 && now.main_pid > 0 && held.main_pid != now.main_pid;
    if named && held.invocation != now.invocation || !named && replaced {
        return Some("was started anew meanwhile: what is up now is not what was".to_owned());
    }
    // Kept active by `RemainAfterExit=`, or by a script that nobody watches: nothing of it runs any more.
    (held.substate == "running" && now.substate == "exited").then(|| "has ended: none of its processes is left".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(active: &str, substate: &str) -> ServiceState {
        let [active, substate, result] = [active, substate, "success"].map(ToOwned::to_owned);
        let invocation = "a".to_owned();
        ServiceState { known: true, active, substate, result, invocation, main_pid: 7, ..ServiceState::default() }
    }

    #[test]
    fn each_kind_is_up_by_a_rule_of_its_own() {
        let oneshot = |state: ServiceState| ServiceState { kind: "oneshot".to_owned(), main_pid: 0, ..state };
        let up = [
            state("active", "running"),
            state("reloading", "reload"),
            oneshot(state("active", "exited")),
            oneshot(state("inactive", "dead")),
            ServiceState { main_pid: 0, ..state("active", "listening") },
            ServiceState { main_pid: 0, ..state("active", "waiting") },
        ];
        up.iter().for_each(|state| assert_eq!(Standing::of(state), Standing::Up, "{state:?}"));
        let never = ServiceState { invocation: String::new(), ..oneshot(state("inactive", "dead")) };
        assert_eq!(Standing::of(&never), Standing::AtRest);
        assert_eq!(Standing::of(&state("inactive", "dead")), Standing::AtRest);
        assert_eq!(Standing::of(&oneshot(state("activating", "start"))), Standing::Between("is activating".to_owned()));
    }

    #[test]
    fn one_that_waits_to_be_restarted_has_ended() {
        for (active, substate) in [
            ("activating", "auto-restart"),
            ("activating", "auto-restart-queued"),
            ("failed", "failed-before-auto-restart"),
            ("inactive", "dead-before-auto-restart"),
        ] {
            assert!(matches!(Standing::of(&state(active, substate)), Standing::Ended(_)), "{substate}");
        }
    }

    #[test]
    fn it_stays_the_same_for_as_long_as_it_has_to() {
        let take = |now: ServiceState| {
            let mut seen = Seen::default();
            seen.take(&state("active", "running"));
            seen.hold(&state("active", "running"));
            seen.take(&now)
        };
        assert_eq!(take(state("active", "running")), Standing::Up);
        assert_eq!(take(ServiceState { main_pid: 8, ..state("active", "running") }), Standing::Up);
        let ended = |now: ServiceState| matches!(take(now), Standing::Ended(_));
        assert!(ended(ServiceState { restarts: 1, ..state("active", "running") }));
        assert!(ended(ServiceState { invocation: "b".to_owned(), ..state("active", "running") }));
        assert!(ended(state("active", "exited")));
    }

    #[test]
    fn without_names_of_starts_the_main_process_tells() {
        let unnamed = |main_pid| ServiceState { invocation: String::new(), main_pid, ..state("active", "") };
        let mut seen = Seen::default();
        seen.hold(&unnamed(7));
        assert!(matches!(seen.take(&unnamed(8)), Standing::Ended(_)));
        // Some leave their number somewhere a little later.
        let mut seen = Seen::default();
        seen.hold(&unnamed(0));
        assert_eq!(seen.take(&unnamed(8)), Standing::Up);
    }
}
