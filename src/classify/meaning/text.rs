//! The part of a message that is the provider's own statement.
//!
//! Text in quotation marks repeats names or a part of the request, and an address names a page. Neither is a
//! statement, so both are left out before the message is read.

use std::borrow::Cow;

use crate::text::find::contains;

/// Pairs of quotation marks. An apostrophe opens a quotation only where no letter precedes it. A double quotation mark
/// that nothing closes quotes the rest, because providers cut what they repeat of a request.
const QUOTES: [(char, char); 10] = [
    ('"', '"'),
    ('\'', '\''),
    ('`', '`'),
    ('“', '”'),
    ('‘', '’'),
    ('«', '»'),
    ('「', '」'),
    ('『', '』'),
    ('《', '》'),
    ('<', '>'),
];

/// Returns the message without quotations and addresses, and with plain apostrophes.
pub(in crate::classify) fn statement(message: &str) -> Cow<'_, str> {
    let plain = match message.bytes().position(is_unusual) {
        Some(first) => Cow::Owned(without_quotations(message, first)),
        None => Cow::Borrowed(message),
    };
    if contains(&plain, "://") { Cow::Owned(without_addresses(&plain)) } else { plain }
}

/// Copies a message without its quotations. `first` is the position of the first unusual letter.
fn without_quotations(message: &str, first: usize) -> String {
    let mut plain = String::with_capacity(message.len());
    let (mut rest, mut next) = (message, Some(first));
    while let Some(at) = next {
        let (usual, unusual) = rest.split_at(at);
        plain.push_str(usual);
        let Some(letter) = unusual.chars().next() else { break };
        rest = &unusual[letter.len_utf8()..];
        match quotation(letter, plain.chars().next_back(), rest) {
            Some(length) => {
                plain.push(' ');
                rest = &rest[length..];
            }
            None => plain.push(if letter == '’' { '\'' } else { letter }),
        }
        next = rest.bytes().position(is_unusual);
    }
    plain.push_str(rest);
    plain
}

/// Returns whether a byte is a quotation mark, or belongs to a letter that may be one.
const fn is_unusual(byte: u8) -> bool {
    matches!(byte, b'"' | b'\'' | b'`' | b'<' | 0x80..)
}

/// Returns the length of the quotation that `open` begins, with its closing mark.
fn quotation(open: char, before: Option<char>, behind: &str) -> Option<usize> {
    let (_, close) = QUOTES.iter().find(|(mark, _)| *mark == open)?;
    if open == '\'' && before.is_some_and(char::is_alphanumeric) {
        return None;
    }
    let is_end = |at: usize| open != '\'' || !behind[at + 1..].starts_with(char::is_alphanumeric);
    match behind.match_indices(*close).find(|(at, _)| is_end(*at)) {
        Some((at, mark)) => Some(at + mark.len()),
        None => opens_cut_quotation(open, before, behind).then_some(behind.len()),
    }
}

/// Returns whether a mark without a closing one begins a quotation, by the letters at its sides.
fn opens_cut_quotation(open: char, before: Option<char>, behind: &str) -> bool {
    let is_opening = before.is_none_or(|before| before.is_whitespace() || ":=([{,".contains(before));
    matches!(open, '"' | '“' | '「' | '『')
        && is_opening
        && behind.starts_with(|next: char| !next.is_whitespace())
}

/// Replaces addresses by nothing, and keeps the end of the sentence behind them.
fn without_addresses(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for (number, line) in text.lines().enumerate() {
        if number > 0 {
            plain.push('\n');
        }
        for word in line.split_whitespace() {
            if is_address(word) {
                plain.push_str(if word.ends_with(['.', '!', '?']) { ". " } else { " " });
            } else {
                plain.push_str(word);
                plain.push(' ');
            }
        }
    }
    plain
}

fn is_address(word: &str) -> bool {
    word.contains("://")
}

/// Returns the sentences of a text, which end at a line feed, at a full stop or another mark before a space,
/// and at the Chinese marks.
pub(super) fn sentence_ends(text: &str) -> impl Iterator<Item = usize> {
    let bytes = text.as_bytes();
    let is_space = |at: usize| bytes.get(at).is_none_or(u8::is_ascii_whitespace);
    bytes.iter().enumerate().filter_map(move |(at, byte)| match byte {
        b'\n' => Some(at + 1),
        b'.' | b'!' | b'?' | b';' if is_space(at + 1) => Some(at + 1),
        // The last byte of a Chinese mark.
        0x82 | 0x81 | 0x9f | 0x9b
            if CHINESE_ENDS.iter().any(|mark| bytes[..=at].ends_with(mark.as_bytes())) =>
        {
            Some(at + 1)
        }
        _ => None,
    })
}

/// Chinese marks that end a sentence.
const CHINESE_ENDS: [&str; 4] = ["。", "！", "？", "；"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotations_and_addresses_are_no_statement() {
        for (message, plain) in [
            ("Invalid value: 'billing quota exceeded'.", "Invalid value: ."),
            ("You've reached the users' limit", "You've reached the users' limit"),
            ("You’ve reached it", "You've reached it"),
            ("tool `top_up` and \"balance\" end", "tool and end"),
            ("upgrade: https://x.y/billing (ref: 1)", "upgrade: (ref: 1)"),
            ("see https://x.ai/usage. Next", "see . Next"),
            ("The “insufficient balance” text", "The text"),
            ("weekly/monthly limit", "weekly/monthly limit"),
            ("an open ' stays", "an open ' stays"),
            ("an open \" stays", "an open \" stays"),
            ("a disk of 5\" stays", "a disk of 5\" stays"),
            ("Expected a name, got \"my balance is too lo", "Expected a name, got"),
            ("Bad text: “top up no", "Bad text:"),
            ("at {\"q\": \"insufficient bal", "at { :"),
        ] {
            let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
            assert_eq!(words(&statement(message)), words(plain), "{message}");
        }
    }

    #[test]
    fn sentences_end_at_marks() {
        let text = "Limit 1.5 reached. 余额不足。Next; end";
        let mut start = 0;
        let mut sentences = Vec::new();
        for end in sentence_ends(text).chain([text.len()]) {
            sentences.push(&text[start..end]);
            start = end;
        }
        assert_eq!(sentences, ["Limit 1.5 reached.", " 余额不足。", "Next;", " end"]);
    }
}
