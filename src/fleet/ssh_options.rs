//! How a session is set up and logged in to, as an ssh_config says it: the part of a host's settings that only the
//! transport looks at. Every default is that of `ssh`, but for the keepalive.

use serde::{Deserialize, Serialize};
use std::{path::PathBuf, time::Duration};

/// What is done about a host key that is not the known one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HostKeyPolicy {
    /// `yes` and `ask`: an unknown key is refused. A deploy asks nobody.
    #[default]
    Known,
    /// `accept-new`: an unknown key is recorded, a changed one refused.
    AcceptNew,
    /// `no` and `off`: an unknown key is recorded, and a changed one let pass, as `ssh` does. A revoked one never is.
    AcceptAny,
}

/// Which agent is asked for keys.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Agent {
    /// The one of `SSH_AUTH_SOCK`.
    #[default]
    Usual,
    /// None.
    Nobody,
    /// The one that listens at this socket.
    At(PathBuf),
}

/// The addresses of a name that are tried.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AddressFamily {
    /// All.
    #[default]
    Any,
    /// Those of IPv4.
    Inet,
    /// Those of IPv6.
    Inet6,
}

/// What a list of algorithms is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AlgorithmKind {
    /// `KexAlgorithms`.
    Kex,
    /// `HostKeyAlgorithms`.
    HostKey,
    /// `Ciphers`.
    Cipher,
    /// `MACs`.
    Mac,
    /// `PubkeyAcceptedAlgorithms`.
    Login,
}

/// A list of algorithms, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Algorithms {
    /// What they are for.
    pub kind: AlgorithmKind,
    /// As it is written: with `+`, `-` or `^` in front, the usual ones are added to, taken from, or preceded.
    pub list: String,
    /// The file that has it.
    pub file: PathBuf,
    /// The line in it, from 1.
    pub line: usize,
}

/// A command whose standard input and output are the connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProxyCommand {
    /// The operator's shell, which runs it with `-c`.
    pub shell: PathBuf,
    /// Its text, with the tokens replaced.
    pub command: String,
}

/// How a session is set up and logged in to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SshOptions {
    /// `StrictHostKeyChecking`.
    pub host_key_policy: HostKeyPolicy,
    /// The name under which the host key is looked up, without a port; else the address with its port.
    pub host_key_alias: Option<String>,
    /// Where a host key is recorded: the first of the operator's own files.
    pub record_in: Option<PathBuf>,
    /// Whether a recorded name is hashed.
    pub hash_names: bool,
    /// How often a sign of life is asked for. `ssh` never does when this is not set; Windlass does.
    pub alive_interval: Option<Duration>,
    /// How many may go unanswered.
    pub alive_count: Option<u32>,
    /// Only the keys of identity files and certificates are offered, not whatever the agent holds.
    pub identities_only: bool,
    /// Certificates for the keys, in the order in which they are offered.
    pub certificates: Vec<PathBuf>,
    /// Who holds keys.
    pub agent: Agent,
    /// What may be agreed on.
    pub algorithms: Vec<Algorithms>,
    /// The address of this machine to connect from.
    pub bind_address: Option<String>,
    /// The addresses that are tried.
    pub address_family: AddressFamily,
    /// Whether what is sent is compressed.
    pub compression: bool,
    /// How the connection is made instead of by TCP.
    pub proxy_command: Option<ProxyCommand>,
}

impl SshOptions {
    /// Whether all is as without an ssh_config.
    #[must_use]
    pub fn is_usual(&self) -> bool {
        *self == Self::default()
    }
}
