//! What belongs to one connection, and goes no further.

use http::HeaderMap;
use http::header::{
    ACCEPT_ENCODING, CONNECTION, EXPECT, HOST, HeaderName, PROXY_AUTHENTICATE, SET_COOKIE, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE,
};

static HOP_BY_HOP: [HeaderName; 8] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    PROXY_AUTHENTICATE,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// From the caller to the provider: no hop-by-hop headers, no host, and no compression, so that answers can
/// be read.
pub(super) fn upwards(headers: &mut HeaderMap) {
    remove_hop_by_hop(headers);
    for name in [HOST, EXPECT, ACCEPT_ENCODING] {
        headers.remove(name);
    }
}

/// From the provider to the caller: no hop-by-hop headers, and no cookie of the account's.
pub(super) fn downwards(headers: &mut HeaderMap) {
    remove_hop_by_hop(headers);
    headers.remove(SET_COOKIE);
}

/// Most requests and answers have none, and looking through the names of a few headers is cheaper than looking
/// each of ours up.
fn remove_hop_by_hop(headers: &mut HeaderMap) {
    if !headers.keys().any(|name| HOP_BY_HOP.contains(name)) {
        return;
    }
    let lists = headers.get_all(CONNECTION).iter().filter_map(|list| list.to_str().ok());
    let named: Vec<HeaderName> =
        lists.flat_map(|list| list.split(',')).filter_map(|name| name.trim().parse().ok()).collect();
    for name in named {
        headers.remove(name);
    }
    for name in &HOP_BY_HOP {
        headers.remove(name);
    }
}
