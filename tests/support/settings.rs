//! A test for each setting of a builder, and one that fails if a setting has no test.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Makes a test of each named function, and one that compares their names with the settings in the source.
macro_rules! settings {
    ($builder:literal: $($setting:ident),* $(,)?) => {
        #[test]
        fn every_setting_has_a_test() {
            crate::settings::assert_complete($builder, &[$(stringify!($setting)),*]);
        }

        mod shows {
            $(
                #[tokio::test(start_paused = true)]
                async fn $setting() {
                    super::$setting().await;
                }
            )*
        }
    };
}
pub(crate) use settings;

pub(crate) fn assert_complete(builder: &str, tested: &[&str]) {
    let tested: BTreeSet<String> = tested.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(of(builder), tested, "the settings of {builder}, and those that have a test");
}

/// Returns the public methods of a type that take it and return it.
fn of(builder: &str) -> BTreeSet<String> {
    let files = rust_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    let settings = files.iter().flat_map(|file| settings_in(&fs::read_to_string(file).unwrap(), builder));
    settings.collect()
}

fn settings_in(source: &str, builder: &str) -> Vec<String> {
    let blocks = source.split("\nimpl").skip(1).filter(|block| self_type(block) == Some(builder));
    let bodies = blocks.map(|block| block.split_once("\n}").map_or(block, |(body, _)| body));
    bodies.flat_map(|body| body.split("pub ").skip(1).filter_map(setting)).collect()
}

/// Returns the type of an inherent `impl` block.
fn self_type(block: &str) -> Option<&str> {
    let header = block.split_once('{')?.0;
    let header = match header.strip_prefix('<') {
        Some(generic) => generic.split_once("> ")?.1,
        None => header.trim_start(),
    };
    let is_trait = header.split_whitespace().any(|word| word == "for");
    header.split(['<', ' ']).next().filter(|_| !is_trait)
}

fn setting(after_pub: &str) -> Option<String> {
    let function = after_pub.strip_prefix("const ").unwrap_or(after_pub).strip_prefix("fn ")?;
    let (signature, _) = function.split_once('{')?;
    let (name, parameters) = signature.split_once('(')?;
    let takes_self = ["self", "mut self"].iter().any(|it| parameters.trim_start().starts_with(it));
    let gives_self = signature.split_once("-> Self").is_some();
    (takes_self && gives_self).then(|| name.split('<').next().unwrap_or(name).to_owned())
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { rust_files(&path) } else { vec![path] }).collect()
}

#[test]
fn settings_are_found_and_nothing_else() {
    let source = "\nimpl<T: A> Built<T> {\n    pub fn one(self, x: impl Fn(A)) -> Self {\n        x }\n    \
                  pub const fn two<T>(\n        mut self,\n    ) -> Self\n    where T: C {\n }\n    fn three(self) -> Self {}\n    \
                  pub fn four(&self) -> Self {}\n    pub fn five(self) -> Other {}\n}\nimpl Built {\n    \
                  pub fn new() -> Self {}\n    pub(crate) fn six(self) -> Self {}\n}\nimpl Other for Built {\n    \
                  pub fn seven(self) -> Self {}\n}\nimpl Builtin {\n    pub fn eight(self) -> Self {}\n}\n";
    assert_eq!(settings_in(source, "Built"), ["one", "two"]);
}
