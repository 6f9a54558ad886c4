//! `known_hosts` files. Read here and not by libssh2, which ignores `@revoked` and cannot tell which types of key are
//! known for a hashed name.

use super::wire::kind_of;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use std::fs::OpenOptions;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// The lines of one or more `known_hosts` files.
#[derive(Debug, Default)]
pub struct KnownHosts {
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    file: String,
    line: usize,
    marker: Marker,
    names: String,
    kind: String,
    key: Vec<u8>,
}

/// What a line is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Marker {
    Trusted,
    Revoked,
    /// A key that signs certificates of hosts; they are not checked here.
    Authority,
}

/// What the files say of a key.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is this host's.
    Known,
    /// Nothing is known of this host.
    Unknown,
    /// Another key of the same type is known for it.
    Changed {
        /// The file that has it.
        file: String,
        /// And the line.
        line: usize,
    },
    /// The key must not be trusted.
    Revoked {
        /// The file that says so.
        file: String,
        /// And the line.
        line: usize,
    },
}

impl KnownHosts {
    /// Reads the files that are there.
    ///
    /// # Errors
    /// When one is there and cannot be read.
    pub fn read(files: &[PathBuf]) -> Result<Self, String> {
        let mut known = Self::default();
        for file in files {
            match std::fs::read_to_string(file) {
                Ok(text) => known.add(&file.display().to_string(), &text),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(format!("{} cannot be read: {error}", file.display())),
            }
        }
        Ok(known)
    }

    fn add(&mut self, file: &str, text: &str) {
        for (number, line) in text.lines().enumerate() {
            let mut words = line.split_whitespace().peekable();
            let marker = match words.peek() {
                None => continue,
                Some(word) if word.starts_with('#') => continue,
                Some(&"@revoked") => Marker::Revoked,
                Some(&"@cert-authority") => Marker::Authority,
                Some(word) if word.starts_with('@') => continue,
                Some(_) => Marker::Trusted,
            };
            if marker != Marker::Trusted {
                words.next();
            }
            let (Some(names), Some(kind), Some(key)) = (words.next(), words.next(), words.next()) else { continue };
            let Ok(key) = STANDARD.decode(key) else { continue };
            self.entries.push(Entry {
                file: file.to_owned(),
                line: number + 1,
                marker,
                names: names.to_owned(),
                kind: kind.to_owned(),
                key,
            });
        }
    }

    /// What is known of this key, shown by the server at this name and port.
    #[must_use]
    pub fn check(&self, name: &str, port: u16, key: &[u8]) -> Verdict {
        self.check_as(&full_name(name, port), key)
    }

    /// The same for a name as it stands in the files.
    pub(super) fn check_as(&self, name: &str, key: &[u8]) -> Verdict {
        let place = |entry: &Entry| (entry.file.clone(), entry.line);
        let of_host: Vec<&Entry> = self.entries.iter().filter(|entry| entry.matches(name)).collect();
        let revoked = of_host.iter().find(|entry| entry.marker == Marker::Revoked && entry.key == key);
        if let Some((file, line)) = revoked.map(|entry| place(entry)) {
            return Verdict::Revoked { file, line };
        }
        let kind = kind_of(key);
        let mut trusted = of_host.iter().filter(|entry| entry.marker == Marker::Trusted);
        if trusted.clone().any(|entry| entry.key == key) {
            return Verdict::Known;
        }
        let same_kind = trusted.clone().find(|entry| Some(entry.kind.as_str()) == kind).or_else(|| trusted.next());
        match same_kind.map(|entry| place(entry)) {
            Some((file, line)) => Verdict::Changed { file, line },
            None => Verdict::Unknown,
        }
    }

