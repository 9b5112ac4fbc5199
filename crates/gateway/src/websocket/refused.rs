//! Refusals that come after the switch of protocols.
//!
//! Gemini's Live API accepts every handshake and refuses a key by a close frame: 1007 or 1008 for one that is not valid,
//! 1011 for a quota that is used up (<https://github.com/livekit/agents/issues/2274>,
//! <https://github.com/yagudaev/voiceclaw/pull/155>). The caller gets that frame. The key gets a cooldown, so that the next
//! connection is made with another one.

use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use serde_json::json;
use tower_key_rotation::classify::{Fault, Outcome, Reason, Verdict};
use tower_key_rotation::clock::Timestamp;
use tower_key_rotation::key::{KeyId, SentKey};
use tower_key_rotation::pool::KeyPool;

use crate::websocket::frames::Close;

/// Cooldown of a key whose refusal names no wait (60 s).
const COOLDOWN: Duration = Duration::from_secs(60);

/// The key of a tunnel.
#[derive(Default)]
pub(super) struct TunnelKey {
    /// `None` if the key is not known.
    pub(super) owner: Option<(KeyPool, KeyId)>,
    /// The key that the handshake carried.
    pub(super) sent: Option<SentKey>,
}

// === impl TunnelKey ===

impl TunnelKey {
    /// Puts the key into a cooldown, if the close frame says that the key was refused.
    pub(super) fn heed(&self, close: &Close) {
        let Some((pool, id)) = &self.owner else { return };
        let provider = pool.provider();
        let (mut head, ()) = Response::new(()).into_parts();
        let Some(status) = status(close) else { return };
        head.status = status;
        let error = json!({"error": {"code": status.as_u16(), "message": close.reason}});
        let outcome = Outcome::response(head, Bytes::from(error.to_string()), Timestamp::now());
        let Verdict::Fault(fault) = provider.classifier().explain(&outcome).verdict else { return };
        if !concerns_key(&fault) {
            return;
        }
        let wait = fault.retry_after().unwrap_or(COOLDOWN);
        let (provider, key, reason) = (provider.name(), id.as_str(), fault.reason().as_str());
        tracing::info!(target: "gateway", provider, key, reason, code = close.code, ?wait, "WebSocket refused");
        // The key may have been removed since.
        let _unknown = pool.cool_down(id, None, wait);
    }

    /// Returns a text of the provider without the key. `None` if the text does not show it.
    pub(super) fn overwrite(&self, text: &[u8]) -> Option<Vec<u8>> {
        self.sent.as_ref()?.overwrite(text)
    }
}

/// Returns the status that a refusal of the handshake would have had. `None` if the close frame refuses nothing.
fn status(close: &Close) -> Option<StatusCode> {
    let reason = close.reason.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| reason.contains(word));
    Some(match close.code {
        1011 | 1013 if has(&["quota", "exhausted", "rate limit", "too many"]) => {
            StatusCode::TOO_MANY_REQUESTS
        }
        1007 | 1008 if has(&["key", "permission", "denied", "credential"]) => StatusCode::BAD_REQUEST,
        // Registered for WebSockets: unauthorized.
        3000 => StatusCode::UNAUTHORIZED,
        _ => return None,
    })
}

/// Returns whether a fault is the key's. A model that the account may not use is none: the key serves others.
fn concerns_key(fault: &Fault) -> bool {
    let is_of_key =
        [Reason::InvalidKey, Reason::QuotaExceeded, Reason::RateLimited].contains(&fault.reason());
    is_of_key && !fault.scope().is_provider()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_refusal_of_the_key_has_a_status() {
        for (code, reason, expected) in [
            (1011, "You exceeded your current quota, please check your plan and billing details.", Some(429)),
            (1011, "Internal error occurred.", None),
            (1007, "API key not valid. Please pass a valid API key.", Some(400)),
            (1007, "Request contains an invalid argument.", None),
            (1008, "Requested entity was not found", None),
            (3000, "invalid_request_error.invalid_api_key", Some(401)),
            (1000, "", None),
        ] {
            let close = Close { code, reason: reason.to_owned() };
            assert_eq!(status(&close).map(|status| status.as_u16()), expected, "{code} {reason}");
        }
    }
}
