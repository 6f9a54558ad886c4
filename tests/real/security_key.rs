//! A security key that an agent holds: the agent is a small one of the test, with an authenticator in software. The server
//! is a real one, and checks the signature, its flags and its counter.

use super::site::Site;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use russh::keys::signature::Signer as _;
use russh::keys::ssh_key::private::Ed25519Keypair;
use sha2::{Digest as _, Sha256};
use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};

const KIND: &str = "sk-ssh-ed25519@openssh.com";
const APPLICATION: &str = "ssh:";

fn text(out: &mut Vec<u8>, text: &[u8]) {
    out.extend(u32::try_from(text.len()).unwrap().to_be_bytes());
    out.extend(text);
}

/// The first string, and what follows it.
fn cut(from: &[u8]) -> (&[u8], &[u8]) {
    let (length, rest) = from.split_at(4);
    rest.split_at(u32::from_be_bytes(length.try_into().unwrap()) as usize)
}

fn blob(key: &Ed25519Keypair) -> Vec<u8> {
    let mut blob = Vec::new();
    text(&mut blob, KIND.as_bytes());
    text(&mut blob, key.public.as_ref());
    text(&mut blob, APPLICATION.as_bytes());
    blob
}

/// As an authenticator signs: what it is asked for by whom, that a person was there, and how often it has signed.
fn sign(key: &Ed25519Keypair, data: &[u8], counter: u32) -> Vec<u8> {
    const A_PERSON_WAS_THERE: u8 = 1;
    let mut state = vec![A_PERSON_WAS_THERE];
    state.extend(counter.to_be_bytes());
    let message = [&Sha256::digest(APPLICATION.as_bytes())[..], &state, &Sha256::digest(data)[..]].concat();
    let made = key.try_sign(&message).unwrap();
    let mut signature = Vec::new();
    text(&mut signature, KIND.as_bytes());
    text(&mut signature, made.as_bytes());
    signature.extend(state);
    signature
}

fn serve(mut client: UnixStream, key: &Ed25519Keypair) -> std::io::Result<()> {
    for counter in 1.. {
        let mut length = [0; 4];
        client.read_exact(&mut length)?;
        let mut request = vec![0; u32::from_be_bytes(length) as usize];
        client.read_exact(&mut request)?;
        let mut answer = Vec::new();
        match request[0] {
            11 => {
                answer.extend([12, 0, 0, 0, 1]);
                text(&mut answer, &blob(key));
                text(&mut answer, b"a security key");
            }
            13 => {
                let (asked, rest) = cut(&request[1..]);
                assert_eq!(asked, blob(key));
                // Longer than this host may take to connect: a person has to find the key and touch it.
                std::thread::park_timeout(std::time::Duration::from_millis(1500));
                answer.push(14);
                text(&mut answer, &sign(key, cut(rest).0, counter));
            }
            _ => answer.push(5),
        }
        let mut framed = Vec::new();
        text(&mut framed, &answer);
        client.write_all(&framed)?;
    }
    Ok(())
}

#[test]
fn a_security_key_of_the_agent_opens() {
    let site = Site::new("");
    let key = Ed25519Keypair::from_seed(&[7; 32]);
    let line = format!("{KIND} {}", STANDARD.encode(blob(&key)));
    let socket = site.key("agent");
    let listener = UnixListener::bind(&socket).unwrap();
    std::thread::spawn(move || listener.incoming().flatten().for_each(|client| drop(serve(client, &key))));
    site.authorize_only(&line);
    let socket = socket.display().to_string();
    site.ssh_config("  ConnectTimeout 1");
    site.run_with(&[("SSH_AUTH_SOCK", &socket)]).expect(0);
    // The one in a file can only be used by an agent.
    site.write(&site.key("id_sk.pub"), &line);
    site.ssh_config(&format!("  ConnectTimeout 1\n  IdentitiesOnly yes\n  IdentityFile {}", site.key("id_sk").display()));
    site.run_with(&[("SSH_AUTH_SOCK", &socket)]).expect(0);
    assert!(site.log().contains("Accepted publickey for root") && site.log().contains("ED25519-SK"), "{}", site.log());
    let ended = site.run().expect(1);
    ended.says(&["id_sk (sk-ssh-ed25519@openssh.com: its private half is not in the file; add it to the agent with ssh-add)"]);
}
