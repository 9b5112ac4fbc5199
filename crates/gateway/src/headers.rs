//! Removal of headers that belong to one side only.

use http::HeaderMap;
use http::header::{ACCEPT_ENCODING, CONNECTION, EXPECT, HOST, HeaderName};

/// Beginnings of the names of headers that browsers and proxies before the gateway add: addresses, and who the caller is,
/// some with a token of the caller's own account.
const OF_PROXIES: [&str; 19] = [
    "sec-",
    "x-forwarded-",
    "cf-",
    "access-control-request-",
    "fastly-",
    "fly-",
    "tailscale-",
    "x-amz-cf-",
    "x-amzn-oidc-",
    "x-appengine-",
    "x-auth-request-",
    "x-azure-",
    "x-cloudfront-",
    "x-envoy-",
    "x-goog-authenticated-user-",
    "x-goog-iap-",
    "x-ms-client-principal",
    "x-ms-token-",
    "x-vercel-",
];

/// Removes the headers of a request that are not for the provider: hop-by-hop headers, the host, the accepted
/// encodings (responses must be readable), and traces of the caller's browser and of proxies before the gateway. Some
/// providers refuse a key for an `Origin`.
pub(crate) fn to_provider(headers: &mut HeaderMap) {
    remove(headers, |name| {
        let known = [HOST, EXPECT, ACCEPT_ENCODING].contains(name);
        known || is_hop_by_hop(name.as_str()) || is_of_the_caller(name.as_str())
    });
}

/// Removes the headers of a response that are not for the caller: hop-by-hop headers, and those about the provider's
/// host, its edge and the account of the key.
pub(crate) fn to_caller(headers: &mut HeaderMap) {
    remove(headers, |name| is_hop_by_hop(name.as_str()) || is_of_the_provider(name.as_str()));
}

/// Removes the headers that match, and those that a `Connection` header names. Looks through all names first: most
/// heads have few headers, and a lookup of each known name costs more.
fn remove(headers: &mut HeaderMap, matches: impl Fn(&HeaderName) -> bool) {
    if !headers.keys().any(&matches) {
        return;
    }
    let lists = headers.get_all(CONNECTION).iter().filter_map(|list| list.to_str().ok());
    let named = lists.flat_map(|list| list.split(',')).filter_map(|name| name.trim().parse().ok());
    let names: Vec<HeaderName> = named.chain(headers.keys().filter(|name| matches(name)).cloned()).collect();
    for name in names {
        headers.remove(name);
    }
}

fn is_hop_by_hop(name: &str) -> bool {
    matches!(
        name,
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

fn is_of_the_caller(name: &str) -> bool {
    matches!(
        name,
        "origin"
            | "referer"
            | "cookie"
            | "cookie2"
            | "forwarded"
            | "via"
            | "x-real-ip"
            | "x-client-ip"
            | "x-cluster-client-ip"
            | "true-client-ip"
            | "client-ip"
            | "cdn-loop"
            | "remote-user"
            | "x-remote-user"
            | "x-original-url"
            | "x-original-host"
            | "x-rewrite-url"
            | "x-http-method"
            | "x-http-method-override"
            | "x-method-override"
            | "x-amzn-trace-id"
            | "x-csrf-token"
            | "x-xsrf-token"
            | "upgrade-insecure-requests"
            | "dnt"
    ) || OF_PROXIES.iter().any(|start| name.starts_with(start))
}

fn is_of_the_provider(name: &str) -> bool {
    matches!(
        name,
        "set-cookie"
            | "set-cookie2"
            | "alt-svc"
            | "strict-transport-security"
            | "public-key-pins"
            | "expect-ct"
            | "nel"
            | "report-to"
            | "reporting-endpoints"
            | "clear-site-data"
            | "openai-organization"
            | "openai-project"
            | "anthropic-organization-id"
            | "x-goog-user-project"
            // A proxy before the gateway would serve a file of its own.
            | "x-sendfile"
            | "x-lighttpd-send-file"
            | "refresh"
    ) || ["cf-", "access-control-", "cross-origin-", "x-accel-"].iter().any(|start| name.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(remove: fn(&mut HeaderMap), names: &[&'static str]) -> Vec<String> {
        let header = |name: &&'static str| (HeaderName::from_static(name), "x-named".parse().unwrap());
        let mut headers: HeaderMap = names.iter().map(header).collect();
        remove(&mut headers);
        headers.keys().map(ToString::to_string).collect()
    }

    #[test]
    fn each_side_keeps_its_own_headers() {
        let kept = ["content-type", "anthropic-version", "user-agent", "idempotency-key"];
        assert_eq!(left(to_provider, &kept), kept);
        let gone = [
            "origin",
            "referer",
            "cookie",
            "sec-fetch-site",
            "sec-ch-ua",
            "x-forwarded-for",
            "x-forwarded-host",
            "forwarded",
            "cf-connecting-ip",
            "x-auth-request-access-token",
            "x-ms-token-aad-access-token",
            "x-goog-iap-jwt-assertion",
            "x-remote-user",
            "fly-client-ip",
            "cdn-loop",
            "x-http-method-override",
            "x-method-override",
            "host",
            "expect",
            "te",
            "connection",
            "x-named",
        ];
        assert!(left(to_provider, &gone).is_empty(), "{:?}", left(to_provider, &gone));

        let kept = ["content-type", "x-request-id", "retry-after", "x-ratelimit-remaining-requests"];
        assert_eq!(left(to_caller, &kept), kept);
        let gone = [
            "set-cookie",
            "alt-svc",
            "strict-transport-security",
            "openai-organization",
            "cf-ray",
            "te",
            "x-accel-redirect",
            "x-sendfile",
            "cross-origin-resource-policy",
            "refresh",
        ];
        assert!(left(to_caller, &gone).is_empty(), "{:?}", left(to_caller, &gone));
    }
}
