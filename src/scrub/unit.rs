//! One character of a secret in each form that text may use: plain, percent-encoded, escaped, or as an HTML
//! entity.

/// Maximum number of backslashes before one escaped character (8): a JSON string quoted in a JSON string,
/// three times over.
const BACKSLASHES: usize = 8;

/// Length in bytes of the longest HTML entity that is recognised: `&#x0002F;`.
const ENTITY: usize = 9;

/// Result of matching one character of the secret at the start of a text.
pub(super) enum Unit {
    /// The character matches and takes this many bytes.
    Read(usize),
    /// The text ends before the match is decided.
    Cut,
    Other,
}

/// Matches one character in any form.
pub(super) fn unit(text: &[u8], character: u8) -> Unit {
    let escaped = match text.first() {
        None => return Unit::Cut,
        Some(b'%') => percent(text, character),
        Some(b'\\') => backslash(text, character),
        Some(b'&') => entity(text, character),
        Some(_) => Unit::Other,
    };
    match escaped {
        Unit::Other if text.first() == Some(&character) => Unit::Read(1),
        escaped => escaped,
    }
}

/// Matches the form `%73`. The percent sign may itself be encoded, up to three times (`%2573`).
fn percent(text: &[u8], character: u8) -> Unit {
    let mut at = 1;
    for _ in 0..=3 {
        match hex(&text[at..], 2) {
            Hex::Read(code) if code == u32::from(character) => return Unit::Read(at + 2),
            Hex::Read(0x25) => at += 2,
            Hex::Cut => return Unit::Cut,
            Hex::Read(_) | Hex::None => return Unit::Other,
        }
    }
    Unit::Other
}

/// Matches the forms `\u0073`, `\x73` and `\/`. Quoting may have multiplied the backslash.
fn backslash(text: &[u8], character: u8) -> Unit {
    let slashes = text.iter().take_while(|byte| **byte == b'\\').count();
    if slashes > BACKSLASHES {
        return Unit::Other;
    }
    if character == b'\\' && slashes >= 2 {
        return Unit::Read(2);
    }
    let digits = match text.get(slashes) {
        None => return Unit::Cut,
        Some(b'u') => 4,
        Some(b'x') => 2,
        Some(other) if *other == character && !character.is_ascii_alphanumeric() => {
            return Unit::Read(slashes + 1);
        }
        Some(_) => return Unit::Other,
    };
    match hex(&text[slashes + 1..], digits) {
        Hex::Read(code) if code == u32::from(character) => Unit::Read(slashes + 1 + digits),
        Hex::Cut => Unit::Cut,
        Hex::Read(_) | Hex::None => Unit::Other,
    }
}

/// Matches the forms `&#47;`, `&#x2F;`, `&amp;`, `&lt;` and `&gt;`.
fn entity(text: &[u8], character: u8) -> Unit {
    let Some(end) = text.iter().take(ENTITY).position(|byte| *byte == b';') else {
        let may_go_on =
            text.len() < ENTITY && text[1..].iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'#');
        return if may_go_on { Unit::Cut } else { Unit::Other };
    };
    let code = match &text[1..end] {
        b"amp" => Some(u32::from(b'&')),
        b"lt" => Some(u32::from(b'<')),
        b"gt" => Some(u32::from(b'>')),
        [b'#', b'x' | b'X', digits @ ..] => number(digits, 16),
        [b'#', digits @ ..] => number(digits, 10),
        _ => None,
    };
    if code == Some(u32::from(character)) { Unit::Read(end + 1) } else { Unit::Other }
}

enum Hex {
    Read(u32),
    /// The text ends among the digits.
    Cut,
    None,
}

/// Parses a number of exactly `digits` hexadecimal digits.
fn hex(text: &[u8], digits: usize) -> Hex {
    let there = &text[..text.len().min(digits)];
    if !there.iter().all(u8::is_ascii_hexdigit) {
        return Hex::None;
    }
    if there.len() < digits { Hex::Cut } else { number(there, 16).map_or(Hex::None, Hex::Read) }
}

fn number(digits: &[u8], radix: u32) -> Option<u32> {
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, radix).ok()
}
