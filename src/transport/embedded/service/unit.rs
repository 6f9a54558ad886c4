//! The life of one service: a task that takes jobs one after the other, waits for its main process and starts it again
//! when its unit file says so. Only this task changes the unit's state.

use super::launch::{Process, Unstartable};
use super::state::{Active, Context, Shared, UnitKey};
use super::unit_file::{Kind, Line, Restart, UnitFile};
use crate::transport::embedded::signals;
use crate::transport::embedded::wire::Ending;
use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

/// How long a command beside the main one may take.
const HELPER_LIMIT: Duration = Duration::from_secs(90);
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// What a service can be told.
#[derive(Debug, Clone, Copy)]
pub(super) enum Job {
    Start,
    Stop,
    Restart,
    Reload,
    Kill(Signal),
    ResetFailed,
}

/// Whether a job succeeded, or what `systemctl` says about it.
pub(super) type Outcome = Result<(), String>;
type Answer = oneshot::Sender<Outcome>;

/// A unit's task, seen from outside.
#[derive(Debug, Clone)]
pub(super) struct Handle {
    jobs: mpsc::UnboundedSender<(Job, Answer)>,
    pub(super) state: Shared,
}

impl Handle {
    pub(super) fn spawn(context: Arc<Context>, key: UnitKey, state: Shared) -> Self {
        let (jobs, receiver) = mpsc::unbounded_channel();
        let unit = Unit {
            context,
            key,
            state: state.clone(),
            main: None,
            steps: VecDeque::new(),
            restart_at: None,
            starts: VecDeque::new(),
            waiting: Vec::new(),
        };
        tokio::spawn(unit.run(receiver));
        Self { jobs, state }
    }

    /// Gives the service a job and waits until it is done.
    pub(super) async fn tell(&self, job: Job) -> Outcome {
        let (answer, outcome) = oneshot::channel();
        let _ = self.jobs.send((job, answer));
        outcome.await.unwrap_or_else(|_| Err("the supervisor of this host is ending".to_owned()))
    }
}

struct Unit {
    context: Arc<Context>,
    key: UnitKey,
    state: Shared,
    main: Option<Process>,
    /// The commands of a oneshot service that are still to be run.
    steps: VecDeque<Line>,
    restart_at: Option<Instant>,
    /// When it was started, as far as the start limit wants to know.
    starts: VecDeque<Instant>,
    /// Who waits for a oneshot service to end.
    waiting: Vec<Answer>,
}

enum Wake {
    Job(Job, Answer),
    Ended(Ending),
    RestartDue,
    Over,
}

/// Whether a start has an outcome yet.
enum Begun {
    Done(Outcome),
    /// When the last command of a oneshot service ends.
    Later,
}

impl Unit {
    async fn run(mut self, mut jobs: mpsc::UnboundedReceiver<(Job, Answer)>) {
        loop {
            match self.wake(&mut jobs).await {
                Wake::Job(job, answer) => self.take(job, answer).await,
                Wake::Ended(ending) => self.main_ended(ending).await,
                Wake::RestartDue => self.restart_due().await,
                Wake::Over => return,
            }
        }
    }

