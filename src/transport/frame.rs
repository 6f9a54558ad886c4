//! Reads one call's answer out of a shell's two streams. The mark that ends it is a secret of the session, so that no
//! output can be taken for it, and bytes are passed on as they are.

use super::shell::{CallReply, Failure};
use crate::id::Digest;

pub(super) const NO_SHELL: &str =
    "does the account force a command, or log in to a program that is no shell? `ssh HOST /bin/sh -c true` must work";

/// Bytes that a shell may say on each stream before it has shown that it is one: whoever logs in is greeted with less.
pub(super) const BEFORE: usize = 64 << 10;

/// What the streams say so far.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// The answer goes on.
    More,
    /// The function wants its payload now; the rest of it, when it has the beginning already.
    Wants(Option<Beginning>),
    /// The shell wants the functions that this one left for later.
    WantsMore,
    /// It ended on both streams.
    Ended(CallReply),
}

/// So many bytes of a payload that have arrived by an earlier connection, and their sha256.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Beginning {
    pub(super) size: u64,
    pub(super) digest: Digest,
}

impl Beginning {
    fn parse(text: &str) -> Option<Self> {
        let (size, digest) = text.trim().split_once(' ')?;
        Some(Self { size: size.parse().ok()?, digest: Digest::parse(digest).ok()? })
    }
}

/// The answer to the `n`th call, as it arrives.
pub(super) struct Frame {
    greeting: Option<[Vec<u8>; 2]>,
    mark: Vec<u8>,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    searched: usize,
    code: Option<i32>,
    silent: bool,
    limit: u64,
    /// Whether it said more than is taken.
    over: bool,
}

impl Frame {
    pub(super) fn new(key: &str, n: u64, limit: u64) -> Self {
        let mark = format!("\n{key} {n}").into_bytes();
        Self {
            greeting: None,
            mark,
            stdout: Vec::new(),
            stderr: Vec::new(),
            searched: 0,
            code: None,
            silent: false,
            limit,
            over: false,
        }
    }

    /// The first answer of a shell: what a login printed before the greeting is dropped.
    pub(super) fn first(key: &str, n: u64, limit: u64) -> Self {
        let greeting = [format!("\n{key} 0 0\n").into_bytes(), format!("\n{key} 0\n").into_bytes()];
        Self { greeting: Some(greeting), ..Self::new(key, n, limit) }
    }

    pub(super) fn push_stdout(&mut self, bytes: &[u8]) {
        let most = self.most();
        self.over |= !push(&mut self.stdout, bytes, most);
    }

    pub(super) fn push_stderr(&mut self, bytes: &[u8]) {
        let most = self.most();
        self.over |= !push(&mut self.stderr, bytes, most);
    }

    /// What is taken of each stream. More is never kept, however much of it comes.
    fn most(&self) -> usize {
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        if self.awaits_greeting() { BEFORE } else { limit.saturating_add(BEFORE) }
    }

    /// What the host said on standard error so far, for when it says no more.
    pub(super) fn stderr_text(&self) -> String {
        String::from_utf8_lossy(&self.stderr).trim().to_owned()
    }

    /// What the host said at all, of a shell that never greeted.
    pub(super) fn all_text(&self) -> String {
        let said: Vec<u8> = self.stdout.iter().chain(b"\n").chain(&self.stderr).copied().take(2000).collect();
        String::from_utf8_lossy(&said).trim().to_owned()
    }

    /// What the end of a shell means: of one that never greeted, nothing was called; of another one it is not known what it still
    /// did.
    pub(super) fn ended(&self) -> Failure {
        let said = if self.awaits_greeting() { self.all_text() } else { self.stderr_text() };
        let reason = if said.is_empty() { "its shell ended".to_owned() } else { format!("its shell ended: {said}") };
        match self.awaits_greeting() {
            true => Failure::Denied { reason, help: Some(NO_SHELL.to_owned()) },
            false => Failure::Lost(reason),
        }
    }

