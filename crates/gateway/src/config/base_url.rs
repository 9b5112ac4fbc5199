//! Checks of base URLs.

use std::net::IpAddr;

use http::Uri;
use http::uri::Scheme;

use tower_key_rotation::provider::Origin;

/// Domains that no public host has: those of RFC 6761, RFC 6762 and RFC 8375, and those of clusters and home
/// networks.
const PRIVATE: [&str; 9] =
    ["localhost", "local", "internal", "lan", "home.arpa", "test", "invalid", "intranet", "svc"];

/// Parses a base URL and returns it with its origin.
pub(super) fn base_url(text: &str) -> Result<(Uri, Origin), &'static str> {
    let url: Uri = text.trim().parse().map_err(|_| "it is not a URL")?;
    let scheme = url.scheme().ok_or("it has no scheme")?;
    if *scheme != Scheme::HTTPS && *scheme != Scheme::HTTP {
        return Err("its scheme is neither https nor http");
    }
    let authority = url.authority().filter(|it| !it.host().is_empty()).ok_or("it has no host")?;
    if authority.as_str().contains('@') {
        return Err("it has a user name or a password");
    }
    if authority.host().contains('*') {
        return Err("its host is a pattern");
    }
    if url.query().is_some() || text.contains('#') {
        return Err("it has a query or a fragment");
    }
    let lower = url.path().to_ascii_lowercase().replace("%2e", ".");
    if lower.split('/').any(|segment| [".", ".."].contains(&segment)) {
        return Err("its path has a dot segment");
    }
    let origin = format!("{scheme}://{authority}").parse();
    let origin = origin.map_err(|_| "its port is not a number from 1 to 65535")?;
    Ok((url, origin))
}

/// Returns the host if keys would be sent to it in clear text over a network that is not private.
pub(super) fn exposed_host(url: &Uri) -> Option<&str> {
    url.host().filter(|host| url.scheme() == Some(&Scheme::HTTP) && !is_private(host))
}

fn is_private(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse();
    match address.map(|address: IpAddr| address.to_canonical()) {
        Ok(IpAddr::V4(v4)) => {
            let shared = v4.octets()[0] == 100 && v4.octets()[1] & 0xc0 == 64;
            v4.is_loopback() || v4.is_private() || v4.is_link_local() || v4.is_unspecified() || shared
        }
        Ok(IpAddr::V6(v6)) => {
            v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local() || v6.is_unspecified()
        }
        Err(_) => is_private_name(&host.trim_end_matches('.').to_ascii_lowercase()),
    }
}

fn is_private_name(host: &str) -> bool {
    let below =
        |domain: &str| host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    !host.contains('.') || PRIVATE.iter().any(|domain| below(domain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_http_to_public_hosts_is_exposed() {
        for url in
            ["http://api.example.com/v1", "http://8.8.8.8", "http://[2001:db8::1]:80/", "http://172.32.0.1"]
        {
            assert!(exposed_host(&url.parse().unwrap()).is_some(), "{url}");
        }
        for url in [
            "https://api.example.com",
            "http://localhost:8000",
            "http://vllm:8000",
            "http://vllm.internal",
            "http://llm.default.svc.cluster.local",
            "http://127.0.0.1",
            "http://10.1.2.3",
            "http://192.168.0.7",
            "http://172.16.0.1",
            "http://100.64.0.1",
            "http://169.254.0.1",
            "http://[::1]",
            "http://[fd00::1]",
            "http://[::ffff:10.0.0.1]",
        ] {
            assert_eq!(exposed_host(&url.parse().unwrap()), None, "{url}");
        }
    }

    #[test]
    fn an_invalid_port_is_refused() {
        for url in ["http://h:99999/v1", "http://h:http", "https://h:65536", "https://h:", "https://h:0/v1"] {
            assert!(base_url(url).is_err(), "{url}");
        }
        assert!(base_url("https://[::1]:8443/v1").is_ok());
        for url in ["https://h/../v1", "https://h/v1/%2E%2e", "https://h/./v1", "http://:80/v1"] {
            assert!(base_url(url).is_err(), "{url}");
        }
    }
}
