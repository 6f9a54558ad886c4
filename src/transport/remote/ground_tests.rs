//! The host-side functions on ground that cases have not: mounts, overlays, foreign things. Each text of `tests/ground` is run by the
//! shells that are here, in a mount namespace of its own; it fails when one of its lines does.

use super::library::library;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// A run of its own, in a file system `$D` of its own.
const BEFORE: &str = r#"[ "$again" ] || mount -t tmpfs tmpfs "$D" && cd "$D" || exit 1
wl_k=mark wl_c=pool/host/1 wl_run=run wl_u=0123456789abcdef wl_lock= wl_e=; HOME=$D/home; export HOME; mkdir -p "$HOME"
"#;

/// Words for what a call comes to; `put SAVE PATH TEXT` is one, too.
const WORDS: &str = r#"
put() { wl_put "$1" "$2" "$(printf %s "$3" | sha256sum | cut -d' ' -f1)" "${#3}" "" "" "" "" "" "$3"; }
call() {
  said=$(set +eu; wl 1 "$@" </dev/null 2>&1) || :
  rc=$(printf '%s\n' "$said" | sed -n 's/^mark 1 \([0-9]*\)$/\1/p'); said=$(printf '%s\n' "$said" | sed '/^$/d; /^mark /d')
}
ends() { word=$1; shift; call "$@"; [ "$rc $said" = "0 $word" ] || { echo "$*: $rc, '$said', not '$word'"; exit 1; }; }
changed() { ends changed "$@"; }
same() { ends same "$@"; }
refused() { word=$1; shift; call "$@"; case $rc:$said in 0:*) ;; *"$word"*) return 0 ;; esac; echo "$*: $rc, '$said', not refused with '$word'"; exit 1; }
set -eu
"#;

/// A shell, and how it is called.
const SHELLS: [&[&str]; 3] = [&["sh"], &["busybox", "sh"], &["mksh"]];

fn is_here(program: &str) -> bool {
    Command::new("sh").args(["-c", "command -v \"$1\"", "sh", program]).stdout(Stdio::null()).status().is_ok_and(|s| s.success())
}

fn run(shell: &[&str], text: &str) -> Output {
    let temp = tempfile::tempdir().unwrap();
    let script = temp.path().join("script");
    let dir = temp.path().join("d");
    std::fs::create_dir(&dir).unwrap();
    // A text may go on as somebody else.
    std::fs::set_permissions(temp.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::write(&script, format!("{BEFORE}{}{WORDS}{text}", library().whole())).unwrap();
    // Who is not root becomes root of a user namespace, where mounting is allowed.
    let own = if rustix::process::geteuid().is_root() { "-m" } else { "-rm" };
    let mut command = Command::new("unshare");
    command.args([own, "--"]).args(shell).arg(&script).env("D", &dir).stdin(Stdio::null());
    command.output().unwrap()
}

#[test]
fn functions_hold_on_ground_that_is_not_plain() {
    if !is_here("unshare") || !run(&["sh"], "").status.success() {
        return; // nobody may mount here
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ground");
    let mut failed = Vec::new();
    for entry in std::fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        for shell in SHELLS.iter().filter(|shell| is_here(shell[0])) {
            let output = run(shell, &text);
            if !output.status.success() {
                let said = [output.stdout, output.stderr].concat();
                failed.push(format!("{} by {}: {}", path.display(), shell.join(" "), String::from_utf8_lossy(&said)));
            }
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}
