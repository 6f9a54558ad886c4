//! Built bundles: packed the same way whoever packs them, named by their sha256, kept in a store until nothing needs them.
//! This room reads what is packed and writes the store; it knows neither hosts nor runs, and reads no clock.

mod directory;
mod error;
mod kept;
mod members;
mod name;
mod pack;
mod pins;
mod registered;
mod retention;
mod store;
mod tree;

pub use directory::{DirectoryStore, InUse};
pub use error::ArtifactError;
pub use kept::{Kept, KeptSources};
pub use members::{ArchiveItem, ArchiveMember, members};
pub use name::{ArtifactName, Version};
pub use pack::{Packed, PackedTree, pack, pack_plain};
pub use pins::{Pin, PinError, Wishes, resolve};
pub use retention::{Retention, superfluous};
pub use store::{Added, Artifact, Damage, Dropped, Form, Incoming, Store};
pub use tree::{Entry, Item, Tree};
