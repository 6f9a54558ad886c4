//! The functions that a shell on a host is given: in sections, each when one of its functions is first called there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

const TEXT: &str = concat!(
    include_str!("prelude.sh"),
    include_str!("more/host.sh"),
    include_str!("more/accounts.sh"),
    include_str!("more/packages.sh"),
    include_str!("more/services.sh"),
    include_str!("more/units.sh"),
    include_str!("more/guard.sh"),
    include_str!("more/claims.sh")
);
/// Calls a function that is sent only when a shell asks for it.
const LATER: &str = "wl_later";

/// What a shell has been sent so far.
#[derive(Debug, Default)]
pub(crate) struct Known(BTreeSet<usize>);

/// The sections, in the order of the text.
pub(crate) struct Library {
    sections: Vec<Section>,
    homes: BTreeMap<&'static str, usize>,
}

struct Section {
    text: String,
    /// The sections that its functions call.
    needs: BTreeSet<usize>,
    /// The sections that its functions call on few hosts only.
    later: BTreeSet<usize>,
}

/// The library of this program.
pub(crate) fn library() -> &'static Library {
    static LIBRARY: OnceLock<Library> = OnceLock::new();
    LIBRARY.get_or_init(|| Library::read(TEXT))
}

impl Library {
    fn read(text: &'static str) -> Self {
        // The rest of the line is a section's name, for people.
        let bodies = text.split("\n#: ").skip(1).map(|section| section.split_once('\n').map_or("", |(_, body)| body));
        let pieces: Vec<&'static str> = text.split("\n#: ").take(1).chain(bodies).collect();
        let mut homes = BTreeMap::new();
        for (at, piece) in pieces.iter().enumerate() {
            homes.extend(piece.lines().filter_map(defined).map(|name| (name, at)));
        }
        let section = |(at, piece): (usize, &&'static str)| {
            let other = |word: &str| homes.get(word).copied().filter(|home| *home != at);
            let (needs, later) = (words(piece).filter_map(other).collect(), later(piece).filter_map(other).collect());
            Section { text: lean(piece), needs, later }
        };
        let sections = pieces.iter().enumerate().map(section).collect();
        Self { sections, homes }
    }

    /// All of it, for a program that has no controller to ask.
    pub(crate) fn whole(&self) -> String {
        self.sections.iter().map(|section| section.text.as_str()).collect()
    }

    /// What a new shell is sent.
    pub(crate) fn first(&self, known: &mut Known) -> &str {
        known.0.insert(0);
        self.sections.first().map_or("", |section| &section.text)
    }

    /// What a shell is sent before it is asked to call this function.
    pub(crate) fn before(&self, function: &str, known: &mut Known) -> String {
        self.with_needs(self.homes.get(function).copied().into_iter().collect(), known)
    }

    /// What a shell is sent when it asks for what a function, or one that it calls, left for later; behind a line with its size.
    pub(crate) fn later(&self, function: &str, known: &mut Known) -> Vec<u8> {
        let (mut seen, mut wanted) = (BTreeSet::new(), BTreeSet::new());
        let mut called: Vec<usize> = self.homes.get(function).copied().into_iter().collect();
        while let Some(at) = called.pop() {
            if seen.insert(at)
                && let Some(section) = self.sections.get(at)
            {
                called.extend(&section.needs);
                wanted.extend(&section.later);
            }
        }
        let text = self.with_needs(wanted.into_iter().collect(), known);
        format!("{}\n{text}", text.len()).into_bytes()
    }

    fn with_needs(&self, mut wanted: Vec<usize>, known: &mut Known) -> String {
        let mut text = String::new();
        while let Some(at) = wanted.pop() {
            if known.0.insert(at)
                && let Some(section) = self.sections.get(at)
            {
                text.push_str(&section.text);
                wanted.extend(&section.needs);
            }
        }
        text
    }
}

/// The function that a line begins to define.
fn defined(line: &str) -> Option<&str> {
    let (name, _) = line.split_once("() {")?;
    (!name.contains(' ')).then_some(name)
}

/// The functions that a text calls, but for those left for later.
fn words(text: &str) -> impl Iterator<Item = &str> {
    pairs(text).filter(|(before, word)| *before != LATER && word.starts_with("wl_")).map(|(_, word)| word)
}

/// The functions that a text leaves for later.
fn later(text: &str) -> impl Iterator<Item = &str> {
    pairs(text).filter(|(before, _)| *before == LATER).map(|(_, word)| word)
}

