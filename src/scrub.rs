//! Finding a key in what somebody else wrote.
//!
//! Providers echo keys in error bodies, clients put URLs into errors. Both are searched for the key that
//! was sent, as it is and as a URL shows it.

use std::borrow::Cow;
use std::error::Error;

use memchr::memmem;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tower::BoxError;

/// What a URL's query shows of a key: everything but the unreserved characters is encoded.
pub(crate) const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// In place of an error whose text contained a key.
#[derive(Debug, thiserror::Error)]
#[error("the client failed; its error is withheld because it contained the key")]
struct Withheld;

/// The error, unless any part of its chain shows the secret.
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

/// Whether the text shows the secret.
pub(crate) fn shows(text: &str, secret: &str) -> bool {
    forms(secret).iter().any(|form| text.contains(&**form))
}

/// The text with the secret overwritten, its length unchanged; `None` if it does not show it.
pub(crate) fn overwrite(text: &[u8], secret: &str) -> Option<Vec<u8>> {
    let mut scrubbed = None;
    for form in forms(secret) {
        for at in memmem::find_iter(text, form.as_bytes()) {
            scrubbed.get_or_insert_with(|| text.to_vec())[at..at + form.len()].fill(b'*');
        }
    }
    scrubbed
}

fn forms(secret: &str) -> [Cow<'_, str>; 2] {
    [Cow::Borrowed(secret), utf8_percent_encode(secret, QUERY).into()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_plain_and_as_a_url_shows_it() {
        let scrubbed = overwrite(b"key=a%2Fb; key a/b; a/", "a/b").unwrap();
        assert_eq!(scrubbed, b"key=*****; key ***; a/");
        assert_eq!(overwrite(b"nothing", "a/b"), None);
    }

    #[test]
    fn an_error_is_withheld_only_if_it_shows_the_key() {
        let error = |text: &str| BoxError::from(text.to_owned());
        assert!(redact(error("no route to http://h/?k=a%2Fb"), "a/b").is::<Withheld>());
        assert!(!redact(error("no route to http://h/"), "a/b").is::<Withheld>());
    }
}
