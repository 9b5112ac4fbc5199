//! Reading the JSON of providers as leniently as their clients do.
//!
//! A character beyond U+FFFF has two escapes in JSON, and servers that stream text cut it between them:
//! `{"content":"\ud83d"}`. Others cut within the bytes of a character. Clients accept both, so such a document
//! is no malformed one. Each half is read as U+FFFD.

use serde::de::IgnoredAny;
use serde_json::Value;

/// Parses a document. One that is valid JSON and has no `Value`, because it is nested too deeply or has a number
/// that is too large, is read as `null`. `None` if the text is not JSON.
pub(crate) fn parse(text: &[u8]) -> Option<Value> {
    match serde_json::from_slice(text) {
        Ok(value) => Some(value),
        Err(_) => mended(text),
    }
}

#[cold]
fn mended(text: &[u8]) -> Option<Value> {
    let text = without_halves(&String::from_utf8_lossy(text));
    let is_json = || serde_json::from_str::<IgnoredAny>(&text).is_ok();
    serde_json::from_str(&text).ok().or_else(|| is_json().then_some(Value::Null))
}

/// Replaces each escape that is half a character.
fn without_halves(text: &str) -> String {
    let mut whole = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        whole.push_str(before);
        let is_low = |code: Option<u32>| matches!(code, Some(0xDC00..=0xDFFF));
        let length = match code(escape) {
            Some(0xD800..=0xDBFF) if is_low(code(&escape[6..])) => 12,
            Some(0xD800..=0xDFFF) => {
                whole.push(char::REPLACEMENT_CHARACTER);
                rest = &escape[6..];
                continue;
            }
            _ => escape.chars().take(2).map(char::len_utf8).sum(),
        };
        whole.push_str(&escape[..length]);
        rest = &escape[length..];
    }
    whole + rest
}

/// Returns the code of the escape `\uXXXX` at the beginning of a text.
fn code(text: &str) -> Option<u32> {
    u32::from_str_radix(text.strip_prefix("\\u")?.get(..4)?, 16).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn halves_of_characters_are_replaced() {
        for (text, read) in [
            (&br#"["\ud83d"]"#[..], "\u{fffd}"),
            (br#"["a\uDE00b"]"#, "a\u{fffd}b"),
            (br#"["\ud83d\ud83d\ude00"]"#, "\u{fffd}\u{1f600}"),
            (br#"["\ud83d\n\\ude00"]"#, "\u{fffd}\n\\ude00"),
            (b"[\"\xf0\x9f\"]", "\u{fffd}"),
        ] {
            assert_eq!(parse(text), Some(json!([read])), "{}", text.escape_ascii());
        }
    }

    #[test]
    fn valid_json_is_read_whatever_its_depth_and_its_numbers() {
        let deep = ["[".repeat(500), "]".repeat(500)].concat();
        assert_eq!(parse(deep.as_bytes()), Some(Value::Null));
        assert_eq!(parse(br#"{"a":1e999}"#), Some(Value::Null));
        for text in ["", "{", r#"{"a":NaN}"#, r#"["\ud83"]"#, r#"["\"#, "[1] 2"] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }
}
