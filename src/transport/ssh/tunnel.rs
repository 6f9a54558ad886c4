//! A connection made from the host's own network: a channel on one side, a socket for a client of ours on the other.

use rustix::event::PollFlags;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;

/// Passes bytes between a channel and a socket. Lives on the session's thread.
pub(super) struct Tunnel {
    channel: ssh2::Channel,
    pub(super) socket: UnixStream,
    to_host: Vec<u8>,
    to_client: Vec<u8>,
    client_done: bool,
    host_done: bool,
    eof_sent: bool,
}

impl Tunnel {
    pub(super) fn new(channel: ssh2::Channel, socket: UnixStream) -> Self {
        Self {
            channel,
            socket,
            to_host: Vec::new(),
            to_client: Vec::new(),
            client_done: false,
            host_done: false,
            eof_sent: false,
        }
    }

    /// What to wait for on the socket.
    pub(super) fn events(&self) -> PollFlags {
        let mut events = PollFlags::empty();
        if self.to_host.is_empty() && !self.client_done {
            events |= PollFlags::IN;
        }
        if !self.to_client.is_empty() {
            events |= PollFlags::OUT;
        }
        events
    }

    /// Whether libssh2 already holds what this tunnel waits for.
    pub(super) fn has_news(&self) -> bool {
        let unread =
            self.to_client.is_empty() && (self.channel.read_window().available > 0 || (self.channel.eof() && !self.host_done));
        let unsent = !self.to_host.is_empty() && self.channel.write_window().remaining > 0;
        unread || unsent
    }

    pub(super) fn is_over(&self) -> bool {
        self.host_done && (self.to_client.is_empty() || self.client_done)
    }

    pub(super) fn close(&mut self) {
        let _ = self.channel.close();
    }

    /// Passes on what can be, without waiting. Tells whether anything moved.
    pub(super) fn advance(&mut self) -> bool {
        let up = self.up();
        let down = self.down();
        up || down
    }

    fn up(&mut self) -> bool {
        let mut moved = false;
        if self.to_host.is_empty() && !self.client_done {
            moved |= pull(&mut self.socket, &mut self.to_host, &mut self.client_done);
        }
        moved |= push(&mut self.channel, &mut self.to_host, &mut self.host_done);
        if self.client_done && self.to_host.is_empty() && !self.eof_sent {
            self.eof_sent = self.channel.send_eof().is_ok();
            moved |= self.eof_sent;
        }
        moved
    }

    fn down(&mut self) -> bool {
        let mut moved = false;
        if self.to_client.is_empty() && !self.host_done {
            let mut ended = false;
            moved |= pull(&mut self.channel, &mut self.to_client, &mut ended);
            self.host_done = ended && self.channel.eof();
        }
        moved |= push(&mut self.socket, &mut self.to_client, &mut self.client_done);
        moved
    }
}

fn pull(from: &mut impl Read, into: &mut Vec<u8>, done: &mut bool) -> bool {
    let mut buffer = [0_u8; 16 << 10];
    match from.read(&mut buffer) {
        Ok(0) => {
            *done = true;
            false
        }
        Ok(n) => {
            into.extend_from_slice(&buffer[..n]);
            true
        }
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => false,
        Err(_) => {
            *done = true;
            true
        }
    }
}

fn push(into: &mut impl Write, from: &mut Vec<u8>, done: &mut bool) -> bool {
    if from.is_empty() {
        return false;
    }
    match into.write(from) {
        Ok(n) => {
            from.drain(..n);
            n > 0
        }
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => false,
        Err(_) => {
            from.clear();
            *done = true;
            true
        }
    }
}
