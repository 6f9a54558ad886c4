//! What can be wrong with the files that name the fleet. Each error says what, where, expected against found;
//! `help` says what to try and `span` where in the file, for a renderer elsewhere.

use std::{fmt, ops::Range, path::PathBuf};

/// A place in a file of the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file, or where a value came from when it was no file.
    pub file: PathBuf,
    /// The key in it, as in `hosts.web1.port`; empty for the file as a whole.
    pub key: String,
    /// The bytes of the file's text, where they are known.
    pub span: Option<Range<usize>>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if self.key.is_empty() { Ok(()) } else { write!(f, ": `{}`", self.key) }
    }
}

/// Why the fleet is not known.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    /// No `windlass.toml` from here up to the root.
    #[error("find windlass.toml in {} or any directory above it", start.display())]
    NoProject {
        /// Where the search began.
        start: PathBuf,
    },
    /// A file is there and cannot be read.
    #[error("read {}: {source}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file is not TOML, or a value in it is not what it has to be.
    #[error("{at}: {message}")]
    Invalid {
        /// Where.
        at: Box<Place>,
        /// What was expected, and what was found.
        message: String,
        /// What to try.
        help: Option<String>,
    },
    /// A key or a word that does not exist there.
    #[error("{at}: unknown {what} `{word}`")]
    Unknown {
        /// Where.
        at: Box<Place>,
        /// `key` or `value`.
        what: &'static str,
        /// What was written.
        word: String,
        /// What could be written, the nearest first.
        known: Vec<String>,
        /// The one that was probably meant.
        nearest: Option<String>,
    },
    /// The project has no environment of this name.
    #[error("unknown environment `{name}`: neither {name}.toml nor {name}.rhai is in {}", directory.display())]
    NoEnvironment {
        /// What was asked for.
        name: String,
        /// Where environments are.
        directory: PathBuf,
        /// Those that exist.
        known: Vec<String>,
        /// The one that was probably meant.
        nearest: Option<String>,
    },
    /// An environment is written twice.
    #[error("environment `{name}` is both {} and {}", toml.display(), rhai.display())]
    TwoEnvironments {
        /// The name of it.
        name: String,
        /// The one form.
        toml: PathBuf,
        /// The other.
        rhai: PathBuf,
    },
    /// Two hosts have one name.
    #[error("host `{name}` is in the inventory twice")]
    Duplicate {
        /// The name.
        name: String,
    },
    /// A selector that cannot be read.
    #[error("selector `{selector}`: {message}")]
    Selector {
        /// The whole of it.
        selector: String,
        /// What is wrong.
        message: String,
        /// What to try.
        help: Option<String>,
    },
    /// A selector that selects nothing.
    #[error("selector `{selector}` matches no host ({inventory})")]
    NoMatch {
        /// The whole of it.
        selector: String,
        /// The roles and hosts that there are, the first of them.
        inventory: String,
    },
    /// A line of an ssh_config that cannot be read.
    #[error("{}:{line}: {message}", at.file.display())]
    SshConfig {
        /// Where.
        at: Box<Place>,
        /// The line, from 1.
        line: usize,
        /// What was expected, and what was found.
        message: String,
    },
    /// The ssh_config says something about a host that Windlass cannot do, and that must not be ignored.
    #[error("connect to {host} as {}:{line} says: `{key} {value}` {why}", file.display())]
    Unsupported {
        /// The host.
        host: String,
        /// The ssh_config.
        file: PathBuf,
        /// The line in it, from 1.
        line: usize,
        /// The key.
        key: String,
        /// Its value.
        value: String,
        /// What is the matter with it, as the end of a sentence.
        why: String,
    },
}

impl FleetError {
    /// What to try, as a fragment.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        match self {
            Self::NoProject { .. } => Some("`windlass init` makes a project here; or name one with its directory".to_owned()),
            Self::Invalid { help, .. } | Self::Selector { help, .. } => help.clone(),
            Self::Unknown { known, nearest, .. } => suggest(nearest.as_deref(), "known here", known),
            Self::NoEnvironment { known, nearest, directory, .. } => suggest(nearest.as_deref(), "environments", known)
                .or_else(|| Some(format!("there is no environment yet; write {}", directory.join("lab.toml").display()))),
            Self::TwoEnvironments { rhai, .. } => Some(format!("keep one of them; remove or rename {}", rhai.display())),
            Self::NoMatch { .. } => Some("no match is an error, so that nothing is deployed nowhere by mistake".to_owned()),
            Self::Unsupported { key, .. } => Some(unsupported_help(key)),
            Self::Read { .. } | Self::SshConfig { .. } | Self::Duplicate { .. } => None,
        }
    }

    /// The file and the bytes in its text that it is about, where they are known.
    #[must_use]
    pub fn span(&self) -> Option<(PathBuf, Range<usize>)> {
        match self {
            Self::Invalid { at, .. } | Self::Unknown { at, .. } | Self::SshConfig { at, .. } => {
                at.span.clone().map(|span| (at.file.clone(), span))
            }
            _ => None,
        }
    }
}

fn suggest(nearest: Option<&str>, what: &str, known: &[String]) -> Option<String> {
    let list = || format!("{what}: {}", known.join(", "));
    match nearest {
        Some(word) if known.len() > 1 => Some(format!("did you mean `{word}`? {}", list())),
        Some(word) => Some(format!("did you mean `{word}`?")),
        None if known.is_empty() => None,
        None => Some(list()),
    }
}

fn unsupported_help(key: &str) -> String {
    match key {
        "Match" => "write it as a `Host` block, or put the settings of this host into the environment file".to_owned(),
        "ProxyJump" => {
            "name the hosts on the way as [user@]host[:port] with ProxyJump, or reach the host directly: a `Host` block of its own with `ProxyJump none` above this line".to_owned()
        }
        "PubkeyAuthentication" | "PreferredAuthentications" => {
            "Windlass logs in with keys, from files or from the agent: allow `publickey` in a `Host` block above this line".to_owned()
        }
        "PKCS11Provider" => {
            "load its keys into the agent (ssh-add -s), and put `PKCS11Provider none` into a `Host` block above this line".to_owned()
        }
        "RevokedHostKeys" | "KnownHostsCommand" => {
            format!("mark revoked keys with `@revoked` in a known_hosts file, and put `{key} none` into a `Host` block above this line")
        }
        _ => "give this host a `Host` block of its own without it, or put its settings into the environment file".to_owned(),
    }
}
