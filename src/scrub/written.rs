//! Search for a secret in every form in which text may write it.
//!
//! Providers echo a key as it is, percent-encoded (from a URL), escaped (in a JSON string, also in one quoted
//! inside another) or as HTML entities. Any character may be written in any of these forms, so the text is
//! matched character by character. The forms are bounded, so a partial match is bounded too.

use memchr::{memchr, memchr3};

use crate::scrub::unit::{Unit, unit};

/// Minimum length of a secret that is searched for (4). Shorter ones would be found inside words.
const SHORTEST: usize = 4;

/// Number of consecutive characters of a secret that count as showing it (8), not counting its [common
/// prefix](common_prefix).
pub(super) const RUN: usize = 8;

/// Prefixes of keys by kind. A prefix identifies a provider and no key.
const PREFIXES: [&str; 22] = [
    "sk-proj-",
    "sk-svcacct-",
    "sk-admin-",
    "sk-ant-api03-",
    "sk-ant-admin01-",
    "sk-ant-oat01-",
    "sk-or-v1-",
    "sk-",
    "gsk_",
    "xai-",
    "pplx-",
    "csk-",
    "hf_",
    "r8_",
    "fw_",
    "nvapi-",
    "tgp_v1_",
    "github_pat_",
    "ghp_",
    "dop_v1_",
    "pa-",
    "AIza",
];

/// A secret to search for in text.
#[derive(Clone, Copy)]
pub(crate) struct Written<'s>(&'s [u8]);

/// Characters of a secret that few texts have.
#[derive(Clone, Copy)]
pub(super) struct Marks {
    /// The rarest character that both the secret and any beginning that [shows](Written::shows_in) it have.
    pub(super) in_values: u8,
    /// The rarest character of the secret in names of headers, in lower case.
    pub(super) in_names: u8,
}

/// The result of overwriting a secret in a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Overwritten {
    /// Whether the text contained the whole secret at least once.
    pub(crate) found: bool,
    /// A beginning of the secret at the end of the text, if there is one.
    pub(crate) begun: Option<Begun>,
}

/// A beginning of the secret at the end of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Begun {
    /// Position of the beginning in bytes.
    pub(crate) at: usize,
    /// Number of characters of the secret that are present.
    characters: usize,
}

enum Here {
    /// The whole secret, which takes this many bytes of the text.
    Whole(usize),
    /// A beginning of the secret, with this many of its characters, takes the rest of the text.
    Begun(usize),
    Nothing,
}

// === impl Marks ===

impl Marks {
    pub(super) fn of(secret: &str) -> Self {
        let in_texts = |byte: &u8| match byte {
            b'a'..=b'z' => 0,
            b'0'..=b'9' => 1,
            b'A'..=b'Z' => 2,
            _ => 3,
        };
        // Names of headers consist of letters and hyphens.
        let in_names = |byte: &u8| match byte {
            b'-' => 0,
            b'a'..=b'z' | b'A'..=b'Z' => 1,
            _ => 2,
        };
        let beginning = secret.bytes().take(RUN);
        Self {
            in_values: beginning.max_by_key(in_texts).unwrap_or_default(),
            in_names: secret.bytes().max_by_key(in_names).unwrap_or_default().to_ascii_lowercase(),
        }
    }
}

// === impl Written ===

impl<'s> Written<'s> {
    /// Creates a search; `None` for a secret that is too short to be distinguished from a word.
    pub(crate) const fn new(secret: &'s str) -> Option<Self> {
        if secret.len() < SHORTEST { None } else { Some(Self(secret.as_bytes())) }
    }

    /// Returns whether a text of this length may hold the secret in any form.
    pub(crate) const fn fits(&self, length: usize) -> bool {
        self.0.len() <= length
    }

    pub(crate) fn is_in(&self, text: &[u8]) -> bool {
        self.fits(text.len()) && matches!(self.next(text, 0), Some((_, Here::Whole(_))))
    }

    /// Overwrites every whole occurrence of the secret. A beginning of it at the end of the text is reported
    /// and kept.
    pub(crate) fn overwrite(&self, text: &mut [u8]) -> Overwritten {
        let mut seen = Overwritten::default();
        let mut from = 0;
        while let Some((at, here)) = self.next(text, from) {
            match here {
                Here::Whole(length) => {
                    text[at..at + length].fill(b'*');
                    seen.found = true;
                    from = at + length;
                }
                Here::Begun(characters) => {
                    seen.begun = Some(Begun { at, characters });
                    break;
                }
                Here::Nothing => break,
            }
        }
        seen
    }

