//! Parsing of a text into a [`ConfigFile`].

use std::path::Path;

use crate::config::error::{ConfigError, Problem};
use crate::config::file::ConfigFile;
use crate::config::location::{Location, position};

/// The format of a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// TOML.
    Toml,
    /// JSON, with the same names in the same places.
    Json,
}

// === impl Format ===

impl Format {
    /// Returns the format for the extension of a file; `None` if it is neither `toml` nor `json`.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let extension = path.extension()?;
        let is = |name: &str| extension.eq_ignore_ascii_case(name);
        if is("toml") { Some(Self::Toml) } else { is("json").then_some(Self::Json) }
    }

    pub(super) fn parse(self, text: &str) -> Result<ConfigFile, ConfigError> {
        let (position, message) = match self {
            Self::Toml => match toml::from_str(text) {
                Ok(file) => return Ok(file),
                Err(error) => {
                    (error.span().map(|span| position(text, span.start)), error.message().to_owned())
                }
            },
            // Editors write a byte order mark, which a parser of TOML skips by itself.
            Self::Json => match serde_json::from_str(text.trim_start_matches('\u{feff}')) {
                Ok(file) => return Ok(file),
                Err(error) => (Some((error.line(), error.column())), json_message(&error)),
            },
        };
        let problem = Problem::Malformed { message: without_values(&message) };
        Err(ConfigError::new(Location { position, ..Location::default() }, problem))
    }
}

/// Returns the message without the position at its end.
fn json_message(error: &serde_json::Error) -> String {
    let message = error.to_string();
    let position = format!(" at line {} column {}", error.line(), error.column());
    message.strip_suffix(&position).unwrap_or(&message).to_owned()
}

/// Returns the message of a parser without any content of the file. serde quotes unexpected content; the
/// expected words are our own.
fn without_values(message: &str) -> String {
    let Some((problem, rest)) = message.split_once(": ") else { return without_unknown_name(message) };
    if !problem.starts_with("invalid") {
        return problem.to_owned();
    }
    let (found, expected) = rest.rsplit_once(", expected ").unwrap_or((rest, ""));
    let kind = found.split(['"', '`', '\'']).next().unwrap_or_default().trim();
    if expected == "a string" && !["map", "sequence"].contains(&kind) {
        return format!("{problem}: {kind}, expected a text: put it in quotes");
    }
    if expected.is_empty() {
        format!("{problem}: {kind}")
    } else {
        format!("{problem}: {kind}, expected {expected}")
    }
}

/// Returns an `unknown field` message that contains the field's name only if it looks like the name of a
/// field.
fn without_unknown_name(message: &str) -> String {
    let Some(rest) = message.strip_prefix("unknown field `") else { return message.to_owned() };
    let (name, expected) = rest.rsplit_once("`, expected ").unwrap_or((rest, "none"));
    let looks_like_one = name.len() <= 32
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
        && name.split('_').all(|word| word.len() < 16);
    let name = if looks_like_one { format!(" `{name}`") } else { String::new() };
    format!("unknown field{name}, expected {expected}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parser_messages_lose_their_values() {
        for (message, shown) in [
            (
                r#"invalid type: string "a, expected b", expected a map"#,
                "invalid type: string, expected a map",
            ),
            (
                "invalid value: integer `0`, expected a nonzero u32",
                "invalid value: integer, expected a nonzero u32",
            ),
            ("unknown field `sk-1, expected `, expected `a` or `b`", "unknown field, expected `a` or `b`"),
            (
                "unknown field `wieght`, expected one of `a`, `b`",
                "unknown field `wieght`, expected one of `a`, `b`",
            ),
            (
                "invalid type: integer `8787`, expected a string",
                "invalid type: integer, expected a text: put it in quotes",
            ),
            ("invalid type: map, expected a string", "invalid type: map, expected a string"),
            ("missing field `name`", "missing field `name`"),
            ("duplicate key", "duplicate key"),
            ("custom: sk-1", "custom"),
        ] {
            assert_eq!(without_values(message), shown);
        }
    }
}
