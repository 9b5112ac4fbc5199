//! The secret text of a key.
//!
//! Redaction is promised, memory hygiene is not: the text is wiped when the last clone is dropped, but the
//! header value rendered from it and the buffers of the HTTP client are ordinary memory.

use std::fmt;
use std::sync::Arc;

use hmac::digest::Key;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

use crate::scrub::written::Marks;

/// The secret text of a key. Redacted in every format, wiped when the last clone is dropped, not
/// serializable.
///
/// ```
/// use tower_key_rotation::ApiKey;
/// use tower_key_rotation::key::{InvalidSecret, Secret};
///
/// let key = ApiKey::from(Secret::new("sk-one")?);
/// assert!(Secret::new("sk-one\n").is_err());
/// # Ok::<(), InvalidSecret>(())
/// ```
#[derive(Clone)]
pub struct Secret(Arc<Kept>);

/// The text of a secret, and the characters by which most texts are seen not to show it.
struct Kept {
    text: SecretString,
    marks: Marks,
}

/// AWS credentials, as the parts of a secret.
#[cfg(feature = "sigv4")]
#[derive(Clone, Copy)]
pub(crate) struct AwsCredentials<'a> {
    pub(crate) id: &'a str,
    pub(crate) secret: &'a str,
    /// Token of a session, of temporary credentials.
    pub(crate) token: Option<&'a str>,
}

/// The reason why a text cannot be a key. Contains the position of the fault and never the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidSecret {
    /// The text is empty or consists of blanks.
    #[error("the key is empty: unset the variable or give it a value")]
    Empty,
    /// The text has a character that no key contains or that no header may carry.
    #[error(
        "the key has a blank, a quotation mark, a control or a non-ASCII character at position \
         {position}: look for something that was copied along"
    )]
    Character {
        /// Position of the character in bytes, from zero.
        position: usize,
    },
    /// The text is longer than [`Secret::MAX`]: most likely a file that holds something else.
    #[error("the key has more than 16384 characters: look for a wrong file or variable")]
    TooLong,
}

// === impl Secret ===

impl Secret {
    /// Maximum length of a key in characters (16,384). Access tokens have up to some thousand.
    pub const MAX: usize = 16 * 1024;

    /// Creates a secret from the text of a key. Blanks around the text are not removed.
    ///
    /// # Errors
    ///
    /// Returns [`InvalidSecret`] if the text is empty or longer than [`MAX`](Self::MAX), or has a quotation
    /// mark or a character outside visible ASCII.
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidSecret> {
        let text = SecretString::from(text.into());
        let bytes = text.expose_secret().as_bytes();
        if bytes.trim_ascii().is_empty() {
            return Err(InvalidSecret::Empty);
        }
        if bytes.len() > Self::MAX {
            return Err(InvalidSecret::TooLong);
        }
        match bytes.iter().position(|byte| !is_key_character(*byte)) {
            Some(position) => Err(InvalidSecret::Character { position }),
            None => Ok(Self::keep(text)),
        }
    }

    /// Creates the text that is sent to a server that needs no key.
    pub(crate) fn not_needed() -> Self {
        Self::keep(SecretString::from("no-key-is-needed"))
    }

    fn keep(text: SecretString) -> Self {
        let marks = Marks::of(text.expose_secret());
        Self(Arc::new(Kept { text, marks }))
    }

    /// Returns a name for the key that is the same in every process and from which the secret cannot be
    /// derived.
    ///
    /// One secret has different fingerprints under two providers. A fingerprint is short enough to be read,
    /// and therefore too short to tell whether two secrets are equal: use the [digest](Self::digest) for
    /// that.
    pub(crate) fn fingerprint(&self, provider: &str) -> String {
        let hex: String = self.digest(provider).iter().take(5).map(|byte| format!("{byte:02x}")).collect();
        format!("key-{hex}")
    }

    /// Returns the HMAC-SHA-256 of the secret, which is equal for equal secrets of one provider. Its key is
    /// the purpose.
    pub(crate) fn digest(&self, provider: &str) -> [u8; 32] {
        let mut purpose = Key::<Hmac<Sha256>>::default();
        for (byte, given) in purpose.iter_mut().zip(b"tower-key-rotation/key-id/1") {
            *byte = *given;
        }
        let mut mac = Hmac::<Sha256>::new(&purpose);
        mac.update(provider.as_bytes());
        mac.update(b"\0");
        mac.update(self.expose().as_bytes());
        mac.finalize().into_bytes().into()
    }

    /// Returns the secret text, for comparison and for removing it from what a provider echoes.
    pub(crate) fn expose(&self) -> &str {
        self.0.text.expose_secret()
    }

    /// Returns the characters by which most texts are seen not to show the secret.
    pub(super) fn marks(&self) -> Marks {
        self.0.marks
    }

    /// Returns whether it has the form of a JWT, as access tokens have and keys have not.
    pub(crate) fn is_token(&self) -> bool {
        let text = self.expose();
        text.starts_with("eyJ") && text.bytes().filter(|byte| *byte == b'.').count() == 2
    }

    /// Returns the AWS credentials, if it consists of them: `ID:SECRET` or `ID:SECRET:TOKEN`.
    #[cfg(feature = "sigv4")]
    pub(crate) fn aws(&self) -> Option<AwsCredentials<'_>> {
        Self::aws_in(self.expose())
    }

    /// Returns the AWS credentials of which a secret text consists.
    #[cfg(feature = "sigv4")]
    pub(crate) fn aws_in(text: &str) -> Option<AwsCredentials<'_>> {
        let mut parts = text.split(':');
        let (id, secret, token) = (parts.next()?, parts.next()?, parts.next());
        let is_whole = parts.next().is_none() && ![Some(id), Some(secret), token].contains(&Some(""));
        is_whole.then_some(AwsCredentials { id, secret, token })
    }
}

const fn is_key_character(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'')
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("redacted")
    }
}

#[cfg(test)]
mod tests {
    use crate::scrub::secret::*;

    #[test]
    fn what_no_header_may_carry_is_refused_without_being_shown() {
        for (text, error) in [
            ("", InvalidSecret::Empty),
            (" \t\n", InvalidSecret::Empty),
            ("sk-marker\n", InvalidSecret::Character { position: 9 }),
            ("\"sk-marker\"", InvalidSecret::Character { position: 0 }),
            ("sk marker", InvalidSecret::Character { position: 2 }),
            ("\u{feff}sk-marker", InvalidSecret::Character { position: 0 }),
            ("sk-\u{7f}marker", InvalidSecret::Character { position: 3 }),
            ("sk-\r\nx-injected: marker", InvalidSecret::Character { position: 3 }),
        ] {
            let got = Secret::new(text).unwrap_err();
            assert_eq!(got, error, "{text:?}");
            assert!(!format!("{got} {got:?}").contains("marker"));
        }
    }

    #[test]
    fn a_fingerprint_is_stable_and_shows_nothing() {
        let secret = Secret::new("sk-marker").unwrap();
        let again = Secret::new("sk-marker").unwrap();
        assert_eq!(secret.fingerprint("openai"), again.fingerprint("openai"));
        assert_ne!(secret.fingerprint("openai"), secret.fingerprint("groq"));
        assert_ne!(secret.fingerprint("openai"), Secret::new("sk-other").unwrap().fingerprint("openai"));
        assert!(!secret.fingerprint("openai").contains("marker"));
    }
}
