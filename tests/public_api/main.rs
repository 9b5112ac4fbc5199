//! The public face of the library, as text: `docs/public-api.txt` lists every public item, so that a change of it
//! is seen in review.
//!
//! The listing is read from the sources. Each item stands at its longest public path; its other paths are lines that
//! begin with `pub use`. Items of macros of the crate are listed as they expand.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

mod crate_source;
mod expand;
mod listing;
mod render;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::crate_source::CrateSource;

const UPDATE: &str = "UPDATE_PUBLIC_API";

#[test]
fn the_public_items_are_those_of_the_listing() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let listed = root.join("docs/public-api.txt");
    let found = listing::of(&CrateSource::read(&root.join("src/lib.rs")), "tower_key_rotation");
    if std::env::var_os(UPDATE).is_some() {
        fs::write(&listed, found.join("\n") + "\n").unwrap();
    }
    let expected = fs::read_to_string(&listed).unwrap_or_default();
    let (expected, found): (BTreeSet<_>, BTreeSet<_>) =
        (expected.lines().collect(), found.iter().map(String::as_str).collect());
    let gone = expected.difference(&found).map(|line| format!("- {line}\n"));
    let new = found.difference(&expected).map(|line| format!("+ {line}\n"));
    let difference: String = gone.chain(new).collect();
    assert!(
        difference.is_empty(),
        "the public face has changed:\n{difference}\nif that is meant: {UPDATE}=1 cargo test --all-features --test public_api"
    );
}

#[test]
fn every_kind_of_public_item_is_listed_and_nothing_else() {
    let source = CrateSource::parse(include_str!("sample.rs.txt"));
    let expected: Vec<_> = include_str!("sample.txt").lines().collect();
    assert_eq!(listing::of(&source, "sample"), expected);
}