    /// The host key algorithms to ask for: those of the known keys first. Nothing when nothing is known.
    #[must_use]
    pub(super) fn algorithms(&self, name: &str) -> Option<String> {
        let order = [
            ("ssh-ed25519", "ssh-ed25519"),
            ("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256"),
            ("ecdsa-sha2-nistp384", "ecdsa-sha2-nistp384"),
            ("ecdsa-sha2-nistp521", "ecdsa-sha2-nistp521"),
            ("ssh-rsa", "rsa-sha2-512,rsa-sha2-256,ssh-rsa"),
        ];
        let trusted = |entry: &Entry, kind: &str| entry.marker == Marker::Trusted && entry.kind == kind;
        let known = |kind: &str| self.entries.iter().any(|entry| trusted(entry, kind) && entry.matches(name));
        let list: Vec<&str> = order.iter().filter(|(kind, _)| known(kind)).map(|(_, algorithms)| *algorithms).collect();
        (!list.is_empty()).then(|| list.join(","))
    }

    /// The file and line that trust an authority for this name.
    pub(super) fn authority(&self, name: &str) -> Option<(String, usize)> {
        let entry = self.entries.iter().find(|entry| entry.marker == Marker::Authority && entry.matches(name))?;
        Some((entry.file.clone(), entry.line))
    }
}

/// The name of a host in these files.
pub(super) fn full_name(name: &str, port: u16) -> String {
    if port == 22 { name.to_owned() } else { format!("[{name}]:{port}") }
}

/// Adds a key to a file, unless it is there already. Other processes of ours wait; `ssh` itself adds whole lines as well.
///
/// # Errors
/// When the file cannot be written.
pub(super) fn record(file: &Path, name: &str, key: &[u8], hashed: bool) -> std::io::Result<()> {
    if let Some(directory) = file.parent().filter(|directory| !directory.exists()) {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    }
    let mut out = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(file)?;
    out.lock()?;
    let mut text = String::new();
    out.read_to_string(&mut text)?;
    let mut known = KnownHosts::default();
    known.add("", &text);
    if known.check_as(name, key) == Verdict::Known {
        return Ok(());
    }
    let shown = if hashed { hash_of(name)? } else { name.to_owned() };
    let newline = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    let line = format!("{newline}{shown} {} {}\n", kind_of(key).unwrap_or_default(), STANDARD.encode(key));
    // In one piece: a reader sees all of it or nothing.
    out.write_all(line.as_bytes())?;
    out.sync_all().or_else(|error| if file.is_file() { Err(error) } else { Ok(()) })
}

/// The name as it is written where names are kept hidden.
fn hash_of(name: &str) -> std::io::Result<String> {
    let salt: [u8; 20] = rand::random();
    let mut mac = Hmac::<Sha1>::new_from_slice(&salt).map_err(std::io::Error::other)?;
    mac.update(name.as_bytes());
    Ok(format!("|1|{}|{}", STANDARD.encode(salt), STANDARD.encode(mac.finalize().into_bytes())))
}

impl Entry {
    fn matches(&self, full: &str) -> bool {
        if let Some(hashed) = self.names.strip_prefix("|1|") {
            return hash_matches(hashed, full);
        }
        let mut found = false;
        for pattern in self.names.split(',') {
            let (negated, pattern) = pattern.strip_prefix('!').map_or((false, pattern), |pattern| (true, pattern));
            if wildcard(pattern.as_bytes(), full.as_bytes()) {
                if negated {
                    return false;
                }
                found = true;
            }
        }
        found
    }
}

fn hash_matches(hashed: &str, name: &str) -> bool {
    let Some((salt, hash)) = hashed.split_once('|') else { return false };
    let (Ok(salt), Ok(hash)) = (STANDARD.decode(salt), STANDARD.decode(hash)) else { return false };
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(&salt) else { return false };
    mac.update(name.as_bytes());
    mac.verify_slice(&hash).is_ok()
}

/// `*` and `?`, letter case aside.
pub(super) fn wildcard(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern.first(), text.first()) {
        (None, None) => true,
        (Some(b'*'), _) => wildcard(&pattern[1..], text) || (!text.is_empty() && wildcard(pattern, &text[1..])),
        (Some(b'?'), Some(_)) => wildcard(&pattern[1..], &text[1..]),
        (Some(p), Some(t)) if p.eq_ignore_ascii_case(t) => wildcard(&pattern[1..], &text[1..]),
        _ => false,
    }
}

