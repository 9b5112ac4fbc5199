//! The traits that public types implement, and the dependencies between modules.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use http_body_util::Full;
use static_assertions::{assert_impl_all, assert_not_impl_any};
use tower_key_rotation::body::{ReplayBody, ResponseBody};
use tower_key_rotation::classify::{Outcome, Verdict};
use tower_key_rotation::event::{Event, Events, Subscription};
use tower_key_rotation::fallback::{ProviderFallback, ProviderFallbackLayer};
use tower_key_rotation::guard::{OriginGuardFuture, OriginGuardLayer};
use tower_key_rotation::key::{ApiKey, Secret};
use tower_key_rotation::pool::{Lease, PoolSnapshot};
use tower_key_rotation::rotate::{KeyRotation, ResponseFuture};
use tower_key_rotation::{
    AllKeysFailed, Error, KeyPool, KeyRotationLayer, Provider, RespondLayer, RetryBudget, Served,
};

assert_impl_all!(KeyPool: Clone, Send, Sync, std::fmt::Debug);
assert_impl_all!(Provider: Clone, Send, Sync, std::fmt::Debug);
assert_impl_all!(KeyRotationLayer: Clone, Send, Sync, std::fmt::Debug);
assert_impl_all!(KeyRotation<()>: Clone, Send, Sync, std::fmt::Debug);
assert_impl_all!(ProviderFallbackLayer<NotClone>: Clone, Send, Sync, std::fmt::Debug);
assert_impl_all!(ProviderFallback<(), NotClone>: Clone, Send, Sync, std::fmt::Debug);
assert_impl_all!(ProviderFallbackLayer<ResponseBody<Full<Bytes>>>: Clone, Send, Sync, std::fmt::Debug);
assert_impl_all!(RetryBudget: Clone, Send, Sync, std::fmt::Debug, Default);
assert_impl_all!(OriginGuardFuture<NotClone>: Send, Unpin, std::fmt::Debug);
assert_impl_all!(RespondLayer: Clone, Send, Sync, std::fmt::Debug);
assert_impl_all!(OriginGuardLayer: Clone, Send, Sync, std::fmt::Debug);
assert_impl_all!(ResponseFuture<Full<Bytes>>: Send, Unpin);
assert_impl_all!(ResponseBody<Full<Bytes>>: Send, Sync, Unpin, Default);
assert_impl_all!(ResponseBody<hyper::body::Incoming>: Send, Sync, Unpin, Default);
assert_impl_all!(ResponseBody<ResponseBody<hyper::body::Incoming>>: Send, Sync, Unpin, Default);
assert_impl_all!(ReplayBody: Clone, Send, Sync, Unpin);
assert_impl_all!(Error: Send, Sync, std::error::Error);
assert_impl_all!(AllKeysFailed: Send, Sync, std::error::Error);
assert_impl_all!(Served: Clone, Send, Sync);
assert_impl_all!(Lease: Send, Sync);
assert_impl_all!(Outcome: Clone, Send, Sync);
assert_impl_all!(Verdict: Clone, Send, Sync);
assert_impl_all!(Events: Clone, Send, Sync, std::fmt::Debug);
assert_impl_all!(Event: Clone, Send, Sync, serde::Serialize);
assert_impl_all!(Subscription: futures_util::Stream, Send, Sync, Unpin, std::fmt::Debug);
assert_impl_all!(PoolSnapshot: serde::Serialize, serde::de::DeserializeOwned);
assert_not_impl_any!(Secret: serde::Serialize);
assert_not_impl_any!(ApiKey: serde::Serialize);

/// Stands for the body of a real client, which implements none of these traits.
struct NotClone;

/// Checks that defaults can be named without a body or a classifier.
const _: [usize; 5] = [
    KeyRotationLayer::MAX_ATTEMPTS,
    KeyRotationLayer::MAX_RETRIES,
    KeyRotationLayer::PEEK_EVENTS,
    ProviderFallbackLayer::MAX_ATTEMPTS,
    ProviderFallbackLayer::COMPLETE_CAP,
];

/// The allowed dependencies. A module may use itself, and a module without an entry may use nothing of the crate.
const ARROWS: [(&str, &[&str]); 18] = [
    ("body", &["scrub"]),
    ("classify", &["body", "clock"]),
    ("clock", &[]),
    ("error", &["body", "classify", "key", "pool", "provider"]),
    ("event", &["body", "classify", "clock", "key", "limits", "provider"]),
    ("exchange", &["body", "classify", "clock", "error", "key", "pool", "provider", "scrub"]),
    ("fallback", &["body", "classify", "clock", "error", "event", "exchange", "provider"]),
    ("guard", &["provider"]),
    ("key", &["limits", "provider", "scrub"]),
    ("limits", &["body", "clock", "provider"]),
    ("pool", &["body", "classify", "clock", "event", "key", "limits", "provider", "sync"]),
    ("provider", &["body", "classify", "clock", "scrub"]),
    ("reqwest_client", &["body"]),
    ("respond", &["body", "classify", "error", "exchange"]),
    (
        "rotate",
        &[
            "body", "classify", "clock", "error", "event", "exchange", "key", "limits", "pool", "provider",
            "scrub",
        ],
    ),
    ("scrub", &[]),
    ("sync", &[]),
    ("lib", &[]),
];

#[test]
fn modules_depend_only_on_allowed_modules() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let allowed: BTreeMap<_, _> = ARROWS.into_iter().collect();
    let mut seen = 0;
    for file in rust_files(&src) {
        let module = module_of(&src, &file);
        let arrows = allowed.get(module.as_str()).unwrap_or_else(|| panic!("{module} has no entry"));
        for used in uses(&fs::read_to_string(&file).unwrap()) {
            seen += 1;
            assert!(
                used == module || arrows.contains(&used.as_str()),
                "{module} -> {used} in {}",
                file.display()
            );
        }
    }
    assert!(seen > 50, "the arrows are found");
}

#[test]
fn inline_paths_are_found() {
    let source = "use crate::a::X;\npub(crate) use crate::b;\n    fn f(x: crate::c::Y) {\n\
                  // crate::comment\n/// [`T`](crate::docs::T)\n        crate::d::go(crate::e::Z);\n    }\n\
                  let x = my_crate::f::X;\n#[cfg(test)]\nmod tests { use crate::g; }";
    assert_eq!(uses(source), ["a", "b", "c", "d", "e"]);
}

/// Returns the modules that the code of a file names in `use` lines and in paths. Docs and tests do not count.
fn uses(source: &str) -> Vec<String> {
    let code = source.lines().take_while(|line| !line.starts_with("#[cfg(test)]"));
    let code = code.filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let is_name = |char: char| char.is_alphanumeric() || char == '_';
    let paths = code.match_indices("crate::").filter(|(at, _)| !code[..*at].ends_with(is_name));
    paths
        .map(|(at, path)| code[at + path.len()..].chars().take_while(|char| is_name(*char)).collect())
        .collect()
}

fn module_of(src: &Path, file: &Path) -> String {
    let first = file.strip_prefix(src).unwrap().iter().next().unwrap();
    Path::new(first).file_stem().unwrap().to_string_lossy().into_owned()
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = entries.flat_map(|path| if path.is_dir() { rust_files(&path) } else { vec![path] });
    files.filter(|file| file.extension().is_some_and(|extension| extension == "rs")).collect()
}
