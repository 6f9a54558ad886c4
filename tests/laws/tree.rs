//! What lies below a directory: names, kinds, modes, owners, contents, link targets.

use similar::TextDiff;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use windlass::id::Digest;

/// One line for each thing below a directory, itself included.
pub(crate) fn tree(root: &Path) -> String {
    let mut lines = Vec::new();
    visit(root, root, &mut lines);
    lines.sort();
    lines.concat()
}

/// What differs between two trees; nothing when nothing does.
pub(crate) fn differs(before: &str, after: &str) -> Option<String> {
    (before != after).then(|| TextDiff::from_lines(before, after).unified_diff().context_radius(0).to_string())
}

/// The first thing in a login user's home that a run left there and that is none of the declared leftovers: of each lock that the host
/// was shown, its last holder and how its runs ended.
pub(crate) fn undeclared(home: &Path) -> Option<String> {
    let listed = tree(home);
    let mut kept = listed.lines().filter(|line| line.contains(".windlass")).map(ToOwned::to_owned);
    let mut holders = 0;
    kept.find(|line| {
        let (name, about) = line.split_once(' ').unwrap();
        let parts: Vec<&str> = name.trim_start_matches("./.windlass").split('/').collect();
        let declared = match parts[..] {
            [_] | [_, "ledgers"] | [_, "ledgers", _] => about.starts_with("directory 0700"),
            [_, "ledgers", _, "anchors"] => about.starts_with("file 0600"),
            [_, "ledgers", _, holder] => {
                holders += 1;
                about.starts_with("file 0") && holder.parse::<u64>().is_ok() && holders == 1
            }
            _ => false,
        };
        !declared
    })
}

fn visit(root: &Path, path: &Path, lines: &mut Vec<String>) {
    let metadata = fs::symlink_metadata(path).unwrap();
    let name = path.strip_prefix(root).unwrap().display();
    let mode = format!("{:04o} {}:{}", metadata.mode() & 0o7777, metadata.uid(), metadata.gid());
    if metadata.is_dir() {
        lines.push(format!("./{name} directory {mode}\n"));
        for entry in fs::read_dir(path).unwrap() {
            visit(root, &entry.unwrap().path(), lines);
        }
    } else if metadata.is_symlink() {
        lines.push(format!("./{name} link to {}\n", fs::read_link(path).unwrap().display()));
    } else if metadata.is_file() {
        lines.push(format!("./{name} file {mode} {}\n", content(path)));
    } else {
        lines.push(format!("./{name} other {mode}\n"));
    }
}

fn content(path: &Path) -> String {
    let bytes = fs::read(path).unwrap_or_default();
    match std::str::from_utf8(&bytes) {
        Ok(text) if text.len() < 200 => format!("{text:?}"),
        _ => format!("{} bytes, sha256 {}", bytes.len(), Digest::of(&bytes)),
    }
}
