//! Kills at random moments: whatever the moment and the signal, the run is continued to its end, or what was there is put back;
//! also when the one that continues or puts back is killed in turn.

use super::chance::Chance;
use super::host::{Host, HostState, assert_same, states};
use super::lab::{asked, lab};
use super::project::Project;
use super::wait::pause;
use rustix::process::Signal;
use std::time::{Duration, Instant};

/// How many kills, of the first processes and of those that take up; `WINDLASS_KILLS` says another number.
const KILLS: u32 = 14;
/// Where the moments come from; `WINDLASS_SEED` says another number.
const SEED: u64 = 20_261_125;

/// What a round of it did, to be told when it fails.
struct Round<'a> {
    project: &'a Project,
    chance: Chance,
    kills: u32,
    told: String,
    /// Whether the process that ended it was killed.
    untold: bool,
}

impl Round<'_> {
    /// Runs this and kills it within about that time; gives whether it was killed.
    fn killed(&mut self, words: &[&str], within: Duration) -> bool {
        let (running, begun) = (self.project.start(words), Instant::now());
        let moment = Duration::from_micros(self.chance.below(u64::try_from(within.as_micros()).unwrap()));
        while begun.elapsed() < moment {
            pause();
        }
        let signal = if self.chance.below(3) == 0 { Signal::TERM } else { Signal::KILL };
        running.signal(signal);
        let code = running.wait().code;
        self.told += &format!("\n{} killed by {signal:?} after {moment:?}: {code:?}", words.join(" "));
        let killed = code.is_none() || code == Some(7);
        self.kills += u32::from(killed);
        killed
    }

    /// The name and the phase of the last run.
    fn last(&self) -> (String, String) {
        let last = &self.project.status()["last"];
        let text = |key: &str| last[key].as_str().unwrap_or_default().to_owned();
        (text("id"), text("state"))
    }
}

#[test]
fn killed_at_random_moments_a_run_goes_on_or_back() {
    let lease = lab().lease(3);
    let project = Project::new(&lease.hosts, |_| "");
    let begun = Instant::now();
    project.deploy("1.0").expect_run(0, "succeeded");
    let whole = begun.elapsed();
    let mut live = "1.0";
    let wanted = asked("WINDLASS_KILLS", KILLS);
    let mut round = Round {
        project: &project,
        chance: Chance::new(asked("WINDLASS_SEED", SEED)),
        kills: 0,
        told: String::new(),
        untold: false,
    };
    for _ in 0..wanted * 4 {
        if round.kills >= wanted {
            break;
        }
        let next = if live == "1.0" { "1.1" } else { "1.0" };
        let before = states(&lease.hosts);
        match round.play(next, whole, &lease.hosts).as_deref() {
            None => {}
            Some("succeeded") => {
                live = next;
                lease.hosts.iter().for_each(|host| host.assert_serves(live));
            }
            // One that was killed behind its end has told no host that it is over.
            Some("unwound") if round.untold => {
                let apart = |all: Vec<HostState>| all.into_iter().map(HostState::apart_from_kept).collect::<Vec<_>>();
                assert!(apart(before) == apart(states(&lease.hosts)), "not as before:{}", round.told);
            }
            Some("unwound") => assert_same(&before, &lease.hosts),
            Some(other) => panic!("it ended as {other}:{}", round.told),
        }
    }
    assert!(round.kills >= wanted, "only {} were killed in time", round.kills);
}

fn has_ended(state: &str) -> bool {
    matches!(state, "succeeded" | "unwound" | "halted" | "refused")
}

impl Round<'_> {
    /// A run to this version that is killed, and brought to an end. Gives that end; nothing when it was killed before anything was on
    /// record.
    fn play(&mut self, next: &str, whole: Duration, hosts: &[Host]) -> Option<String> {
        self.told.clear();
        let (earlier, _) = self.last();
        self.killed(&["run", "--set", &format!("version={next}")], whole);
        let (run, mut state) = self.last();
        if run == earlier {
            return None;
        }
        let back = self.chance.below(2) == 0;
        // The one that takes it up is killed, too, now and then.
        while !has_ended(&state) && self.chance.below(2) == 0 {
            self.killed(&[if back { "unwind" } else { "resume" }, &run], whole);
            state = self.last().1;
        }
        self.untold = has_ended(&state);
        if !has_ended(&state) {
            let word = if back || state == "unwinding" { "unwind" } else { "resume" };
            let end = self.project.windlass(&[word, &run]);
            let right = if word == "unwind" { matches!(end.code, Some(1 | 3)) } else { end.code == Some(0) };
            assert!(right, "{}\n{end}", self.told);
            state = self.last().1;
            // One that is killed behind its end may leave its directory there.
            hosts.iter().for_each(|host| host.assert_nothing_left("/root"));
        }
        Some(state)
    }
}
