//! The examples on the pages of the language reference. `tests/real` has this file as well.

use std::path::Path;

/// An example of a page.
pub(crate) struct Block {
    /// What the page is of.
    pub(crate) page: String,
    n: usize,
    /// What stands behind the fence.
    info: String,
    pub(crate) text: String,
}

impl Block {
    pub(crate) fn title(&self) -> String {
        format!("stdlib/doc/{}.md, example {}", self.page, self.n)
    }

    /// What a host must have for it.
    pub(crate) fn needs(&self) -> Option<&str> {
        self.info.strip_prefix("rhai,needs-")
    }
}

/// Every example of every page.
pub(crate) fn examples() -> Vec<Block> {
    let entries = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("stdlib/doc")).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().flat_map(|path| examples_of(path)).collect()
}

fn examples_of(path: &Path) -> Vec<Block> {
    let page = path.file_stem().unwrap().to_string_lossy();
    let text = std::fs::read_to_string(path).unwrap();
    // Text and code take turns.
    let blocks = text.split("\n```").skip(1).step_by(2).filter_map(|block| block.split_once('\n'));
    let examples = blocks.filter(|(info, _)| info.starts_with("rhai") && *info != "rhai,signature");
    let block = |(n, (info, text)): (usize, (&str, &str))| Block {
        page: page.to_string(),
        n: n + 1,
        info: info.to_owned(),
        text: text.to_owned(),
    };
    examples.enumerate().map(block).collect()
}
