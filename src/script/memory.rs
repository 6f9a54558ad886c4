//! The memory that a script may take. Rhai's own limits would walk each value at every call; here a thread looks at the whole
//! process now and then, and the script ends at its next operation.

use crate::stop::Stop;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

/// Between two looks: what doubles itself needs longer to become too much.
const PAUSE: Duration = Duration::from_millis(20);
/// The most that the process may grow by, on any machine.
const MOST: u64 = 2 << 30;

/// The words that end a script. Rhai asks before each operation, so that there is one to ask for: the thread passes the others on.
#[derive(Clone)]
pub(super) struct Watch {
    /// Set when the script is to end, for whatever reason.
    pub(super) halt: Stop,
    /// Set when it has taken all the memory that it may.
    pub(super) full: Stop,
    /// What it may take, in bytes.
    pub(super) most: Arc<AtomicU64>,
}

impl Watch {
    pub(super) fn new() -> Self {
        Self { halt: Stop::default(), full: Stop::default(), most: Arc::new(AtomicU64::new(limit())) }
    }

    /// Looks until what it gives is dropped. Where nothing is known of the process's size, only the word to stop is passed on.
    pub(super) fn start(&self, stop: Stop) -> Option<Meter> {
        let (ends, ended) = channel::<()>();
        let (watch, before) = (self.clone(), resident().unwrap_or(u64::MAX));
        let look = move || {
            while matches!(ended.recv_timeout(PAUSE), Err(RecvTimeoutError::Timeout)) {
                let most = before.saturating_add(watch.most.load(Ordering::Relaxed));
                if resident().is_some_and(|now| now > most) {
                    watch.full.stop();
                    return watch.halt.stop();
                }
                if stop.is_stopped() {
                    return watch.halt.stop();
                }
            }
        };
        let started = thread::Builder::new().name("memory".to_owned()).stack_size(64 << 10).spawn(look);
        started.ok().map(|_| Meter { _ends: ends })
    }
}

/// Ends the looking when it goes.
pub(super) struct Meter {
    _ends: Sender<()>,
}

/// What a script may take: half of the machine's memory, and no more than [`MOST`].
fn limit() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    kib(&text, "MemTotal:").map_or(MOST, |kib| (kib << 9).min(MOST))
}

/// The bytes of this process that are in memory.
fn resident() -> Option<u64> {
    kib(&fs::read_to_string("/proc/self/status").ok()?, "VmRSS:").map(|kib| kib << 10)
}

/// The number of a line `NAME NUMBER kB`.
fn kib(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.trim().strip_suffix(" kB")?.parse().ok())
}

#[cfg(test)]
mod tests {
    use crate::op::Registry;
    use crate::script::{Facts, Load, Program, StoredSources};
    use crate::stop::Stop;
    use std::sync::Arc;

    fn program(script: &str) -> Program {
        let facts = Facts {
            environment: None,
            params: serde_json::Map::new(),
            limit: None,
            artifacts: Vec::new(),
            known_good: Vec::new(),
            run: String::new(),
            mode: "check",
        };
        let sources = Arc::new(StoredSources::new([("deploy.rhai".to_owned(), script.to_owned())]));
        let registry = Arc::new(Registry::empty());
        let script = "deploy.rhai".to_owned();
        Program::load(Load { sources, script, registry, facts, stop: Stop::default() }).unwrap()
    }

    #[test]
    fn what_grows_without_end_is_ended_with_its_line() {
        for body in [
            "s += s;",
            "s = `${s}${s}`;",
            "try { a.push(s + \"\"); s += \"xxxxxxxx\"; } catch { }",
            "m[`${a.len()}`] = s + s; a.push(s);",
        ] {
            let script =
                format!("let s = \"0123456789\"; s.pad(65536, 'x');\nlet a = [];\nlet m = #{{}};\nloop {{\n    {body}\n}}");
            let program = program(&script);
            program.may_take(48 << 20);
            let failure = program.value().unwrap_err();
            let text = failure.error.message;
            assert!(text.contains("takes more than 48 MiB of memory"), "{body}: {text}");
            let line = failure.diagnostic.site.map(|site| site.line);
            assert!(line.is_some_and(|line| (4..=5).contains(&line)), "{body}: {line:?}");
        }
        assert!(program("let s = \"x\"; s.pad(1000000, 'y'); s.len()").value().is_ok());
    }
}
