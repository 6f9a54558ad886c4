//! The `windlass` command. Everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    windlass::cli::main(std::env::args_os().collect())
}
