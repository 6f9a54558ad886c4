//! The fleet: which project this is, which environment of it is meant, which hosts that environment has,
//! and how the operator's ssh_config says to reach them.
//!
//! It reads the operator's own files and nothing else: no connection is made here, and the process environment
//! is not read (`Operator` brings what is needed of it). The one command that is run is that of a `Match exec`. What leaves this room is parsed, expanded and checked.

mod as_of;
mod channel;
mod document;
mod duration;
mod environment;
mod error;
mod form;
mod inventory;
mod jump;
mod local_command;
mod policy;
mod project;
mod range;
mod resolve;
pub mod selector;
mod ssh_config;
mod ssh_keys;
mod ssh_match;
mod ssh_options;
mod ssh_settings;
mod ssh_tokens;
mod world;

pub use channel::{Channel, ChannelKind, Channels, Webhook};
pub use environment::{Class, Environment};
pub use error::{FleetError, Place};
pub use inventory::{Host, Inventory, Operator, Transport};
pub use jump::Jump;
pub use policy::{Approvals, Blast, Check, External, Policy};
pub use project::{Defaults, EnvironmentSource, Project, environment_file, environments};
pub use ssh_config::SshConfig;
pub use ssh_options::{AddressFamily, Agent, AlgorithmKind, Algorithms, HostKeyPolicy, ProxyCommand, SshOptions};
pub use ssh_settings::{HostSettings, UnsupportedKey};
pub use world::{Start, WantedCommand, WantedExternal, WantedFile, WantedForm, WantedHost, WantedService, World};

/// How long `36h`, `1m30s` or `2d` is.
#[must_use]
pub fn duration(text: &str) -> Option<std::time::Duration> {
    duration::parse(text, None)
}
