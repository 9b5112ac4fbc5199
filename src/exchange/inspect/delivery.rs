//! How a response that was looked at is delivered.
//!
//! A refusal in an encoding that can't be searched as it is might carry the key past every search. Decoded to
//! its end and clean, it passes as it came. Otherwise it is replaced: by its decoded text without the key, or,
//! where it can't be decoded, by an error that says so under the same status.

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};

use crate::body::{Decoded, Rest};
use crate::scrub::overwrite;
use crate::scrub::secret::Secret;

/// How a response is delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    AsItCame,
    /// With another body, the decoded one without the key, of so many bytes.
    Decoded(usize),
    /// With another body, as its own can't be searched.
    Withheld,
}

const WITHHELD: &str = r#"{"error":{"message":"the provider's response is in a content-encoding that can't be searched for the key here, so its body is withheld: enable the feature `decompress`, or put a decompression layer inside the rotation layer","type":"key_rotation_error","param":null,"code":"response_withheld"}}"#;

// === impl Delivery ===

impl Delivery {
    /// How a refusal that came encoded is delivered, and its body if that is another. `is_whole`: all of its
    /// body was read, and has been `decoded` as far as it goes.
    pub(crate) fn of_encoded<B>(
        decoded: &Decoded,
        is_whole: bool,
        secret: &Secret,
    ) -> (Self, Option<Rest<B>>) {
        if !is_whole || !decoded.is_whole {
            return (Self::Withheld, Some(in_place(Bytes::from_static(WITHHELD.as_bytes()))));
        }
        match overwrite(&decoded.text, secret.expose()) {
            None => (Self::AsItCame, None),
            Some(clean) => (Self::Decoded(clean.len()), Some(in_place(clean.into()))),
        }
    }

    /// Makes the headers those of the body that is delivered.
    pub(crate) fn correct(self, headers: &mut HeaderMap) {
        let length = match self {
            Self::AsItCame => return,
            Self::Decoded(length) => length,
            Self::Withheld => {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                WITHHELD.len()
            }
        };
        headers.remove(CONTENT_ENCODING);
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
}

const fn in_place<B>(body: Bytes) -> Rest<B> {
    Rest::Whole { data: body }
}
