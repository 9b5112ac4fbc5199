//! The way in which an inspected response is delivered.
//!
//! An error response in an encoding that can't be searched directly could carry the key past every search. If it
//! can be decoded to its end and does not contain the key, it passes unchanged. Otherwise its body is replaced: by
//! the decoded text without the key, or, if it can't be decoded, by an error message under the same status.

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};

use crate::body::{Decoded, Rest};
use crate::scrub::overwrite;
use crate::scrub::secret::Secret;

/// The way in which a response is delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    AsItCame,
    /// With its decoded body, without the key.
    Decoded,
    /// With an error message in place of the body, which can't be searched.
    Withheld,
}

const WITHHELD: &str = r#"{"error":{"message":"the provider's response is in a content-encoding that can't be searched for the key here, so its body is withheld: enable the feature `decompress`, or put a decompression layer inside the rotation layer","type":"key_rotation_error","param":null,"code":"response_withheld"}}"#;

// === impl Delivery ===

impl Delivery {
    /// Returns the delivery of an encoded error response, and its new body if that differs. `read`: all of the body
    /// as it came, if it was read to its end. `decoded` is its text, as far as it could be decoded.
    pub(crate) fn of_encoded<B>(
        decoded: &Decoded,
        read: Option<&[u8]>,
        secret: &Secret,
    ) -> (Self, Option<Rest<B>>) {
        let Some(encoded) = read.filter(|_| decoded.is_whole) else {
            return (Self::Withheld, Some(in_place(Bytes::from_static(WITHHELD.as_bytes()))));
        };
        match overwrite(&decoded.text, secret.expose()) {
            Some(clean) => (Self::Decoded, Some(in_place(clean.into()))),
            // An encoding has room for comments.
            None if overwrite(encoded, secret.expose()).is_some() => {
                (Self::Decoded, Some(in_place(Bytes::from(decoded.text.clone()))))
            }
            None => (Self::AsItCame, None),
        }
    }

    /// Corrects the headers to describe the body that is delivered, if it is another one.
    pub(crate) fn correct<B>(self, headers: &mut HeaderMap, body: &Rest<B>) {
        let (false, Rest::Whole { data }) = (self == Self::AsItCame, body) else { return };
        if self == Self::Withheld {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        headers.remove(CONTENT_ENCODING);
        headers.insert(CONTENT_LENGTH, HeaderValue::from(data.len()));
    }
}

const fn in_place<B>(body: Bytes) -> Rest<B> {
    Rest::Whole { data: body }
}
