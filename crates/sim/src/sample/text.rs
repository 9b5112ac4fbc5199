//! Strings with a format, a pattern or a length.

use serde_json::Value;

use super::pattern::matching;
use super::schema::{Flat, count};

/// Maximum length of a string that a schema can ask for.
const LONGEST: usize = 1024 * 1024;

const WORDS: [&str; 8] = ["fox", "dog", "quick", "brown", "lazy", "jumps", "over", "the"];

/// Returns the `nth` string that fits a schema.
pub(super) fn a_string(schema: &Flat, nth: usize) -> String {
    let least = count(schema, "minLength").unwrap_or(0).min(LONGEST);
    let most = count(schema, "maxLength").unwrap_or(usize::MAX);
    let text = |name: &str| schema.get(name).and_then(Value::as_str);
    if let Some(found) = text("pattern").and_then(|pattern| matching(pattern, least, most, nth)) {
        return found;
    }
    if let Some(found) = text("format").and_then(|format| formatted(format, nth)) {
        return found;
    }
    let word = WORDS.get(nth % WORDS.len()).copied().unwrap_or("fox");
    let mut out = if nth < WORDS.len() { word.to_owned() } else { format!("{word}{nth}") };
    while out.chars().count() < least {
        out.push_str(if out.len().is_multiple_of(2) { " a" } else { "xo" });
    }
    // A string of the shortest length differs in its last letters, which a limit must not cut.
    let skipped = if nth < WORDS.len() { 0 } else { out.chars().count().saturating_sub(most) };
    out.chars().skip(skipped).take(most).collect()
}

/// Returns the `nth` string of a format, if it is known.
fn formatted(format: &str, nth: usize) -> Option<String> {
    let day = nth % 28 + 1;
    Some(match format {
        "date-time" => format!("2025-01-{day:02}T12:00:00Z"),
        "date" => format!("2025-01-{day:02}"),
        "time" => format!("12:00:{:02}Z", nth % 60),
        "duration" => format!("PT{}M", nth + 1),
        "email" | "idn-email" => format!("fox{nth}@example.com"),
        "hostname" | "idn-hostname" => format!("host{nth}.example.com"),
        "ipv4" => format!("192.0.2.{}", nth % 254 + 1),
        "ipv6" => format!("2001:db8::{:x}", nth % 65_535 + 1),
        "uri" | "url" | "iri" | "uri-reference" | "iri-reference" => format!("https://example.com/{nth}"),
        "uri-template" => format!("https://example.com/{nth}/{{name}}"),
        "uuid" | "uuid4" => format!("00000000-0000-4000-8000-{nth:012x}"),
        "json-pointer" => format!("/{nth}"),
        "relative-json-pointer" => format!("{nth}/a"),
        "regex" => "^a+$".to_owned(),
        "byte" | "binary" | "base64" => "Zm94".to_owned(),
        _ => return None,
    })
}
