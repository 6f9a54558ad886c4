//! One running host as the SSH server sees it: commands and connections, asked of the host's init.

use super::wire::{Ending, Follow, Reply, Request, Wire};
use std::io;
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use tokio::net::TcpStream;
use tokio::net::unix::pipe;

/// A host that commands can be run on.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) name: String,
    /// Where the socket of its init is.
    pub(crate) run: PathBuf,
}

/// A command that runs on a host. Dropping it closes its pipes and leaves it running.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) stdin: pipe::Sender,
    pub(crate) stdout: pipe::Receiver,
    pub(crate) stderr: pipe::Receiver,
    pub(crate) control: Control,
}

/// What is left of a command beside its pipes: signals and the end.
#[derive(Debug)]
pub(crate) struct Control(Wire);

impl Host {
    /// Starts a command.
    pub(crate) async fn exec(&self, argv: Vec<String>, env: Vec<(String, String)>) -> io::Result<Running> {
        let mut wire = Wire::connect(&self.run).await?;
        let (stdin, their_stdin) = pipe::pipe()?;
        let (their_stdout, stdout) = pipe::pipe()?;
        let (their_stderr, stderr) = pipe::pipe()?;
        let theirs = [their_stdin.into_blocking_fd()?, their_stdout.into_blocking_fd()?, their_stderr.into_blocking_fd()?];
        wire.send(&Request::Exec { argv, env }, &theirs.each_ref().map(|fd| fd.as_fd())).await?;
        drop(theirs);
        match wire.next().await? {
            Some(Reply::Started) => Ok(Running { stdin, stdout, stderr, control: Control(wire) }),
            other => Err(refused(other)),
        }
    }

    /// Connects from inside the host.
    pub(crate) async fn connect(&self, host: &str, port: u16) -> io::Result<TcpStream> {
        let mut wire = Wire::connect(&self.run).await?;
        wire.send(&Request::Connect { host: host.to_owned(), port }, &[]).await?;
        let reply = wire.next().await?;
        match (reply, wire.take_fds().pop()) {
            (Some(Reply::Connected), Some(fd)) => TcpStream::from_std(fd.into()),
            (other, _) => Err(refused(other)),
        }
    }
}

impl Control {
    /// Waits for the end of the command. May be dropped while it waits.
    pub(crate) async fn ended(&mut self) -> io::Result<Ending> {
        match self.0.next().await? {
            Some(Reply::Ended(ending)) => Ok(ending),
            other => Err(refused(other)),
        }
    }

    pub(crate) async fn signal(&self, number: i32) -> io::Result<()> {
        self.0.send(&Follow::Signal(number), &[]).await
    }
}

fn refused(reply: Option<Reply>) -> io::Error {
    match reply {
        Some(Reply::Failed { why }) => io::Error::other(why),
        Some(other) => io::Error::other(format!("unexpected answer {other:?}")),
        None => io::Error::other("the lab host is down"),
    }
}
