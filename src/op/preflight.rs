//! `preflight(hosts, #{..})` and `h.preflight(#{..})`: whether a host has what a deploy will need.

use super::size::Size;
use super::{Operation, StepContext, Subject, context::unexpected};
use crate::effect::{CommandResult, Effect, FileKind, Invocation, Reply, Via, Words};
use crate::id::RemotePath;
use crate::step::{ErrorKind, StepError};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Looks for what a host lacks. The host's own method gives that as a list, and fails only when it cannot look.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preflight {
    /// Room on the disk of `/`, or for each of several paths on the disk that it is or will be on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    disk_free: Option<Room>,
    /// Ports on which nothing listens.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    ports_free: Vec<u16>,
    /// Programs that are in PATH.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    commands: Vec<String>,
    /// Directories in which files can be made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    writable: Vec<RemotePath>,
    /// Whether its sshd lets connections through.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    forwarding: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged, expecting = "a size such as \"500MB\", or a map of paths and sizes as in #{ \"/srv\": \"2GB\" }")]
enum Room {
    One(Size),
    Each(BTreeMap<String, Size>),
}

/// One thing that a host lacks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// The option that asked for it.
    pub check: String,
    /// What was found instead.
    pub found: String,
}

impl Missing {
    fn new(check: &str, found: impl Into<String>) -> Self {
        Self { check: check.to_owned(), found: found.into() }
    }
}

/// Prints those of its arguments that are no command.
const UNKNOWN: &str = "for c; do command -v \"$c\" >/dev/null || echo \"$c\"; done";

impl Operation for Preflight {
    const NAME: &'static str = "preflight";
    const SUBJECT: Subject = Subject::Host;
    const POSITIONAL: &'static [&'static str] = &[];
    const OPTIONS: &'static [&'static str] = &["disk_free", "ports_free", "commands", "writable", "forwarding"];
    const PAGE: &'static str = include_str!("../../stdlib/doc/preflight.md");
    type Output = Vec<Missing>;

    fn run(&self, cx: &mut StepContext<'_>) -> Result<Vec<Missing>, StepError> {
        // Even a host of which nothing else is asked has to answer.
        probe(cx, &["true"], None)?;
        let mut missing = Vec::new();
        self.disks(cx, &mut missing)?;
        self.ports(cx, &mut missing)?;
        self.programs(cx, &mut missing)?;
        self.directories(cx, &mut missing)?;
        self.forwards(cx, &mut missing)?;
        Ok(missing)
    }

    fn summary(&self) -> String {
        let asked = [
            (self.disk_free.is_some(), "disk_free"),
            (!self.ports_free.is_empty(), "ports_free"),
            (!self.commands.is_empty(), "commands"),
            (!self.writable.is_empty(), "writable"),
            (self.forwarding, "forwarding"),
        ];
        asked.iter().filter(|(asked, _)| *asked).map(|(_, name)| *name).collect::<Vec<_>>().join(", ")
    }
}

impl Preflight {
    fn disks(&self, cx: &mut StepContext<'_>, missing: &mut Vec<Missing>) -> Result<(), StepError> {
        let wanted: Vec<(String, Size)> = match &self.disk_free {
            None => Vec::new(),
            Some(Room::One(size)) => vec![("/".to_owned(), *size)],
            Some(Room::Each(sizes)) => sizes.iter().map(|(path, size)| (path.clone(), *size)).collect(),
        };
        for (path, needed) in wanted {
            let path = RemotePath::parse(&path).map_err(|error| StepError::bad_input(error.to_string()))?;
            match free(cx, &path)? {
                Some(free) if free >= needed => {}
                Some(free) => missing.push(Missing::new("disk_free", format!("{path}: {free} free, {needed} needed"))),
                None => missing.push(Missing::new("disk_free", format!("{path}: df does not tell how much is free"))),
            }
        }
        Ok(())
    }

    fn ports(&self, cx: &mut StepContext<'_>, missing: &mut Vec<Missing>) -> Result<(), StepError> {
        if self.ports_free.is_empty() {
            return Ok(());
        }
        let tables = probe(cx, &["cat", "/proc/net/tcp", "/proc/net/tcp6"], None)?;
        let tables = String::from_utf8_lossy(tables.stdout.bytes()).into_owned();
        if tables.is_empty() {
            missing.push(Missing::new("ports_free", "/proc/net/tcp cannot be read"));
        }
        let taken = listening(&tables);
        let busy: Vec<String> = self.ports_free.iter().filter(|port| taken.contains(port)).map(ToString::to_string).collect();
        if !busy.is_empty() {
            missing.push(Missing::new("ports_free", format!("something listens on {}", busy.join(", "))));
        }
        Ok(())
    }

