//! Origins: scheme, host and port to which a key may be sent.

use std::fmt;
use std::str::FromStr;

use http::Uri;
use http::uri::{Authority, Scheme};

/// The scheme, host and port to which a key may be sent. Created by parsing a text.
///
/// The host may begin with `*.`, which stands for at least one label.
///
/// ```
/// use tower_key_rotation::provider::Origin;
///
/// let origin: Origin = "https://api.openai.com".parse()?;
/// assert!(origin.contains(&"https://api.openai.com/v1/models".parse()?));
/// assert!(origin.contains(&"https://API.openai.com:443/v1/models".parse()?));
/// assert!(!origin.contains(&"http://api.openai.com/v1/models".parse()?));
/// assert!(!origin.contains(&"https://api.openai.com.example.org/".parse()?));
///
/// let azure: Origin = "https://*.openai.azure.com".parse()?;
/// assert!(azure.contains(&"https://my-resource.openai.azure.com/openai/v1".parse()?));
/// assert!(!azure.contains(&"https://openai.azure.com/".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    https: bool,
    host: HostPattern,
    port: u16,
}

#[derive(Clone, PartialEq, Eq, Hash)]
enum HostPattern {
    Exact(String),
    /// The dot and the text behind it; at least one label precedes it.
    Suffix(String),
}

/// Error of parsing an [`Origin`]: the text names none.
#[derive(Clone, Debug, thiserror::Error)]
#[error("not an origin: {0}")]
pub struct InvalidOrigin(Wrong);

/// The part of a text that no origin has. Never the text itself, which may contain a password.
#[derive(Clone, Copy, Debug, thiserror::Error)]
enum Wrong {
    #[error("it does not begin with `https://` or `http://`")]
    Scheme,
    #[error(
        "it has a path: write `https://host` or `http://host:port`; `BaseUrl::origin` takes it from a base URL"
    )]
    Path,
    #[error("write `https://host`, `http://host:port` or `https://*.host` behind the scheme")]
    Authority,
}

// === impl Origin ===

impl Origin {
    /// Returns whether a request to `uri` stays within this origin.
    ///
    /// Returns `false` for a URI without a host, with a user name, or with a port that is not a number from 1
    /// to 65535: clients replace such a port by the scheme's default.
    pub fn contains(&self, uri: &Uri) -> bool {
        let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else {
            return false;
        };
        let https = *scheme == Scheme::HTTPS;
        let is_http = https || *scheme == Scheme::HTTP;
        is_http && https == self.https && (self.is_written(authority) || self.is_meant(authority))
    }

    /// Returns whether the authority is this host in its usual spelling, which avoids parsing it.
    fn is_written(&self, authority: &Authority) -> bool {
        let HostPattern::Exact(host) = &self.host else { return false };
        let behind = authority.as_str().strip_prefix(&**host);
        behind.is_some_and(|behind| port_of(behind, self.https) == Some(self.port))
    }

    fn is_meant(&self, authority: &Authority) -> bool {
        port(authority, self.https) == Some(self.port) && self.host.matches(authority.host())
    }
}

impl HostPattern {
    fn matches(&self, host: &str) -> bool {
        match self {
            Self::Exact(exact) => host.eq_ignore_ascii_case(exact),
            Self::Suffix(suffix) => {
                let Some(at) = host.len().checked_sub(suffix.len()) else {
                    return false;
                };
                at > 0 && host.is_char_boundary(at) && host[at..].eq_ignore_ascii_case(suffix)
            }
        }
    }
}

impl FromStr for Origin {
    type Err = InvalidOrigin;