    /// Looks for the marks.
    pub(super) fn progress(&mut self) -> Result<Progress, Failure> {
        if !self.greeted() {
            return if self.over { Err(talks_too_much()) } else { Ok(Progress::More) };
        }
        if self.over || self.stdout.len() as u64 > self.limit || self.stderr.len() as u64 > self.limit {
            return Err(Failure::Refused(format!("the answer is longer than {} bytes", self.limit)));
        }
        if self.code.is_none()
            && let Some((at, word)) = self.find_word()?
        {
            if word == "more" {
                self.stdout.truncate(at);
                self.searched = at;
                return Ok(Progress::WantsMore);
            }
            if let Some(beginning) = word.strip_prefix("need") {
                self.stdout.truncate(at);
                self.searched = at;
                return Ok(Progress::Wants(Beginning::parse(beginning)));
            }
            let code = word.parse().map_err(|_| Failure::Refused(format!("an exit status that is none: {word:?}")))?;
            self.stdout.truncate(at);
            self.code = Some(code);
        }
        if !self.silent {
            let mut end = self.mark.clone();
            end.push(b'\n');
            if let Some(at) = find(&self.stderr, &end, 0) {
                self.stderr.truncate(at);
                self.silent = true;
            }
        }
        match self.code {
            Some(code) if self.silent => {
                let beside = self.beside();
                let (stdout, stderr) = (std::mem::take(&mut self.stdout), std::mem::take(&mut self.stderr));
                Ok(Progress::Ended(CallReply { code, stdout, stderr, beside }))
            }
            _ => Ok(Progress::More),
        }
    }

    /// Takes out of standard error what the host tells of other runs.
    fn beside(&mut self) -> Vec<String> {
        let key = self.mark.split(|byte| *byte == b' ').next().unwrap_or_default();
        let (begin, mut told) = ([key, b" beside "].concat(), Vec::new());
        while let Some(at) = find(&self.stderr, &begin, 0) {
            let line = at + begin.len();
            let Some(end) = find(&self.stderr, b"\n", line) else { break };
            told.push(String::from_utf8_lossy(&self.stderr[line..end]).into_owned());
            self.stderr.drain(at..=end);
        }
        told
    }

    /// Whether the shell has yet to answer the greeting.
    pub(super) fn awaits_greeting(&self) -> bool {
        self.greeting.is_some()
    }

    /// Whether the shell has answered the greeting on both streams; what came before it is dropped then.
    fn greeted(&mut self) -> bool {
        let Some([out, err]) = &self.greeting else { return true };
        let (Some(stdout), Some(stderr)) = (find(&self.stdout, out, 0), find(&self.stderr, err, 0)) else { return false };
        self.stdout.drain(..stdout + out.len());
        self.stderr.drain(..stderr + err.len());
        self.greeting = None;
        true
    }

    /// The word behind the mark on standard output, once its line is whole.
    fn find_word(&mut self) -> Result<Option<(usize, String)>, Failure> {
        let Some(at) = find(&self.stdout, &self.mark, self.searched) else {
            self.searched = self.stdout.len().saturating_sub(self.mark.len());
            return Ok(None);
        };
        let rest = &self.stdout[at + self.mark.len()..];
        let Some(end) = rest.iter().position(|byte| *byte == b'\n') else { return Ok(None) };
        match std::str::from_utf8(&rest[..end]) {
            Ok(word) => Ok(Some((at, word.trim().to_owned()))),
            Err(_) => Err(Failure::Refused("a mark that is no text".to_owned())),
        }
    }
}

/// Takes bytes as far as there is room; gives whether all of them were taken.
pub(super) fn push(to: &mut Vec<u8>, bytes: &[u8], most: usize) -> bool {
    let room = most.saturating_sub(to.len()).min(bytes.len());
    to.extend_from_slice(&bytes[..room]);
    room == bytes.len()
}

/// Of what says so much before it is a shell, nothing was called.
pub(super) fn talks_too_much() -> Failure {
    let reason = format!("it says more than {} KiB before its shell answers", BEFORE >> 10);
    Failure::Denied { reason, help: Some(NO_SHELL.to_owned()) }
}

