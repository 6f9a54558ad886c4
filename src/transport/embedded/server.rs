//! The SSH side of a host: who may log in (the lab's key, under any name), and what a session may ask for.

use super::faults::Faults;
use super::host::Host;
use super::session;
use russh::keys::PrivateKey;
use russh::server::{Auth, ChannelOpenHandle, Config, Handler, Msg, Session, VerifiedPublicKey};
use russh::{Channel, ChannelId, ChannelOpenFailure};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

/// What all connections to one host share.
#[derive(Debug)]
pub(crate) struct Door {
    pub(crate) host: Host,
    pub(crate) faults: Arc<Faults>,
    /// The public key that opens, as `ssh-ed25519 AAAA...`.
    pub(crate) key: String,
    pub(crate) config: Arc<Config>,
}

/// How the SSH library is set: no waiting for the client's first try without a key, and connections that may idle.
pub(crate) fn config(host_key: PrivateKey) -> Arc<Config> {
    Arc::new(Config {
        keys: vec![host_key],
        auth_rejection_time: Duration::from_millis(50),
        auth_rejection_time_initial: Some(Duration::ZERO),
        inactivity_timeout: None,
        nodelay: true,
        ..Config::default()
    })
}

impl Door {
    /// Accepts connections until the lab ends.
    pub(crate) async fn open(self: Arc<Self>, listener: TcpListener) {
        tokio::spawn(Arc::clone(&self.faults).watch());
        loop {
            match listener.accept().await {
                Ok((stream, _)) if !self.faults.refuses() => drop(tokio::spawn(Arc::clone(&self).connection(stream))),
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(%error, host = self.host.name, "the lab cannot accept");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    async fn connection(self: Arc<Self>, stream: TcpStream) {
        let _ = stream.set_nodelay(true);
        let visitor = Visitor { door: Arc::clone(&self), channels: HashMap::new(), env: HashMap::new() };
        let stream = self.faults.stream(stream);
        let result = match russh::server::run_stream(Arc::clone(&self.config), stream, visitor).await {
            Ok(session) => session.await,
            Err(error) => Err(error),
        };
        if let Err(error) = result {
            tracing::debug!(%error, host = self.host.name, "a lab connection ended");
        }
    }
}

/// One connection.
struct Visitor {
    door: Arc<Door>,
    /// Channels that are open and run nothing yet.
    channels: HashMap<ChannelId, Channel<Msg>>,
    /// What `env` requests asked for.
    env: HashMap<ChannelId, Vec<(String, String)>>,
}

impl Visitor {
    fn start(&mut self, id: ChannelId, argv: &[&str], session: &mut Session) -> Result<(), russh::Error> {
        let Some(channel) = self.channels.remove(&id) else {
            return session.channel_failure(id);
        };
        session.channel_success(id)?;
        let env = self.env.remove(&id).unwrap_or_default();
        let argv = argv.iter().map(|word| (*word).to_owned()).collect();
        let (door, handle) = (Arc::clone(&self.door), session.handle());
        tokio::spawn(async move {
            match door.host.exec(argv, env).await {
                Ok(running) => session::serve(running, channel, handle).await,
                Err(error) => session::refuse(&channel, &error).await,
            }
        });
        Ok(())
    }
}

impl Handler for Visitor {
    type Error = russh::Error;

    async fn auth_publickey(&mut self, _user: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, russh::Error> {
        let line = key.public_key.to_openssh().unwrap_or_default();
        let same = line.split(' ').take(2).eq(self.door.key.split(' '));
        Ok(if same { Auth::Accept } else { Auth::reject() })
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), russh::Error> {
        self.channels.insert(channel.id(), channel);
        reply.accept().await;
        Ok(())
    }

    async fn channel_open_direct_tcpip(
        &mut self,
        channel: Channel<Msg>,
        host: &str,
        port: u32,
        _from: &str,
        _from_port: u32,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), russh::Error> {
        let (door, host) = (Arc::clone(&self.door), host.to_owned());
        tokio::spawn(async move { tunnel(&door.host, channel, &host, port, reply).await });
        Ok(())
    }

    async fn env_request(&mut self, id: ChannelId, name: &str, value: &str, session: &mut Session) -> Result<(), russh::Error> {
        self.env.entry(id).or_default().push((name.to_owned(), value.to_owned()));
        session.channel_success(id)
    }

    async fn exec_request(&mut self, id: ChannelId, command: &[u8], session: &mut Session) -> Result<(), russh::Error> {
        let command = String::from_utf8_lossy(command);
        self.start(id, &["/bin/sh", "-c", &command], session)
    }

    async fn shell_request(&mut self, id: ChannelId, session: &mut Session) -> Result<(), russh::Error> {
        self.start(id, &["/bin/sh", "-l"], session)
    }

    async fn subsystem_request(&mut self, id: ChannelId, _name: &str, session: &mut Session) -> Result<(), russh::Error> {
        session.channel_failure(id)
    }

    async fn channel_close(&mut self, id: ChannelId, _session: &mut Session) -> Result<(), russh::Error> {
        self.channels.remove(&id);
        self.env.remove(&id);
        Ok(())
    }
}

/// Connects first and accepts the channel then, so that the client learns of a refusal.
async fn tunnel(host: &Host, channel: Channel<Msg>, to: &str, port: u32, reply: ChannelOpenHandle) {
    let Ok(port) = u16::try_from(port) else {
        return reply.reject(ChannelOpenFailure::ConnectFailed).await;
    };
    match host.connect(to, port).await {
        Ok(mut stream) => {
            reply.accept().await;
            let _ = tokio::io::copy_bidirectional(&mut channel.into_stream(), &mut stream).await;
        }
        Err(error) => {
            tracing::debug!(%error, to, port, "a tunnel on a lab host is refused");
            reply.reject(ChannelOpenFailure::ConnectFailed).await;
        }
    }
}
