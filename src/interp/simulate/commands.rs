//! Commands: nothing here runs them. They are answered by a hook, by the description of the world, by what the script says that
//! they do, by what a few programs are known to print, or else as if they had succeeded and printed nothing.

use super::at::{Answer, At, above, die, done};
use super::blob::Blob;
use super::files::{Directory, Node};
use super::host::{Answered, CommandKept, Opaque, Was};
use super::shell::Shell;
use crate::effect::{CommandResult, Content, Contract, EffectError, Invocation, Reply, Words};
use crate::id::{RemotePath, SaveId};
use crate::interp::marks::Certainty;

/// Answers commands: for tests, and for embedders whose scripts run programs that they can tell the work of.
pub trait Programs: Send + Sync {
    /// What a command answers, and what it writes into the host; nothing when this knows nothing of it.
    ///
    /// # Errors
    /// When it did not end as commands do: in time, for one.
    fn run(&self, command: &Invocation, host: &mut Shell<'_>) -> Option<Result<CommandResult, EffectError>>;
}

/// Everything that is asked of a host about one command.
pub(super) struct Exec<'a> {
    pub(super) command: &'a Invocation,
    pub(super) receipt: &'a SaveId,
    pub(super) after: Option<&'a SaveId>,
    pub(super) keeps: &'a [(SaveId, RemotePath)],
    pub(super) contract: &'a Contract,
}