    /// Returns the first occurrence of the secret, or its beginning at the end of the text, without changing
    /// anything.
    pub(crate) fn look(&self, text: &[u8]) -> Overwritten {
        match self.next(text, 0) {
            Some((_, Here::Whole(_))) => Overwritten { found: true, begun: None },
            Some((at, Here::Begun(characters))) => {
                Overwritten { found: false, begun: Some(Begun { at, characters }) }
            }
            _ => Overwritten::default(),
        }
    }

    /// Returns whether a beginning of the secret that nothing will complete shows too much of it.
    pub(crate) fn shows_in(&self, begun: Begun) -> bool {
        begun.characters >= common_prefix(self.0) + RUN
    }

    /// Returns the first position at or behind `from` where the secret is or begins.
    fn next(&self, text: &[u8], from: usize) -> Option<(usize, Here)> {
        let mut at = from;
        loop {
            at += self.candidate(text.get(at..)?)?;
            match self.here(&text[at..]) {
                Here::Nothing => at += 1,
                here => return Some((at, here)),
            }
        }
    }

    /// Returns the first position where the secret's first character may be, in any form.
    fn candidate(&self, text: &[u8]) -> Option<usize> {
        let here = memchr3(self.0[0], b'\\', b'%', text);
        // Only up to there, so that no byte is searched for entities twice.
        memchr(b'&', &text[..here.unwrap_or(text.len())]).or(here)
    }

    fn here(&self, text: &[u8]) -> Here {
        // Mostly the second character tells.
        if let [first, second, ..] = text
            && first.is_ascii_alphanumeric()
            && *second != self.0[1]
            && !matches!(second, b'%' | b'\\' | b'&')
        {
            return Here::Nothing;
        }
        if text.starts_with(self.0) {
            return Here::Whole(self.0.len());
        }
        if self.0.starts_with(text) {
            return Here::Begun(text.len());
        }
        let mut read = 0;
        for (characters, character) in self.0.iter().enumerate() {
            match unit(&text[read..], *character) {
                Unit::Read(length) => read += length,
                Unit::Cut => return Here::Begun(characters),
                Unit::Other => return Here::Nothing,
            }
        }
        Here::Whole(read)
    }
}

/// Returns the number of leading characters of a secret that all keys of its kind share.
pub(super) fn common_prefix(secret: &[u8]) -> usize {
    PREFIXES.iter().find(|prefix| secret.starts_with(prefix.as_bytes())).map_or(0, |prefix| prefix.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overwritten(text: &str, secret: &str) -> String {
        let mut text = text.as_bytes().to_vec();
        Written::new(secret).unwrap().overwrite(&mut text);
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn a_secret_is_found_in_every_form() {
        for form in [
            "sk-a/b+c",
            "sk-a%2Fb%2Bc",
            "sk-a%2fb%2bc",
            "%73%6B-a/b+c",
            "%2573k-a%252fb+c",
            r"\u0073k-a\/b+c",
            r"sk-a\u002fb\u002Bc",
            r"\\u0073k-a\\/b+c",
            r"sk-a\x2fb+c",
            "sk-a&#x2F;b&#43;c",
            "&#115;&#107;&#45;&#97;&#47;&#98;&#43;&#99;",
            "&#x73;k-a&#X2f;b+c",
        ] {
            let text = format!("<{form}> {form}");
            let stars = "*".repeat(form.len());
            assert_eq!(overwritten(&text, "sk-a/b+c"), format!("<{stars}> {stars}"), "{form}");
        }
    }

    #[test]
    fn what_only_looks_like_it_stays() {
        for text in ["sk-a/b", "sk-a/b+", "SK-A/B+C", r"\nsk-a", "100%", "%zz", r"C:\u", "&amp;", "sk-a%2"] {
            assert_eq!(overwritten(text, "sk-a/b+c"), text);
        }
        assert!(Written::new("abc").is_none());
    }

    #[test]
    fn a_secret_of_escape_characters_is_found_plain() {
        for secret in ["a%41b", "%25%25", "&amp;x", "a\\b\\c"] {
            assert_eq!(
                overwritten(&format!("<{secret}>"), secret),
                format!("<{}>", "*".repeat(secret.len()))
            );
        }
    }

    #[test]
    fn a_beginning_is_where_the_rest_may_follow() {
        let secret = Written::new("sk-proj-0123456789").unwrap();
        for (text, at) in [
            ("", None),
            ("x", None),
            ("xs", Some(1)),
            ("x sk-proj-01234", Some(2)),
            (r"x\u00", Some(1)),
            ("x%7", Some(1)),
            ("sk-sk-pr", Some(3)),
            ("sk-proj-01234x", None),
        ] {
            assert_eq!(secret.look(text.as_bytes()).begun.map(|begun| begun.at), at, "{text}");
        }
        let shows = |text: &str| secret.shows_in(secret.look(text.as_bytes()).begun.unwrap());
        assert!(!shows("sk-proj-0123456"));
        assert!(shows("sk-proj-01234567"));
    }
}
