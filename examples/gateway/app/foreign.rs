//! Requests that a web page sends without its reader's knowledge.
//!
//! A gateway without a token trusts whoever reaches it, and every browser on the machine reaches it for whatever page
//! it shows. A page can send requests that need no permission of the gateway (`text/plain` is enough for a call that
//! costs money), and a name that is made to point here lets it read the responses too. The browser tells in both
//! cases: by `Origin`, and by a `Host` that is no name of the gateway.

use std::net::IpAddr;

use http::header::{HOST, HeaderName, ORIGIN};
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Uri};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");

/// The names and addresses by which the gateway may be reached, beside those of the machine itself.
pub(super) struct Ours<'a> {
    /// The address that the connection came to.
    pub(super) local: IpAddr,
    /// The address to listen on.
    pub(super) listen: Option<IpAddr>,
    pub(super) hosts: &'a [String],
}

// === impl Ours ===

impl Ours<'_> {
    /// Whether the request was sent by a page that is not ours, or to a name that is not ours.
    pub(super) fn is_foreign(&self, headers: &HeaderMap, uri: &Uri) -> bool {
        let hosts = headers.get_all(HOST).iter();
        let foreign_host = hosts.into_iter().any(|host| !self.owns(text(host)))
            || uri.authority().is_some_and(|authority| !self.owns(authority.as_str()));
        let mut origins = headers.get_all(ORIGIN).iter().peekable();
        // Only a request that is not worth a permission has no origin: an image, or a link that was followed.
        let unnamed = origins.peek().is_none() && is_from_elsewhere(headers);
        foreign_host || unnamed || origins.any(|origin| !self.owns(authority(text(origin))))
    }

    /// Whether a host with or without a port is the gateway's.
    fn owns(&self, authority: &str) -> bool {
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
        let is = |ours: IpAddr| ours.to_canonical() == ip;
        ip.is_loopback() || ip.is_unspecified() || is(self.local) || self.listen.is_some_and(is)
    }
}

fn text(value: &HeaderValue) -> &str {
    value.to_str().unwrap_or_default()
}

/// The authority of an origin; empty for `null`.
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
    fn hosts_are_of_the_machine_of_the_listener_or_of_the_file() {
        let hosts = ["gateway.internal".to_owned()];
        let local = "192.168.1.5".parse().unwrap();
        let ours = Ours { local, listen: Some("10.0.0.1".parse().unwrap()), hosts: &hosts };
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
            assert!(ours.owns(host), "{host}");
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
            assert!(!ours.owns(host), "{host}");
        }
        for origin in ["null", "https://evil.example", "app://obsidian.md", "localhost", ""] {
            assert!(!ours.owns(authority(origin)), "{origin}");
        }
        assert!(ours.owns(authority("http://localhost:3000")));
    }
}
