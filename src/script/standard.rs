//! The standard library, embedded.

use super::sources::StdTable;

/// Every module of `std/`.
pub const STANDARD: StdTable =
    &[("std/release", include_str!("../../stdlib/release.rhai")), ("std/systemd", include_str!("../../stdlib/systemd.rhai"))];
