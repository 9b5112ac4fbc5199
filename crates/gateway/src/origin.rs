//! Detection of requests that a foreign web page makes its reader's browser send.
//!
//! A gateway without a token trusts every caller that reaches it, and a browser on the machine reaches it on behalf of
//! any page it shows. A page can send requests that need no permission of the gateway (`text/plain` is enough for a
//! call that costs money). With DNS rebinding, a page can also read the responses. The browser reveals the first case
//! by the `Origin` header, and the second by a `Host` header that is not a name of the gateway.

use std::net::{IpAddr, SocketAddr};

use http::header::{HOST, HeaderName, ORIGIN};
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Uri};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");

use crate::cors::Cors;

/// The names and addresses of the gateway, in addition to `localhost` and the loopback addresses.
pub(crate) struct OwnHosts<'a> {
    /// Address of this machine at which the connection was accepted, if it is known.
    pub(crate) local: Option<IpAddr>,
    /// Address to listen on, if the configuration sets one.
    pub(crate) listen: Option<IpAddr>,
    /// Configured host names, in lower case.
    pub(crate) hosts: &'a [String],
    /// The origins whose pages may use the gateway.
    pub(crate) cors: Option<&'a Cors>,
}

// === impl OwnHosts ===

impl OwnHosts<'_> {
    /// Returns whether a foreign page sent the request, or a host name led to the gateway that is not its own.
    pub(crate) fn is_foreign(&self, headers: &HeaderMap, uri: &Uri) -> bool {
        let hosts = headers.get_all(HOST).iter();
        let foreign_host = hosts.into_iter().any(|host| !self.owns(text(host)))
            || uri.authority().is_some_and(|authority| !self.owns(authority.as_str()));
        let mut origins = headers.get_all(ORIGIN).iter().peekable();
        // Browsers omit the origin for images and followed links.
        let unnamed = origins.peek().is_none() && is_from_elsewhere(headers);
        foreign_host
            || unnamed
            || origins.any(|origin| !self.lists(origin) && !self.owns(authority(text(origin))))
    }

    fn lists(&self, origin: &HeaderValue) -> bool {
        self.cors.is_some_and(|cors| cors.lists(origin))
    }

    /// Returns whether a host, with or without a port, is the gateway's.
    fn owns(&self, authority: &str) -> bool {
        // Most callers use an address, which needs no more than this.
        if authority.parse::<SocketAddr>().is_ok_and(|address| self.is_address(address.ip())) {
            return true;
        }
        let Ok(authority) = authority.parse::<Authority>() else { return false };
        if authority.as_str().contains('@') {
            return false;
        }
        let host = authority.host().trim_end_matches('.').to_ascii_lowercase();
        match host.trim_matches(['[', ']']).parse::<IpAddr>() {
            Ok(ip) => self.is_address(ip) || self.hosts.contains(&host),
            Err(_) => host == "localhost" || host.ends_with(".localhost") || self.hosts.contains(&host),
        }
    }

    fn is_address(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        let is = |own: IpAddr| own.to_canonical() == ip;
        ip.is_loopback() || ip.is_unspecified() || self.local.is_some_and(is) || self.listen.is_some_and(is)
    }
}

fn text(value: &HeaderValue) -> &str {
    value.to_str().unwrap_or_default()
}

/// Returns the authority of an origin; empty for `null`.
fn authority(origin: &str) -> &str {
    origin.split_once("://").map_or("", |(_, authority)| authority)
}

fn is_from_elsewhere(headers: &HeaderMap) -> bool {
    let is = |name: &HeaderName, value: &str| headers.get(name).is_some_and(|it| it == value);
    is(&SEC_FETCH_SITE, "cross-site") && !is(&SEC_FETCH_MODE, "navigate")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_own_hosts_are_accepted() {
        let hosts = ["gateway.internal".to_owned()];
        let local = "192.168.1.5".parse().ok();
        let own = OwnHosts { local, listen: "10.0.0.1".parse().ok(), hosts: &hosts, cors: None };
        for host in [
            "localhost",
            "LOCALHOST:8787",
            "localhost.",
            "app.localhost:1",
            "127.0.0.1:8787",
            "127.9.9.9",
            "[::1]:8787",
            "[::ffff:127.0.0.1]",
            "192.168.1.5:8787",
            "10.0.0.1",
            "Gateway.Internal:80",
        ] {
            assert!(own.owns(host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example",
            "evillocalhost",
            "127.0.0.1.evil.example",
            "192.168.1.6",
            "user@localhost",
            "localhost:80:80",
            "localhost/",
            "gateway.internal.evil",
            "[::2]",
        ] {
            assert!(!own.owns(host), "{host}");
        }
        for origin in ["null", "https://evil.example", "app://obsidian.md", "localhost", ""] {
            assert!(!own.owns(authority(origin)), "{origin}");
        }
        assert!(own.owns(authority("http://localhost:3000")));
    }
}
