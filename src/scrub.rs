//! Detection and removal of keys in foreign text.
//!
//! Providers echo keys in headers, reason phrases and bodies; clients put URLs into errors. All of these are
//! searched for the key that was sent, in [every form](written) in which text may write it. Each occurrence
//! is overwritten with `*`, so that lengths do not change.

pub(crate) mod secret;
mod unit;
mod written;

use std::error::Error;

use http::header::HeaderName;
use http::response::Parts;
use http::{HeaderMap, HeaderValue};
use memchr::{memchr, memmem};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};
use tower::BoxError;

pub(crate) use self::written::{Overwritten, Written};
use crate::scrub::secret::Secret;
use crate::scrub::written::{RUN, common_prefix};

/// Characters of a key that a URL's query encodes: all except the unreserved ones.
pub(crate) const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Replacement for an error whose text contained a key.
#[derive(Debug, thiserror::Error)]
#[error("the client failed; its error is withheld because it contained the key")]
struct Withheld;

/// Returns the error, or [`Withheld`] if any part of its chain shows the secret.
pub(crate) fn redact(error: BoxError, secret: &str) -> BoxError {
    let mut next: Option<&dyn Error> = Some(&*error);
    while let Some(part) = next {
        let text = format!("{part} {part:?}");
        if shows(&text, secret) {
            return Withheld.into();
        }
        next = part.source();
    }
    error
}

/// Returns whether the text shows the secret.
pub(crate) fn shows(text: &str, secret: &str) -> bool {
    Written::new(secret).is_some_and(|secret| secret.is_in(text.as_bytes()))
}

/// Returns whether the text shows the secret, or 8 consecutive characters of the part that distinguishes it
/// from others of its kind, in any case.
pub(crate) fn shows_part(text: &str, secret: &str) -> bool {
    let own = &secret.as_bytes()[common_prefix(secret.as_bytes())..];
    shows(text, secret) || (may_share_run(text.as_bytes(), own) && share_run(text.as_bytes(), own))
}

/// Returns whether two texts may have [`RUN`] consecutive characters in common, in any case. Each such run contains four
/// characters that begin at a multiple of four in `text`, so only these are compared.
fn may_share_run(text: &[u8], own: &[u8]) -> bool {
    // Makes letters lower case, and some other characters equal.
    const FOLD: u32 = 0x2020_2020;
    let mut four = 0;
    let next = |byte: &u8| {
        four = four << 8 | u32::from(*byte);
        four | FOLD
    };
    let parts: Vec<u32> = own.iter().map(next).collect();
    text.as_chunks::<4>().0.iter().any(|four| parts.contains(&(u32::from_be_bytes(*four) | FOLD)))
}

fn share_run(text: &[u8], own: &[u8]) -> bool {
    let own = own.to_ascii_lowercase();
    text.to_ascii_lowercase().windows(RUN).any(|part| memmem::find(&own, part).is_some())
}

/// Returns whether a name shows the secret.
///
/// It does so if it contains the whole secret, its beginning including the prefix of its kind, or 8
/// consecutive characters of it that look random. Words do not count as parts of a key: a secret made up for
/// a test often contains the key's name.
pub(crate) fn names_secret(name: &str, secret: &str) -> bool {
    let prefix = common_prefix(secret.as_bytes());
    let (name, own) = (name.as_bytes(), &secret.as_bytes()[prefix..]);
    let beginning = secret.as_bytes().get(..RUN.max(prefix + RUN / 2));
    let holds = |part: &[u8]| memmem::find(name, part).is_some();
    let is_random = |run: &&[u8]| {
        let has = |kind: fn(&u8) -> bool| run.iter().any(kind);
        run.iter().all(u8::is_ascii_alphanumeric)
            && (has(u8::is_ascii_digit) && has(u8::is_ascii_alphabetic)
                || has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase))
    };
    holds(secret.as_bytes())
        || beginning.is_some_and(holds)
        || name.windows(RUN).filter(is_random).any(|run| memmem::find(own, run).is_some())
}

/// Returns the text with the secret overwritten and its length unchanged; `None` if the text does not show
/// the secret.
///
/// A beginning of the secret at the end of the text is overwritten too if it shows too much of it.
pub(crate) fn overwrite(text: &[u8], secret: &str) -> Option<Vec<u8>> {
    let secret = Written::new(secret)?;
    if secret.look(text) == Overwritten::default() {
        return None;
    }
    let mut scrubbed = text.to_vec();
    let Overwritten { mut found, begun } = secret.overwrite(&mut scrubbed);
    if let Some(begun) = begun.filter(|begun| secret.shows_in(*begun)) {
        scrubbed[begun.at..].fill(b'*');
        found = true;
    }
    found.then_some(scrubbed)
}

/// Removes the secret from the head of a response: header values, header names, the reason phrase.
pub(crate) fn head(head: &mut Parts, secret: &Secret) {
    headers(&mut head.headers, secret);
    reason_phrase(head, secret.expose());
}