    async fn wake(&mut self, jobs: &mut mpsc::UnboundedReceiver<(Job, Answer)>) -> Wake {
        let restart_at = self.restart_at;
        let due = async {
            match restart_at {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        let ended = async {
            match &mut self.main {
                Some(main) => (&mut main.ended).await.unwrap_or(Ending::Exited(255)),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            ending = ended => Wake::Ended(ending),
            job = jobs.recv() => job.map_or(Wake::Over, |(job, answer)| Wake::Job(job, answer)),
            () = due => Wake::RestartDue,
        }
    }

    async fn take(&mut self, job: Job, answer: Answer) {
        let outcome = match job {
            Job::Start => return self.start_job(answer).await,
            Job::Restart => {
                self.stop().await;
                return self.start_job(answer).await;
            }
            Job::Stop => {
                self.stop().await;
                Ok(())
            }
            Job::Reload => self.reload().await,
            Job::Kill(signal) => self.kill(signal),
            Job::ResetFailed => {
                self.reset_failed();
                Ok(())
            }
        };
        let _ = answer.send(outcome);
    }

    async fn start_job(&mut self, answer: Answer) {
        let active = self.state.lock().active;
        let begun = match active {
            Active::Up => Begun::Done(Ok(())),
            Active::Activating if self.main.is_some() => Begun::Later,
            _ => {
                self.restart_at = None;
                self.state.lock().restarts = 0;
                self.begin().await
            }
        };
        match begun {
            Begun::Done(outcome) => drop(answer.send(outcome)),
            Begun::Later => self.waiting.push(answer),
        }
    }

    async fn restart_due(&mut self) {
        self.restart_at = None;
        let restarts = {
            let mut state = self.state.lock();
            state.restarts += 1;
            state.restarts
        };
        self.note(&format!("{}: Scheduled restart job, restart counter is at {restarts}.", self.key.name));
        let _ = self.begin().await;
    }

    fn file(&self) -> Result<Arc<UnitFile>, String> {
        self.state.lock().loaded.file.clone()
    }

    fn note(&self, text: &str) {
        self.context.note(&self.key, text);
    }

    async fn begin(&mut self) -> Begun {
        let name = self.key.name.clone();
        let unit = match self.file() {
            Ok(unit) => unit,
            Err(why) => {
                self.note(&format!("{name}: {why}"));
                return Begun::Done(Err(format!("Failed to start {name}: Unit {name} has a bad unit file setting: {why}\n")));
            }
        };
        if !self.may_start(&unit) {
            self.note(&format!("{name}: Start request repeated too quickly."));
            self.settle("start-limit-hit");
            return Begun::Done(Err(self.attempted_too_often()));
        }
        unit.notes.iter().for_each(|note| self.note(&format!("lab: {note}")));
        self.state.lock().starts += 1;
        self.state.enter(Active::Activating, "start-pre");
        for line in &unit.start_pre {
            if let Some(ending) = self.helper(&unit, line).await.filter(|_| !line.forgiven) {
                self.finish(&unit, ending);
                return Begun::Done(Err(self.failed_job()));
            }
        }
        self.begin_main(&unit).await
    }

    async fn begin_main(&mut self, unit: &Arc<UnitFile>) -> Begun {
        self.steps = unit.start.iter().cloned().collect();
        let Some(first) = self.steps.pop_front() else {
            self.finish(unit, Ending::Exited(0));
            return Begun::Done(Ok(()));
        };
        if let Err(problem) = self.launch_main(unit, &first) {
            self.note(&format!("{}: {}", self.key.name, problem.why));
            self.finish(unit, Ending::Exited(problem.status));
            // To systemd a simple service is started as soon as there is a process for it, whatever becomes of it.
            return Begun::Done(if unit.kind == Kind::Simple { Ok(()) } else { Err(self.failed_job()) });
        }
        if unit.kind == Kind::Oneshot {
            self.state.enter(Active::Activating, "start");
            return Begun::Later;
        }
        for line in &unit.start_post {
            let _ = self.helper(unit, line).await;
        }
        self.state.enter(Active::Up, "running");
        self.note(&format!("Started {} - {}.", self.key.name, unit.description));
        Begun::Done(Ok(()))
    }

    fn launch_main(&mut self, unit: &UnitFile, line: &Line) -> Result<(), Unstartable> {
        let process = self.context.launch(&self.key, unit, line, 0)?;
        let mut state = self.state.lock();
        state.main_pid = process.pid.as_raw_nonzero().get();
        state.result = "success";
        state.last_end = None;
        drop(state);
        self.main = Some(process);
        Ok(())
    }

    async fn main_ended(&mut self, ending: Ending) {
        let Some(main) = self.main.take() else { return };
        self.state.lock().main_pid = 0;
        end_group(main.pid, Signal::TERM, Duration::from_secs(1)).await;
        let Ok(unit) = self.file() else { return };
        if unit.kind == Kind::Oneshot
            && ending == Ending::Exited(0)
            && let Some(next) = self.steps.pop_front()
        {
            match self.launch_main(&unit, &next) {
                Ok(()) => return,
                Err(problem) => return self.finish(&unit, Ending::Exited(problem.status)),
            }
        }
        self.finish(&unit, ending);
    }

    /// Decides what becomes of the service after its main process ended by itself.
    fn finish(&mut self, unit: &UnitFile, ending: Ending) {
        self.state.lock().last_end = Some(ending);
        self.note(&format!("{}: Main process exited, {}", self.key.name, describe(ending)));
        let result = result(ending);
        if wants_restart(unit.restart, ending) && !(unit.kind == Kind::Oneshot && result == "success") {
            self.state.lock().result = result;
            self.state.enter(Active::Activating, "auto-restart");
            self.restart_at = Some(Instant::now() + unit.restart_after);
        } else if result == "success" && unit.remains {
            self.state.enter(Active::Up, "exited");
        } else {
            self.settle(result);
        }
        let outcome = if result == "success" { Ok(()) } else { Err(self.failed_job()) };
        self.waiting.drain(..).for_each(|answer| drop(answer.send(outcome.clone())));
    }

    /// Comes to rest with this result.
    fn settle(&mut self, result: &'static str) {
        self.state.lock().result = result;
        if result == "success" {
            self.state.enter(Active::Inactive, "dead");
        } else {
            self.note(&format!("{}: Failed with result '{result}'.", self.key.name));
            self.state.enter(Active::Failed, "failed");
        }
    }

    async fn stop(&mut self) {
        self.restart_at = None;
        self.steps.clear();
        let active = self.state.lock().active;
        let unit = match self.file() {
            Ok(unit) if !active.rests() => unit,
            _ => return,
        };
        self.state.enter(Active::Deactivating, "stop");
        for line in &unit.stop {
            let _ = self.helper(&unit, line).await;
        }
        let result = self.end_main(&unit).await;
        self.waiting.drain(..).for_each(|answer| drop(answer.send(Err("Job canceled.\n".to_owned()))));
        self.settle(result);
        self.note(&format!("Stopped {} - {}.", self.key.name, unit.description));
    }

    async fn end_main(&mut self, unit: &UnitFile) -> &'static str {
        let Some(main) = self.main.take() else { return "success" };
        let in_time = end_group(main.pid, unit.kill_signal, unit.stop_limit).await;
        let ending = main.ended.await.unwrap_or(Ending::Exited(255));
        let mut state = self.state.lock();
        (state.main_pid, state.last_end) = (0, Some(ending));
        match in_time {
            InTime::Yes => result(ending),
            InTime::No => "timeout",
        }
    }

    async fn reload(&mut self) -> Outcome {
        let name = &self.key.name;
        let unit = self.file().map_err(|why| format!("Failed to reload {name}: {why}\n"))?;
        let active = self.state.lock().active;
        if active != Active::Up {
            return Err(format!("{name} is not active, cannot reload.\n"));
        }
        if unit.reload.is_empty() {
            return Err(format!("Failed to reload {name}: Job type reload is not applicable for unit {name}.\n"));
        }
        for line in &unit.reload {
            if self.helper(&unit, line).await.is_some() && !line.forgiven {
                return Err(self.failed_job());
            }
        }
        Ok(())
    }

    fn kill(&self, signal: Signal) -> Outcome {
        let main =
            self.main.as_ref().ok_or_else(|| format!("Failed to kill unit {}: No main process to kill\n", self.key.name))?;
        kill_process_group(main.pid, signal).map_err(|error| format!("Failed to kill unit {}: {error}\n", self.key.name))
    }

    fn reset_failed(&mut self) {
        self.starts.clear();
        let mut state = self.state.lock();
        state.restarts = 0;
        if state.active == Active::Failed {
            (state.active, state.sub, state.result) = (Active::Inactive, "dead", "success");
        }
    }

    /// Runs a command beside the main one. Says how it failed, if it did.
    async fn helper(&self, unit: &UnitFile, line: &Line) -> Option<Ending> {
        let main_pid = self.main.as_ref().map_or(0, |main| main.pid.as_raw_nonzero().get());
        let process = match self.context.launch(&self.key, unit, line, main_pid) {
            Ok(process) => process,
            Err(problem) => {
                self.note(&format!("{}: {}", self.key.name, problem.why));
                return Some(Ending::Exited(problem.status));
            }
        };
        match tokio::time::timeout(HELPER_LIMIT, process.ended).await {
            Ok(Ok(Ending::Exited(0))) => None,
            Ok(ending) => Some(ending.unwrap_or(Ending::Exited(255))),
            Err(_) => {
                let _ = kill_process_group(process.pid, Signal::KILL);
                Some(Ending::Killed(Signal::KILL.as_raw()))
            }
        }
    }

    fn may_start(&mut self, unit: &UnitFile) -> bool {
        let (limit, now) = (unit.start_limit, Instant::now());
        while self.starts.front().is_some_and(|start| now.duration_since(*start) > limit.interval) {
            self.starts.pop_front();
        }
        let free = limit.burst == 0
            || limit.interval.is_zero()
            || self.starts.len() < usize::try_from(limit.burst).unwrap_or(usize::MAX);
        if free {
            self.starts.push_back(now);
        }
        free
    }

    fn failed_job(&self) -> String {
        let name = &self.key.name;
        format!(
            "Job for {name} failed because the control process exited with error code.\n\
             See \"systemctl status {name}\" and \"journalctl -xeu {name}\" for details.\n"
        )
    }

    fn attempted_too_often(&self) -> String {
        let name = &self.key.name;
        format!(
            "Job for {name} failed because start of the service was attempted too often.\n\
             See \"systemctl status {name}\" and \"journalctl -xeu {name}\" for details.\n\
             To force a start use \"systemctl reset-failed {name}\" followed by \"systemctl start {name}\" again.\n"
        )
    }
}

enum InTime {
    Yes,
    No,
}

/// Ends what is left of a process group: with this signal, and with SIGKILL after the limit.
async fn end_group(group: Pid, signal: Signal, limit: Duration) -> InTime {
    let deadline = Instant::now() + limit;
    let _ = kill_process_group(group, signal);
    let _ = kill_process_group(group, Signal::CONT);
    while test_kill_process_group(group).is_ok() {
        if Instant::now() >= deadline {
            let _ = kill_process_group(group, Signal::KILL);
            return InTime::No;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    InTime::Yes
}

/// What a service manager makes of the end of a service: these signals are an orderly end.
fn result(ending: Ending) -> &'static str {
    match ending {
        Ending::Exited(0) => "success",
        Ending::Exited(_) => "exit-code",
        Ending::Killed(number) if matches!(signals::name(number).as_str(), "HUP" | "INT" | "TERM" | "PIPE") => "success",
        Ending::Killed(_) => "signal",
    }
}

fn wants_restart(policy: Restart, ending: Ending) -> bool {
    let result = result(ending);
    match policy {
        Restart::No => false,
        Restart::Always => true,
        Restart::OnSuccess => result == "success",
        Restart::OnFailure => result != "success",
        Restart::OnAbnormal => result == "signal",
    }
}

fn describe(ending: Ending) -> String {
    match ending {
        Ending::Exited(203) => "code=exited, status=203/EXEC".to_owned(),
        Ending::Exited(200) => "code=exited, status=200/CHDIR".to_owned(),
        Ending::Exited(0) => "code=exited, status=0/SUCCESS".to_owned(),
        Ending::Exited(code) => format!("code=exited, status={code}/FAILURE"),
        Ending::Killed(number) => format!("code=killed, status={number}/{}", signals::name(number)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_orderly_end_is_no_failure() {
        let term = Ending::Killed(Signal::TERM.as_raw());
        assert!(!wants_restart(Restart::OnFailure, term));
        assert!(wants_restart(Restart::Always, term));
        assert!(wants_restart(Restart::OnFailure, Ending::Killed(Signal::KILL.as_raw())));
        assert!(wants_restart(Restart::OnFailure, Ending::Exited(1)));
        assert!(!wants_restart(Restart::OnAbnormal, Ending::Exited(1)));
    }
}
