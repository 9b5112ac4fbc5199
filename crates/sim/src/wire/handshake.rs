//! The handshake of a WebSocket.

use http::StatusCode;
use http::header::{
    CONNECTION, HeaderMap, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_PROTOCOL, UPGRADE,
};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::reply::Reply;

/// The only subprotocol that a provider selects.
const REALTIME: &str = "realtime";

/// The parts of a WebSocket handshake that matter.
pub(crate) struct Handshake {
    accept: String,
    offers_realtime: bool,
}

/// Iterates over the subprotocols that a client offers.
pub(super) fn protocols(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let lists = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|list| list.to_str().ok());
    lists.flat_map(|list| list.split(',')).map(str::trim)
}

// === impl Handshake ===

impl Handshake {
    /// Reads the headers. `None` if they are not those of a handshake.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let upgrade = headers.get(UPGRADE)?.as_bytes();
        let key = headers.get("sec-websocket-key").filter(|_| upgrade.eq_ignore_ascii_case(b"websocket"))?;
        let offers_realtime = protocols(headers).any(|it| it == REALTIME);
        Some(Self { accept: derive_accept_key(key.as_bytes()), offers_realtime })
    }

    /// Returns the switch of protocols.
    pub(super) fn reply(&self) -> Reply {
        let mut headers = HeaderMap::new();
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        if let Ok(accept) = HeaderValue::try_from(&self.accept) {
            headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
        }
        if self.offers_realtime {
            headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(REALTIME));
        }
        Reply::whole(StatusCode::SWITCHING_PROTOCOLS, headers, "".into())
    }
}