/// Each word with the one before it.
fn pairs(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let words = || text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| !word.is_empty());
    std::iter::once("").chain(words()).zip(words())
}

/// Without what only people read.
fn lean(text: &str) -> String {
    let lines = text.lines().map(str::trim_start).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.flat_map(|line| [line, "\n"]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_goes_out_once_with_what_it_needs() {
        let mut known = Known::default();
        assert!(library().first(&mut known).contains("wl_die()"));
        let put = library().before("wl_put", &mut known);
        assert!(put.contains("wl_put()") && put.contains("wl_keep()") && !put.contains("wl_service()"), "{put}");
        assert_eq!(library().before("wl_put", &mut known), "");
        assert!(!library().before("wl_mkdir", &mut known).contains("wl_keep()"));
    }

    #[test]
    fn what_few_hosts_need_is_sent_when_it_is_asked_for() {
        let mut known = Known::default();
        let first = library().first(&mut known).len();
        let usual = library().before("wl_restore", &mut known);
        assert!(first > 0 && usual.contains("wl_restore()") && !usual.contains("wl_back_user()"), "{usual}");
        let later = String::from_utf8(library().later("wl_restore", &mut known)).unwrap();
        let (size, text) = later.split_once('\n').unwrap();
        assert_eq!(size, text.len().to_string());
        for function in ["wl_back_user()", "wl_back_packages()", "wl_entry()", "wl_other()", "wl_exec()"] {
            assert!(text.contains(function), "{function} is missing");
        }
        assert_eq!(library().later("wl_restore", &mut known), b"0\n");
    }

    /// Whether a shell without a writable home can work when this was made for it where anybody may make something.
    fn works(made: &str) -> (bool, String) {
        let temp = tempfile::tempdir().unwrap();
        let text = library().whole().replace("/var/tmp", &temp.path().display().to_string());
        let head = "wl_k=k wl_c=a/b/c wl_run=r wl_u=u wl_lock= wl_e= wl_v=\n";
        let script = format!(
            "{head}cd {}\nw=.windlass-$(id -u)\n{made}\n{text}wl 0 true\nwl_v=$wl_o\nwl 1 wl_fenced wl_private\nwl 2 wl_restore S\n",
            temp.path().display()
        );
        let mut command = std::process::Command::new("/bin/sh");
        let output = command.args(["-c", &script]).env("HOME", "/nowhere/at/all").output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        (said.contains("\nk 1 0\n"), said)
    }

    #[test]
    fn what_anybody_may_have_made_is_not_believed() {
        for made in ["", "mkdir -m 700 $w", "mkdir -m 700 $w; mkdir $w/runs"] {
            let (well, said) = works(made);
            assert!(well, "{made}: {said}");
        }
        let mut foreign =
            vec!["mkdir -m 755 $w", "mkdir -m 777 $w", "mkdir -m 700 other; ln -s other $w", "ln -s none $w", "echo >$w"];
        if rustix::process::geteuid().is_root() {
            foreign.push("mkdir -m 700 $w; chown 54321 $w");
        }
        for made in foreign {
            let (well, said) = works(made);
            assert!(!well && said.contains("\nk 1 77\n") && said.contains("\nk 2 77\n"), "{made}: {said}");
        }
    }

    #[test]
    fn no_function_takes_the_name_of_another() {
        let tops = TEXT.lines().filter(|line| line.starts_with("wl_")).filter_map(defined);
        let mut seen = BTreeSet::new();
        let twice: Vec<&str> = tops.filter(|name| !seen.insert(*name)).collect();
        assert!(twice.is_empty(), "{twice:?}");
    }

    #[test]
    fn every_function_is_complete_for_a_shell() {
        for function in library().homes.keys() {
            let mut known = Known::default();
            let mut text = library().first(&mut known).to_owned();
            text += &library().before(function, &mut known);
            assert!(!text.lines().any(|line| line.starts_with('#')), "{function}: a comment goes over the wire");
            for word in words(&text).filter(|word| library().homes.contains_key(word)) {
                assert!(text.contains(&format!("{word}() {{")), "{function} is sent without {word}");
            }
        }
    }

    #[test]
    fn what_a_usual_step_needs_fits_the_first_flight() {
        let mut known = Known::default();
        let sent = library().first(&mut known).len() + library().before("wl_put", &mut known).len();
        assert!(sent < 10 << 10, "{sent} bytes");
    }
}
