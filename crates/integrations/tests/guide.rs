//! The pages of the guide have the code and the versions of this crate.

use std::fs;
use std::path::{Path, PathBuf};

const PAGES: [&str; 3] = ["integrations.md", "integrations/rig.md", "integrations/tonic.md"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn pages() -> impl Iterator<Item = (&'static str, String)> {
    PAGES.into_iter().map(|page| (page, fs::read_to_string(root().join("docs/guide").join(page)).unwrap()))
}

/// Returns a text without its indentation.
fn flush(text: &str) -> String {
    text.lines().map(str::trim).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_code_of_the_guide_is_compiled_here() {
    let files =
        ["src", "tests"].map(|folder| fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)));
    let files = files.into_iter().flatten().flatten().map(|file| file.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|it| it == "rs"));
    let code: Vec<_> = files.map(|path| flush(&fs::read_to_string(path).unwrap())).collect();
    let mut blocks = 0;
    for (page, text) in pages() {
        for block in text.split("```rs\n").skip(1) {
            let block = flush(block.split("```").next().unwrap());
            let is_here = code.iter().any(|code| code.contains(block.trim()));
            assert!(is_here, "{page} has code that differs from this crate's:\n{block}");
            blocks += 1;
        }
    }
    assert!(blocks > 5, "the code is found");
}

#[test]
fn the_versions_of_the_guide_are_those_of_the_tests() {
    let lock = |path| fs::read_to_string(root().join(path)).unwrap();
    let locks = lock("Cargo.lock") + &lock("crates/integrations/Cargo.lock");
    let is_locked =
        |name: &str, version: &str| locks.contains(&format!("name = \"{name}\"\nversion = \"{version}"));
    let mut libraries = 0;
    for (page, text) in pages() {
        for line in text.lines().filter(|line| line.starts_with("| `")) {
            let mut cells = line.split('|').skip(1).map(|cell| cell.trim().trim_matches('`'));
            let (name, version) = (cells.next().unwrap(), cells.next().unwrap());
            assert!(is_locked(name, &format!("{version}\"")), "{page}: {name} {version}");
            libraries += 1;
        }
        let mut title = text.lines().next().unwrap().split(['`', ':']).skip(1);
        if let (Some(name), Some(version)) = (title.next(), title.next()) {
            assert!(is_locked(name, &format!("{}.", version.trim())), "{page}: {name} {version}");
        }
    }
    assert_eq!(libraries, 7);
}
