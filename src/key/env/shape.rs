//! Text that is no key at first sight: text around a key, and placeholders.

use crate::key::env::found::EnvFault;

/// Words of placeholders. A key has none of them between two of its separators.
const WORDS: [&str; 17] = [
    "changeme",
    "dummy",
    "example",
    "fake",
    "goes",
    "here",
    "insert",
    "none",
    "null",
    "placeholder",
    "redacted",
    "replace",
    "replaceme",
    "todo",
    "undefined",
    "value",
    "your",
];

/// Words that say what belongs here. Text made up only of them is a placeholder.
const NOUNS: [&str; 10] = ["a", "api", "apikey", "key", "my", "secret", "sk", "the", "token", "this"];

/// Quotation marks, straight and typographic.
const QUOTES: [char; 6] = ['"', '\'', '\u{201c}', '\u{201d}', '\u{2018}', '\u{2019}'];

/// Words that stand before a key in a header, in lower case.
const BEFORE_KEY: [&str; 7] =
    ["bearer", "basic", "token", "authorization:", "x-api-key:", "api-key:", "x-goog-api-key:"];

/// Returns the fault of a value as a whole, before it is split into keys.
pub(super) fn fault(value: &str) -> Option<EnvFault> {
    let text = value.trim();
    let encloses = |open: &[char], close: &[char]| text.starts_with(open) && text.ends_with(close);
    match () {
        () if value.contains(char::REPLACEMENT_CHARACTER) => Some(EnvFault::NotUnicode),
        () if value.starts_with('\u{feff}') => Some(EnvFault::ByteOrderMark),
        () if encloses(&['['], &[']']) || (encloses(&['{'], &['}']) && !text.starts_with("{{")) => {
            Some(EnvFault::Json)
        }
        () if encloses(&QUOTES, &QUOTES) => Some(EnvFault::Quotes),
        () if is_assignment(text) => Some(EnvFault::Assignment),
        () => fault_of_words(text),
    }
}

/// Returns the fault of a value that has a word between its keys which is none.
fn fault_of_words(text: &str) -> Option<EnvFault> {
    let words = || text.split(|char: char| char.is_whitespace() || matches!(char, ',' | ';'));
    let lower = text.to_ascii_lowercase();
    let is_glued = BEFORE_KEY.iter().any(|word| word.ends_with(':') && lower.starts_with(word));
    let is_scheme = |word: &str| BEFORE_KEY.iter().any(|scheme| word.eq_ignore_ascii_case(scheme));
    let has_more = text.contains(char::is_whitespace);
    match () {
        () if words().any(|word| word.starts_with('#')) => Some(EnvFault::Comment),
        () if is_glued || (has_more && words().any(is_scheme)) => Some(EnvFault::Header),
        () => None,
    }
}

/// Returns whether a text begins like `OPENAI_API_KEY=…`, with or without `export`.
fn is_assignment(text: &str) -> bool {
    let text = text.strip_prefix("export ").unwrap_or(text);
    let name = text.split_once('=').map(|(name, _)| name.trim()).unwrap_or_default();
    name.bytes().all(is_name) && ["KEY", "KEYS", "TOKEN", "TOKENS"].iter().any(|end| name.ends_with(end))
}

/// Returns the fault of one key of a value.
pub(super) fn fault_of_key(key: &str) -> Option<EnvFault> {
    key.contains(QUOTES).then_some(EnvFault::Quotes)
}

/// Returns whether a text stands for a key that is still to be put in: `your-api-key`, `sk-xxx`, `<KEY>`,
/// `${KEY}`.
pub(super) fn is_placeholder(key: &str) -> bool {
    let encloses = |open: &str, close: &str| key.starts_with(open) && key.ends_with(close);
    let is_template = encloses("<", ">") || encloses("${", "}") || encloses("{{", "}}") || encloses("%", "%");
    let is_variable = key.strip_prefix('$').is_some_and(|name| name.bytes().all(is_name));
    is_template || is_variable || is_filler(key) || is_wording(key)
}

/// Returns whether the last part of a text repeats one character: `sk-xxx`, `sk-...`, `****`.
fn is_filler(key: &str) -> bool {
    let last = key.bytes().last().filter(|last| matches!(last, b'x' | b'X' | b'*' | b'.' | b'_'));
    let Some(last) = last else { return false };
    let run = key.bytes().rev().take_while(|byte| *byte == last).count();
    let rest = &key[..key.len() - run];
    run >= 3 && (rest.is_empty() || rest.ends_with(['-', '_']))
}

fn is_wording(key: &str) -> bool {
    let lower = key.to_ascii_lowercase();
    let words = || lower.split(|char: char| !char.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let is_word = |word: &str| WORDS.contains(&word) || (word.starts_with("your") && word.ends_with("key"));
    words().any(is_word) || words().all(|word| NOUNS.contains(&word))
}

const fn is_name(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_stands_for_a_key_is_a_placeholder() {
        for text in [
            "your-api-key-here",
            "YOUR_API_KEY",
            "yourkey",
            "sk-xxx",
            "sk-ant-xxxxxxxx",
            "sk-...",
            "****",
            "xxx",
            "<KEY>",
            "<your key>",
            "${OPENAI_API_KEY}",
            "$OPENAI_API_KEY",
            "{{ key }}",
            "%OPENAI_API_KEY%",
            "changeme",
            "change-me-placeholder",
            "sk-insert-here",
            "api_key",
            "my-secret-token",
            "TODO",
            "null",
        ] {
            assert!(is_placeholder(text), "{text}");
        }
    }

    #[test]
    fn a_key_is_no_placeholder() {
        for text in [
            "sk-one",
            "sk-proj-Ab12Cd34Ef56",
            "sk-ant-api03-Zx9yourself-Q",
            "gsk_0xxx9",
            "AIzaSyD-9tSrke72PouQMnMX-a7eZSW0jkFMBWY",
            "hf_abcxyzxxx1",
            "0123456789abcdef0123456789abcdef",
            "r8_xxxa",
            "sk-1234567890",
            "a-relay-of-mine",
        ] {
            assert!(!is_placeholder(text), "{text}");
        }
    }
}
