//! Words that a message contains.

use std::borrow::Cow;

use serde_json::Value;

use crate::classify::error_body::ErrorBody;
use crate::provider::rule::seen::Seen;

/// A phrase of whole words, in lower case and with single spaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Phrase(String);

// === impl Phrase ===

impl Phrase {
    /// Returns the phrase of a text; `None` if the text has no letter and no digit.
    pub(super) fn new(text: &str) -> Option<Self> {
        text.chars().any(char::is_alphanumeric).then(|| Self(folded(text)))
    }

    /// Returns whether a [folded] text contains the phrase as whole words.
    pub(super) fn is_in(&self, text: &str) -> bool {
        let phrase = self.0.as_str();
        text.match_indices(phrase).any(|(at, _)| {
            let (before, behind) = (&text[..at], &text[at + phrase.len()..]);
            !is_joined(before.chars().next_back(), phrase.chars().next())
                && !is_joined(phrase.chars().next_back(), behind.chars().next())
        })
    }
}

/// Returns a text in lower case, with single spaces and plain apostrophes.
pub(super) fn folded(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !folded.is_empty() {
            folded.push(' ');
        }
        folded.push_str(&word.to_lowercase().replace('’', "'"));
    }
    folded
}

/// Returns the text in which phrases are searched: the message of the error, or all text of a body without
/// one.
///
/// Of a success it is the message of a JSON document only: all other text may be a model's, which says
/// anything.
pub(super) fn text_of<'a>(response: &'a ErrorBody, seen: &Seen<'a>) -> Cow<'a, str> {
    if !seen.is_error && response.root().is_null() {
        return "".into();
    }
    if !seen.is_error || !response.message().is_empty() {
        return response.message().into();
    }
    let mut text = String::new();
    collect(response.root(), &mut text);
    if text.is_empty() { String::from_utf8_lossy(seen.body) } else { text.into() }
}

fn collect(value: &Value, text: &mut String) {
    match value {
        Value::String(line) => {
            text.push_str(line);
            text.push('\n');
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, text)),
        Value::Object(members) => members.values().for_each(|value| collect(value, text)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Returns whether two neighbouring characters belong to one word.
fn is_joined(left: Option<char>, right: Option<char>) -> bool {
    left.is_some_and(is_of_word) && right.is_some_and(is_of_word)
}

/// Returns whether a character is part of a word that spaces or marks end. Chinese, Japanese, Korean and Thai
/// put no space, or not always one, between words.
fn is_of_word(letter: char) -> bool {
    let is_unspaced = matches!(letter,
        '\u{e00}'..='\u{eff}' | '\u{1100}'..='\u{11ff}' | '\u{2e80}'..='\u{9fff}' | '\u{ac00}'..='\u{d7ff}'
        | '\u{f900}'..='\u{faff}' | '\u{ff66}'..='\u{ff9d}' | '\u{20000}'..='\u{3ffff}');
    (letter.is_alphanumeric() || letter == '_') && !is_unspaced
}
