//! The standard library, embedded.

use super::sources::StdTable;

/// Every module of `std/`.
pub const STANDARD: StdTable = &[
    ("std/git", include_str!("../../stdlib/git.rhai")),
    ("std/release", include_str!("../../stdlib/release.rhai")),
    ("std/slack", include_str!("../../stdlib/slack.rhai")),
    ("std/systemd", include_str!("../../stdlib/systemd.rhai")),
];
