//! What is to be seen of a call that takes long: what its command prints, how far its upload got.

use crate::effect::{Effect, Reply};
use crate::event::{Event, Watcher};
use crate::id::{HostName, SaveId};
use crate::transport::{Call, Payload, Shell, remote};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A command that is quicker than this is shown by its end alone.
const PATIENCE: Duration = Duration::from_secs(1);
/// Then it is asked this often what it printed since.
const EVERY: Duration = Duration::from_millis(500);

/// Tells a watcher what goes on inside calls.
pub(super) struct Follow {
    watcher: Arc<dyn Watcher>,
    /// Bytes of a command's outputs that were shown, also by an earlier connection.
    shown: Mutex<BTreeMap<(HostName, SaveId), [u64; 2]>>,
}

/// One call that is followed.
pub(super) struct Followed<'a> {
    follow: &'a Follow,
    host: &'a HostName,
    shell: &'a dyn Shell,
    effect: &'a Effect,
    call: &'a Call,
    next: Instant,
    sent: u64,
}

impl Follow {
    pub(super) fn new(watcher: Arc<dyn Watcher>) -> Self {
        Self { watcher, shown: Mutex::default() }
    }

    pub(super) fn call<'a>(
        &'a self,
        host: &'a HostName,
        shell: &'a dyn Shell,
        effect: &'a Effect,
        call: &'a Call,
    ) -> Followed<'a> {
        Followed { follow: self, host, shell, effect, call, next: Instant::now() + PATIENCE, sent: 0 }
    }

    /// What a host tells of other runs is shown.
    pub(super) fn beside(&self, host: &HostName, told: &[String]) {
        for line in told {
            let mut words = line.splitn(3, ' ');
            let mut word = || words.next().unwrap_or_default().to_owned();
            let (run, since, by) = (word(), word().parse().unwrap_or_default(), word());
            self.watcher.see(&Event::Beside { host: host.clone(), run, by, since });
        }
    }

    /// The command has ended: what nobody has seen of a long one is shown, a quick one needs no more.
    pub(super) fn ended(&self, host: &HostName, effect: &Effect, reply: &Reply) {
        let (Effect::Exec { receipt, .. }, Reply::Command(result)) = (effect, reply) else { return };
        let shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner).remove(&(host.clone(), receipt.clone()));
        let Some(shown) = shown else { return };
        for (stream, content) in [&result.stdout, &result.stderr].into_iter().enumerate() {
            let from = usize::try_from(shown[stream]).unwrap_or(usize::MAX);
            self.show(host, receipt, stream, content.bytes().get(from..).unwrap_or_default());
        }
    }

    fn show(&self, host: &HostName, receipt: &SaveId, stream: usize, bytes: &[u8]) {
        if !bytes.is_empty() {
            let (host, receipt, text) = (host.clone(), receipt.clone(), String::from_utf8_lossy(bytes).into_owned());
            self.watcher.see(&Event::Printed { host, receipt, is_error: stream == 1, text, at: super::controller::now() });
        }
    }
}

impl Followed<'_> {
    /// Looks at how far it is, now and then.
    pub(super) fn tick(&mut self) {
        match (self.effect, &self.call.payload) {
            (Effect::Upload { save, size, .. }, Some(Payload::File { sent, .. })) => {
                self.uploaded(save, sent.load(Ordering::Relaxed), *size);
            }
            (Effect::UploadTree { save, .. }, Some(Payload::File { sent, size, .. })) => {
                self.uploaded(save, sent.load(Ordering::Relaxed), *size);
            }
            (Effect::Exec { receipt, .. }, _) if Instant::now() >= self.next => {
                self.peek(receipt);
                self.next = Instant::now() + EVERY;
            }
            _ => {}
        }
    }

    fn uploaded(&mut self, save: &SaveId, now: u64, size: u64) {
        if now != self.sent {
            self.sent = now;
            self.follow.watcher.see(&Event::Sent { host: self.host.clone(), save: save.clone(), sent: now, size });
        }
    }

    fn peek(&self, receipt: &SaveId) {
        let name = (self.host.clone(), receipt.clone());
        let mut shown = self.follow.shown.lock().unwrap_or_else(PoisonError::into_inner).get(&name).copied().unwrap_or_default();
        let call = remote::peek(receipt, shown[0], shown[1]).as_user(self.call.user.clone());
        // Where another shell cannot be had, or the connection is gone, the call itself tells in the end.
        let Ok(said) = self.shell.call(&call, &mut || {}) else { return };
        for (stream, bytes) in [&said.stdout, &said.stderr].into_iter().enumerate() {
            self.follow.show(self.host, receipt, stream, bytes);
            shown[stream] += bytes.len() as u64;
        }
        self.follow.shown.lock().unwrap_or_else(PoisonError::into_inner).insert(name, shown);
    }
}