    fn programs(&self, cx: &mut StepContext<'_>, missing: &mut Vec<Missing>) -> Result<(), StepError> {
        if self.commands.is_empty() {
            return Ok(());
        }
        let words: Vec<&str> = ["sh", "-c", UNKNOWN, "sh"].into_iter().chain(self.commands.iter().map(String::as_str)).collect();
        let said = probe(cx, &words, None)?;
        let said = String::from_utf8_lossy(said.stdout.bytes()).into_owned();
        let absent: Vec<&str> = said.lines().collect();
        if !absent.is_empty() {
            missing.push(Missing::new("commands", format!("not there: {}", absent.join(", "))));
        }
        Ok(())
    }

    fn directories(&self, cx: &mut StepContext<'_>, missing: &mut Vec<Missing>) -> Result<(), StepError> {
        for path in &self.writable {
            let found = match stat(cx, path)? {
                None => format!("{path} is not there"),
                Some(FileKind::File | FileKind::Other) => format!("{path} is not a directory"),
                Some(FileKind::Directory | FileKind::Link) if probe(cx, &["test", "-w", "."], Some(path))?.code == 0 => continue,
                Some(_) => format!("{path} cannot be written to"),
            };
            missing.push(Missing::new("writable", found));
        }
        Ok(())
    }

    fn forwards(&self, cx: &mut StepContext<'_>, missing: &mut Vec<Missing>) -> Result<(), StepError> {
        if !self.forwarding {
            return Ok(());
        }
        // What answers does not matter, only whether it may be asked.
        match cx.look(&Effect::Connect { address: "127.0.0.1".to_owned(), port: 1, via: Via::Forwarding }) {
            Err(error) if error.kind == ErrorKind::Unreachable => {
                missing.push(Missing::new("forwarding", "its sshd forbids it (AllowTcpForwarding, PermitOpen or a restricted key)"));
                Ok(())
            }
            Err(error) if matches!(error.kind, ErrorKind::Failed | ErrorKind::Timeout) => Ok(()),
            result => result.map(drop),
        }
    }
}

fn probe(cx: &mut StepContext<'_>, words: &[&str], directory: Option<&RemotePath>) -> Result<CommandResult, StepError> {
    let command = Invocation {
        words: Words::List(words.iter().map(ToString::to_string).collect()),
        directory: directory.cloned(),
        environment: BTreeMap::new(),
        stdin: None,
        timeout_seconds: None,
    };
    match cx.look(&Effect::Probe { command })? {
        Reply::Command(result) => Ok(result),
        other => Err(unexpected(&other)),
    }
}

fn stat(cx: &mut StepContext<'_>, path: &RemotePath) -> Result<Option<FileKind>, StepError> {
    match cx.look(&Effect::Stat { path: path.clone() })? {
        Reply::Stat(stat) => Ok(stat.map(|stat| stat.kind)),
        other => Err(unexpected(&other)),
    }
}

/// What is free where this path is, or would be made.
fn free(cx: &mut StepContext<'_>, path: &RemotePath) -> Result<Option<Size>, StepError> {
    let mut at = path.clone();
    while !matches!(stat(cx, &at)?, Some(FileKind::Directory | FileKind::Link)) {
        let above = at.as_str().rsplit_once('/').map_or("", |(above, _)| above);
        at = RemotePath::parse(if above.is_empty() { "/" } else { above }).map_err(|error| StepError::bad_input(error.to_string()))?;
        if at.as_str() == "/" {
            break;
        }
    }
    let said = probe(cx, &["df", "-Pk", "."], Some(&at))?;
    let said = String::from_utf8_lossy(said.stdout.bytes()).into_owned();
    let field = said.lines().last().and_then(|line| line.split_whitespace().nth(3).and_then(|kib| kib.parse::<u64>().ok()));
    Ok(field.map(|kib| Size::from_bytes(kib.saturating_mul(1024))))
}

/// The ports in the kernel's tables of sockets that wait for connections.
fn listening(tables: &str) -> BTreeSet<u16> {
    let port = |line: &str| {
        let mut fields = line.split_whitespace().skip(1);
        let (local, state) = (fields.next()?, fields.nth(1)?);
        let (_, port) = local.rsplit_once(':')?;
        (state == "0A").then(|| u16::from_str_radix(port, 16).ok()).flatten()
    };
    tables.lines().filter_map(port).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listening_sockets_are_told_from_others() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue\n   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000\n   1: 0100007F:0016 0100007F:A3C2 01 00000000:00000000\n   0: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A 0\n";
        assert_eq!(listening(table), [0x1F90, 80].into());
    }
}
