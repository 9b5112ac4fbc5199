//! Signatures of requests to webhooks.

use std::fmt::Write as _;

use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use tower_key_rotation::clock::Timestamp;

const SIGNATURE: HeaderName = HeaderName::from_static("x-signature-256");
const TIMESTAMP: HeaderName = HeaderName::from_static("x-signature-timestamp");

/// Adds the signature of a body.
pub(super) fn sign(headers: &mut HeaderMap, secret: &SecretString, body: &[u8], now: Timestamp) {
    let seconds = now.as_unix_ms() / 1_000;
    // Keys of any length are valid.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes()) else { return };
    mac.update(format!("{seconds}.").as_bytes());
    mac.update(body);
    let hex = mac.finalize().into_bytes().iter().fold("sha256=".to_owned(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    });
    if let Ok(signature) = HeaderValue::try_from(hex) {
        headers.insert(SIGNATURE, signature);
        headers.insert(TIMESTAMP, HeaderValue::from(seconds));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_the_standard() {
        // HMAC-SHA256 of "1700000000.{}" with the key "secret", by `openssl dgst -sha256 -hmac secret`.
        let mut headers = HeaderMap::new();
        sign(&mut headers, &"secret".to_owned().into(), b"{}", Timestamp::from_unix_ms(1_700_000_000_999));
        assert_eq!(headers[TIMESTAMP], "1700000000");
        assert_eq!(
            headers[SIGNATURE],
            "sha256=b8569b78799ff9e3cbff0fc2d63a33a2b57f3282abd07c37ae5e8e7d79a5f163"
        );
    }
}
