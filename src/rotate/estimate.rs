//! The estimated number of tokens of a request, before the provider has counted them.
//!
//! A rule of thumb is enough: an excess is given back when the provider reports the usage of the response, and a
//! shortfall is charged then. Requests are estimated only if some limit of the pool counts tokens.

use std::fmt;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use http::Uri;
use memchr::memmem::Finder;
use serde::Deserialize;

use crate::limits::Estimate;

/// Bytes per token of a prompt (4), typical for English text and its JSON.
const BYTES_PER_TOKEN: u64 = 4;

/// Estimated tokens of the response if the request names no cap (256).
const UNCAPPED: u64 = 256;

/// The function that estimates the tokens of a request.
#[derive(Clone)]
pub(super) struct Estimator(Arc<Estimating>);

type Estimating = dyn Fn(&Uri, &[Bytes]) -> Estimate + Send + Sync;

/// The members of a request that cap the response's tokens, in all dialects.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Caps {
    max_completion_tokens: Option<u64>,
    max_output_tokens: Option<u64>,
    max_tokens: Option<u64>,
    #[serde(rename = "generationConfig")]
    google: Google,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Google {
    max_output_tokens: Option<u64>,
}

// === impl Estimator ===

impl Estimator {
    pub(super) fn new(estimate: impl Fn(&Uri, &[Bytes]) -> Estimate + Send + Sync + 'static) -> Self {
        Self(Arc::new(estimate))
    }

    pub(super) fn estimate(&self, uri: &Uri, body: &[Bytes]) -> Estimate {
        (self.0)(uri, body)
    }
}

impl Default for Estimator {
    fn default() -> Self {
        Self::new(estimate)
    }
}

impl fmt::Debug for Estimator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Estimator")
    }
}

// === the rule of thumb ===

/// Returns a quarter of the body's bytes for the prompt, and for the response the cap in the body, or 256.
fn estimate(_: &Uri, body: &[Bytes]) -> Estimate {
    let bytes: u64 = body.iter().map(|frame| frame.len() as u64).sum();
    let cap = match body {
        [whole] => cap(whole),
        frames => cap(&frames.concat()),
    };
    Estimate { input_tokens: bytes.div_ceil(BYTES_PER_TOKEN), output_tokens: cap.unwrap_or(UNCAPPED) }
}

fn cap(body: &[u8]) -> Option<u64> {
    static MAX: LazyLock<Finder<'_>> = LazyLock::new(|| Finder::new(b"\"max"));
    MAX.find(body)?;
    let Caps { max_completion_tokens, max_output_tokens, max_tokens, google } =
        serde_json::from_slice(body).ok()?;
    max_completion_tokens.or(max_output_tokens).or(max_tokens).or(google.max_output_tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cap_is_found_in_all_dialects() {
        for (body, expected) in [
            (r#"{"model":"m","max_tokens":100}"#, 100),
            (r#"{"max_completion_tokens":7,"max_tokens":100}"#, 7),
            (r#"{"max_output_tokens":9,"input":"x"}"#, 9),
            (r#"{"generationConfig":{"maxOutputTokens":11}}"#, 11),
            (r#"{"messages":[{"content":"\"max_tokens\": 5"}]}"#, UNCAPPED),
            (r#"{"max_tokens":null}"#, UNCAPPED),
            ("not json \"max", UNCAPPED),
            ("", UNCAPPED),
        ] {
            let frames = [Bytes::from_static(body.as_bytes())];
            let Estimate { input_tokens, output_tokens } = estimate(&Uri::default(), &frames);
            assert_eq!(output_tokens, expected, "{body}");
            assert_eq!(input_tokens, body.len().div_ceil(4) as u64);
        }
        let (one, other) = (Bytes::from_static(b"{\"max_to"), Bytes::from_static(b"kens\":3}"));
        assert_eq!(estimate(&Uri::default(), &[one, other]).output_tokens, 3);
    }
}
