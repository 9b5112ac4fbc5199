//! What belongs to one connection, and goes no further.

use http::HeaderMap;
use http::header::{ACCEPT_ENCODING, CONNECTION, EXPECT, HOST, HeaderName, SET_COOKIE};

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
    if !headers.keys().any(is_hop_by_hop) {
        return;
    }
    let lists = headers.get_all(CONNECTION).iter().filter_map(|list| list.to_str().ok());
    let named = lists.flat_map(|list| list.split(',')).filter_map(|name| name.trim().parse().ok());
    let names: Vec<HeaderName> =
        named.chain(headers.keys().filter(|name| is_hop_by_hop(name)).cloned()).collect();
    for name in names {
        headers.remove(name);
    }
}

fn is_hop_by_hop(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection"
            | "keep-alive"
            | "proxy-authenticate"
            | "proxy-connection"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
    )
}