impl At<'_> {
    /// `wl_exec_keeping`.
    pub(super) fn exec(&mut self, exec: &Exec<'_>) -> Answer {
        for (save, path) in exec.keeps {
            let path = self.path(path);
            self.keep_copy(save, &path)?;
        }
        if exec.after.is_some_and(|after| !self.kept().receipts.contains_key(after.as_str())) {
            return Ok(Reply::Command(ended(0, "", "")));
        }
        let receipt = exec.receipt.as_str().to_owned();
        if let Some(kept) = self.kept().receipts.get(&receipt) {
            return kept.ended().map(Reply::Command);
        }
        if exec.after.is_some() {
            // What it puts back may be a file of a service that was restarted before.
            self.kept().firsts.values_mut().for_each(|first| first.back = None);
        }
        self.in_directory(exec.command)?;
        self.watched("ran", exec.receipt)?;
        let ended = self.ask(exec.command, Some(exec));
        if let Some(kept) = CommandKept::of(&ended) {
            self.kept().receipts.insert(receipt, kept);
        }
        ended.map(Reply::Command)
    }

    /// `wl_probe`.
    pub(super) fn probe(&mut self, command: &Invocation) -> Answer {
        self.in_directory(command)?;
        self.ask(command, None).map(Reply::Command)
    }

    fn in_directory(&mut self, command: &Invocation) -> Result<(), EffectError> {
        let Some(directory) = &command.directory else { return Ok(()) };
        let directory = self.path(directory);
        match self.view().directory(&directory)? {
            Some(_) => Ok(()),
            None => die(format!("cd: can't cd to {directory}")),
        }
    }

    /// `wl_keep_copy`.
    fn keep_copy(&mut self, save: &SaveId, path: &str) -> Result<(), EffectError> {
        self.watched("saved", save)?;
        if self.save(save).is_some() {
            return Ok(());
        }
        let Some(entry) = self.view().entry(path)? else {
            let mut first = path.to_owned();
            while above(&first) != "/" && self.view().entry(above(&first))?.is_none() {
                first = above(&first).to_owned();
            }
            return self.keep(save, &first).map(drop);
        };
        if matches!(self.host.files.inode(entry).node, Node::Other) {
            return die(format!("{path} is neither a file, a directory nor a link"));
        }
        let mine = |at: &Self, ino: super::files::Ino| at.who.uid == 0 || at.host.files.inode(ino).uid == at.who.uid;
        if !mine(self, entry) {
            return die(self.not_as_it_was(path, entry));
        }
        if self.host.files.is_directory(entry) && !self.view().tree(entry)?.iter().all(|(_, ino)| mine(self, *ino)) {
            return die(self.not_as_it_was(path, entry));
        }
        let copy = self.view().copied(entry)?;
        self.note(save, path, Was::Copy(copy))?;
        Ok(())
    }

    /// What a command answers. With `exec`, it may have changed something.
    pub(super) fn ask(&mut self, command: &Invocation, exec: Option<&Exec<'_>>) -> Result<CommandResult, EffectError> {
        let shown = shown(&command.words);
        let told = match self.programs {
            Some(programs) => programs.run(command, &mut Shell::new(self)),
            None => None,
        };
        if let Some(ended) = told {
            self.opaque(&shown, Answered::Told);
            return ended;
        }
        if let Some(result) = self.described(&shown)? {
            self.opaque(&shown, Answered::Told);
            return Ok(result);
        }
        if let Some(result) = self.known_program(command)? {
            return Ok(result);
        }
        let Some(exec) = exec else {
            self.opaque(&shown, Answered::Assumed);
            return Ok(CommandResult { unknown: true, ..ended(0, "", "") });
        };
        let answer = exec.contract.answer.as_ref();
        let assumed = || CommandResult { unknown: true, ..ended(0, "", "") };
        let result = answer.map_or_else(assumed, |answer| ended(answer.code, &answer.stdout, &answer.stderr));
        if result.code == 0 {
            self.make_what_it_makes(exec, &shown)?;
        }
        self.opaque(&shown, if answer.is_some() { Answered::Contract } else { Answered::Assumed });
        Ok(result)
    }

    fn opaque(&mut self, command: &str, answered: Answered) {
        if answered == Answered::Assumed {
            self.mark(Certainty::Assumed, format!("`{command}` was not run"));
        }
        self.host.opaque.push(Opaque { command: command.to_owned(), answered });
    }

    /// What the description of the world says of a command.
    fn described(&mut self, shown: &str) -> Result<Option<CommandResult>, EffectError> {
        let wanted = self.host.wanted.commands.iter().find(|wanted| shown.starts_with(&wanted.begins)).cloned();
        let Some(wanted) = wanted else { return Ok(None) };
        for (path, text) in &wanted.writes {
            Shell::new(self).write(path, text.as_bytes())?;
        }
        Ok(Some(ended(wanted.code, &wanted.stdout, &wanted.stderr)))
    }

    /// The paths that a command is said to write or to make are there now; what is in them, nobody knows.
    fn make_what_it_makes(&mut self, exec: &Exec<'_>, shown: &str) -> Result<(), EffectError> {
        let writes = exec.keeps.iter().map(|(_, path)| path);
        let paths: Vec<String> = writes.chain(&exec.contract.creates).map(|path| self.path(path)).collect();
        for path in paths {
            let there = self.view().entry(&path)?;
            if there.is_some_and(|there| self.host.files.is_directory(there)) {
                continue;
            }
            self.make_directories(above(&path))?;
            let parent = self.parent(&path)?;
            let unknown = self.make(parent, Node::File(Blob::Unknown { by: shown.to_owned() }), 0o644);
            if let Some(there) = there {
                let inode = self.host.files.inode(there).clone();
                let made = self.host.files.inode_mut(unknown);
                (made.mode, made.uid, made.gid) = (inode.mode, inode.uid, inode.gid);
            }
            self.put(&path, unknown)?;
        }
        Ok(())
    }

    /// Programs whose answer follows from the files alone.
    fn known_program(&mut self, command: &Invocation) -> Result<Option<CommandResult>, EffectError> {
        let words: Vec<&str> = match &command.words {
            Words::List(words) => words.iter().map(String::as_str).collect(),
            Words::Shell(text) if text.chars().all(|c| c.is_ascii_alphanumeric() || " -_./".contains(c)) => {
                text.split_whitespace().collect()
            }
            Words::Shell(_) => return Ok(None),
        };
        let at = command.directory.as_ref().map_or_else(|| self.who.home.clone(), |directory| self.path(directory));
        let full = |path: &str| if path.starts_with('/') { path.to_owned() } else { format!("{at}/{path}") };
        let status = |holds: bool| Some(ended(i32::from(!holds), "", ""));
        Ok(match words[..] {
            ["true" | ":"] => status(true),
            ["false"] => status(false),
            ["test", what @ ("-e" | "-f" | "-d" | "-L" | "-s" | "-w" | "-r" | "-x"), path] => {
                let path = full(path);
                status(self.test(what, &path)?)
            }
            ["cat", "/proc/net/tcp", "/proc/net/tcp6"] => Some(ended(0, &self.listening(), "")),
            ["df", "-Pk", _] => Some(ended(
                0,
                "Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/sda1 104857600 1048576 103809024 1% /\n",
                "",
            )),
            _ => None,
        })
    }

    fn test(&mut self, what: &str, path: &str) -> Result<bool, EffectError> {
        Ok(match what {
            "-f" => self.view().file(path)?.is_some(),
            "-d" => self.view().directory(path)?.is_some(),
            "-L" => self.view().link(path)?.is_some(),
            "-s" => match self.view().file(path)? {
                Some(file) => !self.view().content(file)?.bytes().is_empty(),
                None => false,
            },
            "-w" => match self.view().find(path)? {
                Some(ino) => self.may_make(ino, String::new).is_ok(),
                None => false,
            },
            "-x" => self.view().find(path)?.is_some_and(|ino| self.host.files.inode(ino).mode & 0o111 != 0),
            _ => self.view().find(path)?.is_some(),
        })
    }

    /// The kernel's table of sockets that wait for connections.
    fn listening(&self) -> String {
        let running = self.host.services.known.values().filter(|service| service.active == "active");
        let ports: std::collections::BTreeSet<u16> = running.flat_map(|service| service.ports.iter().copied()).collect();
        let head = "  sl  local_address rem_address   st tx_queue rx_queue\n".to_owned();
        ports.iter().fold(head, |table, port| format!("{table}   0: 00000000:{port:04X} 00000000:0000 0A 00000000:00000000\n"))
    }

    /// `wl_end`: nothing runs here for longer than its call.
    pub(super) fn end(&mut self) -> Answer {
        done(false)
    }
}

/// A command of these words, and nothing else.
pub(super) fn plain(words: Vec<String>) -> Invocation {
    let environment = std::collections::BTreeMap::new();
    Invocation { words: Words::List(words), directory: None, environment, stdin: None, timeout_seconds: None }
}

pub(super) fn ended(code: i32, stdout: &str, stderr: &str) -> CommandResult {
    CommandResult { code, stdout: Content::new(stdout), stderr: Content::new(stderr), truncated: false, unknown: false }
}

/// A command on one line.
pub(super) fn shown(words: &Words) -> String {
    match words {
        Words::Shell(text) => text.split_whitespace().collect::<Vec<_>>().join(" "),
        Words::List(list) => list.join(" "),
    }
}

/// A directory that nothing is in.
pub(super) fn empty_directory() -> Node {
    Node::Directory(Directory::default())
}
