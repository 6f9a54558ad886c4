//! Speaks to hosts: over SSH, or to this machine. Owns sessions, authentication, host keys, the host-side functions and
//! the only place where shell text is built. Knows effects; knows nothing of runs, journals or scripts.

mod credentials;
pub(crate) mod direct;
pub mod embedded;
mod frame;
pub(crate) mod http;
mod local;
mod passphrase;
mod pool;
pub mod remote;
mod shell;
mod ssh;
mod stream;

pub use credentials::Credentials;
pub use passphrase::{Asker, Passphrases};
pub use pool::{Pool, PoolOptions};
pub use remote::Password;
pub use shell::{Call, CallReply, Failure, Payload, Shell, Tick};
pub use ssh::KnownHosts;
