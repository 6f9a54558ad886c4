//! The functions that a shell on a host is given: in sections, each when one of its functions is first called there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

const TEXT: &str = include_str!("prelude.sh");

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
            let called = words(piece).filter_map(|word| homes.get(word).copied());
            Section { text: lean(piece), needs: called.filter(|home| *home != at).collect() }
        };
        let sections = pieces.iter().enumerate().map(section).collect();
        Self { sections, homes }
    }

    /// What a new shell is sent.
    pub(crate) fn first(&self, known: &mut Known) -> &str {
        known.0.insert(0);
        self.sections.first().map_or("", |section| &section.text)
    }

    /// What a shell is sent before it is asked to call this function.
    pub(crate) fn before(&self, function: &str, known: &mut Known) -> String {
        let mut text = String::new();
        let mut wanted: Vec<usize> = self.homes.get(function).copied().into_iter().collect();
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

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| word.starts_with("wl_"))
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
