//! What an executable named `systemctl` or `journalctl` does on a lab host: it hands its words to the host's init and
//! returns what to print. All knowledge is over there, in `service/`.

use super::wire::{Reply, Request, StandInOutput, short_path};
use std::ffi::{OsStr, OsString};
use std::io::{self, BufRead as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

/// Where a host with namespaces keeps the socket of its init, when the environment was cleared.
const RUN: &str = "/run/windlass-lab";

/// Whether an executable started under this name is a stand-in.
#[must_use]
pub fn is_stand_in(argv0: &OsStr) -> bool {
    matches!(Path::new(argv0).file_name().and_then(OsStr::to_str), Some("systemctl" | "journalctl"))
}

/// Does what the stand-in named by the first word is asked to. `run_dir` is what the environment's `LAB_RUN` says.
#[must_use]
pub fn stand_in(argv: &[OsString], run_dir: Option<&OsStr>) -> StandInOutput {
    let run = run_dir.map_or_else(|| PathBuf::from(RUN), PathBuf::from);
    let words = argv.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    ask(&run, words).unwrap_or_else(|error| StandInOutput {
        stdout: String::new(),
        stderr: format!("Failed to connect to bus: {error} (lab host, {})\n", run.display()),
        code: 1,
    })
}

fn ask(run: &Path, argv: Vec<String>) -> io::Result<StandInOutput> {
    let (path, _dir) = short_path(run)?;
    let mut stream = UnixStream::connect(path)?;
    let mut request = serde_json::to_vec(&Request::StandIn { argv })?;
    request.push(b'\n');
    stream.write_all(&request)?;
    let mut line = String::new();
    io::BufReader::new(stream).read_line(&mut line)?;
    match serde_json::from_str(&line)? {
        Reply::Output(output) => Ok(output),
        other => Err(io::Error::other(format!("unexpected answer {other:?}"))),
    }
}
