//! The agent that holds keys: which ones, and a bridge to it for what libssh2 cannot ask of it itself.
//!
//! libssh2 takes a security key's signature apart wrongly (it leaves the flags and the counter behind), asks for a signature
//! with SHA-1 when a certificate is of an RSA key, and knows no certificate that only a file has. The bridge is an agent of
//! our own, for one login: it passes everything on, and puts these three right.

use super::wire::{Reader, public_half, put};
use rand::RngExt;
use std::fs::DirBuilder;
use std::io::{Error, ErrorKind, Read, Result, Write};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

const REQUEST_IDENTITIES: u8 = 11;
const IDENTITIES_ANSWER: u8 = 12;
const SIGN_REQUEST: u8 = 13;
const SIGN_RESPONSE: u8 = 14;
/// No answer is longer.
const LONGEST: usize = 256 << 10;
/// How long an agent may take to say what it holds.
const PATIENCE: Duration = Duration::from_secs(5);

/// A key that an agent holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) blob: Vec<u8>,
    pub(super) comment: String,
}

/// What the agent at this socket holds.
pub(super) fn held(socket: &Path) -> Result<Vec<Held>> {
    let mut agent = UnixStream::connect(socket)?;
    agent.set_read_timeout(Some(PATIENCE))?;
    send(&mut agent, &[REQUEST_IDENTITIES])?;
    let answer = receive(&mut agent)?;
    identities(&answer).ok_or_else(|| Error::new(ErrorKind::InvalidData, "it does not say which keys it holds"))
}

fn identities(answer: &[u8]) -> Option<Vec<Held>> {
    let mut reader = Reader(answer.strip_prefix(&[IDENTITIES_ANSWER])?);
    let count = reader.number()?;
    let mut held = Vec::new();
    for _ in 0..count {
        let blob = reader.text()?.to_vec();
        let comment = String::from_utf8_lossy(reader.text()?).into_owned();
        held.push(Held { blob, comment });
    }
    Some(held)
}

/// An agent of our own in front of the operator's, as long as this value lives.
pub(super) struct Bridge {
    directory: PathBuf,
}

impl Bridge {
    /// In front of this agent, with certificates for keys that it holds.
    pub(super) fn new(agent: &Path, certificates: Vec<Vec<u8>>) -> Result<Self> {
        let name = format!("windlass-{:016x}", rand::rng().random::<u64>());
        let directory = std::env::temp_dir().join(name);
        DirBuilder::new().mode(0o700).create(&directory)?;
        let bridge = Self { directory };
        let listener = UnixListener::bind(bridge.socket())?;
        let agent = agent.to_owned();
        thread::Builder::new().name("agent".to_owned()).stack_size(128 << 10).spawn(move || {
            // A client or an agent that goes away ends it; the login says what it could not get.
            let _ = listener.accept().and_then(|(client, _)| serve(client, UnixStream::connect(agent)?, &certificates));
        })?;
        Ok(bridge)
    }

    /// Where it listens.
    pub(super) fn socket(&self) -> PathBuf {
        self.directory.join("agent")
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        // Wakes one to which nobody came.
        let _ = UnixStream::connect(self.socket());
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

fn serve(mut client: UnixStream, mut agent: UnixStream, certificates: &[Vec<u8>]) -> Result<()> {
    loop {
        let request = receive(&mut client)?;
        send(&mut agent, &asked(&request, certificates).unwrap_or(request))?;
        let answer = receive(&mut agent)?;
        send(&mut client, &answered(&answer, certificates).unwrap_or(answer))?;
    }
}

/// What the agent is asked instead: to sign with the key itself, and with the digest that the login has named.
fn asked(request: &[u8], certificates: &[Vec<u8>]) -> Option<Vec<u8>> {
    let mut reader = Reader(request.strip_prefix(&[SIGN_REQUEST])?);
    let (blob, data) = (reader.text()?, reader.text()?);
    let flags = match algorithm(data)? {
        b"rsa-sha2-256-cert-v01@openssh.com" => 2,
        b"rsa-sha2-512-cert-v01@openssh.com" => 4,
        _ => reader.number()?,
    };
    let ours = certificates.iter().any(|certificate| certificate == blob);
    let key = if ours { public_half(blob)? } else { blob.to_vec() };
    let mut out = vec![SIGN_REQUEST];
    put(&mut out, &key);
    put(&mut out, data);
    out.extend_from_slice(&u32::to_be_bytes(flags));
    Some(out)
}

/// The algorithm that a login names in what is to be signed.
fn algorithm(data: &[u8]) -> Option<&[u8]> {
    let mut reader = Reader(data);
    reader.text()?; // the session
    reader.byte()?; // SSH_MSG_USERAUTH_REQUEST
    for _ in ["the user", "the service", "the method"] {
        reader.text()?;
    }
    reader.byte()?; // with a signature
    reader.text()
}

/// What libssh2 is told instead: our certificates among the keys, and a security key's signature as one piece.
fn answered(answer: &[u8], certificates: &[Vec<u8>]) -> Option<Vec<u8>> {
    match *answer.first()? {
        IDENTITIES_ANSWER => {
            let mut reader = Reader(&answer[1..]);
            let count = reader.number()?.checked_add(u32::try_from(certificates.len()).ok()?)?;
            let mut out = vec![IDENTITIES_ANSWER];
            out.extend_from_slice(&count.to_be_bytes());
            out.extend_from_slice(reader.0);
            for certificate in certificates {
                put(&mut out, certificate);
                put(&mut out, b"");
            }
            Some(out)
        }
        SIGN_RESPONSE => {
            let mut signature = Reader(Reader(&answer[1..]).text()?);
            let method = signature.text()?;
            if !method.starts_with(b"sk-") {
                return None;
            }
            let mut inner = Vec::new();
            put(&mut inner, method);
            put(&mut inner, signature.0);
            let mut out = vec![SIGN_RESPONSE];
            put(&mut out, &inner);
            Some(out)
        }
        _ => None,
    }
}

fn send(stream: &mut UnixStream, message: &[u8]) -> Result<()> {
    let mut framed = Vec::with_capacity(message.len() + 4);
    put(&mut framed, message);
    stream.write_all(&framed)
}

fn receive(stream: &mut UnixStream) -> Result<Vec<u8>> {
    let mut length = [0_u8; 4];
    stream.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length) as usize;
    if length > LONGEST {
        return Err(Error::new(ErrorKind::InvalidData, "a message of the agent is too long"));
    }
    let mut message = vec![0; length];
    stream.read_exact(&mut message)?;
    Ok(message)
}
