//! The caller's side of a handshake.

use http::header::{
    CONNECTION, CONTENT_LENGTH, HeaderName, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderMap, HeaderValue, Method, request};
use hyper::upgrade::OnUpgrade;

use crate::refusal::Refusal;

/// Headers that caller and provider agree with each other about. The layers remove credentials from the subprotocols.
const BETWEEN_ENDS: [HeaderName; 4] =
    [SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_EXTENSIONS];

/// A request that asks to switch to WebSocket.
pub(super) struct Handshake {
    /// The caller's connection, after the switch.
    pub(super) caller: OnUpgrade,
    headers: HeaderMap,
}

// === impl Handshake ===

impl Handshake {
    /// Takes the parts that concern the switch. Fails if the caller's connection can't switch: it has another version
    /// than HTTP/1.1, the method is not GET, or the server around the router supports no upgrades.
    pub(super) fn take(head: &mut request::Parts) -> Result<Self, Refusal> {
        let caller = head.extensions.remove::<OnUpgrade>().filter(|_| head.method == Method::GET);
        let caller = caller.ok_or(Refusal::NoUpgrade)?;
        let kept = |name: &HeaderName| {
            let values = head.headers.get_all(name).iter().cloned();
            values.map(|value| (name.clone(), value)).collect::<Vec<_>>()
        };
        Ok(Self { caller, headers: BETWEEN_ENDS.iter().flat_map(kept).collect() })
    }

    /// Adds the headers of the handshake to a request whose headers for one connection were removed.
    pub(super) fn apply(&self, headers: &mut HeaderMap) {
        headers.remove(CONTENT_LENGTH);
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        for (name, value) in &self.headers {
            headers.append(name, value.clone());
        }
    }
}
