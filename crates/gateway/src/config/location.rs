//! The place of a value in a configuration file.

use std::fmt;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::config::redact::redacted;

/// The place of a problem in a configuration.
///
/// Displayed as `gateway.toml:12:8: provider[1].base_url`, without the parts that are not known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Location {
    pub(super) file: Option<PathBuf>,
    pub(super) position: Option<(usize, usize)>,
    pub(super) path: ValuePath,
}

/// The path from the root of a document to a value.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct ValuePath(Vec<Segment>);

#[derive(Clone, PartialEq, Eq)]
enum Segment {
    Field(String),
    Index(usize),
}

// === impl Location ===

impl Location {
    /// Returns the file; `None` if the configuration did not come from one.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Returns line and column, both counted from one; `None` if they are not known.
    pub const fn position(&self) -> Option<(usize, usize)> {
        self.position
    }

    /// Returns the path of the value, with indices counted from zero: `provider[1].key[0].secret`. Empty for
    /// the file as a whole.
    pub fn path(&self) -> String {
        self.path.to_string()
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, position, path } = self;
        let file = file.as_ref().map(|file| file.display().to_string());
        let position = match (position, &file) {
            (Some((line, column)), Some(file)) => Some(format!("{file}:{line}:{column}")),
            (Some((line, column)), None) => Some(format!("line {line}, column {column}")),
            (None, _) => file,
        };
        let path = Some(path.to_string()).filter(|path| !path.is_empty());
        match (position, path) {
            (Some(position), Some(path)) => write!(f, "{position}: {path}"),
            (Some(one), None) | (None, Some(one)) => f.write_str(&one),
            (None, None) => f.write_str("the configuration"),
        }
    }
}

// === impl ValuePath ===

impl ValuePath {
    pub(super) fn field(&self, name: &str) -> Self {
        self.then(Segment::Field(name.to_owned()))
    }

    pub(super) fn index(&self, index: usize) -> Self {
        self.then(Segment::Index(index))
    }

    fn then(&self, step: Segment) -> Self {
        Self(self.0.iter().cloned().chain([step]).collect())
    }

    /// Returns line and column of the value in a TOML document, or of the last step of the path that exists.
    pub(super) fn find_in_toml(&self, text: &str) -> Option<(usize, usize)> {
        let root = DeTable::parse(text).ok()?;
        let mut steps = self.0.iter();
        let Some(Segment::Field(name)) = steps.next() else { return None };
        let mut here = member(root.get_ref(), name)?;
        for step in steps {
            let next = match (step, here.get_ref()) {
                (Segment::Field(name), DeValue::Table(table)) => member(table, name),
                (Segment::Index(index), DeValue::Array(array)) => array.get(*index),
                _ => None,
            };
            let Some(next) = next else { break };
            here = next;
        }
        Some(position(text, here.span().start))
    }
}

fn member<'a, 'i>(table: &'a DeTable<'i>, name: &str) -> Option<&'a Spanned<DeValue<'i>>> {
    table.iter().find(|(key, _)| key.get_ref() == name).map(|(_, value)| value)
}

/// Returns line and column of a byte, both counted from one.
pub(super) fn position(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

impl fmt::Display for ValuePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, step) in self.0.iter().enumerate() {
            match step {
                Segment::Field(name) if !is_ours(name) && redacted(name) != *name => {
                    write!(f, "{}{}", if index == 0 { "" } else { "." }, redacted(name))?;
                }
                Segment::Field(name) if is_bare(name) && index == 0 => f.write_str(name)?,
                Segment::Field(name) if is_bare(name) => write!(f, ".{name}")?,
                Segment::Field(name) => write!(f, ".{name:?}")?,
                Segment::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for ValuePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.to_string())
    }
}

/// Returns whether a name may be one of the format's own fields, which consist of words.
fn is_ours(name: &str) -> bool {
    name.split('_').all(|word| word.len() < 16 && word.bytes().all(|byte| byte.is_ascii_lowercase()))
}

fn is_bare(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}