/// A key's fingerprint as `ssh-keygen -l` prints it.
#[must_use]
pub(super) fn fingerprint(key: &[u8]) -> String {
    let kind = kind_of(key).unwrap_or_default();
    format!("SHA256:{} ({})", STANDARD_NO_PAD.encode(Sha256::digest(key)), kind.trim_start_matches("ssh-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blob(kind: &str, rest: &[u8]) -> Vec<u8> {
        let length = u32::try_from(kind.len()).unwrap();
        [&length.to_be_bytes()[..], kind.as_bytes(), rest].concat()
    }

    #[test]
    fn a_key_is_recorded_once_plain_or_hashed() {
        let (directory, key) = (tempfile::tempdir().unwrap(), blob("ssh-ed25519", b"a"));
        let file = directory.path().join("new/known_hosts");
        record(&file, "web1", &key, false).unwrap();
        std::fs::write(&file, std::fs::read_to_string(&file).unwrap().trim_end()).unwrap();
        for _ in 0..2 {
            record(&file, "[web2]:23", &key, true).unwrap();
        }
        let text = std::fs::read_to_string(&file).unwrap();
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(text.lines().nth(1).unwrap().starts_with("|1|") && text.ends_with('\n'), "{text}");
        assert_eq!(known(&text).check("web1", 22, &key), Verdict::Known);
        assert_eq!(known(&text).check("web2", 23, &key), Verdict::Known);
        record(Path::new("/dev/null"), "web1", &key, false).unwrap();
    }

    fn known(text: &str) -> KnownHosts {
        let mut known = KnownHosts::default();
        known.add("known_hosts", text);
        known
    }

    #[test]
    fn plain_ported_wildcard_and_negated_names() {
        let key = blob("ssh-ed25519", b"a");
        let text = STANDARD.encode(&key);
        let check = |names: &str, name: &str, port| known(&format!("{names} ssh-ed25519 {text}\n")).check(name, port, &key);
        assert_eq!(check("web1,10.0.0.1", "10.0.0.1", 22), Verdict::Known);
        assert_eq!(check("[web1]:2222", "web1", 2222), Verdict::Known);
        assert_eq!(check("web1", "web1", 2222), Verdict::Unknown);
        assert_eq!(check("*.example", "web1.example", 22), Verdict::Known);
        assert_eq!(check("*.example,!web1.example", "web1.example", 22), Verdict::Unknown);
    }

    #[test]
    fn a_hashed_name_matches() {
        let key = blob("ssh-ed25519", b"a");
        let mut mac = Hmac::<Sha1>::new_from_slice(b"salt").unwrap();
        mac.update(b"[web1]:2222");
        let hash = STANDARD.encode(mac.finalize().into_bytes());
        let line = format!("|1|{}|{hash} ssh-ed25519 {}", STANDARD.encode(b"salt"), STANDARD.encode(&key));
        assert_eq!(known(&line).check("web1", 2222, &key), Verdict::Known);
        assert_eq!(known(&line).check("web2", 2222, &key), Verdict::Unknown);
    }

    #[test]
    fn a_revoked_key_is_refused_even_when_another_line_knows_it() {
        let key = blob("ssh-ed25519", b"a");
        let text = STANDARD.encode(&key);
        let both = known(&format!("web1 ssh-ed25519 {text}\n@revoked * ssh-ed25519 {text}\n"));
        assert_eq!(both.check("web1", 22, &key), Verdict::Revoked { file: "known_hosts".into(), line: 2 });
    }

    #[test]
    fn a_changed_key_names_its_line_and_the_known_types_are_asked_for() {
        let (old, new) = (blob("ssh-ed25519", b"old"), blob("ssh-ed25519", b"new"));
        let files = known(&format!("# mine\nweb1 ssh-ed25519 {}\n", STANDARD.encode(&old)));
        assert_eq!(files.check("web1", 22, &new), Verdict::Changed { file: "known_hosts".into(), line: 2 });
        assert_eq!(files.algorithms("web1").as_deref(), Some("ssh-ed25519"));
        assert_eq!(files.algorithms("web2"), None);
    }
}
