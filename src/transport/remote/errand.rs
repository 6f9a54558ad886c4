//! What a shell is sent around its functions: whose it is, and the lines that call them. Every word is quoted.

use super::library::{Known, library};
use super::quote;
use crate::effect::Fence;
use crate::id::{RunId, RunTag};
use crate::transport::Call;

/// The program that a connection starts.
pub(in crate::transport) const SHELL: &str = "exec /bin/sh";

/// What the shells of one connection do there, and whose they are.
#[derive(Debug, Clone)]
pub(in crate::transport) struct Errand {
    run: RunId,
    whose: String,
    fence: Option<Fence>,
}

impl Errand {
    /// For this run; by a connection of this host's, in a pool that has this name.
    pub(in crate::transport) fn new(run: &RunId, pool: &str, host: &str) -> Self {
        let whose = format!("{pool}/{}/{:016x}", host.replace('/', "_"), rand::random::<u64>());
        Self { fence: None, run: run.clone(), whose }
    }

    /// Under this lock.
    pub(in crate::transport) fn under(self, fence: Option<Fence>) -> Self {
        Self { fence, ..self }
    }

    /// What a new shell is sent, up to its greeting; `key` is the mark that ends its answers.
    pub(in crate::transport) fn start(&self, key: &str, known: &mut Known) -> String {
        format!("{}{}wl 0 true\nwl_v=$wl_o\n", self.head(key), library().first(known))
    }

    /// The same for one that does not begin in its user's home.
    pub(in crate::transport) fn start_at_home(&self, key: &str, known: &mut Known) -> String {
        format!("cd\n{}", self.start(key, known))
    }

    fn head(&self, key: &str) -> String {
        let tag = RunTag::new(&self.run, self.fence.as_ref().map(|fence| &fence.lock));
        let epoch = self.fence.as_ref().map(|fence| fence.epoch.to_string()).unwrap_or_default();
        let lock = self.fence.as_ref().map_or("", |fence| fence.lock.as_str());
        let by = self.fence.as_ref().map(|fence| format!("{} {}", fence.since, fence.by)).unwrap_or_default();
        let beside: Vec<&str> = self.fence.iter().flat_map(|fence| fence.beside.iter().map(RunId::as_str)).collect();
        let words = [
            ("wl_k", key),
            ("wl_v", ""),
            ("wl_c", &self.whose),
            ("wl_run", self.run.as_str()),
            ("wl_u", tag.as_str()),
            ("wl_lock", lock),
            ("wl_e", &epoch),
            ("wl_by", &by),
            ("wl_beside", &beside.join(" ")),
        ];
        words.map(|(name, value)| format!("{name}={}\n", quote(value))).concat()
    }
}

/// The line that makes a call, as the `n`th of its shell.
#[must_use]
pub fn line(call: &Call, n: u64) -> Vec<u8> {
    let args: Vec<String> = call.args.iter().map(|arg| quote(arg)).collect();
    let fence = if call.fenced { "wl_fenced " } else { "" };
    format!("wl {n} {fence}{} {}\n", call.function, args.join(" ")).into_bytes()
}