fn find(bytes: &[u8], what: &[u8], from: usize) -> Option<usize> {
    bytes.get(from..)?.windows(what.len()).position(|window| window == what).map(|at| at + from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_in_single_bytes_is_read() {
        let mut frame = Frame::new("k", 7, 1000);
        let mut last = Progress::More;
        for byte in b"out\0put\n\nk 7 3\n" {
            frame.push_stdout(&[*byte]);
            last = frame.progress().unwrap();
        }
        assert_eq!(last, Progress::More);
        frame.push_stderr(b"warning\n\nk 7\n");
        let reply = CallReply { code: 3, stdout: b"out\0put\n".to_vec(), stderr: b"warning\n".to_vec(), beside: Vec::new() };
        assert_eq!(frame.progress().unwrap(), Progress::Ended(reply));
    }

    #[test]
    fn a_function_that_wants_bytes_says_so_once() {
        let mut frame = Frame::new("k", 1, 1000);
        frame.push_stdout(b"\nk 1 need\n");
        assert_eq!(frame.progress().unwrap(), Progress::Wants(None));
        assert_eq!(frame.progress().unwrap(), Progress::More);
        frame.push_stdout(b"changed\n\nk 1 0\n");
        frame.push_stderr(b"\nk 1\n");
        let reply = CallReply { code: 0, stdout: b"changed\n".to_vec(), stderr: Vec::new(), beside: Vec::new() };
        assert_eq!(frame.progress().unwrap(), Progress::Ended(reply));
    }

    #[test]
    fn a_function_tells_what_has_arrived() {
        let (mut frame, digest) = (Frame::new("k", 1, 1000), Digest::of(b"half"));
        frame.push_stdout(format!("\nk 1 need 4 {digest}\n").as_bytes());
        assert_eq!(frame.progress().unwrap(), Progress::Wants(Some(Beginning { size: 4, digest })));
    }

    #[test]
    fn a_shell_that_wants_more_functions_says_so_once() {
        let mut frame = Frame::new("k", 1, 1000);
        frame.push_stdout(b"\nk 1 more\n");
        assert_eq!(frame.progress().unwrap(), Progress::WantsMore);
        assert_eq!(frame.progress().unwrap(), Progress::More);
    }

    #[test]
    fn what_a_login_prints_is_dropped() {
        let mut frame = Frame::first("k", 1, 1000);
        frame.push_stdout(b"Welcome!\n\nk 0 0\nsame\n\nk 1 0\n");
        assert_eq!(frame.progress().unwrap(), Progress::More);
        frame.push_stderr(b"motd\n\nk 0\n\nk 1\n");
        let reply = CallReply { code: 0, stdout: b"same\n".to_vec(), stderr: Vec::new(), beside: Vec::new() };
        assert_eq!(frame.progress().unwrap(), Progress::Ended(reply));
    }

    #[test]
    fn another_call_s_mark_is_output() {
        let mut frame = Frame::new("k", 12, 1000);
        frame.push_stdout(b"\nk 1 0\n");
        assert_eq!(frame.progress().unwrap(), Progress::More);
    }

    #[test]
    fn too_long_an_answer_is_refused() {
        let mut frame = Frame::new("k", 1, 10);
        frame.push_stdout(&[b'x'; 11]);
        assert!(frame.progress().is_err());
    }

    #[test]
    fn what_is_said_before_the_greeting_is_not_kept_without_end() {
        for push in [Frame::push_stdout, Frame::push_stderr] {
            let mut frame = Frame::first("k", 1, 100 << 20);
            let mut refused = false;
            for _ in 0..100 {
                push(&mut frame, &[b'x'; 64 << 10]);
                refused |= matches!(frame.progress(), Err(Failure::Denied { .. }));
            }
            assert!(refused && frame.stdout.len() <= BEFORE && frame.stderr.len() <= BEFORE);
        }
        // Also when nobody looks meanwhile.
        let mut frame = Frame::new("k", 1, 10);
        (0..100).for_each(|_| frame.push_stdout(&[b'x'; 64 << 10]));
        assert!(frame.stdout.len() <= 10 + BEFORE && matches!(frame.progress(), Err(Failure::Refused(_))));
    }
}