/// Removes the secret from headers or trailers. A header whose name shows the secret is dropped.
pub(crate) fn headers(headers: &mut HeaderMap, secret: &Secret) {
    let (marks, secret) = (secret.marks(), secret.expose());
    let Some(written) = Written::new(secret) else { return };
    let in_value = |value: &HeaderValue| {
        let text = value.as_bytes();
        written.fits(text.len())
            && may_show(text, marks.in_values)
            && written.look(text) != Overwritten::default()
    };
    let in_name = |name: &HeaderName| {
        let name = name.as_str().as_bytes();
        written.fits(name.len())
            && memchr(marks.in_names, name).is_some()
            && shows_in_name(name, secret.as_bytes())
    };
    // Mostly it is in neither, which is found out in one pass.
    if !headers.iter().any(|(name, value)| in_value(value) || in_name(name)) {
        return;
    }
    for value in headers.values_mut().filter(|value| in_value(value)) {
        if let Some(clean) = overwrite(value.as_bytes(), secret).map(HeaderValue::try_from) {
            let sensitive = value.is_sensitive();
            *value = clean.unwrap_or(HeaderValue::from_static("*"));
            value.set_sensitive(sensitive);
        }
    }
    let names: Vec<_> = headers.keys().filter(|name| in_name(name)).cloned().collect();
    names.iter().for_each(|name| drop(headers.remove(name)));
}

/// Returns whether a text has one character of a secret, or one with which [other forms](mod@unit) of it begin. One pass over
/// a short text is cheaper than a search that stops at each candidate.
fn may_show(text: &[u8], character: u8) -> bool {
    let may = |byte: u8| byte == character || matches!(byte, b'%' | b'\\' | b'&');
    text.iter().fold(false, |shows, byte| shows | may(*byte))
}

/// Returns whether a header name, which is in lower case, shows the secret.
fn shows_in_name(name: &[u8], secret: &[u8]) -> bool {
    name.windows(secret.len()).any(|part| part.eq_ignore_ascii_case(secret))
}

/// Removes a reason phrase that shows the secret. hyper's clients keep a non-standard reason phrase in the
/// extensions, and its servers send it.
#[cfg(any(feature = "hyper-util", feature = "reqwest"))]
fn reason_phrase(head: &mut Parts, secret: &str) {
    use hyper::ext::ReasonPhrase;

    let shows = |reason: &ReasonPhrase| overwrite(reason.as_bytes(), secret).is_some();
    if head.extensions.get().is_some_and(shows) {
        head.extensions.remove::<ReasonPhrase>();
    }
}

#[cfg(not(any(feature = "hyper-util", feature = "reqwest")))]
const fn reason_phrase(_: &mut Parts, _: &str) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_plain_and_as_a_url_shows_it() {
        let scrubbed = overwrite(b"key=sk-a%2Fb; key sk-a/b; sk-a/", "sk-a/b").unwrap();
        assert_eq!(scrubbed, b"key=********; key ******; sk-a/");
        assert_eq!(overwrite(b"nothing", "sk-a/b"), None);
    }

    #[test]
    fn an_error_is_withheld_only_if_it_shows_the_key() {
        let error = |text: &str| BoxError::from(text.to_owned());
        assert!(redact(error("no route to http://h/?k=sk-a%2Fb"), "sk-a/b").is::<Withheld>());
        assert!(!redact(error("no route to http://h/"), "sk-a/b").is::<Withheld>());
    }

    #[test]
    fn a_part_of_eight_characters_shows_a_key() {
        let secret = "sk-proj-AbCdEfGhIjKl";
        for text in ["req_AbCdEfGh", "x-abcdefgh", "EfGhIjKl", "sk-proj-AbCdEfGhIjKl"] {
            assert!(shows_part(text, secret), "{text}");
        }
        for text in ["", "sk-proj-", "sk-proj-AbCdEf", "req_0123456789abcdef"] {
            assert!(!shows_part(text, secret), "{text}");
        }
        let own = secret.strip_prefix("sk-proj-").unwrap();
        for (run, before) in (0..=own.len() - RUN).flat_map(|run| (0..9).map(move |before| (run, before))) {
            let (run, before) = (&own[run..run + RUN], "-".repeat(before));
            assert!(shows_part(&format!("{before}{}.", run.to_uppercase()), secret), "{run} behind {before}");
            assert!(!shows_part(&format!("{before}{}-{}", &run[..4], &run[4..]), secret), "{run}");
        }
    }

    #[test]
    fn a_name_may_have_words_of_the_secret_and_no_part_of_it() {
        let secret = "sk-proj-AbCd1234EfGh5678";
        for name in [secret, "sk-proj-AbCd", "team sk-proj-AbCd1234", "Cd1234Ef", "x-EfGh5678"] {
            assert!(names_secret(name, secret), "{name}");
        }
        assert!(names_secret("sk-one", "sk-one") && names_secret("my sk-one", "sk-one"));
        for (name, secret) in [
            ("sk-proj-", secret),
            ("5678", secret),
            ("", secret),
            ("one", "sk-one"),
            ("OPENAI_API_KEY_2", "sk-simulated-OPENAI_API_KEY_2"),
            ("openai-small", "sk-simulated-openai-small"),
        ] {
            assert!(!names_secret(name, secret), "{name}");
        }
    }

    #[test]
    fn values_and_names_of_headers_are_cleared() {
        let mut headers = HeaderMap::new();
        headers.append("x-echo", HeaderValue::from_static("one"));
        headers.append("x-echo", HeaderValue::from_static("Bearer sk-Secret/1."));
        headers.append("location", HeaderValue::from_static("/?key=sk-Secret%2f1"));
        headers.append(
            "x-sk-secret/1".replace('/', "-").parse::<HeaderName>().unwrap(),
            HeaderValue::from_static("1"),
        );
        crate::scrub::headers(&mut headers, &Secret::new("sk-Secret/1").unwrap());
        let echoes: Vec<_> = headers.get_all("x-echo").iter().collect();
        assert_eq!(echoes, ["one", "Bearer ***********."]);
        assert_eq!(headers["location"], "/?key=*************");
        crate::scrub::headers(&mut headers, &Secret::new("sk-Secret-1").unwrap());
        assert!(!headers.contains_key("x-sk-secret-1"));
    }
}