    fn from_str(text: &str) -> Result<Self, InvalidOrigin> {
        let (scheme, authority) = text.split_once("://").ok_or(InvalidOrigin(Wrong::Scheme))?;
        let https = match scheme {
            "https" => true,
            "http" => false,
            _ => return Err(InvalidOrigin(Wrong::Scheme)),
        };
        let authority = authority.strip_suffix('/').unwrap_or(authority);
        if authority.contains('/') {
            return Err(InvalidOrigin(Wrong::Path));
        }
        let (suffix, authority) = match authority.strip_prefix("*.") {
            Some(rest) => (true, rest),
            None => (false, authority),
        };
        let authority: Authority = authority.parse().map_err(|_| InvalidOrigin(Wrong::Authority))?;
        if authority.host().is_empty() || authority.host().contains('*') {
            return Err(InvalidOrigin(Wrong::Authority));
        }
        let host = authority.host().to_ascii_lowercase();
        Ok(Self {
            https,
            port: port(&authority, https).ok_or(InvalidOrigin(Wrong::Authority))?,
            host: if suffix { HostPattern::Suffix(format!(".{host}")) } else { HostPattern::Exact(host) },
        })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { https, host, port } = self;
        f.write_str(if *https { "https://" } else { "http://" })?;
        match host {
            HostPattern::Exact(host) => f.write_str(host)?,
            HostPattern::Suffix(suffix) => write!(f, "*{suffix}")?,
        }
        if *port == default_port(*https) { Ok(()) } else { write!(f, ":{port}") }
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Origin({self})")
    }
}

/// Returns the port of an authority; `None` if it has a user name or a port that is not a number from 1 to
/// 65535.
pub(crate) fn port(authority: &Authority, https: bool) -> Option<u16> {
    port_of(authority.as_str().strip_prefix(authority.host())?, https)
}

/// Returns the port in the text behind a host.
fn port_of(behind: &str, https: bool) -> Option<u16> {
    if behind.is_empty() {
        return Some(default_port(https));
    }
    let digits = behind.strip_prefix(':').filter(|port| port.bytes().all(|byte| byte.is_ascii_digit()))?;
    digits.parse().ok().filter(|port| *port != 0)
}

const fn default_port(https: bool) -> u16 {
    if https { 443 } else { 80 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_that_only_look_alike_are_foreign() {
        let origin: Origin = "https://api.openai.com".parse().unwrap();
        for foreign in [
            "http://api.openai.com/v1",
            "https://api.openai.com:8443/v1",
            "https://api.openai.com:443@evil.example/v1",
            "https://api.openai.com@evil.example/v1",
            "https://api.openai.com.example.org/v1",
            "https://evil-api.openai.com/v1",
            "https://openai.com/v1",
            "https://user@api.openai.com/v1",
            "https://api.openai.com:99999/v1",
            "https://api.openai.com:65536/v1",
            "https://api.openai.com:http/v1",
            "https://api.openai.com:+443/v1",
            "https://api.openai.com:/v1",
            "https://api.openai.com:0/v1",
            "https://api.openai.com:443:443/v1",
            "ftp://api.openai.com/v1",
            "/v1/chat/completions",
        ] {
            // A text that is no valid URI is sent nowhere either.
            assert!(!foreign.parse().is_ok_and(|uri| origin.contains(&uri)), "{foreign}");
            assert!(!foreign.to_uppercase().parse().is_ok_and(|uri| origin.contains(&uri)), "{foreign}");
        }
        let suffix: Origin = "https://*.openai.azure.com".parse().unwrap();
        assert!(!suffix.contains(&"https://eviloppenai.azure.com/".parse().unwrap()));
        assert!(!suffix.contains(&"https://.openai.azure.com/".parse().unwrap_or_default()));
    }

    #[test]
    fn what_is_no_origin_is_refused() {
        for text in [
            "",
            "api.openai.com",
            "ftp://h",
            "https://",
            "https://:80",
            "https://u:p@h",
            "https://a.*.b",
            "https://h/p",
            "https://h:",
            "https://h:http",
            "https://h:99999",
            "https://h:65536",
            "https://h:0",
        ] {
            assert!(text.parse::<Origin>().is_err(), "{text}");
        }
        let base_url = "https://u:p@h/v1".parse::<Origin>().unwrap_err();
        assert!(
            base_url.to_string().contains("`BaseUrl::origin`") && format!("{base_url:?}").contains("Path")
        );
    }
}
